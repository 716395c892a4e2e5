//! Bounds on what a source may make the reader hold, checked before the memory is taken.
//!
//! A file says how long its rows, tables and texts are, or does not say it at all; without bounds, a file of a few bytes
//! or a line without end takes all memory there is. The bounds are far above what data sets have.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Longest row of a manifest, in bytes.
pub(crate) const MAX_ROW: usize = 1 << 20;
/// Largest manifest, in bytes: what is kept of it is about as large as the file.
pub(crate) const MAX_MANIFEST: u64 = 4 << 30;
/// Most samples of one file (and most labels of one manifest); a sample costs 100 to 200 bytes before its image is read.
pub(crate) const MAX_SAMPLES: usize = 40_000_000;
/// Longest text in an annotation file, in bytes (a file name, a mask in compressed code).
pub(crate) const MAX_TEXT: usize = 16 << 20;
/// Largest list of class names, in bytes.
pub(crate) const MAX_NAMES: u64 = 16 << 20;
/// Largest file of pixels that is held in memory where no option says otherwise, in bytes.
pub(crate) const MAX_PIXEL_BYTES: u64 = 4 << 30;

/// Opens a file whose size is at most `limit`.
///
/// # Errors
/// The operating system's; a larger file.
pub(crate) fn open_bounded(path: &Path, limit: u64, what: &str) -> Result<(File, u64)> {
    let file = oculist_files::open(path).map_err(Error::io(path))?;
    let len = file.metadata().map_err(Error::io(path))?.len();
    if len > limit {
        return Err(over(path, what, limit, &format!("{len} bytes")));
    }
    Ok((file, len))
}

/// The text of a file of at most `limit` bytes.
///
/// # Errors
/// The operating system's; a larger file; bytes that are no UTF-8.
pub(crate) fn read_text(path: &Path, limit: u64, what: &str) -> Result<String> {
    let (file, _) = open_bounded(path, limit, what)?;
    let mut text = String::new();
    // A file that grows meanwhile, or has no size, is not read further than this.
    file.take(limit + 1).read_to_string(&mut text).map_err(Error::io(path))?;
    if text.len() as u64 > limit {
        return Err(over(path, what, limit, "more"));
    }
    Ok(text)
}

/// The error for a file that is larger than it may be.
pub(crate) fn over(path: &Path, what: &str, limit: u64, found: &str) -> Error {
    Error::Layout {
        path: path.into(),
        expected: format!("{what} of at most {limit} bytes"),
        found: found.to_owned(),
    }
}

/// True for the first bytes of a text in UTF-16: its byte order mark, or zeros between the letters.
pub(crate) fn is_utf16(start: &[u8]) -> bool {
    match start {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [a, 0, b, 0, ..] | [0, a, 0, b, ..] => *a != 0 && *b != 0,
        _ => false,
    }
}
