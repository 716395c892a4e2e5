//! Operations that spoil the picture: blur, noise, compression, weather.

use super::{Check, Draw, between, draw_seed};
use crate::error::Result;
use crate::transform::Effect;
use crate::{Corruption, Rng, Transform};
use serde::{Deserialize, Serialize};

/// Defines operations that draw one number from a range, and perhaps a seed.
macro_rules! one_number {
    ($($(#[$doc:meta])* $name:ident {
        $field:ident in $bounds:expr, $expected:literal, $unit:literal, $effect:expr
    })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name {
                #[doc = $unit]
                pub $field: (f32, f32),
            }

            impl Draw for $name {
                fn check(&self, check: Check) -> Result<()> {
                    check.range(stringify!($field), self.$field, $bounds, $expected)
                }

                fn draw(&self, _: usize, _: usize, rng: &mut Rng) -> Transform {
                    let number = rng.range(self.$field.0, self.$field.1);
                    let effect: fn(f32, &mut Rng) -> Effect = $effect;
                    Transform::Quality { effect: effect(number, rng) }
                }
            }
        )*
    };
}

one_number! {
    /// Blurs by a Gaussian.
    GaussianBlur {
        sigma in 0.01..=100.0, "a range within 0.01..=100",
        "Least and largest standard deviation in pixels.",
        |sigma, _| Effect::GaussianBlur { sigma }
    }
    /// Blurs along a random direction, as a moving camera does.
    MotionBlur {
        radius in 0.01..=512.0, "a range within 0.01..=512",
        "Least and largest half length in pixels.",
        |radius, rng| Effect::MotionBlur { radius, degrees: rng.range(0.0, 360.0) }
    }
    /// Blurs by a disk, as a lens out of focus does.
    DefocusBlur {
        radius in 0.0..=64.0, "a range within 0..=64",
        "Least and largest radius in pixels.",
        |radius, _| Effect::DefocusBlur { radius }
    }
    /// Adds normal noise to every value.
    GaussianNoise {
        std in 0.0..=10.0, "a range within 0..=10",
        "Least and largest standard deviation, 1 being white.",
        |std, rng| Effect::GaussianNoise { std, seed: draw_seed(rng) }
    }
    /// Multiplies every value by 1 plus normal noise.
    SpeckleNoise {
        std in 0.0..=10.0, "a range within 0..=10",
        "Least and largest standard deviation of the factor.",
        |std, rng| Effect::SpeckleNoise { std, seed: draw_seed(rng) }
    }
    /// Makes every value a count of photons.
    ShotNoise {
        photons in 0.01..=1e6, "a range within 0.01..=1000000",
        "Least and largest number of photons of a white value; fewer are noisier.",
        |photons, rng| Effect::ShotNoise { photons, seed: draw_seed(rng) }
    }
    /// Makes some values black or white: salt and pepper.
    ImpulseNoise {
        amount in 0.0..=1.0, "a range within 0..=1",
        "Least and largest part of the values.",
        |amount, rng| Effect::ImpulseNoise { amount, seed: draw_seed(rng) }
    }
    /// Reduces the image and enlarges it again.
    Downscale {
        factor in 0.001..=1.0, "a range within 0.001..=1",
        "Least and largest part of each side.",
        |factor, _| Effect::Pixelate { factor }
    }
    /// Covers the scene with fog.
    Fog {
        density in 0.0..=100.0, "a range within 0..=100",
        "Least and largest density; 1.5 is moderate.",
        |density, rng| Effect::Fog { density, decay: 2.0, seed: draw_seed(rng) }
    }
}

/// Compresses as JPEG and decodes again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JpegCompression {
    /// Least and largest quality, 1..=100.
    pub quality: (usize, usize),
}

impl Draw for JpegCompression {
    fn check(&self, check: Check) -> Result<()> {
        check.counts("quality", self.quality, 1..=100, "a range within 1..=100")
    }

    fn draw(&self, _: usize, _: usize, rng: &mut Rng) -> Transform {
        Transform::Quality { effect: Effect::Jpeg { quality: between(rng, self.quality) as u8 } }
    }
}

/// Lets rain fall, with a random slant up to 20 degrees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rain {
    /// Least and largest number of drops per 1000 pixels, 0..=1000.
    pub drops: (f32, f32),
    /// Length of a streak in pixels, 1..=512.
    pub length: f32,
    /// How much a streak covers the scene, 0..=1.
    pub opacity: f32,
}

impl Draw for Rain {
    fn check(&self, check: Check) -> Result<()> {
        check.range("drops", self.drops, 0.0..=1000.0, "a range within 0..=1000")?;
        check.number("length", self.length, 1.0..=512.0, "within 1..=512")?;
        check.number("opacity", self.opacity, 0.0..=1.0, "within 0..=1")
    }

    fn draw(&self, _: usize, _: usize, rng: &mut Rng) -> Transform {
        let rain = crate::quality::Rain {
            drops: rng.range(self.drops.0, self.drops.1),
            length: self.length,
            slant: rng.range(-20.0, 20.0),
            opacity: self.opacity,
            dim: 0.2,
        };
        Transform::Quality { effect: Effect::Rain { rain, seed: draw_seed(rng) } }
    }
}

/// One of the corruptions of the robustness benchmarks, at a random severity.
///
/// Training with the corruptions that robustness is measured with makes the measure meaningless.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corrupt {
    /// The corruptions to choose from; all 15 if empty.
    #[serde(default)]
    pub corruptions: Vec<Corruption>,
    /// Least and largest severity, 1..=5.
    pub severity: (usize, usize),
}

impl Draw for Corrupt {
    fn check(&self, check: Check) -> Result<()> {
        check.counts("severity", self.severity, 1..=5, "a range within 1..=5")
    }

    fn draw(&self, _: usize, _: usize, rng: &mut Rng) -> Transform {
        let all = if self.corruptions.is_empty() { &Corruption::ALL[..] } else { &self.corruptions };
        let corruption = all[rng.below(all.len())];
        let severity = between(rng, self.severity) as u8;
        Transform::Quality { effect: Effect::Corruption { corruption, severity, seed: draw_seed(rng) } }
    }
}
