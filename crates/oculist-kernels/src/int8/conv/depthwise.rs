//! Depthwise convolution of integers, computed in floats without any rounding.
//!
//! A task takes sixteen channels of some rows of one image, writes them as floats into a buffer (the zero point where
//! the padding is) and sums with multiply-add. All partial sums are integers below 2^24, so floats hold them
//! exactly; this costs one instruction per tap where integers need three without byte products in 32 bits.

pub(super) mod columns;

use super::{Job, task_count};
use crate::context::Context;
use crate::conv::Conv2d;
use crate::int8::simd::{IntKernel, IntSimd, dispatch};
use crate::layout::LANES;

/// f32 of a packed band, unless one row needs more.
const BAND: usize = 8 * 1024;

/// Whether all partial sums fit the 24 bits of a float.
pub(super) fn is_exact(conv: &Conv2d) -> bool {
    conv.is_depthwise() && conv.taps() * 255 * 128 < 1 << 24
}

fn padded_width(conv: &Conv2d) -> usize {
    conv.width + conv.padding[1] + conv.padding[3]
}

fn rows_in(conv: &Conv2d, rows: usize) -> usize {
    (rows - 1) * conv.stride[0] + (conv.kernel[0] - 1) * conv.dilation[0] + 1
}

fn most_rows(conv: &Conv2d) -> usize {
    let rows_in = BAND / (padded_width(conv) * LANES);
    let reach = (conv.kernel[0] - 1) * conv.dilation[0] + 1;
    (rows_in.saturating_sub(reach) / conv.stride[0] + 1).min(conv.out_height())
}

/// Bytes of one band.
pub(super) fn scratch_bytes(conv: &Conv2d) -> usize {
    rows_in(conv, most_rows(conv)) * padded_width(conv) * LANES * 4
}

/// Runs the job on the pool.
pub(super) fn run(ctx: &Context, job: &Job, weights: &[[f32; 16]], bias: &[[f32; 16]]) {
    let conv = &job.plan.conv;
    let height = conv.out_height();
    let blocks = bias.len();
    // About two thousand vector instructions a microsecond: the taps, and twenty for a pixel's packing and ending.
    let pixels = (job.images * height * conv.out_width() * blocks) as f64;
    let wanted = task_count(job.threads, pixels * (conv.taps() + 20) as f64 / 2e3).div_ceil(job.images);
    let mut bands = height.div_ceil(most_rows(conv));
    let mut splits = 1;
    if bands < wanted {
        // Rows for each thread, as the other layers divide them, unless the borders would be half of the work.
        if height >= 2 * wanted * conv.kernel[0] / conv.stride[0] {
            bands = wanted;
        } else {
            splits = wanted.div_ceil(bands).min(blocks);
        }
    }
    let (band_rows, split_blocks) = (height.div_ceil(bands), blocks.div_ceil(splits));
    let (bands, splits) = (height.div_ceil(band_rows), blocks.div_ceil(split_blocks));
    let row = padded_width(conv) * LANES;
    ctx.run(job.images * bands * splits, |task, worker| {
        let (split, place) = (task % splits, task / splits);
        let first = place % bands * band_rows;
        for block in split * split_blocks..((split + 1) * split_blocks).min(blocks) {
            dispatch(
                job.plan.path,
                Task {
                    job,
                    weights: &weights[block * conv.taps()..][..conv.taps()],
                    bias: &bias[block],
                    image: place / bands,
                    rows: first..(first + band_rows).min(height),
                    block,
                    row,
                    worker,
                },
            );
        }
    });
}

struct Task<'a> {
    job: &'a Job<'a>,
    weights: &'a [[f32; 16]],
    bias: &'a [f32; 16],
    image: usize,
    rows: std::ops::Range<usize>,
    block: usize,
    /// f32 of a packed row.
    row: usize,
    worker: usize,
}

impl IntKernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: IntSimd>(self, s: S) {
        let conv = &self.job.plan.conv;
        // SAFETY: every worker has a part of the scratch, long enough for the largest band.
        let band = unsafe { self.job.scratch.get().add(self.worker * self.job.plan.scratch_per_worker) };
        // SAFETY: as above.
        unsafe { self.pack(s, band) };
        let width = conv.out_width();
        for y in 0..self.rows.len() {
            let row = (self.image * conv.out_height() + self.rows.start + y) * width;
            let mut x = 0;
            while x < width {
                let left = width - x;
                // SAFETY: the band holds all taps of the task's pixels; this task alone writes its rows and block.
                unsafe {
                    let origin = band.add(y * conv.stride[0] * self.row + x * conv.stride[1] * LANES);
                    x += match left {
                        8.. if S::DEPTHWISE_ROWS >= 8 => self.tile::<S, 8>(s, origin, row + x),
                        4.. if S::DEPTHWISE_ROWS >= 4 => self.tile::<S, 4>(s, origin, row + x),
                        2.. if S::DEPTHWISE_ROWS >= 2 => self.tile::<S, 2>(s, origin, row + x),
                        _ => self.tile::<S, 1>(s, origin, row + x),
                    };
                }
            }
        }
    }
}

impl Task<'_> {
    /// `MR` pixels of a row, the first one with its input at `origin` and its output at `pixel`; returns `MR`.
    ///
    /// # Safety
    /// The taps of the pixels lie in the band, the pixels in the target.
    #[inline(always)]
    unsafe fn tile<S: IntSimd, const MR: usize>(&self, s: S, origin: *const f32, pixel: usize) -> usize {
        let plan = self.job.plan;
        let conv = &plan.conv;
        let step = conv.stride[1] * LANES;
        let mut acc = [s.splat(0.0); MR];
        let mut t = 0;
        for ky in 0..conv.kernel[0] {
            for kx in 0..conv.kernel[1] {
                let w = s.block(&self.weights[t]);
                t += 1;
                // SAFETY: the caller's promise.
                unsafe {
                    let tap = origin.add(ky * conv.dilation[0] * self.row + kx * conv.dilation[1] * LANES);
                    for r in 0..MR {
                        acc[r] = s.mul_add_exact(s.load_f32(tap.add(r * step)), w, acc[r]);
                    }
                }
            }
        }
        let bias = s.block(self.bias);
        // Through memory once, for the reason given in the dense micro-kernel.
        let mut sums = [[[0.0; LANES]; 1]; MR];
        for r in 0..MR {
            // SAFETY: the array holds sixteen f32.
            unsafe { s.store_f32(s.add(acc[r], bias), sums[r][0].as_mut_ptr()) };
        }
        let stride = conv.y_stride();
        let at = pixel * stride + self.block * LANES;
        // SAFETY: the caller's promise.
        unsafe { plan.finish.store(s, &sums, self.block, &self.job.target, at, stride) };
        MR
    }

    /// Writes the input rows of the task as floats, with the zero point as padding.
    ///
    /// # Safety
    /// `to` is writable for the rows of a task.
    #[inline(always)]
    unsafe fn pack<S: IntSimd>(&self, s: S, to: *mut f32) {
        let conv = &self.job.plan.conv;
        let [top, left, _, right] = conv.padding;
        let from_row = conv.width * conv.x_stride;
        let x = &self.job.x[self.image * conv.height * from_row..][..conv.height * from_row];
        let zero = s.splat(f32::from(self.job.plan.x_zero_point));
        for r in 0..rows_in(conv, self.rows.len()) {
            let y = (self.rows.start * conv.stride[0] + r).wrapping_sub(top);
            // SAFETY: the caller vouches for the rows; the block's sixteen bytes lie in every pixel.
            unsafe {
                let to = to.add(r * self.row);
                if y >= conv.height {
                    for p in 0..padded_width(conv) {
                        s.store_f32(zero, to.add(p * LANES));
                    }
                    continue;
                }
                for p in 0..left {
                    s.store_f32(zero, to.add(p * LANES));
                }
                let from = x[y * from_row + self.block * LANES..].as_ptr();
                for p in 0..conv.width {
                    s.store_f32(s.load_u8(from.add(p * conv.x_stride)), to.add((left + p) * LANES));
                }
                for p in 0..right {
                    s.store_f32(zero, to.add((left + conv.width + p) * LANES));
                }
            }
        }
    }
}
