//! The corruptions of the robustness benchmarks ImageNet-C and CIFAR-10-C.

use crate::error::{Result, parameter};
use crate::quality::{self, Snow};
use crate::{Image, Rng};
use serde::{Deserialize, Serialize};

/// One of the 15 corruptions on which robustness is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Corruption {
    /// Normal noise, [`quality::gaussian_noise`].
    GaussianNoise,
    /// Photon noise, [`quality::shot_noise`].
    ShotNoise,
    /// Salt and pepper, [`quality::impulse_noise`].
    ImpulseNoise,
    /// A lens out of focus, [`quality::defocus_blur`].
    DefocusBlur,
    /// Rough glass, [`quality::glass_blur`].
    GlassBlur,
    /// A moving camera, [`quality::motion_blur`] in a random direction within 45 degrees of the horizontal.
    MotionBlur,
    /// A zooming lens, [`quality::zoom_blur`].
    ZoomBlur,
    /// Falling snow, [`quality::snow`].
    Snow,
    /// Frost on the glass, [`quality::frost`].
    Frost,
    /// Fog, [`quality::fog`].
    Fog,
    /// More light, [`quality::brightness`].
    Brightness,
    /// Less contrast, [`quality::contrast`].
    Contrast,
    /// Elastic distortion, [`quality::elastic`].
    ElasticTransform,
    /// Large pixels, [`quality::pixelate`].
    Pixelate,
    /// JPEG artefacts, [`quality::jpeg`].
    JpegCompression,
}

/// Sides up to this take the severities of CIFAR-10-C.
const SMALL: usize = 64;

impl Corruption {
    /// All 15, in the order of the paper.
    pub const ALL: [Self; 15] = [
        Self::GaussianNoise,
        Self::ShotNoise,
        Self::ImpulseNoise,
        Self::DefocusBlur,
        Self::GlassBlur,
        Self::MotionBlur,
        Self::ZoomBlur,
        Self::Snow,
        Self::Frost,
        Self::Fog,
        Self::Brightness,
        Self::Contrast,
        Self::ElasticTransform,
        Self::Pixelate,
        Self::JpegCompression,
    ];

    /// The benchmark's name, such as `gaussian_noise`.
    pub fn name(self) -> &'static str {
        match self {
            Self::GaussianNoise => "gaussian_noise",
            Self::ShotNoise => "shot_noise",
            Self::ImpulseNoise => "impulse_noise",
            Self::DefocusBlur => "defocus_blur",
            Self::GlassBlur => "glass_blur",
            Self::MotionBlur => "motion_blur",
            Self::ZoomBlur => "zoom_blur",
            Self::Snow => "snow",
            Self::Frost => "frost",
            Self::Fog => "fog",
            Self::Brightness => "brightness",
            Self::Contrast => "contrast",
            Self::ElasticTransform => "elastic_transform",
            Self::Pixelate => "pixelate",
            Self::JpegCompression => "jpeg_compression",
        }
    }

    /// The corruption called `name`; None if there is none.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }

    /// Whether the result depends on the seed.
    pub fn is_random(self) -> bool {
        !matches!(
            self,
            Self::DefocusBlur
                | Self::ZoomBlur
                | Self::Brightness
                | Self::Contrast
                | Self::Pixelate
                | Self::JpegCompression
        )
    }

    /// Corrupts an image; its size and channels stay.
    ///
    /// Images whose longer side is at most 64 pixels take the parameters of CIFAR-10-C, others those of ImageNet-C.
    /// Lengths are in pixels, meant for sides of 32 and 224, and are not scaled to other sizes.
    ///
    /// # Errors
    /// A severity outside 1..=5; an image that JPEG cannot hold (a side above 65535).
    ///
    /// # Source
    /// Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations", ICLR
    /// 2019, parameters as in the authors' generators. Deviations: results are rounded to nearest where the originals
    /// cut; frost is made without photographs; elastic transform samples once; the pseudo-random numbers are ours. The
    /// published sets are stored as JPEG files of quality 85 in the case of ImageNet-C; this step is left out.
    pub fn apply(self, image: &Image, severity: u8, seed: u64) -> Result<Image> {
        if !(1..=5).contains(&severity) {
            return Err(parameter("corruption", "severity", "within 1..=5", severity.to_string()));
        }
        let small = image.width().max(image.height()) <= SMALL;
        let i = usize::from(severity) - 1;
        let pick = |photo: [f32; 5], tiny: [f32; 5]| if small { tiny[i] } else { photo[i] };
        let pair = |photo: [(f32, f32); 5], tiny: [(f32, f32); 5]| if small { tiny[i] } else { photo[i] };
        let mut rng = Rng::keyed(&[seed, self as u64]);
        let draw = |rng: &mut Rng| rng.next_u64();
        match self {
            Self::GaussianNoise => {
                let std = pick([0.08, 0.12, 0.18, 0.26, 0.38], [0.04, 0.06, 0.08, 0.09, 0.10]);
                quality::gaussian_noise(image, std, draw(&mut rng))
            }
            Self::ShotNoise => {
                let photons = pick([60.0, 25.0, 12.0, 5.0, 3.0], [500.0, 250.0, 100.0, 75.0, 50.0]);
                quality::shot_noise(image, photons, draw(&mut rng))
            }
            Self::ImpulseNoise => {
                let amount = pick([0.03, 0.06, 0.09, 0.17, 0.27], [0.01, 0.02, 0.03, 0.05, 0.07]);
                quality::impulse_noise(image, amount, draw(&mut rng))
            }
            Self::DefocusBlur => {
                let (radius, soften) = pair(
                    [(3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)],
                    [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)],
                );
                quality::defocus_blur(image, radius, soften)
            }
            Self::GlassBlur => {
                let photo = [(0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2)];
                let tiny = [(0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)];
                let (sigma, distance, rounds) = if small { tiny[i] } else { photo[i] };
                quality::glass_blur(image, sigma, distance, rounds, draw(&mut rng))
            }
            Self::MotionBlur => {
                let (radius, sigma) = pair(
                    [(10.0, 3.0), (15.0, 5.0), (15.0, 8.0), (15.0, 12.0), (20.0, 15.0)],
                    [(6.0, 1.0), (6.0, 1.5), (6.0, 2.0), (8.0, 2.0), (9.0, 2.5)],
                );
                quality::motion_blur(image, radius, sigma, rng.range(-45.0, 45.0))
            }
            Self::ZoomBlur => {
                // The original's ranges are half open, but rounding lets the end in for some of them.
                let photo = [(0.01, 12), (0.01, 16), (0.02, 11), (0.02, 13), (0.03, 11)];
                let tiny = [(0.01, 7), (0.01, 12), (0.01, 16), (0.01, 21), (0.01, 26)];
                let (step, count) = if small { tiny[i] } else { photo[i] };
                quality::zoom_blur(image, step, count)
            }
            Self::Snow => {
                let photo = [
                    [0.1, 0.3, 3.0, 0.5, 10.0, 4.0, 0.8],
                    [0.2, 0.3, 2.0, 0.5, 12.0, 4.0, 0.7],
                    [0.55, 0.3, 4.0, 0.9, 12.0, 8.0, 0.7],
                    [0.55, 0.3, 4.5, 0.85, 12.0, 8.0, 0.65],
                    [0.55, 0.3, 2.5, 0.85, 12.0, 12.0, 0.55],
                ];
                let tiny = [
                    [0.1, 0.2, 1.0, 0.6, 8.0, 3.0, 0.95],
                    [0.1, 0.2, 1.0, 0.5, 10.0, 4.0, 0.9],
                    [0.15, 0.3, 1.75, 0.55, 10.0, 4.0, 0.9],
                    [0.25, 0.3, 2.25, 0.6, 12.0, 6.0, 0.85],
                    [0.3, 0.3, 1.25, 0.65, 14.0, 12.0, 0.8],
                ];
                let [mean, std, zoom, threshold, radius, sigma, keep] =
                    if small { tiny[i] } else { photo[i] };
                let snow = Snow { mean, std, zoom, threshold, radius, sigma, keep };
                quality::snow(image, snow, draw(&mut rng))
            }
            Self::Frost => {
                let (keep, amount) = pair(
                    [(1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)],
                    [(1.0, 0.2), (1.0, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)],
                );
                quality::frost(image, keep, amount, draw(&mut rng))
            }
            Self::Fog => {
                let (density, decay) = pair(
                    [(1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4)],
                    [(0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)],
                );
                quality::fog(image, density, decay, draw(&mut rng))
            }
            Self::Brightness => {
                quality::brightness(image, pick([0.1, 0.2, 0.3, 0.4, 0.5], [0.05, 0.1, 0.15, 0.2, 0.3]))
            }
            Self::Contrast => {
                quality::contrast(image, pick([0.4, 0.3, 0.2, 0.1, 0.05], [0.75, 0.5, 0.4, 0.3, 0.15]))
            }
            Self::ElasticTransform => {
                // The original's 244, for pictures of 224 pixels, is kept.
                let photo = [
                    [488.0, 170.8, 24.4],
                    [488.0, 19.52, 48.8],
                    [12.2, 2.44, 4.88],
                    [17.08, 2.44, 4.88],
                    [29.28, 2.44, 4.88],
                ];
                let tiny = [
                    [0.0, 0.0, 2.56],
                    [1.6, 6.4, 2.24],
                    [2.56, 1.92, 1.92],
                    [3.2, 1.28, 1.6],
                    [3.2, 0.96, 0.96],
                ];
                let [alpha, sigma, jitter] = if small { tiny[i] } else { photo[i] };
                quality::elastic(image, alpha, sigma, jitter, draw(&mut rng))
            }
            Self::Pixelate => {
                quality::pixelate(image, pick([0.6, 0.5, 0.4, 0.3, 0.25], [0.95, 0.9, 0.85, 0.75, 0.65]))
            }
            Self::JpegCompression => {
                let (photo, tiny) = ([25, 18, 15, 10, 7], [80, 65, 58, 50, 40]);
                quality::jpeg(image, if small { tiny[i] } else { photo[i] })
            }
        }
    }
}

impl std::fmt::Display for Corruption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_benchmark_and_of_stored_files() {
        for corruption in Corruption::ALL {
            assert_eq!(Corruption::from_name(corruption.name()), Some(corruption));
            assert_eq!(serde_json::to_value(corruption).unwrap(), corruption.name());
        }
        assert_eq!(Corruption::from_name("spatter"), None);
        assert!(Corruption::Fog.apply(&Image::filled(2, 2, 3, 0).unwrap(), 6, 0).is_err());
        assert!(Corruption::Fog.apply(&Image::filled(2, 2, 3, 0).unwrap(), 0, 0).is_err());
    }
}
