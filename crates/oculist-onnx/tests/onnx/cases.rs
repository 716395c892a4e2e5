//! One small graph for each operator and form, each with a neighbour that means something else.

use oculist_graph::{
    AveragePool, BatchNormalization, Binary, Concat, Conv, DataType, DequantizeLinear, Dropout, Flatten,
    Gemm, GlobalPool, Graph, GraphBuilder, Identity, MaxPool, Op, Pad, Plane, QuantizeLinear, Softmax,
    Tensor, Unary, ValueId,
};
use oculist_testing::formula::tensor;
use oculist_testing::interpret::Array;

/// A graph, inputs for it, and a graph that a slip in one attribute would give.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) graph: Graph,
    pub(crate) wrong: Graph,
    pub(crate) inputs: Vec<Array>,
}

/// Formula values about zero, twice as wide as [-1, 1) so that bounds and saturation are met.
pub(crate) fn input(name: &str, shape: &[usize]) -> Array {
    let values = tensor(name, shape.iter().product());
    Array::new(shape, values.into_iter().map(|v| f64::from(v) * 4.0).collect())
}

pub(crate) fn floats(name: &str, shape: &[usize]) -> Tensor {
    Tensor::f32(shape, tensor(name, shape.iter().product()))
}

/// Values in 0.5..1.5, for variances and scales.
pub(crate) fn positive(name: &str, shape: &[usize]) -> Tensor {
    let values = tensor(name, shape.iter().product());
    Tensor::f32(shape, values.into_iter().map(|v| 1.0 + 0.5 * v).collect())
}

pub(crate) fn bytes(name: &str, shape: &[usize]) -> Tensor {
    let values = tensor(name, shape.iter().product());
    Tensor::i8(shape, values.into_iter().map(|v| (v * 127.0) as i8).collect())
}

const CHW: [usize; 3] = [4, 7, 6];

/// A graph of one node on an input `[N, 4, 7, 6]`, with parameters called `p0`, `p1`, ...
fn one(op: impl Into<Op>, params: &[Tensor]) -> Graph {
    build(|b, x| {
        let mut inputs = vec![x];
        for (i, tensor) in params.iter().enumerate() {
            inputs.push(b.param(&format!("p{i}"), tensor.clone()));
        }
        b.op("node", op, &inputs)
    })
}

fn quantize(axis: i64) -> QuantizeLinear {
    QuantizeLinear { axis, block: 0, dtype: DataType::U8 }
}

fn dequantize(axis: i64) -> DequantizeLinear {
    DequantizeLinear::along(axis)
}

fn build(f: impl FnOnce(&mut GraphBuilder, ValueId) -> ValueId) -> Graph {
    let mut b = GraphBuilder::new("case");
    let x = b.input("input", CHW[0], CHW[1], CHW[2]);
    let y = f(&mut b, x);
    b.finish(y).expect("a valid graph")
}

fn flat(f: impl FnOnce(&mut GraphBuilder, ValueId) -> ValueId) -> Graph {
    let mut b = GraphBuilder::new("case");
    let x = b.input("input", 5, 1, 1);
    let x = b.op("flatten", Flatten::IMAGES, &[x]);
    let y = f(&mut b, x);
    b.finish(y).expect("a valid graph")
}

fn conv(conv: Conv, weight: [usize; 4], bias: bool) -> Graph {
    let mut params = vec![floats("weight", &weight)];
    if bias {
        params.push(floats("bias", &[weight[0]]));
    }
    one(conv, &params)
}

fn batch_norm(epsilon: f32, var: &str) -> Graph {
    let params = [positive("gamma", &[4]), floats("beta", &[4]), floats("mean", &[4]), positive(var, &[4])];
    one(BatchNormalization { epsilon, momentum: 0.99, training: false }, &params)
}

fn pool(stride: [usize; 2], padding: [usize; 4]) -> Plane {
    Plane { kernel: [3, 2], stride, padding, dilation: [1, 1] }
}

fn max_pool(plane: Plane) -> MaxPool {
    MaxPool { window: plane.into(), ceil_mode: false, column_major: false }
}

fn gated(swapped: bool) -> Graph {
    build(|b, x| {
        let gate = b.op("pool", GlobalPool::Average, &[x]);
        let gate = b.op("gate", if swapped { Unary::Sigmoid } else { Unary::HardSwish }, &[gate]);
        b.op("mul", Binary::Mul, &[x, gate])
    })
}

fn joined(swapped: bool) -> Graph {
    build(|b, x| {
        let y = b.relu("relu", x);
        b.op("concat", Concat::CHANNELS, &if swapped { [y, x] } else { [x, y] })
    })
}

fn both(op: Binary) -> Graph {
    build(|b, x| {
        let y = b.op("sigmoid", Unary::Sigmoid, &[x]);
        b.op("both", op, &[x, y])
    })
}

fn gemm(weight: &str, bias: bool) -> Graph {
    flat(|b, x| {
        // Square, so that a weight that is not transposed would go unnoticed by shapes.
        let mut inputs = vec![x, b.param("fc.weight", floats(weight, &[5, 5]))];
        if bias {
            inputs.push(b.param("fc.bias", floats("bias", &[5])));
        }
        b.op("fc", Gemm::LINEAR, &inputs)
    })
}

fn gemm_transposed() -> Graph {
    flat(|b, x| {
        let w = floats("weight", &[5, 5]);
        let v = w.as_f32().expect("floats");
        let t = (0..25).map(|i| v[i % 5 * 5 + i / 5]).collect();
        let w = b.param("fc.weight", Tensor::f32(&[5, 5], t));
        b.op("fc", Gemm::LINEAR, &[x, w])
    })
}

fn quantised_input(zero_point: u8) -> Graph {
    let params = [Tensor::f32(&[], vec![0.02]), Tensor::u8(&[], vec![zero_point])];
    one(quantize(1), &params)
}

fn quantised_per_channel(reverse: bool) -> Graph {
    let mut scales = vec![0.01, 0.02, 0.04, 0.08];
    if reverse {
        scales.reverse();
    }
    let params = [Tensor::f32(&[4], scales), Tensor::i8(&[4], vec![0; 4])];
    one(quantize(1), &params)
}

fn there_and_back(scale: f32) -> Graph {
    build(|b, x| {
        let s = b.param("scale", Tensor::f32(&[], vec![0.03]));
        let z = b.param("zero_point", Tensor::u8(&[], vec![7]));
        let q = b.op("q", quantize(1), &[x, s, z]);
        let s = b.param("scale_back", Tensor::f32(&[], vec![scale]));
        b.op("dq", dequantize(1), &[q, s, z])
    })
}

/// A convolution whose weight `[4, 4, 3, 3]` lies in bytes, scaled along `axis`.
fn byte_weight(axis: i64) -> Graph {
    build(|b, x| {
        let q = b.param("conv.weight", bytes("weight", &[4, 4, 3, 3]));
        let s = b.param("conv.weight.scale", Tensor::f32(&[4], vec![0.01, 0.02, 0.04, 0.08]));
        let z = b.param("conv.weight.zero_point", Tensor::i8(&[4], vec![0; 4]));
        let w = b.op("dq_weight", dequantize(axis), &[q, s, z]);
        let q = b.param("conv.bias", Tensor::i32(&[4], vec![-3000, 0, 7, 90_000]));
        let s = b.param("conv.bias.scale", Tensor::f32(&[4], vec![1e-4, 2e-4, 4e-4, 8e-4]));
        let z = b.param("conv.bias.zero_point", Tensor::i32(&[4], vec![0; 4]));
        let bias = b.op("dq_bias", dequantize(0), &[q, s, z]);
        b.op("conv", Conv::square(3, 1, 1), &[x, w, bias])
    })
}

/// Every operator in every form that is written in its own way.
pub(crate) fn all() -> Vec<Case> {
    let x = || input("x", &[2, 4, 7, 6]);
    let row = || input("row", &[3, 5, 1, 1]);
    let skewed =
        |padding| Conv::plane(Plane { kernel: [3, 2], stride: [2, 1], padding, dilation: [1, 2] }, 1);
    let around =
        |padding| Conv::plane(Plane { kernel: [3, 3], stride: [1, 1], padding, dilation: [1, 1] }, 1);
    let dilated =
        |dilation| Conv::plane(Plane { kernel: [3, 3], stride: [1, 1], padding: [2; 4], dilation }, 1);
    let clip = |min, max| one(Unary::Clip { min, max }, &[]);
    let average = |count_include_pad| {
        let window = pool([2, 1], [1, 0, 1, 1]).into();
        one(AveragePool { window, ceil_mode: false, count_include_pad }, &[])
    };
    fn global(op: impl Into<Op>) -> Graph {
        build(|b, x| b.op("node", op, &[x]))
    }
    let pad = |before, after| one(Pad::CONSTANT, &[Tensor::ints(vec![0, before, 0, 0, 0, after, 0, 0])]);
    let cases: Vec<(&'static str, Graph, Graph, Array)> = vec![
        (
            "conv",
            conv(Conv::square(3, 1, 1), [5, 4, 3, 3], false),
            conv(around([0, 0, 2, 2]), [5, 4, 3, 3], false),
            x(),
        ),
        (
            "conv_skewed",
            conv(skewed([2, 0, 1, 1]), [3, 4, 3, 2], true),
            conv(skewed([1, 1, 2, 0]), [3, 4, 3, 2], true),
            x(),
        ),
        (
            "conv_dilation",
            conv(dilated([2, 1]), [2, 4, 3, 3], true),
            conv(dilated([1, 2]), [2, 4, 3, 3], true),
            x(),
        ),
        (
            "conv_grouped",
            conv(Conv::square(3, 2, 1).with_groups(2), [6, 2, 3, 3], false),
            conv(Conv::square(3, 2, 1).with_groups(2), [4, 2, 3, 3], false),
            x(),
        ),
        (
            "conv_depthwise",
            conv(Conv::square(3, 1, 1).with_groups(4), [4, 1, 3, 3], true),
            conv(Conv::square(3, 1, 1).with_groups(4), [4, 1, 3, 3], false),
            x(),
        ),
        ("batch_norm", batch_norm(0.25, "var"), batch_norm(0.2501, "var"), x()),
        ("relu", one(Unary::Relu, &[]), one(Identity, &[]), x()),
        ("clip", clip(-1.5, 2.0), clip(-1.5, 2.001), x()),
        ("clip_below", clip(0.5, f32::MAX), clip(0.5, 3.0), x()),
        ("clip_above", clip(f32::MIN, 0.5), clip(-2.0, 0.5), x()),
        ("clip_open", clip(f32::MIN, f32::MAX), clip(-3.0, 3.0), x()),
        (
            "hard_sigmoid",
            one(Unary::HardSigmoid { alpha: 0.25, beta: 0.4 }, &[]),
            one(Unary::HardSigmoid { alpha: 0.2, beta: 0.5 }, &[]),
            x(),
        ),
        ("hard_swish", one(Unary::HardSwish, &[]), one(Unary::Relu, &[]), x()),
        ("sigmoid", one(Unary::Sigmoid, &[]), one(Unary::HardSigmoid { alpha: 0.25, beta: 0.5 }, &[]), x()),
        ("add", both(Binary::Add), both(Binary::Mul), x()),
        ("mul", both(Binary::Mul), both(Binary::Add), x()),
        ("mul_gate", gated(false), gated(true), x()),
        ("concat", joined(false), joined(true), x()),
        (
            "max_pool",
            one(max_pool(pool([2, 1], [1, 0, 2, 1])), &[]),
            one(max_pool(pool([2, 1], [2, 1, 1, 0])), &[]),
            x(),
        ),
        ("average_pool", average(false), average(true), x()),
        ("average_pool_with_padding", average(true), average(false), x()),
        (
            "global_average_pool",
            global(GlobalPool::Average),
            global(max_pool(Plane { kernel: [7, 6], stride: [1, 1], padding: [0; 4], dilation: [1, 1] })),
            x(),
        ),
        ("flatten", global(Flatten::IMAGES), global(GlobalPool::Average), x()),
        ("gemm", gemm("weight", true), gemm("weight", false), row()),
        ("gemm_without_bias", gemm("weight", false), gemm_transposed(), row()),
        (
            "dropout",
            build(|b, x| {
                let y = b.op("dropout", Dropout { ratio: 0.4 }, &[x]);
                b.relu("relu", y)
            }),
            build(|b, x| b.op("node", Identity, &[x])),
            x(),
        ),
        ("dropout_last", one(Dropout { ratio: 0.4 }, &[]), one(Unary::Relu, &[]), x()),
        (
            "softmax",
            flat(|b, x| b.op("softmax", Softmax::along(1), &[x])),
            flat(|b, x| b.op("sigmoid", Unary::Sigmoid, &[x])),
            row(),
        ),
        ("pad_channels", pad(1, 3), pad(3, 1), x()),
        ("pad_nothing", pad(0, 0), pad(0, 1), x()),
        ("quantize", quantised_input(100), quantised_input(101), x()),
        ("quantize_per_channel", quantised_per_channel(false), quantised_per_channel(true), x()),
        ("dequantize", there_and_back(0.03), there_and_back(0.0301), x()),
        ("dequantize_weight", byte_weight(0), byte_weight(1), x()),
        ("identity", one(Identity, &[]), one(Unary::Relu, &[]), x()),
    ];
    cases
        .into_iter()
        .map(|(name, graph, wrong, input)| Case { name, graph, wrong, inputs: vec![input] })
        .chain([two_inputs()])
        .collect()
}

/// Two inputs and two outputs, one of them used inside as well.
fn two_inputs() -> Case {
    let make = |swapped: bool| {
        let mut b = GraphBuilder::new("two");
        let left = b.input("left", 2, 3, 3);
        let right = b.input("right", 2, 3, 3);
        let sum = b.op("sum", Binary::Add, &[left, right]);
        let relu = b.relu("relu", sum);
        let mut graph = b.finish(relu).expect("a valid graph");
        let (sum, relu) = (graph.nodes()[0].output(), graph.nodes()[1].output());
        graph.set_outputs(if swapped { vec![sum, relu] } else { vec![relu, sum] });
        graph
    };
    let inputs = vec![input("left", &[2, 2, 3, 3]), input("right", &[2, 2, 3, 3])];
    Case { name: "two_inputs", graph: make(false), wrong: make(true), inputs }
}
