//! Depthwise convolution: every channel on its own, sixteen at a time.
//!
//! Forward and data gradient are the same gathering pass over row pointers as the direct convolution, without a
//! sum over channels: a tile of pixels times one block of channels stays in registers through all taps. The work
//! is bound by memory; the tile saves the weights' loads. The usual windows have a forward pass of their own,
//! which needs no pointers.

mod window;

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

/// `y = f(conv(x, w) + ..)`; `gather` is the convolution's forward pass.
pub(crate) fn forward(
    ctx: &Context,
    conv: &Conv2d,
    gather: &Gather,
    x: &[f32],
    w: &[f32],
    store: Store,
    scratch: &mut [f32],
) {
    if window::supports(conv) {
        let zero = &mut scratch[..conv.x_stride];
        zero.fill(0.0);
        window::run(ctx, conv, x, w, store, zero);
    } else {
        run(ctx, gather, x, w, store, scratch);
    }
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
            let (src, zero) = (self.src.as_ptr(), self.zero.as_ptr());
            self.gather.fill(self.phase, row, valid, src, zero, false, table, &mut out);
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

/// Splits of the output rows for the weight gradient; depends on the shape alone.
fn splits(conv: &Conv2d) -> usize {
    let rows = conv.batch * conv.out_height();
    // No split below about 64 KiB of gradient.
    let elements = rows * conv.out_width() * conv.y_stride();
    16.min(elements.div_ceil(16 << 10)).min(rows).max(1)
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
    let rows = conv.batch * conv.out_height();
    let partial = &mut scratch[..(n_splits - 1) * len];
    let (first, others) = (SendPtr(dw.as_mut_ptr()), SendPtr(partial.as_mut_ptr()));
    ctx.run(n_splits, |split, _| {
        let sums = if split == 0 {
            first.get()
        } else {
            // SAFETY: the partial sums of split `split` lie inside of the scratch slice taken above.
            unsafe { others.get().add((split - 1) * len) }
        };
        let rows = (rows * split / n_splits, rows * (split + 1) / n_splits);
        dispatch(ctx, WeightTask { conv, x, dy, sums, rows });
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
    /// `[taps][stride]`, the sums of this split.
    sums: *mut f32,
    rows: (usize, usize),
}

impl Kernel for WeightTask<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let conv = self.conv;
        // Narrow maps take a few rows at a time, so that the sums stay in registers longer.
        let per_chunk = (32 / conv.out_width()).max(1);
        let mut kw = 0;
        while kw < conv.kernel[1] {
            kw += match conv.kernel[1] - kw {
                1 => self.tap_group::<S, 1>(s, kw, per_chunk),
                2 => self.tap_group::<S, 2>(s, kw, per_chunk),
                4 => self.tap_group::<S, 4>(s, kw, per_chunk),
                5 => self.tap_group::<S, 5>(s, kw, per_chunk),
                _ => self.tap_group::<S, 3>(s, kw, per_chunk),
            };
        }
    }
}

impl WeightTask<'_> {
    /// The taps `kw .. kw + N` of all kernel rows; returns `N`.
    ///
    /// The taps of a kernel row share the gradient's loads and read neighbouring pixels.
    #[inline(always)]
    fn tap_group<S: Simd, const N: usize>(&self, s: S, kw: usize, per_chunk: usize) -> usize {
        // Where all of these taps lie inside of the image.
        let ow = self.conv.out_width();
        let mut inner = (0, ow);
        for k in 0..N {
            let range = valid_range(self.conv, 1, kw + k, ow);
            inner = (inner.0.max(range.0), inner.1.min(range.1));
        }
        inner.1 = inner.1.max(inner.0);
        let mut row = self.rows.0;
        while row < self.rows.1 {
            let end = (row + per_chunk).min(self.rows.1);
            for block in 0..self.conv.y_stride() / LANES {
                for kh in 0..self.conv.kernel[0] {
                    self.row_taps::<S, N>(s, (row, end), block, [kh, kw], inner);
                }
            }
            row = end;
        }
        N
    }

    /// Adds some output rows to the sums of the taps `kw .. kw + N` of kernel row `kh`.
    #[inline(always)]
    fn row_taps<S: Simd, const N: usize>(
        &self,
        s: S,
        rows: (usize, usize),
        block: usize,
        [kh, kw]: [usize; 2],
        inner: (usize, usize),
    ) {
        let conv = self.conv;
        let (oh, ow, stride) = (conv.out_height(), conv.out_width(), conv.y_stride());
        let at = block * LANES;
        let step = conv.stride[1] * stride;
        let shift = conv.dilation[1] * stride;
        let fresh = rows.0 == self.rows.0;
        let mut acc = [s.zero(); N];
        let (mut n, mut i) = (rows.0 / oh, rows.0 % oh);
        for row in rows.0..rows.1 {
            let h = (i * conv.stride[0] + kh * conv.dilation[0]).wrapping_sub(conv.padding[0]);
            let line = (n * conv.height + h.min(conv.height)) * conv.width * stride;
            i += 1;
            if i == oh {
                (n, i) = (n + 1, 0);
            }
            if h >= conv.height {
                continue;
            }
            let x = self.x[line..][..conv.width * stride].as_ptr();
            let dy = self.dy[row * ow * stride..][..ow * stride].as_ptr();
            // SAFETY: `valid_range` keeps every tap of the inner columns inside of the image's row, the
            // comparison those of the others.
            unsafe {
                for j in (0..inner.0).chain(inner.1..ow) {
                    let d = s.load_ptr(dy.add(j * stride + at));
                    for k in 0..N {
                        let v =
                            (j * conv.stride[1] + (kw + k) * conv.dilation[1]).wrapping_sub(conv.padding[1]);
                        if v < conv.width {
                            acc[k] = s.mul_add(s.load_ptr(x.add(v * stride + at)), d, acc[k]);
                        }
                    }
                }
                if inner.0 < inner.1 {
                    let v = inner.0 * conv.stride[1] + kw * conv.dilation[1] - conv.padding[1];
                    let mut x = x.add(v * stride + at);
                    let mut dy = dy.add(inner.0 * stride + at);
                    for _ in inner.0..inner.1 {
                        let d = s.load_ptr(dy);
                        for k in 0..N {
                            acc[k] = s.mul_add(s.load_ptr(x.add(k * shift)), d, acc[k]);
                        }
                        x = x.wrapping_add(step);
                        dy = dy.wrapping_add(stride);
                    }
                }
            }
        }
        for (k, acc) in acc.into_iter().enumerate() {
            let tap = kh * conv.kernel[1] + kw + k;
            // SAFETY: tap and block are inside of the packed gradient, and this task owns the split's sums.
            unsafe {
                let sum = self.sums.add(tap * stride + block * LANES);
                let old = if fresh { s.zero() } else { s.load_ptr(sum) };
                s.store_ptr(sum, s.add(old, acc));
            }
        }
    }
}
