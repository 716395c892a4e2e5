//! Noise of sensors and transmission. The alpha channel of RGBA images is never touched.

use super::sampling::Poisson;
use super::{at_least, in_place, map_colors, positive};
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
    in_place(image, |image| gaussian_noise_in_place(image, std, seed))
}

pub(crate) fn gaussian_noise_in_place(image: &mut Image, std: f32, seed: u64) -> Result<()> {
    at_least("gaussian_noise", "std", std, 0.0, 10.0)?;
    map_all(image, seed, |key, values| image::add_normal_noise(Isa::detect(), key, std * 255.0, values));
    Ok(())
}

/// Multiplies by `1 + n` with independent normal n of standard deviation `std`.
///
/// # Errors
/// A standard deviation outside 0..=10.
///
/// # Source
/// Hendrycks and Dietterich 2019, speckle noise; there values are cut after scaling, here they are rounded.
pub fn speckle_noise(image: &Image, std: f32, seed: u64) -> Result<Image> {
    in_place(image, |image| speckle_noise_in_place(image, std, seed))
}

pub(crate) fn speckle_noise_in_place(image: &mut Image, std: f32, seed: u64) -> Result<()> {
    at_least("speckle_noise", "std", std, 0.0, 10.0)?;
    map_all(image, seed, |key, values| image::multiply_normal_noise(Isa::detect(), key, std, values));
    Ok(())
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
    in_place(image, |image| impulse_noise_in_place(image, amount, seed))
}

pub(crate) fn impulse_noise_in_place(image: &mut Image, amount: f32, seed: u64) -> Result<()> {
    at_least("impulse_noise", "amount", amount, 0.0, 1.0)?;
    let amount = f64::from(amount);
    map_all(image, seed, |key, values| image::salt_and_pepper(Isa::detect(), key, amount, values));
    Ok(())
}

/// Calls `f` with the key of a seed and all values; alpha stays.
fn map_all(image: &mut Image, seed: u64, f: impl Fn(u64, &mut [u8])) {
    let old = if image.channels() == 4 { image.pixels().to_vec() } else { Vec::new() };
    f(Rng::keyed(&[seed]).next_u64(), image.pixels_mut());
    copy_alpha(&old, image);
}

fn level(v: f64) -> u8 {
    (v + 0.5) as u8
}
