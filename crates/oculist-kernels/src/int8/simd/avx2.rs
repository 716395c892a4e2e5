//! AVX2: products of widened i16 pairs (`vpmaddwd`), or of bytes (`vpmaddubsw`) for weights of seven bits.
#![allow(
    clippy::cast_ptr_alignment,
    reason = "the loads and stores through these pointers are unaligned ones"
)]

use core::arch::x86_64::{
    __m128i, __m256, __m256i, _CMP_GT_OQ, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm_cmpgt_epi32,
    _mm_cvtsi32_si128, _mm_loadl_epi64, _mm_loadu_si128, _mm_maskload_ps, _mm_max_epu8, _mm_packus_epi16,
    _mm_set1_epi32, _mm_setr_epi32, _mm_storeu_si128, _mm256_add_epi16, _mm256_add_epi32, _mm256_add_ps,
    _mm256_adds_epi16, _mm256_castsi256_si128, _mm256_cmp_ps, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi16,
    _mm256_cvtepu8_epi32, _mm256_cvtps_epi32, _mm256_div_ps, _mm256_extracti128_si256, _mm256_fmadd_ps,
    _mm256_load_si256, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_max_epu8, _mm256_max_ps, _mm256_min_epu8,
    _mm256_min_ps, _mm256_movemask_ps, _mm256_mul_ps, _mm256_mullo_epi32, _mm256_or_ps, _mm256_packs_epi32,
    _mm256_packus_epi16, _mm256_permute4x64_epi64, _mm256_permutevar8x32_epi32, _mm256_round_ps,
    _mm256_set_m128, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setr_epi32, _mm256_sll_epi16, _mm256_sll_epi32, _mm256_sra_epi32, _mm256_storeu_ps,
    _mm256_storeu_si256, _mm256_sub_epi16, _mm256_sub_epi32, _mm256_sub_ps,
};

use std::marker::PhantomData;

mod bytes;
mod products;

pub(super) use bytes::{run_lanes, run_pairs};
use products::{Bytes, Products, Words};

use super::{IntKernel, IntSimd, Line};

/// Proof that the processor has AVX2 and FMA, made only by [`run`] and [`run_bytes`]; `P` says how products are
/// taken.
#[derive(Clone, Copy)]
pub(super) struct Avx2<P>(PhantomData<P>);

/// Runs a kernel compiled for AVX2 and FMA.
///
/// # Safety
/// The processor has the features named below.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run<K: IntKernel>(kernel: K) -> K::Output {
    kernel.run(Avx2::<Words>(PhantomData))
}

/// The same for products of bytes; the caller has checked the weights.
///
/// # Safety
/// As for [`run`].
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run_bytes<K: IntKernel>(kernel: K) -> K::Output {
    kernel.run(Avx2::<Bytes>(PhantomData))
}

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

impl<P: Products> IntSimd for Avx2<P> {
    type I = [__m256i; 2];
    type F = [__m256; 2];
    type E = P::E;
    type X = __m256i;
    type W = [__m256i; 2];
    type H = __m256i;
    type X2 = __m256i;
    type Q = [__m256i; 2];

    const HALVES: usize = 16;
    const GROUP: usize = P::GROUP;
    const BYTES: bool = P::BYTES;
    const ROWS: [usize; 4] = [6, 0, 0, 0];
    const DEPTHWISE_ROWS: usize = 4;

    #[inline(always)]
    unsafe fn pack(self, from: &[u8], to: *mut P::E) {
        // SAFETY: the caller vouches for the target; `self` proves the instruction set.
        unsafe { P::pack(from, to) };
    }

    #[inline(always)]
    fn element(self, x: u8) -> P::E {
        P::element(x)
    }

    #[inline(always)]
    unsafe fn load_x(self, p: *const P::E) -> __m256i {
        // SAFETY: the caller vouches for two i16 or four bytes; `self` proves the instruction set.
        unsafe { _mm256_set1_epi32(p.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn load_w(self, p: *const Line) -> [__m256i; 2] {
        let p = p.cast::<__m256i>();
        // SAFETY: a line holds two aligned registers.
        unsafe { [_mm256_load_si256(p), _mm256_load_si256(p.add(1))] }
    }

    #[inline(always)]
    fn mac(self, acc: [__m256i; 2], x: __m256i, w: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe { P::mac(acc, x, w) }
    }

    #[inline(always)]
    unsafe fn load_x2(self, p: *const i16) -> __m256i {
        // SAFETY: the caller vouches for two i16; `self` proves the instruction set.
        unsafe { _mm256_set1_epi32(p.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    fn mac2(self, acc: [__m256i; 2], x: __m256i, w: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe { Words::mac(acc, x, w) }
    }

    #[inline(always)]
    unsafe fn load_u8_i16(self, p: *const u8, _count: usize) -> __m256i {
        // SAFETY: the caller vouches for sixteen bytes; `self` proves the instruction set.
        unsafe { _mm256_cvtepu8_epi16(_mm_loadu_si128(p.cast::<__m128i>())) }
    }

    #[inline(always)]
    unsafe fn load_i16(self, p: *const i16) -> __m256i {
        // SAFETY: the caller vouches for sixteen i16.
        unsafe { _mm256_loadu_si256(p.cast::<__m256i>()) }
    }

    #[inline(always)]
    unsafe fn store_i16(self, x: __m256i, p: *mut i16) {
        // SAFETY: the caller vouches for sixteen i16; `self` proves the instruction set.
        unsafe { _mm256_storeu_si256(p.cast::<__m256i>(), x) };
    }

    #[inline(always)]
    fn add16(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_add_epi16(a, b) }
    }

    #[inline(always)]
    fn sub16(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_sub_epi16(a, b) }
    }

    #[inline(always)]
    fn shl16<const N: u32>(self, a: __m256i) -> __m256i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_sll_epi16(a, _mm_cvtsi32_si128(N as i32)) }
    }

    #[inline(always)]
    unsafe fn load_i32_ptr(self, p: *const i32) -> [__m256i; 2] {
        let p = p.cast::<__m256i>();
        // SAFETY: the caller vouches for sixteen i32.
        unsafe { [_mm256_loadu_si256(p), _mm256_loadu_si256(p.add(1))] }
    }

    #[inline(always)]
    unsafe fn store_i32(self, x: [__m256i; 2], p: *mut i32) {
        let p = p.cast::<__m256i>();
        // SAFETY: the caller vouches for sixteen i32.
        unsafe {
            _mm256_storeu_si256(p, x[0]);
            _mm256_storeu_si256(p.add(1), x[1]);
        }
    }

    #[inline(always)]
    fn add32(self, a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])] }
    }

    #[inline(always)]
    fn sub32(self, a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_sub_epi32(a[0], b[0]), _mm256_sub_epi32(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul32(self, a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_mullo_epi32(a[0], b[0]), _mm256_mullo_epi32(a[1], b[1])] }
    }

    #[inline(always)]
    fn shl32<const N: u32>(self, a: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe {
            [
                _mm256_sll_epi32(a[0], _mm_cvtsi32_si128(N as i32)),
                _mm256_sll_epi32(a[1], _mm_cvtsi32_si128(N as i32)),
            ]
        }
    }

    #[inline(always)]
    fn shr32<const N: u32>(self, a: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe {
            [
                _mm256_sra_epi32(a[0], _mm_cvtsi32_si128(N as i32)),
                _mm256_sra_epi32(a[1], _mm_cvtsi32_si128(N as i32)),
            ]
        }
    }

    #[inline(always)]
    fn load_i32(self, x: &[i32; 16]) -> [__m256i; 2] {
        let p = x.as_ptr().cast::<__m256i>();
        // SAFETY: the array holds two registers.
        unsafe { [_mm256_loadu_si256(p), _mm256_loadu_si256(p.add(1))] }
    }

    #[inline(always)]
    fn to_f32(self, x: [__m256i; 2]) -> [__m256; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_cvtepi32_ps(x[0]), _mm256_cvtepi32_ps(x[1])] }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> [__m256; 2] {
        // SAFETY: `self` proves the instruction set.
        let v = unsafe { _mm256_set1_ps(x) };
        [v, v]
    }

    #[inline(always)]
    unsafe fn load_f32(self, p: *const f32) -> [__m256; 2] {
        // SAFETY: the caller vouches for sixteen f32.
        unsafe { [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))] }
    }

    #[inline(always)]
    unsafe fn load_pixels<const C: usize>(self, p: *const f32) -> [__m256; 2] {
        // SAFETY: the caller vouches for four pixels; lanes that the masks leave out are not read.
        unsafe {
            let mask = _mm_cmpgt_epi32(_mm_set1_epi32(C as i32), _mm_setr_epi32(0, 1, 2, 3));
            let pixel = |i: usize| _mm_maskload_ps(p.add(i * C), mask);
            [_mm256_set_m128(pixel(1), pixel(0)), _mm256_set_m128(pixel(3), pixel(2))]
        }
    }

    #[inline(always)]
    unsafe fn store_f32(self, x: [__m256; 2], p: *mut f32) {
        // SAFETY: the caller vouches for sixteen f32.
        unsafe {
            _mm256_storeu_ps(p, x[0]);
            _mm256_storeu_ps(p.add(8), x[1]);
        }
    }

    #[inline(always)]
    unsafe fn load_u8(self, p: *const u8) -> [__m256; 2] {
        // SAFETY: the caller vouches for sixteen bytes.
        unsafe {
            let low = _mm_loadl_epi64(p.cast::<__m128i>());
            let high = _mm_loadl_epi64(p.add(8).cast::<__m128i>());
            [_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(low)), _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(high))]
        }
    }

    #[inline(always)]
    unsafe fn store_u8(self, x: [__m256; 2], offset: [__m256i; 2], p: *mut u8) {
        // SAFETY: the caller vouches for sixteen bytes; `self` proves the instruction set.
        unsafe {
            let words = _mm256_packs_epi32(
                _mm256_add_epi32(_mm256_cvtps_epi32(x[0]), offset[0]),
                _mm256_add_epi32(_mm256_cvtps_epi32(x[1]), offset[1]),
            );
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
            let (low, high) = (_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            _mm_storeu_si128(p.cast::<__m128i>(), _mm_packus_epi16(low, high));
        }
    }

    #[inline(always)]
    fn quantize(self, x: [[__m256; 2]; 4], zero_point: u8, low: u8, high: u8) -> [__m256i; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe {
            let zero = _mm256_set1_epi16(i16::from(zero_point));
            let (low, high) = (_mm256_set1_epi8(low as i8), _mm256_set1_epi8(high as i8));
            // Packing works on halves of registers: each quarter of four bytes to its place, once for two vectors.
            let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
            let mut q = [low; 2];
            for i in 0..2 {
                let mut words = [zero; 2];
                for j in 0..2 {
                    let x = x[2 * i + j];
                    let both = _mm256_packs_epi32(_mm256_cvtps_epi32(x[0]), _mm256_cvtps_epi32(x[1]));
                    words[j] = _mm256_adds_epi16(both, zero);
                }
                let bytes = _mm256_packus_epi16(words[0], words[1]);
                let bytes = _mm256_min_epu8(_mm256_max_epu8(bytes, low), high);
                q[i] = _mm256_permutevar8x32_epi32(bytes, order);
            }
            q
        }
    }

    #[inline(always)]
    unsafe fn store_quarters(self, q: [__m256i; 2], to: [*mut u8; 4]) {
        for i in 0..2 {
            // SAFETY: the caller vouches for sixteen bytes.
            unsafe {
                _mm_storeu_si128(to[2 * i].cast::<__m128i>(), _mm256_castsi256_si128(q[i]));
                _mm_storeu_si128(to[2 * i + 1].cast::<__m128i>(), _mm256_extracti128_si256::<1>(q[i]));
            }
        }
    }

    #[inline(always)]
    unsafe fn store_halves(self, q: [__m256i; 2], to: [*mut u8; 2]) {
        for i in 0..2 {
            // SAFETY: the caller vouches for 32 bytes at each place.
            unsafe { _mm256_storeu_si256(to[i].cast::<__m256i>(), q[i]) };
        }
    }

    #[inline(always)]
    unsafe fn store_whole(self, q: [__m256i; 2], to: *mut u8) {
        // SAFETY: the caller vouches for 64 bytes.
        unsafe { self.store_halves(q, [to, to.add(32)]) };
    }

    #[inline(always)]
    fn splat_i32(self, x: i32) -> [__m256i; 2] {
        // SAFETY: `self` proves the instruction set.
        let v = unsafe { _mm256_set1_epi32(x) };
        [v, v]
    }

    #[inline(always)]
    fn round(self, x: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_round_ps::<NEAREST>(x[0]), _mm256_round_ps::<NEAREST>(x[1])] }
    }

    #[inline(always)]
    fn add(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn sub(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn div(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn max(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn min(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn fma(self, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: `self` proves the instruction set.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }

    #[inline(always)]
    fn mul_add_exact(self, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        self.fma(a, b, c)
    }

    #[inline(always)]
    fn any_gt(self, a: [__m256; 2], b: [__m256; 2]) -> bool {
        // SAFETY: `self` proves the instruction set.
        unsafe {
            let low = _mm256_cmp_ps::<_CMP_GT_OQ>(a[0], b[0]);
            let high = _mm256_cmp_ps::<_CMP_GT_OQ>(a[1], b[1]);
            _mm256_movemask_ps(_mm256_or_ps(low, high)) != 0
        }
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
