//! Depthwise convolution: every channel on its own, sixteen at a time.
//!
//! Forward and data gradient are the same gathering pass over row pointers as the direct convolution, without a
//! sum over channels: a tile of pixels times one block of channels stays in registers through all taps. The work
//! is bound by memory; the tile saves the weights' loads.

use super::Conv2d;
use super::direct_weights::valid_range;
use super::gather::{Gather, Phase, pointer_table, pointer_table_len};
use super::store::Store;
use crate::context::{Context, SendPtr};
use crate::layout::LANES;
use crate::simd::{Kernel, Simd, dispatch};

/// Pixels of a tile.
const MR: usize = 4;
/// Tiles of a task at most.
const TASK_TILES: usize = 64;

/// f32 of scratch: a row of zeros, and a pointer table for every thread.
pub(crate) fn scratch_len(gather: &Gather, threads: usize) -> usize {
    gather.src_stride + threads * table_len(gather)
}

fn table_len(gather: &Gather) -> usize {
    pointer_table_len(MR * gather.max_taps())
}

/// Runs a gathering pass with weights `[taps][stride]`.
pub(crate) fn run(ctx: &Context, gather: &Gather, src: &[f32], w: &[f32], store: Store, scratch: &mut [f32]) {
    assert!(scratch.len() >= scratch_len(gather, ctx.threads()), "scratch of a depthwise pass");
    let (zero, tables) = scratch.split_at_mut(gather.src_stride);
    zero.fill(0.0);
    let zero = &*zero;
    let table_len = table_len(gather);
    let tables = SendPtr(tables.as_mut_ptr());
    for phase in &gather.phases {
        if phase.taps.is_empty() && store.empty_sum_is_noop() {
            continue;
        }
        assert!(phase.taps.iter().all(|t| (t.index + 1) * gather.dst_stride <= w.len()), "depthwise weights");
        let rows = gather.rows(phase);
        let per_task = (rows.div_ceil(MR) / (8 * ctx.threads())).clamp(1, TASK_TILES) * MR;
        ctx.run(rows.div_ceil(per_task), |task, worker| {
            // SAFETY: each worker has its own part of `tables`, whose length was checked above.
            let memory =
                unsafe { std::slice::from_raw_parts_mut(tables.get().add(worker * table_len), table_len) };
            let table = pointer_table(memory, MR * gather.max_taps(), zero.as_ptr());
            let rows = (task * per_task, ((task + 1) * per_task).min(rows));
            dispatch(ctx, Task { gather, phase, rows, src, zero, w, store, table });
        });
    }
}

struct Task<'a> {
    gather: &'a Gather,
    phase: &'a Phase,
    rows: (usize, usize),
    src: &'a [f32],
    zero: &'a [f32],
    w: &'a [f32],
    store: Store,
    table: &'a mut [*const f32],
}

impl Kernel for Task<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let stride = self.gather.dst_stride;
        let n_taps = self.phase.taps.len();
        for row in (self.rows.0..self.rows.1).step_by(MR) {
            let valid = (self.rows.1 - row).min(MR);
            let mut out = [0usize; MR];
            let table = &mut self.table[..n_taps * MR];
            self.gather.fill(self.phase, row, valid, self.src.as_ptr(), self.zero.as_ptr(), table, &mut out);
            for block in 0..stride / LANES {
                let mut acc = [s.zero(); MR];
                for (tap, rows) in self.phase.taps.iter().zip(table.as_chunks::<MR>().0) {
                    // SAFETY: every row pointer has `stride` f32, a pixel or the row of zeros; the weights'
                    // length was checked for every tap.
                    unsafe {
                        let w = s.load_ptr(self.w.as_ptr().add(tap.index * stride + block * LANES));
                        for r in 0..MR {
                            acc[r] = s.mul_add(s.load_ptr(rows[r].add(block * LANES)), w, acc[r]);
                        }
                    }
                }
                for r in 0..valid {
                    // SAFETY: `fill` gave a pixel of the destination, which this task alone owns.
                    unsafe { self.store.put(s, acc[r], out[r], block) };
                }
            }
        }
    }
}

/// Splits of the images for the weight gradient; depends on the shape alone.
fn splits(conv: &Conv2d) -> usize {
    let blocks = conv.y_stride() / LANES;
    let pixels = conv.batch * conv.out_height() * conv.out_width();
    16usize.div_ceil(blocks).max(4).min(pixels.div_ceil(1024)).min(conv.batch * conv.out_height()).max(1)
}

/// f32 of scratch of the weight gradient: sums of all splits but the first.
pub(crate) fn weights_scratch_len(conv: &Conv2d) -> usize {
    (splits(conv) - 1) * conv.weights_len()
}

/// Gradient of the weights, overwritten.
pub(crate) fn backward_weights(
    ctx: &Context,
    conv: &Conv2d,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    scratch: &mut [f32],
) {
    let n_splits = splits(conv);
    let len = conv.weights_len();
    let blocks = conv.y_stride() / LANES;
    let rows = conv.batch * conv.out_height();
    let partial = &mut scratch[..(n_splits - 1) * len];
    let (first, others) = (SendPtr(dw.as_mut_ptr()), SendPtr(partial.as_mut_ptr()));
    ctx.run(n_splits * blocks, |task, _| {
        let (split, block) = (task / blocks, task % blocks);
        let sums = if split == 0 {
            first.get()
        } else {
            // SAFETY: the partial sums of split `split` lie inside of the scratch slice taken above.
            unsafe { others.get().add((split - 1) * len) }
        };
        let rows = (rows * split / n_splits, rows * (split + 1) / n_splits);
        dispatch(ctx, WeightTask { conv, x, dy, sums, rows, block });
    });
    for sums in partial.chunks_exact(len) {
        for (total, part) in dw.iter_mut().zip(sums) {
            *total += part;
        }
    }
}

struct WeightTask<'a> {
    conv: &'a Conv2d,
    x: &'a [f32],
    dy: &'a [f32],
    /// `[taps][stride]`, of which this task owns one block.
    sums: *mut f32,
    rows: (usize, usize),
    block: usize,
}

impl Kernel for WeightTask<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let conv = self.conv;
        // About 300 pixels at a time, so that x and dy of a chunk are read from the first-level cache.
        let per_chunk = (300 / conv.out_width()).max(1);
        let mut row = self.rows.0;
        while row < self.rows.1 {
            let end = (row + per_chunk).min(self.rows.1);
            for tap in 0..conv.taps() {
                let sum = self.tap(s, tap, (row, end));
                // SAFETY: tap and block are inside of the packed gradient, and this task owns them.
                unsafe {
                    let at = self.sums.add(tap * conv.y_stride() + self.block * LANES);
                    let old = if row == self.rows.0 { s.zero() } else { s.load_ptr(at) };
                    s.store_ptr(at, s.add(old, sum));
                }
            }
            row = end;
        }
    }
}

impl WeightTask<'_> {
    /// Sum of `x * dy` of a tap over some output rows.
    #[inline(always)]
    fn tap<S: Simd>(&self, s: S, tap: usize, rows: (usize, usize)) -> S::V {
        let conv = self.conv;
        let (oh, ow, stride) = (conv.out_height(), conv.out_width(), conv.y_stride());
        let (kh, kw) = (tap / conv.kernel[1], tap % conv.kernel[1]);
        let (j0, j1) = valid_range(conv, 1, kw, ow);
        let mut acc = [s.zero(); 4];
        for row in rows.0..rows.1 {
            let (n, i) = (row / oh, row % oh);
            let h = (i * conv.stride[0] + kh * conv.dilation[0]).wrapping_sub(conv.padding[0]);
            if h >= conv.height || j0 >= j1 {
                continue;
            }
            let v = j0 * conv.stride[1] + kw * conv.dilation[1] - conv.padding[1];
            let step = conv.stride[1] * stride;
            // SAFETY: `valid_range` keeps the columns, and the comparison above the row, inside of the image.
            unsafe {
                let x = self
                    .x
                    .as_ptr()
                    .add(((n * conv.height + h) * conv.width + v) * stride + self.block * LANES);
                let dy = self.dy.as_ptr().add((row * ow + j0) * stride + self.block * LANES);
                let n = j1 - j0;
                let mut j = 0;
                while j + 4 <= n {
                    for u in 0..4 {
                        let a = s.load_ptr(x.add((j + u) * step));
                        acc[u] = s.mul_add(a, s.load_ptr(dy.add((j + u) * stride)), acc[u]);
                    }
                    j += 4;
                }
                while j < n {
                    acc[0] = s.mul_add(s.load_ptr(x.add(j * step)), s.load_ptr(dy.add(j * stride)), acc[0]);
                    j += 1;
                }
            }
        }
        s.add(s.add(acc[0], acc[1]), s.add(acc[2], acc[3]))
    }
}
