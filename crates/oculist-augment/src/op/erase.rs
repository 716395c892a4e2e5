//! Operations that cover parts of an image.

use super::{Check, Draw, between, draw_seed};
use crate::erase::{Fill, HoleGrid, Rectangle};
use crate::error::Result;
use crate::{Rng, Transform};
use serde::{Deserialize, Serialize};

/// What covers the erased pixels, before a seed is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RandomFill {
    /// Every channel has this value.
    Constant(u8),
    /// Each channel's mean over the whole image.
    Mean,
    /// Uniform random values for each pixel and channel.
    Noise,
}

impl Default for RandomFill {
    fn default() -> Self {
        Self::Constant(0)
    }
}

impl RandomFill {
    fn draw(self, rng: &mut Rng) -> Fill {
        // Drawn in any case, so that the choice of the fill does not change the places.
        let seed = draw_seed(rng);
        match self {
            Self::Constant(value) => Fill::Constant(value),
            Self::Mean => Fill::Mean,
            Self::Noise => Fill::Noise(seed),
        }
    }
}

/// Covers a rectangle of random area and aspect ratio that lies inside the image; ten tries, then none.
///
/// # Source
/// Zhong et al., "Random erasing data augmentation", 2017, as torchvision's `RandomErasing` draws it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomErasing {
    /// Least and largest part of the image's area, above 0 and up to 1.
    #[serde(default = "erased_area")]
    pub scale: (f32, f32),
    /// Least and largest height / width; drawn log-uniform.
    #[serde(default = "erased_ratio")]
    pub ratio: (f32, f32),
    /// What covers it.
    #[serde(default)]
    pub fill: RandomFill,
}

fn erased_area() -> (f32, f32) {
    (0.02, 0.33)
}

fn erased_ratio() -> (f32, f32) {
    (0.3, 3.3)
}

impl Default for RandomErasing {
    fn default() -> Self {
        Self { scale: erased_area(), ratio: erased_ratio(), fill: RandomFill::default() }
    }
}

impl Draw for RandomErasing {
    fn check(&self, check: Check) -> Result<()> {
        check.factors("scale", self.scale)?;
        check.ensure("scale", self.scale.1 <= 1.0, "at most 1", &self.scale)?;
        check.factors("ratio", self.ratio)
    }

    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        let fill = self.fill.draw(rng);
        let area = (width * height) as f32;
        let mut rectangles = Vec::new();
        for _ in 0..10 {
            let target = area * rng.range(self.scale.0, self.scale.1);
            let aspect = rng.range(self.ratio.0.ln(), self.ratio.1.ln()).exp();
            let h = (target * aspect).sqrt().round() as usize;
            let w = (target / aspect).sqrt().round() as usize;
            if (1..width).contains(&w) && (1..height).contains(&h) {
                let (left, top) = (rng.below(width - w + 1), rng.below(height - h + 1));
                rectangles.push(Rectangle { left, top, width: w, height: h });
                break;
            }
        }
        Transform::Erase { rectangles, fill }
    }
}

/// Covers a square whose centre is any pixel; what lies outside the image is cut off.
///
/// # Source
/// DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout", 2017.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cutout {
    /// Side as a part of the image's shorter side, above 0 and up to 2.
    pub size: f32,
    /// What covers it.
    #[serde(default)]
    pub fill: RandomFill,
}

impl Draw for Cutout {
    fn check(&self, check: Check) -> Result<()> {
        check.ensure("size", self.size > 0.0 && self.size <= 2.0, "above 0 and at most 2", &self.size)
    }

    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        let fill = self.fill.draw(rng);
        let side = ((self.size * width.min(height) as f32).round() as usize).max(1);
        // The part of start..start + side that lies inside, start = centre - side / 2.
        let mut cut = |length: usize| {
            let centre = rng.below(length);
            let from = centre.saturating_sub(side / 2);
            let to = (centre + side - side / 2).min(length);
            (from, to - from)
        };
        let ((left, width), (top, height)) = (cut(width), cut(height));
        Transform::Erase { rectangles: vec![Rectangle { left, top, width, height }], fill }
    }
}

/// Covers several rectangles that lie inside the image and may overlap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoarseDropout {
    /// Least and largest number of rectangles, 1..=10000.
    pub holes: (usize, usize),
    /// Least and largest width as a part of the image's width, above 0 and up to 1.
    pub width: (f32, f32),
    /// Least and largest height as a part of the image's height, above 0 and up to 1.
    pub height: (f32, f32),
    /// What covers them.
    #[serde(default)]
    pub fill: RandomFill,
}

impl Draw for CoarseDropout {
    fn check(&self, check: Check) -> Result<()> {
        check.counts("holes", self.holes, 1..=10_000, "a range within 1..=10000")?;
        for (name, part) in [("width", self.width), ("height", self.height)] {
            check.factors(name, part)?;
            check.ensure(name, part.1 <= 1.0, "at most 1", &part)?;
        }
        Ok(())
    }

    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        let fill = self.fill.draw(rng);
        let place = |length: usize, (least, most): (f32, f32), rng: &mut Rng| {
            let side = ((length as f32 * rng.range(least, most)).round() as usize).clamp(1, length);
            (rng.below(length - side + 1), side)
        };
        let count = between(rng, self.holes);
        let rectangles = (0..count).map(|_| {
            let ((left, width), (top, height)) =
                (place(width, self.width, rng), place(height, self.height, rng));
            Rectangle { left, top, width, height }
        });
        Transform::Erase { rectangles: rectangles.collect(), fill }
    }
}

/// Covers a regular grid of square holes.
///
/// # Source
/// Chen et al., "GridMask data augmentation", 2020.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridDropout {
    /// Side of a hole as a part of its cell's side, above 0 and up to 1.
    pub ratio: f32,
    /// Least and largest side of a cell as a part of the image's shorter side, above 0 and up to 1.
    pub cell: (f32, f32),
    /// Starts the grid at a random place instead of the top left corner.
    #[serde(default)]
    pub random_offset: bool,
    /// What covers the holes.
    #[serde(default)]
    pub fill: RandomFill,
}

impl Draw for GridDropout {
    fn check(&self, check: Check) -> Result<()> {
        check.ensure("ratio", self.ratio > 0.0 && self.ratio <= 1.0, "above 0 and at most 1", &self.ratio)?;
        check.factors("cell", self.cell)?;
        check.ensure("cell", self.cell.1 <= 1.0, "at most 1", &self.cell)
    }

    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        let fill = self.fill.draw(rng);
        let part = rng.range(self.cell.0, self.cell.1) * width.min(height) as f32;
        let cell = (part.round() as usize).max(2);
        let hole = ((cell as f32 * self.ratio).round() as usize).clamp(1, cell);
        let (left, top) = (rng.below(cell), rng.below(cell));
        let (left, top) = if self.random_offset { (left, top) } else { (0, 0) };
        let grid =
            HoleGrid { cell_width: cell, cell_height: cell, hole_width: hole, hole_height: hole, left, top };
        Transform::GridDropout { grid, fill }
    }
}
