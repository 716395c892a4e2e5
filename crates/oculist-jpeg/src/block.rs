//! The coefficients of one block.

use crate::header::ZIGZAG;
use crate::huffman::{END, Table, value};
use crate::scan::Reader;
use crate::{Error, Result};
use oculist_kernels::image::GROUP_LEN;

/// Place of the k-th coefficient in a group's first block; past the end the last one, which takes zeros only.
const PLACES: [u8; 256] = {
    let mut places = [7 * 32 + 7; 256];
    let mut k = 0;
    while k < 64 {
        places[k] = (ZIGZAG[k] / 8) * 32 + ZIGZAG[k] % 8;
        k += 1;
    }
    places
};

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
    let mut k = 1u32;
    // A code and its value have at most 16 + 10 bits, a mean at most 16 + 11: two fit between refills.
    macro_rules! coefficient {
        () => {
            let bits = reader.peek();
            let entry = others.entry(bits)?;
            reader.skip(entry);
            k += entry >> 24;
            group[(usize::from(PLACES[(k & 255) as usize]) + at) & (GROUP_LEN - 1)] = value(entry, bits);
            k += 1;
            if k >= 64 {
                break;
            }
        };
    }
    loop {
        coefficient!();
        reader.refill();
        coefficient!();
    }
    match k {
        64 => Ok(63),
        k if k > END => Ok((k - END - 2) as u8),
        _ => Err(LONG),
    }
}

/// Reads a mean, which is coded as the difference to the one before.
#[inline(always)]
fn read_mean(reader: &mut Reader<'_>, means: &Table, mean: &mut i16) -> Result<()> {
    reader.refill();
    let bits = reader.peek();
    let entry = means.entry(bits)?;
    reader.skip(entry);
    *mean = mean.wrapping_add(value(entry, bits));
    Ok(())
}

/// Passes over a block; only its mean is read.
#[inline(always)]
pub(crate) fn pass(reader: &mut Reader<'_>, [means, others]: [&Table; 2], mean: &mut i16) -> Result<()> {
    read_mean(reader, means, mean)?;
    let mut k = 1u32;
    macro_rules! coefficient {
        () => {
            let entry = others.entry(reader.peek())?;
            reader.skip(entry);
            k += (entry >> 24) + 1;
            if k >= 64 {
                break;
            }
        };
    }
    loop {
        coefficient!();
        reader.refill();
        coefficient!();
    }
    if k == 64 || k > END { Ok(()) } else { Err(LONG) }
}
