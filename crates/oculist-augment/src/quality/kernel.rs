//! Convolution of byte images with a few weighted taps.

use super::plane::Edge;
use crate::Image;

/// One weight of a kernel and which neighbour it belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tap {
    pub(crate) dx: isize,
    pub(crate) dy: isize,
    pub(crate) weight: f32,
}

/// Mirrors an index without repeating the edge.
pub(crate) fn reflect(i: isize, len: usize) -> usize {
    let n = len as isize;
    if (0..n).contains(&i) {
        return i as usize;
    }
    let period = (2 * (n - 1)).max(1);
    let m = i.rem_euclid(period);
    (if m < n { m } else { period - m }) as usize
}

/// Rows that are converted at a time: their floats stay in the cache.
const BAND: usize = 32;

/// `sum of weight * pixel(x + dx, y + dy)`, rounded to nearest, every channel alike.
pub(crate) fn convolve(image: &Image, taps: &[Tap], edge: Edge) -> Image {
    let (width, height, channels) = (image.width(), image.height(), image.channels());
    let reach = |f: fn(&Tap) -> isize| taps.iter().map(|t| f(t).unsigned_abs()).max().unwrap_or(0);
    let (rx, ry) = (reach(|t| t.dx), reach(|t| t.dy));
    let len = width * channels;
    let stride = len + 2 * rx * channels;
    let columns: Vec<usize> =
        (0..width + 2 * rx).map(|x| edge.resolve(x as isize - rx as isize, width) * channels).collect();
    let mut padded = vec![0.0f32; stride * (BAND + 2 * ry)];
    let mut sums = vec![0.0f32; len];
    let mut pixels = vec![0u8; len * height];
    for (band, out_band) in pixels.chunks_mut(len * BAND).enumerate() {
        let top = (band * BAND) as isize - ry as isize;
        let rows = out_band.len() / len;
        for (i, padded) in padded.chunks_exact_mut(stride).take(rows + 2 * ry).enumerate() {
            let row = image.row(edge.resolve(top + i as isize, height));
            for (p, &column) in padded.chunks_exact_mut(channels).zip(&columns) {
                for (p, &v) in p.iter_mut().zip(&row[column..column + channels]) {
                    *p = f32::from(v);
                }
            }
        }
        for (y, out) in out_band.chunks_exact_mut(len).enumerate() {
            sums.fill(0.5);
            for tap in taps {
                let line = (y + ry).wrapping_add_signed(tap.dy);
                let start = line * stride + rx.wrapping_add_signed(tap.dx) * channels;
                for (sum, value) in sums.iter_mut().zip(&padded[start..start + len]) {
                    *sum += tap.weight * value;
                }
            }
            for (o, &sum) in out.iter_mut().zip(&sums) {
                *o = sum as u8;
            }
        }
    }
    Image::from_parts(width, height, channels, pixels)
}
