//! The one-dimensional transforms of each tile size; two in a row make the two-dimensional one.

use std::ops::IndexMut;

use crate::conv::store::Store;
use crate::layout::LANES;
use crate::simd::Simd;

/// A tile size: F(m x m, 3x3) with its transforms.
pub(super) trait Tile: Copy + Send + Sync {
    /// Outputs along a side, m.
    const OUT: usize;
    /// Inputs along a side, m + 2.
    const SIDE: usize;
    /// Positions of a transformed tile.
    const XI: usize = Self::SIDE * Self::SIDE;
    /// f32 from one tile to the next in [`Panels`](super::Panels).
    const STEP: usize = Self::SIDE * LANES;

    /// A value for each input along a side.
    type Side<T: Copy>: Copy + IndexMut<usize, Output = T>;
    /// A value for each output along a side.
    type Out<T: Copy>: Copy + IndexMut<usize, Output = T>;

    /// The same value for each input.
    fn side<T: Copy>(value: T) -> Self::Side<T>;
    /// The same value for each output.
    fn out<T: Copy>(value: T) -> Self::Out<T>;

    /// Stores a row of outputs, the first at element `at`, the others `stride` apart.
    ///
    /// # Safety
    /// As [`Store::put`] for every output.
    unsafe fn put_row<S: Simd>(
        s: S,
        store: &Store,
        row: Self::Out<S::V>,
        at: usize,
        stride: usize,
        block: usize,
    );

    /// `B' d`: inputs to positions.
    fn input<S: Simd>(s: S, d: Self::Side<S::V>) -> Self::Side<S::V>;
    /// `A' m`: positions to outputs.
    fn output<S: Simd>(s: S, m: Self::Side<S::V>) -> Self::Out<S::V>;
    /// `G g`: three weights to positions.
    fn filter<S: Simd>(s: S, g: [S::V; 3]) -> Self::Side<S::V>;
    /// `A y`: output gradients to positions.
    fn output_adjoint<S: Simd>(s: S, y: Self::Out<S::V>) -> Self::Side<S::V>;
    /// `G' m`: positions to the gradients of three weights.
    fn filter_adjoint<S: Simd>(s: S, m: Self::Side<S::V>) -> [S::V; 3];
}

/// F(4x4, 3x3), interpolated at 0, 1, -1, 2, -2 and infinity.
#[derive(Debug, Clone, Copy)]
pub(super) struct F4;

/// F(2x2, 3x3), interpolated at 0, 1, -1 and infinity.
#[derive(Debug, Clone, Copy)]
pub(super) struct F2;

impl Tile for F4 {
    const OUT: usize = 4;
    const SIDE: usize = 6;
    type Side<T: Copy> = [T; 6];
    type Out<T: Copy> = [T; 4];

    #[inline(always)]
    fn side<T: Copy>(value: T) -> [T; 6] {
        [value; 6]
    }

    #[inline(always)]
    fn out<T: Copy>(value: T) -> [T; 4] {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn put_row<S: Simd>(s: S, store: &Store, row: [S::V; 4], at: usize, stride: usize, block: usize) {
        let places = [0, 1, 2, 3].map(|j| at + j * stride);
        // SAFETY: the caller vouches for the places.
        unsafe { store.put_tile(s, &row.map(|v| [v]), &places, 4, block) };
    }

    #[inline(always)]
    fn input<S: Simd>(s: S, d: [S::V; 6]) -> [S::V; 6] {
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

    #[inline(always)]
    fn output<S: Simd>(s: S, m: [S::V; 6]) -> [S::V; 4] {
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

    #[inline(always)]
    fn filter<S: Simd>(s: S, g: [S::V; 3]) -> [S::V; 6] {
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

    #[inline(always)]
    fn output_adjoint<S: Simd>(s: S, y: [S::V; 4]) -> [S::V; 6] {
        let (two, four) = (s.splat(2.0), s.splat(4.0));
        let (even, odd) = (s.add(y[0], y[2]), s.add(y[1], y[3]));
        let even2 = s.mul_add(four, y[2], y[0]);
        let odd2 = s.mul(two, s.mul_add(four, y[3], y[1]));
        [y[0], s.add(even, odd), s.sub(even, odd), s.add(even2, odd2), s.sub(even2, odd2), y[3]]
    }

    #[inline(always)]
    fn filter_adjoint<S: Simd>(s: S, m: [S::V; 6]) -> [S::V; 3] {
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
}

impl Tile for F2 {
    const OUT: usize = 2;
    const SIDE: usize = 4;
    type Side<T: Copy> = [T; 4];
    type Out<T: Copy> = [T; 2];

    #[inline(always)]
    fn side<T: Copy>(value: T) -> [T; 4] {
        [value; 4]
    }

    #[inline(always)]
    fn out<T: Copy>(value: T) -> [T; 2] {
        [value; 2]
    }

    #[inline(always)]
    unsafe fn put_row<S: Simd>(s: S, store: &Store, row: [S::V; 2], at: usize, stride: usize, block: usize) {
        let places = [0, 1].map(|j| at + j * stride);
        // SAFETY: the caller vouches for the places.
        unsafe { store.put_tile(s, &row.map(|v| [v]), &places, 2, block) };
    }

    #[inline(always)]
    fn input<S: Simd>(s: S, d: [S::V; 4]) -> [S::V; 4] {
        [s.sub(d[0], d[2]), s.add(d[1], d[2]), s.sub(d[2], d[1]), s.sub(d[3], d[1])]
    }

    #[inline(always)]
    fn output<S: Simd>(s: S, m: [S::V; 4]) -> [S::V; 2] {
        [s.add(m[0], s.add(m[1], m[2])), s.add(s.sub(m[1], m[2]), m[3])]
    }

    #[inline(always)]
    fn filter<S: Simd>(s: S, g: [S::V; 3]) -> [S::V; 4] {
        let half = s.splat(0.5);
        let (outer, inner) = (s.mul(half, s.add(g[0], g[2])), s.mul(half, g[1]));
        [g[0], s.add(outer, inner), s.sub(outer, inner), g[2]]
    }

    #[inline(always)]
    fn output_adjoint<S: Simd>(s: S, y: [S::V; 2]) -> [S::V; 4] {
        [y[0], s.add(y[0], y[1]), s.sub(y[0], y[1]), y[1]]
    }

    #[inline(always)]
    fn filter_adjoint<S: Simd>(s: S, m: [S::V; 4]) -> [S::V; 3] {
        let half = s.splat(0.5);
        let (sum, difference) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
        [s.mul_add(half, sum, m[0]), s.mul(half, difference), s.mul_add(half, sum, m[3])]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;
    use crate::isa::Isa;
    use crate::simd::{Kernel, dispatch};

    /// Outputs of `A' [(G g) * (B' d)]` against the correlation of `d` and `g`, and the adjoints against the sums that
    /// define them; the largest difference.
    struct Check<T>(T);

    impl<T: Tile> Kernel for Check<T> {
        type Output = f32;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> f32 {
            let (d, g, y) =
                (|i: usize| (3 * i * i % 7) as f32 - 2.0, [1.0, -2.0, 0.5], |i: usize| 1.5 - i as f32);
            let first = |v: S::V| s.to_array(v)[0];
            let (mut x, mut dy) = (T::side(s.zero()), T::out(s.zero()));
            for i in 0..T::SIDE {
                x[i] = s.splat(d(i));
            }
            for i in 0..T::OUT {
                dy[i] = s.splat(y(i));
            }
            let (x, u) = (T::input(s, x), T::filter(s, g.map(|g| s.splat(g))));
            let dy = T::output_adjoint(s, dy);
            let (mut m, mut sums) = (T::side(s.zero()), T::side(s.zero()));
            for i in 0..T::SIDE {
                m[i] = s.mul(x[i], u[i]);
                sums[i] = s.mul(x[i], dy[i]);
            }
            let (out, dg) = (T::output(s, m), T::filter_adjoint(s, sums));
            let mut worst = 0.0f32;
            for i in 0..T::OUT {
                let want: f32 = (0..3).map(|k| d(i + k) * g[k]).sum();
                worst = worst.max((first(out[i]) - want).abs());
            }
            for k in 0..3 {
                let want: f32 = (0..T::OUT).map(|i| d(i + k) * y(i)).sum();
                worst = worst.max((first(dg[k]) - want).abs());
            }
            worst
        }
    }

    #[test]
    fn transforms_make_correlations() {
        for isa in Isa::available() {
            let ctx = Context::with_isa(1, isa).unwrap();
            assert!(dispatch(&ctx, Check(F2)) < 1e-5, "F(2, 3) on {isa}");
            assert!(dispatch(&ctx, Check(F4)) < 1e-5, "F(4, 3) on {isa}");
        }
    }
}
