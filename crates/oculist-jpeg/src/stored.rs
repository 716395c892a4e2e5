//! All coefficients of one component, for files that send them in several scans.

use crate::frame::{Component, Frame};
use crate::{Error, Result};
use oculist_kernels::image::{GROUP_BLOCKS, GROUP_LEN};

/// The coefficients of a component.
pub(crate) struct Stored {
    /// Blocks across and down that carry samples.
    pub(crate) real: (usize, usize),
    /// Blocks down, with those that only fill units.
    pub(crate) rows: usize,
    /// Groups in a row of blocks.
    groups: usize,
    values: Vec<i16>,
    pub(crate) quantization: [u16; 64],
    /// For each coefficient, in zigzag order, how many of its lowest bits are still to come; None before it was sent.
    pub(crate) missing: [Option<u8>; 64],
}

impl Stored {
    /// Zeros. The caller has checked that the file is long enough for as many blocks.
    pub(crate) fn new(frame: &Frame, index: usize, quantization: [u16; 64]) -> Self {
        let (Component { h, v, .. }, units) = (frame.components[index], frame.units());
        let (groups, rows) = ((units.0 * h).div_ceil(GROUP_BLOCKS), units.1 * v);
        Self {
            real: frame.blocks(index),
            rows,
            groups,
            values: vec![0; rows * groups * GROUP_LEN],
            quantization,
            missing: [None; 64],
        }
    }

    /// The group that holds a block, and the block's place in it.
    #[inline(always)]
    pub(crate) fn slot(&mut self, row: usize, column: usize) -> (&mut [i16; GROUP_LEN], usize) {
        let group = row * self.groups + column / GROUP_BLOCKS;
        (&mut self.values.as_chunks_mut::<GROUP_LEN>().0[group], column % GROUP_BLOCKS * 8)
    }

    /// The same to look at.
    #[inline(always)]
    pub(crate) fn block(&self, row: usize, column: usize) -> (&[i16; GROUP_LEN], usize) {
        let group = row * self.groups + column / GROUP_BLOCKS;
        (&self.values.as_chunks::<GROUP_LEN>().0[group], column % GROUP_BLOCKS * 8)
    }

    /// Notes that a scan sends the bits of a band of coefficients.
    ///
    /// # Errors
    /// Bits that were sent before, or whose higher ones were not.
    pub(crate) fn note(&mut self, band: (u8, u8), (before, now): (u8, u8)) -> Result<()> {
        const ORDER: Error = Error::Corrupt("scans that send bits twice or out of order");
        if band.0 > 0 && self.missing[0].is_none() {
            return Err(ORDER);
        }
        for missing in &mut self.missing[usize::from(band.0)..=usize::from(band.1)] {
            let expected = (before > 0).then_some(before);
            if *missing != expected {
                return Err(ORDER);
            }
            *missing = Some(now);
        }
        Ok(())
    }
}
