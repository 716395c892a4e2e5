//! What is written: names, opsets, and forms that an opset does not have.

use super::model;
use crate::import;
use crate::proto::ModelProto;
use oculist_graph::{
    DataType, Dim, Dropout, Graph, GraphBuilder, Node, Op, Shape, Softmax, SoftmaxKind, Tensor, Trilu, Unary,
    ValueId,
};

fn read(model: ModelProto) -> Graph {
    import::graph(model, None).unwrap_or_else(|e| panic!("{e}"))
}

/// A graph as a file of somebody else gives it: one node with names of its own.
fn foreign(op: impl Into<Op>, dims: &[Dim], outputs: &[&str], opset: i64) -> Graph {
    let mut graph = Graph::new("foreign");
    graph.set_opset(opset);
    let x = graph.add_input("pixels", Shape::new(dims.to_vec()));
    let outputs: Vec<ValueId> = outputs.iter().map(|name| graph.add_activation(*name)).collect();
    graph.set_outputs(outputs.clone());
    let node = Node { name: "only".to_owned(), op: op.into(), inputs: [x].into(), outputs };
    let mut edit = graph.edit();
    edit.push(node);
    edit.finish().unwrap_or_else(|e| panic!("{e}"));
    graph
}

fn refused(graph: &Graph, opset: Option<i64>) -> String {
    model(graph, opset).map(|_| ()).unwrap_err().to_string()
}

const IMAGES: [Dim; 4] = [Dim::Batch, Dim::Fixed(3), Dim::Fixed(4), Dim::Fixed(4)];

#[test]
fn a_graph_goes_out_as_it_came_in() {
    let mut graph = foreign(Unary::Relu, &IMAGES, &["probabilities"], 12);
    graph.set_batch_name("batch");
    graph.metadata.insert("author".to_owned(), "somebody".to_owned());
    let made = model(&graph, None).unwrap();
    assert_eq!((made.opset, made.raised), (12, None));
    assert_eq!(made.model.ir_version, Some(7));
    let back = read(made.model);
    assert_eq!(back, graph);
}

#[test]
fn the_opset_is_raised_to_what_a_node_needs() {
    let graph = foreign(Trilu { upper: true }, &IMAGES, &["y"], 12);
    let made = model(&graph, None).unwrap();
    assert_eq!(made.opset, 14);
    assert_eq!(made.raised.as_deref(), Some("node `only`: Trilu needs opset 14"));
    assert_eq!(
        refused(&graph, Some(13)),
        "node `only` (Trilu): Trilu needs opset 14, the model is to be written in 13"
    );
    // A newer one may be asked for.
    assert_eq!(model(&graph, Some(22)).unwrap().opset, 22);
    let ours = {
        let mut b = GraphBuilder::new("ours");
        let x = b.input("input", 3, 4, 4);
        let y = b.relu("relu", x);
        b.finish(y).unwrap()
    };
    assert_eq!(model(&ours, None).unwrap().opset, 17);
}

#[test]
fn a_softmax_over_several_axes_has_no_form_from_opset_13_on() {
    let softmax = |axis| Softmax { kind: SoftmaxKind::Softmax, axis, flatten: true };
    let graph = foreign(softmax(1), &IMAGES, &["y"], 11);
    assert_eq!(model(&graph, None).unwrap().opset, 11);
    assert_eq!(
        refused(&graph, Some(13)),
        "node `only` (Softmax): it normalises over all axes from 1 on, which opset 13 has no form for (12 and before have)"
    );
    // Over the last axis alone, both mean the same.
    let last = foreign(softmax(3), &IMAGES, &["y"], 11);
    let back = read(model(&last, Some(13)).unwrap().model);
    assert_eq!(back.nodes()[0].op, Op::Softmax(Softmax::along(3)));
    let middle = foreign(Softmax::along(1), &IMAGES, &["y"], 11);
    let made = model(&middle, None).unwrap();
    assert_eq!(
        made.raised.as_deref(),
        Some("node `only`: Softmax along an axis that is not the last needs opset 13")
    );
}

#[test]
fn a_dropout_is_written_only_if_its_mask_is_read() {
    let graph = foreign(Dropout { ratio: 0.25 }, &IMAGES, &["y", "mask"], 11);
    for opset in [11, 13] {
        let back = read(model(&graph, Some(opset)).unwrap().model);
        assert_eq!(back.nodes()[0].op, Op::Dropout(Dropout { ratio: 0.25 }), "opset {opset}");
        assert_eq!(back.value(back.outputs()[1]).dtype, DataType::Bool);
    }
    let graph = foreign(Dropout { ratio: 0.25 }, &IMAGES, &["y"], 11);
    let back = read(model(&graph, None).unwrap().model);
    assert_eq!(back.nodes()[0].op.name(), "Identity");
}

#[test]
fn outputs_keep_their_names_whatever_gives_them() {
    // A dropout that is not written, behind a node that is.
    let mut graph = Graph::new("foreign");
    let x = graph.add_input("pixels", Shape::new(IMAGES.to_vec()));
    let (hidden, y) = (graph.add_activation("hidden"), graph.add_activation("answer"));
    let constant = graph.add_param("constant", Tensor::f32(&[2], vec![0.5, 1.5]));
    graph.set_outputs(vec![y, constant]);
    let mut edit = graph.edit();
    let node = |name: &str, op: Op, input, output| Node {
        name: name.to_owned(),
        op,
        inputs: [input].into(),
        outputs: vec![output],
    };
    edit.push(node("relu", Unary::Relu.into(), x, hidden));
    edit.push(node("dropout", Dropout { ratio: 0.25 }.into(), hidden, y));
    edit.finish().unwrap();
    let names = |graph: &Graph| -> Vec<String> {
        graph.outputs().iter().map(|&v| graph.value(v).name.clone()).collect()
    };
    let back = read(model(&graph, None).unwrap().model);
    assert_eq!(names(&back), ["answer", "constant"]);
    let kinds: Vec<&str> = back.nodes().iter().map(|node| node.op.name()).collect();
    assert_eq!(kinds, ["Relu", "Identity"]);
    let held = back.param(back.nodes()[1].inputs[0]).and_then(Tensor::as_f32);
    assert_eq!(held, Some(&[0.5, 1.5][..]));
    // Again, it is the same file.
    let bytes = |graph: &Graph| prost::Message::encode_to_vec(&model(graph, None).unwrap().model);
    assert_eq!(bytes(&read(model(&back, None).unwrap().model)), bytes(&back));
}

#[test]
fn symbols_keep_their_names() {
    let mut graph = Graph::new("symbols");
    graph.set_batch_name("images");
    let height = graph.symbol("height");
    let x = graph.add_typed_input("x", DataType::F16, Shape::new(vec![Dim::Batch, Dim::Fixed(3), height]));
    let y = graph.add_node("relu", Unary::Relu, [x]);
    graph.set_outputs(vec![y]);
    graph.tidy().unwrap();
    let back = read(model(&graph, None).unwrap().model);
    assert_eq!((back.batch_name(), back.symbols()), (graph.batch_name(), graph.symbols()));
    assert_eq!(back.shape(back.outputs()[0]), graph.shape(graph.outputs()[0]));
    assert_eq!(back.value(back.outputs()[0]).name, "logits", "our own outputs are called so");
}

#[test]
fn every_operator_says_the_opset_that_it_is_written_in() {
    for op in Op::all() {
        let since = if op.domain().is_empty() { op.since() } else { 1 };
        assert!(since <= *import::OPSETS.end(), "{}", op.name());
    }
}
