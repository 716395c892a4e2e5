//! Blurs of a camera: motion, defocus, zoom, and rough glass in front of it.

use super::kernel::{Tap, convolve, reflect};
use super::plane::{Edge, Plane, zoom_axis};
use super::{at_least, in_place, positive};
use crate::error::{Result, parameter};
use crate::{Image, Rng};

/// Blur along one direction: the camera moved while the shutter was open.
///
/// Tap i of `0..=2 ceil(radius)` lies i pixels in the direction of `degrees` (0 right, 90 down) and weighs
/// `exp(-i^2 / (2 sigma^2))`, divided by the sum; an infinite sigma gives equal weights. Beyond the edge its nearest
/// pixel counts. All channels are blurred, alpha too.
///
/// # Errors
/// A radius outside 0..=512 (0 itself is refused), a sigma that is not above 0, an angle that is not finite.
///
/// # Source
/// ImageMagick's motion blur, which the ImageNet-C generator calls.
pub fn motion_blur(image: &Image, radius: f32, sigma: f32, degrees: f32) -> Result<Image> {
    in_place(image, |image| motion_blur_in_place(image, radius, sigma, degrees))
}

pub(crate) fn motion_blur_in_place(image: &mut Image, radius: f32, sigma: f32, degrees: f32) -> Result<()> {
    convolve(image, &motion_taps("motion_blur", radius, sigma, degrees)?, Edge::Nearest);
    Ok(())
}

pub(super) fn motion_taps(
    operation: &'static str,
    radius: f32,
    sigma: f32,
    degrees: f32,
) -> Result<Vec<Tap>> {
    if !(radius > 0.0 && radius <= 512.0) {
        return Err(parameter(operation, "radius", "above 0, at most 512", radius.to_string()));
    }
    if sigma.is_nan() || sigma <= 0.0 {
        return Err(parameter(operation, "sigma", "above 0", sigma.to_string()));
    }
    if !degrees.is_finite() {
        return Err(parameter(operation, "degrees", "a finite number", degrees.to_string()));
    }
    let count = 2 * radius.ceil() as usize + 1;
    let weight = |i: usize| (-0.5 * (i as f64 / f64::from(sigma)).powi(2)).exp();
    let total: f64 = (0..count).map(weight).sum();
    let (sin, cos) = f64::from(degrees).to_radians().sin_cos();
    let along = |part: f64, i: usize| (i as f64 * part - 0.5).ceil() as isize;
    let taps = (0..count).map(|i| {
        let weight = (weight(i) / total) as f32;
        Tap { dx: along(cos, i), dy: along(sin, i), weight }
    });
    Ok(taps.filter(|tap| tap.weight > 1e-7).collect())
}

/// Blur of a lens out of focus: the mean over a disk of `radius` pixels whose rim is softened.
///
/// The disk holds the whole-numbered offsets within the radius; a Gaussian of standard deviation `soften`, 3x3 or, for
/// a radius above 8, 5x5 pixels large, softens it. The border is mirrored without the edge. All channels are blurred.
///
/// # Errors
/// A radius outside 0..=64, a `soften` that is not above 0 and at most 64.
///
/// # Source
/// Hendrycks and Dietterich 2019, defocus blur; there values are cut after scaling, here they are rounded.
pub fn defocus_blur(image: &Image, radius: f32, soften: f32) -> Result<Image> {
    in_place(image, |image| defocus_blur_in_place(image, radius, soften))
}

pub(crate) fn defocus_blur_in_place(image: &mut Image, radius: f32, soften: f32) -> Result<()> {
    if !(0.0..=64.0).contains(&radius) {
        return Err(parameter("defocus_blur", "radius", "within 0..=64", radius.to_string()));
    }
    if !(soften > 0.0 && soften <= 64.0) {
        return Err(parameter("defocus_blur", "soften", "above 0, at most 64", soften.to_string()));
    }
    convolve(image, &disk(radius, soften), Edge::Reflect);
    Ok(())
}

/// The softened disk, on a grid of at least 17x17 whose border is mirrored while softening.
fn disk(radius: f32, soften: f32) -> Vec<Tap> {
    let (reach, half) = if radius <= 8.0 { (8, 1) } else { (radius as isize, 2) };
    let side = 2 * reach as usize + 1;
    let inside = |x: usize, y: usize| {
        let (dx, dy) = (x as f64 - reach as f64, y as f64 - reach as f64);
        dx * dx + dy * dy <= f64::from(radius).powi(2)
    };
    let count = (0..side * side).filter(|i| inside(i % side, i / side)).count() as f64;
    let weight = |i: isize| (-0.5 * (i as f64 / f64::from(soften)).powi(2)).exp();
    let total: f64 = (-half..=half).map(weight).sum();
    let mut taps = Vec::new();
    for y in 0..side {
        for x in 0..side {
            let mut sum = 0.0;
            for dy in -half..=half {
                for dx in -half..=half {
                    let (sx, sy) = (reflect(x as isize + dx, side), reflect(y as isize + dy, side));
                    if inside(sx, sy) {
                        sum += weight(dx) * weight(dy);
                    }
                }
            }
            if sum > 0.0 {
                let weight = (sum / (total * total * count)) as f32;
                taps.push(Tap { dx: x as isize - reach, dy: y as isize - reach, weight });
            }
        }
    }
    taps.retain(|tap| tap.weight > 1e-9);
    taps
}

/// Blur of a lens that zooms while the shutter is open.
///
/// The mean of the image itself and of its magnifications by `1, 1 + step, ..., 1 + (count - 1) step` about the middle,
/// each sampled bilinearly. All channels are blurred.
///
/// # Errors
/// A step that is not above 0 and at most 1, a count outside 1..=100.
///
/// # Source
/// Hendrycks and Dietterich 2019, zoom blur. The original takes square images only; here each side is zoomed alike.
pub fn zoom_blur(image: &Image, step: f64, count: usize) -> Result<Image> {
    if !(step > 0.0 && step <= 1.0) {
        return Err(parameter("zoom_blur", "step", "above 0, at most 1", step.to_string()));
    }
    if !(1..=100).contains(&count) {
        return Err(parameter("zoom_blur", "count", "within 1..=100", count.to_string()));
    }
    let (width, height, channels) = (image.width(), image.height(), image.channels());
    let len = width * channels;
    let mut sums: Vec<f32> = image.pixels().iter().map(|&v| f32::from(v)).collect();
    let mut mixed = vec![0.0f32; len];
    // The difference of the first two factors as numpy's `arange` takes it: sizes that fall on a half depend on it.
    let step = (1.0 + step) - 1.0;
    for i in 0..count {
        let factor = 1.0 + step * i as f64;
        let (columns, rows) = (zoom_axis(width, factor), zoom_axis(height, factor));
        for (sums, row) in sums.chunks_exact_mut(len).zip(&rows) {
            let (a, b) = (image.row(row.low), image.row(row.high));
            for ((m, &a), &b) in mixed.iter_mut().zip(a).zip(b) {
                *m = f32::from(a) + row.part * (f32::from(b) - f32::from(a));
            }
            for (sums, column) in sums.chunks_exact_mut(channels).zip(&columns) {
                let low = &mixed[column.low * channels..][..channels];
                let high = &mixed[column.high * channels..][..channels];
                for ((sum, l), h) in sums.iter_mut().zip(low).zip(high) {
                    *sum += l + column.part * (h - l);
                }
            }
        }
    }
    let scale = 1.0 / (count + 1) as f32;
    let pixels = sums.iter().map(|&sum| (sum * scale + 0.5) as u8).collect();
    Ok(Image::from_parts(width, height, channels, pixels))
}

/// View through rough glass: blur, moving pixels to near places, blur.
///
/// Both blurs are Gaussian with `sigma`. In between, `rounds` times over the image from its lower right end, each pixel
/// takes the value of one up to `distance` pixels away. All channels move together.
///
/// # Errors
/// A sigma outside 0..=64, a distance outside 1..=256, rounds outside 1..=100.
///
/// # Source
/// Hendrycks and Dietterich 2019, glass blur, as their generator works: the paper speaks of swapping, but the program's
/// swap through two views of one array copies one way, and so do we.
pub fn glass_blur(image: &Image, sigma: f32, distance: usize, rounds: usize, seed: u64) -> Result<Image> {
    at_least("glass_blur", "sigma", sigma, 0.0, 64.0)?;
    if !(1..=256).contains(&distance) {
        return Err(parameter("glass_blur", "distance", "within 1..=256", distance.to_string()));
    }
    if !(1..=100).contains(&rounds) {
        return Err(parameter("glass_blur", "rounds", "within 1..=100", rounds.to_string()));
    }
    let mut out = blur_channels(image, sigma);
    let (width, height, channels) = (image.width(), image.height(), image.channels());
    let mut rng = Rng::keyed(&[seed]);
    let pixels = out.pixels_mut();
    for _ in 0..rounds {
        for y in (distance + 1..=height.saturating_sub(distance)).rev() {
            for x in (distance + 1..=width.saturating_sub(distance)).rev() {
                // Offsets from -distance to distance - 1, as the original draws them.
                let (dx, dy) = (rng.below(2 * distance), rng.below(2 * distance));
                let from = ((y + dy - distance) * width + x + dx - distance) * channels;
                pixels.copy_within(from..from + channels, (y * width + x) * channels);
            }
        }
    }
    Ok(blur_channels(&out, sigma))
}

fn blur_channels(image: &Image, sigma: f32) -> Image {
    let channels = image.channels();
    let mut out = image.clone();
    for channel in 0..channels {
        let blurred = Plane::of_channel(image, channel).blurred(sigma, 4.0, Edge::Nearest);
        let pixels = out.pixels_mut().iter_mut().skip(channel).step_by(channels);
        for (o, &v) in pixels.zip(&blurred.values) {
            *o = (v + 0.5) as u8;
        }
    }
    out
}

/// Reduces the image to `factor` of each side by the mean of areas, then enlarges it again: large square pixels.
///
/// Sides are cut to whole numbers, at least 1. All channels alike.
///
/// # Errors
/// A factor that is not above 0 and at most 1.
///
/// # Source
/// Pillow's `resize` with its box filter, both ways, through the crate `fast_image_resize`.
pub fn pixelate(image: &Image, factor: f32) -> Result<Image> {
    positive("pixelate", "factor", factor, 1.0)?;
    // The product is formed in f64 from the decimal number that was meant: 0.35 * 100 is 35.
    let side = |n: usize| ((n as f64 * f64::from(factor) + 1e-5) as usize).clamp(1, n);
    let small = super::resize_box(image, side(image.width()), side(image.height()))?;
    Ok(enlarged(&small, image.width(), image.height()))
}

/// Repeats the pixel in whose area each pixel's middle falls.
fn enlarged(image: &Image, width: usize, height: usize) -> Image {
    let channels = image.channels();
    let from = |i: usize, to: usize, n: usize| (2 * i + 1) * n / (2 * to);
    let columns: Vec<usize> = (0..width).map(|x| from(x, width, image.width())).collect();
    let len = width * channels;
    let mut pixels = Vec::with_capacity(len * height);
    let mut last = None;
    for y in 0..height {
        let source = from(y, height, image.height());
        if last == Some(source) {
            pixels.extend_from_within(pixels.len() - len..);
            continue;
        }
        last = Some(source);
        pixels.resize(pixels.len() + len, 0);
        let start = pixels.len() - len;
        let out = &mut pixels[start..];
        match channels {
            1 => repeat::<1>(image.row(source), &columns, out),
            3 => repeat::<3>(image.row(source), &columns, out),
            _ => repeat::<4>(image.row(source), &columns, out),
        }
    }
    Image::from_parts(width, height, channels, pixels)
}

/// Pixels of a row by their columns.
fn repeat<const C: usize>(row: &[u8], columns: &[usize], out: &mut [u8]) {
    let row = row.as_chunks::<C>().0;
    for (out, &x) in out.as_chunks_mut::<C>().0.iter_mut().zip(columns) {
        *out = row[x];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_sum_to_one() {
        let sum = |taps: &[Tap]| taps.iter().map(|t| f64::from(t.weight)).sum::<f64>();
        for (radius, sigma) in [(0.5, 1.0), (10.0, 3.0), (15.0, f32::INFINITY)] {
            let taps = motion_taps("motion_blur", radius, sigma, 30.0).unwrap();
            assert!((sum(&taps) - 1.0).abs() < 1e-5);
        }
        for (radius, soften) in [(0.3, 0.4), (3.0, 0.1), (6.0, 0.5)] {
            assert!((sum(&disk(radius, soften)) - 1.0).abs() < 1e-5, "{radius}");
        }
    }

    #[test]
    fn motion_to_the_right_looks_right() {
        let mut image = Image::filled(9, 1, 1, 0).unwrap();
        image.pixels_mut()[6] = 250;
        let out = motion_blur(&image, 1.0, f32::INFINITY, 0.0).unwrap();
        assert_eq!(out.pixels(), [0, 0, 0, 0, 83, 83, 83, 0, 0]);
    }

    #[test]
    fn parameters_out_of_range_are_errors() {
        let image = Image::filled(3, 3, 1, 9).unwrap();
        assert!(motion_blur(&image, 0.0, 1.0, 0.0).is_err());
        assert!(motion_blur(&image, 1.0, 0.0, 0.0).is_err());
        assert!(motion_blur(&image, 1.0, 1.0, f32::NAN).is_err());
        assert!(defocus_blur(&image, 65.0, 1.0).is_err());
        assert!(defocus_blur(&image, 1.0, 0.0).is_err());
        assert!(zoom_blur(&image, 0.0, 3).is_err());
        assert!(zoom_blur(&image, 0.1, 0).is_err());
        assert!(glass_blur(&image, f32::NAN, 1, 1, 0).is_err());
        assert!(glass_blur(&image, 1.0, 0, 1, 0).is_err());
        assert!(pixelate(&image, 0.0).is_err());
        assert!(pixelate(&image, 1.1).is_err());
    }
}
