//! The registers of AVX2 and AVX-512.

use core::arch::x86_64::{
    __m256i, __m512i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm256_add_epi16, _mm256_add_epi32,
    _mm256_broadcastsi128_si256, _mm256_i32gather_epi32, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_mulhi_epi16, _mm256_mulhrs_epi16, _mm256_or_si256, _mm256_packs_epi32,
    _mm256_packus_epi16, _mm256_permute4x64_epi64, _mm256_permutevar8x32_epi32, _mm256_set_m128i,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setr_epi8, _mm256_setr_epi32, _mm256_shuffle_epi8,
    _mm256_srai_epi16, _mm256_srav_epi32, _mm256_storeu_si256, _mm256_sub_epi16, _mm256_unpackhi_epi8,
    _mm256_unpackhi_epi16, _mm256_unpacklo_epi8, _mm256_unpacklo_epi16, _mm512_add_epi16, _mm512_add_epi32,
    _mm512_broadcast_i32x4, _mm512_castsi256_si512, _mm512_i32gather_epi32, _mm512_inserti64x4,
    _mm512_loadu_si512, _mm512_madd_epi16, _mm512_maddubs_epi16, _mm512_maskz_permutexvar_epi8,
    _mm512_mulhi_epi16, _mm512_mulhrs_epi16, _mm512_or_si512, _mm512_packs_epi32, _mm512_packus_epi16,
    _mm512_permutexvar_epi8, _mm512_permutexvar_epi16, _mm512_permutexvar_epi64, _mm512_set1_epi16,
    _mm512_set1_epi32, _mm512_setr_epi64, _mm512_shuffle_epi8, _mm512_sra_epi16, _mm512_srav_epi32,
    _mm512_storeu_si512, _mm512_sub_epi16, _mm512_unpackhi_epi8, _mm512_unpackhi_epi16, _mm512_unpacklo_epi8,
    _mm512_unpacklo_epi16,
};

use super::super::lanes::x86::{Avx2, Vbmi};
use super::{Order, Packed};

/// What both instruction sets have under names of their own.
macro_rules! registers {
    ($proof:ident, $register:ident, $bytes:literal,
     load: $load:ident, store: $store:ident, splat16: $splat16:ident, splat32: $splat32:ident,
     zip8: $low8:ident $high8:ident, zip16: $low16:ident $high16:ident,
     products8: $products8:ident, products16: $products16:ident, add16: $add16:ident, add32: $add32:ident,
     or: $or:ident, subtract16: $subtract16:ident, mulhi16: $mulhi16:ident, rounded16: $rounded16:ident,
     shift: $shift:ident, narrow32: $narrow32:ident, narrow16: $narrow16:ident,
     shuffle: $shuffle:ident, broadcast: $broadcast:ident, order: $order:ident; $($more:item)*) => {
        // SAFETY of all blocks: the value is the proof of the instruction set, and callers vouch for the memory.
        #[allow(clippy::undocumented_unsafe_blocks, reason = "said once for all")]
        impl Packed for $proof {
            type Bytes = $register;
            type Shorts = $register;
            type Words = $register;
            const BYTES: usize = $bytes;

            #[inline(always)]
            unsafe fn load_bytes(self, from: *const u8) -> $register {
                unsafe { $load(from.cast()) }
            }
            #[inline(always)]
            unsafe fn store_bytes(self, to: *mut u8, v: $register) {
                unsafe { $store(to.cast(), v) }
            }
            #[inline(always)]
            unsafe fn load_shorts(self, from: *const i16) -> $register {
                unsafe { $load(from.cast()) }
            }
            #[inline(always)]
            unsafe fn store_shorts(self, to: *mut i16, v: $register) {
                unsafe { $store(to.cast(), v) }
            }
            #[inline(always)]
            fn or_bytes(self, a: $register, b: $register) -> $register {
                unsafe { $or(a, b) }
            }
            #[inline(always)]
            fn byte_pairs(self, pair: [u8; 2]) -> $register {
                unsafe { $splat16(i16::from_le_bytes(pair)) }
            }
            #[inline(always)]
            fn short_pairs(self, [a, b]: [i16; 2]) -> $register {
                unsafe { $splat32(i32::from(a as u16) | i32::from(b) << 16) }
            }
            #[inline(always)]
            fn words(self, v: i32) -> $register {
                unsafe { $splat32(v) }
            }
            #[inline(always)]
            fn no_shorts(self) -> $register {
                unsafe { $splat16(0) }
            }
            #[inline(always)]
            fn zip_bytes(self, a: $register, b: $register) -> [$register; 2] {
                unsafe { [$low8(a, b), $high8(a, b)] }
            }
            #[inline(always)]
            fn zip_shorts(self, a: $register, b: $register) -> [$register; 2] {
                unsafe { [$low16(a, b), $high16(a, b)] }
            }
            #[inline(always)]
            fn byte_products(self, weights: $register, values: $register) -> $register {
                unsafe { $products8(weights, values) }
            }
            #[inline(always)]
            fn short_products(self, a: $register, b: $register) -> $register {
                unsafe { $products16(a, b) }
            }
            #[inline(always)]
            fn add_shorts(self, a: $register, b: $register) -> $register {
                unsafe { $add16(a, b) }
            }
            #[inline(always)]
            fn subtract_shorts(self, a: $register, b: $register) -> $register {
                unsafe { $subtract16(a, b) }
            }
            #[inline(always)]
            fn high_products(self, a: $register, b: $register) -> $register {
                unsafe { $mulhi16(a, b) }
            }
            #[inline(always)]
            fn rounded_products(self, a: $register, b: $register) -> $register {
                unsafe { $rounded16(a, b) }
            }
            #[inline(always)]
            fn add_words(self, a: $register, b: $register) -> $register {
                unsafe { $add32(a, b) }
            }
            #[inline(always)]
            fn shift(self, v: $register, by: $register) -> $register {
                unsafe { $shift(v, by) }
            }
            #[inline(always)]
            fn narrow_words(self, [a, b]: [$register; 2]) -> $register {
                unsafe { $narrow32(a, b) }
            }
            #[inline(always)]
            fn narrow_shorts(self, [a, b]: [$register; 2]) -> $register {
                unsafe { $narrow16(a, b) }
            }
            #[inline(always)]
            fn shuffle(self, v: $register, order: &Order) -> $register {
                unsafe { $shuffle(v, $broadcast(_mm_loadu_si128(order.as_ptr().cast()))) }
            }
            #[inline(always)]
            fn shorts_in_order(self, v: $register) -> $register {
                unsafe { $order(v) }
            }
            #[inline(always)]
            fn bytes_in_order(self, v: $register) -> $register {
                unsafe { $order(v) }
            }
            $($more)*
        }
    };
}

registers! {
    Avx2, __m256i, 32,
    load: _mm256_loadu_si256, store: _mm256_storeu_si256, splat16: _mm256_set1_epi16, splat32: _mm256_set1_epi32,
    zip8: _mm256_unpacklo_epi8 _mm256_unpackhi_epi8, zip16: _mm256_unpacklo_epi16 _mm256_unpackhi_epi16,
    products8: _mm256_maddubs_epi16, products16: _mm256_madd_epi16, add16: _mm256_add_epi16, add32: _mm256_add_epi32,
    or: _mm256_or_si256, subtract16: _mm256_sub_epi16, mulhi16: _mm256_mulhi_epi16, rounded16: _mm256_mulhrs_epi16,
    shift: _mm256_srav_epi32, narrow32: _mm256_packs_epi32, narrow16: _mm256_packus_epi16,
    shuffle: _mm256_shuffle_epi8, broadcast: _mm256_broadcastsi128_si256, order: in_order_256;

    const FIELD: usize = super::LANE;
    const NONE_IS_ZERO: bool = true;

    #[inline(always)]
    unsafe fn pick_pairs(self, from: *const u8, places: *const u32, order: *const u8) -> __m256i {
        unsafe { _mm256_shuffle_epi8(two_lanes(from, places), _mm256_loadu_si256(order.cast())) }
    }
    #[inline(always)]
    fn shift_shorts<const BY: i32>(self, v: __m256i) -> __m256i {
        unsafe { _mm256_srai_epi16::<BY>(v) }
    }
    #[inline(always)]
    unsafe fn load_lanes(self, from: *const u8, places: *const u32) -> __m256i {
        unsafe { two_lanes(from, places) }
    }
    #[inline(always)]
    unsafe fn load_fours(self, from: *const u8, places: *const u32) -> __m256i {
        unsafe { _mm256_i32gather_epi32::<1>(from.cast(), _mm256_loadu_si256(places.cast())) }
    }
    #[inline(always)]
    fn drop_fourth(self, v: __m256i) -> __m256i {
        unsafe {
            let packed = _mm256_shuffle_epi8(v, _mm256_setr_epi8(
                0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, -1, -1, -1, -1,
                0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, -1, -1, -1, -1,
            ));
            _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7))
        }
    }
}

/// Where each of the first 24 of 32 values lies once every fourth is dropped.
const DENSE: [i16; 32] = {
    let mut places = [0; 32];
    let mut i = 0;
    while i < 24 {
        places[i] = (i / 3 * 4 + i % 3) as i16;
        i += 1;
    }
    places
};

registers! {
    Vbmi, __m512i, 64,
    load: _mm512_loadu_si512, store: _mm512_storeu_si512, splat16: _mm512_set1_epi16, splat32: _mm512_set1_epi32,
    zip8: _mm512_unpacklo_epi8 _mm512_unpackhi_epi8, zip16: _mm512_unpacklo_epi16 _mm512_unpackhi_epi16,
    products8: _mm512_maddubs_epi16, products16: _mm512_madd_epi16, add16: _mm512_add_epi16, add32: _mm512_add_epi32,
    or: _mm512_or_si512, subtract16: _mm512_sub_epi16, mulhi16: _mm512_mulhi_epi16, rounded16: _mm512_mulhrs_epi16,
    shift: _mm512_srav_epi32, narrow32: _mm512_packs_epi32, narrow16: _mm512_packus_epi16,
    shuffle: _mm512_shuffle_epi8, broadcast: _mm512_broadcast_i32x4, order: in_order_512;

    const FIELD: usize = 64;

    #[inline(always)]
    unsafe fn pick_pairs(self, from: *const u8, places: *const u32, order: *const u8) -> __m512i {
        unsafe {
            let bytes = _mm512_loadu_si512(from.add(places.read() as usize).cast());
            _mm512_permutexvar_epi8(_mm512_loadu_si512(order.cast()), bytes)
        }
    }
    #[inline(always)]
    fn shift_shorts<const BY: i32>(self, v: __m512i) -> __m512i {
        unsafe { _mm512_sra_epi16(v, _mm_cvtsi32_si128(BY)) }
    }
    #[inline(always)]
    unsafe fn load_lanes(self, from: *const u8, places: *const u32) -> __m512i {
        unsafe {
            let low = _mm512_castsi256_si512(two_lanes(from, places));
            _mm512_inserti64x4::<1>(low, two_lanes(from, places.add(2)))
        }
    }
    #[inline(always)]
    unsafe fn load_fours(self, from: *const u8, places: *const u32) -> __m512i {
        unsafe { _mm512_i32gather_epi32::<1>(_mm512_loadu_si512(places.cast()), from.cast()) }
    }
    const PICKS: bool = true;

    #[inline(always)]
    unsafe fn pick(self, from: *const u8, order: __m512i) -> __m512i {
        unsafe {
            _mm512_maskz_permutexvar_epi8(0x5555_5555_5555_5555, order, _mm512_loadu_si512(from.cast()))
        }
    }
    #[inline(always)]
    fn drop_fourth(self, v: __m512i) -> __m512i {
        unsafe { _mm512_permutexvar_epi16(_mm512_loadu_si512(DENSE.as_ptr().cast()), v) }
    }
}

/// Quarters that were taken from two registers in turn, in order.
///
/// # Safety
/// AVX2.
#[inline(always)]
unsafe fn in_order_256(v: __m256i) -> __m256i {
    // SAFETY: the caller vouches for the instruction set.
    unsafe { _mm256_permute4x64_epi64::<0b11_01_10_00>(v) }
}

/// As [`in_order_256`].
///
/// # Safety
/// AVX-512 F.
#[inline(always)]
unsafe fn in_order_512(v: __m512i) -> __m512i {
    // SAFETY: the caller vouches for the instruction set.
    unsafe { _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), v) }
}

/// Two times sixteen bytes.
///
/// # Safety
/// AVX2; sixteen bytes are readable at both places.
#[inline(always)]
unsafe fn two_lanes(from: *const u8, places: *const u32) -> __m256i {
    // SAFETY: the caller vouches for the memory and the instruction set.
    unsafe {
        let low = _mm_loadu_si128(from.add(places.read() as usize).cast());
        let high = _mm_loadu_si128(from.add(places.add(1).read() as usize).cast());
        _mm256_set_m128i(high, low)
    }
}
