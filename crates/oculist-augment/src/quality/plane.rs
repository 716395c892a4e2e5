//! A grid of floats: noise layers, displacement fields, one channel of an image.

use super::kernel::{Tap, convolve_rows, reflect};
use crate::geometry::smooth;
use crate::{Image, Rng};
use oculist_kernels::Isa;
use oculist_kernels::image::{self as kernels, TapOffset};

/// How a plane goes on beyond its edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    /// The nearest value: `aaa|abcd|ddd`.
    Nearest,
    /// Mirrored with the edge repeated: `cba|abcd|dcb`.
    Mirror,
    /// Mirrored without repeating the edge: `dcb|abcd|cba`.
    Reflect,
}

impl Edge {
    /// The index inside 0..len that stands for `i`.
    pub(crate) fn resolve(self, i: isize, len: usize) -> usize {
        let n = len as isize;
        match self {
            Self::Nearest => i.clamp(0, n - 1) as usize,
            Self::Mirror => {
                let m = i.rem_euclid(2 * n);
                (if m < n { m } else { 2 * n - 1 - m }) as usize
            }
            Self::Reflect => reflect(i, len),
        }
    }

    /// Fills the `rx` pixels on both sides of a row of `width` pixels in its middle.
    pub(crate) fn pad(self, padded: &mut [f32], rx: usize, width: usize, channels: usize) {
        for i in (0..rx).chain(rx + width..2 * rx + width) {
            let from = (rx + self.resolve(i as isize - rx as isize, width)) * channels;
            padded.copy_within(from..from + channels, i * channels);
        }
    }
}

/// Row-major floats.
#[derive(Debug, Clone)]
pub(crate) struct Plane {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) values: Vec<f32>,
}

impl Plane {
    pub(crate) fn filled(width: usize, height: usize, value: f32) -> Self {
        Self { width, height, values: vec![value; width * height] }
    }

    /// Independent normal numbers.
    pub(crate) fn normal(width: usize, height: usize, mean: f32, std: f32, mut rng: Rng) -> Self {
        let mut values = vec![0.0; width * height];
        kernels::normals(Isa::detect(), rng.next_u64(), &mut values);
        for v in &mut values {
            *v = mean + std * *v;
        }
        Self { width, height, values }
    }

    /// Independent numbers uniform in -1..1.
    pub(crate) fn uniform(width: usize, height: usize, rng: &mut Rng) -> Self {
        let mut values = vec![0.0; width * height];
        rng.fill_noise(&mut values);
        Self { width, height, values }
    }

    /// One channel of an image, in levels of 0..=255.
    pub(crate) fn of_channel(image: &Image, channel: usize) -> Self {
        let values =
            image.pixels().iter().skip(channel).step_by(image.channels()).map(|&v| f32::from(v)).collect();
        Self { width: image.width(), height: image.height(), values }
    }

    pub(crate) fn row(&self, y: usize) -> &[f32] {
        &self.values[y * self.width..(y + 1) * self.width]
    }

    /// Gaussian blur with a kernel of radius `floor(truncate * sigma + 0.5)`; a sigma of 0 changes nothing.
    ///
    /// # Source
    /// The definition of SciPy's `ndimage.gaussian_filter`.
    pub(crate) fn blurred(&self, sigma: f32, truncate: f32, edge: Edge) -> Self {
        let radius = (truncate * sigma + 0.5) as usize;
        if radius == 0 {
            return self.clone();
        }
        let values = smooth(self.values.clone(), self.width, sigma, radius, |i, len| edge.resolve(i, len));
        Self { values, ..*self }
    }

    /// `sum of weight * value(x + dx, y + dy)` over the taps.
    pub(crate) fn convolved(&self, taps: &[Tap], edge: Edge) -> Self {
        let (isa, mut out) = (Isa::detect(), self.clone());
        let read = |from: &[f32], to: &mut [f32]| to.copy_from_slice(from);
        let write =
            |rows: &[f32], taps: &[TapOffset], out: &mut [f32]| kernels::tap_sums(isa, rows, taps, out);
        convolve_rows(&mut out.values, self.width, 1, taps, edge, read, write);
        out
    }

    /// The middle of a plane of normal noise, magnified by `factor` (1 or more) to the plane's own size; only what shows
    /// is drawn.
    pub(crate) fn zoomed_normal(
        (width, height): (usize, usize),
        factor: f32,
        (mean, std): (f32, f32),
        rng: Rng,
    ) -> Self {
        let factor = f64::from(factor);
        let (columns, rows) = (zoom_axis(width, factor), zoom_axis(height, factor));
        let ((left, w), (top, h)) = (shown(&columns), shown(&rows));
        let noise = Self::normal(w, h, mean, std, rng);
        let mut wide = Self::filled(width, h, 0.0);
        for (y, out) in wide.values.chunks_exact_mut(width).enumerate() {
            let row = noise.row(y);
            for (o, column) in out.iter_mut().zip(&columns) {
                let (a, b) = (row[column.low - left], row[column.high - left]);
                *o = a + column.part * (b - a);
            }
        }
        let mut out = Self::filled(width, height, 0.0);
        for (out, place) in out.values.chunks_exact_mut(width).zip(&rows) {
            let (a, b) = (wide.row(place.low - top), wide.row(place.high - top));
            for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
                *o = a + place.part * (b - a);
            }
        }
        out
    }

    /// Linearly maps the least value to 0 and the largest to 1; a constant plane becomes 0.
    pub(crate) fn normalized(mut self) -> Self {
        let low = self.values.iter().copied().fold(f32::INFINITY, f32::min);
        let high = self.values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let factor = if high > low { 1.0 / (high - low) } else { 0.0 };
        for v in &mut self.values {
            *v = (*v - low) * factor;
        }
        self
    }
}

/// The first sample that the places of an axis look at, and how many from there on.
pub(super) fn shown(axis: &[Place]) -> (usize, usize) {
    let low = axis.iter().map(|p| p.low).min().unwrap_or(0);
    (low, axis.iter().map(|p| p.high).max().unwrap_or(0) + 1 - low)
}

/// Between which two samples a place lies, and how far along.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) low: usize,
    pub(crate) high: usize,
    pub(crate) part: f32,
}

/// Where the samples of an axis of `len` come from when its middle is magnified by `factor`.
///
/// A window of `ceil(len / factor)` samples is stretched to `round(window * factor)` samples whose ends coincide with
/// the window's ends, and `len` of these are taken from the middle.
pub(crate) fn zoom_axis(len: usize, factor: f64) -> Vec<Place> {
    let window = ((len as f64 / factor).ceil() as usize).clamp(1, len);
    let first = (len - window) / 2;
    let stretched = ((window as f64 * factor).round_ties_even() as usize).max(len);
    let trim = (stretched - len) / 2;
    let step = if stretched > 1 { (window - 1) as f64 / (stretched - 1) as f64 } else { 0.0 };
    let places = (0..len).map(|i| {
        let at = (i + trim) as f64 * step;
        let low = (at as usize).min(window - 1);
        let high = (low + 1).min(window - 1);
        Place { low: first + low, high: first + high, part: (at - low as f64) as f32 }
    });
    places.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_continue_as_documented() {
        let line = |edge: Edge, len| (-4..7).map(|i| edge.resolve(i, len)).collect::<Vec<_>>();
        assert_eq!(line(Edge::Nearest, 3), [0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2]);
        assert_eq!(line(Edge::Mirror, 3), [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]);
        assert_eq!(line(Edge::Reflect, 3), [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]);
        for edge in [Edge::Nearest, Edge::Mirror, Edge::Reflect] {
            assert_eq!(line(edge, 1), [0; 11]);
        }
    }

    #[test]
    fn a_blur_keeps_the_sum_and_spreads_by_sigma() {
        let mut plane = Plane::filled(41, 41, 0.0);
        plane.values[20 * 41 + 20] = 1.0;
        let blurred = plane.blurred(2.0, 4.0, Edge::Mirror);
        let sum: f32 = blurred.values.iter().sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        let variance: f32 =
            (0..41).flat_map(|y| (0..41).map(move |x| (x, y))).fold(0.0, |v, (x, y): (usize, usize)| {
                v + blurred.values[y * 41 + x] * (x as f32 - 20.0).powi(2)
            });
        assert!((variance - 4.0).abs() < 0.01, "{variance}");
    }

    #[test]
    fn zooming_keeps_the_middle() {
        for len in [1, 2, 7, 32] {
            for factor in [1.0, 1.1, 2.5] {
                let places = zoom_axis(len, factor);
                assert_eq!(places.len(), len);
                assert!(places.iter().all(|p| p.low < len && p.high < len && (0.0..=1.0).contains(&p.part)));
            }
        }
        let places = zoom_axis(32, 2.0);
        assert_eq!((places[0].low, places[31].low), (8, 23));
        // Noise keeps its mean, and neighbours become alike.
        let roughness = |factor| {
            let plane = Plane::zoomed_normal((65, 40), factor, (0.5, 0.3), Rng::keyed(&[3]));
            let mean = plane.values.iter().sum::<f32>() / (65.0 * 40.0);
            assert!((mean - 0.5).abs() < 0.1, "{mean}");
            plane.values.windows(2).map(|v| (v[1] - v[0]).abs()).sum::<f32>()
        };
        assert!(roughness(1.0) > 2.5 * roughness(4.0));
    }
}
