//! The transform in registers of two (AVX2) or four (AVX-512) blocks; shuffles stay within 128 bits, one block's row.

use super::{
    BITS, F0_298, F0_390, F0_541, F0_765, F0_899, F1_175, F1_501, F1_847, F1_961, F2_053, F2_562, F3_072,
    FIRST, GROUP_LEN, ROW, SECOND, Transform,
};
use crate::image::lanes::x86::{Avx2, Vbmi};
use core::arch::x86_64::{
    __m256i, __m512i, _mm_loadu_si128, _mm_storeu_si128, _mm256_add_epi16, _mm256_add_epi32,
    _mm256_broadcastsi128_si256, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_mullo_epi16, _mm256_packs_epi16, _mm256_packs_epi32, _mm256_permute4x64_epi64,
    _mm256_set1_epi8, _mm256_set1_epi32, _mm256_srai_epi32, _mm256_storeu_si256, _mm256_sub_epi32,
    _mm256_unpackhi_epi8, _mm256_unpackhi_epi16, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64,
    _mm256_unpacklo_epi8, _mm256_unpacklo_epi16, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
    _mm256_xor_si256, _mm512_add_epi16, _mm512_add_epi32, _mm512_broadcast_i32x4, _mm512_castsi512_si256,
    _mm512_extracti64x4_epi64, _mm512_loadu_si512, _mm512_madd_epi16, _mm512_mullo_epi16, _mm512_packs_epi16,
    _mm512_packs_epi32, _mm512_permutexvar_epi64, _mm512_set_epi64, _mm512_set1_epi8, _mm512_set1_epi32,
    _mm512_srav_epi32, _mm512_sub_epi32, _mm512_unpackhi_epi8, _mm512_unpackhi_epi16, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi8, _mm512_unpacklo_epi16, _mm512_unpacklo_epi32,
    _mm512_unpacklo_epi64, _mm512_xor_si512,
};

/// Instructions on a register of whole block rows. `self` proves that the processor has them.
trait Words: Copy {
    type Register: Copy;
    /// Bytes of a register's row of samples.
    const WIDTH: usize;

    fn add16(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn multiply16(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn add32(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn sub32(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn multiply_pairs(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn pack32(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn pack16(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn low8(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn high8(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn low16(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn high16(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn low32(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn high32(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn low64(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn high64(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn shift32<const N: i32>(self, a: Self::Register) -> Self::Register;
    fn splat32(self, v: i32) -> Self::Register;
    /// The coefficients of row v of the blocks from `block` on.
    fn load(self, group: &[i16; GROUP_LEN], v: usize, block: usize) -> Self::Register;
    /// Eight divisors for each block.
    fn repeat(self, divisors: &[u16; 8]) -> Self::Register;
    /// Writes the lower eight bytes of each block into one row and the upper ones into the next, with 128 added.
    fn store_rows(self, samples: Self::Register, upper: &mut [u8], lower: &mut [u8]);
}

macro_rules! binary {
    ($($name:ident = $intrinsic:ident;)*) => {$(
        #[inline(always)]
        fn $name(self, a: Self::Register, b: Self::Register) -> Self::Register {
            // SAFETY: `self` proves the instruction set.
            unsafe { $intrinsic(a, b) }
        }
    )*};
}

impl Words for Avx2 {
    type Register = __m256i;
    const WIDTH: usize = 16;

    binary! {
        add16 = _mm256_add_epi16;
        multiply16 = _mm256_mullo_epi16;
        add32 = _mm256_add_epi32;
        sub32 = _mm256_sub_epi32;
        multiply_pairs = _mm256_madd_epi16;
        pack32 = _mm256_packs_epi32;
        pack16 = _mm256_packs_epi16;
        low8 = _mm256_unpacklo_epi8;
        high8 = _mm256_unpackhi_epi8;
        low16 = _mm256_unpacklo_epi16;
        high16 = _mm256_unpackhi_epi16;
        low32 = _mm256_unpacklo_epi32;
        high32 = _mm256_unpackhi_epi32;
        low64 = _mm256_unpacklo_epi64;
        high64 = _mm256_unpackhi_epi64;
    }

    #[inline(always)]
    fn shift32<const N: i32>(self, a: __m256i) -> __m256i {
        // SAFETY: `self` proves the instruction set.
        unsafe { _mm256_srai_epi32::<N>(a) }
    }

    #[inline(always)]
    fn splat32(self, v: i32) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_set1_epi32(v) }
    }

    #[inline(always)]
    fn load(self, group: &[i16; GROUP_LEN], v: usize, block: usize) -> __m256i {
        let row = &group[v * ROW + block * 8..][..16];
        // SAFETY: as above; the slice holds 32 bytes; no alignment is needed.
        unsafe { _mm256_loadu_si256(row.as_ptr().cast()) }
    }

    #[inline(always)]
    fn repeat(self, divisors: &[u16; 8]) -> __m256i {
        // SAFETY: as above; the array holds 16 bytes.
        unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(divisors.as_ptr().cast())) }
    }

    #[inline(always)]
    fn store_rows(self, samples: __m256i, upper: &mut [u8], lower: &mut [u8]) {
        let (upper, lower) = (&mut upper[..16], &mut lower[..16]);
        // SAFETY: as above; both slices hold 16 bytes.
        unsafe {
            let samples = _mm256_xor_si256(samples, _mm256_set1_epi8(-128));
            let rows = _mm256_permute4x64_epi64::<0b11_01_10_00>(samples);
            _mm_storeu_si128(upper.as_mut_ptr().cast(), _mm256_castsi256_si128(rows));
            _mm_storeu_si128(lower.as_mut_ptr().cast(), _mm256_extracti128_si256::<1>(rows));
        }
    }
}

impl Words for Vbmi {
    type Register = __m512i;
    const WIDTH: usize = 32;

    binary! {
        add16 = _mm512_add_epi16;
        multiply16 = _mm512_mullo_epi16;
        add32 = _mm512_add_epi32;
        sub32 = _mm512_sub_epi32;
        multiply_pairs = _mm512_madd_epi16;
        pack32 = _mm512_packs_epi32;
        pack16 = _mm512_packs_epi16;
        low8 = _mm512_unpacklo_epi8;
        high8 = _mm512_unpackhi_epi8;
        low16 = _mm512_unpacklo_epi16;
        high16 = _mm512_unpackhi_epi16;
        low32 = _mm512_unpacklo_epi32;
        high32 = _mm512_unpackhi_epi32;
        low64 = _mm512_unpacklo_epi64;
        high64 = _mm512_unpackhi_epi64;
    }

    #[inline(always)]
    fn shift32<const N: i32>(self, a: __m512i) -> __m512i {
        // SAFETY: `self` proves the instruction set. The shift is a constant, so this is one instruction.
        unsafe { _mm512_srav_epi32(a, _mm512_set1_epi32(N)) }
    }

    #[inline(always)]
    fn splat32(self, v: i32) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_set1_epi32(v) }
    }

    #[inline(always)]
    fn load(self, group: &[i16; GROUP_LEN], v: usize, block: usize) -> __m512i {
        let row = &group[v * ROW + block * 8..][..32];
        // SAFETY: as above; the slice holds 64 bytes; no alignment is needed.
        unsafe { _mm512_loadu_si512(row.as_ptr().cast()) }
    }

    #[inline(always)]
    fn repeat(self, divisors: &[u16; 8]) -> __m512i {
        // SAFETY: as above; the array holds 16 bytes.
        unsafe { _mm512_broadcast_i32x4(_mm_loadu_si128(divisors.as_ptr().cast())) }
    }

    #[inline(always)]
    fn store_rows(self, samples: __m512i, upper: &mut [u8], lower: &mut [u8]) {
        let (upper, lower) = (&mut upper[..32], &mut lower[..32]);
        // SAFETY: as above; both slices hold 32 bytes.
        unsafe {
            let samples = _mm512_xor_si512(samples, _mm512_set1_epi8(-128));
            let order = _mm512_set_epi64(7, 5, 3, 1, 6, 4, 2, 0);
            let rows = _mm512_permutexvar_epi64(order, samples);
            _mm256_storeu_si256(upper.as_mut_ptr().cast(), _mm512_castsi512_si256(rows));
            _mm256_storeu_si256(lower.as_mut_ptr().cast(), _mm512_extracti64x4_epi64::<1>(rows));
        }
    }
}

/// Two factors for a pair of values.
#[inline(always)]
fn factors<W: Words>(w: W, first: i32, second: i32) -> W::Register {
    w.splat32(first & 0xffff | second << 16)
}

/// Pairs of rows 0 and 4, 2 and 6, 7 and 1, 5 and 3, and of the sums z3 and z4, to the sums before shifting.
#[inline(always)]
fn half<W: Words, const SHIFT: i32>(w: W, [p04, p26, p71, p53, z34]: [W::Register; 5]) -> [W::Register; 8] {
    let round = w.splat32(1 << (SHIFT - 1));
    let one = 1 << BITS;
    let sum = w.add32(w.multiply_pairs(p04, factors(w, one, one)), round);
    let difference = w.add32(w.multiply_pairs(p04, factors(w, one, -one)), round);
    let low = w.multiply_pairs(p26, factors(w, F0_541, F0_541 - F1_847));
    let high = w.multiply_pairs(p26, factors(w, F0_541 + F0_765, F0_541));
    let a = w.multiply_pairs(z34, factors(w, F1_175 - F1_961, F1_175));
    let b = w.multiply_pairs(z34, factors(w, F1_175, F1_175 - F0_390));
    let even = [w.add32(sum, high), w.add32(difference, low), w.sub32(difference, low), w.sub32(sum, high)];
    let odd = [
        w.add32(w.multiply_pairs(p71, factors(w, -F0_899, F1_501 - F0_899)), b),
        w.add32(w.multiply_pairs(p53, factors(w, -F2_562, F3_072 - F2_562)), a),
        w.add32(w.multiply_pairs(p53, factors(w, F2_053 - F2_562, -F2_562)), b),
        w.add32(w.multiply_pairs(p71, factors(w, F0_298 - F0_899, -F0_899)), a),
    ];
    [
        w.shift32::<SHIFT>(w.add32(even[0], odd[0])),
        w.shift32::<SHIFT>(w.add32(even[1], odd[1])),
        w.shift32::<SHIFT>(w.add32(even[2], odd[2])),
        w.shift32::<SHIFT>(w.add32(even[3], odd[3])),
        w.shift32::<SHIFT>(w.sub32(even[3], odd[3])),
        w.shift32::<SHIFT>(w.sub32(even[2], odd[2])),
        w.shift32::<SHIFT>(w.sub32(even[1], odd[1])),
        w.shift32::<SHIFT>(w.sub32(even[0], odd[0])),
    ]
}

/// As the portable `pass`, for every column.
#[inline(always)]
fn pass<W: Words, const SHIFT: i32>(w: W, x: [W::Register; 8]) -> [W::Register; 8] {
    let (z3, z4) = (w.add16(x[7], x[3]), w.add16(x[5], x[1]));
    let low = half::<W, SHIFT>(
        w,
        [w.low16(x[0], x[4]), w.low16(x[2], x[6]), w.low16(x[7], x[1]), w.low16(x[5], x[3]), w.low16(z3, z4)],
    );
    let high = half::<W, SHIFT>(
        w,
        [
            w.high16(x[0], x[4]),
            w.high16(x[2], x[6]),
            w.high16(x[7], x[1]),
            w.high16(x[5], x[3]),
            w.high16(z3, z4),
        ],
    );
    [
        w.pack32(low[0], high[0]),
        w.pack32(low[1], high[1]),
        w.pack32(low[2], high[2]),
        w.pack32(low[3], high[3]),
        w.pack32(low[4], high[4]),
        w.pack32(low[5], high[5]),
        w.pack32(low[6], high[6]),
        w.pack32(low[7], high[7]),
    ]
}

/// Rows become columns in each block.
#[inline(always)]
fn transposed<W: Words>(w: W, x: [W::Register; 8]) -> [W::Register; 8] {
    let a = [
        w.low16(x[0], x[1]),
        w.high16(x[0], x[1]),
        w.low16(x[2], x[3]),
        w.high16(x[2], x[3]),
        w.low16(x[4], x[5]),
        w.high16(x[4], x[5]),
        w.low16(x[6], x[7]),
        w.high16(x[6], x[7]),
    ];
    let b = [
        w.low32(a[0], a[2]),
        w.high32(a[0], a[2]),
        w.low32(a[1], a[3]),
        w.high32(a[1], a[3]),
        w.low32(a[4], a[6]),
        w.high32(a[4], a[6]),
        w.low32(a[5], a[7]),
        w.high32(a[5], a[7]),
    ];
    [
        w.low64(b[0], b[4]),
        w.high64(b[0], b[4]),
        w.low64(b[1], b[5]),
        w.high64(b[1], b[5]),
        w.low64(b[2], b[6]),
        w.high64(b[2], b[6]),
        w.low64(b[3], b[7]),
        w.high64(b[3], b[7]),
    ]
}

/// The blocks of one register.
#[inline(always)]
fn blocks<W: Words>(
    w: W,
    group: &[i16; GROUP_LEN],
    block: usize,
    quantization: &[u16; 64],
    out: &mut [u8],
    stride: usize,
) {
    let divisors = quantization.as_chunks::<8>().0;
    let mut x = [w.splat32(0); 8];
    for v in 0..8 {
        x[v] = w.multiply16(w.load(group, v, block), w.repeat(&divisors[v]));
    }
    let columns = pass::<W, SECOND>(w, transposed(w, pass::<W, FIRST>(w, x)));
    // Register j holds column j; bytes are put side by side in three steps.
    let p = [
        w.pack16(columns[0], columns[4]),
        w.pack16(columns[1], columns[5]),
        w.pack16(columns[2], columns[6]),
        w.pack16(columns[3], columns[7]),
    ];
    let (a01, a45) = (w.low8(p[0], p[1]), w.high8(p[0], p[1]));
    let (a23, a67) = (w.low8(p[2], p[3]), w.high8(p[2], p[3]));
    let left = [w.low16(a01, a23), w.high16(a01, a23)];
    let right = [w.low16(a45, a67), w.high16(a45, a67)];
    let pairs = [
        w.low32(left[0], right[0]),
        w.high32(left[0], right[0]),
        w.low32(left[1], right[1]),
        w.high32(left[1], right[1]),
    ];
    for (i, pair) in pairs.into_iter().enumerate() {
        let (upper, lower) = out[2 * i * stride..].split_at_mut(stride);
        w.store_rows(pair, &mut upper[block * 8..], &mut lower[block * 8..]);
    }
}

#[inline(always)]
fn all_blocks<W: Words>(
    w: W,
    group: &[i16; GROUP_LEN],
    quantization: &[u16; 64],
    out: &mut [u8],
    stride: usize,
) {
    for at in (0..ROW).step_by(W::WIDTH) {
        blocks(w, group, at / 8, quantization, out, stride);
    }
}

impl Transform for Avx2 {
    #[inline(always)]
    fn group(self, group: &[i16; GROUP_LEN], quantization: &[u16; 64], out: &mut [u8], stride: usize) {
        all_blocks(self, group, quantization, out, stride);
    }
}

impl Transform for Vbmi {
    #[inline(always)]
    fn group(self, group: &[i16; GROUP_LEN], quantization: &[u16; 64], out: &mut [u8], stride: usize) {
        all_blocks(self, group, quantization, out, stride);
    }
}
