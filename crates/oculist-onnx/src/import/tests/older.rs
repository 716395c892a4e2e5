//! Attributes of older opsets that are inputs in the graph.

use super::{attribute, good, graph, node, set_int, set_ints, set_opset};
use crate::export;
use crate::proto::{AttributeProto, AttributeType, ModelProto, TensorProto};
use oculist_graph::{Graph, Op, Unary};

/// The good model in opset 9, with attributes where that has them.
fn old() -> ModelProto {
    let mut model = good();
    set_opset(&mut model, 9);
    let pad = node(&mut model, "pad");
    let pads = pad.input.split_off(1);
    set_ints(pad, "pads", &[0, 0, 0, 0, 0, 1, 0, 0]);
    let clip = node(&mut model, "clip");
    clip.input.truncate(1);
    for (name, bound) in [("min", 0.0), ("max", 6.0)] {
        clip.attribute.push(AttributeProto { f: Some(bound), ..attribute(name, AttributeType::Float) });
    }
    let constants = &mut model.graph.as_mut().expect("a graph").initializer;
    constants.retain(|t| t.name != pads.first().cloned());
    model
}

fn ints(graph: &Graph, name: &str, i: usize) -> Option<Vec<i64>> {
    let node = graph.nodes().iter().find(|n| n.name == name).expect("a node of that name");
    graph.param(node.inputs.get(i)?)?.to_i64s()
}

#[test]
fn attributes_become_constants_and_attributes_again() {
    let model = old();
    let read = graph(model.clone()).expect("opset 9");
    assert_eq!(read.opset(), 9);
    assert_eq!(ints(&read, "pad", 1), Some(vec![0, 0, 0, 0, 0, 1, 0, 0]));
    assert!(read.find("pad.pads").is_some());
    assert!(read.nodes().iter().any(|n| n.op == Op::Unary(Unary::Clip { min: 0.0, max: 6.0 })));
    let made = export::model(&read, None).expect("it can be written");
    assert_eq!((made.opset, made.raised), (9, None));
    let (mut written, mut expected) = (made.model, model);
    for name in ["pad", "clip", "conv", "pool"] {
        let sorted = |model: &mut ModelProto| {
            let node = node(model, name);
            node.attribute.sort_by(|a, b| a.name.cmp(&b.name));
            node.clone()
        };
        assert_eq!(sorted(&mut written), sorted(&mut expected), "{name}");
    }
    // In a newer opset they are inputs.
    let mut newer = export::model(&read, Some(13)).expect("it can be written").model;
    assert_eq!(node(&mut newer, "pad").input, ["pool.out", "pad.pads"]);
    assert_eq!(node(&mut newer, "clip").input.len(), 3);
    assert_eq!(graph(newer).expect("and read").nodes().len(), read.nodes().len());
}

#[test]
fn equal_constants_are_one() {
    let mut model = old();
    // A second padding of the same amounts, which stands where the convolution's result goes.
    let mut pad = node(&mut model, "pad").clone();
    pad.name = Some("again".into());
    pad.output = vec!["again.out".into()];
    pad.input = vec!["pad.out".into()];
    set_int(node(&mut model, "flatten"), "axis", 1);
    let proto = model.graph.as_mut().expect("a graph");
    proto.node.truncate(4);
    proto.node.push(pad);
    (proto.output[0].name, proto.output[0].r#type) = (Some("again.out".into()), None);
    let read = graph(model).expect("two paddings");
    let pads: Vec<_> = read.nodes().iter().filter(|n| n.op.name() == "Pad").map(|n| n.inputs[1]).collect();
    assert_eq!(pads.len(), 2);
    assert_eq!(pads[0], pads[1]);
}

#[test]
fn an_opset_that_lacks_a_form_is_refused_or_raised() {
    let read = graph(good()).expect("opset 17");
    let pads = read.find("pad.pads").expect("the paddings");
    let mut computed = read.clone();
    // Paddings that are an input of the model have no form before opset 11.
    let input =
        computed.add_typed_input("paddings", oculist_graph::DataType::I64, oculist_graph::Shape::fixed(&[8]));
    computed.replace_uses(pads, input);
    computed.set_opset(10);
    computed.tidy().unwrap_or_else(|e| panic!("{e}"));
    let made = export::model(&computed, None);
    let made = made.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(made.opset, 11);
    assert_eq!(made.raised.as_deref(), Some("node `pad`: Pad with a computed `pads` needs opset 11"));
    let error = export::model(&computed, Some(10)).map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        error,
        "node `pad` (Pad): Pad with a computed `pads` needs opset 11, the model is to be written in 10"
    );
    let error = export::model(&read, Some(29)).map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, "the model uses opset 29, supported are 7 to 28");
}

#[test]
fn a_constant_ratio_of_dropout_is_its_attribute() {
    let mut model = good();
    let proto = model.graph.as_mut().expect("a graph");
    let scalar = |name: &str, code: i32, raw: Vec<u8>| TensorProto {
        name: Some(name.into()),
        data_type: Some(code),
        raw_data: Some(raw),
        ..TensorProto::default()
    };
    proto.initializer.push(scalar("ratio", 1, 0.25f32.to_le_bytes().to_vec()));
    proto.initializer.push(scalar("mode", 9, vec![0]));
    let relu = node(&mut model, "relu");
    relu.op_type = Some("Dropout".into());
    relu.input.extend(["ratio".into(), "mode".into()]);
    let read = graph(model).expect("a dropout");
    let dropout = &read.nodes()[0];
    assert_eq!(dropout.op, Op::Dropout(oculist_graph::Dropout { ratio: 0.25 }));
    assert_eq!(dropout.inputs.len(), 1);
}
