//! Sixteen f32 at a time, on every instruction set.
//!
//! Activations and weights come in blocks of [`LANES`](crate::LANES) channels, so one vector type of that width
//! serves all kernels: one register with AVX-512, two with AVX2, an array on the portable path. A kernel is a
//! struct that implements [`Kernel`]; [`dispatch`] runs its one generic body inside a function compiled for the
//! context's instruction set. Values of the types here prove that the processor has the instruction set: only
//! [`dispatch`] makes them.

use crate::context::Context;
use crate::isa::Isa;
use crate::layout::LANES;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

/// Operations on sixteen f32.
///
/// The methods are `inline(always)` without a target feature of their own, so that they become part of the
/// function that [`dispatch`] compiled for the instruction set.
pub(crate) trait Simd: Copy + Send + Sync {
    /// Sixteen f32.
    type V: Copy;

    /// Rows of the convolution micro-kernel with one block of output channels.
    const ROWS_1: usize;
    /// Rows of the convolution micro-kernel with two blocks; 0 when the registers do not suffice.
    const ROWS_2: usize;

    /// All lanes `x`.
    fn splat(self, x: f32) -> Self::V;
    /// Reads sixteen f32.
    ///
    /// # Safety
    /// Sixteen f32 are readable at `p`.
    unsafe fn load_ptr(self, p: *const f32) -> Self::V;
    /// Writes sixteen f32.
    ///
    /// # Safety
    /// Sixteen f32 are writable at `p`.
    unsafe fn store_ptr(self, p: *mut f32, v: Self::V);
    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `v * 2^n`, where `n` is held in the low nine bits of the mantissa of `t`, as adding 1.5 * 2^23 leaves it there.
    ///
    /// The exponent is added to as an integer: `v` and the result must be normal numbers.
    fn times_power_of_two(self, v: Self::V, t: Self::V) -> Self::V;
    /// `a * b + c`, rounded once except on the portable path.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c - a * b`, rounded once except on the portable path.
    fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Lane-wise maximum; `b` where one is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// Lane-wise minimum; `b` where one is NaN.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// `if a > b { yes } else { no }` lane by lane.
    fn select_gt(self, a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V;

    /// The transpose of sixteen rows.
    #[inline(always)]
    fn transpose(self, rows: [Self::V; LANES]) -> [Self::V; LANES] {
        let rows = rows.map(|row| self.to_array(row));
        let mut columns = [self.zero(); LANES];
        for (c, column) in columns.iter_mut().enumerate() {
            *column = self.load(&rows.map(|row| row[c]));
        }
        columns
    }

    /// Asks for the cache line of an address, which need not be readable.
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        let _ = p;
    }

    /// As [`Simd::prefetch`], to the second-level cache, for what is needed later.
    #[inline(always)]
    fn prefetch_far(self, p: *const f32) {
        let _ = p;
    }

    /// All lanes 0.
    #[inline(always)]
    fn zero(self) -> Self::V {
        self.splat(0.0)
    }

    /// Reads a block.
    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> Self::V {
        // SAFETY: the array holds sixteen f32.
        unsafe { self.load_ptr(x.as_ptr()) }
    }

    /// Writes a block.
    #[inline(always)]
    fn store(self, v: Self::V, y: &mut [f32; LANES]) {
        // SAFETY: the array holds sixteen f32.
        unsafe { self.store_ptr(y.as_mut_ptr(), v) }
    }

    /// The lanes as an array, for the few things done lane by lane.
    #[inline(always)]
    fn to_array(self, v: Self::V) -> [f32; LANES] {
        let mut y = [0.0; LANES];
        self.store(v, &mut y);
        y
    }
}

/// A computation written once for all instruction sets.
pub(crate) trait Kernel {
    /// What it returns.
    type Output;
    /// The body; implementations are `#[inline(always)]`.
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// Runs a kernel compiled for the context's instruction set.
#[inline]
pub(crate) fn dispatch<K: Kernel>(ctx: &Context, kernel: K) -> K::Output {
    match ctx.isa() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a context only holds an instruction set that the processor has.
        Isa::Avx512 => unsafe { avx512::run(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => unsafe { avx2::run(kernel) },
        _ => kernel.run(portable::Portable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Transpose<'a>(&'a mut [[f32; LANES]; LANES]);

    impl Kernel for Transpose<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let rows = self.0.map(|row| s.load(&row));
            for (to, column) in self.0.iter_mut().zip(s.transpose(rows)) {
                s.store(column, to);
            }
        }
    }

    #[test]
    fn transposes() {
        for isa in Isa::available() {
            let ctx = Context::with_isa(1, isa).unwrap();
            let mut m: [[f32; LANES]; LANES] =
                std::array::from_fn(|r| std::array::from_fn(|c| (r * 16 + c) as f32));
            dispatch(&ctx, Transpose(&mut m));
            for (r, row) in m.iter().enumerate() {
                for (c, v) in row.iter().enumerate() {
                    assert_eq!(*v, (c * 16 + r) as f32, "row {r}, column {c} on {isa}");
                }
            }
        }
    }
}
