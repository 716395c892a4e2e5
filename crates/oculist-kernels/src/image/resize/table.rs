//! The weights along x, laid out as the registers take them.

use super::super::packed::{LANE, NONE, Order, Packed};
use super::Axis;

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

/// Which bytes of four taps make the first and the second pair of each value.
pub(super) const fn orders<const C: usize>() -> [Order; 2] {
    let mut orders = [[NONE; LANE]; 2];
    let mut i = 0;
    while i < LANE / 4 {
        // Grey: pixel i of the lane. Colours: channel i of the only pixel.
        let first = if C == 1 { 4 * i } else { i };
        if C == 1 || i < C {
            let mut tap = 0;
            while tap < 4 {
                orders[tap / 2][4 * i + 2 * (tap % 2)] = (first + tap * C) as u8;
                tap += 1;
            }
        }
        i += 1;
    }
    orders
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
}
