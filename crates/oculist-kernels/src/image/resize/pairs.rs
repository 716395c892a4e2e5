//! Rows sampled along x where each new pixel is made of at most two old ones.
//!
//! With weights 1 - w and w the sum is a + w (b - a), which 16 bits hold: a register has a value for every two bytes. The
//! result is that of the sum of both products, to the bit.

use super::super::packed::{NONE, Packed};
use super::{Axis, ROW_BITS};

pub(super) struct Pairs {
    /// Windows of bytes that each field is picked from: 1 or 2.
    windows: usize,
    /// For each group of values and each window the first byte of the row that each field needs.
    places: Vec<u32>,
    /// For each group and window where the bytes of both taps lie from there.
    orders: Vec<u8>,
    /// For each group the weight of the second tap, times -2: all of it is 2^15.
    weights: Vec<i16>,
    /// Bytes that are read from the start of a row on.
    pub(super) read: usize,
}

impl Pairs {
    /// None if there is no such instruction, pixels are made of more than two, or taps lie too far apart.
    #[inline(always)]
    pub(super) fn new<P: Packed, const C: usize>(axis: &Axis) -> Option<Self> {
        if P::FIELD == 0 || axis.reach() > 2 || !axis.is_mean() {
            return None;
        }
        let one = Self::with_windows::<P, C>(axis, 1);
        if one.is_none() && P::NONE_IS_ZERO { Self::with_windows::<P, C>(axis, 2) } else { one }
    }

    #[inline(always)]
    fn with_windows<P: Packed, const C: usize>(axis: &Axis, windows: usize) -> Option<Self> {
        let (values, in_group, in_field) = (axis.len() * C, P::BYTES / 2, P::FIELD / 2);
        let (groups, fields) = (values.div_ceil(in_group), P::BYTES / P::FIELD);
        let mut places = vec![0; groups * windows * fields];
        let mut orders = vec![NONE; groups * windows * P::BYTES];
        let mut weights = vec![0; groups * in_group];
        let mut farthest = 0;
        for field in 0..values.div_ceil(in_field) {
            let (group, in_register) = (field / fields, field % fields);
            let members = field * in_field..values.min((field + 1) * in_field);
            let first_byte = |value: usize| axis.span(value / C).start * C + value % C;
            let mut start = members.start;
            for window in 0..windows {
                // As many values as one window has the taps of.
                let (mut least, mut most, mut end) = (usize::MAX, 0, start);
                while end < members.end {
                    let byte = first_byte(end);
                    if most.max(byte + C) - least.min(byte) >= P::FIELD {
                        break;
                    }
                    (least, most, end) = (least.min(byte), most.max(byte + C), end + 1);
                }
                if start == end {
                    break;
                }
                let at = group * windows + window;
                farthest = farthest.max(least);
                places[at * fields + in_register] = least as u32;
                for value in start..end {
                    let offset = (first_byte(value) - least) as u8;
                    let to = at * P::BYTES + value % in_group * 2;
                    (orders[to], orders[to + 1]) = (offset, offset + C as u8);
                    weights[value] = -2 * axis.weights(value / C).get(1).copied().unwrap_or(0);
                }
                start = end;
            }
            if start < members.end {
                return None;
            }
        }
        Some(Self { windows, places, orders, weights, read: farthest + P::FIELD })
    }

    /// Values that are written for a row, more than it has.
    pub(super) fn written(&self) -> usize {
        self.weights.len()
    }

    /// Samples a row along x, in 1/64 level.
    #[inline(always)]
    pub(super) fn filter_row<P: Packed>(&self, packed: P, row: &[u8], out: &mut [i16]) {
        if self.windows == 1 {
            self.filter::<P, 1>(packed, row, out);
        } else {
            self.filter::<P, 2>(packed, row, out);
        }
    }

    #[inline(always)]
    fn filter<P: Packed, const WINDOWS: usize>(&self, packed: P, row: &[u8], out: &mut [i16]) {
        assert!(self.windows == WINDOWS && row.len() >= self.read && out.len() >= self.written(), "lengths");
        let level = 1 << ROW_BITS;
        let first = packed.byte_pairs([level, 0]);
        let difference = packed.byte_pairs([level, level.wrapping_neg()]);
        for group in 0..self.weights.len() / (P::BYTES / 2) {
            // SAFETY: `read` bytes of the row and `written` values of the result are there, as asserted; there are places
            // and orders of each group and window, and weights of each group.
            unsafe {
                let mut taps = self.pick::<P>(packed, row.as_ptr(), group * WINDOWS);
                if WINDOWS == 2 {
                    taps = packed.or_bytes(taps, self.pick::<P>(packed, row.as_ptr(), group * WINDOWS + 1));
                }
                let at = group * (P::BYTES / 2);
                let weights = packed.load_shorts(self.weights.as_ptr().add(at));
                let moved = packed.rounded_products(packed.byte_products(taps, difference), weights);
                let values = packed.add_shorts(packed.byte_products(taps, first), moved);
                packed.store_shorts(out.as_mut_ptr().add(at), values);
            }
        }
    }

    /// The taps of a group of values that this window has.
    ///
    /// # Safety
    /// `self` was made for `P` and has this window, and its `read` bytes are readable.
    #[inline(always)]
    unsafe fn pick<P: Packed>(&self, packed: P, row: *const u8, window: usize) -> P::Bytes {
        // SAFETY: the caller vouches for the row; there are places and orders of each window.
        unsafe {
            let places = self.places.as_ptr().add(window * (P::BYTES / P::FIELD));
            packed.pick_pairs(row, places, self.orders.as_ptr().add(window * P::BYTES))
        }
    }
}
