//! Looking up pixels between pixels: the one sampling core of all warps.
//!
//! A warp says for every output pixel which place of the input it shows. Places are fixed-point numbers with
//! [`PLACE_BITS`] fractional bits, computed for a whole output row at once; then a row is sampled:
//!
//! 1. nearest: the pixel at the rounded place;
//! 2. bilinear: integer weights of 11 bits, so that every product fits in 32 bits and the result is the exact
//!    bilinear mean for the rounded place, rounded to nearest;
//! 3. bicubic: cubic convolution of 4x4 pixels with a = -0.75, in f32.
//!
//! The pixels of a row whose taps all lie inside the image are one run for affine maps; they are sampled
//! without looking at the border.

mod filter;

use super::{Border, Interpolation};
use crate::Image;
use filter::{Bicubic, Bilinear, Filter, Nearest};

/// Fractional bits of a place.
pub(super) const PLACE_BITS: u32 = 11;
const ONE: i32 = 1 << PLACE_BITS;

/// Places are cut to this many pixels left and right of the origin.
const FARTHEST: f64 = (1 << (30 - PLACE_BITS)) as f64;

/// A place, given in pixels, as a fixed-point number rounded to nearest.
///
/// Adding 1.5 * 2^52 leaves the rounded integer in the low bits of the float, which vectorises where a
/// checked conversion does not.
#[inline(always)]
pub(super) fn place(pixels: f64) -> i32 {
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    (pixels.clamp(-FARTHEST, FARTHEST) * f64::from(ONE) + SHIFT).to_bits() as i32
}

/// Fills places `start + i * step`.
pub(super) fn walk(start: f64, step: f64, places: &mut [i32]) {
    const FINE: u32 = 32;
    const DROP: u32 = FINE - PLACE_BITS;
    const HALF: i64 = 1 << (DROP - 1);
    const LIMIT: i64 = 1 << (30 + DROP);
    // With both bounds no sum below overflows.
    let fixed = |v: f64, bound: i64| ((v * (1u64 << FINE) as f64).round() as i64).clamp(-bound, bound);
    let start = fixed(start, 1 << 61) + HALF;
    let step = fixed(step, (1 << 61) / places.len() as i64);
    let end = start + step * (places.len() as i64 - 1);
    if start.abs().max(end.abs()) < LIMIT {
        for (i, place) in places.iter_mut().enumerate() {
            *place = ((start + step * i as i64) as u64 >> DROP) as i32;
        }
    } else {
        for (i, place) in places.iter_mut().enumerate() {
            *place = ((start + step * i as i64).clamp(-LIMIT, LIMIT - 1) >> DROP) as i32;
        }
    }
}

/// Fills in the places (xs, ys) of the output row y.
type Places<'a> = dyn FnMut(usize, &mut [i32], &mut [i32]) + 'a;

/// An image of `width` x `height` whose row y shows the input at the places that `places(y, xs, ys)` fills in.
pub(super) fn warp(
    image: &Image,
    (width, height): (usize, usize),
    interpolation: Interpolation,
    border: Border,
    mut places: impl FnMut(usize, &mut [i32], &mut [i32]),
) -> Image {
    // One call per row: through a reference, so that the loops below are compiled once for all warps.
    match image.channels() {
        1 => rows::<1>(image, width, height, interpolation, border, &mut places),
        3 => rows::<3>(image, width, height, interpolation, border, &mut places),
        _ => rows::<4>(image, width, height, interpolation, border, &mut places),
    }
}

fn rows<const C: usize>(
    image: &Image,
    width: usize,
    height: usize,
    interpolation: Interpolation,
    border: Border,
    places: &mut Places<'_>,
) -> Image {
    let sampler = Sampler {
        source: image.pixels().as_chunks::<C>().0,
        width: image.width(),
        height: image.height(),
        border,
    };
    let (mut xs, mut ys) = (vec![0; width], vec![0; width]);
    let mut pixels = vec![0u8; width * height * C];
    for (y, row) in pixels.chunks_exact_mut(width * C).enumerate() {
        places(y, &mut xs, &mut ys);
        let row = row.as_chunks_mut::<C>().0;
        match interpolation {
            Interpolation::Nearest => sampler.row(&xs, &ys, row, Nearest),
            Interpolation::Bilinear => sampler.row(&xs, &ys, row, Bilinear),
            Interpolation::Bicubic => sampler.row(&xs, &ys, row, Bicubic),
        }
    }
    Image::from_parts(width, height, C, pixels)
}

struct Sampler<'a, const C: usize> {
    source: &'a [[u8; C]],
    width: usize,
    height: usize,
    border: Border,
}

impl<const C: usize> Sampler<'_, C> {
    fn row<F: Filter<C>>(&self, xs: &[i32], ys: &[i32], out: &mut [[u8; C]], _: F) {
        // Signed places below 0 become huge as unsigned numbers, so that one comparison tests both ends.
        let columns = (self.width + 1).saturating_sub(F::TAPS);
        let lines = (self.height + 1).saturating_sub(F::TAPS);
        let inside = |x: i32, y: i32| (F::split(x).0 as usize) < columns && (F::split(y).0 as usize) < lines;
        let first = xs.iter().zip(ys).position(|(&x, &y)| inside(x, y)).unwrap_or(out.len());
        let last = xs.iter().zip(ys).rposition(|(&x, &y)| inside(x, y)).map_or(first, |i| i + 1);
        for range in [0..first, last..out.len()] {
            for i in range {
                out[i] = self.outside::<F>(xs[i], ys[i]);
            }
        }
        let (xs, ys, out) = (&xs[first..last], &ys[first..last], &mut out[first..last]);
        let one_run = xs.iter().zip(ys).all(|(&x, &y)| inside(x, y));
        for ((out, &x), &y) in out.iter_mut().zip(xs).zip(ys) {
            if one_run || inside(x, y) {
                let ((x0, fx), (y0, fy)) = (F::split(x), F::split(y));
                *out = F::inside(self.source, y0 as usize * self.width + x0 as usize, self.width, fx, fy);
            } else {
                *out = self.outside::<F>(x, y);
            }
        }
    }

    /// Whether no tap lies inside the image.
    fn far(&self, x0: isize, y0: isize, taps: usize) -> bool {
        let taps = taps as isize;
        x0 <= -taps || y0 <= -taps || x0 >= self.width as isize || y0 >= self.height as isize
    }

    #[inline(never)]
    fn outside<F: Filter<C>>(&self, x: i32, y: i32) -> [u8; C] {
        let ((x0, fx), (y0, fy)) = (F::split(x), F::split(y));
        let fill = [self.border.fill(); C];
        if self.border.is_constant() && self.far(x0, y0, F::TAPS) {
            return fill;
        }
        let mut columns = [None; 4];
        let mut lines = [None; 4];
        for i in 0..F::TAPS {
            columns[i] = self.border.resolve(x0 + i as isize, self.width);
            lines[i] = self.border.resolve(y0 + i as isize, self.height);
        }
        let tap = |i: usize, j: usize| match (columns[i], lines[j]) {
            (Some(x), Some(y)) => self.source[y * self.width + x],
            _ => fill,
        };
        F::anywhere(tap, fx, fy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_rounded_and_cut() {
        let one = f64::from(ONE);
        for v in [0.0, 1.25, -3.5, 1000.1, -0.3, 0.000_24] {
            assert_eq!(place(v), (v * one).round_ties_even() as i32, "{v}");
        }
        assert_eq!((place(1e300), place(-1e300)), (1 << 30, -(1 << 30)));
        for (start, step) in [(0.0, 1.0), (-3.7, 0.001), (1e5, -7.3), (1e18, 1e18), (-1e300, 1e300)] {
            let mut places = [0; 50];
            walk(start, step, &mut places);
            for (i, &p) in places.iter().enumerate() {
                let want = (start + step * i as f64).clamp(-FARTHEST, FARTHEST) * one;
                if start.abs() < 1e17 {
                    assert!((f64::from(p) - want).abs() < 0.51, "{start} {step} {i}: {p} {want}");
                }
                assert!((-(1 << 30)..=1 << 30).contains(&p));
            }
        }
    }
}
