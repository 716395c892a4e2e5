//! Weighted sums over neighbours.

mod symmetric;

use super::lanes::{Lanes, per_isa, to_byte};
use symmetric::symmetric;

/// Sums that are kept in registers at once.
const CHUNK: usize = 64;

/// A neighbour's place and weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TapOffset {
    /// Where the neighbour of the row's first value lies.
    pub offset: usize,
    /// The weight.
    pub weight: f32,
}

per_isa! {
    /// `b + factor * (x - b)`, cut to 0..=255 and truncated, where b is the rounded mean by `[1 1 1; 1 5 1; 1 1 1] / 13`.
    ///
    /// The outermost pixels stay, and so does the fourth channel.
    ///
    /// # Panics
    /// If the pixels are no whole rows of `width * channels`, or the processor lacks `isa`.
    pub fn sharpen_colors(pixels: &mut [u8], width: usize, channels: usize, factor: f32) = sharpened;
    /// A separable symmetric blur in fixed point: all channels, mirrored without repeating the edge.
    ///
    /// `weights` are those at the distances 0, 1, ... in 1/256, and sum to 256 over both sides. Nothing is rounded before
    /// the end, where halves go up.
    ///
    /// # Panics
    /// If the weights do not sum to 256, the pixels are no whole rows, or the processor lacks `isa`.
    pub fn blur_symmetric(pixels: &mut [u8], width: usize, channels: usize, weights: &[u16]) = symmetric;
    /// `0.5 + sum of weight * padded[offset + i]` for each place i of a row, cut to 0..=255 and truncated. The taps are
    /// added in their order.
    ///
    /// # Panics
    /// If fewer values follow an offset than `out` has, rounded up to a multiple of 64, or the processor lacks `isa`.
    pub fn tap_sums_to_bytes(padded: &[f32], taps: &[TapOffset], out: &mut [u8]) = taps_to_bytes;
    /// `sum of weight * padded[offset + i]` for each place i of a row, in the taps' order.
    ///
    /// # Panics
    /// As [`tap_sums_to_bytes`].
    pub fn tap_sums(padded: &[f32], taps: &[TapOffset], out: &mut [f32]) = taps_to_floats;
    /// Bytes as floats.
    ///
    /// # Panics
    /// If the lengths differ, or the processor lacks `isa`.
    pub fn widen(bytes: &[u8], out: &mut [f32]) = widened;
}

#[inline(always)]
fn widened<L: Lanes>(_: L, bytes: &[u8], out: &mut [f32]) {
    assert_eq!(bytes.len(), out.len(), "lengths");
    for (o, &v) in out.iter_mut().zip(bytes) {
        *o = f32::from(v);
    }
}

/// The length of a row, after a look at the number of pixels.
fn row_len(pixels: &[u8], width: usize, channels: usize) -> usize {
    let len = width * channels;
    assert!(len > 0 && pixels.len().is_multiple_of(len), "{} bytes in rows of {len}", pixels.len());
    len
}

#[inline(always)]
fn sharpened<L: Lanes>(_: L, pixels: &mut [u8], width: usize, channels: usize, factor: f32) {
    let len = row_len(pixels, width, channels);
    let height = pixels.len() / len;
    if width < 3 || height < 3 {
        return;
    }
    let inner = len - 2 * channels;
    // Rows are overwritten before the next ones have seen them: their old values are kept.
    let mut above = pixels[..len].to_vec();
    let mut current = above.clone();
    let mut columns = vec![0u16; len];
    let mut smooth = vec![0u8; inner];
    for y in 1..height - 1 {
        current.copy_from_slice(&pixels[y * len..][..len]);
        let (out, below) = pixels[y * len..][..2 * len].split_at_mut(len);
        for (sum, ((&a, &b), &c)) in columns.iter_mut().zip(above.iter().zip(&current).zip(&*below)) {
            *sum = u16::from(a) + u16::from(b) + u16::from(c);
        }
        let values = &current[channels..][..inner];
        let (left, middle, right) =
            (&columns[..inner], &columns[channels..][..inner], &columns[2 * channels..][..inner]);
        let smooth = &mut smooth[..inner];
        for i in 0..inner {
            // Nine pixels and the middle one four times more; (n + 6) / 13 is n / 13 rounded.
            let sum = left[i] + middle[i] + right[i] + 4 * u16::from(values[i]) + 6;
            smooth[i] = (sum / 13) as u8;
        }
        let out = &mut out[channels..][..inner];
        for i in 0..inner {
            let (b, x) = (f32::from(smooth[i]), f32::from(values[i]));
            out[i] = to_byte(b + factor * (x - b));
        }
        if channels == 4 {
            for (to, from) in out.as_chunks_mut::<4>().0.iter_mut().zip(values.as_chunks::<4>().0) {
                to[3] = from[3];
            }
        }
        std::mem::swap(&mut above, &mut current);
    }
}

/// Mirrors an index without repeating the edge.
fn reflect(i: isize, len: usize) -> usize {
    let n = len as isize;
    // Division is slow, and hardly ever needed.
    if (0..n).contains(&i) {
        return i as usize;
    }
    let period = (2 * (n - 1)).max(1);
    let m = i.rem_euclid(period);
    (if m < n { m } else { period - m }) as usize
}

/// Calls `finish` with [`CHUNK`] sums at a time and where they go, which may be less at the end.
#[inline(always)]
fn each_sum<T>(
    padded: &[f32],
    taps: &[TapOffset],
    first: f32,
    out: &mut [T],
    finish: impl Fn(&[f32; CHUNK], &mut [T]),
) {
    for (i, out) in out.chunks_mut(CHUNK).enumerate() {
        let mut sums = [first; CHUNK];
        for tap in taps {
            let values: &[f32; CHUNK] =
                padded[i * CHUNK + tap.offset..].first_chunk().expect("rows are padded to whole chunks");
            for i in 0..CHUNK {
                sums[i] += tap.weight * values[i];
            }
        }
        finish(&sums, out);
    }
}

#[inline(always)]
fn taps_to_bytes<L: Lanes>(_: L, padded: &[f32], taps: &[TapOffset], out: &mut [u8]) {
    each_sum(padded, taps, 0.5, out, |sums, out| {
        let mut bytes = [0u8; CHUNK];
        for i in 0..CHUNK {
            bytes[i] = to_byte(sums[i]);
        }
        out.copy_from_slice(&bytes[..out.len()]);
    });
}

#[inline(always)]
fn taps_to_floats<L: Lanes>(_: L, padded: &[f32], taps: &[TapOffset], out: &mut [f32]) {
    each_sum(padded, taps, 0.0, out, |sums, out| out.copy_from_slice(&sums[..out.len()]));
}
