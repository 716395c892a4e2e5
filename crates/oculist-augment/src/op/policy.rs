//! Policies: sets of operations with tabulated strengths.

mod aug_mix;

pub use aug_mix::AugMix;

use super::{Check, ColorJitter, Draw, color};
use crate::color::Adjustment;
use crate::error::Result;
use crate::geometry::{Border, Interpolation};
use crate::policy::{self, Sampling};
use crate::transform::Effect;
use crate::{Rng, Transform};
use serde::{Deserialize, Serialize};

fn nearest() -> Interpolation {
    Interpolation::Nearest
}

fn check_bins(check: Check, bins: usize) -> Result<()> {
    check.ensure("bins", (2..=1000).contains(&bins), "within 2..=1000", &bins)
}

/// One random operation of random strength from the wide space.
///
/// # Source
/// Müller and Hutter, "TrivialAugment: tuning-free yet state-of-the-art data augmentation", 2021; operations
/// and strengths as torchvision's `TrivialAugmentWide`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrivialAugmentWide {
    /// Number of strengths, 2..=1000.
    #[serde(default = "many_bins")]
    pub bins: usize,
    /// How places between pixels are sampled; nearest by default, as in torchvision.
    #[serde(default = "nearest")]
    pub interpolation: Interpolation,
    /// What lies outside.
    #[serde(default)]
    pub border: Border,
}

fn many_bins() -> usize {
    31
}

impl Default for TrivialAugmentWide {
    fn default() -> Self {
        Self { bins: many_bins(), interpolation: nearest(), border: Border::default() }
    }
}

impl Draw for TrivialAugmentWide {
    fn check(&self, check: Check) -> Result<()> {
        check_bins(check, self.bins)
    }

    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        let how = Sampling { interpolation: self.interpolation, border: self.border };
        let (action, magnitude) = policy::TRIVIAL_AUGMENT_WIDE[rng.below(policy::TRIVIAL_AUGMENT_WIDE.len())];
        let bin = rng.below(self.bins);
        let value = magnitude.draw(bin, self.bins, (width, height), rng);
        action.transform(value, (width, height), how)
    }
}

/// Several random operations of one strength.
///
/// # Source
/// Cubuk et al., "RandAugment: practical automated data augmentation with a reduced search space", 2019;
/// operations and strengths as torchvision's `RandAugment`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandAugment {
    /// Number of operations, 1..=100.
    #[serde(default = "two")]
    pub count: usize,
    /// The bin of the strength, below `bins`.
    #[serde(default = "nine")]
    pub magnitude: usize,
    /// Number of strengths, 2..=1000.
    #[serde(default = "many_bins")]
    pub bins: usize,
    /// How places between pixels are sampled; nearest by default, as in torchvision.
    #[serde(default = "nearest")]
    pub interpolation: Interpolation,
    /// What lies outside.
    #[serde(default)]
    pub border: Border,
}

fn two() -> usize {
    2
}

fn nine() -> usize {
    9
}

impl Default for RandAugment {
    fn default() -> Self {
        let border = Border::default();
        Self { count: two(), magnitude: nine(), bins: many_bins(), interpolation: nearest(), border }
    }
}

impl Draw for RandAugment {
    fn check(&self, check: Check) -> Result<()> {
        check.ensure("count", (1..=100).contains(&self.count), "within 1..=100", &self.count)?;
        check_bins(check, self.bins)?;
        check.ensure("magnitude", self.magnitude < self.bins, "below the number of bins", &self.magnitude)
    }

    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        let how = Sampling { interpolation: self.interpolation, border: self.border };
        let one = |_| {
            let (action, magnitude) = policy::RAND_AUGMENT[rng.below(policy::RAND_AUGMENT.len())];
            let value = magnitude.draw(self.magnitude, self.bins, (width, height), rng);
            action.transform(value, (width, height), how)
        };
        Transform::Sequence { transforms: (0..self.count).map(one).collect() }
    }
}

/// The data set that an AutoAugment policy was found on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// CIFAR-10.
    Cifar10,
    /// ImageNet.
    #[serde(rename = "imagenet")]
    ImageNet,
    /// Street view house numbers.
    Svhn,
}

/// One of 25 learned pairs of operations.
///
/// # Source
/// Cubuk et al., "AutoAugment: learning augmentation strategies from data", 2018; tables and strengths as
/// torchvision's `AutoAugment`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoAugment {
    /// Which policy.
    pub policy: Policy,
    /// How places between pixels are sampled; nearest by default, as in torchvision.
    #[serde(default = "nearest")]
    pub interpolation: Interpolation,
    /// What lies outside.
    #[serde(default)]
    pub border: Border,
}

impl AutoAugment {
    /// The policy with torchvision's sampling.
    pub fn new(policy: Policy) -> Self {
        Self { policy, interpolation: nearest(), border: Border::default() }
    }
}

impl Draw for AutoAugment {
    fn check(&self, _: Check) -> Result<()> {
        Ok(())
    }

    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        const BINS: usize = 10;
        let how = Sampling { interpolation: self.interpolation, border: self.border };
        let pairs = match self.policy {
            Policy::Cifar10 => policy::CIFAR10,
            Policy::ImageNet => policy::IMAGE_NET,
            Policy::Svhn => policy::SVHN,
        };
        let mut transforms = Vec::new();
        for (action, probability, bin) in pairs[rng.below(pairs.len())] {
            let used = rng.chance(probability);
            let entry = policy::AUTO_AUGMENT.iter().find(|(other, _)| *other == action);
            let value = entry.map_or(0.0, |(_, m)| m.draw(bin, BINS, (width, height), rng));
            if used {
                transforms.push(action.transform(value, (width, height), how));
            }
        }
        Transform::Sequence { transforms }
    }
}

/// One of grey, solarised and blurred, then brightness, contrast and saturation.
///
/// The blur's standard deviation is uniform in 0.1..=2 pixels, the solarisation's threshold is 128. Flip and crop,
/// which belong to the recipe too, are steps of their own.
///
/// # Source
/// Touvron, Cord, Jégou: "DeiT III: revenge of the ViT", 2022. They blur with Pillow's approximation by boxes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThreeAugment {
    /// Range of brightness, contrast and saturation about 1, 0..=1; 0 leaves them out.
    #[serde(default = "some_jitter")]
    pub jitter: f32,
}

fn some_jitter() -> f32 {
    0.3
}

impl Default for ThreeAugment {
    fn default() -> Self {
        Self { jitter: some_jitter() }
    }
}

impl Draw for ThreeAugment {
    fn check(&self, check: Check) -> Result<()> {
        check.number("jitter", self.jitter, 0.0..=1.0, "within 0..=1")
    }

    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        let choice = rng.below(3);
        let sigma = rng.range(0.1, 2.0);
        let first = match choice {
            0 => color(Adjustment::Grey),
            1 => color(Adjustment::Solarize(128.0)),
            _ => Transform::Quality { effect: Effect::GaussianBlur { sigma } },
        };
        let x = self.jitter;
        let jitter = ColorJitter { brightness: x, contrast: x, saturation: x, hue: 0.0 };
        Transform::Sequence { transforms: vec![first, jitter.draw(width, height, rng)] }
    }
}
