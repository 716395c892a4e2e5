//! Operations on colours.

use super::{Check, Draw, between, color};
use crate::color::Adjustment;
use crate::error::Result;
use crate::{Rng, Transform};
use serde::{Deserialize, Serialize};

/// Defines operations that draw one number from a range and hand it to one adjustment.
macro_rules! one_number {
    ($($(#[$doc:meta])* $name:ident => $adjustment:ident {
        $field:ident in $bounds:expr, $expected:literal, $unit:literal
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
                    color(Adjustment::$adjustment(rng.range(self.$field.0, self.$field.1)))
                }
            }
        )*
    };
}

one_number! {
    /// Multiplies all values by a factor.
    Brightness => Brightness {
        factor in 0.0..=100.0, "a range within 0..=100",
        "Least and largest factor; 1 changes nothing."
    }
    /// Moves all values away from the image's mean grey, or towards it.
    Contrast => Contrast {
        factor in 0.0..=100.0, "a range within 0..=100",
        "Least and largest factor; 1 changes nothing."
    }
    /// Moves colours away from their grey, or towards it.
    Saturation => Saturation {
        factor in 0.0..=100.0, "a range within 0..=100",
        "Least and largest factor; 1 changes nothing."
    }
    /// Turns the hue.
    Hue => Hue {
        turn in -0.5..=0.5, "a range within -0.5..=0.5",
        "Least and largest part of a full circle."
    }
    /// Raises values to a power.
    Gamma => Gamma {
        gamma in 0.01..=100.0, "a range within 0.01..=100",
        "Least and largest exponent; 1 changes nothing."
    }
    /// Inverts values from a threshold on.
    Solarize => Solarize {
        threshold in 0.0..=256.0, "a range within 0..=256",
        "Least and largest threshold; 256 changes nothing."
    }
    /// Sharpens or softens.
    Sharpness => Sharpness {
        factor in 0.0..=100.0, "a range within 0..=100",
        "Least and largest factor; 1 changes nothing, 0 is smoothed."
    }
    /// Lights the scene by a black body of another temperature.
    ColorTemperature => Temperature {
        kelvin in 1667.0..=25000.0, "a range within 1667..=25000",
        "Least and largest temperature; 6500 changes nothing, less is redder."
    }
}

/// Brightness, contrast, saturation (factors uniform in `max(0, 1 - x)..=1 + x`) and hue (a turn uniform in
/// `-hue..=hue`), in random order. A range of 0 leaves the operation out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColorJitter {
    /// Range of brightness, at least 0.
    #[serde(default)]
    pub brightness: f32,
    /// Range of contrast, at least 0.
    #[serde(default)]
    pub contrast: f32,
    /// Range of saturation, at least 0.
    #[serde(default)]
    pub saturation: f32,
    /// Range of hue in full turns, 0..=0.5.
    #[serde(default)]
    pub hue: f32,
}

impl Draw for ColorJitter {
    fn check(&self, check: Check) -> Result<()> {
        for (name, x) in
            [("brightness", self.brightness), ("contrast", self.contrast), ("saturation", self.saturation)]
        {
            check.number(name, x, 0.0..=100.0, "within 0..=100")?;
        }
        check.number("hue", self.hue, 0.0..=0.5, "within 0..=0.5")
    }

    fn draw(&self, _: usize, _: usize, rng: &mut Rng) -> Transform {
        let mut factor = |x: f32| rng.range((1.0 - x).max(0.0), 1.0 + x);
        let all = [
            (self.brightness, Adjustment::Brightness(factor(self.brightness))),
            (self.contrast, Adjustment::Contrast(factor(self.contrast))),
            (self.saturation, Adjustment::Saturation(factor(self.saturation))),
            (self.hue, Adjustment::Hue(rng.range(-self.hue, self.hue))),
        ];
        let mut adjustments: Vec<_> =
            all.into_iter().filter(|&(range, _)| range > 0.0).map(|(_, op)| op).collect();
        rng.shuffle(&mut adjustments);
        Transform::Color { adjustments }
    }
}

/// Puts the three channels in a random order; one time in six it is the old one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelShuffle {}

impl Draw for ChannelShuffle {
    fn check(&self, _: Check) -> Result<()> {
        Ok(())
    }

    fn draw(&self, _: usize, _: usize, rng: &mut Rng) -> Transform {
        let mut order = [0, 1, 2];
        rng.shuffle(&mut order);
        color(Adjustment::Shuffle(order))
    }
}

/// Sets one or two random channels to one value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelDrop {
    /// Least and largest number of channels, 1..=2.
    #[serde(default = "one")]
    pub channels: (usize, usize),
    /// The value.
    #[serde(default)]
    pub fill: u8,
}

fn one() -> (usize, usize) {
    (1, 1)
}

impl Draw for ChannelDrop {
    fn check(&self, check: Check) -> Result<()> {
        check.counts("channels", self.channels, 1..=2, "a range within 1..=2")
    }

    fn draw(&self, _: usize, _: usize, rng: &mut Rng) -> Transform {
        let count = between(rng, self.channels);
        let mut dropped = [0, 1, 2].map(|c| c < count);
        rng.shuffle(&mut dropped);
        color(Adjustment::DropChannels { dropped, fill: self.fill })
    }
}

/// Adds a number uniform in `-limit..=limit` to each channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RgbShift {
    /// Largest shift of red, green and blue, 0..=255.
    pub limit: [u8; 3],
}

impl Draw for RgbShift {
    fn check(&self, _: Check) -> Result<()> {
        Ok(())
    }

    fn draw(&self, _: usize, _: usize, rng: &mut Rng) -> Transform {
        let shift = self.limit.map(|limit| {
            let limit = i16::from(limit);
            rng.below(2 * limit as usize + 1) as i16 - limit
        });
        color(Adjustment::RgbShift(shift))
    }
}

/// Keeps only the highest bits of each value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posterize {
    /// Least and largest number of bits, 1..=8; 8 changes nothing.
    pub bits: (usize, usize),
}

impl Draw for Posterize {
    fn check(&self, check: Check) -> Result<()> {
        check.counts("bits", self.bits, 1..=8, "a range within 1..=8")
    }

    fn draw(&self, _: usize, _: usize, rng: &mut Rng) -> Transform {
        color(Adjustment::Posterize(between(rng, self.bits) as u8))
    }
}

/// Contrast-limited adaptive histogram equalisation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clahe {
    /// Least and largest limit of a value's count relative to the mean count, 0..=1000; 0 means no limit.
    pub clip: (f32, f32),
    /// Tiles across and down, 1..=256 each.
    #[serde(default = "tiles")]
    pub tiles: (usize, usize),
}

fn tiles() -> (usize, usize) {
    (8, 8)
}

impl Draw for Clahe {
    fn check(&self, check: Check) -> Result<()> {
        check.range("clip", self.clip, 0.0..=1000.0, "a range within 0..=1000")?;
        let sides = 1..=256;
        let ok = sides.contains(&self.tiles.0) && sides.contains(&self.tiles.1);
        check.ensure("tiles", ok, "two numbers within 1..=256", &self.tiles)
    }

    fn draw(&self, _: usize, _: usize, rng: &mut Rng) -> Transform {
        let clip = rng.range(self.clip.0, self.clip.1);
        color(Adjustment::Clahe { clip, columns: self.tiles.0, rows: self.tiles.1 })
    }
}

/// Adds the principal components of ImageNet's colours times normal random factors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lighting {
    /// Standard deviation of the factors, 0..=10; 0.1 is usual.
    pub std: f32,
}

impl Draw for Lighting {
    fn check(&self, check: Check) -> Result<()> {
        check.number("std", self.std, 0.0..=10.0, "within 0..=10")
    }

    fn draw(&self, _: usize, _: usize, rng: &mut Rng) -> Transform {
        color(Adjustment::Lighting(std::array::from_fn(|_| self.std * rng.normal())))
    }
}
