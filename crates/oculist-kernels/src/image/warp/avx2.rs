//! Eight pixels at a time with AVX2.
//!
//! Pixels with three or four channels are worked on in pairs (k, k + 4), one in each half of a register, four lanes of 32
//! bits a pixel, so that packing four pairs to bytes leaves all eight pixels in order.

use core::arch::x86_64::{
    __m256i, _mm_loadl_epi64, _mm_loadu_si128, _mm_setr_epi8, _mm_setr_epi16, _mm_storel_epi64,
    _mm_storeu_si128, _mm_unpacklo_epi32, _mm_unpacklo_epi64, _mm256_add_epi32, _mm256_and_si256,
    _mm256_blend_epi16, _mm256_blend_epi32, _mm256_broadcastsi128_si256, _mm256_castsi256_ps,
    _mm256_castsi256_si128, _mm256_cmpgt_epi32, _mm256_cvtepu16_epi32, _mm256_extracti128_si256,
    _mm256_load_si256, _mm256_madd_epi16, _mm256_movemask_ps, _mm256_mullo_epi32, _mm256_packs_epi32,
    _mm256_packus_epi16, _mm256_set_m128i, _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setr_epi32,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_shuffle_epi32, _mm256_slli_epi32, _mm256_srai_epi32,
    _mm256_srli_epi32, _mm256_store_si256, _mm256_sub_epi32,
};

use super::super::packed::{Order, tap_pairs};
use super::chunk::{Lanes, Path, Source, row};
use super::{CUBIC, LAST_DROP, ONE, PLACE_BITS, ROW_DROP};

/// Proof that the processor has AVX2; made only by [`run`].
#[derive(Clone, Copy)]
struct Avx2(());

/// Samples a row; see [`row`].
///
/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn run<const C: usize, const TAPS: usize>(
    source: &Source<'_>,
    xs: &[i32],
    ys: &[i32],
    out: &mut [u8],
) {
    row::<Avx2, C, TAPS>(Avx2(()), source, xs, ys, out);
}

impl Path for Avx2 {
    const PIXELS: usize = 8;

    #[inline(always)]
    fn locate<const C: usize, const TAPS: usize>(
        self,
        source: &Source<'_>,
        xs: &Lanes,
        ys: &Lanes,
        offsets: &mut Lanes,
    ) -> u32 {
        // SAFETY: `self` proves the instruction set; lanes are aligned to 64 bytes.
        unsafe {
            let first = |places: &Lanes| {
                let places = _mm256_load_si256(places.0.as_ptr().cast());
                let shift = match TAPS {
                    1 => ONE / 2,
                    2 => 0,
                    _ => -ONE,
                };
                _mm256_srai_epi32::<{ PLACE_BITS as i32 }>(_mm256_add_epi32(places, _mm256_set1_epi32(shift)))
            };
            let (x, y) = (first(xs), first(ys));
            let bytes = match C {
                1 => x,
                3 => _mm256_add_epi32(x, _mm256_add_epi32(x, x)),
                _ => _mm256_slli_epi32::<2>(x),
            };
            let stride = _mm256_set1_epi32(source.stride as i32);
            let offset = _mm256_add_epi32(_mm256_mullo_epi32(y, stride), bytes);
            _mm256_store_si256(offsets.0.as_mut_ptr().cast(), offset);
            let within = |v: __m256i, end: i32| {
                let low = _mm256_cmpgt_epi32(v, _mm256_set1_epi32(-1));
                _mm256_and_si256(low, _mm256_cmpgt_epi32(_mm256_set1_epi32(end), v))
            };
            let inside = _mm256_and_si256(within(x, source.columns), within(y, source.lines));
            let inside = _mm256_and_si256(inside, within(offset, source.last.saturating_add(1)));
            _mm256_movemask_ps(_mm256_castsi256_ps(inside)) as u32
        }
    }

    #[inline(always)]
    unsafe fn sample<const C: usize, const TAPS: usize>(
        self,
        base: *const u8,
        offsets: &Lanes,
        stride: usize,
        xs: &Lanes,
        ys: &Lanes,
        out: *mut u8,
    ) {
        // SAFETY: `self` proves the instruction set; the caller vouches for the memory.
        unsafe {
            match (C, TAPS) {
                (_, 1) => nearest::<C>(base, offsets, out),
                (1, 2) => bilinear_grey(base, offsets, stride, xs, ys, out),
                (1, _) => bicubic_grey(base, offsets, stride, xs, ys, out),
                (_, 2) => store::<C>(bilinear::<C>(base, offsets, stride, xs, ys), out),
                _ => store::<C>(bicubic::<C>(base, offsets, stride, xs, ys), out),
            }
        }
    }
}

/// The address of a pixel's taps in row j.
///
/// # Safety
/// The taps are readable.
#[inline(always)]
unsafe fn at(base: *const u8, offsets: &Lanes, k: usize, line: usize) -> *const u8 {
    // SAFETY: the caller vouches for the taps.
    unsafe { base.add(offsets.0[k] as u32 as usize + line) }
}

/// Copies eight pixels; each store but that of bytes also writes what follows, which the next one corrects.
///
/// # Safety
/// As for [`Path::sample`].
#[inline(always)]
unsafe fn nearest<const C: usize>(base: *const u8, offsets: &Lanes, out: *mut u8) {
    for k in 0..8 {
        // SAFETY: the caller vouches for the memory.
        unsafe {
            let from = at(base, offsets, k, 0);
            if C == 1 {
                out.add(k).write(from.read());
            } else {
                out.add(k * C).cast::<u32>().write_unaligned(from.cast::<u32>().read_unaligned());
            }
        }
    }
}

/// Writes eight pixels of four bytes as pixels of C bytes.
///
/// # Safety
/// AVX2; `8 * C + 4` bytes are writable at `out`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store<const C: usize>(pixels: __m256i, out: *mut u8) {
    let packed = if C == 3 {
        let order = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
        _mm256_shuffle_epi8(pixels, _mm256_broadcastsi128_si256(order))
    } else {
        pixels
    };
    // SAFETY: the caller vouches for the memory.
    unsafe {
        _mm_storeu_si128(out.cast(), _mm256_castsi256_si128(packed));
        _mm_storeu_si128(out.add(4 * C).cast(), _mm256_extracti128_si256::<1>(packed));
    }
}

/// Writes eight i32, cut to 0..=255, as bytes.
///
/// # Safety
/// AVX2; eight bytes are writable at `out`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store_grey(values: __m256i, out: *mut u8) {
    let zero = _mm256_setzero_si256();
    let bytes = _mm256_packus_epi16(_mm256_packs_epi32(values, zero), zero);
    let (low, high) = (_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes));
    // SAFETY: the caller vouches for the memory.
    unsafe { _mm_storel_epi64(out.cast(), _mm_unpacklo_epi32(low, high)) };
}

/// The same order for both halves of a register.
#[inline]
#[target_feature(enable = "avx2")]
fn order(order: &Order) -> __m256i {
    // SAFETY: an order has sixteen bytes.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(order.as_ptr().cast()) })
}

/// Fractions of eight places.
#[inline]
#[target_feature(enable = "avx2")]
fn fractions(places: &Lanes) -> __m256i {
    // SAFETY: lanes are sixteen aligned i32.
    let places = unsafe { _mm256_load_si256(places.0.as_ptr().cast()) };
    _mm256_and_si256(places, _mm256_set1_epi32(ONE - 1))
}

/// The weights (1 - f, f) of eight fractions as pairs of i16.
#[inline]
#[target_feature(enable = "avx2")]
fn pairs(f: __m256i) -> __m256i {
    _mm256_add_epi32(_mm256_slli_epi32::<16>(f), _mm256_sub_epi32(_mm256_set1_epi32(ONE), f))
}

/// `(top * (1 - f) + bottom * f) / 2^22`, rounded.
#[inline]
#[target_feature(enable = "avx2")]
fn between(top: __m256i, bottom: __m256i, f: __m256i) -> __m256i {
    let whole = _mm256_slli_epi32::<{ PLACE_BITS as i32 }>(top);
    let whole = _mm256_add_epi32(whole, _mm256_set1_epi32(ONE * ONE / 2));
    let part = _mm256_mullo_epi32(_mm256_sub_epi32(bottom, top), f);
    _mm256_srli_epi32::<{ 2 * PLACE_BITS as i32 }>(_mm256_add_epi32(whole, part))
}

/// # Safety
/// As for [`Path::sample`], with AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn bilinear<const C: usize>(
    base: *const u8,
    offsets: &Lanes,
    stride: usize,
    xs: &Lanes,
    ys: &Lanes,
) -> __m256i {
    // The row below lies in the upper eight bytes.
    let (upper, lower) = (order(&const { tap_pairs::<C>(0) }), order(&const { tap_pairs::<C>(8) }));
    let (wx, fy) = (pairs(fractions(xs)), fractions(ys));
    macro_rules! taps {
        ($k:expr) => {{
            // SAFETY: the caller vouches for eight bytes in both rows.
            let (above, below) = unsafe {
                (
                    _mm_loadl_epi64(at(base, offsets, $k, 0).cast()),
                    _mm_loadl_epi64(at(base, offsets, $k, stride).cast()),
                )
            };
            _mm_unpacklo_epi64(above, below)
        }};
    }
    macro_rules! pair {
        ($k:literal, $lane:literal) => {{
            let taps = _mm256_set_m128i(taps!($k + 4), taps!($k));
            let weights = _mm256_shuffle_epi32::<$lane>(wx);
            let top = _mm256_madd_epi16(_mm256_shuffle_epi8(taps, upper), weights);
            let bottom = _mm256_madd_epi16(_mm256_shuffle_epi8(taps, lower), weights);
            between(top, bottom, _mm256_shuffle_epi32::<$lane>(fy))
        }};
    }
    let low = _mm256_packs_epi32(pair!(0, 0x00), pair!(1, 0x55));
    let high = _mm256_packs_epi32(pair!(2, 0xaa), pair!(3, 0xff));
    _mm256_packus_epi16(low, high)
}

/// # Safety
/// As for [`Path::sample`], with AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn bilinear_grey(
    base: *const u8,
    offsets: &Lanes,
    stride: usize,
    xs: &Lanes,
    ys: &Lanes,
    out: *mut u8,
) {
    let order = order(&const { tap_pairs::<1>(0) });
    let (wx, fy) = (pairs(fractions(xs)), fractions(ys));
    let line = |line: usize| {
        // SAFETY: the caller vouches for two bytes in both rows.
        let tap = |k: usize| unsafe { at(base, offsets, k, line).cast::<i16>().read_unaligned() };
        let taps = _mm_setr_epi16(tap(0), tap(1), tap(2), tap(3), tap(4), tap(5), tap(6), tap(7));
        _mm256_madd_epi16(_mm256_shuffle_epi8(_mm256_cvtepu16_epi32(taps), order), wx)
    };
    // SAFETY: the caller vouches for the memory.
    unsafe { store_grey(between(line(0), line(stride), fy), out) };
}

/// The cubic weights of one pixel, the first lowest.
#[inline(always)]
fn cubic(places: &Lanes, k: usize) -> i64 {
    let [a, b, c, d] = CUBIC[(places.0[k] & (ONE - 1)) as usize];
    i64::from(a as u16) | i64::from(b as u16) << 16 | i64::from(c as u16) << 32 | i64::from(d) << 48
}

/// Two rows' sums rounded to i16, side by side.
#[inline]
#[target_feature(enable = "avx2")]
fn rounded(even: __m256i, odd: __m256i) -> __m256i {
    let half = _mm256_set1_epi32(1 << (ROW_DROP - 1));
    _mm256_blend_epi16::<0b1010_1010>(
        _mm256_srai_epi32::<{ ROW_DROP as i32 }>(_mm256_add_epi32(even, half)),
        _mm256_slli_epi32::<{ 16 - ROW_DROP as i32 }>(_mm256_add_epi32(odd, half)),
    )
}

/// The weighted sum of four rows, two side by side in each register, rounded to levels.
#[inline]
#[target_feature(enable = "avx2")]
fn column(rows: [__m256i; 2], weights: [__m256i; 2]) -> __m256i {
    let sum =
        _mm256_add_epi32(_mm256_madd_epi16(rows[0], weights[0]), _mm256_madd_epi16(rows[1], weights[1]));
    let half = _mm256_set1_epi32(1 << (LAST_DROP - 1));
    _mm256_srai_epi32::<{ LAST_DROP as i32 }>(_mm256_add_epi32(sum, half))
}

/// # Safety
/// As for [`Path::sample`], with AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn bicubic<const C: usize>(
    base: *const u8,
    offsets: &Lanes,
    stride: usize,
    xs: &Lanes,
    ys: &Lanes,
) -> __m256i {
    let (first, second) = (order(&const { tap_pairs::<C>(0) }), order(&const { tap_pairs::<C>(2 * C) }));
    macro_rules! line {
        ($k:expr, $j:expr, $weights:expr) => {{
            // SAFETY: the caller vouches for sixteen bytes in each row.
            let taps = unsafe {
                _mm256_set_m128i(
                    _mm_loadu_si128(at(base, offsets, $k + 4, $j * stride).cast()),
                    _mm_loadu_si128(at(base, offsets, $k, $j * stride).cast()),
                )
            };
            _mm256_add_epi32(
                _mm256_madd_epi16(_mm256_shuffle_epi8(taps, first), $weights[0]),
                _mm256_madd_epi16(_mm256_shuffle_epi8(taps, second), $weights[1]),
            )
        }};
    }
    macro_rules! pair {
        ($k:expr) => {{
            let weights = |places: &Lanes| {
                let w = _mm256_blend_epi32::<0xf0>(
                    _mm256_set1_epi64x(cubic(places, $k)),
                    _mm256_set1_epi64x(cubic(places, $k + 4)),
                );
                [_mm256_shuffle_epi32::<0x00>(w), _mm256_shuffle_epi32::<0x55>(w)]
            };
            let (wx, wy) = (weights(xs), weights(ys));
            let upper = rounded(line!($k, 0, wx), line!($k, 1, wx));
            let lower = rounded(line!($k, 2, wx), line!($k, 3, wx));
            column([upper, lower], wy)
        }};
    }
    let low = _mm256_packs_epi32(pair!(0), pair!(1));
    let high = _mm256_packs_epi32(pair!(2), pair!(3));
    _mm256_packus_epi16(low, high)
}

/// # Safety
/// As for [`Path::sample`], with AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn bicubic_grey(
    base: *const u8,
    offsets: &Lanes,
    stride: usize,
    xs: &Lanes,
    ys: &Lanes,
    out: *mut u8,
) {
    macro_rules! eight {
        ($lane:expr) => {{
            let lane = $lane;
            _mm256_setr_epi32(lane(0), lane(1), lane(2), lane(3), lane(4), lane(5), lane(6), lane(7))
        }};
    }
    let orders = [order(&const { tap_pairs::<1>(0) }), order(&const { tap_pairs::<1>(2) })];
    let weights =
        |places: &Lanes| [eight!(|k| cubic(places, k) as i32), eight!(|k| (cubic(places, k) >> 32) as i32)];
    let (wx, wy) = (weights(xs), weights(ys));
    let line = |j: usize| {
        // SAFETY: the caller vouches for four bytes in each row.
        let taps = eight!(|k| unsafe { at(base, offsets, k, j * stride).cast::<i32>().read_unaligned() });
        _mm256_add_epi32(
            _mm256_madd_epi16(_mm256_shuffle_epi8(taps, orders[0]), wx[0]),
            _mm256_madd_epi16(_mm256_shuffle_epi8(taps, orders[1]), wx[1]),
        )
    };
    let rows = [rounded(line(0), line(1)), rounded(line(2), line(3))];
    // SAFETY: the caller vouches for the memory.
    unsafe { store_grey(column(rows, wy), out) };
}
