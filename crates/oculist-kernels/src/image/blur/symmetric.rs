//! Separable symmetric blurs of bytes, exact in 16 bits between the passes.
//!
//! Rows are blurred when they are first needed and kept in a ring until no row below needs them, so that an image is read
//! and written once. With 128 taken off, pixels are signed bytes and the sum of a row, in 1/256, is an i16: products of
//! two neighbouring taps are summed by one instruction, and so are those of two rows afterwards.

use super::super::columns::{RowPair, ring_starts, row_stride, sum_rows};
use super::super::packed::Packed;
use super::{reflect, row_len};

/// See [`blur_symmetric`](super::blur_symmetric).
#[inline(always)]
pub(super) fn symmetric<P: Packed>(
    packed: P,
    pixels: &mut [u8],
    width: usize,
    channels: usize,
    weights: &[u16],
) {
    let len = row_len(pixels, width, channels);
    let height = pixels.len() / len;
    let total: u32 =
        weights.iter().enumerate().map(|(k, &w)| u32::from(w) * if k == 0 { 1 } else { 2 }).sum();
    assert_eq!(total, 256, "sum of the weights");
    if weights[0] == 256 {
        return;
    }
    let radius = weights.len() - 1;
    // All taps from left to right, then one without weight. No weight is above 254, nor the sum of two above 255.
    let tap = |i: usize| weights.get(i.abs_diff(radius)).map_or(0, |&w| w as u8);
    let taps: Vec<[u8; 2]> = (0..=radius).map(|i| [tap(2 * i), tap(2 * i + 1)]).collect();
    let edges = Edges::new(width, channels, radius);
    let stride = row_stride::<P>(len);
    // The last tap, which has no weight, reads one pixel more.
    let mut padded = vec![0u8; stride + (2 * radius + 1) * channels];
    // A mirrored place is never farther away than the place itself, so that the rows within the radius are all that are
    // needed at once.
    let kept = height.min(2 * radius + 1);
    let mut ring = vec![0i16; kept * stride];
    let starts = ring_starts(height, kept, stride);
    let mut pairs = Vec::with_capacity(radius + 1);
    let mut ready = 0;
    for y in 0..height {
        while ready < height && ready <= y + radius {
            edges.pad(&pixels[ready * len..][..len], &mut padded);
            blur_row(packed, &padded, &taps, channels, &mut ring[starts[ready]..][..stride]);
            ready += 1;
        }
        let start = |i: usize| starts[reflect((y + i) as isize - radius as isize, height)];
        pairs.clear();
        pairs.extend(taps.iter().enumerate().map(|(i, &[a, b])| RowPair {
            starts: [start(2 * i), start((2 * i + 1).min(2 * radius))],
            weights: [a.into(), b.into()],
        }));
        // 128 levels back, and half a level for rounding.
        let bias = (128 << 16) + (1 << 15);
        sum_rows::<P, true>(packed, &ring, &pairs, (bias, 16), &mut pixels[y * len..][..len]);
    }
}

/// Sums of a row in 1/256, 128 levels taken off, zipped as [`sum_rows`] wants them.
#[inline(always)]
fn blur_row<P: Packed>(packed: P, padded: &[u8], taps: &[[u8; 2]], channels: usize, out: &mut [i16]) {
    assert!(padded.len() >= out.len() + (2 * taps.len() - 1) * channels, "padding");
    for (block, out) in out.chunks_exact_mut(P::BYTES).enumerate() {
        let mut sums = [packed.no_shorts(); 2];
        for (i, &pair) in taps.iter().enumerate() {
            // SAFETY: the last tap of the last block still finds a register's worth of bytes, as asserted.
            let [a, b] = unsafe {
                let first = padded.as_ptr().add(block * P::BYTES + 2 * i * channels);
                [packed.load_bytes(first), packed.load_bytes(first.add(channels))]
            };
            let weights = packed.byte_pairs(pair);
            let [low, high] = packed.zip_bytes(a, b);
            sums[0] = packed.add_shorts(sums[0], packed.byte_products(weights, low));
            sums[1] = packed.add_shorts(sums[1], packed.byte_products(weights, high));
        }
        // SAFETY: `out` has as many values as two registers.
        unsafe {
            packed.store_shorts(out.as_mut_ptr(), sums[0]);
            packed.store_shorts(out.as_mut_ptr().add(P::BYTES / 2), sums[1]);
        }
    }
}

/// Which bytes of a row stand beside it.
struct Edges {
    left: Vec<usize>,
    right: Vec<usize>,
}

impl Edges {
    fn new(width: usize, channels: usize, radius: usize) -> Self {
        let bytes = |x: isize| {
            let from = reflect(x, width) * channels;
            from..from + channels
        };
        let side = |first: isize| (first..first + radius as isize).flat_map(bytes).collect();
        Self { left: side(-(radius as isize)), right: side(width as isize) }
    }

    /// Copies a row as signed bytes, with the mirrored pixels on both sides.
    #[inline(always)]
    fn pad(&self, row: &[u8], padded: &mut [u8]) {
        let signed = |v: u8| v ^ 0x80;
        let (left, rest) = padded.split_at_mut(self.left.len());
        let (middle, right) = rest.split_at_mut(row.len());
        for (p, &v) in middle.iter_mut().zip(row) {
            *p = signed(v);
        }
        for (p, &from) in left.iter_mut().zip(&self.left).chain(right.iter_mut().zip(&self.right)) {
            *p = signed(row[from]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::blur_symmetric;
    use super::reflect;
    use crate::Isa;

    /// The definition, in whole numbers.
    fn naive(pixels: &[u8], width: usize, channels: usize, weights: &[u16]) -> Vec<u8> {
        let height = (pixels.len() / (width * channels)) as i64;
        let radius = weights.len() as i64 - 1;
        let place = |mut i: i64, n: i64| {
            while !(0..n).contains(&i) {
                i = if n == 1 {
                    0
                } else if i < 0 {
                    -i
                } else {
                    2 * (n - 1) - i
                };
            }
            i as usize
        };
        let value = |i: usize| {
            let (x, y) = ((i / channels % width) as i64, (i / channels / width) as i64);
            let mut sum = 0u64;
            for dy in -radius..=radius {
                for dx in -radius..=radius {
                    let at = place(y + dy, height) * width + place(x + dx, width as i64);
                    let weight = |d: i64| u64::from(weights[d.unsigned_abs() as usize]);
                    sum += weight(dx) * weight(dy) * u64::from(pixels[at * channels + i % channels]);
                }
            }
            ((sum + (1 << 15)) >> 16) as u8
        };
        (0..pixels.len()).map(value).collect()
    }

    #[test]
    fn every_path_equals_the_definition() {
        assert_eq!([-5, -1, 0, 4, 5, 12].map(|i| reflect(i, 5)), [3, 1, 0, 4, 3, 4]);
        let flat: Vec<u16> = [vec![56], vec![25; 4]].concat();
        for weights in [&[256][..], &[256, 0], &[254, 1], &[0, 128], &[96, 64, 16], &[72, 56, 28, 8], &flat] {
            for (width, height) in [(1, 1), (2, 1), (1, 7), (3, 3), (5, 2), (21, 13), (64, 5), (43, 9)] {
                for channels in [1, 3, 4] {
                    // Extremes beside each other, so that sums reach their bounds.
                    let byte = |i: usize| if (i * 7).is_multiple_of(3) { 255 } else { (i * 89 % 256) as u8 };
                    let pixels: Vec<u8> = (0..width * height * channels).map(byte).collect();
                    let want = naive(&pixels, width, channels, weights);
                    for isa in Isa::available() {
                        let mut got = pixels.clone();
                        blur_symmetric(isa, &mut got, width, channels, weights);
                        assert_eq!(got, want, "{isa} {width}x{height}x{channels} {weights:?}");
                    }
                    // The twin: other weights are told apart.
                    if width > 2 && weights[0] < 250 {
                        assert_ne!(naive(&pixels, width, channels, &[128, 64]), want);
                    }
                }
            }
        }
    }
}
