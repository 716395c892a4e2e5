//! One component: its coefficients of a row of units, and a ring of samples.

use crate::frame::Component;
use crate::stored::Stored;
use oculist_kernels::Isa;
use oculist_kernels::image::{
    GROUP_BLOCKS, GROUP_LEN, between_rows, double_both, double_width, inverse_dct, inverse_dct_reduced,
};
use std::ops::Range;

/// How samples come to the resolution of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    /// They have it.
    None,
    /// Each is repeated this many times across and down.
    Repeat(usize, usize),
    /// A triangle across.
    Across,
    /// A triangle down.
    Down,
    /// A triangle both ways.
    Both,
}

/// A component while it is decoded.
pub(crate) struct Plane {
    /// Blocks across and down in a minimum coded unit.
    pub(crate) h: usize,
    pub(crate) v: usize,
    /// Samples a side of a block.
    side: usize,
    /// Samples that the file has.
    height: usize,
    /// How many pixels a sample covers across and down.
    scale: (usize, usize),
    filter: Filter,
    /// Samples that the region needs.
    columns: Range<usize>,
    rows: Range<usize>,
    /// Block columns that are kept, the first of them at the start of the ring's rows.
    blocks: Range<usize>,
    quantization: [u16; 64],
    /// The last mean.
    pub(crate) mean: i16,
    /// Groups in a row of blocks.
    groups: usize,
    coefficients: Vec<i16>,
    /// The last coefficient of each group.
    last: Vec<u8>,
    /// Twice the rows of a unit.
    ring: Vec<u8>,
    sums: Vec<u16>,
    wide: Vec<u8>,
}

/// A region of the (reduced) image, in pixels.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) x: Range<usize>,
    pub(crate) y: Range<usize>,
}

/// Of pixels that each sample covers `scale` of, the samples that are needed, with one neighbour each way.
fn needed(pixels: &Range<usize>, scale: usize, samples: usize) -> Range<usize> {
    if scale == 1 {
        return pixels.clone();
    }
    (pixels.start / scale).saturating_sub(1)..((pixels.end - 1) / scale + 2).min(samples)
}

impl Plane {
    /// `most` are the largest factors of the frame, `side` the samples a side of a block at that resolution.
    pub(crate) fn new(
        component: &Component,
        quantization: [u16; 64],
        most: (usize, usize),
        least_side: usize,
        (width, height): (usize, usize),
        window: &Window,
    ) -> Self {
        let Component { h, v, .. } = *component;
        // Rather than reducing chroma and doubling it again, it is reduced less.
        let mut side = least_side;
        while side < 8
            && (most.0 * least_side).is_multiple_of(h * side * 2)
            && (most.1 * least_side).is_multiple_of(v * side * 2)
        {
            side *= 2;
        }
        let scale = (most.0 * least_side / (h * side), most.1 * least_side / (v * side));
        let samples = |pixels: usize, factor: usize, most: usize| (pixels * factor * side).div_ceil(most * 8);
        let (width, height) = (samples(width, h, most.0), samples(height, v, most.1));
        let filter = match scale {
            (1, 1) => Filter::None,
            (1, 2) if least_side > 1 => Filter::Down,
            (2, 1) if least_side > 1 && width > 2 => Filter::Across,
            (2, 2) if least_side > 1 && width > 2 => Filter::Both,
            (across, down) => Filter::Repeat(across, down),
        };
        let (columns, rows) = (needed(&window.x, scale.0, width), needed(&window.y, scale.1, height));
        let blocks = columns.start / side..columns.end.div_ceil(side);
        let groups = blocks.len().div_ceil(GROUP_BLOCKS);
        Self {
            h,
            v,
            side,
            height,
            scale,
            filter,
            quantization,
            mean: 0,
            groups,
            coefficients: vec![0; v * groups * GROUP_LEN],
            last: vec![0; v * groups],
            ring: vec![0; 2 * v * side * groups * GROUP_BLOCKS * side],
            sums: vec![0; columns.len() + 2],
            wide: vec![0; scale.0 * columns.len()],
            columns,
            rows,
            blocks,
        }
    }

    /// Rows of samples in a unit.
    fn unit_rows(&self) -> usize {
        self.v * self.side
    }

    /// The row of units that has the last row of samples needed.
    pub(crate) fn last_unit_row(&self) -> usize {
        (self.rows.end - 1) / self.unit_rows()
    }

    /// Whether samples of this row of blocks are needed.
    pub(crate) fn needs_row(&self, block_row: usize) -> bool {
        block_row * self.side < self.rows.end && (block_row + 1) * self.side > self.rows.start
    }

    /// Block columns that are needed.
    pub(crate) fn blocks(&self) -> Range<usize> {
        self.blocks.clone()
    }

    /// Makes ready for a row of units.
    pub(crate) fn clear(&mut self) {
        self.coefficients.fill(0);
        self.last.fill(0);
    }

    /// Where the coefficients of a block go: its group, the place of the group's last index, its own place in the group.
    #[inline(always)]
    pub(crate) fn slot(&mut self, row: usize, column: usize) -> (&mut [i16; GROUP_LEN], &mut u8, usize) {
        let i = column - self.blocks.start;
        let group = row * self.groups + i / GROUP_BLOCKS;
        let coefficients = &mut self.coefficients.as_chunks_mut::<GROUP_LEN>().0[group];
        (coefficients, &mut self.last[group], i % GROUP_BLOCKS * 8)
    }

    /// Takes the coefficients of a row of units from those of the whole image.
    pub(crate) fn load(&mut self, stored: &Stored, unit_row: usize) {
        self.last.fill(0);
        for row in 0..self.v {
            if !self.needs_row(unit_row * self.v + row) {
                continue;
            }
            for column in self.blocks.clone() {
                let (from, from_at) = stored.block(unit_row * self.v + row, column);
                let (group, last, at) = self.slot(row, column);
                let mut others = 0;
                let rows = group.as_chunks_mut::<32>().0.iter_mut().zip(from.as_chunks::<32>().0);
                for (v, (to, from)) in rows.enumerate() {
                    let from = &from[from_at..from_at + 8];
                    to[at..at + 8].copy_from_slice(from);
                    others = from[usize::from(v == 0)..].iter().fold(others, |all, value| all | value);
                }
                *last |= u8::from(others != 0);
            }
        }
    }

    fn stride(&self) -> usize {
        self.groups * GROUP_BLOCKS * self.side
    }

    /// Transforms the coefficients of a row of units.
    pub(crate) fn transform(&mut self, isa: Isa, unit_row: usize) {
        let (stride, groups) = (self.stride(), self.groups);
        for row in 0..self.v {
            if !self.needs_row(unit_row * self.v + row) {
                continue;
            }
            let coefficients = &self.coefficients[row * groups * GROUP_LEN..][..groups * GROUP_LEN];
            let last = &self.last[row * groups..][..groups];
            let start = (unit_row % 2 * self.v + row) * self.side * stride;
            let out = &mut self.ring[start..][..self.side * stride];
            match self.side {
                8 => inverse_dct(isa, coefficients, last, &self.quantization, out, stride),
                side => inverse_dct_reduced(coefficients, &self.quantization, 8 / side, out, stride),
            }
        }
    }

    /// The row of samples nearest to row y of pixels, and the one on the other side.
    fn near_and_far(&self, y: usize) -> (usize, usize) {
        let near = y / self.scale.1;
        let far = match self.filter {
            Filter::Down | Filter::Both if y.is_multiple_of(2) => near.saturating_sub(1),
            Filter::Down | Filter::Both => (near + 1).min(self.height - 1),
            _ => near,
        };
        (near, far)
    }

    /// Whether row y of pixels can be made after this many rows of units.
    pub(crate) fn has(&self, y: usize, unit_rows: usize) -> bool {
        let (near, far) = self.near_and_far(y);
        near.max(far) < unit_rows * self.unit_rows()
    }

    /// The samples for row y of pixels, from the column `x` of pixels on.
    pub(crate) fn row(&mut self, isa: Isa, y: usize, x: usize) -> &[u8] {
        let (near, far) = self.near_and_far(y);
        let stride = self.stride();
        let from = self.columns.start - self.blocks.start * self.side;
        let at = |row: usize| row % (2 * self.unit_rows()) * stride + from;
        let near = &self.ring[at(near)..][..self.columns.len()];
        let far = &self.ring[at(far)..][..self.columns.len()];
        match self.filter {
            Filter::None => return &near[x - self.columns.start..],
            Filter::Repeat(across, _) => {
                for (out, sample) in self.wide.chunks_exact_mut(across).zip(near) {
                    out.fill(*sample);
                }
            }
            Filter::Across => double_width(isa, near, &mut self.wide),
            Filter::Down => {
                between_rows(isa, near, far, if y.is_multiple_of(2) { 1 } else { 2 }, &mut self.wide);
            }
            Filter::Both => double_both(isa, near, far, &mut self.sums, &mut self.wide),
        }
        &self.wide[x - self.scale.0 * self.columns.start..]
    }
}
