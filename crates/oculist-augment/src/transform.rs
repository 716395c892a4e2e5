//! An operation with all its parameters drawn.

use crate::Image;
use crate::color::{Adjustment, adjust};
use crate::error::Result;
use crate::geometry::{self, Affine, Border, Interpolation};
use serde::{Deserialize, Serialize};

/// One concrete step: the same transform on the same image always gives the same image.
///
/// A pipeline draws a list of these for each sample; the list can be stored and replayed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "transform", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Transform {
    /// Mirrors left and right.
    HorizontalFlip,
    /// Turns, scales and shifts about the centre; the size stays.
    Affine {
        /// The map.
        #[serde(flatten)]
        map: Affine,
        /// What lies outside.
        border: Border,
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
}

impl Transform {
    /// Applies the transform.
    ///
    /// # Errors
    /// Parameters outside the ranges that the functions in [`geometry`] document.
    pub fn apply(&self, image: Image) -> Result<Image> {
        match *self {
            Self::HorizontalFlip => Ok(geometry::flip_horizontal(image)),
            Self::Affine { map, border } => geometry::affine(&image, map, border),
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
            Self::Resize { width, height, interpolation } => {
                geometry::resize(&image, width, height, interpolation)
            }
            Self::Color { ref adjustments } => Ok(adjustments.iter().copied().fold(image, adjust)),
        }
    }

    /// The size (width, height) of the result for an image of this size.
    pub fn output_size(&self, width: usize, height: usize) -> (usize, usize) {
        match *self {
            Self::HorizontalFlip | Self::Affine { .. } | Self::Color { .. } => (width, height),
            Self::Pad { left, top, right, bottom, .. } => (left + width + right, top + height + bottom),
            Self::Crop { width, height, .. }
            | Self::ResizedCrop { width, height, .. }
            | Self::Resize { width, height, .. } => (width, height),
        }
    }
}
