use oculist_graph::{
    AspectRatio, Binary, Conv, DataType, Dim, Gemm, Graph, GraphBuilder, Op, Pad, Reduce, ReduceKind,
    Reshape, Resize, Shape, ShapeOf, Tensor, Transpose, Unary, ValueId,
};
use oculist_kernels::Context;
use oculist_testing::formula;

use super::*;

/// Images for a graph of one input with an open batch, and what it makes of two of them.
fn answers(graph: &Graph) -> Vec<Vec<f32>> {
    let ctx = Context::new(1).unwrap();
    let shape = graph.shape(graph.inputs()[0]);
    let dims: Vec<usize> = shape.dims().iter().map(|d| d.size().unwrap_or(2)).collect();
    let x = formula::tensor("images", dims.iter().product());
    let outputs = oculist_plain::run(&ctx, graph, vec![Tensor::f32(&dims, x)]).unwrap();
    outputs.iter().map(Tensor::to_f32s).collect()
}

/// Asserts that simplification leaves these operators and keeps the function.
#[track_caller]
fn becomes(graph: &Graph, operators: &[&str]) -> Graph {
    let simplified = simplify(graph).unwrap().graph;
    let found: Vec<&str> = simplified.nodes().iter().map(|n| n.op.name()).collect();
    assert_eq!(found, operators, "\n{}", simplified.dump());
    let (want, got) = (answers(graph), answers(&simplified));
    assert_eq!(want.len(), got.len());
    for (want, got) in want.iter().zip(&got) {
        assert_eq!(want.len(), got.len());
        for (w, g) in want.iter().zip(got) {
            assert!((w - g).abs() <= 1e-5 + 1e-5 * w.abs(), "{w} became {g}");
        }
    }
    // What is simple stays as it is.
    let again = simplify(&simplified).unwrap();
    assert_eq!(again.graph.dump(), simplified.dump(), "{:?}", again.changes);
    simplified
}

fn scalar(b: &mut GraphBuilder, name: &str, number: f32) -> ValueId {
    b.param(name, Tensor::f32(&[], vec![number]))
}

fn ints(b: &mut GraphBuilder, name: &str, numbers: &[i64]) -> ValueId {
    b.param(name, Tensor::ints(numbers.to_vec()))
}

fn weights(b: &mut GraphBuilder, name: &str, shape: &[usize]) -> ValueId {
    let n = shape.iter().product();
    b.param(name, Tensor::f32(shape, formula::tensor(name, n)))
}

#[test]
fn a_flattening_reshape_that_reads_the_batch_size() {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 3, 4, 5);
    let y = b.relu("relu", x);
    let shape = b.op("shape", ShapeOf::ALL, &[y]);
    let zero = ints(&mut b, "zero", &[0]);
    let n = b.op("batch", oculist_graph::Gather { axis: 0 }, &[shape, zero]);
    let rest = ints(&mut b, "rest", &[-1]);
    let target = b.op("target", oculist_graph::Concat { axis: 0 }, &[n, rest]);
    let y = b.op("flat", Reshape::COPYING, &[y, target]);
    let graph = b.finish(y).unwrap();
    let simple = becomes(&graph, &["Relu", "Flatten"]);
    assert_eq!(simple.shape(simple.outputs()[0]), &Shape::nc(60));
    assert_eq!(simple.value(simple.outputs()[0]).name, "flat.out");
}

#[test]
fn sizes_that_are_whole_multiples_become_scales() {
    let resized = |to: [i64; 2], aspect_ratio: AspectRatio| {
        let mut b = GraphBuilder::new("net");
        let x = b.input("x", 3, 4, 6);
        let front = b.op("front", ShapeOf { start: 0, end: Some(2) }, &[x]);
        let back = ints(&mut b, "back", &to);
        let sizes = b.op("sizes", oculist_graph::Concat { axis: 0 }, &[front, back]);
        let op = Resize { aspect_ratio, ..Resize::REPEAT };
        let y = b.op_of("resize", op, vec![Some(x), None, None, Some(sizes)]);
        b.finish(y).unwrap()
    };
    let simple = becomes(&resized([12, 6], AspectRatio::Stretch), &["Resize"]);
    let scales = simple.nodes()[0].inputs.get(2).and_then(|v| simple.param(v)).and_then(Tensor::as_f32);
    assert_eq!(scales, Some(&[1.0, 1.0, 3.0, 1.0][..]));
    // A third has no exact float; the sizes say it exactly.
    becomes(&resized([4, 2], AspectRatio::Stretch), &["Shape", "Concat", "Resize"]);
    becomes(&resized([8, 18], AspectRatio::NotLarger), &["Shape", "Concat", "Resize"]);
}

#[test]
fn means_over_the_map_are_pooling() {
    for keepdims in [true, false] {
        let mut b = GraphBuilder::new("net");
        let x = b.input("x", 3, 4, 5);
        let axes = ints(&mut b, "axes", &[-1, 2]);
        let op = Reduce { kind: ReduceKind::Mean, keepdims, noop_with_empty_axes: false };
        let y = b.op("mean", op, &[x, axes]);
        let graph = b.finish(y).unwrap();
        let want: &[&str] = if keepdims { &["GlobalAveragePool"] } else { &["GlobalAveragePool", "Flatten"] };
        becomes(&graph, want);
    }
    // Over other axes it is none.
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 3, 4, 5);
    let axes = ints(&mut b, "axes", &[1]);
    let op = Reduce { kind: ReduceKind::Mean, keepdims: true, noop_with_empty_axes: false };
    let y = b.op("mean", op, &[x, axes]);
    becomes(&b.finish(y).unwrap(), &["ReduceMean"]);
}

fn rows(b: &mut GraphBuilder) -> ValueId {
    let x = b.input("x", 6, 1, 1);
    b.op("flat", oculist_graph::Flatten::IMAGES, &[x])
}

#[test]
fn products_with_constants_are_layers() {
    let mut b = GraphBuilder::new("net");
    let x = rows(&mut b);
    let w = weights(&mut b, "w", &[6, 4]);
    let bias = weights(&mut b, "bias", &[4]);
    let y = b.op("product", oculist_graph::MatMul, &[x, w]);
    let y = b.op("sum", Binary::Add, &[bias, y]);
    let simple = becomes(&b.finish(y).unwrap(), &["Flatten", "Gemm"]);
    assert_eq!(simple.nodes()[1].op, Op::Gemm(Gemm::LINEAR));
    assert_eq!(simple.nodes()[1].inputs.len(), 3);

    // Any form of Gemm.
    let mut b = GraphBuilder::new("net");
    let x = rows(&mut b);
    let w = weights(&mut b, "w", &[6, 4]);
    let bias = weights(&mut b, "bias", &[1, 4]);
    let gemm = Gemm { alpha: 0.5, beta: 2.0, trans_a: false, trans_b: false };
    let y = b.op("product", gemm, &[x, w, bias]);
    let simple = becomes(&b.finish(y).unwrap(), &["Flatten", "Gemm"]);
    assert_eq!(simple.nodes()[1].op, Op::Gemm(Gemm::LINEAR));
}

#[test]
fn a_product_that_others_read_keeps_its_addition() {
    let mut b = GraphBuilder::new("net");
    let x = rows(&mut b);
    let w = weights(&mut b, "w", &[6, 4]);
    let bias = weights(&mut b, "bias", &[4]);
    let product = b.op("product", oculist_graph::MatMul, &[x, w]);
    let sum = b.op("sum", Binary::Add, &[product, bias]);
    let y = b.op("both", Binary::Mul, &[product, sum]);
    becomes(&b.finish(y).unwrap(), &["Flatten", "Gemm", "Add", "Mul"]);
}

#[test]
fn padding_goes_into_the_convolution() {
    let padded = |pads: &[i64], value: Option<f32>| {
        let mut b = GraphBuilder::new("net");
        let x = b.input("x", 2, 5, 5);
        let pads = ints(&mut b, "pads", pads);
        let mut inputs = vec![x, pads];
        if let Some(value) = value {
            inputs.push(scalar(&mut b, "value", value));
        }
        let y = b.op("pad", Pad::CONSTANT, &inputs);
        let w = weights(&mut b, "w", &[3, 2, 3, 3]);
        let y = b.op("conv", Conv::square(3, 2, 0), &[y, w]);
        b.finish(y).unwrap()
    };
    becomes(&padded(&[0, 0, 1, 0, 0, 0, 1, 2], None), &["Conv"]);
    becomes(&padded(&[0, 0, 1, 1, 0, 0, 1, 1], Some(0.0)), &["Conv"]);
    // A border of ones is no padding of zeros, and the channels have none.
    becomes(&padded(&[0, 0, 1, 1, 0, 0, 1, 1], Some(1.0)), &["Pad", "Conv"]);
}

#[test]
fn scales_and_shifts_go_into_the_layer() {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 2, 3, 3);
    let w = weights(&mut b, "w", &[4, 2, 1, 1]);
    let y = b.op("conv", Conv::square(1, 1, 0), &[x, w]);
    let scale = weights(&mut b, "scale", &[4, 1, 1]);
    let shift = weights(&mut b, "shift", &[1, 4, 1, 1]);
    let y = b.op("mul", Binary::Mul, &[scale, y]);
    let y = b.op("add", Binary::Add, &[y, shift]);
    let half = scalar(&mut b, "half", 2.0);
    let y = b.op("div", Binary::Div, &[y, half]);
    let y = b.op("relu", Unary::Relu, &[y]);
    becomes(&b.finish(y).unwrap(), &["Conv", "Relu"]);
}

#[test]
fn decomposed_activations_are_found() {
    // x * relu6(x + 3) / 6, as MobileNetV3 was exported for years.
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 2, 3, 3);
    let three = scalar(&mut b, "three", 3.0);
    let six = scalar(&mut b, "six", 6.0);
    let y = b.op("add", Binary::Add, &[x, three]);
    let y = b.op("clip", Unary::Clip { min: 0.0, max: 6.0 }, &[y]);
    let y = b.op("mul", Binary::Mul, &[x, y]);
    let y = b.op("div", Binary::Div, &[y, six]);
    becomes(&b.finish(y).unwrap(), &["HardSwish"]);

    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 2, 3, 3);
    let y = b.op("softplus", Unary::Softplus, &[x]);
    let y = b.op("tanh", Unary::Tanh, &[y]);
    let y = b.op("mul", Binary::Mul, &[y, x]);
    becomes(&b.finish(y).unwrap(), &["Mish"]);

    // Another divisor makes another function.
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 2, 3, 3);
    let three = scalar(&mut b, "three", 3.0);
    let five = scalar(&mut b, "five", 5.0);
    let y = b.op("add", Binary::Add, &[x, three]);
    let y = b.op("clip", Unary::Clip { min: 0.0, max: 6.0 }, &[y]);
    let y = b.op("div", Binary::Div, &[y, five]);
    becomes(&b.finish(y).unwrap(), &["Add", "Clip", "Div"]);
}

#[test]
fn decomposed_gelu_is_found() {
    for order in 0..2 {
        let mut b = GraphBuilder::new("net");
        let x = b.input("x", 2, 3, 3);
        let root = scalar(&mut b, "root", std::f32::consts::SQRT_2);
        let (one, half) = (scalar(&mut b, "one", 1.0), scalar(&mut b, "half", 0.5));
        let y = b.op("div", Binary::Div, &[x, root]);
        let y = b.op("erf", Unary::Erf, &[y]);
        let gate = b.op("add", Binary::Add, &[y, one]);
        let y = if order == 0 {
            let y = b.op("mul", Binary::Mul, &[x, gate]);
            b.op("halved", Binary::Mul, &[y, half])
        } else {
            let y = b.op("halved", Binary::Mul, &[x, half]);
            b.op("mul", Binary::Mul, &[gate, y])
        };
        becomes(&b.finish(y).unwrap(), &["Gelu"]);
    }
}

#[test]
fn decomposed_layer_normalisation_is_found() {
    let norm = |exponent: f32| {
        let mut b = GraphBuilder::new("net");
        let x = b.input("x", 2, 3, 8);
        let mean = |b: &mut GraphBuilder, name: &str, x: ValueId| {
            let axes = ints(b, &format!("{name}.axes"), &[-1]);
            let op = Reduce { kind: ReduceKind::Mean, keepdims: true, noop_with_empty_axes: false };
            b.op(name, op, &[x, axes])
        };
        let m = mean(&mut b, "mean", x);
        let centred = b.op("centred", Binary::Sub, &[x, m]);
        let two = scalar(&mut b, "two", exponent);
        let squared = b.op("squared", Binary::Pow, &[centred, two]);
        let variance = mean(&mut b, "variance", squared);
        let epsilon = scalar(&mut b, "epsilon", 1e-5);
        let y = b.op("add", Binary::Add, &[variance, epsilon]);
        let deviation = b.op("sqrt", Unary::Sqrt, &[y]);
        let y = b.op("div", Binary::Div, &[centred, deviation]);
        let (gamma, beta) = (weights(&mut b, "gamma", &[8]), weights(&mut b, "beta", &[8]));
        let y = b.op("scaled", Binary::Mul, &[y, gamma]);
        let y = b.op("shifted", Binary::Add, &[y, beta]);
        b.finish(y).unwrap()
    };
    becomes(&norm(2.0), &["LayerNormalization"]);
    // The fourth power is no variance.
    assert!(simplify(&norm(4.0)).unwrap().graph.nodes().len() > 3);
}

#[test]
fn transposes_meet_behind_what_works_on_each_element() {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 2, 3, 4);
    let y = b.op("to_nhwc", Transpose::new(&[0, 2, 3, 1]), &[x]);
    let y = b.op("relu", Unary::Relu, &[y]);
    let two = scalar(&mut b, "two", 2.0);
    let y = b.op("mul", Binary::Mul, &[y, two]);
    let y = b.op("concat", oculist_graph::Concat { axis: 3 }, &[y, y]);
    let y = b.op("to_nchw", Transpose::new(&[0, 3, 1, 2]), &[y]);
    let y = b.op("sigmoid", Unary::Sigmoid, &[y]);
    becomes(&b.finish(y).unwrap(), &["Relu", "Mul", "Concat", "Sigmoid"]);
}

#[test]
fn constants_are_computed_once_and_quantised_weights_stay() {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 2, 3, 3);
    let (one, two) = (scalar(&mut b, "one", 1.0), scalar(&mut b, "two", 2.0));
    let three = b.op("three", Binary::Add, &[one, two]);
    let three = b.op("negated", Unary::Neg, &[three]);
    let y = b.op("mul", Binary::Mul, &[x, three]);
    let simple = becomes(&b.finish(y).unwrap(), &["Mul"]);
    let number = simple.nodes()[0].inputs[1];
    assert_eq!(simple.param(number).and_then(Tensor::as_f32), Some(&[-3.0f32][..]));

    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 2, 3, 3);
    let q = b.param("q", Tensor::i8(&[4, 2, 1, 1], vec![1; 8]));
    let scale = scalar(&mut b, "scale", 0.5);
    let w = b.op("dequantize", oculist_graph::DequantizeLinear::along(0), &[q, scale]);
    let y = b.op("conv", Conv::square(1, 1, 0), &[x, w]);
    becomes(&b.finish(y).unwrap(), &["DequantizeLinear", "Conv"]);
}

#[test]
fn a_fixed_batch_is_opened_where_the_graph_lets_it() {
    let reshaped = |batch: usize, target: &[i64], allow_zero: bool| {
        let mut graph = Graph::new("net");
        let x = graph.add_input("x", Shape::fixed(&[batch, 2, 3, 4]));
        let target = graph.add_param("target", Tensor::ints(target.to_vec()));
        let y = graph.add_node("relu", Unary::Relu, [x]);
        let y = graph.add_node("flat", Reshape { allow_zero }, [y, target]);
        graph.set_outputs(vec![y]);
        graph.tidy().unwrap();
        graph
    };
    let of = |batch: usize, target: &[i64]| reshaped(batch, target, false);
    let fixed = |target: &[i64]| of(1, target);
    // PyTorch's newer exporter writes `allowzero` at every Reshape.
    for graph in [fixed(&[1, -1]), of(3, &[3, -1]), of(3, &[3, 24]), reshaped(1, &[1, 24], true)] {
        let open = open_batch(&graph).unwrap().expect("one row for each sample");
        assert_eq!(open.shape(open.outputs()[0]), &Shape::new(vec![Dim::Batch, Dim::Fixed(24)]));
    }
    assert!(open_batch(&of(3, &[6, 12])).unwrap().is_none());
    assert!(open_batch(&of(0, &[0, 24])).unwrap().is_none());
    // The mean over the samples is of no sample alone.
    let mut mixed = Graph::new("net");
    let x = mixed.add_input("x", Shape::fixed(&[1, 3]));
    let axes = mixed.add_param("axes", Tensor::ints(vec![0]));
    let op = Reduce { kind: ReduceKind::Mean, keepdims: true, noop_with_empty_axes: false };
    let mean = mixed.add_node("mean", op, [x, axes]);
    let y = mixed.add_node("centred", Binary::Sub, [x, mean]);
    mixed.set_outputs(vec![y]);
    mixed.tidy().unwrap();
    assert!(open_batch(&mixed).unwrap().is_none());
    // Nor is anything else along the samples, or with their number.
    let along = |op: Op, params: &[Tensor]| {
        let mut graph = Graph::new("along");
        let x = graph.add_input("x", Shape::fixed(&[3, 4]));
        let mut inputs = vec![x];
        for (i, tensor) in params.iter().enumerate() {
            inputs.push(graph.add_param(format!("p{i}"), tensor.clone()));
        }
        let y = graph.add_node("op", op, inputs);
        graph.set_outputs(vec![y]);
        graph.tidy().unwrap();
        open_batch(&graph).unwrap().is_some()
    };
    let slice = |axis: i64| {
        let list = |v: i64| Tensor::ints(vec![v]);
        along(oculist_graph::Slice.into(), &[list(-1), list(i64::MIN), list(axis), list(-1)])
    };
    assert_eq!((slice(0), slice(1)), (false, true));
    let softmax = |axis| along(oculist_graph::Softmax::along(axis).into(), &[]);
    assert_eq!((softmax(0), softmax(1)), (false, true));
    let norm = |axis| along(oculist_graph::LpNormalization { axis, p: 2 }.into(), &[]);
    assert_eq!((norm(0), norm(-1)), (false, true));
    let matrix = Tensor::filled(&[3, 4], 0.5);
    assert!(!along(Binary::Add.into(), &[matrix]), "one row for each of three samples");
    let mut twice = Graph::new("twice");
    let x = twice.add_input("x", Shape::fixed(&[4, 4]));
    let y = twice.add_node("square", oculist_graph::MatMul, [x, x]);
    twice.set_outputs(vec![y]);
    twice.tidy().unwrap();
    assert!(open_batch(&twice).unwrap().is_none());
    // Samples in a row cannot be told apart.
    assert!(open_batch(&fixed(&[24])).unwrap().is_none());
    assert!(open_batch(&fixed(&[6, 4])).unwrap().is_none());
    let mut typed = Graph::new("net");
    let x = typed.add_typed_input("x", DataType::U8, Shape::fixed(&[1, 3]));
    let y = typed.add_node("same", oculist_graph::Identity, [x]);
    typed.set_outputs(vec![y]);
    typed.tidy().unwrap();
    assert!(open_batch(&typed).unwrap().is_some());
}

#[test]
fn a_weight_that_would_be_no_number_is_left_to_run() {
    let of = |value: f32| {
        let mut b = GraphBuilder::new("net");
        let x = b.input("x", 2, 3, 3);
        let negative = b.param("negative", Tensor::f32(&[3], vec![value; 3]));
        let gamma = b.op("gamma", Unary::Sqrt, &[negative]);
        let op = oculist_graph::RmsNormalization { axis: -1, epsilon: 1e-5, stash: DataType::F32 };
        let y = b.op("norm", op, &[x, gamma]);
        b.finish(y).unwrap()
    };
    becomes(&of(4.0), &["RMSNormalization"]);
    let simple = simplify(&of(-1.0)).unwrap().graph;
    assert_eq!(simple.nodes().len(), 2, "{}", simple.dump());
    // An operand that is not finite is a constant, not a weight.
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 2, 3, 3);
    let none = b.param("none", Tensor::f32(&[3], vec![0.0, 1.0, 2.0]));
    let log = b.op("log", Unary::Log, &[none]);
    let y = b.op("add", Binary::Add, &[x, log]);
    let simple = simplify(&b.finish(y).unwrap()).unwrap().graph;
    assert_eq!(simple.nodes().len(), 1, "{}", simple.dump());
    assert!(simple.weights().iter().all(|weight| !weight));
}

#[test]
fn one_can_stop_after_any_pass() {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 2, 3, 3);
    let y = b.op("same", oculist_graph::Identity, &[x]);
    let three = scalar(&mut b, "three", 0.0);
    let y = b.op("max", oculist_graph::Variadic::Max, &[y, three]);
    let graph = b.finish(y).unwrap();
    let mut changes = 0;
    for n in 0..=SIMPLIFICATIONS.len() {
        let partial = simplify_up_to(&graph, n).unwrap();
        assert!(partial.changes.len() >= changes);
        changes = partial.changes.len();
        assert_eq!(answers(&partial.graph), answers(&graph), "after {n} passes");
    }
    let names: Vec<&str> = simplify(&graph).unwrap().changes.iter().map(|c| c.0).collect();
    assert_eq!(names, ["remove identities", "recognise activations"]);
}
