//! Moving channels between tensors and layouts.

use crate::context::{Context, SendPtr};
use crate::layout::{channel_stride, product};

/// Which channels [`copy_channels`] moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelCopy {
    /// Number of pixels of all images.
    pub rows: usize,
    /// Number of channels moved.
    pub channels: usize,
    /// Channel stride of the source.
    pub src_stride: usize,
    /// First channel read.
    pub src_offset: usize,
    /// Channel stride of the destination.
    pub dst_stride: usize,
    /// First channel written.
    pub dst_offset: usize,
}

/// Copies a range of channels, or adds it with `accumulate`: concatenation, slicing and their gradients.
///
/// Channels of the destination outside of the range keep their values; the caller has zeroed its padded lanes.
///
/// # Panics
/// When a range leaves its tensor.
pub fn copy_channels(ctx: &Context, copy: ChannelCopy, src: &[f32], dst: &mut [f32], accumulate: bool) {
    let ChannelCopy { rows, channels, src_stride, src_offset, dst_stride, dst_offset } = copy;
    let inside = |offset: usize, stride| offset.checked_add(channels).is_some_and(|end| end <= stride);
    assert!(inside(src_offset, src_stride) && inside(dst_offset, dst_stride), "channels out of range");
    let (src, dst) = (&src[..product(&[rows, src_stride])], &mut dst[..product(&[rows, dst_stride])]);
    if dst.is_empty() {
        return;
    }
    let rows_per_piece = (8192 / dst_stride).max(1);
    ctx.for_pieces(dst, rows_per_piece * dst_stride, |i, dst| {
        let src = &src[i * rows_per_piece * src_stride..];
        for (dst, src) in dst.chunks_exact_mut(dst_stride).zip(src.chunks_exact(src_stride)) {
            let (dst, src) = (&mut dst[dst_offset..][..channels], &src[src_offset..][..channels]);
            if accumulate {
                for (d, s) in dst.iter_mut().zip(src) {
                    *d += s;
                }
            } else {
                dst.copy_from_slice(src);
            }
        }
    });
}

/// `y[p, c] = x[p, picked[c]]` for `rows` pixels; `x` and `y` with their channel strides. Lanes of `y` behind the picked
/// channels become 0.
///
/// # Panics
/// When a slice is shorter than the shape says, or a channel lies outside.
pub fn pick_channels<T: Copy + Default + Send + Sync>(
    ctx: &Context,
    rows: usize,
    picked: &[u32],
    (x, x_stride): (&[T], usize),
    (y, y_stride): (&mut [T], usize),
) {
    check_picked(picked, x_stride, y_stride);
    let (x, y) = (&x[..product(&[rows, x_stride])], &mut y[..product(&[rows, y_stride])]);
    if y.is_empty() {
        return;
    }
    let rows_per_piece = (8192 / y_stride).max(1);
    ctx.for_pieces(y, rows_per_piece * y_stride, |i, y| {
        let x = &x[i * rows_per_piece * x_stride..];
        for (y, x) in y.chunks_exact_mut(y_stride).zip(x.chunks_exact(x_stride)) {
            let (y, padding) = y.split_at_mut(picked.len());
            for (y, &channel) in y.iter_mut().zip(picked) {
                *y = x[channel as usize];
            }
            padding.fill(T::default());
        }
    });
}

/// The gradient of [`pick_channels`]: `dx[p, picked[c]] += dy[p, c]`, from 0 unless it accumulates.
///
/// # Panics
/// When a slice is shorter than the shape says, or a channel lies outside.
pub fn pick_channels_backward(
    ctx: &Context,
    rows: usize,
    picked: &[u32],
    (dy, dy_stride): (&[f32], usize),
    (dx, dx_stride): (&mut [f32], usize),
    accumulate: bool,
) {
    check_picked(picked, dx_stride, dy_stride);
    let (dy, dx) = (&dy[..product(&[rows, dy_stride])], &mut dx[..product(&[rows, dx_stride])]);
    if dx.is_empty() {
        return;
    }
    let rows_per_piece = (8192 / dx_stride).max(1);
    ctx.for_pieces(dx, rows_per_piece * dx_stride, |i, dx| {
        let dy = &dy[i * rows_per_piece * dy_stride..];
        for (dx, dy) in dx.chunks_exact_mut(dx_stride).zip(dy.chunks_exact(dy_stride)) {
            if !accumulate {
                dx.fill(0.0);
            }
            for (dy, &channel) in dy.iter().zip(picked) {
                dx[channel as usize] += dy;
            }
        }
    });
}

fn check_picked(picked: &[u32], from: usize, to: usize) {
    let inside = picked.iter().all(|&channel| (channel as usize) < from);
    assert!(inside && picked.len() <= to && from > 0 && to > 0, "channels out of range");
}

/// Dense rows of `channels` f32 to padded rows; the padding becomes 0.
///
/// # Panics
/// When a slice is shorter than the shape says.
pub fn pad_channels(ctx: &Context, rows: usize, channels: usize, dense: &[f32], padded: &mut [f32]) {
    let stride = channel_stride(channels);
    let (dense, padded) = (&dense[..product(&[rows, channels])], &mut padded[..product(&[rows, stride])]);
    if dense.is_empty() {
        return;
    }
    let rows_per_piece = (8192 / stride).max(1);
    ctx.for_pieces(padded, rows_per_piece * stride, |i, padded| {
        let dense = &dense[i * rows_per_piece * channels..];
        for (padded, dense) in padded.chunks_exact_mut(stride).zip(dense.chunks_exact(channels)) {
            padded[..channels].copy_from_slice(dense);
            padded[channels..].fill(0.0);
        }
    });
}

/// Padded rows to dense rows of `channels` f32.
///
/// # Panics
/// When a slice is shorter than the shape says.
pub fn unpad_channels(ctx: &Context, rows: usize, channels: usize, padded: &[f32], dense: &mut [f32]) {
    let stride = channel_stride(channels);
    let (padded, dense) = (&padded[..product(&[rows, stride])], &mut dense[..product(&[rows, channels])]);
    if dense.is_empty() {
        return;
    }
    let rows_per_piece = (8192 / stride).max(1);
    ctx.for_pieces(dense, rows_per_piece * channels, |i, dense| {
        let padded = &padded[i * rows_per_piece * stride..];
        for (dense, padded) in dense.chunks_exact_mut(channels).zip(padded.chunks_exact(stride)) {
            dense.copy_from_slice(&padded[..channels]);
        }
    });
}

/// `[batch, channels, pixels]` to `[batch, pixels, stride]`; lanes from `channels` to `stride` become 0.
///
/// # Panics
/// When a slice is shorter than the shape says or `stride < channels`.
pub fn nchw_to_nhwc(
    ctx: &Context,
    batch: usize,
    channels: usize,
    pixels: usize,
    stride: usize,
    nchw: &[f32],
    nhwc: &mut [f32],
) {
    assert!(stride >= channels, "stride {stride} below {channels} channels");
    let nchw = &nchw[..product(&[batch, channels, pixels])];
    let nhwc = &mut nhwc[..product(&[batch, pixels, stride])];
    if nhwc.is_empty() {
        return;
    }
    ctx.for_pieces(nhwc, pixels * stride, |n, nhwc| {
        let image = &nchw[n * channels * pixels..][..channels * pixels];
        for (p, row) in nhwc.chunks_exact_mut(stride).enumerate() {
            for (c, value) in row[..channels].iter_mut().enumerate() {
                *value = image[c * pixels + p];
            }
            row[channels..].fill(0.0);
        }
    });
}

/// `[batch, pixels, stride]` to `[batch, channels, pixels]`.
///
/// # Panics
/// When a slice is shorter than the shape says or `stride < channels`.
pub fn nhwc_to_nchw(
    ctx: &Context,
    batch: usize,
    channels: usize,
    pixels: usize,
    stride: usize,
    nhwc: &[f32],
    nchw: &mut [f32],
) {
    assert!(stride >= channels, "stride {stride} below {channels} channels");
    let nhwc = &nhwc[..product(&[batch, pixels, stride])];
    let nchw = &mut nchw[..product(&[batch, channels, pixels])];
    if nchw.is_empty() {
        return;
    }
    ctx.for_pieces(nchw, channels * pixels, |n, image| {
        let rows = &nhwc[n * pixels * stride..][..pixels * stride];
        for (p, row) in rows.chunks_exact(stride).enumerate() {
            for (c, value) in row[..channels].iter().enumerate() {
                image[c * pixels + p] = *value;
            }
        }
    });
}

/// Sets every element to 0.
pub fn fill_zero(ctx: &Context, y: &mut [f32]) {
    let len = y.len();
    let base = SendPtr(y.as_mut_ptr());
    let piece = 1 << 16;
    ctx.run(len.div_ceil(piece), |task, _| {
        let n = piece.min(len - task * piece);
        // SAFETY: pieces of different tasks are disjoint parts of `y`; all-zero bytes are the f32 0.
        unsafe { std::ptr::write_bytes(base.get().add(task * piece), 0, n) };
    });
}
