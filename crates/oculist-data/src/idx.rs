//! IDX files, plain or gzip-compressed.
//!
//! # Source
//! LeCun's description of the format: a big-endian magic number (0, 0, type 8 = bytes, dimensions), the
//! sizes as big-endian u32, then the data.

use crate::error::{Error, Result};
use std::io::Read;
use std::path::Path;

const LABELS: u32 = 0x0801;
const GREY: u32 = 0x0803;
const COLOR: u32 = 0x0804;

/// The images of an IDX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxImages {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// 1, or 3 in a file of four dimensions.
    pub channels: usize,
    /// Number of images.
    pub count: usize,
    /// All bytes, image after image, each HWC.
    pub pixels: Vec<u8>,
}

/// Reads a file of images: three dimensions (grey), or four with 1 or 3 channels last.
///
/// # Errors
/// A wrong magic number, impossible sizes, more or less data than the header says, a broken gzip stream.
pub fn read_idx_images(path: &Path) -> Result<IdxImages> {
    let bytes = oculist_files::read(path).map_err(Error::io(path))?;
    parse_images(path, &bytes)
}

/// Reads a file of labels, bytes in one dimension.
///
/// # Errors
/// As for [`read_idx_images`].
pub fn read_idx_labels(path: &Path) -> Result<Vec<u8>> {
    let bytes = oculist_files::read(path).map_err(Error::io(path))?;
    parse_labels(path, &bytes)
}

/// Parses what a file of images holds; `path` is for messages.
pub(crate) fn parse_images(path: &Path, bytes: &[u8]) -> Result<IdxImages> {
    let mut reader = unpacked(bytes);
    let magic = read_u32(path, &mut *reader)?;
    if magic != GREY && magic != COLOR {
        return Err(Error::IdxMagic {
            path: path.into(),
            expected: GREY,
            found: magic,
            what: "unsigned bytes, images",
        });
    }
    let mut size = || read_u32(path, &mut *reader).map(|n| n as usize);
    let (count, height, width) = (size()?, size()?, size()?);
    let channels = if magic == COLOR { size()? } else { 1 };
    let len = [count, height, width, channels].iter().try_fold(1u64, |len, &n| len.checked_mul(n as u64));
    let len = len.filter(|&len| len > 0 && matches!(channels, 1 | 3)).ok_or_else(|| Error::IdxShape {
        path: path.into(),
        found: format!("{count} images of {width}x{height} with {channels} channels"),
    })?;
    let pixels = read_exactly(path, &mut *reader, len)?;
    Ok(IdxImages { width, height, channels, count, pixels })
}

/// Parses what a file of labels holds; `path` is for messages.
pub(crate) fn parse_labels(path: &Path, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut reader = unpacked(bytes);
    let magic = read_u32(path, &mut *reader)?;
    if magic != LABELS {
        return Err(Error::IdxMagic {
            path: path.into(),
            expected: LABELS,
            found: magic,
            what: "unsigned bytes, labels",
        });
    }
    let count = read_u32(path, &mut *reader)?;
    read_exactly(path, &mut *reader, u64::from(count))
}

/// Gzip is known by its first two bytes, not by the file's name.
fn unpacked<'a>(bytes: &'a [u8]) -> Box<dyn Read + 'a> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::read::MultiGzDecoder::new(bytes))
    } else {
        Box::new(bytes)
    }
}

fn read_u32(path: &Path, reader: &mut dyn Read) -> Result<u32> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes).map_err(|source| match source.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::Io {
            path: path.into(),
            source: std::io::Error::new(source.kind(), "the file ends within its IDX header"),
        },
        _ => Error::Io { path: path.into(), source },
    })?;
    Ok(u32::from_be_bytes(bytes))
}

/// Reads up to one byte more than expected, so that a longer file is seen and an absurd length in the header
/// costs no memory before the data is there.
fn read_exactly(path: &Path, reader: &mut dyn Read, expected: u64) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    let result = reader.take(expected.saturating_add(1)).read_to_end(&mut data);
    let found = data.len() as u64;
    match result {
        // A compressed stream that is cut short; anything else is an error of its own.
        Err(source) if source.kind() != std::io::ErrorKind::UnexpectedEof => {
            Err(Error::Io { path: path.into(), source })
        }
        _ if found != expected => Err(Error::IdxLength { path: path.into(), expected, found }),
        Err(source) => Err(Error::Io { path: path.into(), source }),
        Ok(_) => Ok(data),
    }
}
