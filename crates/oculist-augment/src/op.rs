//! Operations with ranges to draw their parameters from.
//!
//! One struct per operation, in a file per group; [`Op`] is any of them. A new operation is a struct with `Draw` in its
//! group's file and one line in the list below.

mod color;
mod compose;
mod erase;
mod geometry;
mod policy;
mod quality;

pub use color::{
    Brightness, ChannelDrop, ChannelShuffle, Clahe, ColorJitter, ColorTemperature, Contrast, Gamma, Hue,
    Lighting, Posterize, RgbShift, Saturation, Sharpness, Solarize,
};
pub use compose::{Choice, OneOf, Sequence, SomeOf, Step};
pub use erase::{CoarseDropout, Cutout, GridDropout, RandomErasing, RandomFill};
pub use geometry::{
    Affine, CenterCrop, Elastic, GridDistortion, Pad, Perspective, RandomCrop, RandomResizedCrop, Resize,
    ResizeShorter, Rotate, Scale, Shear, ShiftScaleRotate, Translate,
};
pub use policy::{AugMix, AutoAugment, Policy, RandAugment, ThreeAugment, TrivialAugmentWide};
pub use quality::{
    Corrupt, DefocusBlur, Downscale, Fog, GaussianBlur, GaussianNoise, ImpulseNoise, JpegCompression,
    MotionBlur, Rain, ShotNoise, SpeckleNoise,
};

use crate::color::Adjustment;
use crate::error::{Result, parameter};
use crate::{Rng, Transform};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// An operation whose parameters can be drawn.
pub(crate) trait Draw {
    /// Checks every range; errors name the parameter.
    fn check(&self, check: Check) -> Result<()>;
    /// Draws the parameters for an image of this size.
    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform;
}

macro_rules! operations {
    (
        plain { $($plain:ident, $plain_name:literal, $rng:pat => $transform:expr, $text:literal;)* }
        drawn { $($variant:ident, $name:literal;)* }
    ) => {
        /// One augmentation operation with the ranges of its parameters.
        ///
        /// No operation changes a label; whether a mirrored digit is still that digit is the user's to know.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields, remote = "Self")]
        #[non_exhaustive]
        pub enum Op {
            $(#[doc = $text] $plain,)*
            $(#[doc = concat!("See [`struct@", stringify!($variant), "`].")] $variant($variant),)*
        }

        impl Op {
            /// The names of all operations, as in files.
            pub const NAMES: &[&str] = &[$($plain_name,)* $($name,)*];

            /// Those without parameters.
            const PLAIN: &[&str] = &[$($plain_name,)*];

            /// The operation's name, as in files.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$plain => $plain_name,)*
                    $(Self::$variant(_) => $name,)*
                }
            }

            /// Checks every range.
            ///
            /// # Errors
            /// The first parameter outside its range, by name.
            pub fn validate(&self) -> Result<()> {
                match self {
                    $(Self::$plain => Ok(()),)*
                    $(Self::$variant(op) => op.check(Check($name)),)*
                }
            }

            /// Draws the parameters for an image of this size.
            pub fn sample(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
                match self {
                    $(Self::$plain => {
                        let $rng = &mut *rng;
                        $transform
                    })*
                    $(Self::$variant(op) => op.draw(width, height, rng),)*
                }
            }
        }

        $(impl From<$variant> for Op {
            fn from(op: $variant) -> Self {
                Self::$variant(op)
            }
        })*
    };
}

fn color(adjustment: Adjustment) -> Transform {
    Transform::Color { adjustments: vec![adjustment] }
}

operations! {
    plain {
        HorizontalFlip, "horizontal_flip", _ => Transform::HorizontalFlip, "Mirrors left and right.";
        VerticalFlip, "vertical_flip", _ => Transform::VerticalFlip, "Mirrors top and bottom.";
        Transpose, "transpose", _ => Transform::Transpose, "Swaps x and y.";
        QuarterTurns, "quarter_turns", rng => Transform::QuarterTurns { turns: rng.below(4) as u8 },
            "Turns by none, one, two or three quarters of a circle.";
        Invert, "invert", _ => color(Adjustment::Invert), "Inverts all colours.";
        Equalize, "equalize", _ => color(Adjustment::Equalize),
            "Spreads each channel's values so that all are about equally frequent.";
        AutoContrast, "auto_contrast", _ => color(Adjustment::AutoContrast),
            "Stretches each channel's values to 0..=255.";
        ToGrey, "to_grey", _ => color(Adjustment::Grey), "Takes the colour away; channels stay.";
    }
    drawn {
        Rotate, "rotate";
        Scale, "scale";
        Translate, "translate";
        Shear, "shear";
        ShiftScaleRotate, "shift_scale_rotate";
        Affine, "affine";
        Perspective, "perspective";
        Elastic, "elastic";
        GridDistortion, "grid_distortion";
        Pad, "pad";
        RandomCrop, "random_crop";
        CenterCrop, "center_crop";
        RandomResizedCrop, "random_resized_crop";
        Resize, "resize";
        ResizeShorter, "resize_shorter";
        Brightness, "brightness";
        Contrast, "contrast";
        Saturation, "saturation";
        Hue, "hue";
        Gamma, "gamma";
        ColorJitter, "color_jitter";
        ChannelShuffle, "channel_shuffle";
        ChannelDrop, "channel_drop";
        RgbShift, "rgb_shift";
        Posterize, "posterize";
        Solarize, "solarize";
        Clahe, "clahe";
        Sharpness, "sharpness";
        ColorTemperature, "color_temperature";
        Lighting, "lighting";
        GaussianBlur, "gaussian_blur";
        MotionBlur, "motion_blur";
        DefocusBlur, "defocus_blur";
        GaussianNoise, "gaussian_noise";
        SpeckleNoise, "speckle_noise";
        ShotNoise, "shot_noise";
        ImpulseNoise, "impulse_noise";
        Downscale, "downscale";
        JpegCompression, "jpeg_compression";
        Fog, "fog";
        Rain, "rain";
        Corrupt, "corrupt";
        RandomErasing, "random_erasing";
        Cutout, "cutout";
        CoarseDropout, "coarse_dropout";
        GridDropout, "grid_dropout";
        Sequence, "sequence";
        OneOf, "one_of";
        SomeOf, "some_of";
        TrivialAugmentWide, "trivial_augment_wide";
        RandAugment, "rand_augment";
        AutoAugment, "auto_augment";
        AugMix, "aug_mix";
        ThreeAugment, "three_augment";
    }
}

impl Serialize for Op {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// Reads the fields into a JSON value first, so that the code that reads dozens of structs is compiled once,
/// here, instead of in every crate and for every format that reads a pipeline.
impl<'de> Deserialize<'de> for Op {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let name = value.get("op").and_then(serde_json::Value::as_str).unwrap_or_default();
        let Some(name) = Self::NAMES.iter().find(|known| **known == name) else {
            return Self::deserialize(value).map_err(serde::de::Error::custom);
        };
        // What has no parameters is read without looking at what else is there.
        let other = value.as_object().into_iter().flat_map(|map| map.keys()).find(|key| *key != "op");
        if let Some(other) = other.filter(|_| Self::PLAIN.contains(name)) {
            return Err(serde::de::Error::custom(format!(
                "{name}: unknown parameter `{other}`, expected none but `probability` beside it (`weight` among choices)"
            )));
        }
        Self::deserialize(value).map_err(|e| serde::de::Error::custom(format!("{name}: {e}")))
    }
}

/// Tests parameters; its errors name the operation and the parameter.
#[derive(Clone, Copy)]
pub(crate) struct Check(pub(crate) &'static str);

impl Check {
    pub(crate) fn ensure(
        self,
        name: &'static str,
        ok: bool,
        expected: &'static str,
        found: &dyn std::fmt::Debug,
    ) -> Result<()> {
        if ok { Ok(()) } else { Err(parameter(self.0, name, expected, format!("{found:?}"))) }
    }

    /// One number within bounds.
    pub(crate) fn number(
        self,
        name: &'static str,
        value: f32,
        bounds: RangeInclusive<f32>,
        expected: &'static str,
    ) -> Result<()> {
        self.ensure(name, bounds.contains(&value), expected, &value)
    }

    /// A range min <= max within bounds.
    pub(crate) fn range(
        self,
        name: &'static str,
        (min, max): (f32, f32),
        bounds: RangeInclusive<f32>,
        expected: &'static str,
    ) -> Result<()> {
        let ok = min <= max && bounds.contains(&min) && bounds.contains(&max);
        self.ensure(name, ok, expected, &(min, max))
    }

    /// A range of factors above 0.
    pub(crate) fn factors(self, name: &'static str, (min, max): (f32, f32)) -> Result<()> {
        let ok = min > 0.0 && min <= max && max.is_finite();
        self.ensure(name, ok, "a range min <= max of numbers above 0", &(min, max))
    }

    /// A range of whole numbers.
    pub(crate) fn counts(
        self,
        name: &'static str,
        (min, max): (usize, usize),
        bounds: RangeInclusive<usize>,
        expected: &'static str,
    ) -> Result<()> {
        let ok = min <= max && bounds.contains(&min) && bounds.contains(&max);
        self.ensure(name, ok, expected, &(min, max))
    }

    pub(crate) fn degrees(self, degrees: f32) -> Result<()> {
        self.number("degrees", degrees, 0.0..=180.0, "within 0..=180")
    }

    pub(crate) fn size(self, width: usize, height: usize) -> Result<()> {
        let sides = 1..=1usize << 16;
        let ok = sides.contains(&width) && sides.contains(&height);
        self.ensure("size", ok, "within 1..=65536", &(width, height))
    }

    pub(crate) fn padding(self, padding: usize) -> Result<()> {
        self.ensure("padding", padding <= 1 << 16, "at most 65536", &padding)
    }
}

/// Uniform among `min..=max`.
pub(crate) fn between(rng: &mut Rng, (min, max): (usize, usize)) -> usize {
    min + rng.below(max - min + 1)
}

/// A seed for a transform: 53 bits, so that every file format and language can hold it.
pub(crate) fn draw_seed(rng: &mut Rng) -> u64 {
    rng.next_u64() >> 11
}

#[cfg(test)]
mod tests;
