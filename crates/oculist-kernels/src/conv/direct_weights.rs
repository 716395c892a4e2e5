//! Gradient of the weights of a direct convolution.
//!
//! `dw[tap][c][o] = sum over pixels of x[pixel at tap][c] * dy[pixel][o]`: a matrix product whose inner dimension is
//! pixels. The register tile holds input channels by blocks of output channels. Pixels are taken in chunks; a
//! task first packs a chunk's pixels into panels of sixteen channels, with the padding written out, so that the
//! micro-kernel reads memory in order and knows no borders. (Without panels, sixteen channels out of a power of
//! two fall into a few cache sets.)
//!
//! A dense image has one or three channels, too few for a register tile. But the pixels under a row of the kernel lie
//! side by side in its panel, as their gradients do in the packed weights, so such a row counts as one tap with
//! `width * channels` channels.
//!
//! The chunks are shared out among splits, whose number depends on the shape alone; each split has its own sums, and
//! the splits are added in order, so the result depends neither on the number of threads nor on their speed. Where
//! the gradient is large there are few splits, and the tasks are groups of output channels instead.

use super::Conv2d;
use crate::context::{Context, SendPtr};
use crate::layout::LANES;
use crate::simd::{Kernel, Simd, dispatch};

/// How many tasks one pass should have at least.
const TASKS: usize = 16;
/// f32 of partial sums of all splits at most: 16 MiB.
const MAX_SUMS: usize = 4 << 20;
/// f32 of the panels of a chunk: 192 KiB.
const CHUNK: usize = 48 << 10;

/// How the work is cut; depends on the shape alone.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    splits: usize,
    /// Output channel blocks of a task.
    group: usize,
    /// Images of a chunk; more than one only if `rows` is the whole height.
    images: usize,
    /// Output rows of a chunk.
    rows: usize,
    /// Chunks of the whole batch.
    chunks: usize,
    /// Rows and columns of a chunk's packed input, an image.
    packed: [usize; 2],
    /// f32 of a pixel in a panel of the packed input: sixteen, or all channels of an image with fewer.
    lanes: usize,
}

impl Schedule {
    fn new(conv: &Conv2d) -> Self {
        let blocks = conv.y_stride() / LANES;
        let (oh, ow) = (conv.out_height(), conv.out_width());
        let len = conv.weights_len();
        let by_memory = (MAX_SUMS / len).clamp(1, TASKS);
        let groups = TASKS.div_ceil(by_memory).min(blocks.div_ceil(2));
        let group = blocks.div_ceil(groups).next_multiple_of(2).min(blocks);
        let pixels = (CHUNK / (conv.x_stride + group * LANES)).clamp(64, 256);
        let rows = pixels.div_ceil(ow).min(oh);
        let images = if rows == oh { pixels.div_ceil(oh * ow).min(conv.batch) } else { 1 };
        let chunks = if rows == oh { conv.batch.div_ceil(images) } else { conv.batch * oh.div_ceil(rows) };
        let extent = |axis: usize, n: usize| {
            (n - 1) * conv.stride[axis] + (conv.kernel[axis] - 1) * conv.dilation[axis] + 1
        };
        let packed = [extent(0, rows), extent(1, ow)];
        let lanes = LANES.min(conv.x_stride);
        Self { splits: by_memory.min(chunks), group, images, rows, chunks, packed, lanes }
    }

    /// f32 of the packed input of a chunk.
    fn x_len(&self, conv: &Conv2d) -> usize {
        conv.x_stride.div_ceil(LANES) * self.x_panel()
    }

    /// f32 of one panel of the packed input.
    fn x_panel(&self) -> usize {
        self.images * self.packed[0] * self.packed[1] * self.lanes
    }

    /// f32 of one panel of the packed output gradient.
    fn dy_panel(&self, conv: &Conv2d) -> usize {
        self.images * self.rows * conv.out_width() * LANES
    }

    fn panels_len(&self, conv: &Conv2d) -> usize {
        self.x_len(conv) + self.group * self.dy_panel(conv)
    }

    /// Images and output rows of a chunk: first and one past the last of each.
    fn chunk(&self, conv: &Conv2d, chunk: usize) -> [(usize, usize); 2] {
        let oh = conv.out_height();
        if self.rows == oh {
            let n = chunk * self.images;
            [(n, (n + self.images).min(conv.batch)), (0, oh)]
        } else {
            let per_image = oh.div_ceil(self.rows);
            let (n, i) = (chunk / per_image, chunk % per_image * self.rows);
            [(n, n + 1), (i, (i + self.rows).min(oh))]
        }
    }
}

/// f32 of scratch: panels for every thread, sums of all splits but the first.
pub(crate) fn scratch_len(conv: &Conv2d, threads: usize) -> usize {
    let schedule = Schedule::new(conv);
    threads * schedule.panels_len(conv) + (schedule.splits - 1) * conv.weights_len()
}

/// `dw` overwritten.
pub(crate) fn run(ctx: &Context, conv: &Conv2d, x: &[f32], dy: &[f32], dw: &mut [f32], scratch: &mut [f32]) {
    let schedule = Schedule::new(conv);
    let splits = schedule.splits;
    let len = conv.weights_len();
    assert_eq!(dw.len(), len, "weight gradient of {}", conv.label());
    let (partial, panels) = scratch.split_at_mut((splits - 1) * len);
    let panels_len = schedule.panels_len(conv);
    let panels = SendPtr(panels[..ctx.threads() * panels_len].as_mut_ptr());
    let blocks = conv.y_stride() / LANES;
    let groups = blocks.div_ceil(schedule.group);
    let (first, others) = (SendPtr(dw.as_mut_ptr()), SendPtr(partial.as_mut_ptr()));
    ctx.run(splits * groups, |task, worker| {
        let (split, group) = (task / groups, task % groups);
        let sums = if split == 0 {
            first.get()
        } else {
            // SAFETY: the partial sums of split `split` lie inside of the scratch taken above.
            unsafe { others.get().add((split - 1) * len) }
        };
        // SAFETY: each worker has its own panels, inside of the slice taken above.
        let panels =
            unsafe { std::slice::from_raw_parts_mut(panels.get().add(worker * panels_len), panels_len) };
        let blocks = (group * schedule.group, ((group + 1) * schedule.group).min(blocks));
        let chunks = (schedule.chunks * split / splits, schedule.chunks * (split + 1) / splits);
        let (x_panels, dy_panels) = panels.split_at_mut(schedule.x_len(conv));
        dispatch(
            ctx,
            Task { conv, schedule, x, dy, sums, chunks, blocks, x_panels, dy_panels, dy_chunk: &[] },
        );
    });
    if splits > 1 {
        let partial = &*partial;
        ctx.for_pieces(dw, 4096, |i, dw| {
            for sums in partial.chunks_exact(len) {
                for (total, part) in dw.iter_mut().zip(&sums[i * 4096..]) {
                    *total += part;
                }
            }
        });
    }
}

struct Task<'a> {
    conv: &'a Conv2d,
    schedule: Schedule,
    x: &'a [f32],
    dy: &'a [f32],
    /// Packed weight gradient of the split, of which this task owns the blocks.
    sums: *mut f32,
    chunks: (usize, usize),
    blocks: (usize, usize),
    /// `[input block][image][row][column][lanes]`
    x_panels: &'a mut [f32],
    /// `[output block][image][row][column][16]`
    dy_panels: &'a mut [f32],
    /// The same from the chunk on, where `dy` has one block and is not packed.
    dy_chunk: &'a [f32],
}

impl Kernel for Task<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for chunk in self.chunks.0..self.chunks.1 {
            let [images, rows] = self.schedule.chunk(self.conv, chunk);
            self.pack_x(s, images, rows);
            if self.conv.y_stride() == LANES {
                // A single block already lies in order.
                let pixel = (images.0 * self.conv.out_height() + rows.0) * self.conv.out_width();
                self.dy_chunk = &self.dy[pixel * LANES..];
            } else {
                self.pack_dy(s, images, rows);
            }
            let fresh = chunk == self.chunks.0;
            let extent = [images.1 - images.0, rows.1 - rows.0];
            let mut block = self.blocks.0;
            while block < self.blocks.1 {
                let pair = S::ROWS_2 > 0 && block + 2 <= self.blocks.1;
                if self.merges_columns() {
                    if pair {
                        self.kernel_rows::<S, 2>(s, extent, block, fresh);
                    } else {
                        self.kernel_rows::<S, 1>(s, extent, block, fresh);
                    }
                    block += if pair { 2 } else { 1 };
                    continue;
                }
                for input in (0..self.conv.x_stride).step_by(LANES) {
                    for tap in 0..self.conv.taps() {
                        if pair {
                            self.channel_tiles::<S, 2>(s, tap, extent, block, input, fresh);
                        } else {
                            self.channel_tiles::<S, 1>(s, tap, extent, block, input, fresh);
                        }
                    }
                }
                block += if pair { 2 } else { 1 };
            }
        }
    }
}

impl Task<'_> {
    /// Packs the input pixels that the chunk's outputs read; what is outside of the image becomes 0.
    #[inline(always)]
    fn pack_x<S: Simd>(&mut self, s: S, images: (usize, usize), rows: (usize, usize)) {
        let conv = self.conv;
        let [ph, pw] = self.schedule.packed;
        let (panel, lanes) = (self.schedule.x_panel(), self.schedule.lanes);
        let (stride, dilation) = (conv.stride[0], conv.dilation[0]);
        let needed = (rows.1 - rows.0 - 1) * stride + (conv.kernel[0] - 1) * dilation + 1;
        // Columns left of, inside of and right of the image.
        let left = conv.padding[1].min(pw);
        let inside = pw.min(conv.padding[1] + conv.width).saturating_sub(conv.padding[1]);
        for (m, n) in (images.0..images.1).enumerate() {
            for r in 0..needed {
                let used = |k: usize| r >= k * dilation && (r - k * dilation).is_multiple_of(stride);
                if stride > 1 && !(0..conv.kernel[0]).any(used) {
                    continue;
                }
                let h = (rows.0 * stride + r).wrapping_sub(conv.padding[0]);
                let source = (n * conv.height + h.min(conv.height - 1)) * conv.width * conv.x_stride;
                let source = &self.x[source..source + conv.width * conv.x_stride];
                for (block, panel) in self.x_panels.chunks_exact_mut(panel).enumerate() {
                    let row = &mut panel[(m * ph + r) * pw * lanes..][..pw * lanes];
                    if h >= conv.height {
                        row.fill(0.0);
                        continue;
                    }
                    row[..left * lanes].fill(0.0);
                    row[(left + inside) * lanes..].fill(0.0);
                    let row = &mut row[left * lanes..(left + inside) * lanes];
                    if conv.x_stride == lanes {
                        row.copy_from_slice(&source[..inside * lanes]);
                        continue;
                    }
                    let source = &source[..(inside.max(1) - 1) * conv.x_stride + (block + 1) * LANES];
                    // SAFETY: the last pixel's block ends where `source` ends, and `row` has as many pixels; with
                    // more channels than lanes the stride is a multiple of sixteen.
                    unsafe { copy_blocks(s, source.as_ptr().add(block * LANES), conv.x_stride, row) };
                }
            }
        }
    }

    /// Packs the output gradients of the chunk.
    #[inline(always)]
    fn pack_dy<S: Simd>(&mut self, s: S, images: (usize, usize), rows: (usize, usize)) {
        let (oh, ow, ys) = (self.conv.out_height(), self.conv.out_width(), self.conv.y_stride());
        let panel = self.schedule.dy_panel(self.conv);
        let pixels = (rows.1 - rows.0) * ow;
        for (block, panel) in (self.blocks.0..self.blocks.1).zip(self.dy_panels.chunks_exact_mut(panel)) {
            for (m, n) in (images.0..images.1).enumerate() {
                let first = ((n * oh + rows.0) * ow) * ys;
                let source = &self.dy[first..first + pixels * ys];
                let panel = &mut panel[m * pixels * LANES..][..pixels * LANES];
                // SAFETY: `source` has all blocks of every pixel.
                unsafe { copy_blocks(s, source.as_ptr().add(block * LANES), ys, panel) };
            }
        }
    }

    /// Whether a row of the kernel covers consecutive f32 of a panel.
    #[inline(always)]
    fn merges_columns(&self) -> bool {
        self.conv.x_stride < LANES && self.conv.dilation[1] == 1
    }

    /// Cuts the rows of the kernel over a dense image into register tiles.
    #[inline(always)]
    fn kernel_rows<S: Simd, const NB: usize>(&self, s: S, extent: [usize; 2], block: usize, fresh: bool) {
        let [height, width] = self.conv.kernel;
        let channels = width * self.conv.x_stride;
        let mut row = 0;
        while row < height {
            let tap = row * width;
            // Three sums alone would wait for each other, so two or three rows share a register tile.
            if S::ROWS_2 > 0 && channels == 3 && height - row >= 3 {
                self.tile::<S, 3, 3, NB>(s, tap, extent, block, (0, 0), fresh);
                row += 3;
                continue;
            }
            if S::ROWS_2 == 0 && S::ROWS_1 >= 6 && channels % 6 == 3 && height - row >= 2 {
                for c in (0..channels - 3).step_by(6) {
                    self.tile::<S, 1, 6, NB>(s, tap, extent, block, (0, c), fresh);
                    self.tile::<S, 1, 6, NB>(s, tap + width, extent, block, (0, c), fresh);
                }
                self.tile::<S, 2, 3, NB>(s, tap, extent, block, (0, channels - 3), fresh);
                row += 2;
                continue;
            }
            let mut c = 0;
            while c < channels {
                let at = (0, c);
                c += if S::ROWS_2 > 0 {
                    match channels - c {
                        1 => self.tile::<S, 1, 1, NB>(s, tap, extent, block, at, fresh),
                        2 => self.tile::<S, 1, 2, NB>(s, tap, extent, block, at, fresh),
                        3 => self.tile::<S, 1, 3, NB>(s, tap, extent, block, at, fresh),
                        4 => self.tile::<S, 1, 4, NB>(s, tap, extent, block, at, fresh),
                        5 | 6 => self.tile::<S, 1, 5, NB>(s, tap, extent, block, at, fresh),
                        7 => self.tile::<S, 1, 7, NB>(s, tap, extent, block, at, fresh),
                        8 | 15 | 16 => self.tile::<S, 1, 8, NB>(s, tap, extent, block, at, fresh),
                        9..=13 | 17..=20 => self.tile::<S, 1, 9, NB>(s, tap, extent, block, at, fresh),
                        _ => self.tile::<S, 1, 14, NB>(s, tap, extent, block, at, fresh),
                    }
                } else if S::ROWS_1 >= 6 {
                    match channels - c {
                        1 => self.tile::<S, 1, 1, NB>(s, tap, extent, block, at, fresh),
                        2 => self.tile::<S, 1, 2, NB>(s, tap, extent, block, at, fresh),
                        3 => self.tile::<S, 1, 3, NB>(s, tap, extent, block, at, fresh),
                        4 | 5 | 7 => self.tile::<S, 1, 4, NB>(s, tap, extent, block, at, fresh),
                        _ => self.tile::<S, 1, 6, NB>(s, tap, extent, block, at, fresh),
                    }
                } else if channels - c >= 2 {
                    self.tile::<S, 1, 2, NB>(s, tap, extent, block, at, fresh)
                } else {
                    self.tile::<S, 1, 1, NB>(s, tap, extent, block, at, fresh)
                };
            }
            row += 1;
        }
    }

    /// Cuts sixteen input channels into register tiles.
    #[inline(always)]
    fn channel_tiles<S: Simd, const NB: usize>(
        &self,
        s: S,
        tap: usize,
        extent: [usize; 2],
        block: usize,
        input: usize,
        fresh: bool,
    ) {
        let channels = LANES.min(self.conv.x_stride - input);
        let mut c = 0;
        while c < channels {
            let left = channels - c;
            let at = (input, c);
            // Sixteen inputs make whole tiles on every instruction set: 16, 8 + 8, 6 + 6 + 4, 2 * 8.
            c += if S::ROWS_2 > 0 && NB == 1 && left >= 16 {
                self.tile::<S, 1, 16, NB>(s, tap, extent, block, at, fresh)
            } else if S::ROWS_2 > 0 && left >= 8 {
                self.tile::<S, 1, 8, NB>(s, tap, extent, block, at, fresh)
            } else if S::ROWS_2 == 0 && S::ROWS_1 >= 6 && left >= 6 {
                self.tile::<S, 1, 6, NB>(s, tap, extent, block, at, fresh)
            } else if S::ROWS_1 >= 4 && left >= 4 {
                self.tile::<S, 1, 4, NB>(s, tap, extent, block, at, fresh)
            } else if left >= 2 {
                self.tile::<S, 1, 2, NB>(s, tap, extent, block, at, fresh)
            } else {
                self.tile::<S, 1, 1, NB>(s, tap, extent, block, at, fresh)
            };
        }
    }

    /// `MR` input channels, at the tap and `KH - 1` taps below it, by `NB` output blocks over the packed chunk; returns
    /// `MR`.
    #[inline(always)]
    fn tile<S: Simd, const KH: usize, const MR: usize, const NB: usize>(
        &self,
        s: S,
        tap: usize,
        [images, rows]: [usize; 2],
        block: usize,
        (input, c): (usize, usize),
        fresh: bool,
    ) -> usize {
        let conv = self.conv;
        let ow = conv.out_width();
        let [ph, pw] = self.schedule.packed;
        let (kh, kw) = (tap / conv.kernel[1] * conv.dilation[0], tap % conv.kernel[1] * conv.dilation[1]);
        let dy_panel = self.schedule.dy_panel(conv);
        let x_panel = input / LANES * self.schedule.x_panel() + c;
        let lanes = self.schedule.lanes;
        let step = conv.stride[1] * lanes;
        let below = conv.dilation[0] * pw * lanes;
        let panels = if conv.y_stride() == LANES { self.dy_chunk } else { &*self.dy_panels };
        let mut acc = [[[s.zero(); NB]; MR]; KH];
        let mut dy = (block - self.blocks.0) * dy_panel;
        for m in 0..images {
            for i in 0..rows {
                let x = x_panel + ((m * ph + i * conv.stride[0] + kh) * pw + kw) * lanes;
                debug_assert!(x + (KH - 1) * below + (ow - 1) * step + MR <= self.x_panels.len());
                debug_assert!(dy + (NB - 1) * dy_panel + ow * LANES <= panels.len());
                // SAFETY: row `i * stride + kh`, the rows of the taps below it and columns up to `(ow - 1) * stride + kw` are packed, and the
                // tile's channels lie inside of the panel.
                unsafe {
                    let mut x = self.x_panels.as_ptr().add(x);
                    let mut dy = panels.as_ptr().add(dy);
                    for _ in 0..ow {
                        let mut b = [s.zero(); NB];
                        for n in 0..NB {
                            b[n] = s.load_ptr(dy.add(n * dy_panel));
                        }
                        for k in 0..KH {
                            for r in 0..MR {
                                let a = s.splat(*x.add(k * below + r));
                                for n in 0..NB {
                                    acc[k][r][n] = s.mul_add(a, b[n], acc[k][r][n]);
                                }
                            }
                        }
                        x = x.wrapping_add(step);
                        dy = dy.wrapping_add(LANES);
                    }
                }
                dy += ow * LANES;
            }
        }
        for k in 0..KH {
            let tap = tap + k * conv.kernel[1];
            for n in 0..NB {
                let at = (((block + n) * conv.taps() + tap) * conv.x_stride + input + c) * LANES;
                for r in 0..MR {
                    // SAFETY: these sixteen sums belong to this task; `at` is an index of the packed weights.
                    unsafe {
                        let sum = self.sums.add(at + r * LANES);
                        let old = if fresh { s.zero() } else { s.load_ptr(sum) };
                        s.store_ptr(sum, s.add(old, acc[k][r][n]));
                    }
                }
            }
        }
        MR
    }
}

/// Copies one block of sixteen f32 of every pixel to consecutive places.
///
/// # Safety
/// `from` has a block at every multiple of `stride`, as many as `to` holds.
#[inline(always)]
unsafe fn copy_blocks<S: Simd>(s: S, from: *const f32, stride: usize, to: &mut [f32]) {
    for (i, to) in to.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        // SAFETY: the caller vouches for the blocks.
        s.store(unsafe { s.load_ptr(from.add(i * stride)) }, to);
    }
}

/// The output positions along an axis whose tap `k` does not fall on padding: first and one past the last.
pub(crate) fn valid_range(conv: &Conv2d, axis: usize, k: usize, out: usize) -> (usize, usize) {
    let (stride, padding) = (conv.stride[axis], conv.padding[axis]);
    let shift = k * conv.dilation[axis];
    let size = [conv.height, conv.width][axis];
    let first = padding.saturating_sub(shift).div_ceil(stride);
    let end = (size + padding).saturating_sub(shift).div_ceil(stride).min(out);
    (first.min(end), end)
}
