//! What is trained of a model, by type: what is refused names the node, the operator, the type and the way out.

use half::{bf16, f16};
use oculist_graph::{
    ArgReduce, Binary, Cast, Conv, ConvInteger, DataType, DequantizeLinear, Flatten, Gather, Gemm, Graph,
    GraphBuilder, IntegerMatMul, MatMul, QLinearConv, QuantizeLinear, Softmax, Tensor, TensorData, Unary,
    ValueId,
};
use oculist_passes::{dequantize, single_precision};
use oculist_testing::graphs;

use super::graphs::{train, with};

/// Refuses a message that lacks one of the parts.
#[track_caller]
fn refused(graph: &Graph, parts: &[&str]) {
    let message = train(graph).unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "expected `{part}` in: {message}");
    }
}

/// The names of what is trained, in order.
fn trained(graph: &Graph) -> Vec<&str> {
    let mut names: Vec<&str> = train(graph)
        .unwrap_or_else(|e| panic!("{e}"))
        .gradients
        .iter()
        .map(|(v, _)| graph.value(*v).name.as_str())
        .collect();
    names.sort_unstable();
    names
}

fn flat(b: &mut GraphBuilder, x: ValueId) -> ValueId {
    let x = b.op("flatten", Flatten::IMAGES, &[x]);
    b.linear("logits", x, 3)
}

fn numbers(dtype: DataType, shape: &[usize]) -> Tensor {
    let n = shape.iter().product::<usize>();
    let values = (0..n).map(|i| (i as f64 * 0.61).sin());
    let data = match dtype {
        DataType::F64 => TensorData::F64(values.collect()),
        DataType::F16 => TensorData::F16(values.map(f16::from_f64).collect()),
        DataType::BF16 => TensorData::BF16(values.map(bf16::from_f64).collect()),
        other => panic!("no float: {}", other.name()),
    };
    Tensor::new(shape.to_vec(), data).unwrap()
}

/// A convolution of another width between two of f32.
fn mixed(dtype: DataType) -> Graph {
    with(|b, x| {
        let x = b.op("narrow", Cast { to: dtype }, &[x]);
        let w = b.param("middle.kernel", numbers(dtype, &[4, 4, 3, 3]));
        let x = b.op("middle", Conv::square(3, 1, 1), &[x, w]);
        let x = b.op("wide", Cast { to: DataType::F32 }, &[x]);
        flat(b, x)
    })
}

#[test]
fn weights_of_other_widths_are_refused_by_name_and_trained_once_they_are_f32() {
    for dtype in [DataType::F16, DataType::BF16, DataType::F64] {
        let graph = mixed(dtype);
        let weight = format!("its weight `middle.kernel` is {}", dtype.name());
        refused(&graph, &["node `middle` (Conv)", &weight, "only f32", "oculist_passes::single_precision"]);
        let single = single_precision(&graph).unwrap();
        assert_eq!(
            trained(&single),
            ["logits.bias", "logits.weight", "middle.kernel", "stem.bias", "stem.weight"]
        );
    }
}

#[test]
fn operands_of_other_widths_are_weights_too_but_no_masks_and_no_single_numbers() {
    let with_operand = |constant: Tensor| {
        with(move |b, x| {
            let x = b.op("wide", Cast { to: DataType::F64 }, &[x]);
            let c = b.param("constant", constant.clone());
            let x = b.op("shift", Binary::Add, &[x, c]);
            let x = b.op("back", Cast { to: DataType::F32 }, &[x]);
            flat(b, x)
        })
    };
    refused(
        &with_operand(numbers(DataType::F64, &[4, 1, 1])),
        &["node `shift` (Add)", "`constant` is f64", "single_precision"],
    );
    let kept = ["logits.bias", "logits.weight", "stem.bias", "stem.weight"];
    for constant in [vec![0.0, -1e9, 0.0, 0.0], vec![0.5]] {
        let shape = vec![constant.len(), 1, 1];
        let constant = Tensor::new(shape, TensorData::F64(constant)).unwrap();
        assert_eq!(trained(&with_operand(constant)), kept);
    }
}

#[test]
fn weights_of_integers_behind_dequantisation_are_refused_and_trained_once_they_are_floats() {
    let graph = with(|b, x| {
        let q = b.param("bytes", Tensor::i8(&[4, 4, 1, 1], (0..16).map(|i| i * 7 - 50).collect()));
        let scale = b.param("scale", Tensor::f32(&[4], vec![0.01; 4]));
        let w = b.op("unpack", DequantizeLinear::along(0), &[q, scale]);
        let x = b.op("middle", Conv::square(1, 1, 0), &[x, w]);
        flat(b, x)
    });
    refused(
        &graph,
        &["node `unpack` (DequantizeLinear)", "the weight `bytes` as i8", "oculist_passes::dequantize"],
    );
    let float = dequantize(&graph).unwrap();
    assert_eq!(trained(&float), ["logits.bias", "logits.weight", "stem.bias", "stem.weight", "unpack.out"]);
}

#[test]
fn quantised_activations_are_refused_and_trained_once_they_are_ranges() {
    let graph = with(|b, x| {
        let scale = b.param("step", Tensor::f32(&[], vec![0.02]));
        let zero = b.param("zero", Tensor::u8(&[], vec![128]));
        let q = b.op("q", QuantizeLinear { axis: 1, block: 0, dtype: DataType::U8 }, &[x, scale, zero]);
        let x = b.op("dq", DequantizeLinear::along(1), &[q, scale, zero]);
        flat(b, x)
    });
    refused(
        &graph,
        &["node `q` (QuantizeLinear)", "activation `stem.out` (f32)", "oculist_passes::dequantize"],
    );
    let float = dequantize(&graph).unwrap();
    assert_eq!(trained(&float), ["logits.bias", "logits.weight", "stem.bias", "stem.weight"]);
    // Within the range the gradient of the stem flows.
    let gradients = train(&float).unwrap().gradients;
    let (_, stem) = gradients.iter().find(|(v, _)| float.value(*v).name == "stem.weight").unwrap();
    assert!(stem.as_f32().unwrap().iter().any(|g| g.abs() > 1e-3));
}

#[test]
fn layers_that_compute_with_integers_are_refused_by_their_weight() {
    let byte = |b: &mut GraphBuilder, x: ValueId| b.op("byte", Cast { to: DataType::U8 }, &[x]);
    let convolution = with(|b, x| {
        let x = byte(b, x);
        let w = b.param("kernel", Tensor::i8(&[4, 4, 1, 1], vec![1; 16]));
        let zero = b.param("zero", Tensor::u8(&[], vec![0]));
        let x = b.op("sums", ConvInteger { conv: Conv::square(1, 1, 0) }, &[x, w, zero]);
        let x = b.op("float", Cast { to: DataType::F32 }, &[x]);
        flat(b, x)
    });
    refused(&convolution, &["node `sums` (ConvInteger)", "its weight `kernel` is i8", "f32 model"]);
    let quantised = with(|b, x| {
        let x = byte(b, x);
        let [one, zero] = [Tensor::f32(&[], vec![0.1]), Tensor::u8(&[], vec![0])];
        let (one, zero) = (b.param("one", one), b.param("zero", zero));
        let w = b.param("kernel", Tensor::u8(&[4, 4, 1, 1], vec![1; 16]));
        let conv = QLinearConv { conv: Conv::square(1, 1, 0) };
        let x = b.op("layer", conv, &[x, one, zero, w, one, zero, one, zero]);
        let x = b.op("float", Cast { to: DataType::F32 }, &[x]);
        flat(b, x)
    });
    refused(&quantised, &["node `layer` (QLinearConv)", "its weight `kernel` is u8", "f32 model"]);
    let product = with(|b, x| {
        let x = b.op("flatten", Flatten::IMAGES, &[x]);
        let x = byte(b, x);
        let w = b.param("matrix", Tensor::i8(&[48, 3], vec![1; 144]));
        let x = b.op("product", IntegerMatMul::Sums, &[x, w]);
        b.op("float", Cast { to: DataType::F32 }, &[x])
    });
    // Nothing says that it is quantised: gradients end where floats do.
    refused(&product, &["node `byte` (Cast)", "weight `stem.weight` (f32)", "node `stem` (Conv)"]);
}

#[test]
fn a_node_at_which_gradients_end_is_named_with_the_weight_in_front_of_it() {
    let rounded = with(|b, x| {
        let x = b.op("steps", Unary::Round, &[x]);
        flat(b, x)
    });
    refused(
        &rounded,
        &["node `steps` (Round)", "gradients end", "`stem.weight` (f32)", "node `stem` (Conv)"],
    );
    let chosen = with(|b, x| {
        let x = b.op("flatten", Flatten::IMAGES, &[x]);
        let best = b.op("best", ArgReduce { largest: true, axis: 1, keepdims: false, last: false }, &[x]);
        let table = b.param("table.kernel", Tensor::filled(&[48, 3], 1.0));
        b.op("pick", Gather { axis: 0 }, &[table, best])
    });
    refused(&chosen, &["node `best` (ArgMax)", "`stem.weight` (f32)", "node `stem` (Conv)"]);
    // Beside another way the weight is trained.
    let beside = with(|b, x| {
        let y = b.op("steps", Unary::Round, &[x]);
        let x = b.add("sum", x, y);
        flat(b, x)
    });
    assert_eq!(trained(&beside), ["logits.bias", "logits.weight", "stem.bias", "stem.weight"]);
}

#[test]
fn constants_that_no_gradient_reaches_are_not_trained() {
    let graph = with(|b, x| {
        let c = b.param("thresholds.kernel", Tensor::filled(&[4, 1, 1], 0.1));
        let y = b.op("shifted", Binary::Add, &[x, c]);
        let y = b.op("steps", Unary::Sign, &[y]);
        let x = b.op("gated", Binary::Mul, &[x, y]);
        flat(b, x)
    });
    assert_eq!(trained(&graph), ["logits.bias", "logits.weight", "stem.bias", "stem.weight"]);
}

#[test]
fn a_weight_that_is_computed_from_constants_is_refused_until_it_is_folded() {
    let graph = with(|b, x| {
        let q = b.param("bytes", Tensor::i8(&[4, 4, 1, 1], (0..16).collect()));
        let w = b.op("unpack", Cast { to: DataType::F32 }, &[q]);
        let x = b.op("middle", Conv::square(1, 1, 0), &[x, w]);
        flat(b, x)
    });
    refused(&graph, &["node `middle` (Conv)", "`unpack.out` is computed from constants", "simplify"]);
    let folded = oculist_passes::simplify(&graph).unwrap().graph;
    assert_eq!(trained(&folded).len(), 5);
}

/// Scores with a mask, and the GELU that exporters write out in factors.
fn masked(hidden: f32, shape: &'static [usize]) -> Graph {
    let mut graph = with(|b, x| {
        let axes = Tensor::ints(vec![0, 4, 12]);
        let axes = b.param("tokens.shape", axes);
        let x = b.op("tokens", oculist_graph::Reshape { allow_zero: false }, &[x, axes]);
        let number = |b: &mut GraphBuilder, name: &str, v: f32| b.param(name, Tensor::f32(shape, vec![v]));
        let (root, half, one) = (number(b, "root", 1.4), number(b, "half", 0.5), number(b, "one", 1.0));
        let square = b.param("scores.kernel", Tensor::filled(&[12, 4], 0.0));
        let scores = b.op("scores", MatMul, &[x, square]);
        let scores = b.op("scaled", Binary::Div, &[scores, root]);
        let mask = b.param("mask", Tensor::filled(&[4, 4], 0.0));
        let scores = b.op("masked", Binary::Add, &[scores, mask]);
        let shares = b.op("shares", Softmax::along(-1), &[scores]);
        let x = b.op("mixed", MatMul, &[shares, x]);
        let y = b.op("over", Binary::Div, &[x, root]);
        let y = b.op("erf", Unary::Erf, &[y]);
        let y = b.op("plus", Binary::Add, &[y, one]);
        let y = b.op("times", Binary::Mul, &[x, y]);
        let y = b.op("halved", Binary::Mul, &[y, half]);
        flat(b, y)
    });
    // `with` fills parameters with noise.
    let mask = graph.find("mask").unwrap();
    let values = (0..16).map(|i| if i % 4 > i / 4 { hidden } else { 0.0 }).collect();
    graph.set_param(mask, Tensor::f32(&[4, 4], values));
    graph
}

#[test]
fn masks_and_factors_of_formulas_are_not_trained() {
    let weights = ["logits.bias", "logits.weight", "scores.kernel", "stem.bias", "stem.weight"];
    for shape in [&[][..], &[1], &[1, 1, 1]] {
        for hidden in [-1e4, -1e9, f32::MIN, f32::NEG_INFINITY, -100.0] {
            assert_eq!(trained(&masked(hidden, shape)), weights, "{hidden}");
        }
    }
    // Small numbers at the same place are a bias of the scores.
    let mut biased = weights.to_vec();
    biased.insert(2, "mask");
    assert_eq!(trained(&masked(-1.5, &[1])), biased);
}

#[test]
fn a_graph_of_half_width_alone_says_so() {
    let mut b = GraphBuilder::new("half");
    let x = b.input("image", 2, 4, 3);
    let x = b.op("narrow", Cast { to: DataType::F16 }, &[x]);
    let x = b.op("flatten", Flatten::IMAGES, &[x]);
    let w = b.param("fc.weight", numbers(DataType::F16, &[3, 24]));
    let x = b.op("fc", Gemm::LINEAR, &[x, w]);
    let y = b.op("wide", Cast { to: DataType::F32 }, &[x]);
    let graph = graphs::fill(b.finish(y).unwrap());
    refused(&graph, &["node `fc` (Gemm)", "`fc.weight` is f16"]);
}
