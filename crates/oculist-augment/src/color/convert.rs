//! Grey from colours and back.

use crate::Image;
use oculist_kernels::{Isa, image};

/// Luma of Rec. 601 in 16-bit fixed point, rounded: Pillow's `convert("L")`.
#[inline(always)]
pub(crate) fn luma(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

/// Sets the alpha channel, where there is one, to that of pixels of the same size.
pub(crate) fn copy_alpha(from: &[u8], to: &mut Image) {
    if to.channels() == 4 {
        for (to, from) in to.pixels_mut().as_chunks_mut::<4>().0.iter_mut().zip(from.as_chunks::<4>().0) {
            to[3] = from[3];
        }
    }
}

/// One channel of grey; alpha is dropped, a grey image stays as it is.
pub fn to_grey(image: Image) -> Image {
    let (width, height) = (image.width(), image.height());
    if image.channels() == 1 {
        return image;
    }
    Image::from_parts(width, height, 1, luma_plane(&image))
}

/// The grey value of every pixel.
pub(super) fn luma_plane(image: &Image) -> Vec<u8> {
    if image.channels() == 1 {
        return image.pixels().to_vec();
    }
    let mut plane = vec![0; image.width() * image.height()];
    image::luma(Isa::detect(), image.pixels(), image.channels(), &mut plane);
    plane
}

/// Three channels; grey is repeated, alpha is dropped.
pub fn to_rgb(image: Image) -> Image {
    let (width, height) = (image.width(), image.height());
    let mut pixels = vec![0; width * height * 3];
    let out = pixels.as_chunks_mut::<3>().0.iter_mut();
    match image.channels() {
        3 => return image,
        1 => out.zip(image.pixels()).for_each(|(out, &v)| *out = [v; 3]),
        _ => out.zip(image.pixels().as_chunks::<4>().0).for_each(|(out, &[r, g, b, _])| *out = [r, g, b]),
    }
    Image::from_parts(width, height, 3, pixels)
}
