//! JPEG files.

use super::orientation::{of_jpeg, swaps_sides};
use super::{DecodeError, ImageHeader, flatten};
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use oculist_augment::{Image, Reading};
use oculist_jpeg::{Error, Header, Region, Request};

const FORMAT: &str = "JPEG";

/// The header, if the declared size is accepted.
fn header(bytes: &[u8], max_pixels: u64) -> Result<(Header<'_>, Orientation), DecodeError> {
    let header = Header::parse(bytes).map_err(refused)?;
    let (width, height) = (header.width(), header.height());
    if width as u64 * height as u64 > max_pixels {
        return Err(DecodeError::TooLarge { width: width as u32, height: height as u32, max_pixels });
    }
    let orientation = of_jpeg(&header);
    Ok((header, orientation))
}

fn refused(err: Error) -> DecodeError {
    let (format, detail) = (FORMAT, err.to_string());
    match err {
        Error::Truncated(_) => DecodeError::Truncated { format, detail },
        Error::Unsupported(what) => DecodeError::Unsupported { format, detail: what.to_owned() },
        _ => DecodeError::Broken { format, detail },
    }
}

fn image((width, height): (usize, usize), channels: usize, pixels: Vec<u8>) -> Result<Image, DecodeError> {
    Image::new(width, height, channels, pixels)
        .map_err(|err| DecodeError::Broken { format: FORMAT, detail: err.to_string() })
}

/// What the file says about itself.
pub(super) fn describe(bytes: &[u8], max_pixels: u64) -> Result<ImageHeader, DecodeError> {
    let (header, orientation) = header(bytes, max_pixels)?;
    let (mut width, mut height) = (header.width() as u32, header.height() as u32);
    if swaps_sides(orientation) {
        (width, height) = (height, width);
    }
    Ok(ImageHeader { format: FORMAT, width, height, grey: header.channels() == 1, orientation })
}

/// The whole image, turned as EXIF says.
pub(super) fn whole(bytes: &[u8], max_pixels: u64) -> Result<Image, DecodeError> {
    let (header, orientation) = header(bytes, max_pixels)?;
    let oculist_jpeg::Image { width, height, channels, pixels } =
        header.decode(&Request::whole()).map_err(refused)?;
    if orientation == Orientation::NoTransforms {
        return image((width, height), channels, pixels);
    }
    let size = (width as u32, height as u32);
    let stored = match channels {
        1 => GrayImage::from_raw(size.0, size.1, pixels).map(DynamicImage::ImageLuma8),
        _ => RgbImage::from_raw(size.0, size.1, pixels).map(DynamicImage::ImageRgb8),
    };
    let detail = || "pixels that do not fit the size".to_owned();
    let mut turned = stored.ok_or_else(|| DecodeError::Broken { format: FORMAT, detail: detail() })?;
    turned.apply_orientation(orientation);
    let size = (turned.width() as usize, turned.height() as usize);
    let (channels, pixels) = flatten(turned, false);
    image(size, channels, pixels)
}

/// The part that `plan` asks for; None if it asks for none, or if the pixels have to be turned.
pub(super) fn part(
    bytes: &[u8],
    max_pixels: u64,
    plan: &dyn Fn(usize, usize) -> Option<Reading>,
) -> Result<Option<(Image, Reading)>, DecodeError> {
    let (header, orientation) = header(bytes, max_pixels)?;
    if orientation != Orientation::NoTransforms {
        return Ok(None);
    }
    let Some(reading) = plan(header.width(), header.height()) else { return Ok(None) };
    let (x, y, width, height) = reading.region;
    let region = Region { x, y, width, height };
    let request = Request::whole().of(region).reduced(reading.reduction);
    let request = if reading.in_place { request.in_place() } else { request };
    let decoded = header.decode(&request).map_err(refused)?;
    let part = image((decoded.width, decoded.height), decoded.channels, decoded.pixels)?;
    Ok(Some((part, reading)))
}
