//! What spoils pictures, with all parameters: the functions of [`crate::quality`] as data.

use crate::error::Result;
use crate::quality::{self, Rain};
use crate::{Corruption, Image};
use serde::{Deserialize, Serialize};

/// One effect; the fields are the parameters of the function of the same name in [`crate::quality`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effect {
    /// [`quality::gaussian_blur`] with the kernel chosen from sigma.
    GaussianBlur {
        /// Standard deviation in pixels.
        sigma: f32,
    },
    /// [`quality::motion_blur`] with equal weights.
    MotionBlur {
        /// Half the length in pixels.
        radius: f32,
        /// Direction in degrees.
        degrees: f32,
    },
    /// [`quality::defocus_blur`] with a rim softened by 0.5 pixels.
    DefocusBlur {
        /// Radius of the disk in pixels.
        radius: f32,
    },
    /// [`quality::gaussian_noise`].
    GaussianNoise {
        /// Standard deviation, 1 being white.
        std: f32,
        /// Seed.
        seed: u64,
    },
    /// [`quality::speckle_noise`].
    SpeckleNoise {
        /// Standard deviation of the factor.
        std: f32,
        /// Seed.
        seed: u64,
    },
    /// [`quality::shot_noise`].
    ShotNoise {
        /// Photons of a white value.
        photons: f32,
        /// Seed.
        seed: u64,
    },
    /// [`quality::impulse_noise`].
    ImpulseNoise {
        /// Part of the values.
        amount: f32,
        /// Seed.
        seed: u64,
    },
    /// [`quality::jpeg`].
    Jpeg {
        /// Quality, 1..=100.
        quality: u8,
    },
    /// [`quality::pixelate`].
    Pixelate {
        /// Part of each side, above 0 and up to 1.
        factor: f32,
    },
    /// [`quality::fog`].
    Fog {
        /// Density.
        density: f32,
        /// Smoothness.
        decay: f32,
        /// Seed.
        seed: u64,
    },
    /// [`quality::rain`].
    Rain {
        /// The drops.
        #[serde(flatten)]
        rain: Rain,
        /// Seed.
        seed: u64,
    },
    /// [`Corruption::apply`].
    Corruption {
        /// Which.
        corruption: Corruption,
        /// 1..=5.
        severity: u8,
        /// Seed.
        seed: u64,
    },
}

impl Effect {
    /// Applies it; size and channels stay.
    ///
    /// # Errors
    /// A parameter out of the range that the function documents.
    pub fn apply(&self, mut image: Image) -> Result<Image> {
        match *self {
            Self::GaussianBlur { sigma } => quality::gaussian_blur_in_place(&mut image, sigma, 0)?,
            Self::MotionBlur { radius, degrees } => {
                quality::motion_blur_in_place(&mut image, radius, f32::INFINITY, degrees)?;
            }
            Self::DefocusBlur { radius } => quality::defocus_blur_in_place(&mut image, radius, 0.5)?,
            Self::GaussianNoise { std, seed } => quality::gaussian_noise_in_place(&mut image, std, seed)?,
            Self::SpeckleNoise { std, seed } => quality::speckle_noise_in_place(&mut image, std, seed)?,
            Self::ShotNoise { photons, seed } => return quality::shot_noise(&image, photons, seed),
            Self::ImpulseNoise { amount, seed } => {
                quality::impulse_noise_in_place(&mut image, amount, seed)?;
            }
            Self::Jpeg { quality } => quality::jpeg_in_place(&mut image, quality)?,
            Self::Pixelate { factor } => return quality::pixelate(&image, factor),
            Self::Fog { density, decay, seed } => quality::fog_in_place(&mut image, density, decay, seed)?,
            Self::Rain { rain, seed } => quality::rain_in_place(&mut image, rain, seed)?,
            Self::Corruption { corruption, severity, seed } => {
                return corruption.apply(&image, severity, seed);
            }
        }
        Ok(image)
    }
}
