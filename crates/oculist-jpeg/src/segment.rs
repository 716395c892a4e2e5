//! Markers and the segments behind them.

use crate::{Error, Result};

const SHORT: Error = Error::Corrupt("a segment is shorter than its content");

/// Takes the next byte off.
pub(crate) fn byte(bytes: &mut &[u8]) -> Result<u8> {
    let (&first, rest) = bytes.split_first().ok_or(SHORT)?;
    *bytes = rest;
    Ok(first)
}

/// Takes the next two bytes off, the higher one first.
pub(crate) fn word(bytes: &mut &[u8]) -> Result<usize> {
    Ok(usize::from(byte(bytes)?) << 8 | usize::from(byte(bytes)?))
}

/// Takes the next bytes off.
pub(crate) fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Result<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(n).ok_or(SHORT)?;
    *bytes = rest;
    Ok(taken)
}

/// Markers that the caller has to know.
pub(crate) const END_OF_IMAGE: u8 = 0xd9;
pub(crate) const START_OF_SCAN: u8 = 0xda;

/// The next marker that means something here and, without its length, its segment; the end of the image has none.
///
/// Bytes before the marker, stray restarts and stuffed zeros are passed over, as libjpeg does: some cameras pad their
/// segments.
///
/// # Errors
/// The file ends before `what`; a second start of image; a segment without room for its own length.
pub(crate) fn next<'a>(rest: &mut &'a [u8], what: &'static str) -> Result<(u8, &'a [u8])> {
    let early = Error::Truncated(what);
    loop {
        let at = memchr::memchr(0xff, rest).ok_or(early)?;
        let fill = rest[at + 1..].iter().take_while(|&&b| b == 0xff).count();
        let (&marker, after) = rest[at + 1 + fill..].split_first().ok_or(early)?;
        *rest = after;
        match marker {
            0x00 | 0x01 | 0xd0..=0xd7 => {}
            0xd8 => return Err(Error::Corrupt("a second start of image")),
            END_OF_IMAGE => return Ok((marker, &[])),
            _ => {
                let (length, _) = after.split_first_chunk::<2>().ok_or(early)?;
                let length = usize::from(u16::from_be_bytes(*length));
                if length < 2 {
                    return Err(Error::Corrupt("a segment shorter than its length"));
                }
                let (segment, after) = after.split_at_checked(length).ok_or(early)?;
                *rest = after;
                return Ok((marker, &segment[2..]));
            }
        }
    }
}
