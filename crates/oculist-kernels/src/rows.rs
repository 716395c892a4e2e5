//! Normalisation and softmax of dense rows of any width, as transformers have them.
//!
//! A row stays in the first-level cache between its passes. Unlike the kernels on padded channels, these leave nothing
//! between the rows and keep no statistics for gradients.

use crate::context::Context;
use crate::function::exp;
use crate::layout::{LANES, product};
use crate::matmul::load_part;
use crate::simd::{Kernel, Simd, dispatch};

/// The sum of the lanes, by halves.
#[inline(always)]
fn sum_of_lanes<S: Simd>(s: S, v: S::V) -> f32 {
    let mut lanes = s.to_array(v);
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
    }
    lanes[0]
}

// Macros instead of functions that take closures: a closure is compiled without the instruction set that `dispatch` chose
// unless the compiler happens to inline it.

/// The sum of an expression of every element, of blocks and of the numbers behind them.
macro_rules! sum {
    ($s:ident, $row:expr, |$x:ident| $block:expr, |$one:ident| $number:expr) => {{
        let (blocks, rest) = $row.as_chunks::<LANES>();
        let mut total = $s.zero();
        for x in blocks {
            let $x = $s.load(x);
            total = $s.add(total, $block);
        }
        let mut last = 0.0;
        for &$one in rest {
            last += $number;
        }
        sum_of_lanes($s, total) + last
    }};
}

/// `y = f(y)` by blocks, the last one through an array; `at` is the first element of the block, `len` how many it has.
macro_rules! update {
    ($s:ident, $row:expr, |$y:ident, $at:pat_param, $len:pat_param| $value:expr) => {{
        let (blocks, rest) = $row.as_chunks_mut::<LANES>();
        let count = blocks.len();
        for (i, block) in blocks.iter_mut().enumerate() {
            let ($y, $at, $len) = ($s.load(block), i * LANES, LANES);
            let value = $value;
            $s.store(value, block);
        }
        if !rest.is_empty() {
            let ($y, $at, $len) = (load_part($s, rest), count * LANES, rest.len());
            let value = $s.to_array($value);
            rest.copy_from_slice(&value[..rest.len()]);
        }
    }};
}

/// Which normalisation of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowNorm {
    /// `(x - mean) / sqrt(variance + epsilon)` with the biased variance.
    Layer,
    /// `x / sqrt(mean of the squares + epsilon)`.
    RootMeanSquare,
}

/// `y = gamma * normalised(x) + beta` of every row.
///
/// # Shapes
/// `x`, `y`: `[rows, width]`; `gamma`, `beta`: `[width]`, 1 and 0 where they are missing.
///
/// # Panics
/// When a slice is shorter than the shape says.
pub fn norm_rows(
    ctx: &Context,
    kind: RowNorm,
    [rows, width]: [usize; 2],
    epsilon: f32,
    x: &[f32],
    gamma: Option<&[f32]>,
    beta: Option<&[f32]>,
    y: &mut [f32],
) {
    struct Norm<'a> {
        kind: RowNorm,
        width: usize,
        epsilon: f32,
        x: &'a [f32],
        gamma: Option<&'a [f32]>,
        beta: Option<&'a [f32]>,
        y: &'a mut [f32],
    }
    impl Kernel for Norm<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let n = self.width as f32;
            for (x, y) in self.x.chunks_exact(self.width).zip(self.y.chunks_exact_mut(self.width)) {
                let mean = match self.kind {
                    RowNorm::Layer => sum!(s, x, |x| x, |x| x) / n,
                    RowNorm::RootMeanSquare => 0.0,
                };
                let means = s.splat(mean);
                let squares = sum!(
                    s,
                    x,
                    |x| {
                        let d = s.sub(x, means);
                        s.mul(d, d)
                    },
                    |x| (x - mean) * (x - mean)
                );
                let variance = squares / n;
                let factor = s.splat(1.0 / (variance + self.epsilon).sqrt());
                y.copy_from_slice(x);
                update!(s, y, |x, at, len| {
                    let mut z = s.mul(s.sub(x, means), factor);
                    if let Some(gamma) = self.gamma {
                        z = s.mul(z, load_part(s, &gamma[at..at + len]));
                    }
                    if let Some(beta) = self.beta {
                        z = s.add(z, load_part(s, &beta[at..at + len]));
                    }
                    z
                });
            }
        }
    }
    let len = product(&[rows, width]);
    if len == 0 {
        return;
    }
    let (x, y) = (&x[..len], &mut y[..len]);
    let (gamma, beta) = (gamma.map(|g| &g[..width]), beta.map(|b| &b[..width]));
    let piece = piece(rows, width);
    ctx.for_pieces(y, piece, |i, y| {
        let x = &x[i * piece..][..y.len()];
        dispatch(ctx, Norm { kind, width, epsilon, x, gamma, beta, y });
    });
}

/// Elements of a task: whole rows, about 32 KiB.
fn piece(rows: usize, width: usize) -> usize {
    (8192 / width).clamp(1, rows) * width
}

/// `y = softmax(scale * x + mask)` of every row.
///
/// A row whose every element is minus infinity becomes NaN, the quotient of zeros.
///
/// # Shapes
/// `x`, `y`: `[rows, width]`; `mask`: `[width]` for all rows, or `[rows, width]`.
///
/// # Panics
/// When a slice is shorter than the shape says, or the mask has neither length.
pub fn softmax_rows(
    ctx: &Context,
    [rows, width]: [usize; 2],
    scale: f32,
    mask: Option<&[f32]>,
    x: &[f32],
    y: &mut [f32],
) {
    struct Softmax<'a> {
        width: usize,
        scale: f32,
        first: usize,
        mask: Option<(&'a [f32], usize)>,
        y: &'a mut [f32],
    }
    impl Kernel for Softmax<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            for (row, y) in self.y.chunks_exact_mut(self.width).enumerate() {
                let mask = self.mask.map(|(mask, step)| &mask[(self.first + row) * step..][..self.width]);
                softmax_row(s, self.scale, mask, y, f32::NAN);
            }
        }
    }
    let len = product(&[rows, width]);
    if len == 0 {
        return;
    }
    let (x, y) = (&x[..len], &mut y[..len]);
    let mask = mask.map(|mask| {
        assert!(mask.len() == width || mask.len() == len, "mask of {} for {rows} x {width}", mask.len());
        (mask, if mask.len() == len { width } else { 0 })
    });
    let piece = piece(rows, width);
    ctx.for_pieces(y, piece, |i, y| {
        y.copy_from_slice(&x[i * piece..][..y.len()]);
        dispatch(ctx, Softmax { width, scale, first: i * piece / width, mask, y });
    });
}

/// `y = softmax(scale * y + mask)` of one row; `nothing` in all of a row of minus infinities.
#[inline(always)]
pub(crate) fn softmax_row<S: Simd>(s: S, scale: f32, mask: Option<&[f32]>, y: &mut [f32], nothing: f32) {
    let factor = s.splat(scale);
    let lowest = s.splat(f32::NEG_INFINITY);
    let mut max = lowest;
    let mut last_max = f32::NEG_INFINITY;
    update!(s, y, |x, at, len| {
        let mut z = s.mul(x, factor);
        if let Some(mask) = mask {
            z = s.add(z, load_part(s, &mask[at..at + len]));
        }
        if len == LANES {
            max = s.max(max, z);
        } else {
            last_max = s.to_array(z)[..len].iter().copied().fold(last_max, f32::max);
        }
        z
    });
    let max = s.to_array(max).into_iter().fold(last_max, f32::max);
    // A NaN may have been lost on the way to the maximum, but not to the sum below.
    if max == f32::NEG_INFINITY && !y.iter().any(|v| v.is_nan()) {
        y.fill(nothing);
        return;
    }
    let shift = s.splat(max);
    let mut total = s.zero();
    let mut last_total = 0.0;
    update!(s, y, |z, _, len| {
        let e = exp(s, s.sub(z, shift));
        if len == LANES {
            total = s.add(total, e);
        } else {
            last_total = s.to_array(e)[..len].iter().sum();
        }
        e
    });
    let factor = s.splat(1.0 / (sum_of_lanes(s, total) + last_total));
    update!(s, y, |e, _, _| s.mul(e, factor));
}
