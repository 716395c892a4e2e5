//! Moving channels of byte tensors: concatenation and padding.

use crate::context::Context;
use crate::layout::product;

/// Which channels [`int_copy_channels`] moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntChannelCopy {
    /// Number of pixels of all images.
    pub rows: usize,
    /// Number of channels moved.
    pub channels: usize,
    /// Channel stride of the source.
    pub src_stride: usize,
    /// Channel stride of the destination.
    pub dst_stride: usize,
    /// First channel written.
    pub dst_offset: usize,
}

/// Copies the first channels of each pixel, through a table if one is given (to requantise on the way).
///
/// # Panics
/// When a range leaves its tensor.
pub fn int_copy_channels(
    ctx: &Context,
    copy: IntChannelCopy,
    table: Option<&[u8; 256]>,
    src: &[u8],
    dst: &mut [u8],
) {
    let IntChannelCopy { rows, channels, src_stride, dst_stride, dst_offset } = copy;
    let fits =
        channels <= src_stride && dst_offset.checked_add(channels).is_some_and(|end| end <= dst_stride);
    assert!(fits, "channels out of range");
    let (src, dst) = (&src[..product(&[rows, src_stride])], &mut dst[..product(&[rows, dst_stride])]);
    if dst.is_empty() {
        return;
    }
    let rows_per_piece = (16 * 1024 / dst_stride).max(1);
    ctx.for_pieces(dst, rows_per_piece * dst_stride, |i, dst| {
        let src = &src[i * rows_per_piece * src_stride..];
        for (dst, src) in dst.chunks_exact_mut(dst_stride).zip(src.chunks_exact(src_stride)) {
            let (dst, src) = (&mut dst[dst_offset..][..channels], &src[..channels]);
            if let Some(table) = table {
                for (d, s) in dst.iter_mut().zip(src) {
                    *d = table[usize::from(*s)];
                }
            } else {
                dst.copy_from_slice(src);
            }
        }
    });
}
