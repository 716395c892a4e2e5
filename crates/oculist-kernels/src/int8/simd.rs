//! Sixteen lanes of integers and floats at a time, on every instruction set.
//!
//! The multiply-accumulate works on sixteen output channels and a group of input channels: four with VNNI
//! (`vpdpbusd`, u8 by i8), two with AVX2 (`vpmaddwd` on widened i16, because `vpmaddubsw` saturates; four where the
//! weights are so small that it does not). The packed
//! weights of one group are 64 bytes on every path.

use crate::Isa;
use crate::context::Context;

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;
#[cfg(target_arch = "x86_64")]
mod vnni;

/// Which integer kernels a context runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IntPath {
    /// Plain Rust.
    Portable,
    /// x86-64 with AVX2 and FMA, products of 16-bit integers.
    Avx2,
    /// The same with products of bytes, for weights so small that no sum of two products leaves 16 bits.
    Avx2Bytes,
    /// x86-64 with AVX-512 and VNNI.
    Vnni,
}

impl IntPath {
    /// The path for the instruction set of a context; AVX-512 without VNNI takes the AVX2 path.
    pub fn of(ctx: &Context) -> Self {
        match ctx.isa() {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if is_x86_feature_detected!("avx512vnni") => Self::Vnni,
            Isa::Avx512 | Isa::Avx2 => Self::Avx2,
            Isa::Portable => Self::Portable,
        }
    }

    /// Name for reports: `portable`, `avx2`, `vnni`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx2Bytes => "avx2-bytes",
            Self::Vnni => "vnni",
        }
    }

    /// Input channels of one multiply-accumulate.
    pub(crate) const fn group(self) -> usize {
        match self {
            Self::Avx2 => 2,
            Self::Portable | Self::Avx2Bytes | Self::Vnni => 4,
        }
    }

    /// Bytes of an element of the packed input.
    pub(crate) const fn element(self) -> usize {
        match self {
            Self::Avx2 => 2,
            Self::Portable | Self::Avx2Bytes | Self::Vnni => 1,
        }
    }
}

/// Weights of sixteen output channels and one group of input channels, `[16][group]` of i8 or i16.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u8; 64]);

/// Operations on sixteen lanes.
///
/// The methods are `inline(always)` without a target feature of their own, so that they become part of the
/// function that [`dispatch`] compiled for the instruction set. Multiplication and addition are never contracted, except in [`IntSimd::fma`].
pub(crate) trait IntSimd: Copy + Send + Sync {
    /// Sixteen i32.
    type I: Copy;
    /// Sixteen f32.
    type F: Copy;
    /// An element of the packed input: u8, or i16 where the multiplication needs it.
    type E: Copy + Send + Sync;
    /// A group of input channels, repeated for every lane.
    type X: Copy;
    /// The weights of one [`Line`].
    type W: Copy;
    /// [`IntSimd::HALVES`] i16.
    type H: Copy;
    /// Two i16, repeated for every lane.
    type X2: Copy;
    /// 64 bytes: four times sixteen lanes.
    type Q: Copy;

    /// i16 of an [`IntSimd::H`]: 16 or 32.
    const HALVES: usize;
    /// Input channels of a group.
    const GROUP: usize;
    /// Whether [`IntSimd::E`] is u8, so that activations can be read where they lie.
    const BYTES: bool;
    /// Rows of the micro-kernel with one, two, three and four blocks of output channels; 0 where the registers do
    /// not suffice.
    const ROWS: [usize; 4];
    /// Pixels of the depthwise micro-kernel.
    const DEPTHWISE_ROWS: usize;

    /// Copies u8 into packed input, widening them if need be.
    ///
    /// # Safety
    /// `to` is writable for `from.len()` elements.
    unsafe fn pack(self, from: &[u8], to: *mut Self::E);
    /// A packed element of a byte.
    fn element(self, x: u8) -> Self::E;
    /// Reads a group of packed input.
    ///
    /// # Safety
    /// `GROUP` elements are readable at `p`.
    unsafe fn load_x(self, p: *const Self::E) -> Self::X;
    /// Reads a line of weights.
    ///
    /// # Safety
    /// `p` points to a line.
    unsafe fn load_w(self, p: *const Line) -> Self::W;
    /// `acc[o] += sum over g of x[g] * w[o][g]`, exact.
    fn mac(self, acc: Self::I, x: Self::X, w: Self::W) -> Self::I;

    /// Reads two i16.
    ///
    /// # Safety
    /// Two i16 are readable at `p`.
    unsafe fn load_x2(self, p: *const i16) -> Self::X2;
    /// `acc[o] += x[0] * w[o][0] + x[1] * w[o][1]` modulo 2^32, with i16 weights.
    fn mac2(self, acc: Self::I, x: Self::X2, w: Self::W) -> Self::I;

    /// Reads the first `count` bytes (a multiple of 16) of a vector as i16; what else it holds is 0.
    ///
    /// # Safety
    /// `min(count, HALVES)` bytes, at least sixteen, are readable at `p`.
    unsafe fn load_u8_i16(self, p: *const u8, count: usize) -> Self::H;
    /// Reads a vector of i16.
    ///
    /// # Safety
    /// `HALVES` i16 are readable at `p`.
    unsafe fn load_i16(self, p: *const i16) -> Self::H;
    /// Writes a vector of i16.
    ///
    /// # Safety
    /// `HALVES` i16 are writable at `p`.
    unsafe fn store_i16(self, x: Self::H, p: *mut i16);
    /// `a + b` modulo 2^16.
    fn add16(self, a: Self::H, b: Self::H) -> Self::H;
    /// `a - b` modulo 2^16.
    fn sub16(self, a: Self::H, b: Self::H) -> Self::H;
    /// `a << N`.
    fn shl16<const N: u32>(self, a: Self::H) -> Self::H;

    /// Reads sixteen i32.
    ///
    /// # Safety
    /// Sixteen i32 are readable at `p`.
    unsafe fn load_i32_ptr(self, p: *const i32) -> Self::I;
    /// Writes sixteen i32.
    ///
    /// # Safety
    /// Sixteen i32 are writable at `p`.
    unsafe fn store_i32(self, x: Self::I, p: *mut i32);
    /// `a + b` modulo 2^32.
    fn add32(self, a: Self::I, b: Self::I) -> Self::I;
    /// `a - b` modulo 2^32.
    fn sub32(self, a: Self::I, b: Self::I) -> Self::I;
    /// `a * b` modulo 2^32.
    fn mul32(self, a: Self::I, b: Self::I) -> Self::I;
    /// `a << N`.
    fn shl32<const N: u32>(self, a: Self::I) -> Self::I;
    /// `a >> N`, keeping the sign.
    fn shr32<const N: u32>(self, a: Self::I) -> Self::I;

    /// Reads sixteen i32.
    fn load_i32(self, x: &[i32; 16]) -> Self::I;
    /// To the nearest f32.
    fn to_f32(self, x: Self::I) -> Self::F;
    /// All lanes `x`.
    fn splat(self, x: f32) -> Self::F;
    /// Reads sixteen f32.
    ///
    /// # Safety
    /// Sixteen f32 are readable at `p`.
    unsafe fn load_f32(self, p: *const f32) -> Self::F;
    /// Reads four pixels of `C` channels each to four lanes a pixel, the others 0.
    ///
    /// # Safety
    /// `4 * C` f32 are readable at `p`; `C` is 1 to 4.
    unsafe fn load_pixels<const C: usize>(self, p: *const f32) -> Self::F;
    /// Writes sixteen f32.
    ///
    /// # Safety
    /// Sixteen f32 are writable at `p`.
    unsafe fn store_f32(self, x: Self::F, p: *mut f32);
    /// Reads sixteen bytes as floats.
    ///
    /// # Safety
    /// Sixteen bytes are readable at `p`.
    unsafe fn load_u8(self, p: *const u8) -> Self::F;
    /// Rounds to the nearest integer (ties to even), adds the offset and writes bytes; the sums must lie in 0..=255.
    ///
    /// # Safety
    /// Sixteen bytes are writable at `p`.
    unsafe fn store_u8(self, x: Self::F, offset: Self::I, p: *mut u8);
    /// `clamp(round(x) + zero_point, low, high)` of four vectors, ties to even; every `|x|` is below 2^31.
    fn quantize(self, x: [Self::F; 4], zero_point: u8, low: u8, high: u8) -> Self::Q;
    /// Writes each quarter of the bytes to its place.
    ///
    /// # Safety
    /// Sixteen bytes are writable at each place.
    unsafe fn store_quarters(self, q: Self::Q, to: [*mut u8; 4]);
    /// Writes each half of the bytes to its place.
    ///
    /// # Safety
    /// 32 bytes are writable at each place.
    unsafe fn store_halves(self, q: Self::Q, to: [*mut u8; 2]);
    /// Writes all 64 bytes.
    ///
    /// # Safety
    /// 64 bytes are writable at `to`.
    unsafe fn store_whole(self, q: Self::Q, to: *mut u8);
    /// All lanes `x`.
    fn splat_i32(self, x: i32) -> Self::I;
    /// To the nearest integer, ties to even.
    fn round(self, x: Self::F) -> Self::F;
    /// `a + b`.
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a - b`.
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b`.
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a / b`.
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// Lane-wise maximum.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// Lane-wise minimum.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `a * b + c` for integers so small that nothing is rounded, contracted or not.
    fn mul_add_exact(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// Whether any lane of `a` is greater than that of `b`.
    fn any_gt(self, a: Self::F, b: Self::F) -> bool;
    /// Lane-wise maximum of sixteen bytes at each of two places, written to the first.
    ///
    /// # Safety
    /// Sixteen bytes are writable at `y` and readable at `x`.
    unsafe fn max_u8(self, y: *mut u8, x: *const u8);

    /// A block of floats.
    #[inline(always)]
    fn block(self, x: &[f32; 16]) -> Self::F {
        // SAFETY: the array holds sixteen f32.
        unsafe { self.load_f32(x.as_ptr()) }
    }

    /// The lanes as an array, for the few things done lane by lane.
    #[inline(always)]
    fn to_array(self, x: Self::F) -> [f32; 16] {
        let mut y = [0.0; 16];
        // SAFETY: the array holds sixteen f32.
        unsafe { self.store_f32(x, y.as_mut_ptr()) };
        y
    }
}

/// Products of bytes that differ from lane to lane, where they do not saturate.
pub(crate) trait ByteLanes: IntSimd {
    /// Four bytes in each lane.
    type B: Copy;
    /// What [`ByteLanes::load_rows`] needs.
    type O: Copy;

    /// Constants, to be made once before a loop.
    fn row_order(self) -> Self::O;
    /// Reads sixteen bytes at each of four places: lane `i` gets byte `i` of each.
    ///
    /// # Safety
    /// Sixteen bytes are readable at each place.
    unsafe fn load_rows(self, order: Self::O, p: [*const u8; 4]) -> Self::B;
    /// `acc[o] += sum over g of x[o][g] * w[o][g]`, exact.
    fn mac_lanes(self, acc: Self::I, x: Self::B, w: Self::W) -> Self::I;
}

/// Weights of eight output channels and a group of four input channels, `[8][4]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(32))]
pub(crate) struct HalfLine(pub(crate) [i8; 32]);

/// Sums of products of bytes for eight output channels, two groups of input channels together where their products
/// fit 16 bits: the instruction that widens them is then needed once.
pub(crate) trait BytePairs: IntSimd<E = u8, X = Self::V> {
    /// Eight i32.
    type A: Copy;
    /// A [`HalfLine`], or a group of input channels repeated for every lane.
    type V: Copy;

    /// Reads eight i32.
    fn load_half(self, x: &[i32; 8]) -> Self::A;
    /// Reads a line of weights.
    ///
    /// # Safety
    /// `p` points to a line.
    unsafe fn load_half_line(self, p: *const HalfLine) -> Self::V;
    /// `acc[o] += sum over g of x[g] * w[o][g]`, exact.
    fn mac_half(self, acc: Self::A, x: Self::V, w: Self::V) -> Self::A;
    /// The same for two groups, exact where the first two products of both groups have a sum of 16 bits, and the last
    /// two.
    fn mac_pair(self, acc: Self::A, x: [Self::V; 2], w: [Self::V; 2]) -> Self::A;
    /// Sixteen lanes of two times eight.
    fn join(self, low: Self::A, high: Self::A) -> Self::I;
}

/// A computation written once for the instruction sets with [`BytePairs`].
pub(crate) trait PairKernel {
    /// The body; implementations are `#[inline(always)]`.
    fn run<S: BytePairs>(self, s: S);
}

/// Whether [`dispatch_pairs`] can run kernels for `path`.
pub(crate) fn has_byte_pairs(path: IntPath) -> bool {
    path == IntPath::Avx2Bytes
}

/// Runs a kernel compiled for `path`, which [`has_byte_pairs`].
///
/// # Panics
/// When the path has no such products.
#[inline]
pub(crate) fn dispatch_pairs<K: PairKernel>(path: IntPath, kernel: K) {
    match path {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `IntPath::of` found the instruction set on this processor.
        IntPath::Avx2Bytes => unsafe { avx2::run_pairs(kernel) },
        _ => panic!("pairs of products of bytes on {}", path.name()),
    }
}

/// A computation written once for the instruction sets with [`ByteLanes`].
pub(crate) trait ByteKernel {
    /// The body; implementations are `#[inline(always)]`.
    fn run<S: ByteLanes>(self, s: S);
}

/// Whether [`dispatch_bytes`] can run kernels for `path`.
pub(crate) fn has_byte_lanes(path: IntPath) -> bool {
    matches!(path, IntPath::Portable | IntPath::Avx2Bytes | IntPath::Vnni)
}

/// Runs a kernel compiled for `path`, which [`has_byte_lanes`].
///
/// # Panics
/// When the path has no such products.
#[inline]
pub(crate) fn dispatch_bytes<K: ByteKernel>(path: IntPath, kernel: K) {
    assert!(has_byte_lanes(path), "products of bytes in lanes on {}", path.name());
    match path {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `IntPath::of` found the instruction set on this processor.
        IntPath::Vnni => unsafe { vnni::run_bytes(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        IntPath::Avx2Bytes => unsafe { avx2::run_lanes(kernel) },
        _ => kernel.run(portable::Portable),
    }
}

/// A computation written once for all instruction sets.
pub(crate) trait IntKernel {
    /// What it returns.
    type Output;
    /// The body; implementations are `#[inline(always)]`.
    fn run<S: IntSimd>(self, s: S) -> Self::Output;
}

/// Runs a kernel compiled for `path`.
///
/// `path` comes from [`IntPath::of`], which checks the processor.
#[inline]
pub(crate) fn dispatch<K: IntKernel>(path: IntPath, kernel: K) -> K::Output {
    match path {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `IntPath::of` found the instruction set on this processor.
        IntPath::Vnni => unsafe { vnni::run(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        IntPath::Avx2 => unsafe { avx2::run(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        IntPath::Avx2Bytes => unsafe { avx2::run_bytes(kernel) },
        _ => kernel.run(portable::Portable),
    }
}
