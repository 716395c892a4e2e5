//! Cutting, padding and resizing.

use crate::error::Result;
use crate::geometry::{Border, Interpolation, antialiased, is_antialiased};
use crate::op::{Check, Draw};
use crate::{Rng, Transform};
use serde::{Deserialize, Serialize};

/// Adds `padding` pixels on all sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pad {
    /// Pixels per side.
    pub padding: usize,
    /// What the new pixels are.
    #[serde(default)]
    pub border: Border,
}

impl Draw for Pad {
    fn check(&self, check: Check) -> Result<()> {
        check.padding(self.padding)
    }

    fn draw(&self, _: usize, _: usize, _: &mut Rng) -> Transform {
        let Self { padding, border } = *self;
        Transform::Pad { left: padding, top: padding, right: padding, bottom: padding, border }
    }
}

/// Pads by `padding` on all sides, then cuts a window at a random place.
///
/// A side that is too short even after padding is centred in the window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomCrop {
    /// Width of the window.
    pub width: usize,
    /// Height of the window.
    pub height: usize,
    /// Pixels of padding per side.
    #[serde(default)]
    pub padding: usize,
    /// What lies outside.
    #[serde(default)]
    pub border: Border,
}

impl Draw for RandomCrop {
    fn check(&self, check: Check) -> Result<()> {
        check.size(self.width, self.height)?;
        check.padding(self.padding)
    }

    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        let left = offset(width, self.width, self.padding, rng);
        let top = offset(height, self.height, self.padding, rng);
        Transform::Crop { left, top, width: self.width, height: self.height, border: self.border }
    }
}

/// Cuts the middle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CenterCrop {
    /// Width of the window.
    pub width: usize,
    /// Height of the window.
    pub height: usize,
    /// What lies outside, where the image is smaller.
    #[serde(default)]
    pub border: Border,
}

impl Draw for CenterCrop {
    fn check(&self, check: Check) -> Result<()> {
        check.size(self.width, self.height)
    }

    fn draw(&self, width: usize, height: usize, _: &mut Rng) -> Transform {
        let middle = |have: usize, want: usize| (have as isize - want as isize).div_euclid(2);
        let (left, top) = (middle(width, self.width), middle(height, self.height));
        Transform::Crop { left, top, width: self.width, height: self.height, border: self.border }
    }
}

/// Cuts a window of random area and aspect ratio and resizes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomResizedCrop {
    /// Width of the result.
    pub width: usize,
    /// Height of the result.
    pub height: usize,
    /// Least and largest part of the image's area.
    pub scale: (f32, f32),
    /// Least and largest width / height of the window; drawn log-uniform.
    pub ratio: (f32, f32),
    /// The resampling filter.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// Whether what gets smaller is antialiased ([`Resampling`](crate::Resampling)).
    #[serde(default = "antialiased", skip_serializing_if = "is_antialiased")]
    pub antialias: bool,
}

impl Draw for RandomResizedCrop {
    fn check(&self, check: Check) -> Result<()> {
        check.size(self.width, self.height)?;
        check.factors("scale", self.scale)?;
        check.ensure("scale", self.scale.1 <= 1.0, "at most 1", &self.scale)?;
        check.factors("ratio", self.ratio)
    }

    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        Transform::ResizedCrop {
            window: random_window(width, height, self.scale, self.ratio, rng),
            width: self.width,
            height: self.height,
            interpolation: self.interpolation,
            antialias: self.antialias,
        }
    }
}

/// Resizes to exactly this size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// Width of the result.
    pub width: usize,
    /// Height of the result.
    pub height: usize,
    /// The resampling filter.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// Whether what gets smaller is antialiased ([`Resampling`](crate::Resampling)).
    #[serde(default = "antialiased", skip_serializing_if = "is_antialiased")]
    pub antialias: bool,
}

impl Draw for Resize {
    fn check(&self, check: Check) -> Result<()> {
        check.size(self.width, self.height)
    }

    fn draw(&self, _: usize, _: usize, _: &mut Rng) -> Transform {
        let Self { width, height, interpolation, antialias } = *self;
        Transform::Resize { width, height, interpolation, antialias }
    }
}

/// Resizes so that the shorter side has this length; the aspect ratio stays, the longer side is cut to whole
/// pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResizeShorter {
    /// Length of the shorter side.
    pub side: usize,
    /// The resampling filter.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// Whether what gets smaller is antialiased ([`Resampling`](crate::Resampling)).
    #[serde(default = "antialiased", skip_serializing_if = "is_antialiased")]
    pub antialias: bool,
}

impl Draw for ResizeShorter {
    fn check(&self, check: Check) -> Result<()> {
        check.ensure("side", (1..=1 << 16).contains(&self.side), "within 1..=65536", &self.side)
    }

    fn draw(&self, width: usize, height: usize, _: &mut Rng) -> Transform {
        let shorter = width.min(height) as u128;
        let scaled = |side: usize| (side as u128 * self.side as u128 / shorter) as usize;
        let (width, height) = (scaled(width), scaled(height));
        let Self { interpolation, antialias, .. } = *self;
        Transform::Resize { width, height, interpolation, antialias }
    }
}

/// Where a window of `want` starts on a side of `have` pixels padded on both ends.
fn offset(have: usize, want: usize, padding: usize, rng: &mut Rng) -> isize {
    let padded = have + 2 * padding;
    if padded < want {
        // Draw all the same, so that later draws do not depend on the size.
        rng.next_u64();
        return -((want - have) as isize / 2);
    }
    rng.below(padded - want + 1) as isize - padding as isize
}

/// The window of a random resized crop: ten tries, then the largest centred window whose ratio fits.
///
/// # Source
/// Szegedy et al., "Going deeper with convolutions", as torchvision's `RandomResizedCrop` draws it.
fn random_window(
    width: usize,
    height: usize,
    scale: (f32, f32),
    ratio: (f32, f32),
    rng: &mut Rng,
) -> (usize, usize, usize, usize) {
    let area = (width * height) as f32;
    for _ in 0..10 {
        let target = area * rng.range(scale.0, scale.1);
        let aspect = rng.range(ratio.0.ln(), ratio.1.ln()).exp();
        let w = (target * aspect).sqrt().round() as usize;
        let h = (target / aspect).sqrt().round() as usize;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            let left = rng.below(width - w + 1);
            let top = rng.below(height - h + 1);
            return (left, top, w, h);
        }
    }
    let have = width as f32 / height as f32;
    let (w, h) = if have < ratio.0 {
        (width, ((width as f32 / ratio.0).round() as usize).clamp(1, height))
    } else if have > ratio.1 {
        (((height as f32 * ratio.1).round() as usize).clamp(1, width), height)
    } else {
        (width, height)
    };
    ((width - w) / 2, (height - h) / 2, w, h)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_crops_reach_every_place_and_no_other() {
        let op = RandomCrop { width: 4, height: 4, padding: 1, border: Border::Edge };
        let mut seen = [[0usize; 3]; 3];
        for i in 0..900 {
            match op.draw(4, 4, &mut Rng::keyed(&[i])) {
                Transform::Crop { left, top, width: 4, height: 4, .. } => {
                    seen[(top + 1) as usize][(left + 1) as usize] += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(seen.iter().flatten().all(|&n| (60..140).contains(&n)), "{seen:?}");
    }

    #[test]
    fn a_window_larger_than_the_padded_image_is_centred() {
        let op = RandomCrop { width: 9, height: 2, padding: 1, border: Border::Edge };
        match op.draw(3, 4, &mut Rng::keyed(&[1])) {
            Transform::Crop { left, top, .. } => {
                assert_eq!(left, -3);
                assert!((-1..=3).contains(&top));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn resized_crop_windows_stay_inside_and_keep_their_area() {
        for (w, h) in [(1, 1), (300, 200), (20, 400), (1000, 3)] {
            for i in 0..200 {
                let window =
                    random_window(w, h, (0.2, 1.0), (0.75, 1.0 / 0.75), &mut Rng::keyed(&[i, w as u64]));
                let (left, top, ww, wh) = window;
                assert!(ww >= 1 && wh >= 1 && left + ww <= w && top + wh <= h, "{window:?} of {w}x{h}");
                if (w, h) == (300, 200) {
                    let part = (ww * wh) as f32 / 60_000.0;
                    assert!((0.19..1.01).contains(&part), "{part}");
                }
            }
        }
    }
}
