//! An operation with all its parameters drawn.

mod annotation;
mod effect;
mod fuse;
mod mix;

pub use annotation::BoundingBox;
pub use effect::Effect;

use crate::color::{Adjustment, adjust_all};
use crate::erase::{self, Fill, HoleGrid, Rectangle};
use crate::error::Result;
use crate::geometry::{self, Affine, Border, Interpolation, Resampling, antialiased, is_antialiased};
use crate::{Image, ImageRef};
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
        /// Whether what gets smaller is antialiased ([`Resampling`]).
        #[serde(default = "antialiased", skip_serializing_if = "is_antialiased")]
        antialias: bool,
    },
    /// Resizes the whole image.
    Resize {
        /// Width of the result.
        width: usize,
        /// Height of the result.
        height: usize,
        /// The resampling filter.
        interpolation: Interpolation,
        /// Whether what gets smaller is antialiased ([`Resampling`]).
        #[serde(default = "antialiased", skip_serializing_if = "is_antialiased")]
        antialias: bool,
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
        if let Some(result) = self.apply_reading((&image).into()) {
            return result;
        }
        match *self {
            Self::HorizontalFlip => Ok(geometry::flip_horizontal(image)),
            Self::VerticalFlip => Ok(geometry::flip_vertical(image)),
            Self::QuarterTurns { turns } => Ok(geometry::quarter_turns(image, turns)),
            Self::Color { ref adjustments } => {
                adjustments.iter().try_for_each(Adjustment::validate)?;
                Ok(adjust_all(image, adjustments))
            }
            Self::Quality { ref effect } => effect.apply(image),
            Self::Erase { ref rectangles, fill } => Ok(erase::erase(image, rectangles, fill)),
            Self::GridDropout { grid, fill } => erase::grid_dropout(image, grid, fill),
            Self::Mix { original, ref chains, ref weights } => mix::mix(image, original, chains, weights),
            Self::Sequence { ref transforms } => Self::apply_all(transforms, image),
            // Those that only read, where they change nothing.
            Self::Transpose
            | Self::Affine { .. }
            | Self::Perspective { .. }
            | Self::Elastic { .. }
            | Self::GridDistortion { .. }
            | Self::Pad { .. }
            | Self::Crop { .. }
            | Self::ResizedCrop { .. }
            | Self::Resize { .. } => Ok(image),
        }
    }

    /// The result of a transform that only reads the image to make a new one; none for those that work in its memory, and
    /// where nothing would change.
    fn apply_reading(&self, image: ImageRef<'_>) -> Option<Result<Image>> {
        let size = (image.width(), image.height());
        Some(match *self {
            Self::Transpose => Ok(geometry::transpose(image)),
            Self::Affine { map, interpolation, border } if map != Affine::default() => {
                geometry::affine(image, map, interpolation, border)
            }
            Self::Perspective { offsets, interpolation, border } => {
                geometry::perspective(image, offsets, interpolation, border)
            }
            Self::Elastic { alpha, sigma, seed, interpolation, border } => {
                geometry::elastic(image, alpha, sigma, seed, interpolation, border)
            }
            Self::GridDistortion { ref columns, ref rows, interpolation } => {
                geometry::grid_distortion(image, columns, rows, interpolation)
            }
            Self::Pad { left, top, right, bottom, border } => {
                geometry::pad(image, left, top, right, bottom, border)
            }
            Self::Crop { left, top, width, height, border }
                if (left, top, (width, height)) != (0, 0, size) =>
            {
                geometry::crop(image, left, top, width, height, border)
            }
            Self::ResizedCrop { window, width, height, interpolation, antialias } => {
                geometry::resized_crop(image, window, width, height, Resampling { interpolation, antialias })
            }
            Self::Resize { width, height, interpolation, antialias } if (width, height) != size => {
                geometry::resize(image, width, height, Resampling { interpolation, antialias })
            }
            _ => return None,
        })
    }

    /// Applies transforms one after the other, in fewer passes where that gives the very same image.
    ///
    /// Crops and paddings in a row are one crop; a crop is mirrored while it is copied; two equal flips are none;
    /// colour operations in a row are one pass ([`crate::color::adjust_all`]).
    ///
    /// # Errors
    /// As for [`Transform::apply`].
    pub fn apply_all(transforms: &[Self], image: Image) -> Result<Image> {
        fuse::run(transforms, fuse::Held::Owned(image))
    }

    /// As [`Transform::apply_all`], of an image that stays where it is: it is copied only if the first transform works in the
    /// image's memory, and not if it makes a new image anyway.
    ///
    /// # Errors
    /// As for [`Transform::apply`].
    pub fn apply_all_to(transforms: &[Self], image: ImageRef<'_>) -> Result<Image> {
        fuse::run(transforms, fuse::Held::Borrowed(image))
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
