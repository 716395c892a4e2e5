//! Perspective and distortions.

use crate::error::Result;
use crate::geometry::{Border, Interpolation};
use crate::op::{Check, Draw, draw_seed};
use crate::{Rng, Transform};
use serde::{Deserialize, Serialize};

/// Moves each corner inwards by up to `distortion` times half the width and half the height.
///
/// # Source
/// torchvision's `RandomPerspective`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Perspective {
    /// Strength, 0..=0.9.
    pub distortion: f32,
    /// How places between pixels are sampled.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// What lies outside.
    #[serde(default)]
    pub border: Border,
}

impl Draw for Perspective {
    fn check(&self, check: Check) -> Result<()> {
        check.number("distortion", self.distortion, 0.0..=0.9, "within 0..=0.9")
    }

    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        let inwards = [[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0f32]];
        let most = [self.distortion * width as f32 / 2.0, self.distortion * height as f32 / 2.0];
        let offsets = inwards.map(|[x, y]| [x * rng.range(0.0, most[0]), y * rng.range(0.0, most[1])]);
        Transform::Perspective { offsets, interpolation: self.interpolation, border: self.border }
    }
}

/// Moves every pixel by a smooth random field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elastic {
    /// Strength in pixels, 0..=10000; the field's standard deviation is about `0.16 alpha / sigma`.
    pub alpha: f32,
    /// Smoothness in pixels: the standard deviation of the Gaussian, 0..=200.
    pub sigma: f32,
    /// How places between pixels are sampled.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// What lies outside.
    #[serde(default)]
    pub border: Border,
}

impl Draw for Elastic {
    fn check(&self, check: Check) -> Result<()> {
        check.number("alpha", self.alpha, 0.0..=1e4, "within 0..=10000")?;
        check.number("sigma", self.sigma, 0.0..=200.0, "within 0..=200")
    }

    fn draw(&self, _: usize, _: usize, rng: &mut Rng) -> Transform {
        Transform::Elastic {
            alpha: self.alpha,
            sigma: self.sigma,
            seed: draw_seed(rng),
            interpolation: self.interpolation,
            border: self.border,
        }
    }
}

/// Stretches and squeezes the cells of a grid: each column and row shows a part of the input whose relative
/// length is uniform in `1 - limit..=1 + limit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridDistortion {
    /// Columns and rows, 1..=1000.
    pub steps: usize,
    /// Strength, 0..=0.99.
    pub limit: f32,
    /// How places between pixels are sampled.
    #[serde(default)]
    pub interpolation: Interpolation,
}

impl Draw for GridDistortion {
    fn check(&self, check: Check) -> Result<()> {
        check.ensure("steps", (1..=1000).contains(&self.steps), "within 1..=1000", &self.steps)?;
        check.number("limit", self.limit, 0.0..=0.99, "within 0..=0.99")
    }

    fn draw(&self, _: usize, _: usize, rng: &mut Rng) -> Transform {
        let mut parts =
            || (0..self.steps).map(|_| rng.range(1.0 - self.limit, 1.0 + self.limit)).collect::<Vec<_>>();
        let (columns, rows) = (parts(), parts());
        Transform::GridDistortion { columns, rows, interpolation: self.interpolation }
    }
}
