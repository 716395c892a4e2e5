//! Batch normalisation: statistics, application and gradients, with activation and residual addition fused.
//!
//! Everything here is bound by memory, so each pass touches an element once. Sums run over chunks of rows whose
//! number depends on the shape alone: the result does not depend on the number of threads. Within a chunk, sums of
//! [`INNER`] rows are taken in f32 and added up in f64.
//!
//! # Source
//! Ioffe and Szegedy, "Batch Normalization", 2015.

mod backward;
mod group;
mod layer;

pub use backward::{BatchNormBackward, BatchNormGradients, batch_norm_backward, fixed_norm_backward};
pub use group::{GroupNorm, GroupNormBackward, group_norm, group_norm_backward};
pub use layer::{LayerNormBackward, layer_norm, layer_norm_backward};

use crate::activation::{Activation, tail_mask};
use crate::context::Context;
use crate::layout::{LANES, Rows, blocks, blocks_mut};
use crate::simd::{Kernel, Simd, dispatch};

/// Rows summed in f32 before the sum goes to f64.
const INNER: usize = 64;

/// The rows of each chunk of a reduction, a multiple of [`INNER`], and the number of chunks (at most 64).
fn chunks(rows: usize) -> (usize, usize) {
    let chunk = rows.div_ceil(64).div_ceil(INNER).max(1) * INNER;
    (chunk, rows.div_ceil(chunk).max(1))
}

/// Sums two quantities per channel over chunks of rows: `kernel(first row, last row, sums)` adds its chunk's two
/// sums, `2 * stride` f64; the chunks' sums are then added in order.
fn reduce(ctx: &Context, shape: Rows, body: impl Fn(usize, usize, &mut [f64]) + Sync) -> Vec<f64> {
    let (chunk, n) = chunks(shape.rows);
    let width = 2 * shape.stride();
    let mut partial = vec![0.0f64; n * width];
    ctx.for_pieces(&mut partial, width, |i, sums| {
        body(i * chunk, ((i + 1) * chunk).min(shape.rows), sums);
    });
    let (total, rest) = partial.split_at_mut(width);
    for part in rest.chunks_exact(width) {
        for (t, p) in total.iter_mut().zip(part) {
            *t += p;
        }
    }
    partial.truncate(width);
    partial
}

/// Adds a block of f32 sums to f64 sums.
#[inline(always)]
fn flush<S: Simd>(s: S, v: S::V, sums: &mut [f64]) {
    for (sum, v) in sums.iter_mut().zip(s.to_array(v)) {
        *sum += f64::from(v);
    }
}

/// Mean and biased variance of every channel.
///
/// The sums are taken of `x - x[0]`, so that a large mean does not eat up the variance.
///
/// # Shapes
/// `x`: `[rows, stride]`; `mean`, `variance`: `[stride]`, padded lanes 0.
///
/// # Panics
/// When a slice is shorter than the shape says.
pub fn batch_statistics(ctx: &Context, shape: Rows, x: &[f32], mean: &mut [f32], variance: &mut [f32]) {
    struct Moments<'a> {
        x: &'a [f32],
        origin: &'a [f32],
        sums: &'a mut [f64],
    }
    impl Kernel for Moments<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let origin = blocks(self.origin);
            let n = origin.len();
            let (sum, square) = self.sums.split_at_mut(n * LANES);
            for rows in blocks(self.x).chunks(INNER * n) {
                for b in 0..n {
                    let o = s.load(&origin[b]);
                    let (mut sum0, mut sum1) = (s.zero(), s.zero());
                    let (mut square0, mut square1) = (s.zero(), s.zero());
                    let mut i = b;
                    while i + n < rows.len() {
                        let d0 = s.sub(s.load(&rows[i]), o);
                        let d1 = s.sub(s.load(&rows[i + n]), o);
                        sum0 = s.add(sum0, d0);
                        sum1 = s.add(sum1, d1);
                        square0 = s.mul_add(d0, d0, square0);
                        square1 = s.mul_add(d1, d1, square1);
                        i += 2 * n;
                    }
                    if i < rows.len() {
                        let d = s.sub(s.load(&rows[i]), o);
                        sum0 = s.add(sum0, d);
                        square0 = s.mul_add(d, d, square0);
                    }
                    flush(s, s.add(sum0, sum1), &mut sum[b * LANES..]);
                    flush(s, s.add(square0, square1), &mut square[b * LANES..]);
                }
            }
        }
    }
    let stride = shape.stride();
    let (mean, variance) = (&mut mean[..stride], &mut variance[..stride]);
    mean.fill(0.0);
    variance.fill(0.0);
    if shape.is_empty() {
        return;
    }
    let x = &x[..shape.len()];
    let origin = &x[..stride];
    let sums = reduce(ctx, shape, |first, last, sums| {
        dispatch(ctx, Moments { x: &x[first * stride..last * stride], origin, sums });
    });
    let n = shape.rows as f64;
    for c in 0..stride {
        let shift = sums[c] / n;
        mean[c] = (f64::from(origin[c]) + shift) as f32;
        variance[c] = (sums[stride + c] / n - shift * shift).max(0.0) as f32;
    }
}

/// Folds batch norm into one factor and one summand per channel: `scale = gamma * inv_std`,
/// `shift = beta - mean * scale`.
///
/// # Panics
/// When the lengths differ.
pub fn fold_scale_shift(
    gamma: &[f32],
    beta: &[f32],
    mean: &[f32],
    inv_std: &[f32],
    scale: &mut [f32],
    shift: &mut [f32],
) {
    let n = scale.len();
    assert!([gamma.len(), beta.len(), mean.len(), inv_std.len(), shift.len()].iter().all(|len| *len == n));
    for c in 0..n {
        scale[c] = gamma[c] * inv_std[c];
        shift[c] = beta[c] - mean[c] * scale[c];
    }
}

/// `y = f(x * scale + shift + residual)`.
///
/// # Shapes
/// `x`, `residual`, `y`: `[rows, stride]`; `scale`, `shift`: `[stride]`, padded lanes of `shift` 0.
///
/// # Panics
/// When a slice is shorter than the shape says.
pub fn scale_shift(
    ctx: &Context,
    shape: Rows,
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    residual: Option<&[f32]>,
    activation: Activation,
    y: &mut [f32],
) {
    struct Apply<'a> {
        x: &'a [f32],
        scale: &'a [f32],
        shift: &'a [f32],
        residual: Option<&'a [f32]>,
        activation: Activation,
        mask: Option<[f32; LANES]>,
        y: &'a mut [f32],
    }
    impl Kernel for Apply<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let (scale, shift) = (blocks(self.scale), blocks(self.shift));
            let n = scale.len();
            let x = blocks(self.x);
            let y = blocks_mut(self.y);
            let residual = self.residual.map(blocks);
            let last = n - 1;
            for (row, y) in y.chunks_exact_mut(n).enumerate() {
                let x = &x[row * n..][..n];
                let residual = residual.map(|r| &r[row * n..][..n]);
                for b in 0..n {
                    let mut z = s.mul_add(s.load(&x[b]), s.load(&scale[b]), s.load(&shift[b]));
                    if let Some(r) = residual {
                        z = s.add(z, s.load(&r[b]));
                    }
                    let mut v = self.activation.apply_simd(s, z);
                    if let (Some(mask), true) = (&self.mask, b == last) {
                        v = s.mul(v, s.load(mask));
                    }
                    s.store(v, &mut y[b]);
                }
            }
        }
    }
    if shape.is_empty() {
        return;
    }
    let stride = shape.stride();
    let (x, y) = (&x[..shape.len()], &mut y[..shape.len()]);
    let residual = residual.map(|r| &r[..shape.len()]);
    let (scale, shift) = (&scale[..stride], &shift[..stride]);
    let mask = (!activation.keeps_zero() && shape.channels < stride).then(|| tail_mask(shape.channels));
    let piece = Context::piece_len(y.len(), stride);
    ctx.for_pieces(y, piece, |i, y| {
        let part = i * piece..i * piece + y.len();
        let residual = residual.map(|r| &r[part.clone()]);
        dispatch(ctx, Apply { x: &x[part], scale, shift, residual, activation, mask, y });
    });
}

/// `sums[c] = sum over rows of x`: the gradient of a bias.
///
/// # Shapes
/// `x`: `[rows, stride]`; `sums`: `[stride]`, overwritten.
///
/// # Panics
/// When a slice is shorter than the shape says.
pub fn column_sums(ctx: &Context, shape: Rows, x: &[f32], sums: &mut [f32]) {
    struct Columns<'a> {
        x: &'a [f32],
        sums: &'a mut [f64],
    }
    impl Kernel for Columns<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let n = self.sums.len() / (2 * LANES);
            for rows in blocks(self.x).chunks(INNER * n) {
                for b in 0..n {
                    let mut sum = s.zero();
                    for i in (b..rows.len()).step_by(n) {
                        sum = s.add(sum, s.load(&rows[i]));
                    }
                    flush(s, sum, &mut self.sums[b * LANES..][..LANES]);
                }
            }
        }
    }
    let stride = shape.stride();
    let sums = &mut sums[..stride];
    let x = &x[..shape.len()];
    let total = reduce(ctx, shape, |first, last, sums| {
        dispatch(ctx, Columns { x: &x[first * stride..last * stride], sums });
    });
    for (sum, total) in sums.iter_mut().zip(total) {
        *sum = total as f32;
    }
}
