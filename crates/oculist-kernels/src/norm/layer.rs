//! Layer normalisation of every pixel over its channels, as in transformers and ConvNeXt.
//!
//! Sixteen rows at a time stay in the cache, so the mean, the squares about it and the result are three passes over
//! the rows and one over memory. The gradients of `gamma` and `beta` are summed over chunks of rows whose number depends on
//! the shape alone: the result does not depend on the number of threads.
//!
//! # Source
//! Ba, Kiros and Hinton, "Layer Normalization", 2016.

use super::{INNER, chunks, flush};
use crate::activation::tail_mask;
use crate::context::{Context, SendPtr};
use crate::layout::{LANES, Rows, blocks, blocks_mut};
use crate::simd::{Kernel, Simd, dispatch};

/// Lane `r` of the result is the sum of the lanes of `rows[r]`, in a fixed order.
///
/// One transpose for sixteen rows costs less than sixteen sums across lanes.
#[inline(always)]
fn sum_lanes<S: Simd>(s: S, rows: [S::V; LANES]) -> S::V {
    let mut columns = s.transpose(rows);
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            columns[i] = s.add(columns[i], columns[i + half]);
        }
    }
    columns[0]
}

/// `y = gamma * (x - mean) / sqrt(variance + eps) + beta` with the mean and the biased variance of each row over its
/// channels.
///
/// # Shapes
/// `x`, `y`: `[rows, stride]`; `gamma`, `beta`: `[stride]`; `mean`, `inv_std`: `[rows]`, the latter
/// `1 / sqrt(variance + eps)`, as [`layer_norm_backward`] needs them. `eps` is above 0.
///
/// # Panics
/// When a slice is shorter than the shape says or `eps` is not above 0.
pub fn layer_norm(
    ctx: &Context,
    shape: Rows,
    eps: f32,
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    y: &mut [f32],
    mean: &mut [f32],
    inv_std: &mut [f32],
) {
    assert!(eps > 0.0, "expected an eps above 0, found {eps}");
    if shape.is_empty() {
        return;
    }
    let stride = shape.stride();
    let (x, y) = (&x[..shape.len()], &mut y[..shape.len()]);
    let (gamma, beta) = (&gamma[..stride], &beta[..stride]);
    let means = SendPtr(mean[..shape.rows].as_mut_ptr());
    let inv_stds = SendPtr(inv_std[..shape.rows].as_mut_ptr());
    let piece = Context::piece_len(y.len(), stride);
    ctx.for_pieces(y, piece, |i, y| {
        let (first, rows) = (i * (piece / stride), y.len() / stride);
        let x = &x[i * piece..][..y.len()];
        // SAFETY: piece `i` owns these rows, of which both slices have one value each, as checked above.
        let (mean, inv_std) = unsafe {
            (
                std::slice::from_raw_parts_mut(means.get().add(first), rows),
                std::slice::from_raw_parts_mut(inv_stds.get().add(first), rows),
            )
        };
        dispatch(ctx, Forward { channels: shape.channels, eps, x, gamma, beta, y, mean, inv_std });
    });
}

/// The forward pass of some rows.
struct Forward<'a> {
    channels: usize,
    eps: f32,
    x: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    y: &'a mut [f32],
    mean: &'a mut [f32],
    inv_std: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (gamma, beta) = (blocks(self.gamma), blocks(self.beta));
        let n = gamma.len();
        let mask = s.load(&tail_mask(self.channels));
        let per_channel = s.splat(1.0 / self.channels as f32);
        let rows = blocks(self.x).chunks(LANES * n).zip(blocks_mut(self.y).chunks_mut(LANES * n));
        let statistics = self.mean.chunks_mut(LANES).zip(self.inv_std.chunks_mut(LANES));
        for ((x, y), (mean, inv_std)) in rows.zip(statistics) {
            let mut sums = [s.zero(); LANES];
            for (x, total) in x.chunks_exact(n).zip(&mut sums) {
                let mut sum = s.zero();
                for x in x {
                    sum = s.add(sum, s.load(x));
                }
                *total = sum;
            }
            let centre = s.to_array(s.mul(sum_lanes(s, sums), per_channel));
            let (mut rests, mut squares) = ([s.zero(); LANES], [s.zero(); LANES]);
            for (r, x) in x.chunks_exact(n).enumerate() {
                let c = s.splat(centre[r]);
                let (mut rest, mut square) = (s.zero(), s.zero());
                for b in 0..n {
                    let mut d = s.sub(s.load(&x[b]), c);
                    if b + 1 == n {
                        d = s.mul(d, mask);
                    }
                    rest = s.add(rest, d);
                    square = s.mul_add(d, d, square);
                }
                (rests[r], squares[r]) = (rest, square);
            }
            // The f32 mean is off by `shift`; the variance and the result are corrected for it.
            let shift = s.mul(sum_lanes(s, rests), per_channel);
            let variance = s.neg_mul_add(shift, shift, s.mul(sum_lanes(s, squares), per_channel));
            let (shift, variance) = (s.to_array(shift), s.to_array(s.max(variance, s.zero())));
            let factors = variance.map(|v| (1.0 / (f64::from(v) + f64::from(self.eps)).sqrt()) as f32);
            for (r, (x, y)) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)).enumerate() {
                mean[r] = centre[r] + shift[r];
                inv_std[r] = factors[r];
                let (c, factor) = (s.splat(centre[r]), s.splat(factors[r]));
                let summand = s.splat(-shift[r] * factors[r]);
                for b in 0..n {
                    let xhat = s.mul_add(s.sub(s.load(&x[b]), c), factor, summand);
                    let mut v = s.mul_add(xhat, s.load(&gamma[b]), s.load(&beta[b]));
                    if b + 1 == n {
                        v = s.mul(v, mask);
                    }
                    s.store(v, &mut y[b]);
                }
            }
        }
    }
}

/// What [`layer_norm_backward`] reads.
#[derive(Debug, Clone, Copy)]
pub struct LayerNormBackward<'a> {
    /// Input of the normalisation, `[rows, stride]`.
    pub x: &'a [f32],
    /// Gradient of its output, `[rows, stride]`.
    pub dy: &'a [f32],
    /// Factor, `[stride]`.
    pub gamma: &'a [f32],
    /// Means, `[rows]`, from [`layer_norm`].
    pub mean: &'a [f32],
    /// `1 / sqrt(variance + eps)`, `[rows]`, from [`layer_norm`].
    pub inv_std: &'a [f32],
}

/// Gradients of [`layer_norm`]: writes `dx`, `dgamma` and `dbeta`.
///
/// With `xhat = (x - mean) * inv_std` and averages over a row's channels:
/// `dbeta = sum dy`, `dgamma = sum dy * xhat`,
/// `dx = inv_std * (gamma * dy - average(gamma * dy) - xhat * average(gamma * dy * xhat))`.
///
/// # Shapes
/// `dx`: `[rows, stride]`; `dgamma`, `dbeta`: `[stride]`, padded lanes 0.
///
/// # Panics
/// When a slice is shorter than the shape says.
pub fn layer_norm_backward(
    ctx: &Context,
    shape: Rows,
    input: &LayerNormBackward,
    dx: &mut [f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let stride = shape.stride();
    let (dgamma, dbeta) = (&mut dgamma[..stride], &mut dbeta[..stride]);
    dgamma.fill(0.0);
    dbeta.fill(0.0);
    if shape.is_empty() {
        return;
    }
    let (x, dy, dx) = (&input.x[..shape.len()], &input.dy[..shape.len()], &mut dx[..shape.len()]);
    let gamma = &input.gamma[..stride];
    let (mean, inv_std) = (&input.mean[..shape.rows], &input.inv_std[..shape.rows]);
    let (chunk, n) = chunks(shape.rows);
    let width = 2 * stride;
    let mut partial = vec![0.0f64; n * width];
    let base = SendPtr(dx.as_mut_ptr());
    ctx.for_pieces(&mut partial, width, |i, sums| {
        let rows = i * chunk..((i + 1) * chunk).min(shape.rows);
        let part = rows.start * stride..rows.end * stride;
        // SAFETY: chunk `i` owns these rows of `dx`, which has `shape.rows` of them.
        let dx = unsafe { std::slice::from_raw_parts_mut(base.get().add(part.start), part.len()) };
        let (x, dy) = (&x[part.clone()], &dy[part]);
        let (mean, inv_std) = (&mean[rows.clone()], &inv_std[rows]);
        dispatch(ctx, Backward { channels: shape.channels, x, dy, gamma, mean, inv_std, dx, sums });
    });
    let mut totals = vec![0.0f64; width];
    for part in partial.chunks_exact(width) {
        for (t, p) in totals.iter_mut().zip(part) {
            *t += p;
        }
    }
    for c in 0..shape.channels {
        dbeta[c] = totals[c] as f32;
        dgamma[c] = totals[stride + c] as f32;
    }
}

/// The backward pass of a chunk of rows.
struct Backward<'a> {
    channels: usize,
    x: &'a [f32],
    dy: &'a [f32],
    gamma: &'a [f32],
    mean: &'a [f32],
    inv_std: &'a [f32],
    dx: &'a mut [f32],
    /// Sums of `dy`, then of `dy * xhat`.
    sums: &'a mut [f64],
}

impl Kernel for Backward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let gamma = blocks(self.gamma);
        let n = gamma.len();
        let mask = s.load(&tail_mask(self.channels));
        let per_channel = s.splat(1.0 / self.channels as f32);
        let mut inner = vec![[0.0f32; LANES]; 2 * n];
        let (x, dy) = (blocks(self.x), blocks(self.dy));
        let dx = blocks_mut(self.dx);
        let rows = self.mean.len();
        for first in (0..rows).step_by(INNER) {
            inner.fill([0.0; LANES]);
            let (inner_dy, inner_product) = inner.split_at_mut(n);
            for first in (first..(first + INNER).min(rows)).step_by(LANES) {
                let count = LANES.min(rows - first);
                let (mut sums, mut products) = ([s.zero(); LANES], [s.zero(); LANES]);
                for r in 0..count {
                    let row = first + r;
                    let (x, dy) = (&x[row * n..][..n], &dy[row * n..][..n]);
                    let (m, k) = (s.splat(self.mean[row]), s.splat(self.inv_std[row]));
                    let (mut sum, mut product) = (s.zero(), s.zero());
                    for b in 0..n {
                        let d = s.load(&dy[b]);
                        let xhat = s.mul(s.sub(s.load(&x[b]), m), k);
                        s.store(s.add(s.load(&inner_dy[b]), d), &mut inner_dy[b]);
                        s.store(s.mul_add(d, xhat, s.load(&inner_product[b])), &mut inner_product[b]);
                        let mut scaled = s.mul(d, s.load(&gamma[b]));
                        if b + 1 == n {
                            scaled = s.mul(scaled, mask);
                        }
                        sum = s.add(sum, scaled);
                        product = s.mul_add(scaled, xhat, product);
                    }
                    (sums[r], products[r]) = (sum, product);
                }
                let averages = s.to_array(s.mul(sum_lanes(s, sums), per_channel));
                let slopes = s.to_array(s.mul(sum_lanes(s, products), per_channel));
                for r in 0..count {
                    let row = first + r;
                    let (x, dy) = (&x[row * n..][..n], &dy[row * n..][..n]);
                    let (m, k) = (s.splat(self.mean[row]), s.splat(self.inv_std[row]));
                    let (average, slope) = (s.splat(averages[r]), s.splat(slopes[r]));
                    for (b, dx) in dx[row * n..][..n].iter_mut().enumerate() {
                        let xhat = s.mul(s.sub(s.load(&x[b]), m), k);
                        let centred = s.sub(s.mul(s.load(&dy[b]), s.load(&gamma[b])), average);
                        let mut v = s.mul(s.neg_mul_add(xhat, slope, centred), k);
                        if b + 1 == n {
                            v = s.mul(v, mask);
                        }
                        s.store(v, dx);
                    }
                }
            }
            for (b, block) in inner.iter().enumerate() {
                flush(s, s.load(block), &mut self.sums[b * LANES..]);
            }
        }
    }
}
