//! Tables of 256 bytes by shuffles of 16.

use core::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_and_si256, _mm256_andnot_si256, _mm256_blendv_epi8,
    _mm256_broadcastsi128_si256, _mm256_loadu_si256, _mm256_or_si256, _mm256_set1_epi8, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_storeu_si256, _mm256_xor_si256,
};

/// Values of a register.
const STEP: usize = 32;

/// Replaces each value by its entry.
///
/// # Safety
/// AVX2.
#[inline(always)]
pub(super) unsafe fn look_up(table: &[u8; 256], values: &mut [u8]) {
    // SAFETY: the caller vouches for the instruction set; rows of 16 entries and registers of 32 values lie in their arrays.
    unsafe {
        let mut rows = [_mm256_setzero_si256(); 16];
        for i in 0..16 {
            rows[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().add(16 * i).cast()));
            if i % 2 == 1 {
                // As the difference from the row before.
                rows[i] = _mm256_xor_si256(rows[i - 1], rows[i]);
            }
        }
        let (registers, rest) = values.as_chunks_mut::<STEP>();
        for register in registers {
            let v = _mm256_loadu_si256(register.as_ptr().cast());
            _mm256_storeu_si256(register.as_mut_ptr().cast(), entries(&rows, v));
        }
        let mut last = [0; STEP];
        last[..rest.len()].copy_from_slice(rest);
        let v = entries(&rows, _mm256_loadu_si256(last.as_ptr().cast()));
        _mm256_storeu_si256(last.as_mut_ptr().cast(), v);
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// The entries of 32 values: bits 0 to 3 are the place in a row, bits 4 to 7 the row.
///
/// Bit 4 adds the difference of two neighbouring rows, which is cheaper than to choose between them; the others choose.
///
/// # Safety
/// AVX2.
#[inline(always)]
unsafe fn entries(rows: &[__m256i; 16], v: __m256i) -> __m256i {
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let place = _mm256_and_si256(v, _mm256_set1_epi8(15));
        // Shuffles give 0 for places with the highest bit; shifts of 16 bits move bits of neighbours only below it.
        let even = _mm256_andnot_si256(_mm256_slli_epi16::<3>(v), _mm256_set1_epi8(i8::MIN));
        let odd_place = _mm256_or_si256(place, even);
        let (bit5, bit6) = (_mm256_slli_epi16::<2>(v), _mm256_slli_epi16::<1>(v));
        let (a, b) = (pair(rows, 0, place, odd_place), pair(rows, 1, place, odd_place));
        let (c, d) = (pair(rows, 2, place, odd_place), pair(rows, 3, place, odd_place));
        let (e, f) = (pair(rows, 4, place, odd_place), pair(rows, 5, place, odd_place));
        let (g, h) = (pair(rows, 6, place, odd_place), pair(rows, 7, place, odd_place));
        let (a, c) = (_mm256_blendv_epi8(a, b, bit5), _mm256_blendv_epi8(c, d, bit5));
        let (e, g) = (_mm256_blendv_epi8(e, f, bit5), _mm256_blendv_epi8(g, h, bit5));
        let (a, e) = (_mm256_blendv_epi8(a, c, bit6), _mm256_blendv_epi8(e, g, bit6));
        _mm256_blendv_epi8(a, e, v)
    }
}

/// The entries of two neighbouring rows, the second's where `odd_place` is one.
///
/// # Safety
/// AVX2.
#[inline(always)]
unsafe fn pair(rows: &[__m256i; 16], i: usize, place: __m256i, odd_place: __m256i) -> __m256i {
    // SAFETY: the caller vouches for the instruction set.
    unsafe {
        let (row, step) =
            (_mm256_shuffle_epi8(rows[2 * i], place), _mm256_shuffle_epi8(rows[2 * i + 1], odd_place));
        _mm256_xor_si256(row, step)
    }
}
