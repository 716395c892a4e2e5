//! Products of bytes that are summed in 16 bits before they are widened, and products of bytes in lanes.
#![allow(
    clippy::cast_ptr_alignment,
    reason = "the loads through these pointers are unaligned ones, or the lines aligned"
)]

use core::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm256_add_epi16, _mm256_add_epi32, _mm256_castsi128_si256,
    _mm256_load_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16,
    _mm256_permutevar8x32_epi32, _mm256_set1_epi16, _mm256_setr_epi32, _mm256_unpackhi_epi16,
    _mm256_unpacklo_epi8, _mm256_unpacklo_epi16,
};

use std::marker::PhantomData;

use super::super::{ByteKernel, ByteLanes, BytePairs, HalfLine, PairKernel};
use super::{Avx2, Bytes};

/// Runs a kernel of products of bytes in lanes; the caller has checked the weights.
///
/// # Safety
/// The processor has the features named below.
#[target_feature(enable = "avx2,fma")]
pub(in super::super) unsafe fn run_lanes<K: ByteKernel>(kernel: K) {
    kernel.run(Avx2::<Bytes>(PhantomData));
}

/// Runs a kernel of pairs of groups; the caller has checked the weights.
///
/// # Safety
/// The processor has the features named below.
#[target_feature(enable = "avx2,fma")]
pub(in super::super) unsafe fn run_pairs<K: PairKernel>(kernel: K) {
    kernel.run(Avx2::<Bytes>(PhantomData));
}

impl ByteLanes for Avx2<Bytes> {
    type B = [__m256i; 2];
    type O = __m256i;

    #[inline(always)]
    fn row_order(self) -> __m256i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_setr_epi32(0, 2, 0, 2, 1, 3, 1, 3) }
    }

    #[inline(always)]
    unsafe fn load_rows(self, order: __m256i, p: [*const u8; 4]) -> [__m256i; 2] {
        let mut rows = [order; 4];
        // SAFETY: the caller vouches for sixteen bytes at each place; `self` proves the instruction set.
        unsafe {
            for i in 0..4 {
                // Bytes 0..4 and 8..12 to the low half, the others to the high one.
                let row = _mm256_castsi128_si256(_mm_loadu_si128(p[i].cast::<__m128i>()));
                rows[i] = _mm256_permutevar8x32_epi32(row, order);
            }
            let low = _mm256_unpacklo_epi8(rows[0], rows[1]);
            let high = _mm256_unpacklo_epi8(rows[2], rows[3]);
            [_mm256_unpacklo_epi16(low, high), _mm256_unpackhi_epi16(low, high)]
        }
    }

    #[inline(always)]
    fn mac_lanes(self, acc: [__m256i; 2], x: [__m256i; 2], w: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe {
            let ones = _mm256_set1_epi16(1);
            [
                _mm256_add_epi32(acc[0], _mm256_madd_epi16(_mm256_maddubs_epi16(x[0], w[0]), ones)),
                _mm256_add_epi32(acc[1], _mm256_madd_epi16(_mm256_maddubs_epi16(x[1], w[1]), ones)),
            ]
        }
    }
}

impl BytePairs for Avx2<Bytes> {
    type A = __m256i;
    type V = __m256i;

    #[inline(always)]
    fn load_half(self, x: &[i32; 8]) -> __m256i {
        // SAFETY: the array holds a register.
        unsafe { _mm256_loadu_si256(x.as_ptr().cast::<__m256i>()) }
    }

    #[inline(always)]
    unsafe fn load_half_line(self, p: *const HalfLine) -> __m256i {
        // SAFETY: a line is an aligned register.
        unsafe { _mm256_load_si256(p.cast::<__m256i>()) }
    }

    #[inline(always)]
    fn mac_half(self, acc: __m256i, x: __m256i, w: __m256i) -> __m256i {
        // SAFETY: `self` proves the instruction set.
        unsafe {
            let products = _mm256_maddubs_epi16(x, w);
            _mm256_add_epi32(acc, _mm256_madd_epi16(products, _mm256_set1_epi16(1)))
        }
    }

    #[inline(always)]
    fn mac_pair(self, acc: __m256i, x: [__m256i; 2], w: [__m256i; 2]) -> __m256i {
        // SAFETY: `self` proves the instruction set.
        unsafe {
            let products =
                _mm256_add_epi16(_mm256_maddubs_epi16(x[0], w[0]), _mm256_maddubs_epi16(x[1], w[1]));
            _mm256_add_epi32(acc, _mm256_madd_epi16(products, _mm256_set1_epi16(1)))
        }
    }

    #[inline(always)]
    fn join(self, low: __m256i, high: __m256i) -> [__m256i; 2] {
        [low, high]
    }
}
