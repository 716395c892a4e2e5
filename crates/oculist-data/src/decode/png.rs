//! The chunks of a PNG file.
//!
//! A decoder that reads everything takes memory for what nobody asked for: a colour profile of a few bytes may inflate to
//! gigabytes. So it is given the chunks that make the pixels and no others, and what else is of use is read here, with
//! bounds.
//!
//! # Source
//! PNG, third edition: 5.3 (chunks), 11.3.3 (text), 11.3.4.5 (eXIf). `Raw profile type exif` is how ImageMagick wrote EXIF
//! before there was eXIf: a line feed, the name, the length and then the bytes in hexadecimal digits.

use flate2::read::ZlibDecoder;
use std::borrow::Cow;
use std::io::Read;

const SIGNATURE: usize = 8;

/// Most bytes that a text may have after inflating; EXIF and XMP in one piece have at most 64 KB in other formats.
const MOST_TEXT: u64 = 1 << 20;

/// A chunk.
pub(super) struct Chunk<'a> {
    pub(super) kind: [u8; 4],
    pub(super) data: &'a [u8],
    /// With length and checksum.
    whole: &'a [u8],
}

/// All chunks up to the end of the image, as far as they are there.
pub(super) fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = bytes.get(SIGNATURE..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        let whole = rest.get(..length.checked_add(12)?)?;
        rest = &rest[whole.len()..];
        let kind = *whole[4..].first_chunk()?;
        if &kind == b"IEND" {
            rest = &[];
        }
        Some(Chunk { kind, data: &whole[8..8 + length], whole })
    })
}

/// Declared width and height.
pub(super) fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = chunks(bytes).next().filter(|chunk| &chunk.kind == b"IHDR")?;
    let (width, rest) = header.data.split_first_chunk()?;
    Some((u32::from_be_bytes(*width), u32::from_be_bytes(*rest.first_chunk()?)))
}

/// The file without the chunks that change no pixel here.
pub(super) fn essential(bytes: &[u8]) -> Cow<'_, [u8]> {
    let wanted = |chunk: &Chunk<'_>| matches!(&chunk.kind, b"IHDR" | b"PLTE" | b"tRNS" | b"IDAT" | b"IEND");
    // Unknown chunks that call themselves critical are for the decoder to refuse.
    let wanted = |chunk: &Chunk<'_>| wanted(chunk) || chunk.kind[0] & 0x20 == 0;
    if chunks(bytes).all(|chunk| wanted(&chunk)) {
        return Cow::Borrowed(bytes);
    }
    let mut kept = bytes[..SIGNATURE].to_vec();
    let mut end = SIGNATURE;
    for chunk in chunks(bytes) {
        end += chunk.whole.len();
        if wanted(&chunk) {
            kept.extend(chunk.whole);
        }
    }
    // A chunk that is cut short is for the decoder to find.
    kept.extend(&bytes[end..]);
    Cow::Owned(kept)
}

/// Splits at the first zero.
fn text(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = data.iter().position(|&byte| byte == 0)?;
    Some((&data[..at], &data[at + 1..]))
}

/// Inflates as much as a text may have; None if there is more, or if it is broken.
fn inflate(data: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    ZlibDecoder::new(data).take(MOST_TEXT + 1).read_to_end(&mut out).ok()?;
    (out.len() as u64 <= MOST_TEXT).then_some(out)
}

/// The EXIF block that is written as text.
pub(super) fn raw_profile(bytes: &[u8]) -> Option<Vec<u8>> {
    let profile = chunks(bytes).find_map(|chunk| {
        let (name, value) = text(chunk.data)?;
        match &chunk.kind {
            _ if name != b"Raw profile type exif" && name != b"Raw profile type APP1" => None,
            b"tEXt" => Some(value.to_vec()),
            b"zTXt" => inflate(value.strip_prefix(&[0])?),
            _ => None,
        }
    })?;
    let mut digits = Vec::with_capacity(profile.len() / 2);
    // Behind the line feed come the lines of the name and of the length.
    for line in profile.split(|&byte| byte == b'\n').skip(3) {
        digits.extend(line.iter().filter_map(|&byte| char::from(byte).to_digit(16)));
    }
    Some(digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

/// The XMP packet.
pub(super) fn xmp(bytes: &[u8]) -> Option<Vec<u8>> {
    chunks(bytes).filter(|chunk| &chunk.kind == b"iTXt").find_map(|chunk| {
        let (name, rest) = text(chunk.data)?;
        let (&[compressed, _method], rest) = rest.split_first_chunk()?;
        let (_language, rest) = text(rest)?;
        let (_translated, packet) = text(rest)?;
        match compressed {
            _ if name != b"XML:com.adobe.xmp" => None,
            0 => Some(packet.to_vec()),
            _ => inflate(packet),
        }
    })
}
