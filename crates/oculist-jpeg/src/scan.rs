//! Entropy-coded data without what is not code.

use crate::{Error, Result};

/// Zeros behind the data, so that words can be read to the end.
const PADDING: usize = 16;

/// The entropy-coded bytes of a scan, without stuffed zeros and markers.
pub(crate) struct Scan {
    bytes: Vec<u8>,
    /// Where each part that begins with a restart ends.
    pub(crate) ends: Vec<usize>,
}

impl Scan {
    /// Copies everything up to the end of image.
    ///
    /// # Errors
    /// A file without end of image; restart markers out of order; something else than the end behind the scan.
    pub(crate) fn copy(mut rest: &[u8]) -> Result<Self> {
        let mut bytes = Vec::with_capacity(rest.len() + PADDING);
        let mut ends = Vec::new();
        let early = Error::Truncated("the end-of-image marker");
        loop {
            let at = memchr::memchr(0xff, rest).ok_or(early)?;
            bytes.extend_from_slice(&rest[..at]);
            let fill = rest[at + 1..].iter().take_while(|&&b| b == 0xff).count();
            let marker = *rest.get(at + 1 + fill).ok_or(early)?;
            rest = &rest[at + 2 + fill..];
            match marker {
                0x00 if fill == 0 => bytes.push(0xff),
                0xd0..=0xd7 if usize::from(marker - 0xd0) == ends.len() % 8 => ends.push(bytes.len()),
                0xd9 => break,
                0x00 | 0x01 | 0xd0..=0xd8 => return Err(Error::Corrupt("a marker out of order in the scan")),
                _ => return Err(Error::Unsupported("several scans or tables behind the scan")),
            }
        }
        ends.push(bytes.len());
        bytes.resize(bytes.len() + PADDING, 0);
        Ok(Self { bytes, ends })
    }

    /// Number of entropy-coded bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - PADDING
    }

    /// Reads from this byte on.
    pub(crate) fn reader(&self, at: usize) -> Reader<'_> {
        Reader { bytes: &self.bytes, at, bits: 0, count: 0 }
    }
}

/// Reads bits, the highest of each byte first; behind the end there are zeros.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    /// The next byte of which some bits are not in `bits` yet.
    at: usize,
    /// The next bits, from the highest on.
    bits: u64,
    /// How many of `bits` are accounted for; bits below may be right already.
    count: u32,
}

impl Reader<'_> {
    /// Makes at least 56 bits available.
    #[inline(always)]
    pub(crate) fn refill(&mut self) {
        let word = match self.bytes.get(self.at..self.at + 8) {
            Some(bytes) => u64::from_be_bytes([
                bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
            ]),
            None => 0,
        };
        self.bits |= word >> self.count;
        self.at += ((63 - self.count) >> 3) as usize;
        // At least 56, and what is below a whole byte as it was.
        self.count |= 0x38;
    }

    /// The next bits from the highest on.
    #[inline(always)]
    pub(crate) fn peek(&self) -> u64 {
        self.bits
    }

    /// Moves on by the lowest six bits of `n`, of which there must be as many.
    #[inline(always)]
    pub(crate) fn skip(&mut self, n: u32) {
        self.bits <<= n & 63;
        self.count -= n & 63;
    }

    /// Whether more bits were taken than there are before this byte.
    pub(crate) fn is_past(&self, end: usize) -> bool {
        self.at * 8 - self.count as usize > end * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffing_goes_and_restarts_are_noted() {
        let scan = Scan::copy(&[1, 0xff, 0, 2, 0xff, 0xd0, 3, 0xff, 0xff, 0xd1, 0xff, 0xd9, 9]).unwrap();
        assert_eq!(scan.bytes[..scan.len()], [1, 0xff, 2, 3]);
        assert_eq!(scan.ends, [3, 4, 4]);
        for (bytes, error) in [
            (&[1, 2, 0xff, 0][..], Error::Truncated("the end-of-image marker")),
            (&[1, 2, 0xff], Error::Truncated("the end-of-image marker")),
            (&[1, 0xff, 0xd1, 0xff, 0xd9], Error::Corrupt("a marker out of order in the scan")),
            (&[1, 0xff, 0xda], Error::Unsupported("several scans or tables behind the scan")),
        ] {
            assert_eq!(Scan::copy(bytes).err(), Some(error), "{bytes:?}");
        }
    }

    #[test]
    fn bits_come_in_order_whatever_is_taken_at_once() {
        let data: Vec<u8> = (0..40u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 & 0xfe).collect();
        let scan = Scan::copy(&[&data[..], &[0xff, 0xd9]].concat()).unwrap();
        let bit = |i: usize| u64::from(data.get(i / 8).map_or(0, |b| b >> (7 - i % 8) & 1));
        let mut reader = scan.reader(0);
        let mut at = 0;
        for n in (1..27).cycle().take(22) {
            reader.refill();
            let want = (at..at + n).fold(0, |v, i| v << 1 | bit(i));
            assert_eq!(reader.peek() >> (64 - n), want, "{n} bits at {at}");
            reader.skip(n as u32);
            at += n;
            assert_eq!(reader.is_past(data.len()), at > 8 * data.len());
        }
        assert!(at < 320 && !reader.is_past(data.len()));
    }
}
