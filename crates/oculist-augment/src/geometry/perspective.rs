//! Perspective: the image as a plane seen from elsewhere.

use super::sample::warp;
use super::{Border, Interpolation};
use crate::error::{Result, parameter};
use crate::{Image, ImageRef};
use oculist_kernels::image::warp::places::project;

/// Moves the four corners of the image and everything between them as a plane in space moves.
///
/// `offsets` are the shifts (x, y) in pixels of the top left, top right, bottom right and bottom left corner;
/// corners are those of the pixels' area, at -0.5 and side - 0.5. The size stays.
///
/// # Errors
/// Offsets that are not finite, or corners of which three lie on a line.
///
/// # Source
/// The homography through four points, as OpenCV's `getPerspectiveTransform` and `warpPerspective`; places
/// are rounded to 1/2048 pixel.
pub fn perspective<'a>(
    image: impl Into<ImageRef<'a>>,
    offsets: [[f32; 2]; 4],
    interpolation: Interpolation,
    border: Border,
) -> Result<Image> {
    let image = image.into();
    let (width, height) = (image.width(), image.height());
    let (corners, moved) = quadrilaterals(width, height, offsets);
    let wrong =
        || parameter("perspective", "offsets", "four corners of a quadrilateral", format!("{offsets:?}"));
    if !offsets.iter().flatten().all(|v| v.is_finite()) {
        return Err(wrong());
    }
    // From the output to the input, so that each output pixel finds its place.
    let m = homography(moved, corners).ok_or_else(wrong)?;
    Ok(warp(image, (width, height), interpolation, border, |isa, y, xs, ys| project(isa, &m, y, xs, ys)))
}

/// The corners of the image's area and where the offsets move them.
fn quadrilaterals(width: usize, height: usize, offsets: [[f32; 2]; 4]) -> ([[f64; 2]; 4], [[f64; 2]; 4]) {
    let (w, h) = (width as f64, height as f64);
    let corners = [[-0.5, -0.5], [w - 0.5, -0.5], [w - 0.5, h - 0.5], [-0.5, h - 0.5]];
    (corners, std::array::from_fn(|k| std::array::from_fn(|i| corners[k][i] + f64::from(offsets[k][i]))))
}

/// The matrix from an input pixel's place to the output's; `None` for corners that [`perspective`] refuses.
pub(crate) fn perspective_forward(
    width: usize,
    height: usize,
    offsets: [[f32; 2]; 4],
) -> Option<[[f64; 3]; 3]> {
    let (corners, moved) = quadrilaterals(width, height, offsets);
    homography(corners, moved)
}

/// The 3x3 matrix that takes each `from` to its `to`, scaled so that its last element is 1.
///
/// None if the linear system is singular.
fn homography(from: [[f64; 2]; 4], to: [[f64; 2]; 4]) -> Option<[[f64; 3]; 3]> {
    // u (g x + h y + 1) = a x + b y + c, and the same for v: eight equations, the right side in column 8.
    let mut rows = [[0.0; 9]; 8];
    for (k, ([x, y], [u, v])) in from.into_iter().zip(to).enumerate() {
        rows[2 * k] = [x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, u];
        rows[2 * k + 1] = [0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y, v];
    }
    for i in 0..8 {
        let pivot = (i..8).max_by(|&a, &b| rows[a][i].abs().total_cmp(&rows[b][i].abs()))?;
        rows.swap(i, pivot);
        if rows[i][i].abs() < 1e-9 {
            return None;
        }
        let row = rows[i];
        for (j, other) in rows.iter_mut().enumerate() {
            if j != i {
                let factor = other[i] / row[i];
                other.iter_mut().zip(row).for_each(|(a, b)| *a -= factor * b);
            }
        }
    }
    let s: [f64; 8] = std::array::from_fn(|i| rows[i][8] / rows[i][i]);
    let matrix = [[s[0], s[1], s[2]], [s[3], s[4], s[5]], [s[6], s[7], 1.0]];
    matrix.iter().flatten().all(|v| v.is_finite()).then_some(matrix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_offset_changes_nothing_and_equal_offsets_shift() {
        let image = Image::new(5, 4, 3, (0..60).map(|i| (i * 4) as u8).collect()).unwrap();
        let border = Border::Constant(9);
        for interpolation in [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic] {
            assert_eq!(perspective(&image, [[0.0; 2]; 4], interpolation, border).unwrap(), image);
            let shifted = perspective(&image, [[2.0, -1.0]; 4], interpolation, border).unwrap();
            assert_eq!(shifted, super::super::crop(&image, -2, 1, 5, 4, border).unwrap());
        }
    }

    #[test]
    fn corners_on_a_line_are_refused() {
        let image = Image::filled(4, 4, 1, 3).unwrap();
        for bad in [
            [[0.0, 0.0], [0.0, 0.0], [-4.0, -4.0], [0.0, 0.0]],
            [[f32::NAN, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]],
            [[0.0, 0.0], [-4.0, 0.0], [-4.0, 0.0], [0.0, 0.0]],
        ] {
            assert!(perspective(&image, bad, Interpolation::Nearest, Border::Edge).is_err(), "{bad:?}");
        }
    }
}
