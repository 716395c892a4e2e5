//! Gradients of batch normalisation with a fused activation and residual.
//!
//! Two passes: the first sums `dz` and `dz * (x - mean)`, the second distributes them.

use super::{INNER, flush, fold_scale_shift, reduce};
use crate::activation::Activation;
use crate::context::{Context, SendPtr};
use crate::layout::{LANES, Rows, blocks, blocks_mut};
use crate::simd::{Kernel, Simd, dispatch};

/// What [`batch_norm_backward`] and [`fixed_norm_backward`] read.
///
/// The forward pass was `z = gamma * (x - mean) * inv_std + beta + residual`, `y = f(z)`.
#[derive(Debug, Clone, Copy)]
pub struct BatchNormBackward<'a> {
    /// Input of the normalisation, `[rows, stride]`.
    pub x: &'a [f32],
    /// Output after the activation, `[rows, stride]`. Read only when there was a residual and the derivative
    /// follows from the output; without a residual `z` is computed again from `x`, which is read anyway.
    pub y: &'a [f32],
    /// What was added before the activation. Only HardSwish with a residual reads its elements; for the others
    /// it only says that there was one.
    pub residual: Option<&'a [f32]>,
    /// Gradient of `y`, `[rows, stride]`.
    pub dy: &'a [f32],
    /// Factor, `[stride]`.
    pub gamma: &'a [f32],
    /// Summand, `[stride]`, padded lanes 0.
    pub beta: &'a [f32],
    /// Mean of the batch or of any other number of images, `[stride]`.
    pub mean: &'a [f32],
    /// `1 / sqrt(variance + eps)`, `[stride]`.
    pub inv_std: &'a [f32],
    /// The fused activation.
    pub activation: Activation,
}

/// What they write.
#[derive(Debug)]
pub struct BatchNormGradients<'a> {
    /// Gradient of `x`, `[rows, stride]`, overwritten.
    pub dx: &'a mut [f32],
    /// Gradient of `gamma`, `[stride]`, overwritten.
    pub dgamma: &'a mut [f32],
    /// Gradient of `beta`, `[stride]`, overwritten.
    pub dbeta: &'a mut [f32],
    /// Gradient of the residual, `[rows, stride]`; added to what is there when the flag is set.
    pub dresidual: Option<(&'a mut [f32], bool)>,
}

/// How `dz = dy * f'(z)` is told.
#[derive(Clone, Copy, PartialEq)]
enum Source {
    /// No activation.
    None,
    /// `z` from `x`.
    FromX,
    /// `z` from `x` and the residual.
    FromXAndResidual,
    /// From the output.
    FromY,
}

/// Gradients of batch normalisation over the batch's own statistics, with a fused activation and residual.
///
/// `dz = dy * f'(z)`, `dbeta = sum dz`, `dgamma = sum dz * xhat`,
/// `dx = gamma * inv_std * (dz - dbeta / rows - xhat * dgamma / rows)`, `dresidual = dz`.
///
/// # Panics
/// When a slice is shorter than the shape says.
pub fn batch_norm_backward(
    ctx: &Context,
    shape: Rows,
    input: &BatchNormBackward,
    output: BatchNormGradients,
) {
    backward(ctx, shape, input, output, false);
}

/// Gradients of batch normalisation by statistics that do not depend on the batch, with a fused activation and residual.
///
/// `dz = dy * f'(z)`, `dbeta = sum dz`, `dgamma = sum dz * xhat`, `dx = gamma * inv_std * dz`, `dresidual = dz`.
///
/// # Panics
/// When a slice is shorter than the shape says.
pub fn fixed_norm_backward(
    ctx: &Context,
    shape: Rows,
    input: &BatchNormBackward,
    output: BatchNormGradients,
) {
    backward(ctx, shape, input, output, true);
}

/// Both: with `fixed`, mean and variance are constants, and what flows through them is left out.
fn backward(ctx: &Context, shape: Rows, input: &BatchNormBackward, output: BatchNormGradients, fixed: bool) {
    let BatchNormGradients { dx, dgamma, dbeta, dresidual } = output;
    let stride = shape.stride();
    let (dgamma, dbeta) = (&mut dgamma[..stride], &mut dbeta[..stride]);
    dgamma.fill(0.0);
    dbeta.fill(0.0);
    if shape.is_empty() {
        return;
    }
    let len = shape.len();
    let source = match (input.activation, input.residual) {
        (Activation::Identity, _) => Source::None,
        (_, None) => Source::FromX,
        (activation, Some(_)) if activation.derivative_from_output() => Source::FromY,
        _ => Source::FromXAndResidual,
    };
    let mut scale = vec![0.0; stride];
    let mut shift = vec![0.0; stride];
    fold_scale_shift(
        &input.gamma[..stride],
        &input.beta[..stride],
        &input.mean[..stride],
        &input.inv_std[..stride],
        &mut scale,
        &mut shift,
    );
    let x = &input.x[..len];
    let dy = &input.dy[..len];
    let other = match source {
        Source::FromY => &input.y[..len],
        Source::FromXAndResidual => &input.residual.unwrap_or(&[])[..len],
        Source::None | Source::FromX => x,
    };
    let pass = Pass { source, activation: input.activation, scale: &scale, shift: &shift, stride };
    let sums = reduce(ctx, shape, |first, last, sums| {
        let part = first * stride..last * stride;
        dispatch(
            ctx,
            Reduce {
                pass,
                x: &x[part.clone()],
                other: &other[part.clone()],
                dy: &dy[part],
                mean: &input.mean[..stride],
                sums,
            },
        );
    });
    // dx = a * dz + b * x + c with coefficients per channel.
    let mut coefficients = vec![0.0f32; 3 * stride];
    let n = shape.rows as f64;
    for c in 0..stride {
        let inv_std = f64::from(input.inv_std[c]);
        let (sum_dz, sum_dz_xhat) = (sums[c], sums[stride + c] * inv_std);
        dbeta[c] = sum_dz as f32;
        dgamma[c] = sum_dz_xhat as f32;
        let a = f64::from(input.gamma[c]) * inv_std;
        coefficients[c] = a as f32;
        if fixed {
            continue;
        }
        let b = -a * inv_std * sum_dz_xhat / n;
        coefficients[stride + c] = b as f32;
        coefficients[2 * stride + c] = (-a * sum_dz / n) as f32;
    }
    for c in shape.channels..stride {
        for k in 0..3 {
            coefficients[k * stride + c] = 0.0;
        }
    }
    let mean = &input.mean[..stride];
    let dx = &mut dx[..len];
    let piece = Context::piece_len(len, stride);
    let (dresidual, accumulate) = match dresidual {
        Some((d, accumulate)) => (Some(SendPtr(d[..len].as_mut_ptr())), accumulate),
        None => (None, false),
    };
    ctx.for_pieces(dx, piece, |i, dx| {
        let part = i * piece..i * piece + dx.len();
        // SAFETY: piece `i` owns this part of `dresidual`, whose length was checked above.
        let dresidual =
            dresidual.map(|d| unsafe { std::slice::from_raw_parts_mut(d.get().add(part.start), dx.len()) });
        let (x, other, dy) = (&x[part.clone()], &other[part.clone()], &dy[part]);
        dispatch(
            ctx,
            Distribute { pass, x, other, dy, mean, coefficients: &coefficients, dx, dresidual, accumulate },
        );
    });
}

/// What both passes of the backward computation share.
#[derive(Clone, Copy)]
struct Pass<'a> {
    source: Source,
    activation: Activation,
    scale: &'a [f32],
    shift: &'a [f32],
    stride: usize,
}

impl Pass<'_> {
    /// `dz` of block `b` of a row.
    #[inline(always)]
    fn dz<S: Simd>(self, s: S, b: usize, x: S::V, other: &[f32; LANES], dy: S::V) -> S::V {
        match self.source {
            Source::None => dy,
            Source::FromX => {
                let z = s.mul_add(x, s.load(&blocks(self.scale)[b]), s.load(&blocks(self.shift)[b]));
                self.activation.backward_simd(s, z, dy)
            }
            Source::FromXAndResidual => {
                let z = s.mul_add(x, s.load(&blocks(self.scale)[b]), s.load(&blocks(self.shift)[b]));
                self.activation.backward_simd(s, s.add(z, s.load(other)), dy)
            }
            Source::FromY => self.activation.backward_from_output(s, s.load(other), dy),
        }
    }
}

/// Sums `dz` and `dz * (x - mean)`.
struct Reduce<'a> {
    pass: Pass<'a>,
    x: &'a [f32],
    other: &'a [f32],
    dy: &'a [f32],
    mean: &'a [f32],
    sums: &'a mut [f64],
}

impl Kernel for Reduce<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let n = self.pass.stride / LANES;
        let (sum, product) = self.sums.split_at_mut(n * LANES);
        let mean = blocks(self.mean);
        let rows = blocks(self.x)
            .chunks(INNER * n)
            .zip(blocks(self.other).chunks(INNER * n))
            .zip(blocks(self.dy).chunks(INNER * n));
        for ((x, other), dy) in rows {
            for b in 0..n {
                let m = s.load(&mean[b]);
                let (mut sum_dz, mut sum_product) = (s.zero(), s.zero());
                for i in (b..x.len()).step_by(n) {
                    let v = s.load(&x[i]);
                    let dz = self.pass.dz(s, b, v, &other[i], s.load(&dy[i]));
                    sum_dz = s.add(sum_dz, dz);
                    sum_product = s.mul_add(dz, s.sub(v, m), sum_product);
                }
                flush(s, sum_dz, &mut sum[b * LANES..]);
                flush(s, sum_product, &mut product[b * LANES..]);
            }
        }
    }
}

/// `dx = a * dz + b * (x - mean) + c`, and `dz` to the residual.
struct Distribute<'a> {
    pass: Pass<'a>,
    x: &'a [f32],
    other: &'a [f32],
    dy: &'a [f32],
    mean: &'a [f32],
    coefficients: &'a [f32],
    dx: &'a mut [f32],
    dresidual: Option<&'a mut [f32]>,
    accumulate: bool,
}

impl Kernel for Distribute<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let n = self.pass.stride / LANES;
        let coefficients = blocks(self.coefficients);
        let mean = blocks(self.mean);
        let (x, other, dy) = (blocks(self.x), blocks(self.other), blocks(self.dy));
        let mut dresidual = self.dresidual.map(blocks_mut);
        for (row, dx) in blocks_mut(self.dx).chunks_exact_mut(n).enumerate() {
            for b in 0..n {
                let i = row * n + b;
                let v = s.load(&x[i]);
                let dz = self.pass.dz(s, b, v, &other[i], s.load(&dy[i]));
                let (ca, cb, cc) = (
                    s.load(&coefficients[b]),
                    s.load(&coefficients[n + b]),
                    s.load(&coefficients[2 * n + b]),
                );
                let centred = s.sub(v, s.load(&mean[b]));
                s.store(s.mul_add(dz, ca, s.mul_add(centred, cb, cc)), &mut dx[b]);
                if let Some(dresidual) = &mut dresidual {
                    let old = if self.accumulate { s.load(&dresidual[i]) } else { s.zero() };
                    s.store(s.add(old, dz), &mut dresidual[i]);
                }
            }
        }
    }
}
