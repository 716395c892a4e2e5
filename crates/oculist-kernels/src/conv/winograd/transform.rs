//! The one-dimensional transforms; two in a row make the two-dimensional one.

use crate::simd::Simd;

/// `B' d`: six inputs to six positions.
#[inline(always)]
pub(super) fn input<S: Simd>(s: S, d: [S::V; 6]) -> [S::V; 6] {
    let (two, four, five) = (s.splat(2.0), s.splat(4.0), s.splat(5.0));
    let even = s.neg_mul_add(four, d[2], d[4]);
    let odd = s.neg_mul_add(four, d[1], d[3]);
    let even2 = s.sub(d[4], d[2]);
    let odd2 = s.mul(two, s.sub(d[3], d[1]));
    [
        s.neg_mul_add(five, d[2], s.mul_add(four, d[0], d[4])),
        s.add(even, odd),
        s.sub(even, odd),
        s.add(even2, odd2),
        s.sub(even2, odd2),
        s.neg_mul_add(five, d[3], s.mul_add(four, d[1], d[5])),
    ]
}

/// `A' m`: six positions to four outputs.
#[inline(always)]
pub(super) fn output<S: Simd>(s: S, m: [S::V; 6]) -> [S::V; 4] {
    let (two, four, eight) = (s.splat(2.0), s.splat(4.0), s.splat(8.0));
    let (sum, difference) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
    let (sum2, difference2) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
    [
        s.add(m[0], s.add(sum, sum2)),
        s.mul_add(two, difference2, difference),
        s.mul_add(four, sum2, sum),
        s.add(m[5], s.mul_add(eight, difference2, difference)),
    ]
}

/// `G g`: three weights to six positions.
#[inline(always)]
pub(super) fn filter<S: Simd>(s: S, g: [S::V; 3]) -> [S::V; 6] {
    let (quarter, sixth) = (s.splat(0.25), s.splat(-1.0 / 6.0));
    let (twelfth, twenty_fourth) = (s.splat(1.0 / 12.0), s.splat(1.0 / 24.0));
    let outer = s.mul(sixth, s.add(g[0], g[2]));
    let inner = s.mul(sixth, g[1]);
    let outer2 = s.neg_mul_add(sixth, g[2], s.mul(twenty_fourth, g[0]));
    let inner2 = s.mul(twelfth, g[1]);
    [
        s.mul(quarter, g[0]),
        s.add(outer, inner),
        s.sub(outer, inner),
        s.add(outer2, inner2),
        s.sub(outer2, inner2),
        g[2],
    ]
}

/// `A y`: four output gradients to six positions.
#[inline(always)]
pub(super) fn output_adjoint<S: Simd>(s: S, y: [S::V; 4]) -> [S::V; 6] {
    let (two, four) = (s.splat(2.0), s.splat(4.0));
    let (even, odd) = (s.add(y[0], y[2]), s.add(y[1], y[3]));
    let even2 = s.mul_add(four, y[2], y[0]);
    let odd2 = s.mul(two, s.mul_add(four, y[3], y[1]));
    [y[0], s.add(even, odd), s.sub(even, odd), s.add(even2, odd2), s.sub(even2, odd2), y[3]]
}

/// `G' m`: six positions to the gradients of three weights.
#[inline(always)]
pub(super) fn filter_adjoint<S: Simd>(s: S, m: [S::V; 6]) -> [S::V; 3] {
    let (quarter, sixth) = (s.splat(0.25), s.splat(1.0 / 6.0));
    let (twelfth, twenty_fourth) = (s.splat(1.0 / 12.0), s.splat(1.0 / 24.0));
    let (sum, difference) = (s.add(m[1], m[2]), s.sub(m[2], m[1]));
    let (sum2, difference2) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
    [
        s.neg_mul_add(sixth, sum, s.mul_add(twenty_fourth, sum2, s.mul(quarter, m[0]))),
        s.mul_add(sixth, difference, s.mul(twelfth, difference2)),
        s.mul_add(sixth, s.sub(sum2, sum), m[5]),
    ]
}
