//! Rotation, scaling and shifting in one bilinear resampling.

use super::Border;
use crate::Image;
use crate::error::{Result, parameter};
use serde::{Deserialize, Serialize};

/// Turns, scales and shifts about the image's centre; the output has the input's size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Affine {
    /// Degrees, counter-clockwise as seen.
    pub angle: f32,
    /// Magnification, above 0; 2 shows everything twice as large.
    pub scale: f32,
    /// Shift to the right in pixels, after turning and scaling.
    pub shift_x: f32,
    /// Shift downwards in pixels, after turning and scaling.
    pub shift_y: f32,
}

impl Default for Affine {
    fn default() -> Self {
        Self { angle: 0.0, scale: 1.0, shift_x: 0.0, shift_y: 0.0 }
    }
}

impl Affine {
    /// The matrix `[[a, b, c], [d, e, f]]` that maps an output pixel's (x, y, 1) to the input's place.
    ///
    /// With centre p = ((width-1)/2, (height-1)/2): in = R(angle) (out - p - shift) / scale + p.
    fn inverse(self, width: usize, height: usize) -> [[f64; 3]; 2] {
        let (sin, cos) = f64::from(self.angle).to_radians().sin_cos();
        let (sin, cos) = (sin / f64::from(self.scale), cos / f64::from(self.scale));
        let (px, py) = ((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0);
        let (qx, qy) = (px + f64::from(self.shift_x), py + f64::from(self.shift_y));
        [[cos, -sin, px - cos * qx + sin * qy], [sin, cos, py - sin * qx - cos * qy]]
    }
}

/// Applies an affine map with bilinear sampling.
///
/// Each output pixel is the bilinear mean of the four input pixels around its place, rounded to nearest;
/// places outside come from the border.
///
/// # Errors
/// A scale that is not a positive number, an angle or shift that is not finite.
///
/// # Source
/// The same definition as OpenCV's `getRotationMatrix2D` and `warpAffine` with `INTER_LINEAR`. OpenCV
/// rounds places to 1/32 pixel; here they are exact to about 1e-3 pixel.
pub fn affine(image: &Image, map: Affine, border: Border) -> Result<Image> {
    if !(map.scale.is_finite() && map.scale > 1e-6) {
        return Err(parameter("affine", "scale", "a positive number", map.scale.to_string()));
    }
    if !(map.angle.is_finite() && map.shift_x.is_finite() && map.shift_y.is_finite()) {
        return Err(parameter("affine", "angle and shift", "finite numbers", format!("{map:?}")));
    }
    if map == Affine::default() {
        return Ok(image.clone());
    }
    Ok(match image.channels() {
        1 => warp::<1>(image, map, border),
        3 => warp::<3>(image, map, border),
        _ => warp::<4>(image, map, border),
    })
}

/// Fractional bits of a sampling place, and of the weights.
const PLACE_BITS: u32 = 16;
const WEIGHT_BITS: u32 = 11;

/// Walks along each output row; places advance by a constant step in fixed point (i64, so that no
/// coordinate overflows), weights have 11 bits so that all products fit in 32 bits.
fn warp<const C: usize>(image: &Image, map: Affine, border: Border) -> Image {
    let (width, height) = (image.width(), image.height());
    let inverse = map.inverse(width, height);
    let fixed = |v: f64| (v * f64::from(1u32 << PLACE_BITS)).round() as i64;
    let (step_x, step_y) = (fixed(inverse[0][0]), fixed(inverse[1][0]));
    let source = image.pixels().as_chunks::<C>().0;
    let mut pixels = vec![0u8; width * height * C];
    for (y, out_row) in pixels.chunks_exact_mut(width * C).enumerate() {
        // The start of each row is computed afresh: rounding errors do not add up over rows. Along a row
        // they stay below width * 2^-17 pixels.
        let mut at_x = fixed(inverse[0][1] * y as f64 + inverse[0][2]);
        let mut at_y = fixed(inverse[1][1] * y as f64 + inverse[1][2]);
        for out in out_row.as_chunks_mut::<C>().0 {
            let (x0, y0) = ((at_x >> PLACE_BITS) as isize, (at_y >> PLACE_BITS) as isize);
            let weight = |at: i64| (at as u32 & 0xffff) >> (PLACE_BITS - WEIGHT_BITS);
            let (fx, fy) = (weight(at_x), weight(at_y));
            let inside = x0 >= 0 && y0 >= 0 && x0 + 1 < width as isize && y0 + 1 < height as isize;
            *out = if inside {
                let at = y0 as usize * width + x0 as usize;
                blend([&source[at], &source[at + 1], &source[at + width], &source[at + width + 1]], fx, fy)
            } else {
                let fill = [border.fill(); C];
                let tap = |x: isize, y: isize| match (border.resolve(x, width), border.resolve(y, height)) {
                    (Some(x), Some(y)) => source[y * width + x],
                    _ => fill,
                };
                blend([&tap(x0, y0), &tap(x0 + 1, y0), &tap(x0, y0 + 1), &tap(x0 + 1, y0 + 1)], fx, fy)
            };
            at_x = at_x.wrapping_add(step_x);
            at_y = at_y.wrapping_add(step_y);
        }
    }
    Image::from_parts(width, height, C, pixels)
}

#[inline(always)]
fn blend<const C: usize>(taps: [&[u8; C]; 4], fx: u32, fy: u32) -> [u8; C] {
    const ONE: u32 = 1 << WEIGHT_BITS;
    let mut out = [0; C];
    for c in 0..C {
        let top = u32::from(taps[0][c]) * (ONE - fx) + u32::from(taps[1][c]) * fx;
        let bottom = u32::from(taps[2][c]) * (ONE - fx) + u32::from(taps[3][c]) * fx;
        let sum = top * (ONE - fy) + bottom * fy;
        out[c] = ((sum + (1 << (2 * WEIGHT_BITS - 1))) >> (2 * WEIGHT_BITS)) as u8;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(width: usize, height: usize, channels: usize) -> Image {
        Image::new(width, height, channels, (0..width * height * channels).map(|i| (i * 7) as u8).collect())
            .unwrap()
    }

    #[test]
    fn a_quarter_turn_is_exact() {
        let image = numbered(5, 5, 3);
        let out = affine(&image, Affine { angle: 90.0, ..Affine::default() }, Border::Edge).unwrap();
        for y in 0..5 {
            for x in 0..5 {
                // Counter-clockwise: the right edge becomes the top.
                assert_eq!(out.pixel(x, y), image.pixel(4 - y, x));
            }
        }
    }

    #[test]
    fn whole_shifts_move_pixels() {
        let image = numbered(4, 3, 1);
        let map = Affine { shift_x: 1.0, shift_y: -1.0, ..Affine::default() };
        let out = affine(&image, map, Border::Constant(200)).unwrap();
        assert_eq!(out, super::super::crop(&image, -1, 1, 4, 3, Border::Constant(200)).unwrap());
    }

    #[test]
    fn equals_the_formula_in_f64() {
        let image = numbered(13, 9, 3);
        let map = Affine { angle: 23.0, scale: 1.3, shift_x: 0.7, shift_y: -1.2 };
        for border in [Border::Constant(10), Border::Edge, Border::Reflect] {
            let out = affine(&image, map, border).unwrap();
            let m = map.inverse(13, 9);
            for y in 0..9 {
                for x in 0..13 {
                    let at = |r: [f64; 3]| r[0] * x as f64 + r[1] * y as f64 + r[2];
                    let (sx, sy) = (at(m[0]), at(m[1]));
                    for c in 0..3 {
                        let tap = |dx: isize, dy: isize| {
                            let x = border.resolve(sx.floor() as isize + dx, 13);
                            let y = border.resolve(sy.floor() as isize + dy, 9);
                            f64::from(match (x, y) {
                                (Some(x), Some(y)) => image.pixel(x, y)[c],
                                _ => border.fill(),
                            })
                        };
                        let (fx, fy) = (sx - sx.floor(), sy - sy.floor());
                        let want = (tap(0, 0) * (1.0 - fx) + tap(1, 0) * fx) * (1.0 - fy)
                            + (tap(0, 1) * (1.0 - fx) + tap(1, 1) * fx) * fy;
                        let got = f64::from(out.pixel(x, y)[c]);
                        assert!((got - want).abs() < 0.8, "{border:?} ({x}, {y}) {got} {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn extreme_parameters_do_not_panic() {
        for (w, h) in [(1, 1), (1, 9), (8, 1), (6, 5)] {
            let image = numbered(w, h, 1);
            for scale in [1e-5, 1e-2, 1e6] {
                for angle in [0.0, 45.0, -1e7] {
                    let map = Affine { angle, scale, shift_x: 1e9, shift_y: -3.5 };
                    for border in [Border::Constant(1), Border::Edge, Border::Reflect] {
                        assert_eq!(affine(&image, map, border).unwrap().pixels().len(), w * h);
                    }
                }
            }
        }
        let image = numbered(2, 2, 1);
        for bad in [f32::NAN, f32::INFINITY, 0.0, -1.0] {
            let map = Affine { scale: bad, ..Affine::default() };
            assert!(affine(&image, map, Border::Edge).is_err());
        }
    }
}
