//! Operations on colours, with Pillow's arithmetic where Pillow has the operation.
//!
//! Grey images have neither saturation nor hue nor colour channels: operations on those leave them alone. The
//! alpha channel of RGBA images is never touched.
//!
//! [`adjust_all`] does operations in a row with as few passes over memory as it can, and with the very result
//! of one after the other:
//!
//! - operations that map each value by itself are a table of 256 entries per channel; tables in a row are one
//!   table (a composition, so nothing is rounded differently);
//! - tables and operations on single pixels (saturation, hue, channel order) are done block by block while the
//!   block lies in the first cache;
//! - what needs statistics of the image (contrast, equalise, auto-contrast) reads them through a table that is
//!   still to be applied.
//!
//! Matrices over the three channels are not multiplied with each other: every operation cuts its result to
//! 0..=255, and without that cut two of them in a row may differ by far more than one level.

mod clahe;
mod convert;
mod histogram;
mod pixel;
mod sharpness;
mod stages;
mod table;

pub(crate) use convert::{copy_alpha, luma};
pub use convert::{to_grey, to_rgb};

use crate::Image;
use crate::error::{Result, parameter};
use serde::{Deserialize, Serialize};
use stages::Stages;

/// One colour operation with its parameter.
///
/// Factors: 1 changes nothing, 0 is black, flat grey, colourless or blurred; negative factors count as 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Adjustment {
    /// `factor * x`.
    Brightness(f32),
    /// `m + factor * (x - m)`, m the rounded mean of the whole image in grey.
    Contrast(f32),
    /// `l + factor * (x - l)`, l the pixel in grey.
    Saturation(f32),
    /// Turns the hue in HSV space by this part of a full circle, -0.5..=0.5.
    Hue(f32),
    /// `255.999 * (x / 255)^gamma`, cut to an integer; below 1 brightens, above 1 darkens.
    Gamma(f32),
    /// `255 - x`.
    Invert,
    /// Keeps the given number of highest bits, 0..=8.
    Posterize(u8),
    /// Inverts values from this threshold on; 256 and above change nothing.
    Solarize(f32),
    /// Spreads each channel's values so that all are about equally frequent.
    Equalize,
    /// Stretches each channel's values to 0..=255.
    AutoContrast,
    /// Contrast-limited adaptive equalisation of the grey image; colours are shifted along with it.
    Clahe {
        /// Largest count of a value in a tile's histogram, relative to the mean count; 0 means no limit.
        clip: f32,
        /// Tiles across, at least 1.
        columns: usize,
        /// Tiles down, at least 1.
        rows: usize,
    },
    /// `b + factor * (x - b)`, b the image smoothed by `[1 1 1; 1 5 1; 1 1 1] / 13`; the outermost pixels stay.
    Sharpness(f32),
    /// Channel c of the result is channel `order[c]`.
    Shuffle([u8; 3]),
    /// Sets whole channels to one value.
    DropChannels {
        /// Which of red, green and blue.
        dropped: [bool; 3],
        /// The value.
        fill: u8,
    },
    /// Adds a constant per channel, cut to 0..=255.
    RgbShift([i16; 3]),
    /// All three channels become the luma of Rec. 601; the number of channels stays.
    Grey,
    /// As if lit by a black body of this temperature in kelvin, 1667..=25000, instead of one of 6500.
    Temperature(f32),
    /// Adds the principal components of ImageNet's colours times these factors.
    Lighting([f32; 3]),
}

impl Adjustment {
    /// Checks what [`adjust`] cannot give a meaning to.
    ///
    /// # Errors
    /// A channel order with an index above 2, CLAHE without tiles or with more than 65536, a temperature
    /// outside 1667..=25000, more than 8 bits.
    pub fn validate(&self) -> Result<()> {
        let wrong = |name, expected| Err(parameter("color", name, expected, format!("{self:?}")));
        match *self {
            Self::Shuffle(order) if order.iter().any(|&c| c > 2) => wrong("shuffle", "indices 0..=2"),
            Self::Clahe { columns, rows, .. }
                if columns.min(rows) == 0 || columns.saturating_mul(rows) > 1 << 16 =>
            {
                wrong("clahe", "1..=65536 tiles")
            }
            Self::Temperature(kelvin) if !(1667.0..=25000.0).contains(&kelvin) => {
                wrong("temperature", "within 1667..=25000 kelvin")
            }
            Self::Posterize(9..) => wrong("posterize", "at most 8 bits"),
            _ => Ok(()),
        }
    }
}

/// Applies one colour operation.
///
/// # Panics
/// If [`Adjustment::validate`] refuses it.
///
/// # Source
/// - brightness, contrast, saturation, sharpness: Pillow's `ImageEnhance`, bit for bit (it truncates);
/// - invert, posterise, solarise, equalise, auto-contrast: Pillow's `ImageOps`, bit for bit;
/// - gamma: torchvision's `adjust_gamma` on Pillow images, bit for bit;
/// - hue: HSV as in Python's `colorsys`, in f32 and rounded once (Pillow's 8-bit HSV quantises twice);
/// - CLAHE: OpenCV's on grey images, bit for bit; Zuiderveld in Graphics Gems IV. For colour, grey changes by
///   d and so does every channel, which is equalising Y of YCrCb;
/// - temperature: Kang et al., "Design of advanced color temperature control system", 2002, for the colour of
///   a black body, as gains in linear sRGB at equal luminance;
/// - lighting: Krizhevsky et al., "ImageNet classification with deep convolutional neural networks", with the
///   components that are usual for ImageNet.
pub fn adjust(image: Image, adjustment: Adjustment) -> Image {
    adjust_all(image, &[adjustment])
}

/// Applies colour operations in a row, equal to [`adjust`] one after the other.
///
/// # Panics
/// If [`Adjustment::validate`] refuses one.
pub fn adjust_all(mut image: Image, adjustments: &[Adjustment]) -> Image {
    let mut stages = Stages::new(image.channels());
    for &adjustment in adjustments {
        stages.add(adjustment, &mut image);
    }
    stages.run(&mut image);
    image
}

#[cfg(test)]
mod tests;
