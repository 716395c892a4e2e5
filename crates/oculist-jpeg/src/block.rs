//! The coefficients of one block.

use crate::header::ZIGZAG;
use crate::huffman::{END, Table, value};
use crate::scan::Reader;
use crate::{Error, Result};
use oculist_kernels::image::GROUP_LEN;

/// Place of the k-th coefficient in a group's first block; past the end the last one, which takes zeros only.
pub(crate) const PLACES: [u8; 256] = {
    let mut places = [7 * 32 + 7; 256];
    let mut k = 0;
    while k < 64 {
        places[k] = (ZIGZAG[k] / 8) * 32 + ZIGZAG[k] % 8;
        k += 1;
    }
    places
};

/// A block that was left at its end has come farther than this.
const LEFT: u64 = END as u64;

const LONG: Error = Error::Corrupt("a block of more than 64 coefficients");

/// Reads a block into place `at` (0, 8, 16 or 24) of a group that holds zeros there; gives the index of the last
/// coefficient other than 0.
#[inline(always)]
pub(crate) fn read(
    reader: &mut Reader<'_>,
    [means, others]: [&Table; 2],
    mean: &mut i16,
    group: &mut [i16; GROUP_LEN],
    at: usize,
) -> Result<u8> {
    read_mean(reader, means, mean)?;
    group[at] = *mean;
    let mut k = 1;
    // A code and its value have at most 16 + 10 bits, a mean at most 16 + 11: two fit between refills.
    macro_rules! coefficients {
        () => {
            let bits = reader.peek();
            let pair = others.pair(bits);
            let second = k + (pair >> 48 & 63);
            let mut put = |k: u64, value: i16| {
                group[(usize::from(PLACES[(k & 255) as usize]) + at) & (GROUP_LEN - 1)] = value;
            };
            if pair != 0 && second < 64 {
                reader.skip(pair as u32);
                put(k + (pair >> 24 & 15), value(bits, pair >> 8, pair >> 16));
                put(second, (pair >> 32) as i16);
                k += pair >> 56;
            } else {
                // A long code, or one near the end of the block, behind which there may be another block's.
                let entry = others.entry(bits)?;
                reader.skip(entry);
                k += u64::from(entry >> 24);
                put(k, value(bits, u64::from(entry >> 8), u64::from(entry >> 16)));
                k += 1;
            }
            if k >= 64 {
                break;
            }
        };
    }
    loop {
        coefficients!();
        reader.refill();
        coefficients!();
    }
    match k {
        64 => Ok(63),
        k if k > LEFT => Ok((k - LEFT - 2) as u8),
        _ => Err(LONG),
    }
}

/// Reads a mean, which is coded as the difference to the one before.
#[inline(always)]
pub(crate) fn read_mean(reader: &mut Reader<'_>, means: &Table, mean: &mut i16) -> Result<()> {
    reader.refill();
    let bits = reader.peek();
    let entry = means.entry(bits)?;
    reader.skip(entry);
    *mean = mean.wrapping_add(value(bits, u64::from(entry >> 8), u64::from(entry >> 16)));
    Ok(())
}

/// Passes over a block; only its mean is read.
#[inline(always)]
pub(crate) fn pass(reader: &mut Reader<'_>, [means, others]: [&Table; 2], mean: &mut i16) -> Result<()> {
    read_mean(reader, means, mean)?;
    let mut k = 1;
    macro_rules! coefficients {
        () => {
            let bits = reader.peek();
            let pair = others.pair(bits);
            if pair != 0 && k + (pair >> 48 & 63) < 64 {
                reader.skip(pair as u32);
                k += pair >> 56;
            } else {
                let entry = others.entry(bits)?;
                reader.skip(entry);
                k += u64::from(entry >> 24) + 1;
            }
            if k >= 64 {
                break;
            }
        };
    }
    loop {
        coefficients!();
        reader.refill();
        coefficients!();
    }
    if k == 64 || k > LEFT { Ok(()) } else { Err(LONG) }
}
