//! Artefacts of JPEG compression.

use crate::Image;
use crate::error::{Error, Result, parameter};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};

/// Encodes as baseline JPEG at a quality of 1..=100 and decodes again; alpha stays as it is.
///
/// Quality scales the standard tables as libjpeg does; the colour of RGB images has half the resolution (4:2:0), as
/// Pillow's default is.
///
/// # Errors
/// A quality outside 1..=100, a side above 65535.
///
/// # Source
/// ITU-T T.81, annex K for the tables. Encoder: the crate `jpeg-encoder`, decoder: the crate `image`; their integer
/// transforms may differ from libjpeg's by a level or two.
pub fn jpeg(image: &Image, quality: u8) -> Result<Image> {
    if !(1..=100).contains(&quality) {
        return Err(parameter("jpeg", "quality", "within 1..=100", quality.to_string()));
    }
    let (width, height, channels) = (image.width(), image.height(), image.channels());
    let failed =
        |err: &dyn std::fmt::Display| parameter("jpeg", "image", "one that JPEG can hold", err.to_string());
    let (Ok(w), Ok(h)) = (u16::try_from(width), u16::try_from(height)) else {
        return Err(failed(&format!("{width}x{height}")));
    };
    let color = match channels {
        1 => ColorType::Luma,
        3 => ColorType::Rgb,
        4 => ColorType::Rgba,
        found => return Err(Error::Channels { found }),
    };
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    if channels > 1 {
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    }
    encoder.encode(image.pixels(), w, h, color).map_err(|err| failed(&err))?;
    let decoded =
        image::load_from_memory_with_format(&bytes, image::ImageFormat::Jpeg).map_err(|err| failed(&err))?;
    let pixels = match channels {
        1 => decoded.into_luma8().into_raw(),
        3 => decoded.into_rgb8().into_raw(),
        _ => {
            let rgb = decoded.into_rgb8().into_raw();
            let mut pixels = image.pixels().to_vec();
            for (pixel, rgb) in pixels.as_chunks_mut::<4>().0.iter_mut().zip(rgb.as_chunks::<3>().0) {
                pixel[..3].copy_from_slice(rgb);
            }
            pixels
        }
    };
    Image::new(width, height, channels, pixels)
}
