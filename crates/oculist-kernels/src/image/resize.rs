//! Resizing by separable filters in fixed point.
//!
//! Rows are filtered along x when they are first needed and kept, in 1/64 level, in a ring as high as the filter along y:
//! an image is read once and written once. Weights have 14 bits and sum to 1; the only rounding between the passes is
//! that to 1/64 level, so that results are within about 1/20 of a level of the exact sum before they are rounded. Crops
//! and mirror images are sampled at no further cost, since an [`Axis`] says which pixels are taken and in which order.

mod axis;
mod table;

#[cfg(test)]
mod tests;

pub use axis::{Axis, Kernel};

use super::columns::{RowPair, row_stride, sum_rows};
use super::lanes::{Lanes, per_isa};
use super::packed::Packed;
use table::Table;

/// Fractional bits of weights.
const WEIGHT_BITS: i32 = 14;
/// Bits that a row's sum keeps behind the point: cubic filters overshoot by a quarter, and 16 bits have a sign.
const ROW_BITS: i32 = 6;
/// Bits dropped after the rows and after the columns.
const ROW_DROP: i32 = WEIGHT_BITS - ROW_BITS;
const LAST_DROP: i32 = WEIGHT_BITS + ROW_BITS;

per_isa! {
    /// Resizes an image of `width` pixels a row: `columns` samples along x and `lines` along y, all channels alike.
    ///
    /// # Panics
    /// If there are not 1, 3 or 4 channels, an axis was made for another length than that of the image, `out` has another
    /// length than the axes and channels say, a row has 2^31 bytes or more, or the processor lacks `isa`.
    pub fn resize(
        pixels: &[u8],
        width: usize,
        channels: usize,
        columns: &Axis,
        lines: &Axis,
        out: &mut [u8],
    ) = resized;
}

#[inline(always)]
fn resized<L: Lanes + Packed>(
    lanes: L,
    pixels: &[u8],
    width: usize,
    channels: usize,
    columns: &Axis,
    lines: &Axis,
    out: &mut [u8],
) {
    match channels {
        1 => run::<L, 1>(lanes, pixels, width, columns, lines, out),
        3 => run::<L, 3>(lanes, pixels, width, columns, lines, out),
        4 => run::<L, 4>(lanes, pixels, width, columns, lines, out),
        _ => panic!("{channels} channels"),
    }
}

#[inline(always)]
fn run<P: Packed, const C: usize>(
    packed: P,
    pixels: &[u8],
    width: usize,
    columns: &Axis,
    lines: &Axis,
    out: &mut [u8],
) {
    let len = width * C;
    assert!((1..1 << 31).contains(&len), "a row of {len} bytes");
    assert_eq!(Some(pixels.len()), len.checked_mul(lines.side()), "bytes of the image");
    assert_eq!(width, columns.side(), "width");
    let row = columns.len() * C;
    assert_eq!(Some(out.len()), row.checked_mul(lines.len()), "bytes of the result");
    let table = Table::new::<P, C>(columns);
    let stride = row_stride::<P>(row).max(table.written::<P, C>());
    let (mut ready, kept) = rows_kept(lines);
    let mut ring = vec![0i16; kept * stride];
    let mut pairs = Vec::with_capacity(lines.reach().div_ceil(2));
    // The last rows, with the room that reading registers takes.
    let mut last = Vec::new();
    for (y, out) in out.chunks_exact_mut(row).enumerate() {
        let span = lines.span(y);
        while ready < span.end {
            let from = ready * len;
            let source = if let Some(source) = pixels.get(from..from + table.read) {
                source
            } else {
                last.clear();
                last.extend_from_slice(&pixels[from..from + len]);
                last.resize(table.read.max(len), 0);
                &last
            };
            filter_row::<P, C>(packed, source, &table, &mut ring[ready % kept * stride..][..stride]);
            ready += 1;
        }
        pairs.clear();
        pairs.extend(span.clone().step_by(2).zip(lines.weights(y).chunks(2)).map(|(first, weights)| {
            let second = (first + 1).min(span.end - 1);
            RowPair {
                starts: [first, second].map(|row| row % kept * stride),
                weights: [weights[0], weights.get(1).copied().unwrap_or(0)],
            }
        }));
        sum_rows::<P, false>(packed, &ring, &pairs, (1 << (LAST_DROP - 1), LAST_DROP), out);
    }
}

/// The first row that is needed, and how many rows are needed at once if all are made in order.
fn rows_kept(lines: &Axis) -> (usize, usize) {
    let (mut first, mut made, mut kept) = (lines.side(), 0, 0);
    for span in (0..lines.len()).map(|y| lines.span(y)) {
        first = first.min(span.start);
        made = made.max(span.end);
        kept = kept.max(made - span.start);
    }
    (first, kept)
}

/// Samples a row along x, in 1/64 level.
#[inline(always)]
fn filter_row<P: Packed, const C: usize>(packed: P, row: &[u8], table: &Table, out: &mut [i16]) {
    assert!(row.len() >= table.read && out.len() >= table.written::<P, C>(), "lengths");
    let dense = table::pixels::<P, C>() * C;
    for chunk in 0..table.chunks {
        // SAFETY: `read` bytes of the row and `written` values of the result are there, as asserted.
        unsafe {
            let a = group::<P, C>(packed, row.as_ptr(), table, 2 * chunk);
            let b = group::<P, C>(packed, row.as_ptr(), table, 2 * chunk + 1);
            let values = packed.narrow_words([a, b]);
            let values = if C == 3 { packed.drop_fourth(values) } else { values };
            packed.store_shorts(out.as_mut_ptr().add(chunk * dense), values);
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
    let [first, second] = const { table::orders::<C>() };
    let mut sum = packed.words(1 << (ROW_DROP - 1));
    // SAFETY: the caller vouches for the row; the table has places and weights of each group.
    unsafe {
        let places = table.places.as_ptr().add(group * table::places::<P, C>());
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
