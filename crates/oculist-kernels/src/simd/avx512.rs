//! Sixteen f32 in one AVX-512 register.

use core::arch::x86_64::{
    __m512, _CMP_GT_OQ, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm512_add_epi32, _mm512_add_ps,
    _mm512_castpd_ps, _mm512_castps_pd, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cmp_ps_mask,
    _mm512_div_ps, _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_loadu_ps, _mm512_mask_blend_ps, _mm512_max_ps,
    _mm512_min_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_shuffle_f32x4, _mm512_slli_epi32, _mm512_storeu_ps,
    _mm512_sub_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

use super::{Kernel, Simd};

/// Proof that the processor has AVX-512 F, BW, DQ and VL; made only by [`run`].
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

/// Runs a kernel compiled for AVX-512.
///
/// # Safety
/// The processor has the features named below.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512(()))
}

impl Simd for Avx512 {
    type V = __m512;

    const ROWS_1: usize = 14;
    const ROWS_2: usize = 14;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load_ptr(self, p: *const f32) -> __m512 {
        // SAFETY: `self` proves the instruction set; the caller vouches for the memory; no alignment is needed.
        unsafe { _mm512_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn store_ptr(self, p: *mut f32, v: __m512) {
        // SAFETY: as for `load_ptr`.
        unsafe { _mm512_storeu_ps(p, v) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn times_power_of_two(self, v: __m512, t: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe {
            let power = _mm512_slli_epi32::<23>(_mm512_castps_si512(t));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(v), power))
        }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn neg_mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_fnmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn select_gt(self, a: __m512, b: __m512, yes: __m512, no: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b), no, yes) }
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
    fn transpose(self, rows: [__m512; 16]) -> [__m512; 16] {
        let mut out = rows;
        // SAFETY: `self` proves the instruction set.
        unsafe {
            // Four rows at a time: each quarter of the results holds a column of these rows.
            let mut quads = [[rows[0]; 4]; 4];
            for (g, quad) in quads.iter_mut().enumerate() {
                let low = |a, b| _mm512_castps_pd(_mm512_unpacklo_ps(rows[4 * g + a], rows[4 * g + b]));
                let high = |a, b| _mm512_castps_pd(_mm512_unpackhi_ps(rows[4 * g + a], rows[4 * g + b]));
                let (low0, low1, high0, high1) = (low(0, 1), low(2, 3), high(0, 1), high(2, 3));
                *quad = [
                    _mm512_castpd_ps(_mm512_unpacklo_pd(low0, low1)),
                    _mm512_castpd_ps(_mm512_unpackhi_pd(low0, low1)),
                    _mm512_castpd_ps(_mm512_unpacklo_pd(high0, high1)),
                    _mm512_castpd_ps(_mm512_unpackhi_pd(high0, high1)),
                ];
            }
            // Then the quarters go to their places.
            for c in 0..4 {
                let even0 = _mm512_shuffle_f32x4::<0x88>(quads[0][c], quads[1][c]);
                let even1 = _mm512_shuffle_f32x4::<0x88>(quads[2][c], quads[3][c]);
                let odd0 = _mm512_shuffle_f32x4::<0xdd>(quads[0][c], quads[1][c]);
                let odd1 = _mm512_shuffle_f32x4::<0xdd>(quads[2][c], quads[3][c]);
                out[c] = _mm512_shuffle_f32x4::<0x88>(even0, even1);
                out[4 + c] = _mm512_shuffle_f32x4::<0x88>(odd0, odd1);
                out[8 + c] = _mm512_shuffle_f32x4::<0xdd>(even0, even1);
                out[12 + c] = _mm512_shuffle_f32x4::<0xdd>(odd0, odd1);
            }
        }
        out
    }
}
