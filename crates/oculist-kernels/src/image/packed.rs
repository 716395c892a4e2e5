//! Registers of small integers: what weighted sums in fixed point need beyond plain Rust.
//!
//! A register is a number of lanes of 16 bytes each. As with the processors' own instructions, zipping, narrowing and
//! shuffling work lane by lane; whoever zips first and narrows afterwards gets the values back in their order.

use super::lanes::Portable;

#[cfg(target_arch = "x86_64")]
mod x86;

/// Bytes of a lane.
pub(super) const LANE: usize = 16;

/// What of a lane each byte takes; [`NONE`] gives 0.
pub(super) type Order = [u8; LANE];

/// No byte.
pub(super) const NONE: u8 = 0x80;

/// The order that makes pairs of i16 of two neighbouring taps, the first of which starts at this byte of the lane.
///
/// Colours: the lane holds the taps of one pixel, and each of four channels gets a pair. Grey: the lane holds four taps
/// of each of four pixels.
pub(super) const fn tap_pairs<const C: usize>(start: usize) -> Order {
    let mut order = [NONE; LANE];
    let mut i = 0;
    while i < 4 {
        let first = start + if C == 1 { 4 * i } else { i };
        if C == 1 || i < C {
            order[4 * i] = first as u8;
            order[4 * i + 2] = (first + C) as u8;
        }
        i += 1;
    }
    order
}

/// Operations on registers; as for [`Lanes`](super::lanes::Lanes), values other than [`Portable`] prove the
/// instruction set. All sums wrap around.
pub(super) trait Packed: Copy {
    /// Bytes, with or without a sign.
    type Bytes: Copy;
    /// Half as many i16.
    type Shorts: Copy;
    /// A quarter as many i32.
    type Words: Copy;
    /// Bytes of a register, at most 64.
    const BYTES: usize;
    /// Whether there is [`Packed::pick`].
    const PICKS: bool = false;
    /// Bytes of the parts of a register that [`Packed::pick_pairs`] fills each from a place of its own; 0 without it.
    const FIELD: usize = 0;
    /// Whether [`NONE`] in the order of [`Packed::pick_pairs`] gives 0.
    const NONE_IS_ZERO: bool = false;

    /// # Safety
    /// [`Packed::BYTES`] bytes are readable.
    unsafe fn load_bytes(self, from: *const u8) -> Self::Bytes;
    /// # Safety
    /// [`Packed::BYTES`] bytes are writable.
    unsafe fn store_bytes(self, to: *mut u8, v: Self::Bytes);
    /// # Safety
    /// [`Packed::BYTES`] bytes are readable.
    unsafe fn load_shorts(self, from: *const i16) -> Self::Shorts;
    /// # Safety
    /// [`Packed::BYTES`] bytes are writable.
    unsafe fn store_shorts(self, to: *mut i16, v: Self::Shorts);
    /// Each lane from a place of its own.
    ///
    /// # Safety
    /// There is a place for each lane, and 16 bytes are readable `places[lane]` bytes after `from`.
    unsafe fn load_lanes(self, from: *const u8, places: *const u32) -> Self::Bytes;
    /// Each four bytes from a place of their own.
    ///
    /// # Safety
    /// There are four places for each lane, all below 2^31, and four bytes are readable at each of them.
    unsafe fn load_fours(self, from: *const u8, places: *const u32) -> Self::Bytes;

    /// Bytes of the memory at `from` as i16: the one at the place that each even byte of `order` says.
    ///
    /// # Safety
    /// [`Packed::BYTES`] bytes are readable, and places are below that.
    unsafe fn pick(self, from: *const u8, order: Self::Bytes) -> Self::Shorts {
        let _ = (from, order);
        unreachable!("only where `PICKS`")
    }

    /// Bytes of the memory, each field from the [`Packed::FIELD`] bytes at its own place after `from`, in an order.
    ///
    /// # Safety
    /// There is a place for each field and a place in it, below its length or [`NONE`], for each byte of a register; the fields'
    /// bytes are readable.
    unsafe fn pick_pairs(self, from: *const u8, places: *const u32, order: *const u8) -> Self::Bytes {
        let _ = (from, places, order);
        unreachable!("only where there are fields")
    }

    /// The bits of both.
    fn or_bytes(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// All pairs are these two weights.
    fn byte_pairs(self, pair: [u8; 2]) -> Self::Bytes;
    /// All pairs are these two weights.
    fn short_pairs(self, pair: [i16; 2]) -> Self::Shorts;
    /// All values are `v`.
    fn words(self, v: i32) -> Self::Words;
    /// All zero.
    fn no_shorts(self) -> Self::Shorts;

    /// Values of both in turn: the lanes' lower halves, then their upper halves.
    fn zip_bytes(self, a: Self::Bytes, b: Self::Bytes) -> [Self::Bytes; 2];
    /// As [`Packed::zip_bytes`].
    fn zip_shorts(self, a: Self::Shorts, b: Self::Shorts) -> [Self::Shorts; 2];
    /// `weights[2i] * values[2i] + weights[2i + 1] * values[2i + 1]` of unsigned weights and signed values, within i16.
    fn byte_products(self, weights: Self::Bytes, values: Self::Bytes) -> Self::Shorts;
    /// `a[2i] * b[2i] + a[2i + 1] * b[2i + 1]`.
    fn short_products(self, a: Self::Shorts, b: Self::Shorts) -> Self::Words;
    fn add_shorts(self, a: Self::Shorts, b: Self::Shorts) -> Self::Shorts;
    fn subtract_shorts(self, a: Self::Shorts, b: Self::Shorts) -> Self::Shorts;
    /// `(a * b) >> 16`.
    fn high_products(self, a: Self::Shorts, b: Self::Shorts) -> Self::Shorts;
    /// `(a * b + 2^14) >> 15`; not both are -2^15.
    fn rounded_products(self, a: Self::Shorts, b: Self::Shorts) -> Self::Shorts;
    /// `v >> BY`, signed.
    fn shift_shorts<const BY: i32>(self, v: Self::Shorts) -> Self::Shorts;
    fn add_words(self, a: Self::Words, b: Self::Words) -> Self::Words;
    /// `v >> by[i]`, signed.
    fn shift(self, v: Self::Words, by: Self::Words) -> Self::Words;
    /// Cut to i16; each lane holds the first's, then the second's values.
    fn narrow_words(self, v: [Self::Words; 2]) -> Self::Shorts;
    /// Cut to 0..=255; each lane holds the first's, then the second's values.
    fn narrow_shorts(self, v: [Self::Shorts; 2]) -> Self::Bytes;
    /// Undoes the order of [`Packed::narrow_words`]: all of the first, then all of the second.
    fn shorts_in_order(self, v: Self::Shorts) -> Self::Shorts;
    /// Undoes the order of [`Packed::narrow_shorts`]: all of the first, then all of the second.
    fn bytes_in_order(self, v: Self::Bytes) -> Self::Bytes;
    /// The bytes of each lane in another order, as i16.
    fn shuffle(self, v: Self::Bytes, order: &Order) -> Self::Shorts;
    /// Drops every fourth value; those that are left come first.
    fn drop_fourth(self, v: Self::Shorts) -> Self::Shorts;
}

impl Packed for Portable {
    type Bytes = [u8; LANE];
    type Shorts = [i16; 8];
    type Words = [i32; 4];
    const BYTES: usize = LANE;

    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> [u8; LANE] {
        // SAFETY: the caller vouches for the memory.
        unsafe { from.cast::<[u8; LANE]>().read() }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8, v: [u8; LANE]) {
        // SAFETY: the caller vouches for the memory.
        unsafe { to.cast::<[u8; LANE]>().write(v) }
    }

    #[inline(always)]
    unsafe fn load_shorts(self, from: *const i16) -> [i16; 8] {
        // SAFETY: the caller vouches for the memory.
        unsafe { from.cast::<[i16; 8]>().read() }
    }

    #[inline(always)]
    unsafe fn store_shorts(self, to: *mut i16, v: [i16; 8]) {
        // SAFETY: the caller vouches for the memory.
        unsafe { to.cast::<[i16; 8]>().write(v) }
    }

    #[inline(always)]
    unsafe fn load_lanes(self, from: *const u8, places: *const u32) -> [u8; LANE] {
        // SAFETY: the caller vouches for the memory.
        unsafe { self.load_bytes(from.add(places.read() as usize)) }
    }

    #[inline(always)]
    unsafe fn load_fours(self, from: *const u8, places: *const u32) -> [u8; LANE] {
        let mut all = [0; LANE];
        for (i, four) in all.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            // SAFETY: the caller vouches for the memory.
            *four = unsafe { from.add(places.add(i).read() as usize).cast::<[u8; 4]>().read() };
        }
        all
    }

    #[inline(always)]
    fn or_bytes(self, a: [u8; LANE], b: [u8; LANE]) -> [u8; LANE] {
        std::array::from_fn(|i| a[i] | b[i])
    }

    #[inline(always)]
    fn byte_pairs(self, pair: [u8; 2]) -> [u8; LANE] {
        std::array::from_fn(|i| pair[i % 2])
    }

    #[inline(always)]
    fn short_pairs(self, pair: [i16; 2]) -> [i16; 8] {
        std::array::from_fn(|i| pair[i % 2])
    }

    #[inline(always)]
    fn words(self, v: i32) -> [i32; 4] {
        [v; 4]
    }

    #[inline(always)]
    fn no_shorts(self) -> [i16; 8] {
        [0; 8]
    }

    #[inline(always)]
    fn zip_bytes(self, a: [u8; LANE], b: [u8; LANE]) -> [[u8; LANE]; 2] {
        [0, 8].map(|half| std::array::from_fn(|i| if i % 2 == 0 { a[half + i / 2] } else { b[half + i / 2] }))
    }

    #[inline(always)]
    fn zip_shorts(self, a: [i16; 8], b: [i16; 8]) -> [[i16; 8]; 2] {
        [0, 4].map(|half| std::array::from_fn(|i| if i % 2 == 0 { a[half + i / 2] } else { b[half + i / 2] }))
    }

    #[inline(always)]
    fn byte_products(self, weights: [u8; LANE], values: [u8; LANE]) -> [i16; 8] {
        let product = |i: usize| i16::from(weights[i]).wrapping_mul(i16::from(values[i] as i8));
        std::array::from_fn(|i| product(2 * i).wrapping_add(product(2 * i + 1)))
    }

    #[inline(always)]
    fn short_products(self, a: [i16; 8], b: [i16; 8]) -> [i32; 4] {
        let product = |i: usize| i32::from(a[i]) * i32::from(b[i]);
        std::array::from_fn(|i| product(2 * i).wrapping_add(product(2 * i + 1)))
    }

    #[inline(always)]
    fn add_shorts(self, a: [i16; 8], b: [i16; 8]) -> [i16; 8] {
        std::array::from_fn(|i| a[i].wrapping_add(b[i]))
    }

    #[inline(always)]
    fn subtract_shorts(self, a: [i16; 8], b: [i16; 8]) -> [i16; 8] {
        std::array::from_fn(|i| a[i].wrapping_sub(b[i]))
    }

    #[inline(always)]
    fn high_products(self, a: [i16; 8], b: [i16; 8]) -> [i16; 8] {
        std::array::from_fn(|i| ((i32::from(a[i]) * i32::from(b[i])) >> 16) as i16)
    }

    #[inline(always)]
    fn rounded_products(self, a: [i16; 8], b: [i16; 8]) -> [i16; 8] {
        std::array::from_fn(|i| ((i32::from(a[i]) * i32::from(b[i]) + (1 << 14)) >> 15) as i16)
    }

    #[inline(always)]
    fn shift_shorts<const BY: i32>(self, v: [i16; 8]) -> [i16; 8] {
        v.map(|v| v >> BY)
    }

    #[inline(always)]
    fn add_words(self, a: [i32; 4], b: [i32; 4]) -> [i32; 4] {
        std::array::from_fn(|i| a[i].wrapping_add(b[i]))
    }

    #[inline(always)]
    fn shift(self, v: [i32; 4], by: [i32; 4]) -> [i32; 4] {
        std::array::from_fn(|i| v[i] >> by[i])
    }

    #[inline(always)]
    fn narrow_words(self, v: [[i32; 4]; 2]) -> [i16; 8] {
        std::array::from_fn(|i| v[i / 4][i % 4].clamp(i16::MIN.into(), i16::MAX.into()) as i16)
    }

    #[inline(always)]
    fn narrow_shorts(self, v: [[i16; 8]; 2]) -> [u8; LANE] {
        std::array::from_fn(|i| v[i / 8][i % 8].clamp(0, 255) as u8)
    }

    #[inline(always)]
    fn shorts_in_order(self, v: [i16; 8]) -> [i16; 8] {
        v
    }

    #[inline(always)]
    fn bytes_in_order(self, v: [u8; LANE]) -> [u8; LANE] {
        v
    }

    #[inline(always)]
    fn shuffle(self, v: [u8; LANE], order: &Order) -> [i16; 8] {
        let byte = |i: usize| if order[i] == NONE { 0 } else { v[usize::from(order[i]) % LANE] };
        std::array::from_fn(|i| i16::from_le_bytes([byte(2 * i), byte(2 * i + 1)]))
    }

    #[inline(always)]
    fn drop_fourth(self, v: [i16; 8]) -> [i16; 8] {
        [v[0], v[1], v[2], v[4], v[5], v[6], 0, 0]
    }
}
