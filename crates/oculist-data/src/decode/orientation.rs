//! How stored pixels are turned to stand upright, wherever a format keeps that.
//!
//! EXIF counts before XMP, and of several EXIF blocks the first that names an orientation. Blocks that are damaged or hold
//! no orientation turn nothing: they make no image unreadable.

use super::ifd::Directory;
use super::{png, riff};
use image::ImageFormat;
use image::metadata::Orientation;

const XMP_TAG: u16 = 700;

/// The orientation of a file that is no JPEG.
pub(super) fn of(format: ImageFormat, bytes: &[u8]) -> Orientation {
    let found = match format {
        ImageFormat::Png => {
            let chunk = png::chunks(bytes).find(|chunk| &chunk.kind == b"eXIf");
            chunk
                .and_then(|chunk| exif(chunk.data))
                .or_else(|| png::raw_profile(bytes).and_then(|block| exif(&block)))
                .or_else(|| png::xmp(bytes).and_then(|packet| xmp(&packet)))
        }
        ImageFormat::WebP => {
            let chunk =
                |name: &[u8; 4]| riff::chunks(bytes).find(|(kind, _)| kind == name).map(|(_, data)| data);
            chunk(b"EXIF").and_then(exif).or_else(|| chunk(b"XMP ").and_then(xmp))
        }
        ImageFormat::Tiff => Directory::find(bytes)
            .and_then(|directory| directory.orientation().or_else(|| xmp(directory.bytes(XMP_TAG)?))),
        _ => None,
    };
    found.unwrap_or(Orientation::NoTransforms)
}

/// The orientation of a JPEG file.
pub(super) fn of_jpeg(header: &oculist_jpeg::Header<'_>) -> Orientation {
    let found = header.exif().iter().find_map(|block| exif(block));
    found.or_else(|| header.xmp().and_then(xmp)).unwrap_or(Orientation::NoTransforms)
}

/// The orientation that an EXIF block names. Some writers keep JPEG's prefix in other formats.
fn exif(block: &[u8]) -> Option<Orientation> {
    Directory::find(block.strip_prefix(b"Exif\0\0").unwrap_or(block))?.orientation()
}

/// The orientation that an XMP packet names, as an attribute or as an element.
fn xmp(packet: &[u8]) -> Option<Orientation> {
    const NAME: &[u8] = b"tiff:Orientation";
    let at = packet.windows(NAME.len()).position(|window| window == NAME)?;
    let rest = &packet[at + NAME.len()..];
    let ([b'=', b'"' | b'\'', digit, ..] | [b'>', digit, ..]) = rest else { return None };
    Orientation::from_exif(digit.wrapping_sub(b'0'))
}

/// Whether width and height change places.
pub(crate) fn swaps_sides(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}
