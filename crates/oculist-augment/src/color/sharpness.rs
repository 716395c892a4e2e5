//! Sharpening and softening by a 3x3 filter.

use crate::Image;
use oculist_kernels::{Isa, image};

/// Blends the smoothed image with the image; see [`super::Adjustment::Sharpness`].
pub(super) fn sharpness(image: &mut Image, factor: f32) {
    let (width, channels) = (image.width(), image.channels());
    let factor = factor.max(0.0);
    if factor != 1.0 {
        image::sharpen_colors(Isa::detect(), image.pixels_mut(), width, channels, factor);
    }
}
