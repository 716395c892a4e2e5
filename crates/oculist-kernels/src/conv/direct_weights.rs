//! Gradient of the weights of a direct convolution.
//!
//! `dw[tap][c][o] = sum over pixels of x[pixel at tap][c] * dy[pixel][o]`: a matrix product whose inner dimension is
//! pixels. The register tile holds input channels by blocks of output channels. The pixels are cut into splits
//! whose number depends on the shape alone; each split has its own sums and the splits are added in order, so the
//! result depends neither on the number of threads nor on their speed, and no atomics are needed. With many
//! channels one split is enough: the tasks are then blocks of channels.

use super::Conv2d;
use crate::context::{Context, SendPtr};
use crate::layout::LANES;
use crate::simd::{Kernel, Simd, dispatch};

/// Pixels accumulated in registers before the sums go to memory: small enough for the first-level cache.
const RUN_PIXELS: usize = 160;

/// How many tasks one pass should have at least.
const TASKS: usize = 16;

fn channel_tasks(conv: &Conv2d) -> usize {
    (conv.y_stride() / LANES).div_ceil(2) * conv.x_stride.div_ceil(LANES)
}

/// Number of splits: output rows of all images are shared out among them.
fn splits(conv: &Conv2d) -> usize {
    let rows = conv.batch * conv.out_height();
    let pixels = rows * conv.out_width();
    // No split below about 500 pixels, and no more than 64 MiB of partial sums.
    let by_memory = ((16 << 20) / conv.weights_len()).max(1);
    TASKS.div_ceil(channel_tasks(conv)).min(pixels.div_ceil(512)).min(by_memory).min(rows).max(1)
}

/// f32 of scratch: sums of all splits but the first.
pub(crate) fn scratch_len(conv: &Conv2d) -> usize {
    (splits(conv) - 1) * conv.weights_len()
}

/// `dw` overwritten.
pub(crate) fn run(ctx: &Context, conv: &Conv2d, x: &[f32], dy: &[f32], dw: &mut [f32], scratch: &mut [f32]) {
    let n_splits = splits(conv);
    let len = conv.weights_len();
    let blocks = conv.y_stride() / LANES;
    let block_pairs = blocks.div_ceil(2);
    let inputs = conv.x_stride.div_ceil(LANES);
    let rows = conv.batch * conv.out_height();
    let partial = &mut scratch[..(n_splits - 1) * len];
    let (first, others) = (SendPtr(dw.as_mut_ptr()), SendPtr(partial.as_mut_ptr()));
    ctx.run(n_splits * inputs * block_pairs, |task, _| {
        let split = task / (inputs * block_pairs);
        let (input, pair) = (task / block_pairs % inputs, task % block_pairs);
        let sums = if split == 0 {
            first.get()
        } else {
            // SAFETY: the partial sums of split `split` lie inside of the scratch slice taken above.
            unsafe { others.get().add((split - 1) * len) }
        };
        dispatch(
            ctx,
            Task {
                conv,
                x,
                dy,
                sums,
                rows: (rows * split / n_splits, rows * (split + 1) / n_splits),
                input: input * LANES,
                blocks: (pair * 2, (pair * 2 + 2).min(blocks)),
            },
        );
    });
    if n_splits > 1 {
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
    x: &'a [f32],
    dy: &'a [f32],
    /// Packed weight gradient of the split, of which this task owns sixteen inputs of one or two blocks.
    sums: *mut f32,
    /// Output rows, counted over all images.
    rows: (usize, usize),
    /// First input channel.
    input: usize,
    blocks: (usize, usize),
}

impl Kernel for Task<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let conv = self.conv;
        let channels = LANES.min(conv.x_stride - self.input);
        let per_chunk = (RUN_PIXELS / conv.out_width()).max(1);
        let mut row = self.rows.0;
        while row < self.rows.1 {
            let end = (row + per_chunk).min(self.rows.1);
            let fresh = row == self.rows.0;
            for tap in 0..conv.taps() {
                let mut block = self.blocks.0;
                while block < self.blocks.1 {
                    if S::ROWS_2 > 0 && block + 2 <= self.blocks.1 {
                        self.channel_tiles::<S, 2>(s, tap, (row, end), block, channels, fresh);
                        block += 2;
                    } else {
                        self.channel_tiles::<S, 1>(s, tap, (row, end), block, channels, fresh);
                        block += 1;
                    }
                }
            }
            row = end;
        }
    }
}

impl Task<'_> {
    /// Cuts the input channels into register tiles.
    #[inline(always)]
    fn channel_tiles<S: Simd, const NB: usize>(
        &self,
        s: S,
        tap: usize,
        rows: (usize, usize),
        block: usize,
        channels: usize,
        fresh: bool,
    ) {
        let mut c = 0;
        while c < channels {
            let left = channels - c;
            // Sixteen inputs make whole tiles on every instruction set: 16, 8 + 8, 6 + 6 + 4, 2 * 8.
            c += if S::ROWS_2 > 0 && NB == 1 && left >= 16 {
                self.tile::<S, 16, NB>(s, tap, rows, block, c, fresh)
            } else if S::ROWS_2 > 0 && left >= 8 {
                self.tile::<S, 8, NB>(s, tap, rows, block, c, fresh)
            } else if S::ROWS_2 == 0 && S::ROWS_1 >= 6 && left >= 6 {
                self.tile::<S, 6, NB>(s, tap, rows, block, c, fresh)
            } else if S::ROWS_1 >= 4 && left >= 4 {
                self.tile::<S, 4, NB>(s, tap, rows, block, c, fresh)
            } else if left >= 2 {
                self.tile::<S, 2, NB>(s, tap, rows, block, c, fresh)
            } else {
                self.tile::<S, 1, NB>(s, tap, rows, block, c, fresh)
            };
        }
    }

    /// `MR` input channels by `NB` blocks over some output rows; returns `MR`.
    #[inline(always)]
    fn tile<S: Simd, const MR: usize, const NB: usize>(
        &self,
        s: S,
        tap: usize,
        rows: (usize, usize),
        block: usize,
        c: usize,
        fresh: bool,
    ) -> usize {
        let conv = self.conv;
        let (oh, ow) = (conv.out_height(), conv.out_width());
        let (xs, ys) = (conv.x_stride, conv.y_stride());
        let (kh, kw) = (tap / conv.kernel[1], tap % conv.kernel[1]);
        let (j0, j1) = valid_range(conv, 1, kw, ow);
        let mut acc = [[s.zero(); NB]; MR];
        for row in rows.0..rows.1 {
            let (n, i) = (row / oh, row % oh);
            let h = (i * conv.stride[0] + kh * conv.dilation[0]).wrapping_sub(conv.padding[0]);
            if h >= conv.height || j0 >= j1 {
                continue;
            }
            let v = j0 * conv.stride[1] + kw * conv.dilation[1] - conv.padding[1];
            let x_at = ((n * conv.height + h) * conv.width + v) * xs + self.input + c;
            let dy_at = (row * ow + j0) * ys + block * LANES;
            debug_assert!(x_at + (j1 - j0 - 1) * conv.stride[1] * xs + MR <= self.x.len());
            debug_assert!(dy_at + (j1 - j0 - 1) * ys + NB * LANES <= self.dy.len());
            // SAFETY: `valid_range` keeps the columns, and the comparison above the row, inside of the image;
            // the tile's channels lie below the strides. The plan checked the lengths.
            unsafe {
                let mut x = self.x.as_ptr().add(x_at);
                let mut dy = self.dy.as_ptr().add(dy_at);
                for _ in j0..j1 {
                    let mut b = [s.zero(); NB];
                    for n in 0..NB {
                        b[n] = s.load_ptr(dy.add(n * LANES));
                    }
                    for r in 0..MR {
                        let a = s.splat(*x.add(r));
                        for n in 0..NB {
                            acc[r][n] = s.mul_add(a, b[n], acc[r][n]);
                        }
                    }
                    x = x.wrapping_add(conv.stride[1] * xs);
                    dy = dy.wrapping_add(ys);
                }
            }
        }
        for n in 0..NB {
            let at = (((block + n) * conv.taps() + tap) * xs + self.input + c) * LANES;
            for r in 0..MR {
                // SAFETY: these sixteen sums belong to this task; `at` is an index of the packed weights.
                unsafe {
                    let sum = self.sums.add(at + r * LANES);
                    let old = if fresh { s.zero() } else { s.load_ptr(sum) };
                    s.store_ptr(sum, s.add(old, acc[r][n]));
                }
            }
        }
        MR
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
