//! Transposed convolution: the adjoint of a convolution, so each of its passes is another pass of that convolution.
//!
//! The forward pass is the convolution's data gradient, the data gradient is its forward pass, and in the weights'
//! gradient the input and the gradient of the output change places. PyTorch's weights `[c_in, c_out / groups, k_h, k_w]`
//! are the weights of that convolution as they are.
//!
//! # Source
//! Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, chapter 4; conventions of PyTorch's
//! `ConvTranspose2d`.

use super::algorithm::Algorithms;
use super::{Conv2d, ConvPlan, Epilogue, pack_weights, unpack_weights};
use crate::KernelError;
use crate::context::Context;
use crate::layout::{Rows, channel_stride, product};
use crate::norm::column_sums;

/// The geometry of a transposed convolution.
///
/// # Shapes
/// - `x`: `[batch, height, width, channel_stride(c_in)]`
/// - `y`: `[batch, out_height, out_width, channel_stride(c_out)]`
/// - weights: see [`TransposedConv2d::pack_weights`]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransposedConv2d {
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
    /// Vertical and horizontal distance of the input's pixels in the output.
    pub stride: [usize; 2],
    /// Rows and columns cut off the full result at the top, left, bottom and right.
    pub padding: [usize; 4],
    /// Rows and columns added at the bottom and at the right; below the stride or below the dilation.
    pub output_padding: [usize; 2],
    /// Vertical and horizontal distance of kernel taps.
    pub dilation: [usize; 2],
    /// Groups; `c_in` and `c_out` are multiples of it.
    pub groups: usize,
}

impl TransposedConv2d {
    /// A transposed convolution with equal padding on all sides, no output padding, dilation 1 and one group.
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
            output_padding: [0; 2],
            dilation: [1; 2],
            groups: 1,
        }
    }

    /// Rows of `y`: `(height - 1) * stride + dilation * (kernel - 1) + 1 + output_padding - padding`, both paddings.
    ///
    /// 0 for a geometry that [`TransposedConv2d::check`] refuses because nothing is left.
    pub fn out_height(&self) -> usize {
        self.out_size(0)
    }

    /// Columns of `y`, likewise.
    pub fn out_width(&self) -> usize {
        self.out_size(1)
    }

    fn out_size(&self, axis: usize) -> usize {
        let size = [self.height, self.width][axis].saturating_sub(1);
        let reach = product(&[self.kernel[axis].saturating_sub(1), self.dilation[axis]]);
        let full = product(&[size, self.stride[axis]]).saturating_add(reach).saturating_add(1);
        let cut = self.padding[axis].saturating_add(self.padding[axis + 2]);
        full.saturating_add(self.output_padding[axis]).saturating_sub(cut)
    }

    /// f32 of `x`.
    pub fn x_len(&self) -> usize {
        product(&[self.batch, self.height, self.width, channel_stride(self.c_in)])
    }

    /// f32 of `y`.
    pub fn y_len(&self) -> usize {
        product(&[self.batch, self.out_height(), self.out_width(), channel_stride(self.c_out)])
    }

    /// The convolution from `y` to `x` whose adjoint this is.
    ///
    /// Output padding takes the place of padding at the far sides; what is left of it are rows and columns that the
    /// convolution does not reach, fewer than its stride.
    ///
    /// # Errors
    /// [`KernelError::Geometry`] when a size is 0, nothing of the output is left, the output padding is not below the
    /// stride or the dilation (PyTorch's rule), it exceeds the far padding by the stride or more, the groups do not
    /// divide the channels, or something is too large, as [`Conv2d::check`] says.
    pub fn adjoint(&self) -> Result<Conv2d, KernelError> {
        let fail = |reason| Err(KernelError::Geometry { operation: "transposed convolution", reason });
        let channels = [self.c_in, self.c_out, self.groups];
        let sizes = [[self.batch, 1], [self.height, self.width], self.kernel, self.stride, self.dilation];
        if sizes.as_flattened().iter().chain(&channels).any(|size| *size == 0) {
            return fail(format!("expected sizes of at least 1, found {self:?}"));
        }
        let mut padding = self.padding;
        for axis in 0..2 {
            let (extra, far) = (self.output_padding[axis], self.padding[axis + 2]);
            let (stride, dilation) = (self.stride[axis], self.dilation[axis]);
            if extra > 0 && extra >= stride.max(dilation) {
                return fail(format!(
                    "output padding {extra} is neither below the stride {stride} nor below the dilation {dilation}"
                ));
            }
            if extra > 0 && extra.saturating_sub(far) >= stride {
                return fail(format!("output padding {extra} exceeds padding {far} by the stride {stride}"));
            }
            if self.out_size(axis) == 0 {
                return fail("the padding leaves nothing of the output".to_string());
            }
            padding[axis + 2] = far.saturating_sub(extra);
        }
        let conv = Conv2d {
            batch: self.batch,
            height: self.out_height(),
            width: self.out_width(),
            c_in: self.c_out,
            c_out: self.c_in,
            kernel: self.kernel,
            stride: self.stride,
            padding,
            dilation: self.dilation,
            groups: self.groups,
            x_stride: channel_stride(self.c_out),
        };
        conv.check()?;
        debug_assert_eq!(
            [conv.out_height(), conv.out_width()],
            [self.height, self.width],
            "adjoint of {self:?}"
        );
        Ok(conv)
    }

    /// Checks the geometry.
    ///
    /// # Errors
    /// As [`TransposedConv2d::adjoint`].
    pub fn check(&self) -> Result<(), KernelError> {
        self.adjoint().map(|_| ())
    }

    /// Packs PyTorch's weights `[c_in, c_out / groups, k_h, k_w]`: [`pack_weights`](crate::pack_weights) of the adjoint.
    ///
    /// # Errors
    /// As [`TransposedConv2d::adjoint`].
    ///
    /// # Panics
    /// When `weights` has another length than the geometry says.
    pub fn pack_weights(&self, weights: &[f32]) -> Result<Vec<f32>, KernelError> {
        Ok(pack_weights(&self.adjoint()?, weights))
    }

    /// The inverse of [`TransposedConv2d::pack_weights`].
    ///
    /// # Errors
    /// As [`TransposedConv2d::adjoint`].
    ///
    /// # Panics
    /// When `packed` has another length than the geometry says.
    pub fn unpack_weights(&self, packed: &[f32]) -> Result<Vec<f32>, KernelError> {
        Ok(unpack_weights(&self.adjoint()?, packed))
    }
}

/// A transposed convolution with its algorithms.
///
/// The plan belongs to contexts with no more threads than the one it was made with.
#[derive(Debug, Clone)]
pub struct TransposedConvPlan {
    conv: TransposedConv2d,
    adjoint: ConvPlan,
}

impl TransposedConvPlan {
    /// Plans a transposed convolution: checks the geometry and picks the algorithms by a cost model.
    ///
    /// # Errors
    /// As [`TransposedConv2d::adjoint`].
    pub fn new(ctx: &Context, conv: TransposedConv2d) -> Result<Self, KernelError> {
        Ok(Self { conv, adjoint: ConvPlan::new(ctx, conv.adjoint()?)? })
    }

    /// Plans a transposed convolution with chosen algorithms for the passes of the adjoint, for tests and measurements.
    ///
    /// # Errors
    /// As [`TransposedConvPlan::new`], and [`KernelError::Algorithm`] when an algorithm cannot compute a pass.
    pub fn with_algorithms(
        ctx: &Context,
        conv: TransposedConv2d,
        algorithms: Algorithms,
    ) -> Result<Self, KernelError> {
        Ok(Self { conv, adjoint: ConvPlan::with_algorithms(ctx, conv.adjoint()?, algorithms)? })
    }

    /// The geometry.
    pub fn conv(&self) -> &TransposedConv2d {
        &self.conv
    }

    /// The plan of the convolution whose adjoint this is; its data gradient is the forward pass here.
    pub fn adjoint(&self) -> &ConvPlan {
        &self.adjoint
    }

    /// f32 of the packed weights.
    pub fn weights_len(&self) -> usize {
        self.adjoint.conv().weights_len()
    }

    /// f32 of scratch that any pass needs.
    pub fn scratch_len(&self) -> usize {
        self.adjoint.scratch_len()
    }

    /// `y[i * stride + k * dilation - padding] += x[i] * w[k]` over all pixels `i` and taps `k`, plus the bias.
    ///
    /// # Shapes
    /// `bias`: `[channel_stride(c_out)]`, padded lanes 0.
    ///
    /// # Panics
    /// When a slice has another length than the geometry says, or the scratch is too short.
    pub fn forward(
        &self,
        ctx: &Context,
        x: &[f32],
        w: &[f32],
        bias: Option<&[f32]>,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        if let Some(bias) = bias {
            let stride = channel_stride(self.conv.c_out);
            assert_eq!(bias.len(), stride, "bias of {}", self.adjoint.conv().label());
            ctx.for_pieces(y, Context::piece_len(self.conv.y_len(), stride), |_, y| {
                for row in y.chunks_exact_mut(stride) {
                    row.copy_from_slice(bias);
                }
            });
        }
        self.adjoint.backward_data(ctx, x, w, y, bias.is_some(), scratch);
    }

    /// `dx = gradient with respect to x`, overwritten.
    ///
    /// # Panics
    /// When a slice has another length than the geometry says, or the scratch is too short.
    pub fn backward_data(&self, ctx: &Context, dy: &[f32], w: &[f32], dx: &mut [f32], scratch: &mut [f32]) {
        self.adjoint.forward(ctx, dy, w, &Epilogue::default(), dx, scratch);
    }

    /// `dw = gradient with respect to the packed weights` and `dbias = sum of dy`, both overwritten.
    ///
    /// # Shapes
    /// `dbias`: `[channel_stride(c_out)]`.
    ///
    /// # Panics
    /// When a slice has another length than the geometry says, or the scratch is too short.
    pub fn backward_weights(
        &self,
        ctx: &Context,
        x: &[f32],
        dy: &[f32],
        dw: &mut [f32],
        dbias: Option<&mut [f32]>,
        scratch: &mut [f32],
    ) {
        self.adjoint.backward_weights(ctx, dy, x, dw, scratch);
        if let Some(dbias) = dbias {
            let conv = &self.conv;
            let rows = Rows::new(conv.batch * conv.out_height() * conv.out_width(), conv.c_out);
            column_sums(ctx, rows, dy, dbias);
        }
    }
}
