//! Mirroring and transposing: pixels move, none changes.

use super::lanes::Level;
use crate::Isa;

#[cfg(target_arch = "x86_64")]
mod avx2;

/// Writes the pixels of a row in reverse order.
///
/// # Panics
/// When the rows differ in length or do not hold whole pixels of 1, 3 or 4 channels, or the processor lacks `isa`.
pub fn reverse(isa: Isa, from: &[u8], to: &mut [u8], channels: usize) {
    assert!(matches!(channels, 1 | 3 | 4), "{channels} channels");
    assert!(from.len() == to.len() && from.len().is_multiple_of(channels), "whole pixels");
    match Level::of(isa) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a level is one that the processor has, both including AVX2; the rows are equally long.
        Level::Avx2 | Level::Vbmi => unsafe {
            match channels {
                1 => avx2::reverse::<1>(from, to),
                3 => avx2::reverse::<3>(from, to),
                _ => avx2::reverse::<4>(from, to),
            }
        },
        Level::Portable => match channels {
            1 => reverse_rest::<1>(from, to, 0),
            3 => reverse_rest::<3>(from, to, 0),
            _ => reverse_rest::<4>(from, to, 0),
        },
    }
}

/// Reverses all pixels but the first `done` of the output.
fn reverse_rest<const C: usize>(from: &[u8], to: &mut [u8], done: usize) {
    let (from, to) = (from.as_chunks::<C>().0, to.as_chunks_mut::<C>().0);
    let rest = from.len() - done;
    for (to, from) in to[done..].iter_mut().zip(from[..rest].iter().rev()) {
        *to = *from;
    }
}

/// Where transposed pixels go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transposition {
    /// Rows of the source are taken from the last to the first: the result is mirrored left and right.
    pub from_below: bool,
    /// Rows of the result are written from the last to the first: the result is mirrored top and bottom.
    pub to_below: bool,
}

/// Swaps x and y of an image of `width` x `height` pixels: `to(y, x) = from(x, y)`, then mirrors.
///
/// # Panics
/// When a slice has another length than the size says, for channels other than 1, 3 or 4, or if the processor lacks `isa`.
pub fn transpose(
    isa: Isa,
    from: &[u8],
    to: &mut [u8],
    (width, height): (usize, usize),
    channels: usize,
    how: Transposition,
) {
    assert!(matches!(channels, 1 | 3 | 4), "{channels} channels");
    let len = width.checked_mul(height).and_then(|n| n.checked_mul(channels));
    assert!(Some(from.len()) == len && Some(to.len()) == len, "bytes of the image");
    let level = Level::of(isa);
    match channels {
        1 => transposed::<1>(level, from, to, (width, height), how),
        3 => transposed::<3>(level, from, to, (width, height), how),
        _ => transposed::<4>(level, from, to, (width, height), how),
    }
}

/// Tiles of this side stay in the first cache while one is read by columns.
const TILE: usize = 16;

fn transposed<const C: usize>(
    level: Level,
    from: &[u8],
    to: &mut [u8],
    (width, height): (usize, usize),
    how: Transposition,
) {
    let (columns, lines) = match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a level is one that the processor has, both including AVX2. The slices have the length of the image.
        Level::Avx2 | Level::Vbmi if C > 1 => unsafe { avx2::transpose::<C>(from, to, (width, height), how) },
        _ => (0, 0),
    };
    // What blocks do not cover: columns at the right, and rows at the bottom.
    tiles::<C>(from, to, (width, height), how, columns..width, 0..lines);
    tiles::<C>(from, to, (width, height), how, 0..width, lines..height);
}

fn tiles<const C: usize>(
    from: &[u8],
    to: &mut [u8],
    (width, height): (usize, usize),
    how: Transposition,
    columns: std::ops::Range<usize>,
    lines: std::ops::Range<usize>,
) {
    let (from, to) = (from.as_chunks::<C>().0, to.as_chunks_mut::<C>().0);
    for left in columns.clone().step_by(TILE) {
        for top in lines.clone().step_by(TILE) {
            for x in left..columns.end.min(left + TILE) {
                let row = if how.to_below { width - 1 - x } else { x };
                for y in top..lines.end.min(top + TILE) {
                    let line = if how.from_below { height - 1 - y } else { y };
                    to[row * height + y] = from[line * width + x];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [(usize, usize); 9] =
        [(1, 1), (2, 1), (1, 7), (5, 5), (8, 8), (10, 8), (16, 33), (37, 24), (64, 17)];

    fn numbered(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 37 % 251) as u8).collect()
    }

    #[test]
    fn reversed_rows_hold_the_same_pixels_backwards() {
        for channels in [1, 3, 4] {
            for width in 1..150 {
                let from = numbered(width * channels);
                let want: Vec<u8> = (0..from.len())
                    .map(|i| from[(width - 1 - i / channels) * channels + i % channels])
                    .collect();
                for isa in Isa::available() {
                    let mut to = vec![0; from.len()];
                    reverse(isa, &from, &mut to, channels);
                    assert_eq!(to, want, "{isa} {width}x{channels}");
                    // The twin: a row that was not reversed is told apart.
                    assert!(width < 2 || from != want);
                }
            }
        }
    }

    #[test]
    fn transposed_pixels_lie_where_documented() {
        for channels in [1, 3, 4] {
            for (width, height) in SIZES {
                let from = numbered(width * height * channels);
                for (from_below, to_below) in [(false, false), (false, true), (true, false), (true, true)] {
                    let place = |x: usize, y: usize, c: usize| {
                        let row = if to_below { width - 1 - x } else { x };
                        let column = if from_below { height - 1 - y } else { y };
                        (row * height + column) * channels + c
                    };
                    let mut want = vec![0; from.len()];
                    for (i, &value) in from.iter().enumerate() {
                        want[place(i / channels % width, i / channels / width, i % channels)] = value;
                    }
                    for isa in Isa::available() {
                        let how = Transposition { from_below, to_below };
                        let mut to = vec![0; from.len()];
                        transpose(isa, &from, &mut to, (width, height), channels, how);
                        assert_eq!(to, want, "{isa} {width}x{height}x{channels} {how:?}");
                        // The twin: the other way round is told apart.
                        let other = Transposition { from_below: !from_below, to_below };
                        transpose(isa, &from, &mut to, (width, height), channels, other);
                        assert!(height == 1 || to != want);
                    }
                }
            }
        }
    }
}
