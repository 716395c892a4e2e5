//! Bending: elastic and grid distortion.

use super::sample::warp;
use super::{Border, Interpolation};
use crate::error::{Result, parameter};
use crate::{Image, ImageRef, Rng};
use oculist_kernels::Isa;
use oculist_kernels::image::field::{convolve_columns, convolve_rows};
use oculist_kernels::image::warp::places::{displace, place};

/// Moves every pixel by a smooth random field.
///
/// The field's two components are noise uniform in -1..1 from [`Rng::keyed`] of `[seed, 0]` (x) and `[seed, 1]`
/// (y), row by row, blurred by a Gaussian of standard deviation `sigma` pixels and multiplied by `alpha`
/// pixels. The kernel reaches over `ceil(3 sigma)` pixels to both sides, mirrored at the edges.
///
/// # Errors
/// `sigma` outside 0..=200 or `alpha` that is not finite.
///
/// # Source
/// Simard, Steinkraus, Platt: "Best practices for convolutional neural networks applied to visual document
/// analysis", 2003.
pub fn elastic<'a>(
    image: impl Into<ImageRef<'a>>,
    alpha: f32,
    sigma: f32,
    seed: u64,
    interpolation: Interpolation,
    border: Border,
) -> Result<Image> {
    let image = image.into();
    if !(0.0..=200.0).contains(&sigma) {
        return Err(parameter("elastic", "sigma", "within 0..=200", sigma.to_string()));
    }
    if !alpha.is_finite() {
        return Err(parameter("elastic", "alpha", "a finite number", alpha.to_string()));
    }
    let (width, height) = (image.width(), image.height());
    let [dx, dy] = [0, 1].map(|axis| {
        let mut noise = vec![0.0; width * height];
        Rng::keyed(&[seed, axis]).fill_noise(&mut noise);
        blur(noise, width, sigma)
    });
    let alpha = f64::from(alpha);
    Ok(warp(image, (width, height), interpolation, border, |isa, y, xs, ys| {
        let row = y * width..(y + 1) * width;
        displace(isa, 0.0, 1.0, alpha, &dx[row.clone()], xs);
        displace(isa, y as f64, 0.0, alpha, &dy[row], ys);
    }))
}

/// The field of [`elastic`], smoothed.
fn blur(field: Vec<f32>, width: usize, sigma: f32) -> Vec<f32> {
    if sigma < 1e-3 {
        return field;
    }
    let radius = (3.0 * sigma).ceil() as usize;
    smooth(field, width, sigma, radius, |i, len| Border::Reflect.resolve(i, len).unwrap_or(0))
}

/// A separable Gaussian blur whose kernel reaches over `radius` values to both sides; `place(i, len)` is the index inside
/// 0..len that stands for i.
pub(crate) fn smooth(
    mut field: Vec<f32>,
    width: usize,
    sigma: f32,
    radius: usize,
    place: impl Fn(isize, usize) -> usize,
) -> Vec<f32> {
    let height = field.len() / width;
    let reach = radius as isize;
    let weight = |i: isize| (-0.5 * (i as f64 / f64::from(sigma)).powi(2)).exp();
    let sum: f64 = (-reach..=reach).map(weight).sum();
    let kernel: Vec<f32> = (-reach..=reach).map(|i| (weight(i) / sum) as f32).collect();
    let places =
        |len: usize| -> Vec<usize> { (-reach..len as isize + reach).map(|i| place(i, len)).collect() };
    let isa = Isa::detect();
    let mut across = vec![0.0; field.len()];
    convolve_rows(isa, &field, &mut across, width, &places(width), &kernel);
    convolve_columns(isa, &across, &mut field, width, &places(height), &kernel);
    field
}

/// Stretches and squeezes the columns and rows of a grid.
///
/// The output is divided into `columns.len()` x `rows.len()` cells of equal size; cell (i, j) shows the part of
/// the input whose width is `columns[i]` and whose height is `rows[j]`, relative to the sums. Inside a cell
/// places are linear. The edges of the image stay where they are.
///
/// # Errors
/// No columns or rows, or a part that is not a positive number.
///
/// # Source
/// Albumentations' `GridDistortion` with `normalized=True`.
pub fn grid_distortion<'a>(
    image: impl Into<ImageRef<'a>>,
    columns: &[f32],
    rows: &[f32],
    interpolation: Interpolation,
) -> Result<Image> {
    let image = image.into();
    for (name, parts) in [("columns", columns), ("rows", rows)] {
        if parts.is_empty() || !parts.iter().all(|&p| p > 0.0 && p.is_finite()) {
            return Err(parameter("grid_distortion", name, "positive numbers", format!("{parts:?}")));
        }
    }
    let (across, down) = (places(image.width(), columns), places(image.height(), rows));
    Ok(warp(image, (image.width(), image.height()), interpolation, Border::Edge, |_, y, xs, ys| {
        xs.copy_from_slice(&across);
        ys.fill(down[y]);
    }))
}

/// The piecewise linear places of one side.
fn places(side: usize, parts: &[f32]) -> Vec<i32> {
    let total: f64 = parts.iter().map(|&p| f64::from(p)).sum();
    let mut knots = vec![0.0];
    for &part in parts {
        knots.push(knots[knots.len() - 1] + f64::from(part) / total * side as f64);
    }
    let cell = side as f64 / parts.len() as f64;
    let at = |i: usize| {
        // Pixel i covers i..i + 1 in the grid's coordinates, its centre lies at i + 0.5.
        let grid = (i as f64 + 0.5) / cell;
        let k = (grid as usize).min(parts.len() - 1);
        place(knots[k] + (grid - k as f64) * (knots[k + 1] - knots[k]) - 0.5)
    };
    (0..side).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        Image::new(6, 4, 1, (0..24).map(|i| i * 10).collect()).unwrap()
    }

    #[test]
    fn nothing_moves_without_strength() {
        for interpolation in [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic] {
            let out = elastic(&image(), 0.0, 2.0, 5, interpolation, Border::Edge).unwrap();
            assert_eq!(out, image());
            let out = grid_distortion(&image(), &[2.0; 3], &[0.5; 2], interpolation).unwrap();
            assert_eq!(out, image());
        }
        let moved = elastic(&image(), 3.0, 1.0, 5, Interpolation::Bilinear, Border::Edge).unwrap();
        assert_ne!(moved, image());
        let other = elastic(&image(), 3.0, 1.0, 6, Interpolation::Bilinear, Border::Edge).unwrap();
        assert_ne!(moved, other);
    }

    #[test]
    fn bad_parameters_are_named() {
        let text = |r: Result<Image>| r.unwrap_err().to_string();
        let sigma = text(elastic(&image(), 1.0, f32::NAN, 0, Interpolation::Nearest, Border::Edge));
        assert_eq!(sigma, "elastic: sigma must be within 0..=200, found NaN");
        assert!(elastic(&image(), f32::INFINITY, 1.0, 0, Interpolation::Nearest, Border::Edge).is_err());
        let rows = text(grid_distortion(&image(), &[1.0], &[], Interpolation::Nearest));
        assert_eq!(rows, "grid_distortion: rows must be positive numbers, found []");
        assert!(grid_distortion(&image(), &[0.0], &[1.0], Interpolation::Nearest).is_err());
    }
}
