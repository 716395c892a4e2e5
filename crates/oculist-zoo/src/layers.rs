//! Layers that the families share, over [`GraphBuilder`].

mod attention;
mod pyramid;

use oculist_graph::{
    AveragePool, Binary, Concat, Conv, DataType, Dropout, Flatten, GlobalPool, Graph, GraphBuilder,
    GraphError, GroupNormalization, InstanceNormalization, MaxPool, Op, Plane, Tensor, Unary, ValueId,
    Window,
};

use crate::options::{BuildOptions, Head, Normalization};

/// Constants of a batch normalisation; `momentum` is ONNX's (the old statistic's weight).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Norm {
    epsilon: f32,
    momentum: f32,
}

impl Norm {
    /// PyTorch's default: eps 1e-5, momentum 0.1.
    pub(crate) const DEFAULT: Self = Self { epsilon: 1e-5, momentum: 0.9 };
    /// MobileNetV3's: eps 1e-3, momentum 0.01.
    pub(crate) const MOBILE_V3: Self = Self { epsilon: 1e-3, momentum: 0.99 };
    /// The Inceptions' and EfficientNetV2's: eps 1e-3, momentum 0.1.
    pub(crate) const MILLI: Self = Self { epsilon: 1e-3, momentum: 0.9 };
}

/// Activation behind a normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    Relu,
    Relu6,
    HardSwish,
    Silu,
}

impl Activation {
    pub(crate) fn op(self) -> Op {
        match self {
            Self::Relu => Op::Unary(Unary::Relu),
            Self::Relu6 => Op::Unary(Unary::Clip { min: 0.0, max: 6.0 }),
            Self::HardSwish => Op::Unary(Unary::HardSwish),
            Self::Silu => Op::Unary(Unary::Swish { alpha: 1.0 }),
        }
    }
}

/// A network under construction.
#[derive(Debug)]
pub(crate) struct Net {
    builder: GraphBuilder,
    norm: Norm,
    normalization: Normalization,
    head: Head,
}

impl Net {
    /// A network with its input.
    pub(crate) fn new(name: &str, options: &BuildOptions, norm: Norm) -> (Self, ValueId) {
        let mut builder = GraphBuilder::new(name);
        let (c, h, w) = options.input;
        let x = builder.input("input", c, h, w);
        (Self { builder, norm, normalization: options.normalization, head: options.head }, x)
    }

    /// `(channels, height, width)` of a value.
    pub(crate) fn chw(&self, x: ValueId) -> (usize, usize, usize) {
        self.builder.chw(x)
    }

    /// Ends the network with its logits.
    pub(crate) fn finish(self, logits: ValueId) -> Result<Graph, GraphError> {
        self.builder.finish(logits)
    }

    pub(crate) fn op(&mut self, name: &str, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
        self.builder.op(name, op, inputs)
    }

    pub(crate) fn conv(&mut self, name: &str, x: ValueId, c_out: usize, conv: Conv, bias: bool) -> ValueId {
        self.builder.conv(name, x, c_out, conv, bias)
    }

    /// Batch normalisation, or what stands for it.
    pub(crate) fn batch_norm(&mut self, name: &str, x: ValueId) -> ValueId {
        let epsilon = self.norm.epsilon;
        let (channels, _, _) = self.chw(x);
        let op: Op = match self.normalization {
            Normalization::Own => return self.builder.batch_norm(name, x, epsilon, self.norm.momentum),
            Normalization::Instance => InstanceNormalization { epsilon }.into(),
            Normalization::Group(groups) => GroupNormalization {
                groups: common_divisor(groups, channels),
                epsilon,
                stash: DataType::F32,
                per_group: false,
            }
            .into(),
        };
        let (gamma, beta) = self.gamma_beta(name, channels);
        self.op(name, op, &[x, gamma, beta])
    }

    /// `{name}.weight` of ones and `{name}.bias` of zeros.
    pub(crate) fn gamma_beta(&mut self, name: &str, channels: usize) -> (ValueId, ValueId) {
        let gamma = self.param(&format!("{name}.weight"), Tensor::filled(&[channels], 1.0));
        (gamma, self.param(&format!("{name}.bias"), Tensor::filled(&[channels], 0.0)))
    }

    pub(crate) fn param(&mut self, name: &str, tensor: Tensor) -> ValueId {
        self.builder.param(name, tensor)
    }

    pub(crate) fn activation(&mut self, name: &str, x: ValueId, activation: Activation) -> ValueId {
        self.op(name, activation.op(), &[x])
    }

    pub(crate) fn relu(&mut self, name: &str, x: ValueId) -> ValueId {
        self.builder.relu(name, x)
    }

    pub(crate) fn add(&mut self, name: &str, a: ValueId, b: ValueId) -> ValueId {
        self.builder.add(name, a, b)
    }

    pub(crate) fn linear(&mut self, name: &str, x: ValueId, out: usize) -> ValueId {
        self.builder.linear(name, x, out)
    }

    /// torchvision's `Conv2dNormActivation`: `{name}.0` convolution, `{name}.1` normalisation, `{name}.2` activation.
    pub(crate) fn conv_norm_act(
        &mut self,
        name: &str,
        x: ValueId,
        c_out: usize,
        conv: Conv,
        activation: Option<Activation>,
    ) -> ValueId {
        let y = self.conv(&format!("{name}.0"), x, c_out, conv, false);
        let y = self.batch_norm(&format!("{name}.1"), y);
        match activation {
            Some(a) => self.activation(&format!("{name}.2"), y, a),
            None => y,
        }
    }

    /// Convolution without bias, normalisation and ReLU, as `{name}{conv}`, `{name}{norm}` and `{name}.relu`.
    pub(crate) fn conv_norm_relu(
        &mut self,
        (name, conv_name, norm_name): (&str, &str, &str),
        x: ValueId,
        c_out: usize,
        conv: Conv,
    ) -> ValueId {
        let y = self.conv(&format!("{name}{conv_name}"), x, c_out, conv, false);
        let y = self.batch_norm(&format!("{name}{norm_name}"), y);
        self.relu(&format!("{name}.relu"), y)
    }

    /// Squeeze-and-excitation: the map times a gate for each channel.
    ///
    /// `y = x * outer(fc2(inner(fc1(mean(x)))))`, the means over height and width, `fc1` to `squeezed` channels.
    ///
    /// # Source
    /// Hu, Shen, Albanie, Sun, Wu: Squeeze-and-Excitation Networks, 2017 (arXiv 1709.01507).
    pub(crate) fn gate(
        &mut self,
        name: &str,
        x: ValueId,
        squeezed: usize,
        inner: Activation,
        outer: Unary,
    ) -> ValueId {
        let (c, _, _) = self.chw(x);
        let y = self.op(&format!("{name}.avgpool"), Op::GlobalPool(GlobalPool::Average), &[x]);
        let y = self.conv(&format!("{name}.fc1"), y, squeezed, Conv::square(1, 1, 0), true);
        let y = self.activation(&format!("{name}.activation"), y, inner);
        let y = self.conv(&format!("{name}.fc2"), y, c, Conv::square(1, 1, 0), true);
        let y = self.op(&format!("{name}.scale_activation"), Op::Unary(outer), &[y]);
        self.op(&format!("{name}.mul"), Op::Binary(Binary::Mul), &[x, y])
    }

    /// All channels of several maps, one map's behind the other's.
    pub(crate) fn concat(&mut self, name: &str, parts: &[ValueId]) -> ValueId {
        self.op(name, Concat::CHANNELS, parts)
    }

    /// Maximum pooling whose last window may hang over the end (`ceil_mode` of PyTorch).
    pub(crate) fn max_pool_ceil(&mut self, name: &str, x: ValueId, kernel: usize, stride: usize) -> ValueId {
        let window = Window::square(kernel, stride, 0);
        self.op(name, MaxPool { window, ceil_mode: true, column_major: false }, &[x])
    }

    /// A square maximum pooling if the map is at least `kernel` wide and high, else nothing: small images run out of
    /// pixels before the last pooling.
    pub(crate) fn max_pool_while_possible(
        &mut self,
        name: &str,
        x: ValueId,
        kernel: usize,
        stride: usize,
    ) -> ValueId {
        let (_, h, w) = self.chw(x);
        if h >= kernel && w >= kernel { self.builder.max_pool(name, x, kernel, stride, 0) } else { x }
    }

    pub(crate) fn max_pool(
        &mut self,
        name: &str,
        x: ValueId,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> ValueId {
        self.builder.max_pool(name, x, kernel, stride, padding)
    }

    pub(crate) fn pad_channels(&mut self, name: &str, x: ValueId, before: usize, behind: usize) -> ValueId {
        self.builder.pad_channels(name, x, before, behind)
    }

    /// PyTorch's adaptive average pooling to `out x out`, as far as it is a plain average pooling; `None` where its
    /// windows differ in size or distance.
    pub(crate) fn adaptive_average_pool(&mut self, name: &str, x: ValueId, out: usize) -> Option<ValueId> {
        let (_, h, w) = self.chw(x);
        let ((kernel_h, stride_h), (kernel_w, stride_w)) =
            (adaptive_window(h, out)?, adaptive_window(w, out)?);
        if (h, w) == (out, out) {
            return Some(x);
        }
        let plane = Plane {
            kernel: [kernel_h, kernel_w],
            stride: [stride_h, stride_w],
            padding: [0; 4],
            dilation: [1; 2],
        };
        let op = AveragePool { window: plane.into(), ceil_mode: false, count_include_pad: false };
        Some(self.op(name, op, &[x]))
    }

    /// Global average pooling (`avgpool`) and `flatten` to `[N, C]`, or the caller's other head.
    pub(crate) fn global_pool(&mut self, x: ValueId) -> ValueId {
        if self.head == Head::SpatialPyramid {
            return self.spatial_pyramid(x);
        }
        self.average(x)
    }

    /// Global average pooling (`avgpool`) and `flatten` to `[N, C]`.
    pub(crate) fn average(&mut self, x: ValueId) -> ValueId {
        let y = self.op("avgpool", Op::GlobalPool(GlobalPool::Average), &[x]);
        self.op("flatten", Op::Flatten(Flatten::IMAGES), &[y])
    }

    /// Dropout with the caller's ratio or the architecture's own; nothing if it is 0.
    pub(crate) fn dropout(&mut self, name: &str, x: ValueId, options: &BuildOptions, own: f32) -> ValueId {
        let ratio = options.dropout.unwrap_or(own);
        if ratio == 0.0 { x } else { self.op(name, Op::Dropout(Dropout { ratio }), &[x]) }
    }
}

/// The greatest common divisor of two numbers above 0.
fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a.max(1) } else { common_divisor(b, a % b) }
}

/// Window size and stride of an adaptive pooling from `size` to `out` pixels, if all windows are alike.
///
/// PyTorch's window `i` spans `floor(i * size / out) .. ceil((i + 1) * size / out)`.
fn adaptive_window(size: usize, out: usize) -> Option<(usize, usize)> {
    let start = |i: usize| i * size / out;
    let length = |i: usize| ((i + 1) * size).div_ceil(out) - start(i);
    let stride = if out > 1 { start(1) } else { 1 };
    let alike = (0..out).all(|i| length(i) == length(0) && start(i) == i * stride);
    (alike && stride > 0 && length(0) > 0).then(|| (length(0), stride))
}

/// The multiple of 8 nearest to `value`, at least 8, and never more than a tenth below `value`.
///
/// # Source
/// The MobileNets' reference code; torchvision's `_make_divisible`.
pub(crate) fn make_divisible(value: f64) -> usize {
    let rounded = (((value + 4.0) / 8.0).floor() * 8.0).max(8.0);
    (if rounded < 0.9 * value { rounded + 8.0 } else { rounded }) as usize
}

/// `channels` at the chosen width.
pub(crate) fn scaled(channels: usize, options: &BuildOptions) -> usize {
    if options.width == 1.0 { channels } else { make_divisible(channels as f64 * options.width) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_round_as_in_torchvision() {
        // From `_make_divisible(v, 8)`.
        for (value, want) in
            [(3.0, 8), (11.0, 16), (12.0, 16), (18.0, 24), (22.4, 24), (33.6, 32), (44.8, 48)]
        {
            assert_eq!(make_divisible(value), want, "{value}");
        }
    }

    #[test]
    fn adaptive_windows_are_plain_only_where_alike() {
        assert_eq!(adaptive_window(7, 7), Some((1, 1)));
        assert_eq!(adaptive_window(14, 7), Some((2, 2)));
        assert_eq!(adaptive_window(8, 7), Some((2, 1)));
        assert_eq!(adaptive_window(9, 7), None);
        assert_eq!(adaptive_window(4, 7), None);
        assert_eq!(adaptive_window(5, 1), Some((5, 1)));
    }
}
