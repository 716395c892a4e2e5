//! Operations on the three channels of one pixel.
//!
//! Saturation and hue work on blocks of pixels whose channels are taken apart, so that their loops vectorise.

use super::convert::luma;

/// An operation on one pixel of three channels.
#[derive(Clone, Copy)]
pub(super) enum PixelOp {
    Saturation(f32),
    /// Turn in sixths of a circle, above 0 and below 6.
    Hue(f32),
    Shuffle([u8; 3]),
    Grey,
}

/// `from + factor * (to - from)`, cut to 0..=255; to be truncated.
#[inline(always)]
pub(super) fn blend(from: f32, to: f32, factor: f32) -> f32 {
    (from + factor * (to - from)).clamp(0.0, 255.0)
}

impl PixelOp {
    /// Does it to a slice that holds whole pixels of 3 or 4 channels.
    pub(super) fn apply(self, pixels: &mut [u8], channels: usize) {
        match channels {
            3 => self.on(pixels.as_chunks_mut::<3>().0),
            4 => self.on(pixels.as_chunks_mut::<4>().0),
            _ => {}
        }
    }

    fn on<const C: usize>(self, pixels: &mut [[u8; C]]) {
        match self {
            Self::Saturation(factor) => planar(pixels, |r, g, b| saturation(r, g, b, factor)),
            Self::Hue(shift) => planar(pixels, |r, g, b| hue(r, g, b, shift)),
            Self::Shuffle(order) => {
                let [i, j, k] = order.map(usize::from);
                for pixel in pixels {
                    let old = *pixel;
                    (pixel[0], pixel[1], pixel[2]) = (old[i], old[j], old[k]);
                }
            }
            Self::Grey => {
                for pixel in pixels {
                    let grey = luma(pixel[0], pixel[1], pixel[2]);
                    pixel[..3].fill(grey);
                }
            }
        }
    }
}

/// Pixels taken apart at once.
const BLOCK: usize = 128;

type Plane = [f32; BLOCK];

/// Calls `f` on the planes of each block; it leaves values in 0..256 that are truncated.
#[inline(always)]
fn planar<const C: usize>(pixels: &mut [[u8; C]], f: impl Fn(&mut Plane, &mut Plane, &mut Plane)) {
    let (mut r, mut g, mut b) = ([0.0; BLOCK], [0.0; BLOCK], [0.0; BLOCK]);
    for block in pixels.chunks_mut(BLOCK) {
        for (i, pixel) in block.iter().enumerate() {
            (r[i], g[i], b[i]) = (f32::from(pixel[0]), f32::from(pixel[1]), f32::from(pixel[2]));
        }
        f(&mut r, &mut g, &mut b);
        for (i, pixel) in block.iter_mut().enumerate() {
            (pixel[0], pixel[1], pixel[2]) = (r[i] as u8, g[i] as u8, b[i] as u8);
        }
    }
}

#[inline(always)]
fn saturation(r: &mut Plane, g: &mut Plane, b: &mut Plane, factor: f32) {
    for i in 0..BLOCK {
        // The fixed-point luma in f32: all sums are integers below 2^24 and so exact.
        let sum = r[i] * 19595.0 + g[i] * 38470.0 + b[i] * 7471.0 + 32768.0;
        let grey = ((sum as i32) >> 16) as f32;
        r[i] = blend(grey, r[i], factor);
        g[i] = blend(grey, g[i], factor);
        b[i] = blend(grey, b[i], factor);
    }
}

/// Turns the hue by `shift` sixths of a circle, 0..6.
///
/// The largest and the least channel value stay, so that saturation and value stay. With chroma = max - min
/// and h the hue in sixths, a channel is `min + chroma * clamp(|(h + k) mod 6 - 3| - 1, 0, 1)`, where k is 0
/// for red, 4 for green and 2 for blue.
#[inline(always)]
fn hue(r: &mut Plane, g: &mut Plane, b: &mut Plane, shift: f32) {
    for i in 0..BLOCK {
        let (red, green, blue) = (r[i], g[i], b[i]);
        let (max, min) = (red.max(green).max(blue), red.min(green).min(blue));
        let chroma = max - min;
        // Grey pixels have no hue: any serves, since their chroma is 0.
        let part = 1.0 / if chroma == 0.0 { 1.0 } else { chroma };
        let from_blue = 4.0 + (red - green) * part;
        let from_green = 2.0 + (blue - red) * part;
        let from_red = (green - blue) * part;
        let sector = if green == max { from_green } else { from_blue };
        let sector = if red == max { from_red } else { sector };
        let h = sector + shift;
        let h = if h < 0.0 { h + 6.0 } else { h };
        let h = if h >= 6.0 { h - 6.0 } else { h };
        let channel = |offset: f32| {
            // Distance to the channel's opposite colour, in sixths; below 1 the channel is at its least.
            let k = h + offset;
            let k = if k >= 6.0 { k - 6.0 } else { k };
            min + chroma * ((k - 3.0).abs() - 1.0).clamp(0.0, 1.0) + 0.5
        };
        (r[i], g[i], b[i]) = (channel(0.0), channel(4.0), channel(2.0));
    }
}
