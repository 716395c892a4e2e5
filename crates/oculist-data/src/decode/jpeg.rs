//! JPEG files of the common kind.

use super::flatten;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use oculist_augment::{Image, Reading};
use oculist_jpeg::{Header, Region, Request};

/// The header, if the file may be decoded here.
fn header(bytes: &[u8], max_pixels: u64) -> Option<(Header<'_>, Orientation)> {
    let header = Header::parse(bytes).ok()?;
    if header.width() as u64 * header.height() as u64 > max_pixels {
        return None;
    }
    let orientation = header.exif().and_then(Orientation::from_exif_chunk);
    Some((header, orientation.unwrap_or(Orientation::NoTransforms)))
}

fn image(decoded: oculist_jpeg::Image) -> Option<Image> {
    let oculist_jpeg::Image { width, height, channels, pixels } = decoded;
    Image::new(width, height, channels, pixels).ok()
}

/// The whole image, turned as EXIF says; None for files that are for another decoder.
pub(super) fn whole(bytes: &[u8], max_pixels: u64) -> Option<Image> {
    let (header, orientation) = header(bytes, max_pixels)?;
    let decoded = header.decode(&Request::whole()).ok()?;
    if orientation == Orientation::NoTransforms {
        return image(decoded);
    }
    let (width, height) = (decoded.width as u32, decoded.height as u32);
    let mut turned = match decoded.channels {
        1 => DynamicImage::ImageLuma8(GrayImage::from_raw(width, height, decoded.pixels)?),
        _ => DynamicImage::ImageRgb8(RgbImage::from_raw(width, height, decoded.pixels)?),
    };
    turned.apply_orientation(orientation);
    let (width, height) = (turned.width() as usize, turned.height() as usize);
    let (channels, pixels) = flatten(turned);
    Image::new(width, height, channels, pixels).ok()
}

/// The part that `plan` asks for; None if it asks for none, or for files that are for another decoder.
pub(super) fn part(
    bytes: &[u8],
    max_pixels: u64,
    plan: &dyn Fn(usize, usize) -> Option<Reading>,
) -> Option<(Image, Reading)> {
    let (header, orientation) = header(bytes, max_pixels)?;
    if orientation != Orientation::NoTransforms {
        return None;
    }
    let reading = plan(header.width(), header.height())?;
    let (x, y, width, height) = reading.region;
    let region = Region { x, y, width, height };
    let request = Request::whole().of(region).reduced(reading.reduction);
    let request = if reading.in_place { request.in_place() } else { request };
    Some((image(header.decode(&request).ok()?)?, reading))
}
