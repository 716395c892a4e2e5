//! AugMix: chains of operations mixed into one image.

use crate::error::Result;
use crate::geometry::{Border, Interpolation};
use crate::op::{Check, Draw};
use crate::policy::{self, Sampling};
use crate::{Rng, Transform};
use serde::{Deserialize, Serialize};

/// The weighted mean of the image and of several short chains of random operations on it.
///
/// The weights of the chains are Dirichlet distributed, the share of the image itself is beta distributed, all
/// with parameter `alpha`. The consistency loss that belongs to it is the training's.
///
/// # Source
/// Hendrycks et al., "AugMix: a simple data processing method to improve robustness and uncertainty", 2019;
/// operations and strengths as torchvision's `AugMix`. The mean is rounded to nearest; torchvision truncates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugMix {
    /// Strengths are drawn from the lowest `severity` of ten, 1..=10.
    #[serde(default = "three")]
    pub severity: usize,
    /// Number of chains, 1..=100.
    #[serde(default = "three")]
    pub width: usize,
    /// Operations per chain, 0..=100; 0 draws 1 to 3 for each chain.
    #[serde(default)]
    pub depth: usize,
    /// Parameter of the distributions of the weights, 0.01..=100.
    #[serde(default = "one")]
    pub alpha: f32,
    /// Uses brightness, colour, contrast and sharpness too, which are close to the corruptions that robustness
    /// is measured with.
    #[serde(default)]
    pub all_operations: bool,
    /// How places between pixels are sampled.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// What lies outside.
    #[serde(default)]
    pub border: Border,
}

fn three() -> usize {
    3
}

fn one() -> f32 {
    1.0
}

impl Default for AugMix {
    fn default() -> Self {
        Self {
            severity: three(),
            width: three(),
            depth: 0,
            alpha: one(),
            all_operations: false,
            interpolation: Interpolation::default(),
            border: Border::default(),
        }
    }
}

impl Draw for AugMix {
    fn check(&self, check: Check) -> Result<()> {
        check.ensure("severity", (1..=10).contains(&self.severity), "within 1..=10", &self.severity)?;
        check.ensure("width", (1..=100).contains(&self.width), "within 1..=100", &self.width)?;
        check.ensure("depth", self.depth <= 100, "at most 100", &self.depth)?;
        check.number("alpha", self.alpha, 0.01..=100.0, "within 0.01..=100")
    }

    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        const BINS: usize = 10;
        const NOT_CORRUPTIONS: usize = 9;
        let size = (width, height);
        let how = Sampling { interpolation: self.interpolation, border: self.border };
        let space = if self.all_operations { policy::AUG_MIX } else { &policy::AUG_MIX[..NOT_CORRUPTIONS] };
        let original = dirichlet(self.alpha, 2, rng)[0];
        let weights = dirichlet(self.alpha, self.width, rng);
        let chains = (0..self.width).map(|_| {
            let drawn = 1 + rng.below(3);
            let depth = if self.depth == 0 { drawn } else { self.depth };
            let mut one = |_| {
                let (action, magnitude) = space[rng.below(space.len())];
                let bin = rng.below(self.severity);
                action.transform(magnitude.draw(bin, BINS, size, rng), size, how)
            };
            (0..depth).map(&mut one).collect()
        });
        Transform::Mix {
            original,
            chains: chains.collect(),
            weights: weights.into_iter().map(|w| w * (1.0 - original)).collect(),
        }
    }
}

/// Numbers that sum to 1, Dirichlet distributed with all parameters equal.
fn dirichlet(alpha: f32, count: usize, rng: &mut Rng) -> Vec<f32> {
    let parts: Vec<f64> = (0..count).map(|_| rng.gamma(f64::from(alpha))).collect();
    let sum: f64 = parts.iter().sum();
    // Tiny parameters may make every part zero in floating point: then the first takes all.
    if sum > 0.0 {
        parts.into_iter().map(|part| (part / sum) as f32).collect()
    } else {
        (0..count).map(|i| if i == 0 { 1.0 } else { 0.0 }).collect()
    }
}
