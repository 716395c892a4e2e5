//! Sharpening and softening by a 3x3 filter.

use super::convert::copy_alpha;
use crate::Image;
use oculist_kernels::{Isa, image};

/// Blends the smoothed image with the image; see [`super::Adjustment::Sharpness`].
pub(super) fn sharpness(image: &mut Image, factor: f32) {
    let (width, channels) = (image.width(), image.channels());
    let factor = factor.max(0.0);
    if factor == 1.0 {
        return;
    }
    let old = image.pixels().to_vec();
    image::sharpen(Isa::detect(), &old, width, channels, factor, image.pixels_mut());
    copy_alpha(&old, image);
}
