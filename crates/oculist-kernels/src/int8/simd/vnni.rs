//! AVX-512 with VNNI: `vpdpbusd` adds four products of u8 and i8 to an i32 without saturation.
#![allow(
    clippy::cast_ptr_alignment,
    reason = "the loads and stores through these pointers are unaligned ones"
)]

use core::arch::x86_64::{
    __m128i, __m256i, __m512, __m512i, __mmask16, __mmask32, _CMP_GT_OQ, _MM_FROUND_NO_EXC,
    _MM_FROUND_TO_NEAREST_INT, _mm_loadu_si128, _mm_max_epu8, _mm_setr_epi8, _mm_storeu_si128,
    _mm256_maskz_loadu_epi8, _mm256_storeu_si256, _mm512_add_epi16, _mm512_add_epi32, _mm512_add_ps,
    _mm512_adds_epi16, _mm512_broadcast_i32x4, _mm512_castsi128_si512, _mm512_castsi512_si128,
    _mm512_castsi512_si256, _mm512_cmp_ps_mask, _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps,
    _mm512_cvtepu8_epi16, _mm512_cvtepu8_epi32, _mm512_cvtps_epi32, _mm512_div_ps, _mm512_dpbusd_epi32,
    _mm512_dpwssd_epi32, _mm512_extracti32x4_epi32, _mm512_extracti64x4_epi64, _mm512_fmadd_ps,
    _mm512_inserti32x4, _mm512_load_si512, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_maskz_loadu_ps,
    _mm512_maskz_permutexvar_ps, _mm512_max_epu8, _mm512_max_ps, _mm512_min_epu8, _mm512_min_ps,
    _mm512_mul_ps, _mm512_mullo_epi32, _mm512_packs_epi32, _mm512_packus_epi16, _mm512_permutexvar_epi32,
    _mm512_roundscale_ps, _mm512_set1_epi8, _mm512_set1_epi16, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setr_epi32, _mm512_shuffle_epi8, _mm512_slli_epi16, _mm512_slli_epi32, _mm512_srai_epi32,
    _mm512_storeu_ps, _mm512_storeu_si512, _mm512_sub_epi16, _mm512_sub_epi32, _mm512_sub_ps,
};

use super::{ByteKernel, ByteLanes, IntKernel, IntSimd, Line};

/// Proof that the processor has AVX-512 with VNNI; made only by [`run`].
#[derive(Clone, Copy)]
pub(super) struct Vnni(());

/// Runs a kernel compiled for AVX-512 with VNNI.
///
/// # Safety
/// The processor has the features named below.
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) unsafe fn run<K: IntKernel>(kernel: K) -> K::Output {
    kernel.run(Vnni(()))
}

/// Runs a kernel of products of bytes in lanes.
///
/// # Safety
/// The processor has the features named below.
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) unsafe fn run_bytes<K: ByteKernel>(kernel: K) {
    kernel.run(Vnni(()));
}

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

impl IntSimd for Vnni {
    type I = __m512i;
    type F = __m512;
    type E = u8;
    type X = __m512i;
    type W = __m512i;
    type H = __m512i;
    type X2 = __m512i;
    type Q = __m512i;

    const HALVES: usize = 32;
    const GROUP: usize = 4;
    const BYTES: bool = true;
    const ROWS: [usize; 4] = [14, 12, 8, 6];
    const DEPTHWISE_ROWS: usize = 8;

    #[inline(always)]
    unsafe fn pack(self, from: &[u8], to: *mut u8) {
        // SAFETY: the caller vouches for the length; packed input is a buffer of its own.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
    }

    #[inline(always)]
    fn element(self, x: u8) -> u8 {
        x
    }

    #[inline(always)]
    unsafe fn load_x(self, p: *const u8) -> __m512i {
        // SAFETY: the caller vouches for four bytes; `self` proves the instruction set.
        unsafe { _mm512_set1_epi32(p.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn load_w(self, p: *const Line) -> __m512i {
        // SAFETY: a line is one aligned register.
        unsafe { _mm512_load_si512(p.cast::<__m512i>()) }
    }

    #[inline(always)]
    fn mac(self, acc: __m512i, x: __m512i, w: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_dpbusd_epi32(acc, x, w) }
    }

    #[inline(always)]
    unsafe fn load_x2(self, p: *const i16) -> __m512i {
        // SAFETY: the caller vouches for two i16; `self` proves the instruction set.
        unsafe { _mm512_set1_epi32(p.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn load_u8_i16(self, p: *const u8, count: usize) -> __m512i {
        let read: __mmask32 = if count < 32 { 0xffff } else { !0 };
        // SAFETY: the caller vouches for the bytes; those that the mask leaves out are not read.
        unsafe { _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(read, p.cast::<i8>())) }
    }

    #[inline(always)]
    unsafe fn load_i16(self, p: *const i16) -> __m512i {
        // SAFETY: the caller vouches for 32 i16.
        unsafe { _mm512_loadu_si512(p.cast::<__m512i>()) }
    }

    #[inline(always)]
    unsafe fn store_i16(self, x: __m512i, p: *mut i16) {
        // SAFETY: the caller vouches for 32 i16; `self` proves the instruction set.
        unsafe { _mm512_storeu_si512(p.cast::<__m512i>(), x) };
    }

    #[inline(always)]
    unsafe fn load_i32_ptr(self, p: *const i32) -> __m512i {
        // SAFETY: the caller vouches for sixteen i32.
        unsafe { _mm512_loadu_si512(p.cast::<__m512i>()) }
    }

    #[inline(always)]
    unsafe fn store_i32(self, x: __m512i, p: *mut i32) {
        // SAFETY: the caller vouches for sixteen i32.
        unsafe { _mm512_storeu_si512(p.cast::<__m512i>(), x) };
    }

    #[inline(always)]
    fn mac2(self, acc: __m512i, x: __m512i, w: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_dpwssd_epi32(acc, x, w) }
    }

    #[inline(always)]
    fn add16(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_add_epi16(a, b) }
    }

    #[inline(always)]
    fn sub16(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_sub_epi16(a, b) }
    }

    #[inline(always)]
    fn shl16<const N: u32>(self, a: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_slli_epi16::<N>(a) }
    }

    #[inline(always)]
    fn add32(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    fn sub32(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_sub_epi32(a, b) }
    }

    #[inline(always)]
    fn mul32(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_mullo_epi32(a, b) }
    }

    #[inline(always)]
    fn shl32<const N: u32>(self, a: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_slli_epi32::<N>(a) }
    }

    #[inline(always)]
    fn shr32<const N: u32>(self, a: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_srai_epi32::<N>(a) }
    }

    #[inline(always)]
    fn load_i32(self, x: &[i32; 16]) -> __m512i {
        // SAFETY: the array is one register.
        unsafe { _mm512_loadu_si512(x.as_ptr().cast::<__m512i>()) }
    }

    #[inline(always)]
    fn to_f32(self, x: __m512i) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_cvtepi32_ps(x) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load_f32(self, p: *const f32) -> __m512 {
        // SAFETY: the caller vouches for sixteen f32.
        unsafe { _mm512_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn load_pixels<const C: usize>(self, p: *const f32) -> __m512 {
        let index: [i32; 16] = std::array::from_fn(|i| (i / 4 * C + i % 4) as i32);
        let own = 0x1111 * ((1u32 << C) - 1);
        // SAFETY: the caller vouches for four pixels; lanes that the masks leave out are neither read nor used.
        unsafe {
            let index = _mm512_loadu_si512(index.as_ptr().cast::<__m512i>());
            let read = ((1u32 << (4 * C)) - 1) as __mmask16;
            _mm512_maskz_permutexvar_ps(own as __mmask16, index, _mm512_maskz_loadu_ps(read, p))
        }
    }

    #[inline(always)]
    unsafe fn store_f32(self, x: __m512, p: *mut f32) {
        // SAFETY: the caller vouches for sixteen f32.
        unsafe { _mm512_storeu_ps(p, x) }
    }

    #[inline(always)]
    unsafe fn load_u8(self, p: *const u8) -> __m512 {
        // SAFETY: the caller vouches for sixteen bytes.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(p.cast::<__m128i>()))) }
    }

    #[inline(always)]
    unsafe fn store_u8(self, x: __m512, offset: __m512i, p: *mut u8) {
        // SAFETY: the caller vouches for sixteen bytes; `self` proves the instruction set.
        unsafe {
            let bytes = _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(x), offset));
            _mm_storeu_si128(p.cast::<__m128i>(), bytes);
        }
    }

    #[inline(always)]
    fn quantize(self, x: [__m512; 4], zero_point: u8, low: u8, high: u8) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe {
            let zero = _mm512_set1_epi16(i16::from(zero_point));
            let [a, b, c, d] = [
                _mm512_cvtps_epi32(x[0]),
                _mm512_cvtps_epi32(x[1]),
                _mm512_cvtps_epi32(x[2]),
                _mm512_cvtps_epi32(x[3]),
            ];
            let ab = _mm512_adds_epi16(_mm512_packs_epi32(a, b), zero);
            let cd = _mm512_adds_epi16(_mm512_packs_epi32(c, d), zero);
            // Packing works in quarters of a register: each holds four lanes of a, b, c and d.
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let bytes = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(ab, cd));
            let low = _mm512_set1_epi8(low as i8);
            _mm512_min_epu8(_mm512_max_epu8(bytes, low), _mm512_set1_epi8(high as i8))
        }
    }

    #[inline(always)]
    unsafe fn store_quarters(self, q: __m512i, to: [*mut u8; 4]) {
        // SAFETY: the caller vouches for sixteen bytes at each place; `self` proves the instruction set.
        unsafe {
            _mm_storeu_si128(to[0].cast::<__m128i>(), _mm512_castsi512_si128(q));
            _mm_storeu_si128(to[1].cast::<__m128i>(), _mm512_extracti32x4_epi32::<1>(q));
            _mm_storeu_si128(to[2].cast::<__m128i>(), _mm512_extracti32x4_epi32::<2>(q));
            _mm_storeu_si128(to[3].cast::<__m128i>(), _mm512_extracti32x4_epi32::<3>(q));
        }
    }

    #[inline(always)]
    unsafe fn store_halves(self, q: __m512i, to: [*mut u8; 2]) {
        // SAFETY: the caller vouches for 32 bytes at each place; `self` proves the instruction set.
        unsafe {
            _mm256_storeu_si256(to[0].cast::<__m256i>(), _mm512_castsi512_si256(q));
            _mm256_storeu_si256(to[1].cast::<__m256i>(), _mm512_extracti64x4_epi64::<1>(q));
        }
    }

    #[inline(always)]
    unsafe fn store_whole(self, q: __m512i, to: *mut u8) {
        // SAFETY: the caller vouches for 64 bytes; `self` proves the instruction set.
        unsafe { _mm512_storeu_si512(to.cast::<__m512i>(), q) };
    }

    #[inline(always)]
    fn splat_i32(self, x: i32) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_set1_epi32(x) }
    }

    #[inline(always)]
    fn round(self, x: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_roundscale_ps::<NEAREST>(x) }
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
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn mul_add_exact(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        self.fma(a, b, c)
    }

    #[inline(always)]
    fn any_gt(self, a: __m512, b: __m512) -> bool {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) != 0 }
    }

    #[inline(always)]
    unsafe fn max_u8(self, y: *mut u8, x: *const u8) {
        // SAFETY: the caller vouches for sixteen bytes at both places.
        unsafe {
            let (a, b) = (_mm_loadu_si128(y.cast::<__m128i>()), _mm_loadu_si128(x.cast::<__m128i>()));
            _mm_storeu_si128(y.cast::<__m128i>(), _mm_max_epu8(a, b));
        }
    }
}

impl ByteLanes for Vnni {
    type B = __m512i;
    type O = [__m512i; 2];

    #[inline(always)]
    fn row_order(self) -> [__m512i; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe {
            let lanes = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let bytes = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            // Unknown to the compiler, which would replace the two shuffles by more.
            std::hint::black_box([lanes, _mm512_broadcast_i32x4(bytes)])
        }
    }

    #[inline(always)]
    unsafe fn load_rows(self, order: [__m512i; 2], p: [*const u8; 4]) -> __m512i {
        // SAFETY: the caller vouches for sixteen bytes at each place; `self` proves the instruction set.
        unsafe {
            let load = _mm512_castsi128_si512(_mm_loadu_si128(p[0].cast::<__m128i>()));
            let x = _mm512_inserti32x4::<1>(load, _mm_loadu_si128(p[1].cast::<__m128i>()));
            let x = _mm512_inserti32x4::<2>(x, _mm_loadu_si128(p[2].cast::<__m128i>()));
            let x = _mm512_inserti32x4::<3>(x, _mm_loadu_si128(p[3].cast::<__m128i>()));
            // Four lanes of each place to every quarter, then the bytes of a lane together.
            _mm512_shuffle_epi8(_mm512_permutexvar_epi32(order[0], x), order[1])
        }
    }

    #[inline(always)]
    fn mac_lanes(self, acc: __m512i, x: __m512i, w: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm512_dpbusd_epi32(acc, x, w) }
    }
}
