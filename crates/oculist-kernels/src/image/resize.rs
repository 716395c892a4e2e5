//! Resizing by separable filters in fixed point.
//!
//! Rows are filtered along x when they are first needed and kept, in 1/64 level, in a ring as high as the filter along y:
//! an image is read once and written once. Weights have 14 bits and sum to 1; the only rounding between the passes is
//! that to 1/64 level, so that results are within about 1/20 of a level of the exact sum before they are rounded. Crops
//! and mirror images are sampled at no further cost, since an [`Axis`] says which pixels are taken and in which order.

mod axis;
mod pairs;
mod table;
mod windows;

#[cfg(test)]
mod tests;

pub use axis::{Axis, Kernel};

use super::columns::{RowPair, mix_rows, ring_starts, row_stride, sum_rows};
use super::lanes::{Lanes, per_isa};
use super::packed::Packed;
use pairs::Pairs;
use table::Table;
use windows::Windows;

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

/// How a row is sampled along x.
enum RowFilter {
    /// At most two old pixels for each new one.
    Pairs(Pairs),
    /// The fast way, where there is an instruction for it and new pixels lie densely enough.
    Windows(Windows),
    Lanes(Table),
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
    let filter = if let Some(pairs) = Pairs::new::<P, C>(columns) {
        RowFilter::Pairs(pairs)
    } else if let Some(windows) = Windows::new::<P, C>(columns) {
        RowFilter::Windows(windows)
    } else {
        RowFilter::Lanes(Table::new::<P, C>(columns))
    };
    let (read, written) = match &filter {
        RowFilter::Pairs(pairs) => (pairs.read, pairs.written()),
        RowFilter::Windows(windows) => (windows.read, windows.written::<P>()),
        RowFilter::Lanes(table) => (table.read, table.written::<P, C>()),
    };
    let stride = row_stride::<P>(row).max(written);
    let (mut ready, kept) = rows_kept(lines);
    let mut ring = vec![0i16; kept * stride];
    let starts = ring_starts(lines.side(), kept, stride);
    let mut pairs = Vec::with_capacity(lines.reach().div_ceil(2));
    let (skips, mixes) = (lines.ascends(), lines.reach() <= 2 && lines.is_mean() && columns.is_mean());
    // The last rows, with the room that reading registers takes.
    let mut last = Vec::new();
    for (y, out) in out.chunks_exact_mut(row).enumerate() {
        let span = lines.span(y);
        if skips {
            // Rows that no new one is made of.
            ready = ready.max(span.start);
        }
        while ready < span.end {
            let from = ready * len;
            let source = if let Some(source) = pixels.get(from..from + read) {
                source
            } else {
                last.clear();
                last.extend_from_slice(&pixels[from..from + len]);
                last.resize(read.max(len), 0);
                &last
            };
            let to = &mut ring[starts[ready]..][..stride];
            match &filter {
                RowFilter::Pairs(pairs) => pairs.filter_row(packed, source, to),
                RowFilter::Windows(windows) => windows.filter_row::<P, C>(packed, source, to),
                RowFilter::Lanes(table) => table.filter_row::<P, C>(packed, source, to),
            }
            ready += 1;
        }
        pairs.clear();
        pairs.extend(span.clone().step_by(2).zip(lines.weights(y).chunks(2)).map(|(first, weights)| {
            let second = (first + 1).min(span.end - 1);
            RowPair {
                starts: [starts[first], starts[second]],
                weights: [weights[0], weights.get(1).copied().unwrap_or(0)],
            }
        }));
        if let ([pair], true) = (&pairs[..], mixes) {
            mix_rows(packed, &ring, *pair, out);
            continue;
        }
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
