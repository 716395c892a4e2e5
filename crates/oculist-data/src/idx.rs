//! IDX files, plain or gzip-compressed.
//!
//! # Source
//! LeCun's description of the format: a big-endian magic number (0, 0, type 8 = bytes, dimensions), the
//! sizes as big-endian u32, then the data.

use crate::error::{Error, Result};
use crate::limits::MAX_PIXEL_BYTES;
use std::io::{BufRead, BufReader, Read};
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
/// A wrong magic number, impossible sizes, more or less data than the header says, a broken gzip stream, more than 4 GiB.
pub fn read_idx_images(path: &Path) -> Result<IdxImages> {
    read_images(path, MAX_PIXEL_BYTES)
}

/// Reads a file of labels, bytes in one dimension.
///
/// # Errors
/// As for [`read_idx_images`].
pub fn read_idx_labels(path: &Path) -> Result<Vec<u8>> {
    read_labels(path, MAX_PIXEL_BYTES)
}

/// [`read_idx_images`] of at most `limit` bytes.
pub(crate) fn read_images(path: &Path, limit: u64) -> Result<IdxImages> {
    let file = oculist_files::open(path).map_err(Error::io(path))?;
    let len = file.metadata().map_err(Error::io(path))?.len();
    images(path, &mut Unpacked::new(path, BufReader::new(file), len)?, limit)
}

/// [`read_idx_labels`] of at most `limit` bytes.
pub(crate) fn read_labels(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = oculist_files::open(path).map_err(Error::io(path))?;
    let len = file.metadata().map_err(Error::io(path))?.len();
    labels(path, &mut Unpacked::new(path, BufReader::new(file), len)?, limit)
}

/// Parses what a file of images holds; `path` is for messages.
pub(crate) fn parse_images(path: &Path, bytes: &[u8]) -> Result<IdxImages> {
    images(path, &mut Unpacked::new(path, bytes, bytes.len() as u64)?, MAX_PIXEL_BYTES)
}

/// Parses what a file of labels holds; `path` is for messages.
pub(crate) fn parse_labels(path: &Path, bytes: &[u8]) -> Result<Vec<u8>> {
    labels(path, &mut Unpacked::new(path, bytes, bytes.len() as u64)?, MAX_PIXEL_BYTES)
}

fn images<R: BufRead>(path: &Path, reader: &mut Unpacked<R>, limit: u64) -> Result<IdxImages> {
    let magic = read_u32(path, reader)?;
    if magic != GREY && magic != COLOR {
        return Err(Error::IdxMagic {
            path: path.into(),
            expected: GREY,
            found: magic,
            what: "unsigned bytes, images",
        });
    }
    let mut size = || read_u32(path, reader).map(|n| n as usize);
    let (count, height, width) = (size()?, size()?, size()?);
    let channels = if magic == COLOR { size()? } else { 1 };
    let len = [count, height, width, channels].iter().try_fold(1u64, |len, &n| len.checked_mul(n as u64));
    let len = len.filter(|&len| len > 0 && matches!(channels, 1 | 3)).ok_or_else(|| Error::IdxShape {
        path: path.into(),
        found: format!("{count} images of {width}x{height} with {channels} channels"),
    })?;
    let pixels = read_exactly(path, reader, len, limit)?;
    Ok(IdxImages { width, height, channels, count, pixels })
}

fn labels<R: BufRead>(path: &Path, reader: &mut Unpacked<R>, limit: u64) -> Result<Vec<u8>> {
    let magic = read_u32(path, reader)?;
    if magic != LABELS {
        return Err(Error::IdxMagic {
            path: path.into(),
            expected: LABELS,
            found: magic,
            what: "unsigned bytes, labels",
        });
    }
    let count = read_u32(path, reader)?;
    read_exactly(path, reader, u64::from(count), limit)
}

/// The data, plain or from a gzip stream: that is known by its first two bytes, not by the file's name.
struct Unpacked<R> {
    reader: Source<R>,
    /// The most bytes that there can be.
    most: u64,
}

enum Source<R> {
    Plain(R),
    Gzip(Box<flate2::bufread::MultiGzDecoder<R>>),
}

impl<R: BufRead> Unpacked<R> {
    /// Wraps a file of `len` bytes.
    fn new(path: &Path, mut reader: R, len: u64) -> Result<Self> {
        /// Deflate codes at most 258 bytes in 2 bits.
        const MAX_RATIO: u64 = 1032;
        let start = reader.fill_buf().map_err(Error::io(path))?;
        if start.starts_with(&[0x1f, 0x8b]) {
            let decoder = Box::new(flate2::bufread::MultiGzDecoder::new(reader));
            Ok(Self { reader: Source::Gzip(decoder), most: len.saturating_mul(MAX_RATIO) })
        } else {
            Ok(Self { reader: Source::Plain(reader), most: len })
        }
    }
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match &mut self.reader {
            Source::Plain(reader) => reader.read(buffer),
            Source::Gzip(reader) => reader.read(buffer),
        }
    }
}

fn read_u32(path: &Path, reader: &mut impl Read) -> Result<u32> {
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
fn read_exactly<R: BufRead>(
    path: &Path,
    reader: &mut Unpacked<R>,
    expected: u64,
    limit: u64,
) -> Result<Vec<u8>> {
    // A header that promises more than there can be is wrong before anything is read; how much there is, is found without
    // keeping it.
    if expected > reader.most {
        let found = std::io::copy(&mut reader.take(expected), &mut std::io::sink()).unwrap_or_default();
        return Err(Error::IdxLength { path: path.into(), expected, found });
    }
    if expected > limit {
        return Err(Error::Layout {
            path: path.into(),
            expected: format!(
                "at most {limit} bytes of images in memory (max_encoded_bytes, --max-image-bytes)"
            ),
            found: format!("{expected} bytes by the IDX header"),
        });
    }
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
