//! Convolution by plain loops: any stride, padding, dilation and groups.
//!
//! The readable version. It serves the geometries that no fast path covers (groups that are neither one nor
//! depthwise) and is forced by tests to check the dispatch.

use super::{Conv2d, Epilogue};
use crate::context::{Context, SendPtr};
use crate::layout::LANES;

/// Input coordinate of output position `o` and tap `k` along `axis`, if it is not padding.
#[inline]
fn source(conv: &Conv2d, axis: usize, o: usize, k: usize) -> Option<usize> {
    let size = [conv.height, conv.width][axis];
    (o * conv.stride[axis] + k * conv.dilation[axis]).checked_sub(conv.padding[axis]).filter(|i| *i < size)
}

/// First input channel that output channel `o` reads.
#[inline]
fn first_input(conv: &Conv2d, o: usize) -> usize {
    (o / (conv.c_out / conv.groups)) * (conv.c_in / conv.groups)
}

/// `y = f(conv(x, w) + bias + residual)`.
pub(crate) fn forward(
    ctx: &Context,
    conv: &Conv2d,
    x: &[f32],
    w: &[f32],
    epilogue: &Epilogue,
    y: &mut [f32],
) {
    let (oh, ow, ys) = (conv.out_height(), conv.out_width(), conv.y_stride());
    ctx.for_pieces(y, ow * ys, |task, row| {
        let (n, i) = (task / oh, task % oh);
        for j in 0..ow {
            for block in 0..ys / LANES {
                let mut acc = [0.0f32; LANES];
                accumulate_block(conv, x, w, [n, i, j], block, &mut acc);
                let at = j * ys + block * LANES;
                for lane in 0..LANES {
                    let c = block * LANES + lane;
                    let mut z = acc[lane];
                    if let Some(bias) = epilogue.bias {
                        z += bias[c];
                    }
                    if let Some(residual) = epilogue.residual {
                        z += residual[task * ow * ys + at + lane];
                    }
                    row[at + lane] = if c < conv.c_out { epilogue.activation.apply(z) } else { 0.0 };
                }
            }
        }
    });
}

/// Adds the products of one output pixel and block of output channels to `acc`.
fn accumulate_block(
    conv: &Conv2d,
    x: &[f32],
    w: &[f32],
    [n, i, j]: [usize; 3],
    block: usize,
    acc: &mut [f32; LANES],
) {
    let (taps, inputs) = (conv.taps(), conv.packed_inputs());
    for kh in 0..conv.kernel[0] {
        let Some(h) = source(conv, 0, i, kh) else { continue };
        for kw in 0..conv.kernel[1] {
            let Some(v) = source(conv, 1, j, kw) else { continue };
            let tap = kh * conv.kernel[1] + kw;
            let pixel = &x[((n * conv.height + h) * conv.width + v) * conv.x_stride..][..conv.x_stride];
            if conv.is_depthwise() {
                let at = block * LANES;
                let w = &w[tap * conv.y_stride() + at..][..LANES];
                for lane in 0..LANES {
                    acc[lane] += pixel[at + lane] * w[lane];
                }
            } else {
                let w = &w[(block * taps + tap) * inputs * LANES..][..inputs * LANES];
                if conv.groups == 1 {
                    for (x, w) in pixel.iter().zip(w.chunks_exact(LANES)) {
                        for lane in 0..LANES {
                            acc[lane] += x * w[lane];
                        }
                    }
                } else {
                    for lane in 0..LANES.min(conv.c_out - block * LANES) {
                        let first = first_input(conv, block * LANES + lane);
                        for c in 0..inputs {
                            acc[lane] += pixel[first + c] * w[c * LANES + lane];
                        }
                    }
                }
            }
        }
    }
}

/// `dx = transpose(conv)(dy, w)`, or `dx += ..`.
pub(crate) fn backward_data(
    ctx: &Context,
    conv: &Conv2d,
    dy: &[f32],
    w: &[f32],
    dx: &mut [f32],
    accumulate: bool,
) {
    let (oh, ow, ys, xs) = (conv.out_height(), conv.out_width(), conv.y_stride(), conv.x_stride);
    let (taps, inputs) = (conv.taps(), conv.packed_inputs());
    ctx.for_pieces(dx, conv.width * xs, |task, row| {
        let (n, h) = (task / conv.height, task % conv.height);
        if !accumulate {
            row.fill(0.0);
        }
        for (i, j, tap, v) in row_contributions(conv, h) {
            let dy = &dy[((n * oh + i) * ow + j) * ys..][..ys];
            let dx = &mut row[v * xs..][..xs];
            if conv.is_depthwise() {
                for ((dx, dy), w) in dx.iter_mut().zip(dy).zip(&w[tap * ys..][..ys]) {
                    *dx += dy * w;
                }
                continue;
            }
            for (block, dy) in dy.chunks_exact(LANES).enumerate() {
                let w = &w[(block * taps + tap) * inputs * LANES..][..inputs * LANES];
                if conv.groups == 1 {
                    for (dx, w) in dx.iter_mut().zip(w.chunks_exact(LANES)) {
                        *dx += dy.iter().zip(w).map(|(d, w)| d * w).sum::<f32>();
                    }
                } else {
                    for lane in 0..LANES.min(conv.c_out - block * LANES) {
                        let first = first_input(conv, block * LANES + lane);
                        for c in 0..inputs {
                            dx[first + c] += dy[lane] * w[c * LANES + lane];
                        }
                    }
                }
            }
        }
    });
}

/// All `(output row, output column, tap, input column)` that touch input row `h`.
fn row_contributions(conv: &Conv2d, h: usize) -> Vec<(usize, usize, usize, usize)> {
    let mut found = Vec::new();
    for kh in 0..conv.kernel[0] {
        for i in 0..conv.out_height() {
            if source(conv, 0, i, kh) != Some(h) {
                continue;
            }
            for kw in 0..conv.kernel[1] {
                for j in 0..conv.out_width() {
                    if let Some(v) = source(conv, 1, j, kw) {
                        found.push((i, j, kh * conv.kernel[1] + kw, v));
                    }
                }
            }
        }
    }
    found
}

/// `dw = gradient of the weights`, overwritten. One task a tap and block of output channels.
pub(crate) fn backward_weights(ctx: &Context, conv: &Conv2d, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let (taps, inputs, ys) = (conv.taps(), conv.packed_inputs(), conv.y_stride());
    let len = dw.len();
    let base = SendPtr(dw.as_mut_ptr());
    let rows = if conv.is_depthwise() { 1 } else { inputs };
    assert_eq!(len, taps * (ys / LANES) * rows * LANES, "gradient length of {}", conv.label());
    ctx.run(taps * (ys / LANES), |task, _| {
        let (block, tap) = (task / taps, task % taps);
        let at = if conv.is_depthwise() {
            tap * ys + block * LANES
        } else {
            (block * taps + tap) * inputs * LANES
        };
        // SAFETY: the parts of different blocks and taps are disjoint, and together they are `dw`, whose length
        // was checked above.
        let dw = unsafe { std::slice::from_raw_parts_mut(base.get().add(at), rows * LANES) };
        dw.fill(0.0);
        let mut row_sum = vec![0.0f32; rows * LANES];
        for n in 0..conv.batch {
            for i in 0..conv.out_height() {
                // Sums of one row first: fewer roundings than one long sum.
                row_sum.fill(0.0);
                weight_gradient_row(conv, x, dy, [n, i], block, tap, &mut row_sum);
                for (total, part) in dw.iter_mut().zip(&row_sum) {
                    *total += part;
                }
            }
        }
    });
}

/// Adds the contribution of output row `i` of image `n` to the gradient of one block and tap.
fn weight_gradient_row(
    conv: &Conv2d,
    x: &[f32],
    dy: &[f32],
    [n, i]: [usize; 2],
    block: usize,
    tap: usize,
    sum: &mut [f32],
) {
    let (ow, ys, xs) = (conv.out_width(), conv.y_stride(), conv.x_stride);
    let Some(h) = source(conv, 0, i, tap / conv.kernel[1]) else { return };
    for j in 0..ow {
        let Some(v) = source(conv, 1, j, tap % conv.kernel[1]) else { continue };
        let x = &x[((n * conv.height + h) * conv.width + v) * xs..][..xs];
        let dy = &dy[((n * conv.out_height() + i) * ow + j) * ys + block * LANES..][..LANES];
        if conv.is_depthwise() {
            for lane in 0..LANES {
                sum[lane] += x[block * LANES + lane] * dy[lane];
            }
        } else if conv.groups == 1 {
            for (x, sum) in x.iter().zip(sum.chunks_exact_mut(LANES)) {
                for lane in 0..LANES {
                    sum[lane] += x * dy[lane];
                }
            }
        } else {
            for lane in 0..LANES.min(conv.c_out - block * LANES) {
                let first = first_input(conv, block * LANES + lane);
                for c in 0..conv.packed_inputs() {
                    sum[c * LANES + lane] += x[first + c] * dy[lane];
                }
            }
        }
    }
}
