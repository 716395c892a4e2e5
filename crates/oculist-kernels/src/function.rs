//! Functions of one number that transformers need, sixteen at a time.
//!
//! All are built on one exponential: a power of two by integer addition to the exponent, times a polynomial on
//! `-ln(2)/2..=ln(2)/2`. The polynomials are least-maximum-error fits against f64; `tests/kernels/function.rs` states
//! the errors that are held. Results below the smallest normal number are 0.

// Coefficients are written as they were fitted, one digit more than f32 holds.
#![allow(clippy::excessive_precision, clippy::approx_constant)]

use crate::activation::Activation;
use crate::context::Context;
use crate::layout::LANES;
use crate::simd::{Kernel, Simd, dispatch};

/// A function applied to every element. A NaN stays a NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Function {
    /// One of the functions that convolutions have fused.
    Activation(Activation),
    /// `exp(z)`, within 2e-7 of it relatively.
    Exp,
    /// `2 / sqrt(pi) * integral of exp(-t^2) from 0 to z`.
    Erf,
    /// `z / 2 * (1 + erf(z / sqrt(2)))`.
    Gelu,
    /// `z / 2 * (1 + tanh(sqrt(2 / pi) * (z + 0.044715 z^3)))`.
    GeluTanh,
    /// `z / (1 + exp(-z))`, also called Swish.
    Silu,
    /// `1 / (1 + exp(-z))`.
    Sigmoid,
    /// `(1 - exp(-2 z)) / (1 + exp(-2 z))`.
    Tanh,
}

impl Default for Function {
    fn default() -> Self {
        Self::Activation(Activation::Identity)
    }
}

impl Function {
    /// `f(z)` of a block.
    #[inline(always)]
    pub(crate) fn apply_simd<S: Simd>(self, s: S, z: S::V) -> S::V {
        match self {
            Self::Activation(activation) => activation.apply_simd(s, z),
            Self::Exp => exp(s, z),
            Self::Erf => erf(s, z),
            Self::Gelu => gelu(s, z),
            Self::GeluTanh => {
                // z times the sigmoid of twice the argument of tanh.
                let cubic = s.mul_add(s.mul(z, z), s.splat(0.071_354_814), s.splat(1.595_769_1));
                s.mul(z, sigmoid(s, s.mul(z, cubic)))
            }
            Self::Silu => s.mul(z, sigmoid(s, z)),
            Self::Sigmoid => sigmoid(s, z),
            Self::Tanh => tanh(s, z),
        }
    }
}

/// The sum of `coefficients[i] * x^i`.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, x: S::V, coefficients: [f32; N]) -> S::V {
    let mut sum = s.splat(coefficients[N - 1]);
    for i in (0..N - 1).rev() {
        sum = s.mul_add(sum, x, s.splat(coefficients[i]));
    }
    sum
}

/// `exp(x)`.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    const LOW: f32 = -87.336_54;
    const HIGH: f32 = 88.722_83;
    // Of a NaN and a number, the second operand is returned.
    let inside = s.min(s.splat(HIGH), s.max(s.splat(LOW), x));
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
    let magic = s.splat(12_582_912.0);
    let shifted = s.mul_add(inside, s.splat(std::f32::consts::LOG2_E), magic);
    let n = s.sub(shifted, magic);
    // ln(2) in two parts, of which the first times n is exact.
    let r = s.neg_mul_add(n, s.splat(0.693_359_4), inside);
    let r = s.neg_mul_add(n, s.splat(-2.121_944_4e-4), r);
    let tail = polynomial(s, r, [0.5, 0.166_665_15, 0.041_668_456, 0.008_369_419, 0.001_381_314_2]);
    let fraction = s.add(s.mul_add(s.mul(r, r), tail, r), s.splat(1.0));
    let y = s.times_power_of_two(fraction, shifted);
    // A NaN times 0 stays one.
    let small = s.mul_add(inside, s.zero(), s.zero());
    let y = s.select_gt(inside, s.splat(LOW), y, small);
    s.select_gt(x, s.splat(HIGH), s.splat(f32::INFINITY), y)
}

#[inline(always)]
fn sigmoid<S: Simd>(s: S, z: S::V) -> S::V {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.sub(s.zero(), z))))
}

#[inline(always)]
fn magnitude<S: Simd>(s: S, z: S::V) -> S::V {
    s.max(s.sub(s.zero(), z), z)
}

#[inline(always)]
fn tanh<S: Simd>(s: S, z: S::V) -> S::V {
    let (one, a) = (s.splat(1.0), magnitude(s, z));
    let e = exp(s, s.mul(a, s.splat(-2.0)));
    let far = s.div(s.sub(one, e), s.add(one, e));
    let far = s.select_gt(s.zero(), z, s.sub(s.zero(), far), far);
    let q = s.mul(z, z);
    let series =
        polynomial(s, q, [-0.333_332_84, 0.133_314_91, -0.053_743_497, 0.020_650_579, -0.005_717_037]);
    let near = s.mul_add(s.mul(z, q), series, z);
    s.select_gt(s.splat(0.625), a, near, far)
}

/// `1 - erf(a)` for `a` of at least 0, off by at most 2e-7.
#[inline(always)]
fn erf_complement<S: Simd>(s: S, a: S::V) -> S::V {
    // The negated logarithm, divided by a, is smooth.
    let slope = polynomial(
        s,
        a,
        [
            1.128_380_3,
            0.636_597_75,
            0.102_919_616,
            -0.019_583_963,
            5.369_356_4e-4,
            0.001_032_400_6,
            -3.088_02e-4,
            3.144_015_9e-5,
        ],
    );
    exp(s, s.mul(s.sub(s.zero(), a), slope))
}

#[inline(always)]
fn erf<S: Simd>(s: S, z: S::V) -> S::V {
    let a = magnitude(s, z);
    let far = s.sub(s.splat(1.0), erf_complement(s, a));
    let far = s.select_gt(s.zero(), z, s.sub(s.zero(), far), far);
    let series = polynomial(
        s,
        s.mul(z, z),
        [1.128_379_1, -0.376_126_26, 0.112_836, -0.026_854_444, 0.005_189_535, -8.020_841e-4, 7.889_119e-5],
    );
    s.select_gt(s.splat(1.0), a, s.mul(z, series), far)
}

#[inline(always)]
fn gelu<S: Simd>(s: S, z: S::V) -> S::V {
    let a = s.mul(magnitude(s, z), s.splat(std::f32::consts::FRAC_1_SQRT_2));
    let tail = s.mul(erf_complement(s, a), s.splat(0.5));
    let share = s.select_gt(z, s.zero(), s.sub(s.splat(1.0), tail), tail);
    s.mul(z, share)
}

/// Applies a function to a slice in place.
pub(crate) struct InPlace<'a> {
    pub(crate) function: Function,
    pub(crate) y: &'a mut [f32],
}

impl Kernel for InPlace<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        apply_in_place(s, self.function, self.y);
    }
}

/// `y = f(y)`, the last block through an array.
#[inline(always)]
pub(crate) fn apply_in_place<S: Simd>(s: S, function: Function, y: &mut [f32]) {
    let (blocks, rest) = y.as_chunks_mut::<LANES>();
    for y in blocks {
        s.store(function.apply_simd(s, s.load(y)), y);
    }
    if !rest.is_empty() {
        let mut last = [0.0; LANES];
        last[..rest.len()].copy_from_slice(rest);
        let value = s.to_array(function.apply_simd(s, s.load(&last)));
        rest.copy_from_slice(&value[..rest.len()]);
    }
}

/// `y = f(x)` of every element; any length.
///
/// # Panics
/// When the lengths differ.
pub fn apply(ctx: &Context, function: Function, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "operands of different lengths");
    let piece = Context::piece_len(y.len(), LANES);
    ctx.for_pieces(y, piece, |i, y| {
        y.copy_from_slice(&x[i * piece..][..y.len()]);
        dispatch(ctx, InPlace { function, y });
    });
}

/// `y = f(y)` of every element; any length.
pub fn apply_to(ctx: &Context, function: Function, y: &mut [f32]) {
    let piece = Context::piece_len(y.len(), LANES);
    ctx.for_pieces(y, piece, |_, y| dispatch(ctx, InPlace { function, y }));
}
