//! Rotation, scaling, shearing and shifting in one resampling.

use super::sample::warp;
use super::{Border, Interpolation};
use crate::error::{Result, parameter};
use crate::{Image, ImageRef};
use oculist_kernels::image::warp::places::walk;
use serde::{Deserialize, Serialize};

/// Shears, turns, scales and shifts about the image's centre; the output has the input's size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Affine {
    /// Degrees, counter-clockwise as seen.
    pub angle: f32,
    /// Magnification, above 0; 2 shows everything twice as large.
    pub scale: f32,
    /// Shift to the right in pixels, after everything else.
    pub shift_x: f32,
    /// Shift downwards in pixels, after everything else.
    pub shift_y: f32,
    /// Shear along x in degrees, above -90 and below 90: what lies below the centre moves left.
    #[serde(default)]
    pub shear_x: f32,
    /// Shear along y in degrees, above -90 and below 90: what lies right of the centre moves up.
    #[serde(default)]
    pub shear_y: f32,
}

impl Default for Affine {
    fn default() -> Self {
        Self { angle: 0.0, scale: 1.0, shift_x: 0.0, shift_y: 0.0, shear_x: 0.0, shear_y: 0.0 }
    }
}

impl Affine {
    /// The matrix `[[a, b, c], [d, e, f]]` that maps an output pixel's (x, y, 1) to the input's place.
    ///
    /// With centre p = ((width-1)/2, (height-1)/2):
    /// in = Sx Sy R(angle) (out - p - shift) / scale + p, Sx = [[1, tan x], [0, 1]], Sy = [[1, 0], [tan y, 1]].
    fn inverse(self, width: usize, height: usize) -> [[f64; 3]; 2] {
        let (sin, cos) = f64::from(self.angle).to_radians().sin_cos();
        let (sin, cos) = (sin / f64::from(self.scale), cos / f64::from(self.scale));
        let (tx, ty) =
            (f64::from(self.shear_x).to_radians().tan(), f64::from(self.shear_y).to_radians().tan());
        let (m10, m11) = (ty * cos + sin, cos - ty * sin);
        let (m00, m01) = (cos + tx * m10, tx * m11 - sin);
        let (px, py) = ((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0);
        let (qx, qy) = (px + f64::from(self.shift_x), py + f64::from(self.shift_y));
        [[m00, m01, px - m00 * qx - m01 * qy], [m10, m11, py - m10 * qx - m11 * qy]]
    }

    /// The matrix that maps an input pixel's (x, y, 1) to the output's place; `None` if the map has no inverse.
    pub(crate) fn forward(self, width: usize, height: usize) -> Option<[[f64; 3]; 2]> {
        let [[a, b, c], [d, e, f]] = self.inverse(width, height);
        let det = a * e - b * d;
        let matrix = [[e, -b, b * f - e * c], [-d, a, d * c - a * f]].map(|row| row.map(|v| v / det));
        matrix.iter().flatten().all(|v| v.is_finite()).then_some(matrix)
    }

    /// The shift in whole pixels, if the map does nothing else.
    fn whole_shift(self) -> Option<(isize, isize)> {
        let (x, y) = (self.shift_x, self.shift_y);
        let only_shift = Self { shift_x: 0.0, shift_y: 0.0, ..self } == Self::default();
        let whole = |v: f32| v.fract() == 0.0 && v.abs() < 1e9;
        (only_shift && whole(x) && whole(y)).then_some((x as isize, y as isize))
    }
}

/// Applies an affine map.
///
/// Each output pixel is sampled around its place in the input; places outside come from the border. A shift
/// by whole pixels copies pixels.
///
/// # Errors
/// A scale that is not a positive number, a shear of 90 degrees or more, an angle or shift that is not finite.
///
/// # Source
/// Without shear the same definition as OpenCV's `getRotationMatrix2D` and `warpAffine`. OpenCV rounds places
/// to 1/32 pixel, here to 1/2048. The order of the parts is that of torchvision's `affine`.
pub fn affine<'a>(
    image: impl Into<ImageRef<'a>>,
    map: Affine,
    interpolation: Interpolation,
    border: Border,
) -> Result<Image> {
    let image = image.into();
    if !(map.scale.is_finite() && map.scale > 1e-6) {
        return Err(parameter("affine", "scale", "a positive number", map.scale.to_string()));
    }
    if !(map.angle.is_finite() && map.shift_x.is_finite() && map.shift_y.is_finite()) {
        return Err(parameter("affine", "angle and shift", "finite numbers", format!("{map:?}")));
    }
    if !(map.shear_x.abs() < 90.0 && map.shear_y.abs() < 90.0) {
        return Err(parameter("affine", "shear", "above -90 and below 90 degrees", format!("{map:?}")));
    }
    if let Some((x, y)) = map.whole_shift() {
        return super::crop(image, -x, -y, image.width(), image.height(), border);
    }
    let size = (image.width(), image.height());
    let [mx, my] = map.inverse(size.0, size.1);
    Ok(warp(image, size, interpolation, border, |isa, y, xs, ys| {
        // The start of each row is computed afresh, so that rounding errors do not add up over rows.
        walk(isa, mx[1] * y as f64 + mx[2], mx[0], xs);
        walk(isa, my[1] * y as f64 + my[2], my[0], ys);
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(width: usize, height: usize, channels: usize) -> Image {
        Image::new(width, height, channels, (0..width * height * channels).map(|i| (i * 7) as u8).collect())
            .unwrap()
    }

    const BORDERS: [Border; 5] =
        [Border::Constant(10), Border::Edge, Border::Reflect, Border::Symmetric, Border::Wrap];

    #[test]
    fn a_quarter_turn_is_exact() {
        let image = numbered(5, 5, 3);
        for interpolation in [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic] {
            let turn = Affine { angle: 90.0, ..Affine::default() };
            let out = affine(&image, turn, interpolation, Border::Edge).unwrap();
            // Counter-clockwise: the right edge becomes the top.
            assert_eq!(out, super::super::quarter_turns(image.clone(), 1));
        }
    }

    #[test]
    fn whole_shifts_move_pixels() {
        let image = numbered(4, 3, 1);
        let map = Affine { shift_x: 1.0, shift_y: -1.0, ..Affine::default() };
        let out = affine(&image, map, Interpolation::Bilinear, Border::Constant(200)).unwrap();
        assert_eq!(out, super::super::crop(&image, -1, 1, 4, 3, Border::Constant(200)).unwrap());
    }

    #[test]
    fn equals_the_formula_in_f64() {
        let image = numbered(13, 9, 3);
        let maps = [
            Affine { angle: 23.0, scale: 1.3, shift_x: 0.7, shift_y: -1.2, ..Affine::default() },
            Affine { angle: -10.0, scale: 0.6, shear_x: 20.0, shear_y: -15.0, ..Affine::default() },
        ];
        for (map, border) in maps.into_iter().flat_map(|map| BORDERS.map(|border| (map, border))) {
            let out = affine(&image, map, Interpolation::Bilinear, border).unwrap();
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
                for (angle, shear_x) in [(0.0, 89.99), (45.0, 0.0), (-1e7, 0.0)] {
                    let map = Affine { angle, scale, shift_x: 1e9, shift_y: -3.5, shear_x, shear_y: 0.0 };
                    for border in BORDERS {
                        for interpolation in
                            [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic]
                        {
                            let out = affine(&image, map, interpolation, border).unwrap();
                            assert_eq!(out.pixels().len(), w * h);
                        }
                    }
                }
            }
        }
        let image = numbered(2, 2, 1);
        for bad in [f32::NAN, f32::INFINITY, 0.0, -1.0] {
            let map = Affine { scale: bad, ..Affine::default() };
            assert!(affine(&image, map, Interpolation::Nearest, Border::Edge).is_err());
        }
    }
}
