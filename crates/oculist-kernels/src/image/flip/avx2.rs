//! Shuffles of whole pixels with AVX2.

use core::arch::x86_64::{
    __m128i, __m256i, _mm_extract_epi32, _mm_loadu_si128, _mm_setr_epi8, _mm_storel_epi64, _mm_storeu_si128,
    _mm256_broadcastsi128_si256, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_set_m128i,
    _mm256_shuffle_epi8, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32,
    _mm256_unpacklo_epi64,
};

use super::{Transposition, reverse_rest};

/// Reads two times sixteen bytes.
///
/// # Safety
/// AVX2; sixteen bytes are readable at both places.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load(low: *const u8, high: *const u8) -> __m256i {
    // SAFETY: the caller vouches for the memory.
    unsafe { _mm256_set_m128i(_mm_loadu_si128(high.cast()), _mm_loadu_si128(low.cast())) }
}

/// Writes the pixels of a row in reverse order.
///
/// # Safety
/// The processor has AVX2; the rows are equally long and hold whole pixels.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn reverse<const C: usize>(from: &[u8], to: &mut [u8]) {
    let order: __m128i = match C {
        1 => _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
        3 => _mm_setr_epi8(13, 14, 15, 10, 11, 12, 7, 8, 9, 4, 5, 6, 1, 2, 3, -1),
        _ => _mm_setr_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3),
    };
    let order = _mm256_broadcastsi128_si256(order);
    // Whole pixels of sixteen bytes: all, or fifteen of them, read at the end and written at the start.
    let used = 16 / C * C;
    let len = from.len();
    let mut done = 0;
    while done + 2 * 16 <= len {
        // SAFETY: `done + 32 <= len`: reads from `len - done - 32` on and up to `len - done`, writes from `done` to
        // `done + 32`. The byte behind each fifteen is written again with the next block or by the rest below.
        unsafe {
            let end = from.as_ptr().add(len - done - 16);
            let pixels = _mm256_shuffle_epi8(load(end, end.sub(used)), order);
            let start = to.as_mut_ptr().add(done);
            _mm_storeu_si128(start.cast(), _mm256_castsi256_si128(pixels));
            _mm_storeu_si128(start.add(used).cast(), _mm256_extracti128_si256::<1>(pixels));
        }
        done += 2 * used;
    }
    reverse_rest::<C>(from, to, done / C);
}

/// Transposes blocks of four columns and eight rows; gives the columns and rows that are done, from the first on.
///
/// # Safety
/// The processor has AVX2; both slices have `width * height * C` bytes.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn transpose<const C: usize>(
    from: &[u8],
    to: &mut [u8],
    (width, height): (usize, usize),
    how: Transposition,
) -> (usize, usize) {
    // A block reads sixteen bytes of each row, so that it stays two pixels away from the right where a pixel has three
    // bytes; it writes four bytes behind its eight pixels unless it is the last in the row.
    let slack = if C == 3 { 2 } else { 0 };
    let columns = width.saturating_sub(slack) / 4 * 4;
    let lines = height / 8 * 8;
    let (wide, narrow) = if C == 3 {
        (
            _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1),
            _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1),
        )
    } else {
        let same = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        (same, same)
    };
    let (wide, narrow) = (_mm256_broadcastsi128_si256(wide), _mm256_broadcastsi128_si256(narrow));
    let line = |y: usize| (if how.from_below { height - 1 - y } else { y }) * width * C;
    let row = |x: usize| (if how.to_below { width - 1 - x } else { x }) * height * C;
    for left in (0..columns).step_by(4) {
        for top in (0..lines).step_by(8) {
            let four = |i: usize| {
                let at = |y: usize| line(y) + left * C;
                // SAFETY: columns `left` to `left + 16 / C` rounded up lie in the rows, of which both are in the image.
                let pixels =
                    unsafe { load(from.as_ptr().add(at(top + i)), from.as_ptr().add(at(top + i + 4))) };
                if C == 3 { _mm256_shuffle_epi8(pixels, wide) } else { pixels }
            };
            let (a, b, c, d) = (four(0), four(1), four(2), four(3));
            let (ab, cd) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
            let (ef, gh) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
            let turned = [
                _mm256_unpacklo_epi64(ab, cd),
                _mm256_unpackhi_epi64(ab, cd),
                _mm256_unpacklo_epi64(ef, gh),
                _mm256_unpackhi_epi64(ef, gh),
            ];
            for (i, pixels) in turned.into_iter().enumerate() {
                let pixels = if C == 3 { _mm256_shuffle_epi8(pixels, narrow) } else { pixels };
                // SAFETY: eight pixels lie in this row of the result, and `slack` more where sixteen bytes are written
                // last. What spills over is written again by the next block or by the rows left over.
                unsafe {
                    let to = to.as_mut_ptr().add(row(left + i) + top * C);
                    _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(pixels));
                    let (upper, to) = (_mm256_extracti128_si256::<1>(pixels), to.add(4 * C));
                    if top + 8 + slack <= height {
                        _mm_storeu_si128(to.cast(), upper);
                    } else {
                        _mm_storel_epi64(to.cast(), upper);
                        to.add(8).cast::<i32>().write_unaligned(_mm_extract_epi32::<2>(upper));
                    }
                }
            }
        }
    }
    (columns, lines)
}
