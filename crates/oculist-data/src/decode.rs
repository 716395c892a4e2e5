//! Image files to pixels.
//!
//! The format is told from the content, never from the name. Grey files give 1 channel, all others RGB:
//! palettes are looked up, 16-bit values are divided by 257 and rounded, CMYK is converted (with the
//! inversion that all JPEG writers use, as libjpeg-based readers do), transparent pixels are composited on
//! white. The EXIF (or else XMP) orientation is applied. Of animations the first frame is taken.
//!
//! JPEG files are decoded by `oculist-jpeg`, all others by the crate `image`. What is wrong is told in three kinds: the
//! file ends too early, contradicts itself, or is sound and of a kind that is not supported.

mod complete;
mod ifd;
mod jpeg;
mod orientation;
mod png;
mod riff;
mod tiff_palette;

use ifd::Directory;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use oculist_augment::{Image, Reading};
use std::borrow::Cow;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use tiff_palette::PaletteTiff;

pub(crate) use complete::check_complete;
pub(crate) use orientation::swaps_sides;

/// Largest accepted image: 100 million pixels.
pub const DEFAULT_MAX_PIXELS: u64 = 100_000_000;

/// Why a file gives no image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The operating system refused.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// Not one of the formats known here.
    #[error("not an image (expected JPEG, PNG, WebP, BMP, TIFF or GIF)")]
    NotAnImage,
    /// An image in a format that is not decoded here.
    #[error("not supported: a {0} image (expected JPEG, PNG, WebP, BMP, TIFF or GIF)")]
    OtherFormat(&'static str),
    /// The file ends too early.
    #[error("truncated {format} image: {detail}")]
    Truncated {
        /// The format.
        format: &'static str,
        /// What is missing.
        detail: String,
    },
    /// The declared size is refused, before any memory is taken.
    #[error("declared size {width}x{height} is over the limit of {max_pixels} pixels")]
    TooLarge {
        /// Declared width.
        width: u32,
        /// Declared height.
        height: u32,
        /// The limit.
        max_pixels: u64,
    },
    /// A sound file of a kind that cannot be decoded here.
    #[error("not supported {format} image: {detail}")]
    Unsupported {
        /// The format.
        format: &'static str,
        /// The kind.
        detail: String,
    },
    /// The file contradicts itself, or the decoder gave up.
    #[error("broken {format} image: {detail}")]
    Broken {
        /// The format.
        format: &'static str,
        /// What the decoder said.
        detail: String,
    },
}

/// What an image file says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageHeader {
    /// The format's name, such as `JPEG`.
    pub format: &'static str,
    /// Width in pixels, after the EXIF orientation.
    pub width: u32,
    /// Height in pixels, after the EXIF orientation.
    pub height: u32,
    /// True if the file is stored in grey.
    pub grey: bool,
    /// How the stored pixels are turned to stand upright.
    pub(crate) orientation: Orientation,
}

/// Reads and decodes an image file.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode_file(path: &Path, max_pixels: u64) -> Result<Image, DecodeError> {
    decode_image(&oculist_files::read(path)?, max_pixels)
}

/// Decodes an image: 1 channel if the file is grey without transparency, else 3.
///
/// # Errors
/// See [`DecodeError`]; a truncated file is an error even where a decoder could fill in grey.
pub fn decode_image(bytes: &[u8], max_pixels: u64) -> Result<Image, DecodeError> {
    let format = guess(bytes)?;
    if format == ImageFormat::Jpeg {
        return jpeg::whole(bytes, max_pixels);
    }
    check_complete(format, bytes)?;
    let decode = || decode_complete(format, bytes, max_pixels);
    // A decoder that panics on a damaged file must not take the training down with it.
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| {
        let detail = "the decoder does not know how to go on".to_owned();
        Err(DecodeError::Broken { format: format_name(format), detail })
    })
}

/// Decodes the part of an image that `plan` asks for, given the image's width and height.
///
/// Where it asks for none, or the file does not allow it (other formats than JPEG, an EXIF orientation), the image
/// is decoded as a whole, and there is no reading in the result.
///
/// # Errors
/// As for [`decode_image`]. Damage behind the part may go unnoticed, except that the file ends too early.
pub fn decode_part(
    bytes: &[u8],
    max_pixels: u64,
    plan: &dyn Fn(usize, usize) -> Option<Reading>,
) -> Result<(Image, Option<Reading>), DecodeError> {
    if guess(bytes)? == ImageFormat::Jpeg
        && let Some((image, reading)) = jpeg::part(bytes, max_pixels, plan)?
    {
        return Ok((image, Some(reading)));
    }
    decode_image(bytes, max_pixels).map(|image| (image, None))
}

fn decode_complete(format: ImageFormat, bytes: &[u8], max_pixels: u64) -> Result<Image, DecodeError> {
    let source = Source::new(format, bytes);
    let mut decoder = decoder(format, &source.bytes, max_pixels)?;
    let (width, height) = decoder.dimensions();
    decoder.set_limits(limits(width, height)).map_err(|err| broken(format, &err))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|err| broken(format, &err))?;
    image.apply_orientation(orientation::of(format, bytes));
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (channels, pixels) = match source.colors {
        Some(colors) => {
            let indices = image.into_luma8();
            (3, indices.iter().flat_map(|&index| colors[usize::from(index)]).collect())
        }
        None => flatten(image, is_premultiplied(format, bytes)),
    };
    Image::new(width, height, channels, pixels)
        .map_err(|err| DecodeError::Broken { format: format_name(format), detail: err.to_string() })
}

/// A file as the decoder is to see it.
struct Source<'a> {
    bytes: Cow<'a, [u8]>,
    /// Of a palette TIFF, the colours that its values stand for.
    colors: Option<Vec<[u8; 3]>>,
}

impl<'a> Source<'a> {
    fn new(format: ImageFormat, bytes: &'a [u8]) -> Self {
        match format {
            ImageFormat::Png => Self { bytes: png::essential(bytes), colors: None },
            ImageFormat::Tiff => match tiff_palette::disguise(bytes) {
                Some(PaletteTiff { bytes, colors }) => {
                    Self { bytes: Cow::Owned(bytes), colors: Some(colors) }
                }
                None => Self { bytes: Cow::Borrowed(bytes), colors: None },
            },
            _ => Self { bytes: Cow::Borrowed(bytes), colors: None },
        }
    }
}

/// Eight bytes a pixel, and as much again for what decoders keep beside it.
fn limits(width: u32, height: u32) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(u64::from(width) * u64::from(height) * 16 + (64 << 20));
    limits
}

/// Whether the colours of a TIFF are those over black already: associated alpha.
fn is_premultiplied(format: ImageFormat, bytes: &[u8]) -> bool {
    const EXTRA_SAMPLES: u16 = 338;
    let directory = (format == ImageFormat::Tiff).then(|| Directory::find(bytes)).flatten();
    directory.and_then(|directory| directory.number(EXTRA_SAMPLES)) == Some(1)
}

/// Reads no more than the header of an image.
///
/// # Errors
/// See [`DecodeError`].
pub fn read_header(bytes: &[u8], max_pixels: u64) -> Result<ImageHeader, DecodeError> {
    let format = guess(bytes)?;
    if format == ImageFormat::Jpeg {
        return jpeg::describe(bytes, max_pixels);
    }
    let source = Source::new(format, bytes);
    let decoder = decoder(format, &source.bytes, max_pixels)?;
    let (mut width, mut height) = decoder.dimensions();
    let orientation = orientation::of(format, bytes);
    if orientation::swaps_sides(orientation) {
        (width, height) = (height, width);
    }
    let color = decoder.color_type();
    Ok(ImageHeader {
        format: format_name(format),
        width,
        height,
        grey: source.colors.is_none() && !color.has_color() && !color.has_alpha(),
        orientation,
    })
}

/// The format by content.
pub(crate) fn guess(bytes: &[u8]) -> Result<ImageFormat, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    match image::guess_format(bytes) {
        Ok(
            format @ (ImageFormat::Jpeg
            | ImageFormat::Png
            | ImageFormat::WebP
            | ImageFormat::Bmp
            | ImageFormat::Tiff
            | ImageFormat::Gif),
        ) => Ok(format),
        // The form of TIFF for files of more than 4 GB.
        _ if bytes.starts_with(b"II+\0\x08\0\0\0") || bytes.starts_with(b"MM\0+\0\x08\0\0") => {
            Ok(ImageFormat::Tiff)
        }
        _ => Err(other_format(bytes).map_or(DecodeError::NotAnImage, DecodeError::OtherFormat)),
    }
}

/// The name of a format that is known, but not decoded.
fn other_format(bytes: &[u8]) -> Option<&'static str> {
    const STARTS: [(&[u8], &str); 7] = [
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
        (b"8BPS", "Photoshop"),
        (b"v/1\x01", "OpenEXR"),
        (b"qoif", "QOI"),
    ];
    if let Some(&(_, name)) = STARTS.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Some(name);
    }
    let brand = bytes.get(4..12)?.strip_prefix(b"ftyp")?;
    match brand {
        b"avif" | b"avis" => Some("AVIF"),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => Some("HEIF"),
        _ => None,
    }
}

/// A decoder that has read the header, after the declared size was accepted.
fn decoder(
    format: ImageFormat,
    bytes: &[u8],
    max_pixels: u64,
) -> Result<impl ImageDecoder + '_, DecodeError> {
    let check = |width: u32, height: u32| {
        if u64::from(width) * u64::from(height) > max_pixels {
            return Err(DecodeError::TooLarge { width, height, max_pixels });
        }
        Ok(())
    };
    // Decoders take memory as they read their headers, so sizes are compared before, where they are easily found. Those of
    // TIFF, BMP and GIF take little until their limits are set.
    let declared: Vec<(u32, u32)> = match format {
        ImageFormat::Png => png::size(bytes).into_iter().collect(),
        ImageFormat::WebP => riff::sizes(bytes),
        _ => Vec::new(),
    };
    for &(width, height) in &declared {
        check(width, height)?;
    }
    let (width, height) = declared.first().copied().unwrap_or_default();
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits(width, height));
    let decoder = reader.into_decoder().map_err(|err| broken(format, &err))?;
    let (width, height) = decoder.dimensions();
    check(width, height)?;
    Ok(decoder)
}

/// The format's usual name.
fn format_name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Png => "PNG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::Gif => "GIF",
        _ => "unknown",
    }
}

fn broken(format: ImageFormat, err: &image::ImageError) -> DecodeError {
    let (format, detail) = (format_name(format), err.to_string());
    match err {
        image::ImageError::IoError(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
            DecodeError::Truncated { format, detail: "the data ends too early".into() }
        }
        image::ImageError::Unsupported(_) => DecodeError::Unsupported { format, detail },
        _ => DecodeError::Broken { format, detail },
    }
}

/// Channels and bytes: grey without alpha stays grey, alpha is composited on white, the rest is RGB.
fn flatten(image: DynamicImage, premultiplied: bool) -> (usize, Vec<u8>) {
    match image {
        DynamicImage::ImageLuma8(grey) => (1, grey.into_raw()),
        DynamicImage::ImageLuma16(_) => (1, image.into_luma8().into_raw()),
        DynamicImage::ImageRgb8(rgb) => (3, rgb.into_raw()),
        other if other.color().has_alpha() => {
            let rgba = other.into_rgba8();
            let on_white = if premultiplied { premultiplied_on_white } else { on_white };
            (3, rgba.pixels().flat_map(|pixel| on_white(pixel.0)).collect())
        }
        other => (3, other.into_rgb8().into_raw()),
    }
}

/// `alpha * x + (1 - alpha) * 255`, rounded.
fn on_white([r, g, b, a]: [u8; 4]) -> [u8; 3] {
    let alpha = u32::from(a);
    [r, g, b].map(|v| ((u32::from(v) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
}

/// [`on_white`] for `x` that was multiplied by alpha before; more than alpha allows is white.
fn premultiplied_on_white([r, g, b, a]: [u8; 4]) -> [u8; 3] {
    [r, g, b].map(|v| v.saturating_add(255 - a))
}
