//! Operations that move pixels.

mod bend;
mod crop;

pub use bend::{Elastic, GridDistortion, Perspective};
pub use crop::{CenterCrop, Pad, RandomCrop, RandomResizedCrop, Resize, ResizeShorter};

use super::{Check, Draw};
use crate::error::Result;
use crate::geometry::{self, Border, Interpolation};
use crate::{Rng, Transform};
use serde::{Deserialize, Serialize};

fn affine(map: geometry::Affine, interpolation: Interpolation, border: Border) -> Transform {
    Transform::Affine { map, interpolation, border }
}

/// Turns about the centre by an angle uniform in `-degrees..=degrees`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// Largest angle in degrees, 0..=180.
    pub degrees: f32,
    /// How places between pixels are sampled.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// What lies outside.
    #[serde(default)]
    pub border: Border,
}

impl Draw for Rotate {
    fn check(&self, check: Check) -> Result<()> {
        check.degrees(self.degrees)
    }

    fn draw(&self, _: usize, _: usize, rng: &mut Rng) -> Transform {
        let angle = rng.range(-self.degrees, self.degrees);
        affine(geometry::Affine { angle, ..Default::default() }, self.interpolation, self.border)
    }
}

/// Magnifies about the centre by a factor uniform in `min..=max`; the size stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Least factor, above 0.
    pub min: f32,
    /// Largest factor.
    pub max: f32,
    /// How places between pixels are sampled.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// What lies outside.
    #[serde(default)]
    pub border: Border,
}

impl Draw for Scale {
    fn check(&self, check: Check) -> Result<()> {
        check.factors("min, max", (self.min, self.max))
    }

    fn draw(&self, _: usize, _: usize, rng: &mut Rng) -> Transform {
        let scale = rng.range(self.min, self.max);
        affine(geometry::Affine { scale, ..Default::default() }, self.interpolation, self.border)
    }
}

/// Shifts by up to a part of each side, both ways.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Translate {
    /// Largest shift along x as a part of the width, 0..=1.
    pub x: f32,
    /// Largest shift along y as a part of the height, 0..=1.
    pub y: f32,
    /// How places between pixels are sampled.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// What lies outside.
    #[serde(default)]
    pub border: Border,
}

impl Draw for Translate {
    fn check(&self, check: Check) -> Result<()> {
        check.number("x", self.x, 0.0..=1.0, "within 0..=1")?;
        check.number("y", self.y, 0.0..=1.0, "within 0..=1")
    }

    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        let shift_x = rng.range(-self.x, self.x) * width as f32;
        let shift_y = rng.range(-self.y, self.y) * height as f32;
        let map = geometry::Affine { shift_x, shift_y, ..Default::default() };
        affine(map, self.interpolation, self.border)
    }
}

/// Shears about the centre by angles uniform in `-x..=x` and `-y..=y`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shear {
    /// Largest shear along x in degrees, 0..=89.
    #[serde(default)]
    pub x: f32,
    /// Largest shear along y in degrees, 0..=89.
    #[serde(default)]
    pub y: f32,
    /// How places between pixels are sampled.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// What lies outside.
    #[serde(default)]
    pub border: Border,
}

impl Draw for Shear {
    fn check(&self, check: Check) -> Result<()> {
        check.number("x", self.x, 0.0..=89.0, "within 0..=89")?;
        check.number("y", self.y, 0.0..=89.0, "within 0..=89")
    }

    fn draw(&self, _: usize, _: usize, rng: &mut Rng) -> Transform {
        let (shear_x, shear_y) = (rng.range(-self.x, self.x), rng.range(-self.y, self.y));
        let map = geometry::Affine { shear_x, shear_y, ..Default::default() };
        affine(map, self.interpolation, self.border)
    }
}

/// Shifting, scaling and turning at once: one resampling instead of three.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShiftScaleRotate {
    /// Largest shift as a part of the side, both ways.
    pub shift: f32,
    /// Least and largest factor.
    pub scale: (f32, f32),
    /// Largest angle in degrees.
    pub degrees: f32,
    /// How places between pixels are sampled.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// What lies outside.
    #[serde(default)]
    pub border: Border,
}

impl Draw for ShiftScaleRotate {
    fn check(&self, check: Check) -> Result<()> {
        check.number("shift", self.shift, 0.0..=1.0, "within 0..=1")?;
        check.factors("scale", self.scale)?;
        check.degrees(self.degrees)
    }

    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        let angle = rng.range(-self.degrees, self.degrees);
        let scale = rng.range(self.scale.0, self.scale.1);
        let shift_x = rng.range(-self.shift, self.shift) * width as f32;
        let shift_y = rng.range(-self.shift, self.shift) * height as f32;
        let map = geometry::Affine { angle, scale, shift_x, shift_y, ..Default::default() };
        affine(map, self.interpolation, self.border)
    }
}

/// Turning, shifting, scaling and shearing at once, each in its own range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Affine {
    /// Largest angle in degrees, 0..=180.
    #[serde(default)]
    pub degrees: f32,
    /// Largest shift as a part of the width and of the height, 0..=1.
    #[serde(default)]
    pub translate: (f32, f32),
    /// Least and largest factor.
    #[serde(default = "unit")]
    pub scale: (f32, f32),
    /// Largest shear along x and along y in degrees, 0..=89.
    #[serde(default)]
    pub shear: (f32, f32),
    /// How places between pixels are sampled.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// What lies outside.
    #[serde(default)]
    pub border: Border,
}

fn unit() -> (f32, f32) {
    (1.0, 1.0)
}

impl Draw for Affine {
    fn check(&self, check: Check) -> Result<()> {
        check.degrees(self.degrees)?;
        for part in [self.translate.0, self.translate.1] {
            check.number("translate", part, 0.0..=1.0, "within 0..=1")?;
        }
        check.factors("scale", self.scale)?;
        for shear in [self.shear.0, self.shear.1] {
            check.number("shear", shear, 0.0..=89.0, "within 0..=89")?;
        }
        Ok(())
    }

    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        let mut both = |limit: f32| rng.range(-limit, limit);
        let map = geometry::Affine {
            angle: both(self.degrees),
            shift_x: both(self.translate.0) * width as f32,
            shift_y: both(self.translate.1) * height as f32,
            shear_x: both(self.shear.0),
            shear_y: both(self.shear.1),
            scale: rng.range(self.scale.0, self.scale.1),
        };
        affine(map, self.interpolation, self.border)
    }
}
