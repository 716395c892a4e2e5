//! Convolution of byte images with a few weighted taps.

use super::plane::Edge;
use crate::Image;
use oculist_kernels::Isa;
use oculist_kernels::image::{self as kernels, TapOffset};

/// One weight of a kernel and which neighbour it belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tap {
    pub(crate) dx: isize,
    pub(crate) dy: isize,
    pub(crate) weight: f32,
}

impl Tap {
    /// The tap in rows of `stride` values that are padded by `rx` pixels and `ry` rows on each side.
    pub(crate) fn offset(&self, rx: usize, ry: usize, channels: usize, stride: usize) -> TapOffset {
        let (x, y) = (rx.wrapping_add_signed(self.dx), ry.wrapping_add_signed(self.dy));
        TapOffset { offset: y * stride + x * channels, weight: self.weight }
    }
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
    let isa = Isa::detect();
    let reach = |f: fn(&Tap) -> isize| taps.iter().map(|t| f(t).unsigned_abs()).max().unwrap_or(0);
    let (rx, ry) = (reach(|t| t.dx), reach(|t| t.dy));
    let len = width * channels;
    let stride = len + 2 * rx * channels;
    let taps: Vec<TapOffset> = taps.iter().map(|tap| tap.offset(rx, ry, channels, stride)).collect();
    let mut padded = vec![0.0f32; stride * (BAND + 2 * ry)];
    let mut pixels = vec![0u8; len * height];
    for (band, out) in pixels.chunks_mut(len * BAND).enumerate() {
        let top = (band * BAND) as isize - ry as isize;
        let rows = out.len() / len + 2 * ry;
        for (i, padded) in padded.chunks_exact_mut(stride).take(rows).enumerate() {
            let row = image.row(edge.resolve(top + i as isize, height));
            kernels::widen(isa, row, &mut padded[rx * channels..][..len]);
            edge.pad(padded, rx, width, channels);
        }
        kernels::tap_sums_to_bytes(isa, &padded, stride, &taps, len, out);
    }
    Image::from_parts(width, height, channels, pixels)
}
