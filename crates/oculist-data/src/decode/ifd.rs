//! The first directory of a TIFF file, which is also the form of EXIF.
//!
//! # Source
//! TIFF 6.0, section 2 (structure); for BigTIFF the specification of libtiff 4; EXIF 2.32 for the orientation.

use image::metadata::Orientation;

const ORIENTATION: u16 = 274;

/// The order of a number's bytes.
#[derive(Clone, Copy)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// The number made of the bytes, up to eight.
    fn number(self, bytes: &[u8]) -> u64 {
        let join = |sum: u64, &byte: &u8| sum << 8 | u64::from(byte);
        match self {
            Self::Little => bytes.iter().rev().fold(0, join),
            Self::Big => bytes.iter().fold(0, join),
        }
    }

    fn at(self, bytes: &[u8], at: usize, len: usize) -> Option<u64> {
        Some(self.number(bytes.get(at..at.checked_add(len)?)?))
    }

    pub(super) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        self.at(bytes, at, 2).map(|number| number as u16)
    }

    pub(super) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        self.at(bytes, at, 4).map(|number| number as u32)
    }
}

/// The first directory of a file.
pub(super) struct Directory<'a> {
    bytes: &'a [u8],
    order: Order,
    /// Bytes of a count and of a place: 4, in BigTIFF 8.
    wide: usize,
    /// Where the entries are.
    start: usize,
    entries: usize,
}

impl<'a> Directory<'a> {
    /// Finds the directory; None if there is none.
    pub(super) fn find(bytes: &'a [u8]) -> Option<Self> {
        let (order, wide) = match bytes.get(..4)? {
            b"II*\0" => (Order::Little, 4),
            b"MM\0*" => (Order::Big, 4),
            b"II+\0" => (Order::Little, 8),
            b"MM\0+" => (Order::Big, 8),
            _ => return None,
        };
        let at = usize::try_from(order.at(bytes, wide, wide)?).ok()?;
        let counted = if wide == 4 { 2 } else { 8 };
        let entries = usize::try_from(order.at(bytes, at, counted)?).ok()?;
        Some(Self { bytes, order, wide, start: at + counted, entries })
    }

    /// The type of a tag's values, and their bytes.
    fn values(&self, tag: u16) -> Option<(u16, &'a [u8])> {
        let Self { bytes, order, wide, start, .. } = *self;
        let len = 4 + 2 * wide;
        // No entry lies behind the end of the file, whatever their number is said to be.
        let places = (0..self.entries.min(bytes.len() / len)).map(|i| start + i * len);
        let at =
            places.take_while(|at| at + len <= bytes.len()).find(|&at| order.u16(bytes, at) == Some(tag))?;
        let kind = order.u16(bytes, at + 2)?;
        let size = match kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            _ => 8,
        };
        let count = usize::try_from(order.at(bytes, at + 4, wide)?).ok()?;
        let total = count.checked_mul(size)?;
        let inside = at + 4 + wide;
        let from =
            if total <= wide { inside } else { usize::try_from(order.at(bytes, inside, wide)?).ok()? };
        Some((kind, bytes.get(from..from.checked_add(total)?)?))
    }

    /// The first value of a tag, if it is a whole number of one, two or four bytes.
    pub(super) fn number(&self, tag: u16) -> Option<u32> {
        let (kind, bytes) = self.values(tag)?;
        let size = match kind {
            1 | 6 => 1,
            3 | 8 => 2,
            4 | 9 => 4,
            _ => return None,
        };
        Some(self.order.number(bytes.get(..size)?) as u32)
    }

    /// The bytes of a tag's values.
    pub(super) fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        self.values(tag).map(|(_, bytes)| bytes)
    }

    /// The orientation, if the directory names one; a number outside 1..=8 means none.
    pub(super) fn orientation(&self) -> Option<Orientation> {
        let number = self.number(ORIENTATION)?;
        let known = u8::try_from(number).ok().and_then(Orientation::from_exif);
        Some(known.unwrap_or(Orientation::NoTransforms))
    }
}
