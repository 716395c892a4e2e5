//! Direct convolution: a register tile of output pixels by output channels, fed through row pointers.
//!
//! The micro-kernel multiplies `MR` source pixels by `NB` blocks of sixteen destination channels, and keeps the sums
//! in registers through all taps and channels. Source pixels are reached through a table of pointers (padding
//! points to a row of zeros), so stride, padding and dilation cost nothing inside. Weights are read in the order
//! they lie in memory. Tasks are ranges of pixels by ranges of channel blocks, the latter small enough that their
//! weights stay in the second-level cache; a small batch is split by channels too, so that all threads work.
//!
//! # Source
//! The indirection is that of Dukhan, "The Indirect Convolution Algorithm", 2019.

use super::gather::{Gather, Phase, pointer_table, pointer_table_len};
use super::store::Store;
use crate::context::Context;
use crate::layout::LANES;
use crate::simd::{Kernel, Simd, dispatch};

/// Rows of the full tile with AVX2, where all sizes from four rows on are equally good.
const ROWS_AVX2: usize = 6;
/// The largest number of rows of a tile on any instruction set.
const MAX_ROWS: usize = 14;
/// Weights of a task's channel blocks, in f32: 256 KiB.
const TASK_WEIGHTS: usize = 64 * 1024;
/// How far ahead of their use weights are prefetched, in f32: 4 KiB, further than the processor looks by itself.
const AHEAD: usize = 1024;
/// The most row tiles of a task.
const TASK_TILES: usize = 16;

/// f32 of scratch: a row of zeros, and a pointer table for every thread.
pub(crate) fn scratch_len(gather: &Gather, threads: usize) -> usize {
    gather.src_stride.next_multiple_of(LANES) + LANES + threads * table_len(gather)
}

/// f32 that hold one thread's pointer table, alignment included.
fn table_len(gather: &Gather) -> usize {
    pointer_table_len(MAX_ROWS * gather.max_taps())
}

/// How the work of one phase is cut.
struct Cut {
    rows: usize,
    rows_per_task: usize,
    row_tasks: usize,
}

/// Runs a gathering pass with packed weights `[dst blocks][taps of the convolution][depth][16]`.
///
/// `depth` is the number of source channels that the weights cover, at most the source's stride; the first `channels`
/// of them are summed, the others being padding.
pub(crate) fn run(
    ctx: &Context,
    gather: &Gather,
    conv_taps: usize,
    src: &[f32],
    w: &[f32],
    depth: usize,
    channels: usize,
    store: Store,
    scratch: &mut [f32],
) {
    let blocks = gather.dst_stride / LANES;
    let block_len = conv_taps * depth * LANES;
    assert_eq!(w.len(), blocks * block_len, "weights of a gathering pass");
    assert!(scratch.len() >= scratch_len(gather, ctx.threads()), "scratch of a gathering pass");
    assert!(channels <= depth, "channels of a gathering pass");
    let (zero, tables) = scratch.split_at_mut(gather.src_stride.next_multiple_of(LANES) + LANES);
    zero.fill(0.0);
    let tile_rows = dispatch(ctx, TileRows(blocks));
    let mut blocks_per_task = (TASK_WEIGHTS / block_len).clamp(2, blocks.max(2));
    let total_tiles: usize = gather.phases.iter().map(|p| gather.rows(p).div_ceil(tile_rows)).sum();
    while blocks_per_task > 2 && total_tiles * blocks.div_ceil(blocks_per_task) < 4 * ctx.threads() {
        blocks_per_task = blocks_per_task.div_ceil(2);
    }
    blocks_per_task = blocks_per_task.next_multiple_of(2);
    let block_tasks = blocks.div_ceil(blocks_per_task);
    // Recomputed where it is needed: a list would have to be allocated with every call.
    let cut = |phase: &Phase| {
        let rows = gather.rows(phase);
        let tiles = rows.div_ceil(tile_rows);
        let wanted = (8 * ctx.threads()).div_ceil(block_tasks * gather.phases.len());
        let per_task = (tiles / wanted.max(1)).clamp(1, TASK_TILES);
        let mut rows_per_task = per_task * tile_rows;
        if tile_rows == ROWS_AVX2 {
            // Equal tasks: the last one would else be left with a tile of few rows, which wait for each other's sums.
            rows_per_task = rows.div_ceil(rows.div_ceil(rows_per_task));
        }
        Cut { rows, rows_per_task, row_tasks: rows.div_ceil(rows_per_task) }
    };
    let n_tasks = gather.phases.iter().map(|phase| cut(phase).row_tasks * block_tasks).sum();
    let tables = crate::context::SendPtr(tables.as_mut_ptr());
    let table_len = table_len(gather);
    let zero = &*zero;
    ctx.run(n_tasks, |mut task, worker| {
        let mut phases = gather.phases.iter().map(|phase| (phase, cut(phase)));
        let Some((phase, cut)) = phases.find(|(_, cut)| {
            let here = cut.row_tasks * block_tasks;
            let found = task < here;
            if !found {
                task -= here;
            }
            found
        }) else {
            return;
        };
        let (row_task, block_task) = (task / block_tasks, task % block_tasks);
        let first = row_task * cut.rows_per_task;
        // SAFETY: each worker has its own part of `tables`, whose length was checked above.
        let memory =
            unsafe { std::slice::from_raw_parts_mut(tables.get().add(worker * table_len), table_len) };
        let table = pointer_table(memory, MAX_ROWS * gather.max_taps(), zero.as_ptr());
        dispatch(
            ctx,
            Task {
                gather,
                phase,
                rows: (first, (first + cut.rows_per_task).min(cut.rows)),
                blocks: (block_task * blocks_per_task, ((block_task + 1) * blocks_per_task).min(blocks)),
                src,
                zero,
                w,
                block_len,
                depth,
                channels,
                store,
                table,
            },
        );
    });
}

/// Rows of the full register tile for a number of channel blocks.
struct TileRows(usize);

impl Kernel for TileRows {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        if self.0 > 1 && S::ROWS_2 > 0 { S::ROWS_2 } else { S::ROWS_1 }
    }
}

struct Task<'a> {
    gather: &'a Gather,
    phase: &'a Phase,
    /// First row and one past the last.
    rows: (usize, usize),
    /// First channel block and one past the last.
    blocks: (usize, usize),
    src: &'a [f32],
    zero: &'a [f32],
    w: &'a [f32],
    block_len: usize,
    depth: usize,
    channels: usize,
    store: Store,
    table: &'a mut [*const f32],
}

impl Kernel for Task<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        if self.phase.taps.is_empty() && self.store.empty_sum_is_noop() {
            return;
        }
        let full = TileRows(self.blocks.1 - self.blocks.0).run(s);
        let mut row = self.rows.0;
        while row < self.rows.1 {
            let mut left = self.rows.1 - row;
            if S::ROWS_1 == ROWS_AVX2 {
                // Tiles of about equal sizes.
                left = left.div_ceil(left.div_ceil(full));
            }
            let left = left.min(full);
            // The portable path has one tile size; the others shrink to what is left.
            if S::ROWS_1 >= 14 {
                match left {
                    1 => self.row_tile::<S, 1>(s, row, left),
                    2..=4 => self.row_tile::<S, 4>(s, row, left),
                    5..=8 => self.row_tile::<S, 8>(s, row, left),
                    _ => self.row_tile::<S, 14>(s, row, left),
                }
            } else if S::ROWS_1 == ROWS_AVX2 {
                match left {
                    1 => self.row_tile::<S, 1>(s, row, left),
                    2..=4 => self.row_tile::<S, 4>(s, row, left),
                    5 => self.row_tile::<S, 5>(s, row, left),
                    _ => self.row_tile::<S, 6>(s, row, left),
                }
            } else {
                self.row_tile::<S, 2>(s, row, left);
            }
            row += left;
        }
    }
}

impl Task<'_> {
    /// All channel blocks of up to `MR` rows.
    #[inline(always)]
    fn row_tile<S: Simd, const MR: usize>(&mut self, s: S, row: usize, valid: usize) {
        let mut out = [0usize; MR];
        let n_taps = self.phase.taps.len();
        let table = &mut self.table[..n_taps * MR];
        let (src, zero) = (self.src.as_ptr(), self.zero.as_ptr());
        // The pixels under a kernel row are one run of channels, as are its weights, unless some are padding.
        let merge = self.channels == self.gather.src_stride && self.depth == self.channels;
        let run = self.gather.fill(self.phase, row, valid, src, zero, merge, table, &mut out);
        let mut block = self.blocks.0;
        while block < self.blocks.1 {
            if S::ROWS_2 > 0 && block + 2 <= self.blocks.1 {
                self.block_tile::<S, MR, 2>(s, &out, run, valid, block);
                block += 2;
            } else {
                self.block_tile::<S, MR, 1>(s, &out, run, valid, block);
                block += 1;
            }
        }
    }

    #[inline(always)]
    fn block_tile<S: Simd, const MR: usize, const NB: usize>(
        &self,
        s: S,
        out: &[usize; MR],
        run: usize,
        valid: usize,
        block: usize,
    ) {
        let mut acc = [[s.zero(); NB]; MR];
        for (t, tap) in self.phase.taps.iter().step_by(run).enumerate() {
            let rows = &self.table.as_chunks::<MR>().0[t];
            let first = block * self.block_len + tap.index * self.depth * LANES;
            debug_assert!(first + (NB - 1) * self.block_len + run * self.depth * LANES <= self.w.len());
            // SAFETY: the weights hold `depth` vectors for every tap of every block, which `run` checked; the
            // table's rows hold at least `depth` f32, being pixels of the source or the row of zeros, and `depth` f32
            // for each tap of a run, being neighbouring pixels.
            unsafe {
                let w = self.w.as_ptr().add(first);
                for k in 0..run * self.channels {
                    let mut b = [s.zero(); NB];
                    for n in 0..NB {
                        let w = w.wrapping_add(n * self.block_len + k * LANES);
                        s.prefetch(w.wrapping_add(AHEAD));
                        b[n] = s.load_ptr(w);
                    }
                    for r in 0..MR {
                        let a = s.splat(*rows[r].add(k));
                        for n in 0..NB {
                            acc[r][n] = s.mul_add(a, b[n], acc[r][n]);
                        }
                    }
                }
            }
        }
        // SAFETY: `fill` gave pixels of the destination, and this task alone owns their blocks.
        unsafe { self.store.put_tile(s, &acc, out, valid, block) };
    }
}
