//! Looking up pixels between pixels: the one sampling core of all warps.
//!
//! A warp says for every output pixel which place of the input it shows. Places are fixed-point numbers with
//! [`PLACE_BITS`] fractional bits, computed for a whole output row at once ([`places`]); then [`Sampler::row`] samples
//! the row, 8 or 16 pixels at a time:
//!
//! 1. the addresses of the first taps and which pixels have all their taps inside the image, in vectors;
//! 2. if all have, the taps are read where they lie; else they are first collected in a small block, with what stands
//!    for pixels outside;
//! 3. nearest copies; the other filters multiply integers, so that all instruction sets give the same bits.

mod chunk;
pub mod places;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(test)]
mod tests;

use super::lanes::Level;
use crate::Isa;
use chunk::{Source, row};
pub use places::PLACE_BITS;

/// The place one pixel to the right of place 0.
const ONE: i32 = 1 << PLACE_BITS;

/// How pixels outside the image are made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// Every channel has this value.
    Constant(u8),
    /// The nearest pixel of the edge: `aaa|abcd|ddd`.
    Edge,
    /// Mirrored without repeating the edge: `dcb|abcd|cba`.
    Reflect,
    /// Mirrored with the edge repeated: `cba|abcd|dcb`.
    Symmetric,
    /// The image again: `bcd|abcd|abc`.
    Wrap,
}

impl Outside {
    /// The coordinate inside 0..len that stands for `i`, or None where it is a constant.
    ///
    /// # Panics
    /// If `len` is 0.
    #[inline]
    pub fn resolve(self, i: isize, len: usize) -> Option<usize> {
        let n = len as isize;
        if (0..n).contains(&i) {
            return Some(i as usize);
        }
        // Near the image one reflection is enough; division is only needed farther away.
        let mirror = |overlap: isize| {
            let i = if i < 0 { -overlap - i } else { i };
            let i = if i < n { i } else { 2 * n - 2 + overlap - i };
            if (0..n).contains(&i) {
                return i;
            }
            let period = (2 * (n - 1 + overlap)).max(1);
            let m = i.rem_euclid(period);
            if m < n { m } else { period - overlap - m }
        };
        let place = match self {
            Self::Constant(_) => return None,
            Self::Edge => i.clamp(0, n - 1),
            Self::Reflect => mirror(0),
            Self::Symmetric => mirror(1),
            Self::Wrap => i.rem_euclid(n),
        };
        Some(place as usize)
    }
}

/// How a pixel is made of the pixels around its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// The pixel at the rounded place, halves rounded up.
    Nearest,
    /// The exact bilinear mean for the place, rounded to nearest.
    Bilinear,
    /// Cubic convolution of 4x4 pixels with a = -0.75, with weights of 14 bits that sum to 1; rows are rounded to 1/64
    /// level in between.
    Bicubic,
}

/// Samples one image.
#[derive(Debug)]
pub struct Sampler<'a> {
    level: Level,
    source: Source<'a>,
    channels: usize,
    filter: Filter,
}

impl<'a> Sampler<'a> {
    /// A sampler of an image of `width` x `height` pixels in HWC order.
    ///
    /// # Panics
    /// For an empty image, channels other than 1, 3 or 4, sides from 2^31 on, a slice of another length than the size says,
    /// or if the processor lacks `isa`.
    pub fn new(
        isa: Isa,
        pixels: &'a [u8],
        (width, height): (usize, usize),
        channels: usize,
        filter: Filter,
        outside: Outside,
    ) -> Self {
        let level = Level::of(isa);
        let taps = match filter {
            Filter::Nearest => 1,
            Filter::Bilinear => 2,
            Filter::Bicubic => 4,
        };
        let source = Source::new(pixels, (width, height), channels, taps, outside);
        Self { level, source, channels, filter }
    }

    /// Samples the places (xs, ys), one pixel of `out` for each.
    ///
    /// # Panics
    /// When the slices do not have the same number of places and pixels.
    pub fn row(&self, xs: &[i32], ys: &[i32], out: &mut [u8]) {
        assert!(xs.len() == ys.len() && out.len() == xs.len() * self.channels, "places and pixels");
        match (self.channels, self.filter) {
            (1, Filter::Nearest) => self.dispatch::<1, 1>(xs, ys, out),
            (1, Filter::Bilinear) => self.dispatch::<1, 2>(xs, ys, out),
            (1, Filter::Bicubic) => self.dispatch::<1, 4>(xs, ys, out),
            (3, Filter::Nearest) => self.dispatch::<3, 1>(xs, ys, out),
            (3, Filter::Bilinear) => self.dispatch::<3, 2>(xs, ys, out),
            (3, Filter::Bicubic) => self.dispatch::<3, 4>(xs, ys, out),
            (_, Filter::Nearest) => self.dispatch::<4, 1>(xs, ys, out),
            (_, Filter::Bilinear) => self.dispatch::<4, 2>(xs, ys, out),
            (_, Filter::Bicubic) => self.dispatch::<4, 4>(xs, ys, out),
        }
    }

    fn dispatch<const C: usize, const TAPS: usize>(&self, xs: &[i32], ys: &[i32], out: &mut [u8]) {
        match self.level {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a level is one that the processor has, both including AVX2.
            Level::Vbmi | Level::Avx2 => unsafe { avx2::run::<C, TAPS>(&self.source, xs, ys, out) },
            Level::Portable => row::<chunk::Portable, C, TAPS>(chunk::Portable, &self.source, xs, ys, out),
        }
    }
}

/// The weights of the four pixels around a place for each fraction, in 1/2^14.
///
/// With t = fraction / 2^11 the weights are a (t^3 - 2 t^2 + t) and (a + 2) t^3 - (a + 3) t^2 + 1 and their mirror
/// images; the second takes what rounding leaves.
static CUBIC: [[i16; 4]; ONE as usize] = cubic_weights();

const fn cubic_weights() -> [[i16; 4]; ONE as usize] {
    const fn far(t: i64) -> i64 {
        (-3 * (t * t * t - 2 * t * t * ONE as i64 + t * (ONE as i64 * ONE as i64)) + (1 << 20)) >> 21
    }
    const fn near(t: i64) -> i64 {
        (5 * t * t * t - 9 * t * t * ONE as i64 + (1 << 35) + (1 << 20)) >> 21
    }
    let mut weights = [[0; 4]; ONE as usize];
    let mut t = 0;
    while t < ONE as i64 {
        let (first, third, last) = (far(t), near(ONE as i64 - t), far(ONE as i64 - t));
        let second = (1 << CUBIC_BITS) - first - third - last;
        weights[t as usize] = [first as i16, second as i16, third as i16, last as i16];
        t += 1;
    }
    weights
}

/// Fractional bits of the cubic weights.
const CUBIC_BITS: u32 = 14;
/// Bits that a row's sum keeps behind the point.
const ROW_BITS: u32 = 6;
/// Bits dropped after the rows and after the columns.
const ROW_DROP: u32 = CUBIC_BITS - ROW_BITS;
const LAST_DROP: u32 = CUBIC_BITS + ROW_BITS;
