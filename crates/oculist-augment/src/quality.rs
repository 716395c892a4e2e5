//! What spoils pictures: blur, noise, compression, weather, distortion.
//!
//! Each function takes an image and all its parameters, a random one also a seed; the size and the number of channels
//! stay. Values are rounded to nearest and cut to 0..=255. Unless a function says otherwise, blurs and distortions treat
//! alpha as any channel, while noise, light and weather leave it alone.

mod blur;
mod elastic;
#[cfg(test)]
mod fields;
mod jpeg;
mod kernel;
mod noise;
mod optics;
mod plane;
mod plasma;
pub(crate) mod sampling;
mod tone;
mod weather;

pub(crate) use blur::gaussian_blur_in_place;
pub use blur::{box_blur, gaussian_blur};
pub use elastic::elastic;
pub use jpeg::jpeg;
pub(crate) use jpeg::jpeg_in_place;
pub use noise::{gaussian_noise, impulse_noise, shot_noise, speckle_noise};
pub(crate) use noise::{gaussian_noise_in_place, impulse_noise_in_place, speckle_noise_in_place};
pub use optics::{defocus_blur, glass_blur, motion_blur, pixelate, zoom_blur};
pub(crate) use optics::{defocus_blur_in_place, motion_blur_in_place};
pub use tone::{brightness, contrast};
pub use weather::{Rain, Snow, Spatter, SpatterKind, fog, frost, rain, snow, spatter};
pub(crate) use weather::{fog_in_place, rain_in_place};

use crate::Image;
use crate::error::{Result, parameter};
use fast_image_resize as fir;

/// Refuses what is not within `low..=high`.
fn at_least(operation: &'static str, name: &'static str, value: f32, low: f32, high: f32) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(parameter(operation, name, "within its range", format!("{value}, range {low}..={high}")))
}

/// Refuses what is not above 0 and at most `high`.
fn positive(operation: &'static str, name: &'static str, value: f32, high: f32) -> Result<()> {
    if value > 0.0 && value <= high {
        return Ok(());
    }
    Err(parameter(operation, name, "positive and within its range", format!("{value}, range to {high}")))
}

/// Changes a copy.
fn in_place(image: &Image, change: impl FnOnce(&mut Image) -> Result<()>) -> Result<Image> {
    let mut out = image.clone();
    change(&mut out)?;
    Ok(out)
}

/// Replaces each colour value, in order; alpha stays.
fn map_colors(image: &Image, mut f: impl FnMut(u8) -> u8) -> Image {
    let mut out = image.clone();
    if image.channels() == 4 {
        for pixel in out.pixels_mut().as_chunks_mut::<4>().0 {
            pixel[..3].iter_mut().for_each(|v| *v = f(*v));
        }
    } else {
        out.pixels_mut().iter_mut().for_each(|v| *v = f(*v));
    }
    out
}

/// Resizes with a box filter: the mean of areas when reducing, repeated pixels when enlarging.
fn resize_box(image: &Image, width: usize, height: usize) -> Result<Image> {
    if (width, height) == (image.width(), image.height()) {
        return Ok(image.clone());
    }
    let pixel_type = match image.channels() {
        1 => fir::PixelType::U8,
        3 => fir::PixelType::U8x3,
        _ => fir::PixelType::U8x4,
    };
    let failed = |err: &dyn std::fmt::Display| {
        parameter("pixelate", "size", "one that can be resized", err.to_string())
    };
    let (w, h) = (image.width() as u32, image.height() as u32);
    let source = fir::images::ImageRef::new(w, h, image.pixels(), pixel_type).map_err(|err| failed(&err))?;
    let mut target = fir::images::Image::new(width as u32, height as u32, pixel_type);
    let options = fir::ResizeOptions::new()
        .resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Box))
        .use_alpha(false);
    fir::Resizer::new().resize(&source, &mut target, &options).map_err(|err| failed(&err))?;
    Image::new(width, height, image.channels(), target.into_vec())
}
