//! Operations on the three channels of one pixel.

use oculist_kernels::{Isa, image};

/// An operation on one pixel of three channels.
#[derive(Clone, Copy)]
pub(super) enum PixelOp {
    Saturation(f32),
    /// Turn in sixths of a circle, above 0 and below 6.
    Hue(f32),
    Shuffle([u8; 3]),
    Grey,
}

/// `from + factor * (to - from)`, cut to 0..=255; to be truncated.
#[inline(always)]
pub(super) fn blend(from: f32, to: f32, factor: f32) -> f32 {
    (from + factor * (to - from)).clamp(0.0, 255.0)
}

impl PixelOp {
    /// Does it to a slice that holds whole pixels of 3 or 4 channels.
    pub(super) fn apply(self, isa: Isa, pixels: &mut [u8], channels: usize) {
        match self {
            Self::Saturation(factor) => image::saturate_colors(isa, pixels, channels, factor),
            Self::Hue(sixths) => image::turn_hue(isa, pixels, channels, sixths),
            Self::Shuffle(order) => image::shuffle_colors(isa, pixels, channels, order),
            Self::Grey => image::colors_to_grey(isa, pixels, channels),
        }
    }
}
