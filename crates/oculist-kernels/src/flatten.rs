//! A map as one row of features, and its gradient.

use crate::context::Context;
use crate::layout::channel_stride;

/// `y[n, c * pixels + p] = x[n, p, c]`: ONNX's `Flatten`, whose order is that of `[N, C, H, W]`.
///
/// # Shapes
/// `x`: `[batch, pixels, stride]`; `y`: `[batch, channel_stride(channels * pixels)]`, padded lanes become 0.
///
/// # Panics
/// When a slice is shorter than the shape says or `stride < channels`.
pub fn flatten(
    ctx: &Context,
    batch: usize,
    channels: usize,
    pixels: usize,
    stride: usize,
    x: &[f32],
    y: &mut [f32],
) {
    assert!(stride >= channels, "stride {stride} below {channels} channels");
    let y_stride = channel_stride(channels * pixels);
    let (x, y) = (&x[..batch * pixels * stride], &mut y[..batch * y_stride]);
    if x.is_empty() {
        return;
    }
    ctx.for_pieces(y, y_stride, |n, row| {
        let map = &x[n * pixels * stride..][..pixels * stride];
        for (p, pixel) in map.chunks_exact(stride).enumerate() {
            for (c, &value) in pixel[..channels].iter().enumerate() {
                row[c * pixels + p] = value;
            }
        }
        row[channels * pixels..].fill(0.0);
    });
}

/// The gradient of [`flatten`]: `dx[n, p, c] = dy[n, c * pixels + p]` (or `dx += ..`).
///
/// # Shapes
/// `dy`: `[batch, channel_stride(channels * pixels)]`; `dx`: `[batch, pixels, stride]`, padded lanes become 0 unless
/// added to.
///
/// # Panics
/// When a slice is shorter than the shape says or `stride < channels`.
pub fn flatten_backward(
    ctx: &Context,
    batch: usize,
    channels: usize,
    pixels: usize,
    stride: usize,
    dy: &[f32],
    dx: &mut [f32],
    accumulate: bool,
) {
    assert!(stride >= channels, "stride {stride} below {channels} channels");
    let y_stride = channel_stride(channels * pixels);
    let (dy, dx) = (&dy[..batch * y_stride], &mut dx[..batch * pixels * stride]);
    if dx.is_empty() {
        return;
    }
    ctx.for_pieces(dx, pixels * stride, |n, map| {
        let row = &dy[n * y_stride..][..y_stride];
        for (p, pixel) in map.chunks_exact_mut(stride).enumerate() {
            for (c, value) in pixel[..channels].iter_mut().enumerate() {
                let gradient = row[c * pixels + p];
                *value = if accumulate { *value + gradient } else { gradient };
            }
            if !accumulate {
                pixel[channels..].fill(0.0);
            }
        }
    });
}
