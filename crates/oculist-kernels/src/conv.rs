//! Two-dimensional convolution: geometry, weights, epilogue, and a plan that picks the algorithm of each pass.

use crate::KernelError;
use crate::activation::Activation;
use crate::layout::{channel_stride, check_elements, product};

mod algorithm;
mod block;
mod depthwise;
mod direct;
mod direct_weights;
mod gather;
mod general;
mod plan;
mod store;
mod transpose;
mod transposed;
mod weights;
mod winograd;

pub use algorithm::{Algorithm, Algorithms, Pass};
pub use block::{BlockLayer, BlockLayers, BlockPlan, InvertedResidual};
pub use plan::{ConvPlan, PreparedWeights};
pub use transposed::{TransposedConv2d, TransposedConvPlan};
pub use weights::{pack_weights, unpack_weights};

/// The geometry of a convolution.
///
/// # Shapes
/// - `x`: `[batch, height, width, x_stride]`
/// - `y`: `[batch, out_height, out_width, channel_stride(c_out)]`
/// - weights: see [`pack_weights`]
///
/// A fully connected layer is a convolution whose kernel covers the whole map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv2d {
    /// Images.
    pub batch: usize,
    /// Height of `x`.
    pub height: usize,
    /// Width of `x`.
    pub width: usize,
    /// Channels of `x`.
    pub c_in: usize,
    /// Channels of `y`.
    pub c_out: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Zeros added at the top, left, bottom and right.
    pub padding: [usize; 4],
    /// Vertical and horizontal distance of kernel taps.
    pub dilation: [usize; 2],
    /// Groups; `c_in` and `c_out` are multiples of it.
    pub groups: usize,
    /// Channel stride of `x`: `c_in` for a dense image, else `channel_stride(c_in)`.
    pub x_stride: usize,
}

impl Conv2d {
    /// A square convolution with equal padding on all sides, dilation 1, one group and padded channels.
    pub fn square(
        batch: usize,
        size: [usize; 2],
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> Self {
        Self {
            batch,
            height: size[0],
            width: size[1],
            c_in: channels[0],
            c_out: channels[1],
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [padding; 4],
            dilation: [1; 2],
            groups: 1,
            x_stride: channel_stride(channels[0]),
        }
    }

    /// Rows of `y`.
    pub fn out_height(&self) -> usize {
        self.out_size(0)
    }

    /// Columns of `y`.
    pub fn out_width(&self) -> usize {
        self.out_size(1)
    }

    fn out_size(&self, axis: usize) -> usize {
        let rest = self.padded(axis).saturating_sub(self.extent(axis));
        (rest / self.stride[axis].max(1)).saturating_add(1)
    }

    /// Pixels of the input along an axis, padding included; `usize::MAX` where they are more.
    fn padded(&self, axis: usize) -> usize {
        let size = [self.height, self.width][axis];
        size.saturating_add(self.padding[axis]).saturating_add(self.padding[axis + 2])
    }

    /// Pixels that the dilated kernel covers along an axis; `usize::MAX` where they are more.
    fn extent(&self, axis: usize) -> usize {
        product(&[self.kernel[axis].saturating_sub(1), self.dilation[axis]]).saturating_add(1)
    }

    /// Channel stride of `y`.
    pub fn y_stride(&self) -> usize {
        channel_stride(self.c_out)
    }

    /// f32 of `x`.
    pub fn x_len(&self) -> usize {
        product(&[self.batch, self.height, self.width, self.x_stride])
    }

    /// f32 of `y`.
    pub fn y_len(&self) -> usize {
        product(&[self.batch, self.out_height(), self.out_width(), self.y_stride()])
    }

    /// f32 of the packed weights.
    pub fn weights_len(&self) -> usize {
        if self.is_depthwise() {
            product(&[self.taps(), self.y_stride()])
        } else {
            product(&[self.y_stride(), self.taps(), self.packed_inputs()])
        }
    }

    /// f32 of the weights transposed for the data gradient.
    pub(crate) fn weights_len_transposed(&self) -> usize {
        product(&[channel_stride(self.x_stride), self.taps(), self.y_stride()])
    }

    /// Input channels that the packed weights of one output channel hold.
    pub(crate) fn packed_inputs(&self) -> usize {
        if self.groups == 1 { self.x_stride } else { self.c_in / self.groups.max(1) }
    }

    /// Kernel positions.
    pub fn taps(&self) -> usize {
        product(&self.kernel)
    }

    /// Multiply-accumulate operations without the padding of channels, taps on padding included; `u64::MAX` where they
    /// are more.
    pub fn macs(&self) -> u64 {
        let pixels = [self.batch, self.out_height(), self.out_width()];
        let products = [self.c_out, self.c_in / self.groups.max(1), self.taps()];
        pixels.iter().chain(&products).fold(1u64, |macs, &n| macs.saturating_mul(n as u64))
    }

    /// Whether every channel is convolved on its own, one output channel each.
    pub fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.c_in && self.groups == self.c_out
    }

    /// Checks the geometry.
    ///
    /// # Errors
    /// [`KernelError::Geometry`] when a size is 0, the kernel does not fit the padded input, the groups do not
    /// divide the channels, the channel stride is neither dense nor padded, or a tensor, the padded input or a step over
    /// it has more than [`MAX_ELEMENTS`](crate::MAX_ELEMENTS) elements.
    pub fn check(&self) -> Result<(), KernelError> {
        let fail = |reason: String| Err(KernelError::Geometry { operation: "convolution", reason });
        let sizes = [
            ("batch", self.batch),
            ("height", self.height),
            ("width", self.width),
            ("c_in", self.c_in),
            ("c_out", self.c_out),
            ("kernel height", self.kernel[0]),
            ("kernel width", self.kernel[1]),
            ("vertical stride", self.stride[0]),
            ("horizontal stride", self.stride[1]),
            ("vertical dilation", self.dilation[0]),
            ("horizontal dilation", self.dilation[1]),
            ("groups", self.groups),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return fail(format!("expected {name} of at least 1, found 0"));
        }
        for axis in 0..2 {
            let (extent, padded) = (self.extent(axis), self.padded(axis));
            if extent > padded {
                return fail(format!("kernel covers {extent} pixels, padded input has {padded}"));
            }
        }
        if !self.c_in.is_multiple_of(self.groups) || !self.c_out.is_multiple_of(self.groups) {
            return fail(format!(
                "{} groups do not divide {} -> {} channels",
                self.groups, self.c_in, self.c_out
            ));
        }
        let padded = channel_stride(self.c_in);
        let dense_allowed = !self.is_depthwise();
        if self.x_stride != padded && !(dense_allowed && self.x_stride == self.c_in) {
            return fail(format!("expected a channel stride of {padded}, found {}", self.x_stride));
        }
        self.check_size()
    }

    /// Checks that nothing that a kernel computes of the geometry can leave the range of an index, whatever `x_stride` is.
    pub(crate) fn check_size(&self) -> Result<(), KernelError> {
        let (rows, columns) = (self.padded(0), self.padded(1));
        let widest = channel_stride(self.x_stride).max(self.y_stride());
        let step = |[a, b]: [usize; 2]| product(&[a.max(b), columns, widest]);
        check_elements(
            "convolution",
            &[
                ("the padded input", product(&[self.batch, rows, columns, channel_stride(self.x_stride)])),
                ("the output", self.y_len()),
                ("the weights", self.weights_len().max(self.weights_len_transposed())),
                ("a step of the stride", step(self.stride)),
                ("a step of the dilation", step(self.dilation)),
            ],
        )
    }

    /// The convolution in words, for messages and benchmarks.
    pub fn label(&self) -> String {
        let suffix = |shown: bool, letter: &str, [a, b]: [usize; 2]| match (shown, a == b) {
            (false, _) => String::new(),
            (true, true) => format!(" {letter}{a}"),
            (true, false) => format!(" {letter}{a}x{b}"),
        };
        format!(
            "{}->{} @{}x{}{}{}{}{} b{}",
            self.c_in,
            self.c_out,
            self.height,
            self.width,
            suffix(true, "k", self.kernel),
            suffix(self.stride != [1, 1], "s", self.stride),
            suffix(self.dilation != [1, 1], "d", self.dilation),
            suffix(self.groups > 1, "g", [self.groups; 2]),
            self.batch
        )
    }
}

/// What happens to a convolution's result before it is stored: `y = f(conv + bias + residual)`.
///
/// # Shapes
/// `bias`: `[channel_stride(c_out)]`, padded lanes 0; `residual`: as `y`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// Added to every pixel.
    pub bias: Option<&'a [f32]>,
    /// Added element by element.
    pub residual: Option<&'a [f32]>,
    /// Applied last.
    pub activation: Activation,
}

impl Epilogue<'_> {
    /// Checks the lengths against the convolution.
    pub(crate) fn assert_fits(&self, conv: &Conv2d) {
        if let Some(bias) = self.bias {
            assert_eq!(bias.len(), conv.y_stride(), "bias length of {}", conv.label());
        }
        if let Some(residual) = self.residual {
            assert_eq!(residual.len(), conv.y_len(), "residual length of {}", conv.label());
        }
    }
}
