//! Warps: an image whose pixels show other places of the input.
//!
//! Places are fixed-point numbers of [`PLACE_BITS`](oculist_kernels::image::warp::PLACE_BITS) fractional bits, computed
//! for a whole output row at once; then the row is sampled, see [`oculist_kernels::image::warp`].

use super::{Border, Interpolation};
use crate::{Image, ImageRef};
use oculist_kernels::Isa;
use oculist_kernels::image::warp::{Filter, Sampler};

/// An image of `width` x `height` whose row y shows the input at the places that `places(isa, y, xs, ys)` fills in.
pub(crate) fn warp(
    image: ImageRef<'_>,
    (width, height): (usize, usize),
    interpolation: Interpolation,
    border: Border,
    mut places: impl FnMut(Isa, usize, &mut [i32], &mut [i32]),
) -> Image {
    let isa = Isa::detect();
    let filter = match interpolation {
        Interpolation::Nearest => Filter::Nearest,
        Interpolation::Bilinear => Filter::Bilinear,
        Interpolation::Bicubic => Filter::Bicubic,
    };
    let size = (image.width(), image.height());
    let sampler = Sampler::new(isa, image.pixels(), size, image.channels(), filter, border.outside());
    let (mut xs, mut ys) = (vec![0; width], vec![0; width]);
    let mut pixels = vec![0u8; width * height * image.channels()];
    for (y, row) in pixels.chunks_exact_mut(width * image.channels()).enumerate() {
        places(isa, y, &mut xs, &mut ys);
        sampler.row(&xs, &ys, row);
    }
    Image::from_parts(width, height, image.channels(), pixels)
}
