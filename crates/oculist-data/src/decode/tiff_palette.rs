//! Palette TIFF, which the decoder in use does not know.
//!
//! The file is presented to it as a grey one, by changing one number in a copy of its directory; the grey
//! values are then the indices, and the colours are looked up here.
//!
//! # Source
//! TIFF 6.0, sections 2 (structure) and 5 (palette-color images).

use super::ifd::Order;

const BITS_PER_SAMPLE: u16 = 258;
const PHOTOMETRIC: u16 = 262;
const COLOR_MAP: u16 = 320;

/// A palette TIFF of 8 bits, disguised.
pub(super) struct PaletteTiff {
    /// The file with grey instead of palette as its meaning.
    pub(super) bytes: Vec<u8>,
    /// The colour of every index.
    pub(super) colors: Vec<[u8; 3]>,
}

/// Recognises a palette TIFF of 8 bits; None for everything else, broken files included.
pub(super) fn disguise(bytes: &[u8]) -> Option<PaletteTiff> {
    let order = match bytes.get(..4)? {
        b"II*\0" => Order::Little,
        b"MM\0*" => Order::Big,
        _ => return None,
    };
    let directory = order.u32(bytes, 4)? as usize;
    let entries = usize::from(order.u16(bytes, directory)?);
    let entry =
        |tag: u16| (0..entries).map(|i| directory + 2 + i * 12).find(|&at| order.u16(bytes, at) == Some(tag));
    let photometric = entry(PHOTOMETRIC)?;
    if order.u16(bytes, photometric + 8)? != 3 || order.u16(bytes, entry(BITS_PER_SAMPLE)? + 8)? != 8 {
        return None;
    }
    let map = entry(COLOR_MAP)?;
    if order.u32(bytes, map + 4)? != 3 * 256 {
        return None;
    }
    let map = order.u32(bytes, map + 8)? as usize;
    // All reds come first, then all greens, then all blues, each of 16 bits.
    let channel = |c: usize, i: usize| order.u16(bytes, map + (c * 256 + i) * 2);
    let sixteen = (0..256)
        .map(|i| Some([channel(0, i)?, channel(1, i)?, channel(2, i)?]))
        .collect::<Option<Vec<[u16; 3]>>>()?;
    // Some writers put 8-bit values there; then no value has its upper byte.
    let eight = sixteen.iter().flatten().all(|&v| v < 256);
    let reduce = |v: u16| if eight { v as u8 } else { (v >> 8) as u8 };
    let mut bytes = bytes.to_vec();
    let one = match order {
        Order::Little => [1, 0],
        Order::Big => [0, 1],
    };
    bytes[photometric + 8..photometric + 10].copy_from_slice(&one);
    Some(PaletteTiff { bytes, colors: sixteen.into_iter().map(|color| color.map(reduce)).collect() })
}
