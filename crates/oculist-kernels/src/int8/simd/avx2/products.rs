//! How products are taken: of 16-bit integers or of bytes.
#![allow(
    clippy::cast_ptr_alignment,
    reason = "the loads and stores through these pointers are unaligned ones"
)]

use core::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm256_add_epi32, _mm256_cvtepu8_epi16, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_set1_epi16, _mm256_storeu_si256,
};

/// A way to multiply and accumulate.
pub(in super::super) trait Products: Copy + Send + Sync {
    type E: Copy + Send + Sync;
    const GROUP: usize;
    const BYTES: bool;
    /// # Safety
    /// AVX2; `to` is writable for `from.len()` elements.
    unsafe fn pack(from: &[u8], to: *mut Self::E);
    fn element(x: u8) -> Self::E;
    /// # Safety
    /// AVX2.
    unsafe fn mac(acc: [__m256i; 2], x: __m256i, w: [__m256i; 2]) -> [__m256i; 2];
}

/// Pairs of i16, `vpmaddwd`: exact for all weights.
#[derive(Clone, Copy)]
pub(in super::super) struct Words;

/// Fours of bytes, `vpmaddubsw` and `vpmaddwd`: exact where no sum of two products leaves 16 bits.
#[derive(Clone, Copy)]
pub(in super::super) struct Bytes;

impl Products for Words {
    type E = i16;
    const GROUP: usize = 2;
    const BYTES: bool = false;

    #[inline(always)]
    unsafe fn pack(from: &[u8], to: *mut i16) {
        let (blocks, rest) = from.as_chunks::<16>();
        for (i, block) in blocks.iter().enumerate() {
            // SAFETY: the block holds sixteen bytes; the caller vouches for the target.
            unsafe {
                let bytes = _mm_loadu_si128(block.as_ptr().cast::<__m128i>());
                _mm256_storeu_si256(to.add(i * 16).cast::<__m256i>(), _mm256_cvtepu8_epi16(bytes));
            }
        }
        for (i, &x) in rest.iter().enumerate() {
            // SAFETY: the caller vouches for the target.
            unsafe { *to.add(blocks.len() * 16 + i) = i16::from(x) };
        }
    }

    #[inline(always)]
    fn element(x: u8) -> i16 {
        i16::from(x)
    }

    #[inline(always)]
    unsafe fn mac(acc: [__m256i; 2], x: __m256i, w: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: the caller vouches for the instruction set.
        unsafe {
            [
                _mm256_add_epi32(acc[0], _mm256_madd_epi16(x, w[0])),
                _mm256_add_epi32(acc[1], _mm256_madd_epi16(x, w[1])),
            ]
        }
    }
}

impl Products for Bytes {
    type E = u8;
    const GROUP: usize = 4;
    const BYTES: bool = true;

    #[inline(always)]
    unsafe fn pack(from: &[u8], to: *mut u8) {
        // SAFETY: the caller vouches for the length; packed input is a buffer of its own.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
    }

    #[inline(always)]
    fn element(x: u8) -> u8 {
        x
    }

    #[inline(always)]
    unsafe fn mac(acc: [__m256i; 2], x: __m256i, w: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: the caller vouches for the instruction set.
        unsafe {
            let ones = _mm256_set1_epi16(1);
            [
                _mm256_add_epi32(acc[0], _mm256_madd_epi16(_mm256_maddubs_epi16(x, w[0]), ones)),
                _mm256_add_epi32(acc[1], _mm256_madd_epi16(_mm256_maddubs_epi16(x, w[1]), ones)),
            ]
        }
    }
}
