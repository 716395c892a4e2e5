//! The coefficients of one block in the scans of a progressive file.
//!
//! # Source
//! ITU-T T.81, G.1.2 and G.2: spectral selection and successive approximation.

use crate::block::PLACES;
use crate::huffman::{END, Table, value};
use crate::scan::Reader;
use crate::{Error, Result};
use oculist_kernels::image::GROUP_LEN;

const LONG: Error = Error::Corrupt("a coefficient outside its band");

/// Coefficients of a progressive scan and what goes on from block to block.
pub(crate) struct Band<'t> {
    pub(crate) table: &'t Table,
    /// The first and the last coefficient, in zigzag order.
    pub(crate) first: usize,
    pub(crate) last: usize,
    /// The bit that is sent.
    pub(crate) bit: u8,
    /// Blocks, from the next one on, that have no more new coefficients.
    pub(crate) run: u32,
}

#[inline(always)]
fn place(k: usize, at: usize) -> usize {
    (usize::from(PLACES[k & 255]) + at) & (GROUP_LEN - 1)
}

impl Band<'_> {
    /// Reads a code; a run of blocks at their end is noted, this one included, and gives None.
    #[inline(always)]
    fn code(&mut self, reader: &mut Reader<'_>) -> Result<Option<u32>> {
        reader.refill();
        let entry = self.table.entry(reader.peek())?;
        let run = entry >> 24;
        if run < END {
            return Ok(Some(entry));
        }
        reader.skip(entry);
        let bits = run - END;
        self.run = (1 << bits) + reader.number(bits);
        Ok(None)
    }

    /// Reads the higher bits of a block's coefficients.
    pub(crate) fn begin(
        &mut self,
        reader: &mut Reader<'_>,
        group: &mut [i16; GROUP_LEN],
        at: usize,
    ) -> Result<()> {
        let mut k = self.first;
        while self.run == 0 {
            if k > self.last {
                return Ok(());
            }
            let Some(entry) = self.code(reader)? else { break };
            let new = value(reader.peek(), u64::from(entry >> 8), u64::from(entry >> 16));
            reader.skip(entry);
            k += (entry >> 24) as usize;
            if k > self.last {
                return Err(LONG);
            }
            group[place(k, at)] = new.wrapping_shl(u32::from(self.bit));
            k += 1;
        }
        self.run -= 1;
        Ok(())
    }

    /// Reads one more bit of a block's coefficients.
    pub(crate) fn refine(
        &mut self,
        reader: &mut Reader<'_>,
        group: &mut [i16; GROUP_LEN],
        at: usize,
    ) -> Result<()> {
        let step = 1i16 << self.bit;
        let mut k = self.first;
        while self.run == 0 && k <= self.last {
            let Some(entry) = self.code(reader)? else { break };
            // The entry counts the value's bits too, of which there may be one: its sign.
            let (bits, size) = (entry >> 8 & 63, 63 - (entry >> 16 & 63));
            reader.skip(bits);
            let new = match size {
                0 => 0,
                1 if reader.bit() => step,
                1 => -step,
                _ => return Err(Error::Corrupt("a new coefficient of more than one bit")),
            };
            let mut zeros = entry >> 24;
            loop {
                let coefficient = &mut group[place(k, at)];
                if *coefficient != 0 {
                    refine(reader, coefficient, step);
                } else if zeros == 0 {
                    *coefficient = new;
                    break;
                } else {
                    zeros -= 1;
                }
                k += 1;
                if k > self.last {
                    return if new == 0 { Ok(()) } else { Err(LONG) };
                }
            }
            k += 1;
        }
        if self.run > 0 {
            for k in k..=self.last {
                let coefficient = &mut group[place(k, at)];
                if *coefficient != 0 {
                    refine(reader, coefficient, step);
                }
            }
            self.run -= 1;
        }
        Ok(())
    }
}

/// One more bit of a coefficient that is not 0.
#[inline(always)]
fn refine(reader: &mut Reader<'_>, coefficient: &mut i16, step: i16) {
    if reader.bit() && *coefficient & step == 0 {
        *coefficient = coefficient.wrapping_add(if *coefficient > 0 { step } else { -step });
    }
}
