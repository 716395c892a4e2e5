//! Rows sampled along x by an instruction that picks any bytes of a register.
//!
//! Sixteen neighbouring values at a time: where their first taps start within one register's worth of bytes, one order of
//! bytes serves all their pairs of taps, each read two pixels farther on.

use super::super::packed::Packed;
use super::{Axis, ROW_DROP};

pub(super) struct Windows {
    /// Pairs of taps of each value.
    pairs: usize,
    /// For each group of values the first byte of the row that it needs.
    places: Vec<u32>,
    /// For each group where the first pair of taps of each value lies from there.
    orders: Vec<u8>,
    /// For each group and pair the weights.
    weights: Vec<i16>,
    /// Bytes that are read from the start of a row on.
    pub(super) read: usize,
}

impl Windows {
    /// None if there is no such instruction or taps lie too far apart.
    #[inline(always)]
    pub(super) fn new<P: Packed, const C: usize>(axis: &Axis) -> Option<Self> {
        if !P::PICKS {
            return None;
        }
        let (values, in_group) = (axis.len() * C, P::BYTES / 4);
        let groups = values.div_ceil(in_group).next_multiple_of(2);
        let pairs = axis.reach().div_ceil(2);
        let mut places = vec![0; groups];
        let mut orders = vec![0; groups * P::BYTES];
        let mut weights = vec![0; groups * pairs * (P::BYTES / 2)];
        let mut farthest = 0;
        for (group, place) in places.iter_mut().enumerate() {
            let members = group * in_group..values.min((group + 1) * in_group);
            let first_byte = |value: usize| axis.span(value / C).start * C + value % C;
            if members.is_empty() {
                break;
            }
            let mut first = usize::MAX;
            for value in members.clone() {
                first = first.min(first_byte(value));
            }
            farthest = farthest.max(first);
            *place = first as u32;
            for (slot, value) in members.enumerate() {
                let offset = first_byte(value) - first;
                if offset + C >= P::BYTES {
                    return None;
                }
                let order = &mut orders[group * P::BYTES + 4 * slot..];
                (order[0], order[2]) = (offset as u8, (offset + C) as u8);
                for (pair, two) in axis.weights(value / C).chunks(2).enumerate() {
                    let at = (group * pairs + pair) * (P::BYTES / 2) + 2 * slot;
                    weights[at..at + two.len()].copy_from_slice(two);
                }
            }
        }
        Some(Self { pairs, places, orders, weights, read: farthest + (pairs - 1) * 2 * C + P::BYTES })
    }

    /// Values that are written for a row, more than it has.
    pub(super) fn written<P: Packed>(&self) -> usize {
        self.places.len() * (P::BYTES / 4)
    }

    /// Samples a row along x, in 1/64 level.
    #[inline(always)]
    pub(super) fn filter_row<P: Packed, const C: usize>(&self, packed: P, row: &[u8], out: &mut [i16]) {
        assert!(row.len() >= self.read && out.len() >= self.written::<P>(), "lengths");
        for chunk in 0..self.places.len() / 2 {
            // SAFETY: `read` bytes of the row and `written` values of the result are there, as asserted.
            unsafe {
                let a = self.group::<P, C>(packed, row.as_ptr(), 2 * chunk);
                let b = self.group::<P, C>(packed, row.as_ptr(), 2 * chunk + 1);
                let values = packed.shorts_in_order(packed.narrow_words([a, b]));
                packed.store_shorts(out.as_mut_ptr().add(chunk * (P::BYTES / 2)), values);
            }
        }
    }

    /// The sums of one group of values.
    ///
    /// # Safety
    /// `self` was made for `P` and `C`, has this group, and its `read` bytes are readable.
    #[inline(always)]
    unsafe fn group<P: Packed, const C: usize>(&self, packed: P, row: *const u8, group: usize) -> P::Words {
        let mut sum = packed.words(1 << (ROW_DROP - 1));
        // SAFETY: the caller vouches for the row; there are places, orders and weights of each group.
        unsafe {
            let mut from = row.add(*self.places.get_unchecked(group) as usize);
            let order = packed.load_bytes(self.orders.as_ptr().add(group * P::BYTES));
            let mut weights = self.weights.as_ptr().add(group * self.pairs * (P::BYTES / 2));
            for _ in 0..self.pairs {
                let taps = packed.pick(from, order);
                sum = packed.add_words(sum, packed.short_products(taps, packed.load_shorts(weights)));
                from = from.add(2 * C);
                weights = weights.add(P::BYTES / 2);
            }
        }
        packed.shift(sum, packed.words(ROW_DROP))
    }
}
