//! Entropy-coded data without what is not code.

use crate::{Error, Result};
use std::cmp::Ordering;

/// Zeros behind the data, so that words can be read to the end.
const PADDING: usize = 16;

/// The entropy-coded bytes of a scan, without stuffed zeros and markers.
pub(crate) struct Scan {
    bytes: Vec<u8>,
    /// Where each part that begins with a restart ends.
    pub(crate) ends: Vec<usize>,
}

impl Scan {
    /// Copies everything up to the next marker; also gives what begins with that marker.
    ///
    /// # Errors
    /// A file that ends without another marker; restart markers out of order.
    pub(crate) fn copy(mut rest: &[u8]) -> Result<(Self, &[u8])> {
        let mut bytes = Vec::with_capacity(rest.len() + PADDING);
        let mut ends = Vec::new();
        let early = Error::Truncated("the end-of-image marker");
        loop {
            let at = memchr::memchr(0xff, rest).ok_or(early)?;
            bytes.extend_from_slice(&rest[..at]);
            let fill = rest[at + 1..].iter().take_while(|&&b| b == 0xff).count();
            let marker = *rest.get(at + 1 + fill).ok_or(early)?;
            match marker {
                // Fill bytes may stand before a stuffed zero too.
                0x00 => bytes.push(0xff),
                0xd0..=0xd7 if usize::from(marker - 0xd0) == ends.len() % 8 => ends.push(bytes.len()),
                0x01 | 0xd0..=0xd8 => return Err(Error::Corrupt("a marker out of order in the scan")),
                _ => {
                    rest = &rest[at + fill..];
                    break;
                }
            }
            rest = &rest[at + 2 + fill..];
        }
        ends.push(bytes.len());
        bytes.resize(bytes.len() + PADDING, 0);
        Ok((Self { bytes, ends }, rest))
    }

    /// Checks that there are as many restarts as the units need. One more with nothing behind it does no harm: some
    /// encoders close the last part with it.
    ///
    /// # Errors
    /// [`Error::Truncated`] for too few: what is missing lies behind the last one; [`Error::Corrupt`] for too many.
    pub(crate) fn check_parts(&self, units: usize, interval: usize) -> Result<()> {
        let parts = if interval == 0 { 1 } else { units.div_ceil(interval) };
        let closed = self.ends.len() == parts + 1 && self.ends[parts] == self.ends[parts - 1];
        match self.ends.len().cmp(&(parts + usize::from(closed))) {
            Ordering::Less => Err(Error::Truncated("the last restart marker")),
            Ordering::Equal => Ok(()),
            Ordering::Greater => Err(Error::Corrupt("more restart markers than the image has room for")),
        }
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

    /// The next bit.
    #[inline]
    pub(crate) fn bit(&mut self) -> bool {
        if self.count == 0 {
            self.refill();
        }
        let bit = self.bits >> 63 != 0;
        self.skip(1);
        bit
    }

    /// The next up to 16 bits as a number.
    #[inline]
    pub(crate) fn number(&mut self, n: u32) -> u32 {
        self.refill();
        let number = (self.bits >> 32 >> (32 - n)) as u32;
        self.skip(n);
        number
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
        let bytes = [1, 0xff, 0, 2, 0xff, 0xd0, 3, 0xff, 0xff, 0xd1, 0xff, 0xff, 0, 0xff, 0xff, 0xd9, 9];
        let (scan, rest) = Scan::copy(&bytes).unwrap();
        assert_eq!(scan.bytes[..scan.len()], [1, 0xff, 2, 3, 0xff]);
        assert_eq!((&scan.ends[..], rest), (&[3, 4, 5][..], &[0xff, 0xd9, 9][..]));
        assert_eq!(scan.check_parts(7, 3), Ok(()));
        assert!(matches!(scan.check_parts(9, 2), Err(Error::Truncated(_))));
        assert!(matches!(scan.check_parts(9, 0), Err(Error::Corrupt(_))));
        let (closed, _) = Scan::copy(&[7, 0xff, 0xd0, 8, 0xff, 0xd1, 0xff, 0xd9]).unwrap();
        assert_eq!((closed.check_parts(4, 2), closed.check_parts(6, 2)), (Ok(()), Ok(())));
        assert!(closed.check_parts(2, 2).is_err());
        // A scan ends at any marker that is not its own.
        let (scan, rest) = Scan::copy(&[5, 0xff, 0xda, 7]).unwrap();
        assert_eq!((scan.len(), rest), (1, &[0xff, 0xda, 7][..]));
        for (bytes, error) in [
            (&[1, 2, 0xff, 0][..], Error::Truncated("the end-of-image marker")),
            (&[1, 2, 0xff], Error::Truncated("the end-of-image marker")),
            (&[1, 0xff, 0xd1, 0xff, 0xd9], Error::Corrupt("a marker out of order in the scan")),
        ] {
            assert_eq!(Scan::copy(bytes).err(), Some(error), "{bytes:?}");
        }
    }

    #[test]
    fn bits_come_in_order_whatever_is_taken_at_once() {
        let data: Vec<u8> = (0..40u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 & 0xfe).collect();
        let bytes = [&data[..], &[0xff, 0xd9]].concat();
        let (scan, _) = Scan::copy(&bytes).unwrap();
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
        let mut reader = scan.reader(0);
        assert_eq!(
            (0..100).map(|_| u64::from(reader.bit())).collect::<Vec<_>>(),
            (0..100).map(bit).collect::<Vec<_>>()
        );
        let want = (100..116).fold(0, |v, i| v << 1 | bit(i));
        assert_eq!((reader.number(0), u64::from(reader.number(16))), (0, want));
    }
}
