//! The weights along x, laid out as the registers take them.

use super::super::packed::{LANE, Packed, tap_pairs};
use super::{Axis, ROW_DROP};

/// Where and with which weights to sample a row.
///
/// Colours: a lane holds one pixel, four taps of it at a time. Grey: a lane holds four pixels, of each four taps at a
/// time. Two groups of a register each make a chunk, whose pixels are spread over the groups so that narrowing both to
/// one register brings them in order.
pub(super) struct Table {
    pub(super) chunks: usize,
    /// Pairs of taps of each pixel.
    pub(super) pairs: usize,
    /// For each group the byte of the row at which each pixel's taps start.
    pub(super) places: Vec<u32>,
    /// For each group and pair a register of weights.
    pub(super) weights: Vec<i16>,
    /// Bytes that are read from the start of a row on.
    pub(super) read: usize,
}

/// Places of a group.
pub(super) const fn places<P: Packed, const C: usize>() -> usize {
    P::BYTES / if C == 1 { 4 } else { LANE }
}

/// Pixels of a chunk.
pub(super) const fn pixels<P: Packed, const C: usize>() -> usize {
    2 * places::<P, C>()
}

impl Table {
    #[inline(always)]
    pub(super) fn new<P: Packed, const C: usize>(axis: &Axis) -> Self {
        let (in_group, in_chunk) = (places::<P, C>(), pixels::<P, C>());
        let chunks = axis.len().div_ceil(in_chunk);
        let pairs = axis.reach().div_ceil(2);
        // Neighbours that stay together in a lane: four grey pixels or a coloured one.
        let run = if C == 1 { 4 } else { 1 };
        let values = if C == 1 { 1 } else { 4 };
        let mut places = vec![0; chunks * in_chunk];
        let mut weights = vec![0; chunks * 2 * pairs * (P::BYTES / 2)];
        for i in 0..axis.len() {
            let (chunk, i_run, in_run) = (i / in_chunk, i % in_chunk / run, i % run);
            let group = 2 * chunk + i_run % 2;
            let slot = i_run / 2 * run + in_run;
            places[group * in_group + slot] = (axis.span(i).start * C) as u32;
            for (pair, two) in axis.weights(i).chunks(2).enumerate() {
                let two = [two[0], two.get(1).copied().unwrap_or(0)];
                let at = (group * pairs + pair) * (P::BYTES / 2) + slot * values * 2;
                for to in weights[at..at + values * 2].as_chunks_mut::<2>().0 {
                    *to = two;
                }
            }
        }
        let bytes = if C == 1 { 4 } else { LANE };
        let steps = pairs.div_ceil(2);
        let farthest = places.iter().copied().max().unwrap_or(0) as usize;
        Self { chunks, pairs, places, weights, read: farthest + (steps - 1) * 4 * C + bytes }
    }

    /// Values that are written for a row, more than it has.
    pub(super) fn written<P: Packed, const C: usize>(&self) -> usize {
        (self.chunks - 1) * pixels::<P, C>() * C + P::BYTES / 2
    }

    /// Samples a row along x, in 1/64 level.
    #[inline(always)]
    pub(super) fn filter_row<P: Packed, const C: usize>(&self, packed: P, row: &[u8], out: &mut [i16]) {
        assert!(row.len() >= self.read && out.len() >= self.written::<P, C>(), "lengths");
        let dense = pixels::<P, C>() * C;
        for chunk in 0..self.chunks {
            // SAFETY: `read` bytes of the row and `written` values of the result are there, as asserted.
            unsafe {
                let a = group::<P, C>(packed, row.as_ptr(), self, 2 * chunk);
                let b = group::<P, C>(packed, row.as_ptr(), self, 2 * chunk + 1);
                let values = packed.narrow_words([a, b]);
                let values = if C == 3 { packed.drop_fourth(values) } else { values };
                packed.store_shorts(out.as_mut_ptr().add(chunk * dense), values);
            }
        }
    }
}

/// The sums of one group of pixels; see [`Table`].
///
/// # Safety
/// The table was made for `P` and `C`, has this group, and its `read` bytes are readable.
#[inline(always)]
unsafe fn group<P: Packed, const C: usize>(
    packed: P,
    row: *const u8,
    table: &Table,
    group: usize,
) -> P::Words {
    let [first, second] = const { [tap_pairs::<C>(0), tap_pairs::<C>(2 * C)] };
    let mut sum = packed.words(1 << (ROW_DROP - 1));
    // SAFETY: the caller vouches for the row; the table has places and weights of each group.
    unsafe {
        let places = table.places.as_ptr().add(group * places::<P, C>());
        let mut weights = table.weights.as_ptr().add(group * table.pairs * (P::BYTES / 2));
        let load = |step: usize| {
            let from = row.add(step * 4 * C);
            if C == 1 { packed.load_fours(from, places) } else { packed.load_lanes(from, places) }
        };
        for step in 0..table.pairs / 2 {
            let taps = load(step);
            let w = [packed.load_shorts(weights), packed.load_shorts(weights.add(P::BYTES / 2))];
            let a = packed.short_products(packed.shuffle(taps, &first), w[0]);
            let b = packed.short_products(packed.shuffle(taps, &second), w[1]);
            sum = packed.add_words(sum, packed.add_words(a, b));
            weights = weights.add(P::BYTES);
        }
        if table.pairs % 2 == 1 {
            let taps = packed.shuffle(load(table.pairs / 2), &first);
            sum = packed.add_words(sum, packed.short_products(taps, packed.load_shorts(weights)));
        }
    }
    packed.shift(sum, packed.words(ROW_DROP))
}
