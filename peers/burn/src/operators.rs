//! The graph's operators in Burn's tensor operations.

use burn::tensor::module::{adaptive_avg_pool2d, avg_pool2d, conv2d, linear, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions, PadMode};
use burn::tensor::{Distribution, Tensor, activation};
use oculist_graph::{AveragePool, Conv, Dropout, MaxPool, Op, Plane, Unary, Window};

/// A value while the network runs.
#[derive(Debug, Clone)]
pub(crate) enum Activation {
    /// `[N, C, H, W]`.
    Map(Tensor<4>),
    /// `[N, C]`.
    Rows(Tensor<2>),
}

impl Activation {
    /// The map; the graph's shape inference has excluded rows where it is called.
    pub(crate) fn map(self) -> Tensor<4> {
        match self {
            Self::Map(x) => x,
            Self::Rows(x) => unreachable!("expected a map, found rows of shape {:?}", x.dims()),
        }
    }

    /// The rows; the graph's shape inference has excluded maps where it is called.
    pub(crate) fn rows(self) -> Tensor<2> {
        match self {
            Self::Rows(x) => x,
            Self::Map(x) => unreachable!("expected rows, found a map of shape {:?}", x.dims()),
        }
    }
}

/// `(begin, end)` of height and width from ONNX's top, left, bottom, right.
fn pairs(padding: [usize; 4]) -> [(usize, usize); 2] {
    [(padding[0], padding[2]), (padding[1], padding[3])]
}

/// The window over a map; the graph's shape inference has excluded others.
fn plane(window: &Window, x: &Tensor<4>) -> Plane {
    let [_, _, h, w] = x.dims();
    window.plane([h, w]).unwrap_or_else(|| unreachable!("a map has two spatial axes"))
}

/// 2-D convolution.
pub(crate) fn convolution(conv: &Conv, x: Tensor<4>, w: Tensor<4>, bias: Option<Tensor<1>>) -> Tensor<4> {
    let Plane { stride, padding, dilation, .. } = plane(&conv.window, &x);
    let options = ConvOptions::new_with_padding(stride, pairs(padding), dilation, conv.groups);
    conv2d(x, w, bias, options)
}

/// `x * w^T + b`.
pub(crate) fn gemm(x: Tensor<2>, w: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    linear(x, w.transpose(), bias)
}

/// Maximum over a window.
pub(crate) fn max_pool(pool: &MaxPool, x: Tensor<4>) -> Tensor<4> {
    let pool = plane(&pool.window, &x);
    let options =
        MaxPoolOptions::new(pool.kernel).with_stride(pool.stride).with_padding_pairs(pairs(pool.padding));
    max_pool2d(x, options)
}

/// Mean over a window.
pub(crate) fn average_pool(pool: &AveragePool, x: Tensor<4>) -> Tensor<4> {
    let count_include_pad = pool.count_include_pad;
    let pool = plane(&pool.window, &x);
    let options = AvgPoolOptions::new(pool.kernel)
        .with_stride(pool.stride)
        .with_padding_pairs(pairs(pool.padding))
        .with_count_include_pad(count_include_pad);
    avg_pool2d(x, options)
}

/// Mean over height and width.
pub(crate) fn global_average_pool(x: Tensor<4>) -> Tensor<4> {
    adaptive_avg_pool2d(x, [1, 1])
}

/// Zero channels before and after the existing ones.
pub(crate) fn pad_channels(before: usize, after: usize, x: Tensor<4>) -> Tensor<4> {
    x.pad([(before, after), (0, 0), (0, 0)], PadMode::Constant(0.0))
}

/// `x / (1 - ratio)` or zero, drawn from the device's generator.
pub(crate) fn dropout<const D: usize>(ratio: f32, x: Tensor<D>) -> Tensor<D> {
    let keep = 1.0 - ratio;
    let mask = x.random_like(Distribution::Bernoulli(f64::from(keep)));
    (x * mask).div_scalar(keep)
}

/// An element-wise operator with one input, or `None` if `op` is another one.
pub(crate) fn element_wise<const D: usize>(op: &Op, x: Tensor<D>) -> Option<Tensor<D>> {
    Some(match op {
        Op::Unary(Unary::Relu) => activation::relu(x),
        Op::Unary(Unary::Clip { min, max }) => x.clamp(*min, *max),
        Op::Unary(Unary::HardSigmoid { alpha, beta }) => {
            activation::hard_sigmoid(x, f64::from(*alpha), f64::from(*beta))
        }
        Op::Unary(Unary::HardSwish) => activation::hard_swish(x),
        Op::Unary(Unary::Sigmoid) => activation::sigmoid(x),
        Op::Dropout(Dropout { ratio }) => dropout(*ratio, x),
        Op::Identity(_) => x,
        _ => return None,
    })
}
