//! The micro-kernel: some pixels by one to four blocks of sixteen output channels.

use super::Job;
use crate::int8::simd::{IntSimd, Line};

/// What the tiles of one task share.
pub(super) struct Tiles<'a, E> {
    /// First element of the packed (or plain) input of the task.
    pub(super) origin: *const E,
    /// Elements from `origin` to each tap of the pixel at the origin.
    pub(super) taps: &'a [usize],
    /// Groups of input channels per tap.
    pub(super) groups: usize,
    /// Elements from an output pixel's input to that of the next one in its row.
    pub(super) step_x: usize,
    /// The same from one output row to the next.
    pub(super) step_y: usize,
    /// Output pixels of a row.
    pub(super) width: usize,
    /// Output pixels of the task.
    pub(super) pixels: usize,
    /// Elements of the target before the task's first pixel.
    pub(super) target_start: usize,
    /// Weights of all blocks.
    pub(super) weights: &'a [Line],
    /// Start values of all blocks.
    pub(super) init: &'a [[i32; 16]],
    pub(super) job: &'a Job<'a>,
}

impl<E> Tiles<'_, E> {
    /// Computes blocks `first..last` for all pixels of the task.
    ///
    /// # Safety
    /// The taps of all pixels lie inside the input, and the task's pixels inside the target, written by this
    /// thread alone.
    #[inline(always)]
    pub(super) unsafe fn run<S: IntSimd<E = E>>(&self, s: S, first: usize, last: usize) {
        let widest = S::ROWS.iter().rposition(|&rows| rows > 0).unwrap_or(0) + 1;
        let mut block = first;
        while block < last {
            // As few passes as possible, of equal widths.
            let left = last - block;
            let wide = left.div_ceil(left.div_ceil(widest));
            // SAFETY: the caller's promise.
            unsafe {
                match wide {
                    1 => self.blocks::<S, 1>(s, block),
                    2 => self.blocks::<S, 2>(s, block),
                    3 => self.blocks::<S, 3>(s, block),
                    _ => self.blocks::<S, 4>(s, block),
                }
            }
            block += wide;
        }
    }

    /// # Safety
    /// As for [`Tiles::run`].
    #[inline(always)]
    unsafe fn blocks<S: IntSimd<E = E>, const NB: usize>(&self, s: S, block: usize) {
        let rows = const { S::ROWS[NB - 1] };
        if rows == 0 {
            return;
        }
        let (mut pixel, mut place) = (0, (0, 0));
        while pixel < self.pixels {
            let left = (self.pixels - pixel).min(rows);
            // SAFETY: the caller's promise.
            unsafe {
                let at = &mut place;
                // The narrowest tile that takes what is left.
                match (NB, left) {
                    (1, 9..) => self.tile::<S, 14, NB>(s, block, pixel, left, at),
                    (2, 7..) => self.tile::<S, 12, NB>(s, block, pixel, left, at),
                    (1, 7..) | (3, 5..) => self.tile::<S, 8, NB>(s, block, pixel, left, at),
                    (1 | 2, 5..) | (4, 4..) => self.tile::<S, 6, NB>(s, block, pixel, left, at),
                    (_, 3..) => self.tile::<S, 4, NB>(s, block, pixel, left, at),
                    (_, 2) => self.tile::<S, 2, NB>(s, block, pixel, left, at),
                    _ => self.tile::<S, 1, NB>(s, block, pixel, left, at),
                }
            }
            pixel += left;
        }
    }

    /// The inputs of `count <= MR` pixels from the one at `place` (column and row) on; moves `place` on. Those beyond
    /// `count` repeat the last pixel and are not stored.
    #[inline(always)]
    pub(super) fn rows<const MR: usize>(&self, count: usize, (x, y): &mut (usize, usize)) -> [*const E; MR] {
        let mut rows = [self.origin; MR];
        let mut row = self.origin;
        for (r, place) in rows.iter_mut().enumerate() {
            if r < count {
                row = self.origin.wrapping_add(*y * self.step_y + *x * self.step_x);
                *x += 1;
                if *x == self.width {
                    *x = 0;
                    *y += 1;
                }
            }
            *place = row;
        }
        rows
    }

    /// `count <= MR` pixels from `pixel` on, which lies at `place` of the task; moves `place` on.
    ///
    /// # Safety
    /// As for [`Tiles::run`].
    #[inline(always)]
    unsafe fn tile<S: IntSimd<E = E>, const MR: usize, const NB: usize>(
        &self,
        s: S,
        block: usize,
        pixel: usize,
        count: usize,
        place: &mut (usize, usize),
    ) {
        if MR > const { S::ROWS[NB - 1] } {
            return;
        }
        let rows = self.rows::<MR>(count, place);
        let block_lines = self.taps.len() * self.groups;
        let mut acc = [[s.load_i32(&self.init[block]); NB]; MR];
        for b in 1..NB {
            let init = s.load_i32(&self.init[block + b]);
            for acc in &mut acc {
                acc[b] = init;
            }
        }
        // SAFETY: there are `block_lines` lines for each block, and every group of every tap lies in the input.
        unsafe {
            let mut w = self.weights.as_ptr().add(block * block_lines);
            for &tap in self.taps {
                for g in 0..self.groups {
                    let mut line = [s.load_w(w); NB];
                    for (b, line) in line.iter_mut().enumerate().skip(1) {
                        *line = s.load_w(w.add(b * block_lines));
                    }
                    for r in 0..MR {
                        let group = s.load_x(rows[r].add(tap + g * S::GROUP));
                        for b in 0..NB {
                            acc[r][b] = s.mac(acc[r][b], group, line[b]);
                        }
                    }
                    w = w.add(1);
                }
            }
        }
        // The accumulators leave their registers once, here: indexed by a loop variable below, they would be kept in
        // memory throughout.
        let mut sums = [[[0.0; 16]; NB]; MR];
        for r in 0..MR {
            for b in 0..NB {
                // SAFETY: the array holds sixteen f32.
                unsafe { s.store_f32(s.to_f32(acc[r][b]), sums[r][b].as_mut_ptr()) };
            }
        }
        let plan = self.job.plan;
        let stride = plan.conv.y_stride();
        let at = self.target_start + pixel * stride + block * 16;
        // SAFETY: the caller vouches for the task's pixels.
        unsafe { plan.finish.store(s, &sums[..count], block, &self.job.target, at, stride) };
    }
}
