//! What JPEG compression loses, without the compression.
//!
//! Coding the coefficients loses nothing, so a picture that is compressed and decompressed again only needs the steps that
//! lose something: luma and chroma in bytes, chroma at half the resolution, and quantised cosine transforms of 8x8 blocks.
//!
//! Eight blocks lie side by side: a transform along columns works on 64 lanes, then the blocks are transposed and the
//! same loop transforms the rows.
//!
//! # Source
//! ITU-T T.81; JFIF 1.02 for the colours; the chroma filters are libjpeg's (mean of four with alternating rounding, a
//! triangle of 3/4 and 1/4 back). The transforms are in f32, where libjpeg has fixed point.

use super::color::{BLOCK, Planes, load, store};
use super::lanes::{Lanes, per_isa, to_byte};

per_isa! {
    /// Compresses pictures as baseline JPEG with 4:2:0 chroma and decompresses them; grey stays grey, alpha stays.
    ///
    /// `quantization` are the divisors of luma and chroma at `[vertical frequency][horizontal frequency]`.
    ///
    /// # Panics
    /// If a divisor is 0, the pixels are no whole rows, there are not 1, 3 or 4 channels, or the processor lacks `isa`.
    pub fn jpeg_round_trip(pixels: &mut [u8], width: usize, channels: usize, quantization: &[[u8; 64]; 2]) = round_trip;
}

/// Lanes of a transform: eight blocks.
const WIDE: usize = 64;

/// A band of eight blocks: eight rows of lanes.
type Band = [[f32; WIDE]; 8];

/// Bytes in rows of a multiple of [`WIDE`], and a multiple of eight rows.
struct Plane {
    stride: usize,
    bytes: Vec<u8>,
}

impl Plane {
    fn new(width: usize, height: usize) -> Self {
        let stride = width.next_multiple_of(WIDE);
        Self { stride, bytes: vec![0; stride * height.next_multiple_of(8)] }
    }

    fn row(&self, y: usize) -> &[u8] {
        &self.bytes[y * self.stride..][..self.stride]
    }

    fn row_mut(&mut self, y: usize) -> &mut [u8] {
        &mut self.bytes[y * self.stride..][..self.stride]
    }

    /// Repeats the last column and the last row to the end.
    fn extend(&mut self, width: usize, height: usize) {
        for y in 0..height {
            let row = self.row_mut(y);
            let last = row[width - 1];
            row[width..].fill(last);
        }
        let (stride, rows) = (self.stride, self.bytes.len() / self.stride);
        for y in height..rows {
            self.bytes.copy_within((height - 1) * stride..height * stride, y * stride);
        }
    }
}

#[inline(always)]
fn round_trip<L: Lanes>(
    lanes: L,
    pixels: &mut [u8],
    width: usize,
    channels: usize,
    quantization: &[[u8; 64]; 2],
) {
    assert!(matches!(channels, 1 | 3 | 4), "{channels} channels");
    assert!(quantization.iter().flatten().all(|&q| q > 0), "divisors of 0");
    let len = width * channels;
    assert!(len > 0 && pixels.len().is_multiple_of(len), "{} bytes in rows of {len}", pixels.len());
    let height = pixels.len() / len;
    let mut y_plane = Plane::new(width, height);
    if channels == 1 {
        for (y, row) in pixels.chunks_exact(width).enumerate() {
            y_plane.row_mut(y)[..width].copy_from_slice(row);
        }
        y_plane.extend(width, height);
        quantize(&mut y_plane, &quantization[0]);
        for (y, row) in pixels.chunks_exact_mut(width).enumerate() {
            row.copy_from_slice(&y_plane.row(y)[..width]);
        }
        return;
    }
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let mut chroma = [Plane::new(half_width, half_height), Plane::new(half_width, half_height)];
    // Two rows of each chroma at the full resolution.
    let full = (2 * chroma[0].stride).max(width.next_multiple_of(BLOCK));
    let mut rows = [vec![0u8; 2 * full], vec![0u8; 2 * full]];
    for y in 0..height.next_multiple_of(2) {
        let [cb, cr] = &mut rows;
        let at = y % 2 * full;
        if y < height {
            let luma = &mut y_plane.row_mut(y)[..width];
            let (cb, cr) = (&mut cb[at..][..full], &mut cr[at..][..full]);
            to_ycc(lanes, &pixels[y * len..][..len], channels, luma, cb, cr);
            for row in [cb, cr] {
                let last = row[width - 1];
                row[width..].fill(last);
            }
        } else {
            cb.copy_within(..full, full);
            cr.copy_within(..full, full);
        }
        if y % 2 == 1 {
            for (plane, rows) in chroma.iter_mut().zip(&rows) {
                let (upper, lower) = rows.split_at(full);
                halve(upper, lower, plane.row_mut(y / 2));
            }
        }
    }
    y_plane.extend(width, height);
    quantize(&mut y_plane, &quantization[0]);
    for plane in &mut chroma {
        // Columns were repeated before they were halved, rows are repeated afterwards, as libjpeg does.
        plane.extend(plane.stride, half_height);
        quantize(plane, &quantization[1]);
    }
    let mut sums = vec![0u16; half_width + 2];
    for y in 0..height {
        // The nearer and the farther row of chroma.
        let near = y / 2;
        let far = if y % 2 == 0 { near.saturating_sub(1) } else { (near + 1).min(half_height - 1) };
        for (plane, row) in chroma.iter().zip(&mut rows) {
            double(plane.row(near), plane.row(far), &mut sums, row);
        }
        let luma = &y_plane.row(y)[..width];
        to_rgb(lanes, luma, &rows[0][..full], &rows[1][..full], &mut pixels[y * len..][..len], channels);
    }
}

/// A row of pixels as luma and chroma.
#[inline(always)]
fn to_ycc<L: Lanes>(lanes: L, pixels: &[u8], channels: usize, luma: &mut [u8], cb: &mut [u8], cr: &mut [u8]) {
    let mut planes: Planes = [[0; BLOCK]; 3];
    let chroma = cb.as_chunks_mut::<BLOCK>().0.iter_mut().zip(cr.as_chunks_mut::<BLOCK>().0);
    for ((pixels, luma), (cb, cr)) in pixels.chunks(BLOCK * channels).zip(luma.chunks_mut(BLOCK)).zip(chroma)
    {
        load(lanes, pixels, channels, &mut planes);
        let ([r, g, b], mut y) = (&planes, [0u8; BLOCK]);
        for i in 0..BLOCK {
            let (r, g, b) = (i32::from(r[i]), i32::from(g[i]), i32::from(b[i]));
            y[i] = ((r * 19595 + g * 38470 + b * 7471 + 32768) >> 16) as u8;
            cb[i] = ((b * 32768 - r * 11059 - g * 21709 + (128 << 16) + 32767) >> 16) as u8;
            cr[i] = ((r * 32768 - g * 27439 - b * 5329 + (128 << 16) + 32767) >> 16) as u8;
        }
        luma.copy_from_slice(&y[..luma.len()]);
    }
}

/// A row of luma and chroma as pixels.
#[inline(always)]
fn to_rgb<L: Lanes>(lanes: L, luma: &[u8], cb: &[u8], cr: &[u8], pixels: &mut [u8], channels: usize) {
    let mut planes: Planes = [[0; BLOCK]; 3];
    let chroma = cb.as_chunks::<BLOCK>().0.iter().zip(cr.as_chunks::<BLOCK>().0);
    for ((pixels, luma), (cb, cr)) in pixels.chunks_mut(BLOCK * channels).zip(luma.chunks(BLOCK)).zip(chroma)
    {
        let mut y = [0u8; BLOCK];
        y[..luma.len()].copy_from_slice(luma);
        let [r, g, b] = &mut planes;
        for i in 0..BLOCK {
            let (y, cb, cr) = (i32::from(y[i]), i32::from(cb[i]) - 128, i32::from(cr[i]) - 128);
            let byte = |v: i32| v.clamp(0, 255) as u8;
            r[i] = byte(y + ((cr * 91881 + 32768) >> 16));
            g[i] = byte(y + ((32768 - cb * 22554 - cr * 46802) >> 16));
            b[i] = byte(y + ((cb * 116130 + 32768) >> 16));
        }
        store(lanes, &planes, pixels, channels);
    }
}

/// Means of four, where a half is rounded down and up in turn.
#[inline(always)]
fn halve(upper: &[u8], lower: &[u8], out: &mut [u8]) {
    let pairs = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
    for (i, (o, (a, b))) in out.iter_mut().zip(pairs).enumerate() {
        let sum = u16::from(a[0]) + u16::from(a[1]) + u16::from(b[0]) + u16::from(b[1]);
        *o = ((sum + 1 + (i % 2) as u16) >> 2) as u8;
    }
}

/// A row at twice the resolution, 3/4 of the nearer and 1/4 of the farther value both ways.
#[inline(always)]
fn double(near: &[u8], far: &[u8], sums: &mut [u16], out: &mut [u8]) {
    let n = sums.len() - 2;
    for ((sum, &near), &far) in sums[1..].iter_mut().zip(near).zip(far).take(n) {
        *sum = 3 * u16::from(near) + u16::from(far);
    }
    (sums[0], sums[n + 1]) = (sums[1], sums[n]);
    let (before, here, after) = (&sums[..n], &sums[1..][..n], &sums[2..][..n]);
    let out = &mut out.as_chunks_mut::<2>().0[..n];
    for i in 0..n {
        out[i] = [((3 * here[i] + before[i] + 8) >> 4) as u8, ((3 * here[i] + after[i] + 7) >> 4) as u8];
    }
}

/// Transforms, quantises and transforms back all blocks of a plane.
#[inline(always)]
fn quantize(plane: &mut Plane, divisors: &[u8; 64]) {
    // In the transposed band row j holds the horizontal frequency j, and lane i the vertical frequency i mod 8.
    let divisor: Band = std::array::from_fn(|j| std::array::from_fn(|i| f32::from(divisors[i % 8 * 8 + j])));
    let inverse = divisor.map(|row| row.map(|q| 1.0 / q));
    let stride = plane.stride;
    for rows in plane.bytes.chunks_exact_mut(8 * stride) {
        for x in (0..stride).step_by(WIDE) {
            let mut a = [[0f32; WIDE]; 8];
            for (k, row) in a.iter_mut().enumerate() {
                let bytes = &rows[k * stride + x..][..WIDE];
                for i in 0..WIDE {
                    row[i] = f32::from(bytes[i]) - 128.0;
                }
            }
            each_lane(&mut a, forward);
            let mut b = transposed(&a);
            each_lane(&mut b, forward);
            for j in 0..8 {
                for i in 0..WIDE {
                    // Beyond 2^23 floats are whole numbers: adding rounds.
                    const ROUND: f32 = 12_582_912.0;
                    b[j][i] = (b[j][i] * inverse[j][i] + ROUND - ROUND) * divisor[j][i];
                }
            }
            each_lane(&mut b, backward);
            let mut a = transposed(&b);
            each_lane(&mut a, backward);
            for (k, row) in a.iter().enumerate() {
                let bytes = &mut rows[k * stride + x..][..WIDE];
                for i in 0..WIDE {
                    bytes[i] = to_byte(row[i] + 128.5);
                }
            }
        }
    }
}

/// Each block's rows as columns.
#[inline(always)]
fn transposed(a: &Band) -> Band {
    let mut b = [[0f32; WIDE]; 8];
    for block in 0..8 {
        for k in 0..8 {
            for j in 0..8 {
                b[j][block * 8 + k] = a[k][block * 8 + j];
            }
        }
    }
    b
}

#[inline(always)]
fn each_lane(band: &mut Band, f: impl Fn([f32; 8]) -> [f32; 8]) {
    for i in 0..WIDE {
        let values = f([
            band[0][i], band[1][i], band[2][i], band[3][i], band[4][i], band[5][i], band[6][i], band[7][i],
        ]);
        for k in 0..8 {
            band[k][i] = values[k];
        }
    }
}

/// `cos(k pi / 16) / 2` for k = 1..=7.
const C: [f32; 8] =
    [0.0, 0.490_392_64, 0.461_939_77, 0.415_734_8, 0.353_553_4, 0.277_785_12, 0.191_341_72, 0.097_545_16];

/// The orthonormal cosine transform of eight values.
#[inline(always)]
fn forward(x: [f32; 8]) -> [f32; 8] {
    let (s0, s1, s2, s3) = (x[0] + x[7], x[1] + x[6], x[2] + x[5], x[3] + x[4]);
    let (d0, d1, d2, d3) = (x[0] - x[7], x[1] - x[6], x[2] - x[5], x[3] - x[4]);
    let (even, odd) = ((s0 - s3), (s1 - s2));
    [
        ((s0 + s3) + (s1 + s2)) * C[4],
        d0 * C[1] + d1 * C[3] + d2 * C[5] + d3 * C[7],
        even * C[2] + odd * C[6],
        d0 * C[3] - d1 * C[7] - d2 * C[1] - d3 * C[5],
        ((s0 + s3) - (s1 + s2)) * C[4],
        d0 * C[5] - d1 * C[1] + d2 * C[7] + d3 * C[3],
        even * C[6] - odd * C[2],
        d0 * C[7] - d1 * C[5] + d2 * C[3] - d3 * C[1],
    ]
}

/// The inverse of [`forward`].
#[inline(always)]
fn backward(x: [f32; 8]) -> [f32; 8] {
    let (e0, e1) = ((x[0] + x[4]) * C[4], (x[0] - x[4]) * C[4]);
    let (f0, f1) = (x[2] * C[2] + x[6] * C[6], x[2] * C[6] - x[6] * C[2]);
    let (s0, s1, s2, s3) = (e0 + f0, e1 + f1, e1 - f1, e0 - f0);
    let d0 = x[1] * C[1] + x[3] * C[3] + x[5] * C[5] + x[7] * C[7];
    let d1 = x[1] * C[3] - x[3] * C[7] - x[5] * C[1] - x[7] * C[5];
    let d2 = x[1] * C[5] - x[3] * C[1] + x[5] * C[7] + x[7] * C[3];
    let d3 = x[1] * C[7] - x[3] * C[5] + x[5] * C[3] - x[7] * C[1];
    [s0 + d0, s1 + d1, s2 + d2, s3 + d3, s3 - d3, s2 - d2, s1 - d1, s0 - d0]
}
