//! Sixteen f32 in two AVX2 registers.

use core::arch::x86_64::{
    __m256, _CMP_GT_OQ, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm256_add_epi32, _mm256_add_ps,
    _mm256_blendv_ps, _mm256_castps_si256, _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_div_ps,
    _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps,
    _mm256_permute2f128_ps, _mm256_set1_ps, _mm256_shuffle_ps, _mm256_slli_epi32, _mm256_storeu_ps,
    _mm256_sub_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
};

use super::{Kernel, Simd};

/// Proof that the processor has AVX2 and FMA; made only by [`run`].
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

/// Runs a kernel compiled for AVX2 and FMA.
///
/// # Safety
/// The processor has the features named below.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2(()))
}

impl Simd for Avx2 {
    type V = [__m256; 2];

    const ROWS_1: usize = 6;
    const ROWS_2: usize = 0;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: `self` proves the instruction set.
        let v = unsafe { _mm256_set1_ps(x) };
        [v, v]
    }

    #[inline(always)]
    unsafe fn load_ptr(self, p: *const f32) -> Self::V {
        // SAFETY: `self` proves the instruction set; the caller vouches for sixteen f32.
        unsafe { [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))] }
    }

    #[inline(always)]
    unsafe fn store_ptr(self, p: *mut f32, v: Self::V) {
        // SAFETY: as for `load_ptr`.
        unsafe {
            _mm256_storeu_ps(p, v[0]);
            _mm256_storeu_ps(p.add(8), v[1]);
        }
    }

    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn times_power_of_two(self, v: Self::V, t: Self::V) -> Self::V {
        let mut y = v;
        for (y, t) in y.iter_mut().zip(t) {
            // SAFETY: `self` proves the instruction set.
            *y = unsafe {
                let power = _mm256_slli_epi32::<23>(_mm256_castps_si256(t));
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(*y), power))
            };
        }
        y
    }

    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }

    #[inline(always)]
    fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_fnmadd_ps(a[0], b[0], c[0]), _mm256_fnmadd_ps(a[1], b[1], c[1])] }
    }

    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn select_gt(self, a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V {
        // SAFETY: `self` proves the instruction set.
        unsafe {
            [
                _mm256_blendv_ps(no[0], yes[0], _mm256_cmp_ps::<_CMP_GT_OQ>(a[0], b[0])),
                _mm256_blendv_ps(no[1], yes[1], _mm256_cmp_ps::<_CMP_GT_OQ>(a[1], b[1])),
            ]
        }
    }

    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        // SAFETY: a prefetch of any address is allowed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) };
    }

    #[inline(always)]
    fn prefetch_far(self, p: *const f32) {
        // SAFETY: a prefetch of any address is allowed.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) };
    }

    #[inline(always)]
    fn transpose(self, rows: [Self::V; 16]) -> [Self::V; 16] {
        let mut out = rows;
        for half in 0..2 {
            let above: [__m256; 8] = std::array::from_fn(|r| rows[r][half]);
            let below: [__m256; 8] = std::array::from_fn(|r| rows[8 + r][half]);
            let (above, below) = (transpose_8x8(above), transpose_8x8(below));
            for c in 0..8 {
                out[8 * half + c] = [above[c], below[c]];
            }
        }
        out
    }
}

/// The transpose of eight rows of eight; only called by methods of [`Avx2`], which prove the instruction set.
#[inline(always)]
fn transpose_8x8(rows: [__m256; 8]) -> [__m256; 8] {
    let mut out = rows;
    // SAFETY: the callers prove the instruction set.
    unsafe {
        // Four rows at a time: each half of the results holds a column of these rows.
        let mut quads = [[rows[0]; 4]; 2];
        for (g, quad) in quads.iter_mut().enumerate() {
            let [a, b, c, d] = [rows[4 * g], rows[4 * g + 1], rows[4 * g + 2], rows[4 * g + 3]];
            let (low0, low1) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (high0, high1) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            *quad = [
                _mm256_shuffle_ps::<0x44>(low0, low1),
                _mm256_shuffle_ps::<0xee>(low0, low1),
                _mm256_shuffle_ps::<0x44>(high0, high1),
                _mm256_shuffle_ps::<0xee>(high0, high1),
            ];
        }
        for c in 0..4 {
            out[c] = _mm256_permute2f128_ps::<0x20>(quads[0][c], quads[1][c]);
            out[4 + c] = _mm256_permute2f128_ps::<0x31>(quads[0][c], quads[1][c]);
        }
    }
    out
}
