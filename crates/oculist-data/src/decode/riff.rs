//! The chunks of a WebP file.
//!
//! # Source
//! RFC 9649, 2.5 and 2.6 (containers), 2.7 (extended form); RFC 6386, 9.1 (the frame of VP8).

/// The chunks with their names, as far as they are there.
pub(super) fn chunks(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    chunks_of(bytes.get(12..).unwrap_or_default())
}

fn chunks_of(mut rest: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (head, data) = rest.split_first_chunk::<8>()?;
        let [a, b, c, d, length @ ..] = *head;
        let length = u32::from_le_bytes(length) as usize;
        let chunk = data.get(..length)?;
        rest = data.get(length.checked_next_multiple_of(2)?..).unwrap_or_default();
        Some(([a, b, c, d], chunk))
    })
}

/// Bytes of a frame of an animation before its chunks.
const FRAME: usize = 16;

/// Every size that the file declares, of the canvas and of the pictures on it: a decoder takes memory by each.
pub(super) fn sizes(bytes: &[u8]) -> Vec<(u32, u32)> {
    let mut sizes = Vec::new();
    for (kind, data) in chunks(bytes) {
        sizes.extend(size(kind, data));
        if &kind == b"ANMF" {
            let inner = chunks_of(data.get(FRAME..).unwrap_or_default());
            sizes.extend(inner.filter_map(|(kind, data)| size(kind, data)));
        }
    }
    sizes
}

/// The size that a chunk declares, if it is one that does.
fn size(kind: [u8; 4], data: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize, len: usize| {
        let bytes = data.get(at..at + len)?;
        Some(bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u32::from(byte)))
    };
    match &kind {
        b"VP8X" => Some((number(4, 3)? + 1, number(7, 3)? + 1)),
        b"VP8 " => Some((number(6, 2)? & 0x3fff, number(8, 2)? & 0x3fff)),
        b"VP8L" => {
            let packed = number(1, 4)?;
            Some(((packed & 0x3fff) + 1, (packed >> 14 & 0x3fff) + 1))
        }
        b"ANMF" => Some((number(6, 3)? + 1, number(9, 3)? + 1)),
        _ => None,
    }
}
