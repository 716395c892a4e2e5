//! Is the file all there? Told from its structure, without decoding.
//!
//! Decoders differ in what they do about missing data: some fill in grey and say nothing. A picture that is
//! half grey teaches a network nothing good, so the structure decides.

use super::{DecodeError, format_name};
use image::ImageFormat;

/// Checks that the file reaches the end that its own structure promises.
///
/// JPEG: the end-of-image marker after a scan. PNG: all chunks up to `IEND`. WebP: the RIFF length. The
/// decoders of GIF, BMP and TIFF notice missing data themselves.
///
/// # Errors
/// [`DecodeError::Truncated`].
pub(crate) fn check_complete(format: ImageFormat, bytes: &[u8]) -> Result<(), DecodeError> {
    let complete = match format {
        ImageFormat::Jpeg => jpeg(bytes),
        ImageFormat::Png => png(bytes),
        ImageFormat::WebP => webp(bytes),
        _ => Ok(()),
    };
    complete.map_err(|detail| DecodeError::Truncated { format: format_name(format), detail: detail.into() })
}

fn be16(bytes: &[u8], at: usize) -> Option<usize> {
    let pair = bytes.get(at..at + 2)?;
    Some(usize::from(pair[0]) << 8 | usize::from(pair[1]))
}

/// Walks the segments; after a start of scan, runs through entropy-coded data to the next marker.
fn jpeg(bytes: &[u8]) -> Result<(), &'static str> {
    const MISSING: &str = "the file ends before the end-of-image marker";
    let mut at = 2;
    let mut scans = 0;
    loop {
        // Between segments there may be fill bytes; anything else is skipped as decoders do.
        while *bytes.get(at).ok_or(MISSING)? != 0xff {
            at += 1;
        }
        while *bytes.get(at).ok_or(MISSING)? == 0xff {
            at += 1;
        }
        let marker = bytes[at];
        at += 1;
        match marker {
            0xd9 if scans > 0 => return Ok(()),
            // Stuffed zero, restart markers, TEM and a stray start or end of image have no length.
            0x00 | 0x01 | 0xd0..=0xd9 => {}
            _ => {
                at += be16(bytes, at).ok_or(MISSING)?;
                scans += usize::from(marker == 0xda);
            }
        }
    }
}

fn png(bytes: &[u8]) -> Result<(), &'static str> {
    let mut at = 8;
    loop {
        let header = bytes.get(at..at + 8).ok_or("the file ends before its IEND chunk")?;
        let len = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let end = at.saturating_add(12).saturating_add(len);
        if end > bytes.len() {
            return Err("the file ends within a chunk");
        }
        if &header[4..] == b"IEND" {
            return Ok(());
        }
        at = end;
    }
}

fn webp(bytes: &[u8]) -> Result<(), &'static str> {
    let header = bytes.get(..12).ok_or("the file ends within its header")?;
    let len = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    if bytes.len() < len.saturating_add(8) { Err("the file is shorter than its RIFF length") } else { Ok(()) }
}
