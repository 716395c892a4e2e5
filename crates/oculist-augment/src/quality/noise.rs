//! Noise of sensors and transmission. The alpha channel of RGBA images is never touched.

use super::sampling::Poisson;
use super::{at_least, map_colors, positive};
use crate::color::copy_alpha;
use crate::error::Result;
use crate::{Image, Rng};
use oculist_kernels::{Isa, image};

/// Adds independent normal numbers of standard deviation `std` (1 is the whole range from black to white).
///
/// `clip(x + n, 0, 1)` in units of 255 levels, rounded to nearest.
///
/// # Errors
/// A standard deviation outside 0..=10.
///
/// # Source
/// Hendrycks and Dietterich 2019, Gaussian noise; there values are cut after scaling, here they are rounded.
pub fn gaussian_noise(image: &Image, std: f32, seed: u64) -> Result<Image> {
    at_least("gaussian_noise", "std", std, 0.0, 10.0)?;
    Ok(map_all(image, |key, values| image::add_normal_noise(Isa::detect(), key, std * 255.0, values), seed))
}

/// Multiplies by `1 + n` with independent normal n of standard deviation `std`.
///
/// # Errors
/// A standard deviation outside 0..=10.
///
/// # Source
/// Hendrycks and Dietterich 2019, speckle noise; there values are cut after scaling, here they are rounded.
pub fn speckle_noise(image: &Image, std: f32, seed: u64) -> Result<Image> {
    at_least("speckle_noise", "std", std, 0.0, 10.0)?;
    Ok(map_all(image, |key, values| image::multiply_normal_noise(Isa::detect(), key, std, values), seed))
}

/// Photon noise: each value becomes a Poisson count with mean `photons * x`, divided by `photons` (x in 0..=1).
///
/// The variance is `x / photons`, before cutting to white.
///
/// # Errors
/// Photons that are not above 0 and at most 10^6.
///
/// # Source
/// Hendrycks and Dietterich 2019, shot noise; there values are cut after scaling, here they are rounded.
pub fn shot_noise(image: &Image, photons: f32, seed: u64) -> Result<Image> {
    positive("shot_noise", "photons", photons, 1e6)?;
    let photons = f64::from(photons);
    let mut tables: Vec<Option<Poisson>> = (0..256).map(|_| None).collect();
    let mut rng = Rng::keyed(&[seed]);
    Ok(map_colors(image, |v| {
        let table =
            tables[usize::from(v)].get_or_insert_with(|| Poisson::new(photons * f64::from(v) / 255.0));
        level(table.draw(&mut rng) as f64 * 255.0 / photons)
    }))
}

/// Salt and pepper: each value becomes, with probability `amount`, black or white with equal chances.
///
/// Channels are hit independently of each other.
///
/// # Errors
/// An amount outside 0..=1.
///
/// # Source
/// Hendrycks and Dietterich 2019, impulse noise, which is scikit-image's `random_noise` in mode `s&p`.
pub fn impulse_noise(image: &Image, amount: f32, seed: u64) -> Result<Image> {
    at_least("impulse_noise", "amount", amount, 0.0, 1.0)?;
    let amount = f64::from(amount);
    Ok(map_all(image, |key, values| image::salt_and_pepper(Isa::detect(), key, amount, values), seed))
}

/// Calls `f` with the key of a seed and all values; alpha stays.
fn map_all(image: &Image, f: impl Fn(u64, &mut [u8]), seed: u64) -> Image {
    let mut out = image.clone();
    f(Rng::keyed(&[seed]).next_u64(), out.pixels_mut());
    copy_alpha(image.pixels(), &mut out);
    out
}

fn level(v: f64) -> u8 {
    (v + 0.5) as u8
}
