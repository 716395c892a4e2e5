//! What is refused, and how it is said. Models that are read are tested from outside, against ONNX Runtime.

use crate::OnnxError;
use crate::export;
use crate::import::graph;
use crate::proto::{
    AttributeProto, AttributeType, Dimension, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto,
};
use oculist_graph::{Conv, GraphBuilder, Op, Pool, Tensor};

/// Relu, convolution, pooling, flatten, Gemm, softmax on a 2 by 6 by 6 input.
fn good() -> ModelProto {
    let mut b = GraphBuilder::new("good");
    let x = b.input("input", 2, 6, 6);
    let y = b.relu("relu", x);
    let y = b.conv("conv", y, 3, Conv::square(3, 1, 1), true);
    let y = b.op("pool", Op::MaxPool(Pool::square(2, 2, 0)), &[y]);
    let y = b.op("pad", Op::PadChannels { before: 0, after: 1 }, &[y]);
    let y = b.op("clip", Op::Clip { min: 0.0, max: 6.0 }, &[y]);
    let y = b.op("concat", Op::Concat, &[y, y]);
    let y = b.op("flatten", Op::Flatten, &[y]);
    let y = b.linear("fc", y, 3);
    let y = b.op("softmax", Op::Softmax, &[y]);
    export::model(&b.finish(y).expect("a valid graph")).expect("it can be written")
}

fn node<'a>(model: &'a mut ModelProto, name: &str) -> &'a mut NodeProto {
    let graph = model.graph.as_mut().expect("a graph");
    graph.node.iter_mut().find(|n| n.name.as_deref() == Some(name)).expect("a node of that name")
}

fn tensor<'a>(model: &'a mut ModelProto, name: &str) -> &'a mut TensorProto {
    let graph = model.graph.as_mut().expect("a graph");
    graph.initializer.iter_mut().find(|t| t.name.as_deref() == Some(name)).expect("a tensor of that name")
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(kind.into()), ..AttributeProto::default() }
}

fn set_int(node: &mut NodeProto, name: &str, value: i64) {
    node.attribute.retain(|a| a.name.as_deref() != Some(name));
    node.attribute.push(AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) });
}

fn set_ints(node: &mut NodeProto, name: &str, values: &[i64]) {
    node.attribute.retain(|a| a.name.as_deref() != Some(name));
    node.attribute.push(AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::Ints) });
}

fn set_text(node: &mut NodeProto, name: &str, value: &str) {
    node.attribute.retain(|a| a.name.as_deref() != Some(name));
    let s = Some(value.as_bytes().to_vec());
    node.attribute.push(AttributeProto { s, ..attribute(name, AttributeType::String) });
}

fn set_float(node: &mut NodeProto, name: &str, value: f32) {
    node.attribute.retain(|a| a.name.as_deref() != Some(name));
    node.attribute.push(AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) });
}

fn set_input_dim(model: &mut ModelProto, axis: usize, dim: Option<Dimension>) {
    let input = &mut model.graph.as_mut().expect("a graph").input[0];
    let shape = input.r#type.as_mut().and_then(|t| t.tensor_type.as_mut()).and_then(|t| t.shape.as_mut());
    shape.expect("a shape").dim[axis].value = dim;
}

/// The message for the good model after an edit.
#[track_caller]
fn refused(edit: impl FnOnce(&mut ModelProto)) -> String {
    let mut model = good();
    graph(model.clone()).expect("it is good before the edit");
    edit(&mut model);
    graph(model).expect_err("the edit must be refused").to_string()
}

#[test]
fn an_unknown_operator_is_named_with_those_that_are_known() {
    let message = refused(|m| node(m, "relu").op_type = Some("LeakyRelu".into()));
    assert!(message.starts_with("node `relu`: the operator LeakyRelu is not supported; supported are Add, "));
    assert!(message.ends_with("Squeeze, Unsqueeze"), "{message}");
    let message = refused(|m| node(m, "relu").domain = Some("com.example".into()));
    assert!(message.starts_with("node `relu`: the operator com.example.Relu is not supported"), "{message}");
}

#[test]
fn an_attribute_without_meaning_here_is_named() {
    let said = |edit: fn(&mut ModelProto), expected: &str| assert_eq!(refused(edit), expected);
    said(
        |m| set_int(node(m, "relu"), "slope", 1),
        "node `relu` (Relu): the attribute `slope` is not supported",
    );
    said(
        |m| set_ints(node(m, "pool"), "dilations", &[2, 1]),
        "node `pool` (MaxPool): dilations are [2, 1], supported is 1",
    );
    said(
        |m| set_int(node(m, "pool"), "storage_order", 1),
        "node `pool` (MaxPool): attribute `storage_order` is 1, supported is 0",
    );
    said(
        |m| set_ints(node(m, "conv"), "pads", &[1, 1]),
        "node `conv` (Conv): expected 4 pads (two dimensions), found 2",
    );
    said(
        |m| set_ints(node(m, "conv"), "strides", &[-1, 1]),
        "node `conv` (Conv): strides holds -1, supported is 0 to 16777216",
    );
    said(
        |m| set_ints(node(m, "conv"), "kernel_shape", &[3]),
        "node `conv` (Conv): expected 2 kernel_shape (two dimensions), found 1",
    );
    said(
        |m| set_text(node(m, "conv"), "auto_pad", "SOMEHOW"),
        "node `conv` (Conv): auto_pad is `SOMEHOW`, which ONNX does not know",
    );
    said(|m| set_float(node(m, "fc"), "alpha", 0.5), "node `fc` (Gemm): alpha is 0.5, supported is 1");
    said(
        |m| set_int(node(m, "fc"), "transA", 1),
        "node `fc` (Gemm): attribute `transA` is 1, supported is 0",
    );
    said(
        |m| set_int(node(m, "fc"), "alpha", 1),
        "node `fc` (Gemm): attribute `alpha` must be of type Float, found Ok(Int)",
    );
    said(
        |m| set_int(node(m, "concat"), "axis", 2),
        "node `concat` (Concat): the axis is 2, supported is 1 (the channels)",
    );
    said(|m| node(m, "concat").attribute.clear(), "node `concat` (Concat): the attribute `axis` is missing");
    said(
        |m| set_int(node(m, "softmax"), "axis", 0),
        "node `softmax` (Softmax): the axis is 0, supported is 1 on [N, C]",
    );
    said(
        |m| set_int(node(m, "flatten"), "axis", 2),
        "node `flatten` (Flatten): the axis is 2, supported is 1",
    );
    said(
        |m| set_text(node(m, "pad"), "mode", "reflect"),
        "node `pad` (Pad): the mode is `reflect`, supported is `constant`",
    );
}

#[test]
fn rounding_up_becomes_padding() {
    let padding = |kernel: &[i64], strides: &[i64], pads: &[i64]| {
        let mut model = good();
        let pool = node(&mut model, "pool");
        set_int(pool, "ceil_mode", 1);
        set_ints(pool, "kernel_shape", kernel);
        set_ints(pool, "strides", strides);
        set_ints(pool, "pads", pads);
        // The layers behind do not fit the new size.
        let proto = model.graph.as_mut().expect("a graph");
        proto.node.truncate(3);
        proto.output[0].name = Some("pool.out".into());
        let read = graph(model).expect("a pool on 6 by 6");
        let Op::MaxPool(pool) = &read.nodes()[2].op else { panic!("{}", read.dump()) };
        (pool.padding, read.shape(read.outputs()[0]).chw().expect("a map"))
    };
    assert_eq!(padding(&[2, 2], &[2, 2], &[0; 4]), ([0; 4], (3, 3, 3)));
    assert_eq!(padding(&[3, 2], &[2, 2], &[0; 4]), ([0, 0, 1, 0], (3, 3, 3)));
    // The third window would start behind the six rows and the pad in front.
    assert_eq!(padding(&[3, 3], &[4, 4], &[1, 1, 1, 1]), ([1, 1, 1, 1], (3, 2, 2)));
    assert_eq!(padding(&[2, 2], &[7, 7], &[1, 0, 1, 0]), ([1, 0, 1, 0], (3, 1, 1)));
    let message = refused(|m| {
        let pool = node(m, "pool");
        pool.op_type = Some("AveragePool".into());
        set_int(pool, "ceil_mode", 1);
        set_int(pool, "count_include_pad", 1);
    });
    assert_eq!(
        message,
        "node `pool` (AveragePool): count_include_pad and ceil_mode are both 1; supported is one of them"
    );
}

#[test]
fn padding_beyond_the_channels_is_refused() {
    let message = refused(|m| {
        let pads: Vec<u8> = [0i64, 0, 1, 1, 0, 0, 1, 1].iter().flat_map(|p| p.to_le_bytes()).collect();
        tensor(m, "pads").raw_data = Some(pads);
    });
    assert_eq!(message, "node `pad` (Pad): axis 2 is padded, supported is axis 1 (the channels)");
}

#[test]
fn a_reshape_that_is_no_flatten_is_refused() {
    let reshape = |model: &mut ModelProto, target: &[i64]| {
        let flatten = node(model, "flatten");
        flatten.op_type = Some("Reshape".into());
        flatten.input.push("target".into());
        let target = Tensor::new(vec![target.len()], oculist_graph::TensorData::I64(target.to_vec()));
        let target = crate::tensor::to_proto("target", &target.expect("one dimension"));
        model.graph.as_mut().expect("a graph").initializer.push(target);
    };
    for target in [[0, -1], [0, 72], [-1, 72]] {
        let mut model = good();
        reshape(&mut model, &target);
        graph(model).unwrap_or_else(|e| panic!("{target:?}: {e}"));
    }
    for target in [&[-1, -1][..], &[1, 72], &[0, 71], &[0, 8, -1], &[72]] {
        let message = refused(|m| reshape(m, target));
        assert!(message.starts_with("node `flatten` (Reshape): it reshapes [N, 8, 3, 3] to ["), "{message}");
        assert!(message.ends_with("supported is flattening to [N, 72]"), "{message}");
    }
    // With the batch fixed at one, a one in front is the batch.
    let mut model = good();
    reshape(&mut model, &[1, 72]);
    set_input_dim(&mut model, 0, Some(Dimension::Value(1)));
    graph(model).expect("a batch of one");
}

#[test]
fn a_constant_in_place_of_an_activation_is_refused() {
    let message = refused(|m| node(m, "conv").input[0] = "conv.weight".into());
    assert!(message.starts_with("node `conv` (Conv): input 0 is a constant"), "{message}");
    let message = refused(|m| node(m, "softmax").op_type = Some("Add".into()));
    assert!(message.starts_with("node `softmax` (Add): input 1 is missing"), "{message}");
    let message = refused(|m| {
        let clip = node(m, "clip");
        clip.op_type = Some("Add".into());
        clip.input.truncate(2);
    });
    assert!(message.starts_with("node `clip` (Add): a constant is added; supported are"), "{message}");
    let message = refused(|m| node(m, "clip").input[1] = "relu.out".into());
    assert_eq!(message, "node `clip` (Clip): input 1 must be a constant");
    let message = refused(|m| node(m, "clip").input[1] = "conv.bias".into());
    assert_eq!(message, "node `clip` (Clip): input 1 must be one float, found f32 of shape [3]");
}

#[test]
fn the_input_must_have_a_known_size() {
    let said = |axis, dim, expected: &str| assert_eq!(refused(|m| set_input_dim(m, axis, dim)), expected);
    said(
        0,
        Some(Dimension::Value(32)),
        "input `input`: the batch size is fixed at 32; supported are a symbolic batch and a batch of 1",
    );
    said(
        2,
        Some(Dimension::Param("height".into())),
        "input `input`: dimension 2 has no fixed size; only the batch may be left open",
    );
    said(3, None, "input `input`: dimension 3 has no fixed size; only the batch may be left open");
    said(1, Some(Dimension::Value(-2)), "input `input`: dimension 1 has the size -2");
    let message = refused(|m| {
        let input = &mut m.graph.as_mut().expect("a graph").input[0];
        input.r#type.as_mut().and_then(|t| t.tensor_type.as_mut()).expect("a tensor").elem_type = Some(10);
    });
    assert_eq!(message, "input `input`: expected element type FLOAT, found FLOAT16");
    let message = refused(|m| {
        let input = &mut m.graph.as_mut().expect("a graph").input[0];
        let tensor = input.r#type.as_mut().and_then(|t| t.tensor_type.as_mut()).expect("a tensor");
        tensor.shape.as_mut().expect("a shape").dim.pop();
    });
    assert_eq!(message, "input `input`: expected [N, C, H, W] or [N, C], found 3 dimensions");
}

#[test]
fn a_tensor_that_does_not_fit_is_named() {
    let said = |edit: fn(&mut TensorProto), expected: &str| {
        assert_eq!(refused(|m| edit(tensor(m, "fc.weight"))), expected);
    };
    said(
        |t| t.raw_data.as_mut().expect("raw data").truncate(863),
        "tensor `fc.weight`: its shape [3, 72] needs 864 bytes, found 863",
    );
    said(
        |t| (t.raw_data, t.float_data) = (None, vec![0.0; 5]),
        "tensor `fc.weight`: its shape [3, 72] needs 216 elements, found 5",
    );
    said(|t| t.dims[0] = -3, "tensor `fc.weight`: it has a dimension of size -3");
    said(
        |t| t.dims = vec![1 << 40, 1 << 40],
        "tensor `fc.weight`: its shape [1099511627776, 1099511627776] is larger than memory",
    );
    said(
        |t| t.data_type = Some(10),
        "tensor `fc.weight`: element type FLOAT16 is not supported; supported are FLOAT, UINT8, INT8, INT32, INT64",
    );
    said(
        |t| {
            t.data_location = Some(1);
            let entry =
                |k: &str, v: &str| StringStringEntryProto { key: Some(k.into()), value: Some(v.into()) };
            t.external_data = vec![entry("offset", "0"), entry("location", "model.data")];
        },
        "tensor `fc.weight`: its elements are kept outside the model, in `model.data`; only models in one file are \
         supported",
    );
    said(
        |t| (t.data_type, t.raw_data, t.int32_data) = (Some(3), None, vec![200; 216]),
        "tensor `fc.weight`: the element 200 does not fit its type",
    );
    said(
        |t| t.raw_data.as_mut().expect("raw data")[..4].copy_from_slice(&f32::NAN.to_le_bytes()),
        "graph `good`: parameter `fc.weight` holds NaN",
    );
}

#[test]
fn names_must_lead_somewhere() {
    let message = refused(|m| node(m, "conv").input[0] = "nowhere".into());
    assert_eq!(message, "node `conv` (Conv): nothing produces the input `nowhere`");
    let message = refused(|m| node(m, "conv").input[0] = "clip.out".into());
    assert!(message.starts_with("node `conv` (Conv): input `clip.out` is produced later"), "{message}");
    let message = refused(|m| node(m, "conv").output[0] = "relu.out".into());
    assert_eq!(message, "two values are named `relu.out`");
    let message = refused(|m| m.graph.as_mut().expect("a graph").output[0].name = Some("nowhere".into()));
    assert_eq!(message, "nothing produces the output `nowhere`");
    let message = refused(|m| m.graph.as_mut().expect("a graph").output[0].name = Some("fc.bias".into()));
    assert_eq!(message, "the output `fc.bias` does not depend on the input");
    assert_eq!(refused(|m| m.graph.as_mut().expect("a graph").output.clear()), "the model has no output");
    assert_eq!(refused(|m| m.graph.as_mut().expect("a graph").input.clear()), "the model has no input");
}

#[test]
fn sizes_and_activations_are_kept_apart() {
    let becomes = |m: &mut ModelProto, op: &str| {
        let relu = node(m, "relu");
        relu.op_type = Some(op.into());
        if op == "Cast" {
            set_int(relu, "to", 7);
        }
    };
    let message = refused(|m| becomes(m, "Cast"));
    assert!(message.starts_with("node `relu` (Cast): it converts to INT64; supported are"), "{message}");
    // The convolution would read the shape.
    let message = refused(|m| becomes(m, "Shape"));
    assert_eq!(message, "node `conv` (Conv): input 0 is a shape, not an activation");
}

#[test]
fn equal_node_names_get_a_number() {
    let mut model = good();
    for name in ["conv", "pool", "pad"] {
        node(&mut model, name).name = Some("layer".into());
    }
    node(&mut model, "clip").name = Some("layer_2".into());
    let read = graph(model).expect("names of nodes are free");
    let names: Vec<&str> = read.nodes().iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names[1..5], ["layer", "layer_3", "layer_4", "layer_2"]);
}

#[test]
fn only_known_opsets_are_read() {
    let set = |version| {
        move |m: &mut ModelProto| {
            m.opset_import = vec![OperatorSetIdProto { domain: None, version: Some(version) }];
        }
    };
    assert_eq!(refused(set(6)), "the model uses opset 6, supported are 7 to 21");
    assert_eq!(refused(set(22)), "the model uses opset 22, supported are 7 to 21");
    assert!(matches!(graph(ModelProto::default()), Err(OnnxError::NotOnnx { .. })));
}

#[test]
fn shapes_that_do_not_fit_are_the_graphs_own_errors() {
    let message = refused(|m| set_int(node(m, "conv"), "group", 2));
    assert!(message.starts_with("node `conv` (Conv): ") && message.contains("2 groups"), "{message}");
    let message = refused(|m| set_ints(node(m, "conv"), "kernel_shape", &[1, 1]));
    assert!(message.contains("kernel [1, 1] does not match the weight"), "{message}");
}

#[test]
fn attributes_that_make_a_result_larger_than_any_memory_are_refused() {
    let with_pads = |pads: [i64; 4]| {
        let mut model = good();
        set_ints(node(&mut model, "conv"), "pads", &pads);
        graph(model).map(|_| ()).map_err(|e| e.to_string())
    };
    let error = with_pads([12_764_823, 16_688_841, 12_764_824, 16_688_841]).unwrap_err();
    assert!(error.contains("`conv`") && error.contains("at most"), "{error}");
    for pad in [1 << 24, 1 << 31, 1 << 62, i64::MAX] {
        assert!(with_pads([pad; 4]).unwrap_err().contains("`conv`"));
    }
    let mut model = good();
    let input = &mut model.graph.as_mut().expect("a graph").input[0];
    let shape = input.r#type.as_mut().and_then(|t| t.tensor_type.as_mut()).and_then(|t| t.shape.as_mut());
    for dim in &mut shape.expect("a shape").dim[1..] {
        dim.value = Some(Dimension::Value(1 << 22));
    }
    let error = graph(model).unwrap_err().to_string();
    assert!(error.contains("input `input`") && error.contains("at most"), "{error}");
}
