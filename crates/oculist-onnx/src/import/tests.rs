//! What is refused, and how it is said; what import changes. Models are tested from outside, against ONNX Runtime.

mod inlined;
mod older;
mod outside;

use crate::OnnxError;
use crate::export;
use crate::proto::{
    AttributeProto, AttributeType, Dimension, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto,
};
use oculist_graph::{
    Concat, Conv, DataType, Dim, Flatten, Graph, GraphBuilder, MaxPool, Shape, Softmax, Unary,
};

fn graph(model: ModelProto) -> Result<Graph, OnnxError> {
    super::graph(model, None)
}

/// Relu, convolution, pooling, flatten, Gemm, softmax on a 2 by 6 by 6 input.
fn good() -> ModelProto {
    let mut b = GraphBuilder::new("good");
    let x = b.input("input", 2, 6, 6);
    let y = b.relu("relu", x);
    let y = b.conv("conv", y, 3, Conv::square(3, 1, 1), true);
    let y = b.op("pool", MaxPool::square(2, 2, 0), &[y]);
    let y = b.pad_channels("pad", y, 0, 1);
    let y = b.op("clip", Unary::Clip { min: 0.0, max: 6.0 }, &[y]);
    let y = b.op("concat", Concat::CHANNELS, &[y, y]);
    let y = b.op("flatten", Flatten::IMAGES, &[y]);
    let y = b.linear("fc", y, 3);
    let y = b.op("softmax", Softmax::along(1), &[y]);
    export::model(&b.finish(y).expect("a valid graph"), None).expect("it can be written").model
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

fn set_input_dim(model: &mut ModelProto, axis: usize, dim: Option<Dimension>) {
    let input = &mut model.graph.as_mut().expect("a graph").input[0];
    let shape = input.r#type.as_mut().and_then(|t| t.tensor_type.as_mut()).and_then(|t| t.shape.as_mut());
    shape.expect("a shape").dim[axis].value = dim;
}

fn set_opset(model: &mut ModelProto, version: i64) {
    model.opset_import = vec![OperatorSetIdProto { domain: None, version: Some(version) }];
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
fn an_operator_that_is_not_read_is_named_with_the_reason() {
    let said = |domain: &str, op: &str, expected: &str| {
        let message = refused(|m| {
            let relu = node(m, "relu");
            (relu.domain, relu.op_type) = (Some(domain.into()), Some(op.into()));
        });
        assert!(message.starts_with("node `relu`: the operator "), "{message}");
        assert!(message.contains(expected), "{message}");
    };
    said("", "Frobnicate", "Frobnicate is not supported: no operator of this name is known");
    said("com.example", "Relu", "com.example.Relu is not supported: supported domains are ai.onnx");
    said("", "Loop", "Loop is not supported: it is control flow");
    said("", "LSTM", "it is a recurrent layer");
    said("", "SequenceAt", "it works on sequences of tensors");
    said("ai.onnx.preview.training", "Adam", "it belongs to training");
    said(
        "ai.onnx",
        "RandomNormalLike",
        "the operator RandomNormalLike is not supported: it makes random numbers",
    );
}

#[test]
fn values_without_a_name_are_refused() {
    let mut model = good();
    let input = &mut model.graph.as_mut().expect("a graph").input[0];
    input.name = Some(String::new());
    let message = graph(model).expect_err("it cannot be read").to_string();
    assert_eq!(message, "an input, initialiser or constant has no name");
    let mut model = good();
    tensor(&mut model, "fc.weight").name = None;
    let message = graph(model).expect_err("it cannot be read").to_string();
    assert_eq!(message, "an input, initialiser or constant has no name");
}

#[test]
fn an_attribute_without_meaning_here_is_named() {
    let said = |edit: fn(&mut ModelProto), expected: &str| assert_eq!(refused(edit), expected);
    said(
        |m| set_int(node(m, "relu"), "slope", 1),
        "node `relu` (Relu): the attribute `slope` is not supported",
    );
    said(
        |m| set_ints(node(m, "conv"), "strides", &[-1, 1]),
        "node `conv` (Conv): the attribute `strides` is [-1, 1], expected no negative number",
    );
    said(
        |m| set_text(node(m, "conv"), "auto_pad", "SOMEHOW"),
        "node `conv` (Conv): the attribute `auto_pad` is `SOMEHOW`, supported are NOTSET, SAME_UPPER, SAME_LOWER, VALID",
    );
    said(
        |m| set_int(node(m, "fc"), "alpha", 1),
        "node `fc` (Gemm): the attribute `alpha` must be a float, found an integer",
    );
    said(|m| node(m, "concat").attribute.clear(), "node `concat` (Concat): the attribute `axis` is missing");
    said(
        |m| set_int(node(m, "concat"), "axis", 5),
        "node `concat` (Concat): the axis is 5, the value has 4 dimensions",
    );
    said(
        |m| {
            let relu = node(m, "relu");
            relu.attribute.push(AttributeProto { g: None, ..attribute("body", AttributeType::Graph) });
        },
        "node `relu` (Relu): the attribute `body` is of kind Graph, which is not supported",
    );
    said(
        |m| {
            let fc = node(m, "fc");
            fc.attribute.push(AttributeProto { i: Some(1), ..attribute("transB", AttributeType::Int) });
        },
        "node `fc` (Gemm): the attribute `transB` is given twice",
    );
}

#[test]
fn every_dimension_keeps_its_name() {
    let param = |name: &str| Some(Dimension::Param(name.into()));
    let mut model = good();
    // Shapes behind the input do not matter here.
    let proto = model.graph.as_mut().expect("a graph");
    proto.node.truncate(1);
    proto.output[0].name = Some("relu.out".into());
    for (axis, dim) in [param("images"), Some(Dimension::Value(-1)), param("height"), param("images")]
        .into_iter()
        .enumerate()
    {
        set_input_dim(&mut model, axis, dim);
    }
    let read = graph(model).expect("a graph with open dimensions");
    assert_eq!(read.batch_name(), "images");
    assert_eq!(read.symbols(), ["input_1", "height"]);
    let shape = Shape::new(vec![Dim::Batch, Dim::Symbol(0), Dim::Symbol(1), Dim::Batch]);
    assert_eq!(read.shape(read.inputs()[0]), &shape);
    assert_eq!(read.shape(read.outputs()[0]), &shape);
    let again = export::model(&read, None).expect("it can be written").model;
    let read = graph(again).expect("and read");
    assert_eq!(
        (read.batch_name(), read.symbols()),
        ("images", &["input_1".to_owned(), "height".to_owned()][..])
    );
}

#[test]
fn a_fixed_batch_stays_and_an_open_one_needs_no_name() {
    let batch = |dim| {
        let mut model = good();
        set_input_dim(&mut model, 0, dim);
        let read = graph(model).expect("a graph");
        read.shape(read.inputs()[0]).dims()[0]
    };
    assert_eq!(batch(Some(Dimension::Value(1))), Dim::Fixed(1));
    assert_eq!(batch(Some(Dimension::Value(32))), Dim::Fixed(32));
    assert_eq!(batch(None), Dim::Batch);
    assert_eq!(batch(Some(Dimension::Param("batch".into()))), Dim::Batch);
}

#[test]
fn a_type_that_a_graph_cannot_hold_is_named() {
    let message = refused(|m| {
        let input = &mut m.graph.as_mut().expect("a graph").input[0];
        input.r#type.as_mut().and_then(|t| t.tensor_type.as_mut()).expect("a tensor").elem_type = Some(8);
    });
    assert!(
        message
            .starts_with("input `input`: the type STRING is not supported; supported are tensors of f32, ")
    );
    let message = refused(|m| {
        let output = &mut m.graph.as_mut().expect("a graph").output[0];
        output.r#type.as_mut().and_then(|t| t.tensor_type.as_mut()).expect("a tensor").elem_type = Some(17);
    });
    assert!(message.starts_with("output `logits`: the type FLOAT8E4M3FN is not supported"), "{message}");
    let message = refused(|m| {
        let input = &mut m.graph.as_mut().expect("a graph").input[0];
        let kind = input.r#type.as_mut().expect("a type");
        (kind.tensor_type, kind.sequence_type) = (None, Some(crate::proto::Other {}));
    });
    assert!(message.starts_with("input `input`: the type sequence is not supported"), "{message}");
    let message = refused(|m| {
        let input = &mut m.graph.as_mut().expect("a graph").input[0];
        input.r#type.as_mut().and_then(|t| t.tensor_type.as_mut()).expect("a tensor").shape = None;
    });
    assert!(message.starts_with("input `input`: its shape is not declared"), "{message}");
}

#[test]
fn a_tensor_that_does_not_fit_is_named() {
    let said = |edit: fn(&mut TensorProto), expected: &str| {
        let message = refused(|m| edit(tensor(m, "fc.weight")));
        assert!(message.starts_with(expected), "{message}");
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
    said(|t| t.data_type = Some(14), "tensor `fc.weight`: the type COMPLEX64 is not supported");
    said(
        |t| {
            t.data_location = Some(1);
            let entry =
                |k: &str, v: &str| StringStringEntryProto { key: Some(k.into()), value: Some(v.into()) };
            t.external_data = vec![entry("offset", "0"), entry("location", "model.data")];
        },
        "tensor `fc.weight`: its elements are kept in another file, and only the model itself was given",
    );
    said(
        |t| (t.data_type, t.raw_data, t.int32_data) = (Some(3), None, vec![200; 216]),
        "tensor `fc.weight`: an element does not fit its type",
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
    assert!(
        message.contains("node `conv` waits for a value that nothing produces before it (cycle"),
        "{message}"
    );
    let message = refused(|m| node(m, "conv").output[0] = "relu.out".into());
    assert_eq!(message, "two values are named `relu.out`");
    let message = refused(|m| node(m, "conv").output[0] = "input".into());
    assert_eq!(message, "two values are named `input`");
    let message = refused(|m| node(m, "conv").output.clear());
    assert_eq!(message, "node `conv` (Conv): it has no output");
    let message = refused(|m| m.graph.as_mut().expect("a graph").output[0].name = Some("nowhere".into()));
    assert_eq!(message, "nothing produces the output `nowhere`");
    assert_eq!(refused(|m| m.graph.as_mut().expect("a graph").output.clear()), "the model has no output");
    let message = refused(|m| m.graph.as_mut().expect("a graph").input.clear());
    assert_eq!(message, "node `relu` (Relu): nothing produces the input `input`");
    let message = refused(|m| node(m, "softmax").op_type = Some("Add".into()));
    assert!(message.starts_with("node `softmax` (Add): "), "{message}");
}

#[test]
fn nodes_need_no_order() {
    let mut model = good();
    let expected = graph(model.clone()).expect("a graph");
    model.graph.as_mut().expect("a graph").node.reverse();
    let read = graph(model).expect("the same graph in another order");
    let names = |g: &Graph| g.nodes().iter().map(|n| n.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&read), names(&expected));
}

#[test]
fn outputs_may_be_inputs_and_constants() {
    let mut model = good();
    let proto = model.graph.as_mut().expect("a graph");
    for name in ["input", "fc.bias"] {
        let mut output = proto.output[0].clone();
        (output.name, output.r#type) = (Some(name.into()), None);
        proto.output.push(output);
    }
    let read = graph(model).expect("any value may be an output");
    let names: Vec<&str> = read.outputs().iter().map(|&v| read.value(v).name.as_str()).collect();
    assert_eq!(names, ["logits", "input", "fc.bias"]);
}

#[test]
fn equal_node_names_get_a_number() {
    let mut model = good();
    for name in ["conv", "pool", "pad"] {
        node(&mut model, name).name = Some("layer".into());
    }
    node(&mut model, "clip").name = Some("layer_2".into());
    node(&mut model, "concat").name = None;
    let read = graph(model).expect("names of nodes are free");
    let names: Vec<&str> = read.nodes().iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names[1..6], ["layer", "layer_3", "layer_4", "layer_2", "Concat_5"]);
}

#[test]
fn only_known_opsets_are_read() {
    assert_eq!(refused(|m| set_opset(m, 6)), "the model uses opset 6, supported are 7 to 28");
    assert_eq!(refused(|m| set_opset(m, 29)), "the model uses opset 29, supported are 7 to 28");
    assert!(matches!(graph(ModelProto::default()), Err(OnnxError::NotOnnx { .. })));
    let mut model = good();
    set_opset(&mut model, 15);
    assert_eq!(graph(model).expect("opset 15 is read").opset(), 15);
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

#[test]
fn a_kernel_that_is_not_given_is_that_of_the_weight() {
    let mut model = good();
    node(&mut model, "conv").attribute.retain(|a| a.name.as_deref() != Some("kernel_shape"));
    let (read, expected) = (graph(model).expect("a graph"), graph(good()).expect("a graph"));
    assert_eq!(read.nodes()[1].op, expected.nodes()[1].op);
}

#[test]
fn every_element_type_comes_through_a_tensor() {
    use crate::tensor::{from_proto, to_proto};
    for &dtype in DataType::ALL {
        let codes = oculist_graph::Tensor::ints(vec![0, 1, 3, 2, 7]);
        let tensor = oculist_graph::Tensor::zeros(dtype, &[5]);
        let proto = to_proto("t", &tensor);
        assert_eq!(from_proto("t", &proto, None).expect("it comes back"), tensor, "{}", dtype.name());
        assert_eq!(codes.len(), tensor.len());
    }
    // Two 4-bit integers lie in a byte, the first one low; the sign is the highest of the four bits.
    let proto = TensorProto {
        dims: vec![3],
        data_type: Some(22),
        raw_data: Some(vec![0xf1, 0x08]),
        ..TensorProto::default()
    };
    let tensor = from_proto("t", &proto, None).expect("4-bit integers");
    assert_eq!(tensor.to_i64s(), Some(vec![1, -1, -8]));
    assert_eq!(to_proto("t", &tensor).raw_data, Some(vec![0xf1, 0x08]));
    // Half floats in the field of integers are their bits: 0x3c00 is 1.
    let proto =
        TensorProto { dims: vec![], data_type: Some(10), int32_data: vec![0x3c00], ..TensorProto::default() };
    assert_eq!(from_proto("t", &proto, None).expect("a scalar").to_f32s(), [1.0]);
}
