//! The operators: names and semantics are ONNX's (default domain, opset 17 unless said otherwise).

/// Attributes of a convolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conv {
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Stride along height and width.
    pub stride: [usize; 2],
    /// Zero padding: top, left, bottom, right.
    pub padding: [usize; 4],
    /// Dilation along height and width.
    pub dilation: [usize; 2],
    /// Number of groups; equal to the channels for a depthwise convolution.
    pub groups: usize,
}

impl Conv {
    /// A square kernel with one stride and symmetric padding, no dilation, one group.
    pub fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 4], dilation: [1; 2], groups: 1 }
    }

    /// The same with `groups` groups.
    pub fn with_groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }
}

/// Attributes of a pooling window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Window height and width.
    pub kernel: [usize; 2],
    /// Stride along height and width.
    pub stride: [usize; 2],
    /// Padding: top, left, bottom, right.
    pub padding: [usize; 4],
}

impl Pool {
    /// A square window with one stride and symmetric padding.
    pub fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 4] }
    }
}

/// An operator with its attributes. Inputs are listed in ONNX order.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// 2-D convolution of `x, w` and an optional bias `b`.
    Conv(Conv),
    /// `gamma * (x - mean) / sqrt(var + epsilon) + beta`; inputs `x, gamma, beta, running_mean, running_var`.
    BatchNormalization {
        /// Added to the variance.
        epsilon: f32,
        /// Weight of the old running statistic (ONNX's convention: PyTorch's 0.1 is 0.9 here).
        momentum: f32,
    },
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, min), max)`; ReLU6 is `Clip(0, 6)`.
    Clip {
        /// Lower bound.
        min: f32,
        /// Upper bound.
        max: f32,
    },
    /// `max(0, min(1, alpha * x + beta))`.
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Offset.
        beta: f32,
    },
    /// `x * max(0, min(1, x / 6 + 1 / 2))`.
    HardSwish,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Sum of two values of the same shape.
    Add,
    /// Product of two values; the second may be `[N, C, 1, 1]` and is then broadcast over height and width.
    Mul,
    /// Concatenation along the channels (axis 1).
    Concat,
    /// Maximum over a window (padding counts as minus infinity).
    MaxPool(Pool),
    /// Mean over a window.
    AveragePool {
        /// The window.
        pool: Pool,
        /// Whether padding counts as zeros in the mean.
        count_include_pad: bool,
    },
    /// Mean over height and width: `[N, C, H, W]` to `[N, C, 1, 1]`.
    GlobalAveragePool,
    /// `[N, C, H, W]` to `[N, C * H * W]` (axis 1).
    Flatten,
    /// `x * w^T + b` with `w` of shape `[out, in]` (ONNX `Gemm` with `transB = 1`).
    Gemm,
    /// Zeroes a share of the elements while training; the identity otherwise.
    Dropout {
        /// Probability of zeroing, 0..1.
        ratio: f32,
    },
    /// Softmax over axis 1.
    Softmax,
    /// Zero channels added before and after the existing ones (ONNX `Pad` on axis 1).
    PadChannels {
        /// Channels added in front.
        before: usize,
        /// Channels added behind.
        after: usize,
    },
    /// `saturate(round_half_even(x / scale) + zero_point)`; inputs `x, scale, zero_point`.
    QuantizeLinear {
        /// Axis of a per-channel scale; ignored for a scalar scale.
        axis: usize,
    },
    /// `(x - zero_point) * scale`; inputs `x, scale, zero_point`.
    DequantizeLinear {
        /// Axis of a per-channel scale; ignored for a scalar scale.
        axis: usize,
    },
    /// The value itself.
    Identity,
}

impl Op {
    /// The operator's ONNX name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Conv(_) => "Conv",
            Self::BatchNormalization { .. } => "BatchNormalization",
            Self::Relu => "Relu",
            Self::Clip { .. } => "Clip",
            Self::HardSigmoid { .. } => "HardSigmoid",
            Self::HardSwish => "HardSwish",
            Self::Sigmoid => "Sigmoid",
            Self::Add => "Add",
            Self::Mul => "Mul",
            Self::Concat => "Concat",
            Self::MaxPool(_) => "MaxPool",
            Self::AveragePool { .. } => "AveragePool",
            Self::GlobalAveragePool => "GlobalAveragePool",
            Self::Flatten => "Flatten",
            Self::Gemm => "Gemm",
            Self::Dropout { .. } => "Dropout",
            Self::Softmax => "Softmax",
            Self::PadChannels { .. } => "Pad",
            Self::QuantizeLinear { .. } => "QuantizeLinear",
            Self::DequantizeLinear { .. } => "DequantizeLinear",
            Self::Identity => "Identity",
        }
    }

    /// Whether it works on each element by itself with one activation input and keeps the shape.
    pub fn is_activation(&self) -> bool {
        matches!(
            self,
            Self::Relu | Self::Clip { .. } | Self::HardSigmoid { .. } | Self::HardSwish | Self::Sigmoid
        )
    }
}
