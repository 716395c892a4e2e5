//! Huffman codes as tables.

use crate::header::Codes;
use crate::{Error, Result};

/// Bits that are looked up at once.
const LOOK: u32 = 10;

/// What a code means, in one word, so that the way from one code to the next is a table and a shift:
/// bits 0..=5 bits of the code and of the value behind it, 8..=13 bits of the code, 16..=21 63 less the value's bits,
/// from 24 on the zeros before the value. 0 is no code.
pub(crate) type Entry = u32;

/// One or two codes in a row, in one word: bits 0..=5 bits of all, 8..=13 bits before the first value, 16..=21 63 less its
/// bits, 24..=27 the zeros before it, 32..=47 the second value, 48..=53 its place counted from the first code's, and from
/// 56 on how far to move. Without a second value, a zero is written behind the first. 0 is no code.
pub(crate) type Pair = u64;

/// Zeros before the end of a block: enough to leave it from anywhere.
pub(crate) const END: u32 = 128;

/// The two kinds of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Differences of means.
    Mean,
    /// Other coefficients.
    Other,
    /// Other coefficients of a progressive scan, where blocks without any more come in runs: [`END`] and more are the bits
    /// that tell how many.
    Band,
}

/// A table for decoding.
pub(crate) struct Table {
    fast: [Entry; 1 << LOOK],
    /// Of other coefficients, all codes that fit into the bits of one look, up to two.
    pairs: [Pair; 1 << LOOK],
    /// Entries of all codes in order.
    entries: [Entry; 256],
    /// For each length the first code, left-aligned in 16 bits, that is longer.
    limits: [u32; 17],
    /// For each length the index of code 0, which may lie before the first.
    offsets: [i32; 17],
}

/// The entry of a symbol; 0 for symbols that mean nothing in 8-bit images.
fn entry(class: Class, symbol: u8, length: u32) -> Entry {
    let (run, size) = match class {
        Class::Mean => (0, u32::from(symbol)),
        Class::Other | Class::Band => (u32::from(symbol >> 4), u32::from(symbol & 15)),
    };
    let (run, size) = match (class, run, size) {
        (Class::Mean, _, 0..=11)
        | (Class::Other | Class::Band, _, 1..=10)
        | (Class::Other | Class::Band, 15, 0) => (run, size),
        (Class::Other, _, 0) => (END, 0),
        (Class::Band, _, 0) => (END + run, 0),
        _ => return 0,
    };
    (length + size) | length << 8 | (63 - size) << 16 | run << 24
}

/// Two entries, or one, as a pair; `behind` are the bits behind the first.
fn pair(first: Entry, second: Option<Entry>, behind: u64) -> Pair {
    let fields = |e: Entry| [e & 63, e >> 8 & 63, e >> 16 & 63, e >> 24].map(u64::from);
    let [bits, before, size, run] = fields(first);
    if first == 0 {
        return 0;
    }
    if run == u64::from(END) {
        return bits | before << 8 | size << 16 | (run + 1) << 56;
    }
    let one = bits | before << 8 | size << 16 | run << 24;
    let place = run + 1;
    match second.map(fields) {
        None => one | place << 48 | place << 56,
        Some([more, before, size, run]) => {
            let zeros = if run == u64::from(END) { 0 } else { run };
            let value = value(behind, before, size) as u16;
            (one + more) | u64::from(value) << 32 | (place + zeros) << 48 | (place + run + 1) << 56
        }
    }
}

impl Table {
    /// # Errors
    /// More codes of a length than there are.
    pub(crate) fn new(codes: &Codes<'_>, class: Class) -> Result<Box<Self>> {
        let mut table = Box::new(Self {
            fast: [0; 1 << LOOK],
            pairs: [0; 1 << LOOK],
            entries: [0; 256],
            limits: [0; 17],
            offsets: [0; 17],
        });
        let (mut code, mut index) = (0u32, 0);
        for length in 1..=16u32 {
            let count = usize::from(codes.counts[length as usize - 1]);
            table.offsets[length as usize] = index as i32 - code as i32;
            if code + count as u32 > 1 << length {
                return Err(Error::Corrupt("a Huffman table with too many codes"));
            }
            for &symbol in codes.symbols.iter().skip(index).take(count) {
                let entry = entry(class, symbol, length);
                if let Some(slot) = table.entries.get_mut(index) {
                    *slot = entry;
                }
                if length <= LOOK {
                    let first = (code << (LOOK - length)) as usize;
                    table.fast[first..first + (1 << (LOOK - length))].fill(entry);
                }
                code += 1;
                index += 1;
            }
            table.limits[length as usize] = code << (16 - length);
            code <<= 1;
        }
        if index > 256 {
            return Err(Error::Corrupt("a Huffman table with too many codes"));
        }
        if class == Class::Other {
            for i in 0..table.fast.len() {
                let first = table.fast[i];
                // What follows the first code and value, if it is there as a whole.
                let behind = i << (first & 63) & ((1 << LOOK) - 1);
                let second =
                    Some(table.fast[behind]).filter(|e| e & 63 > 0 && (first & 63) + (e & 63) <= LOOK);
                table.pairs[i] = pair(first, second, (behind as u64) << (64 - LOOK));
            }
        }
        Ok(table)
    }

    /// The codes that begin at the highest bit, as far as one look shows them; 0 if none.
    #[inline(always)]
    pub(crate) fn pair(&self, bits: u64) -> Pair {
        self.pairs[(bits >> (64 - LOOK)) as usize]
    }

    /// The entry of the code that begins at the highest bit.
    #[inline(always)]
    pub(crate) fn entry(&self, bits: u64) -> Result<Entry> {
        let entry = self.fast[(bits >> (64 - LOOK)) as usize];
        if entry != 0 { Ok(entry) } else { self.long(bits) }
    }

    /// As [`entry`](Self::entry), for codes that are not in the fast table.
    #[cold]
    #[inline(never)]
    fn long(&self, bits: u64) -> Result<Entry> {
        const WRONG: Error = Error::Corrupt("a code that no table has");
        let code = (bits >> 48) as u32;
        let length = (1..=16usize).find(|&length| code < self.limits[length]).ok_or(WRONG)?;
        let index = (code >> (16 - length)) as i32 + self.offsets[length];
        match self.entries.get(index as usize) {
            Some(&entry) if entry != 0 => Ok(entry),
            _ => Err(WRONG),
        }
    }
}

/// The value of up to 10 bits (11 for means) behind `before` bits, given 63 less its bits: below half the range it is
/// negative.
#[inline(always)]
pub(crate) fn value(bits: u64, before: u64, size: u64) -> i16 {
    let behind = bits << (before & 63);
    // All ones for a negative value, whose bits are those of its magnitude, inverted.
    let sign = !((behind as i64) >> 63);
    let magnitude = ((behind ^ sign as u64) >> 1 >> (size & 63)) as i64;
    ((magnitude ^ sign) - sign) as i16
}
