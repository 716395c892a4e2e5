//! Group normalisation, and with it instance normalisation and layer normalisation over whole images.
//!
//! Three steps. The first sums every channel of every image about its first pixel; the sums of a group's channels are
//! joined in f64, each channel's sum of squares moved to the group's mean, so that a large mean does not eat up the
//! variance. The last step is a subtraction, a factor and a summand per image and channel. The gradient has the same
//! form. Images are cut into chunks whose number depends on the shape alone, and the chunks' sums are added in order:
//! the result does not depend on the number of threads.
//!
//! # Source
//! Wu and He, "Group Normalization", 2018; Ulyanov et al., "Instance Normalization", 2016. The joined sums are those of
//! Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.

use super::{INNER, flush};
use crate::KernelError;
use crate::context::{Context, SendPtr};
use crate::layout::{LANES, blocks, blocks_mut, channel_stride, check_elements, product};
use crate::simd::{Kernel, Simd, dispatch};

/// f32 that a task of this module handles at least, if an image has so many.
const CHUNK: usize = 16_384;

/// A normalisation of every image over groups of channels and all pixels.
///
/// # Shapes
/// `x`, `y`: `[batch, pixels, channel_stride(channels)]`; `mean`, `inv_std`: `[batch, groups]`; `gamma`, `beta`:
/// `[channel_stride(channels)]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupNorm {
    /// Images.
    pub batch: usize,
    /// Pixels of an image.
    pub pixels: usize,
    /// Channels.
    pub channels: usize,
    /// Groups, each of `channels / groups` channels in a row.
    pub groups: usize,
    /// Added to the variance, above 0.
    pub eps: f32,
}

impl GroupNorm {
    /// Instance normalisation: every channel of every image on its own.
    pub const fn instance(batch: usize, pixels: usize, channels: usize, eps: f32) -> Self {
        Self { batch, pixels, channels, groups: channels, eps }
    }

    /// Layer normalisation over all pixels and channels of an image, with a factor and a summand per channel.
    ///
    /// For the kind that normalises every pixel over its channels, see [`layer_norm`](crate::layer_norm).
    pub const fn layer(batch: usize, pixels: usize, channels: usize, eps: f32) -> Self {
        Self { batch, pixels, channels, groups: 1, eps }
    }

    /// Checks the geometry.
    ///
    /// # Errors
    /// [`KernelError::Geometry`] when there are no channels, the groups do not divide them, `eps` is not a finite
    /// number above 0, or a tensor has more than [`MAX_ELEMENTS`](crate::MAX_ELEMENTS) elements.
    pub fn check(&self) -> Result<(), KernelError> {
        let fail = |reason: String| Err(KernelError::Geometry { operation: "group normalisation", reason });
        if self.channels == 0 || self.groups == 0 || !self.channels.is_multiple_of(self.groups) {
            return fail(format!("{} groups do not divide {} channels", self.groups, self.channels));
        }
        if !(self.eps > 0.0 && self.eps.is_finite()) {
            return fail(format!("expected an eps above 0, found {}", self.eps));
        }
        let parts = [
            ("an image", self.image_len()),
            ("the input", self.len()),
            ("the channels", self.stride()),
            ("the statistics", product(&[self.batch, self.stride()])),
        ];
        check_elements("group normalisation", &parts)
    }

    /// Channel stride in f32.
    pub const fn stride(&self) -> usize {
        channel_stride(self.channels)
    }

    /// f32 of `x`, padding included.
    pub const fn len(&self) -> usize {
        product(&[self.batch, self.pixels, self.stride()])
    }

    /// Whether there is no element at all.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// f32 of `mean` and of `inv_std`.
    pub const fn statistics_len(&self) -> usize {
        product(&[self.batch, self.groups])
    }

    /// f32 of an image.
    const fn image_len(&self) -> usize {
        product(&[self.pixels, self.stride()])
    }

    /// Elements that a mean is taken of.
    const fn group_len(&self) -> usize {
        product(&[self.pixels, self.channels / self.groups])
    }

    /// The channels of group `g`.
    const fn members(&self, g: usize) -> std::ops::Range<usize> {
        let n = self.channels / self.groups;
        g * n..(g + 1) * n
    }

    /// The pixels of a chunk, a multiple of [`INNER`], and the chunks of an image (at most 64).
    fn chunks(&self) -> (usize, usize) {
        let chunk = (CHUNK / self.stride()).max(self.pixels.div_ceil(64)).max(1).next_multiple_of(INNER);
        (chunk, self.pixels.div_ceil(chunk))
    }

    /// Panics unless the geometry is sound.
    fn assert_sound(&self) {
        if let Err(error) = self.check() {
            panic!("{error}");
        }
    }

    /// Runs `body(image, first f32, end)` for every chunk; the range counts from the tensor's start.
    fn for_chunks(&self, ctx: &Context, body: impl Fn(usize, std::ops::Range<usize>) + Sync) {
        let (chunk, n) = self.chunks();
        ctx.run(self.batch * n, |task, _| {
            let (image, i) = (task / n, task % n);
            let (first, last) = (i * chunk, ((i + 1) * chunk).min(self.pixels));
            let start = image * self.image_len();
            body(image, start + first * self.stride()..start + last * self.stride());
        });
    }

    /// Sums two quantities per image and channel, `[batch][2 * stride]`: `body(image, range, sums)` adds a chunk.
    fn reduce(
        &self,
        ctx: &Context,
        body: impl Fn(usize, std::ops::Range<usize>, &mut [f64]) + Sync,
    ) -> Vec<f64> {
        let (chunk, n) = self.chunks();
        let width = 2 * self.stride();
        let mut partial = vec![0.0f64; self.batch * n * width];
        ctx.for_pieces(&mut partial, width, |task, sums| {
            let (image, i) = (task / n, task % n);
            let (first, last) = (i * chunk, ((i + 1) * chunk).min(self.pixels));
            let start = image * self.image_len();
            body(image, start + first * self.stride()..start + last * self.stride(), sums);
        });
        let mut totals = vec![0.0f64; self.batch * width];
        for (total, parts) in totals.chunks_exact_mut(width).zip(partial.chunks_exact(n * width)) {
            for part in parts.chunks_exact(width) {
                for (t, p) in total.iter_mut().zip(part) {
                    *t += p;
                }
            }
        }
        totals
    }

    /// Runs `y = a * u + b * (x - centre) + c` with coefficients `[batch][4][stride]` in the order `centre, b, c, a`;
    /// without `u` the first term is left out.
    fn affine(&self, ctx: &Context, x: &[f32], u: Option<&[f32]>, coefficients: &[f32], y: &mut [f32]) {
        let stride = self.stride();
        assert_eq!(y.len(), self.len(), "output of a normalisation");
        let base = SendPtr(y.as_mut_ptr());
        self.for_chunks(ctx, |image, range| {
            // SAFETY: the ranges of different chunks are disjoint and lie inside of `y`, whose length was checked.
            let y = unsafe { std::slice::from_raw_parts_mut(base.get().add(range.start), range.len()) };
            let coefficients = &coefficients[image * 4 * stride..][..4 * stride];
            dispatch(ctx, Affine { x: &x[range.clone()], u: u.map(|u| &u[range]), coefficients, y });
        });
    }
}

/// Sums of `a` and of `a * b` per channel, where `b = x - origin` and `a` is `u`, or `b` itself without `u`.
struct Moments<'a> {
    x: &'a [f32],
    u: Option<&'a [f32]>,
    origin: &'a [f32],
    sums: &'a mut [f64],
}

impl Kernel for Moments<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let origin = blocks(self.origin);
        let n = origin.len();
        let (sum, product) = self.sums.split_at_mut(n * LANES);
        let x = blocks(self.x);
        let u = self.u.map(blocks);
        for first in (0..x.len()).step_by(INNER * n) {
            let last = (first + INNER * n).min(x.len());
            for b in 0..n {
                let o = s.load(&origin[b]);
                // Two sums each: one would wait for every addition.
                let (mut sums_a, mut sums_ab) = ([s.zero(); 2], [s.zero(); 2]);
                let mut i = first + b;
                while i < last {
                    for half in 0..2 {
                        if i < last {
                            let d = s.sub(s.load(&x[i]), o);
                            let a = u.map_or(d, |u| s.load(&u[i]));
                            sums_a[half] = s.add(sums_a[half], a);
                            sums_ab[half] = s.mul_add(a, d, sums_ab[half]);
                        }
                        i += n;
                    }
                }
                let (sum_a, sum_ab) = (s.add(sums_a[0], sums_a[1]), s.add(sums_ab[0], sums_ab[1]));
                flush(s, sum_a, &mut sum[b * LANES..]);
                flush(s, sum_ab, &mut product[b * LANES..]);
            }
        }
    }
}

/// See [`GroupNorm::affine`].
struct Affine<'a> {
    x: &'a [f32],
    u: Option<&'a [f32]>,
    coefficients: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Affine<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let coefficients = blocks(self.coefficients);
        let n = coefficients.len() / 4;
        let x = blocks(self.x);
        let u = self.u.map(blocks);
        for (row, y) in blocks_mut(self.y).chunks_exact_mut(n).enumerate() {
            for b in 0..n {
                let at = row * n + b;
                let centred = s.sub(s.load(&x[at]), s.load(&coefficients[b]));
                let mut v =
                    s.mul_add(centred, s.load(&coefficients[n + b]), s.load(&coefficients[2 * n + b]));
                if let Some(u) = u {
                    v = s.mul_add(s.load(&u[at]), s.load(&coefficients[3 * n + b]), v);
                }
                s.store(v, &mut y[b]);
            }
        }
    }
}

/// `y = gamma * (x - mean) / sqrt(variance + eps) + beta` with the mean and the biased variance of each image and group.
///
/// # Shapes
/// See [`GroupNorm`]. `mean` and `inv_std`, which is `1 / sqrt(variance + eps)`, are what
/// [`group_norm_backward`] needs.
///
/// # Panics
/// When the geometry fails [`GroupNorm::check`] or a slice is shorter than it says.
pub fn group_norm(
    ctx: &Context,
    shape: &GroupNorm,
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    y: &mut [f32],
    mean: &mut [f32],
    inv_std: &mut [f32],
) {
    shape.assert_sound();
    if shape.is_empty() {
        return;
    }
    let stride = shape.stride();
    let (x, y) = (&x[..shape.len()], &mut y[..shape.len()]);
    let (gamma, beta) = (&gamma[..stride], &beta[..stride]);
    let (mean, inv_std) = (&mut mean[..shape.statistics_len()], &mut inv_std[..shape.statistics_len()]);
    let sums = shape.reduce(ctx, |image, range, sums| {
        let origin = &x[image * shape.image_len()..][..stride];
        dispatch(ctx, Moments { x: &x[range], u: None, origin, sums });
    });
    let mut coefficients = vec![0.0f32; shape.batch * 4 * stride];
    let pixels = shape.pixels as f64;
    for image in 0..shape.batch {
        let (sum, square) = sums[image * 2 * stride..][..2 * stride].split_at(stride);
        let origin = &x[image * shape.image_len()..][..stride];
        let coefficients = &mut coefficients[image * 4 * stride..][..4 * stride];
        for g in 0..shape.groups {
            let members = shape.members(g);
            let n = members.len() as f64;
            let channel_mean = |c: usize| f64::from(origin[c]) + sum[c] / pixels;
            let m = members.clone().map(channel_mean).sum::<f64>() / n;
            let about_mean = |c: usize| {
                let within = square[c] - sum[c] * sum[c] / pixels;
                within + pixels * (channel_mean(c) - m).powi(2)
            };
            let squares: f64 = members.clone().map(about_mean).sum();
            let variance = (squares / (pixels * n)).max(0.0);
            let k = 1.0 / (variance + f64::from(shape.eps)).sqrt();
            let centre = m as f32;
            mean[image * shape.groups + g] = centre;
            inv_std[image * shape.groups + g] = k as f32;
            for c in members {
                let scale = f64::from(gamma[c]) * k;
                coefficients[c] = centre;
                coefficients[stride + c] = scale as f32;
                // What rounding the mean to f32 lost comes back in the summand.
                coefficients[2 * stride + c] = (f64::from(beta[c]) - (m - f64::from(centre)) * scale) as f32;
            }
        }
    }
    shape.affine(ctx, x, None, &coefficients, y);
}

/// What [`group_norm_backward`] reads; lengths as in [`GroupNorm`].
#[derive(Debug, Clone, Copy)]
pub struct GroupNormBackward<'a> {
    /// Input of the normalisation.
    pub x: &'a [f32],
    /// Gradient of its output, laid out as `x`.
    pub dy: &'a [f32],
    /// Factor.
    pub gamma: &'a [f32],
    /// Means, from [`group_norm`].
    pub mean: &'a [f32],
    /// `1 / sqrt(variance + eps)`, from [`group_norm`].
    pub inv_std: &'a [f32],
}

/// Gradients of [`group_norm`]: writes `dx`, `dgamma` and `dbeta`.
///
/// With `xhat = (x - mean) * inv_std` and averages over a group of an image:
/// `dbeta = sum dy`, `dgamma = sum dy * xhat`,
/// `dx = inv_std * (gamma * dy - average(gamma * dy) - xhat * average(gamma * dy * xhat))`.
///
/// # Shapes
/// `dx`: as `x`; `dgamma`, `dbeta`: `[channel_stride(channels)]`, padded lanes 0.
///
/// # Panics
/// When the geometry fails [`GroupNorm::check`] or a slice is shorter than it says.
pub fn group_norm_backward(
    ctx: &Context,
    shape: &GroupNorm,
    input: &GroupNormBackward,
    dx: &mut [f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    shape.assert_sound();
    let stride = shape.stride();
    let (dgamma, dbeta) = (&mut dgamma[..stride], &mut dbeta[..stride]);
    dgamma.fill(0.0);
    dbeta.fill(0.0);
    if shape.is_empty() {
        return;
    }
    let (x, dy, dx) = (&input.x[..shape.len()], &input.dy[..shape.len()], &mut dx[..shape.len()]);
    let gamma = &input.gamma[..stride];
    let n = shape.statistics_len();
    let (mean, inv_std) = (&input.mean[..n], &input.inv_std[..n]);
    let mut coefficients = vec![0.0f32; shape.batch * 4 * stride];
    for image in 0..shape.batch {
        for g in 0..shape.groups {
            let m = mean[image * shape.groups + g];
            coefficients[image * 4 * stride..][shape.members(g)].fill(m);
        }
    }
    let centres = &coefficients;
    let sums = shape.reduce(ctx, |image, range, sums| {
        let origin = &centres[image * 4 * stride..][..stride];
        dispatch(ctx, Moments { x: &x[range.clone()], u: Some(&dy[range]), origin, sums });
    });
    let mut totals = vec![0.0f64; 2 * stride];
    for image in 0..shape.batch {
        let (sum, product) = sums[image * 2 * stride..][..2 * stride].split_at(stride);
        let coefficients = &mut coefficients[image * 4 * stride..][..4 * stride];
        for g in 0..shape.groups {
            let k = f64::from(inv_std[image * shape.groups + g]);
            let (mut sum_dy, mut sum_dy_xhat) = (0.0, 0.0);
            for c in shape.members(g) {
                totals[c] += sum[c];
                totals[stride + c] += product[c] * k;
                sum_dy += f64::from(gamma[c]) * sum[c];
                sum_dy_xhat += f64::from(gamma[c]) * product[c] * k;
            }
            let n = shape.group_len() as f64;
            for c in shape.members(g) {
                coefficients[stride + c] = (-k * k * sum_dy_xhat / n) as f32;
                coefficients[2 * stride + c] = (-k * sum_dy / n) as f32;
                coefficients[3 * stride + c] = (f64::from(gamma[c]) * k) as f32;
            }
        }
    }
    for c in 0..shape.channels {
        dbeta[c] = totals[c] as f32;
        dgamma[c] = totals[stride + c] as f32;
    }
    shape.affine(ctx, x, Some(dy), &coefficients, dx);
}
