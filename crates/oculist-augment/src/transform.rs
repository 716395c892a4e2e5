//! An operation with all its parameters drawn.

mod annotation;
mod effect;
mod fuse;
mod mix;

pub use annotation::BoundingBox;
pub use effect::Effect;

use crate::Image;
use crate::color::{Adjustment, adjust_all};
use crate::erase::{self, Fill, HoleGrid, Rectangle};
use crate::error::Result;
use crate::geometry::{self, Affine, Border, Interpolation};
use serde::{Deserialize, Serialize};

/// One concrete step: the same transform on the same image always gives the same image.
///
/// A pipeline draws a list of these for each sample; the list can be stored and replayed. Transforms that need
/// random numbers for each pixel hold a seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "transform", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Transform {
    /// Mirrors left and right.
    HorizontalFlip,
    /// Mirrors top and bottom.
    VerticalFlip,
    /// Swaps x and y; width and height change places.
    Transpose,
    /// Turns by quarters of a circle.
    QuarterTurns {
        /// Quarters, counter-clockwise.
        turns: u8,
    },
    /// Shears, turns, scales and shifts about the centre; the size stays.
    Affine {
        /// The map.
        #[serde(flatten)]
        map: Affine,
        /// How places between pixels are sampled.
        #[serde(default)]
        interpolation: Interpolation,
        /// What lies outside.
        border: Border,
    },
    /// Moves the corners; the size stays.
    Perspective {
        /// Shift (x, y) in pixels of the top left, top right, bottom right and bottom left corner.
        offsets: [[f32; 2]; 4],
        /// How places between pixels are sampled.
        interpolation: Interpolation,
        /// What lies outside.
        border: Border,
    },
    /// Moves each pixel by a smooth random field; see [`geometry::elastic`].
    Elastic {
        /// Strength in pixels.
        alpha: f32,
        /// Smoothness in pixels.
        sigma: f32,
        /// Seed of the field.
        seed: u64,
        /// How places between pixels are sampled.
        interpolation: Interpolation,
        /// What lies outside.
        border: Border,
    },
    /// Stretches and squeezes the columns and rows of a grid; see [`geometry::grid_distortion`].
    GridDistortion {
        /// Relative width of the input's part that each column shows.
        columns: Vec<f32>,
        /// Relative height of the input's part that each row shows.
        rows: Vec<f32>,
        /// How places between pixels are sampled.
        interpolation: Interpolation,
    },
    /// Adds pixels on the four sides.
    Pad {
        /// Columns added at the left.
        left: usize,
        /// Rows added at the top.
        top: usize,
        /// Columns added at the right.
        right: usize,
        /// Rows added at the bottom.
        bottom: usize,
        /// What the new pixels are.
        border: Border,
    },
    /// Cuts a window that may reach outside the image.
    Crop {
        /// Left edge in pixels, may be negative.
        left: isize,
        /// Top edge in pixels, may be negative.
        top: isize,
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// What lies outside.
        border: Border,
    },
    /// Cuts a window inside the image and resizes it.
    ResizedCrop {
        /// Left, top, width and height of the window in pixels.
        window: (usize, usize, usize, usize),
        /// Width of the result.
        width: usize,
        /// Height of the result.
        height: usize,
        /// The resampling filter.
        interpolation: Interpolation,
    },
    /// Resizes the whole image.
    Resize {
        /// Width of the result.
        width: usize,
        /// Height of the result.
        height: usize,
        /// The resampling filter.
        interpolation: Interpolation,
    },
    /// Colour operations, in this order.
    Color {
        /// The operations.
        adjustments: Vec<Adjustment>,
    },
    /// Blur, noise, compression or weather.
    Quality {
        /// Which.
        #[serde(flatten)]
        effect: Effect,
    },
    /// Covers rectangles.
    Erase {
        /// The rectangles.
        rectangles: Vec<Rectangle>,
        /// What covers them.
        fill: Fill,
    },
    /// Covers a regular grid of holes.
    GridDropout {
        /// Where the holes are.
        #[serde(flatten)]
        grid: HoleGrid,
        /// What covers them.
        fill: Fill,
    },
    /// The weighted mean of the image and of what chains of transforms make of it, rounded to nearest.
    ///
    /// The chains must keep the image's size.
    Mix {
        /// Weight of the image itself.
        original: f32,
        /// The chains, each applied to the image itself.
        chains: Vec<Vec<Transform>>,
        /// One weight per chain.
        weights: Vec<f32>,
    },
    /// Transforms one after the other; none at all changes nothing.
    Sequence {
        /// The transforms.
        transforms: Vec<Transform>,
    },
}

impl Transform {
    /// Applies the transform.
    ///
    /// # Errors
    /// Parameters outside the ranges that the functions in [`geometry`], [`crate::quality`], [`mod@crate::erase`]
    /// and [`Adjustment::validate`] document; chains of a mix that do not fit their weights or change the size.
    pub fn apply(&self, image: Image) -> Result<Image> {
        match *self {
            Self::HorizontalFlip => Ok(geometry::flip_horizontal(image)),
            Self::VerticalFlip => Ok(geometry::flip_vertical(image)),
            Self::Transpose => Ok(geometry::transpose(&image)),
            Self::QuarterTurns { turns } => Ok(geometry::quarter_turns(image, turns)),
            Self::Affine { map, .. } if map == Affine::default() => Ok(image),
            Self::Affine { map, interpolation, border } => {
                geometry::affine(&image, map, interpolation, border)
            }
            Self::Perspective { offsets, interpolation, border } => {
                geometry::perspective(&image, offsets, interpolation, border)
            }
            Self::Elastic { alpha, sigma, seed, interpolation, border } => {
                geometry::elastic(&image, alpha, sigma, seed, interpolation, border)
            }
            Self::GridDistortion { ref columns, ref rows, interpolation } => {
                geometry::grid_distortion(&image, columns, rows, interpolation)
            }
            Self::Pad { left, top, right, bottom, border } => {
                geometry::pad(&image, left, top, right, bottom, border)
            }
            Self::Crop { left: 0, top: 0, width, height, .. }
                if (width, height) == (image.width(), image.height()) =>
            {
                Ok(image)
            }
            Self::Crop { left, top, width, height, border } => {
                geometry::crop(&image, left, top, width, height, border)
            }
            Self::ResizedCrop { window, width, height, interpolation } => {
                geometry::resized_crop(&image, window, width, height, interpolation)
            }
            Self::Resize { width, height, .. } if (width, height) == (image.width(), image.height()) => {
                Ok(image)
            }
            Self::Resize { width, height, interpolation } => {
                geometry::resize(&image, width, height, interpolation)
            }
            Self::Color { ref adjustments } => {
                adjustments.iter().try_for_each(Adjustment::validate)?;
                Ok(adjust_all(image, adjustments))
            }
            Self::Quality { ref effect } => effect.apply(image),
            Self::Erase { ref rectangles, fill } => Ok(erase::erase(image, rectangles, fill)),
            Self::GridDropout { grid, fill } => erase::grid_dropout(image, grid, fill),
            Self::Mix { original, ref chains, ref weights } => mix::mix(image, original, chains, weights),
            Self::Sequence { ref transforms } => Self::apply_all(transforms, image),
        }
    }

    /// Applies transforms one after the other, in fewer passes where that gives the very same image.
    ///
    /// Crops and paddings in a row are one crop; a crop is mirrored while it is copied; two equal flips are none;
    /// colour operations in a row are one pass ([`crate::color::adjust_all`]).
    ///
    /// # Errors
    /// As for [`Transform::apply`].
    pub fn apply_all(transforms: &[Self], image: Image) -> Result<Image> {
        fuse::run(transforms, image)
    }

    /// The size (width, height) of the result for an image of this size.
    pub fn output_size(&self, width: usize, height: usize) -> (usize, usize) {
        match *self {
            Self::HorizontalFlip
            | Self::VerticalFlip
            | Self::Affine { .. }
            | Self::Perspective { .. }
            | Self::Elastic { .. }
            | Self::GridDistortion { .. }
            | Self::Color { .. }
            | Self::Quality { .. }
            | Self::Erase { .. }
            | Self::GridDropout { .. }
            | Self::Mix { .. } => (width, height),
            Self::QuarterTurns { turns } if turns % 2 == 0 => (width, height),
            Self::Transpose | Self::QuarterTurns { .. } => (height, width),
            Self::Pad { left, top, right, bottom, .. } => (left + width + right, top + height + bottom),
            Self::Crop { width, height, .. }
            | Self::ResizedCrop { width, height, .. }
            | Self::Resize { width, height, .. } => (width, height),
            Self::Sequence { ref transforms } => {
                transforms.iter().fold((width, height), |(w, h), transform| transform.output_size(w, h))
            }
        }
    }

    /// Appends this transform to a list, sequences as their parts.
    pub(crate) fn flatten_into(self, list: &mut Vec<Self>) {
        match self {
            Self::Sequence { transforms } => transforms.into_iter().for_each(|t| t.flatten_into(list)),
            other => list.push(other),
        }
    }
}
