//! Depthwise convolution by products of bytes: four rows of a column at a time.
//!
//! A lane is a channel. Its four bytes are the pixels of four rows in one column of the image, so that one instruction
//! adds what a column of the window contributes. Rows that the window does not reach have a weight of 0; a window of
//! three rows leaves room for a second output row, one of five rows in two such vectors for a fourth. Each column is
//! read once for all output rows and pixels of the tile that see it.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::super::{Job, task_count};
use crate::context::Context;
use crate::conv::Conv2d;
use crate::int8::simd::{ByteKernel, ByteLanes, IntPath, Line, dispatch_bytes, has_byte_lanes};
use crate::layout::LANES;

/// Output pixels of a tile at most.
const TILE: usize = 16;
/// Columns that its windows see at most: stride 2, five columns.
const COLUMNS: usize = (TILE - 1) * 2 + 5;

/// Whether this pass computes the convolution on `path`.
pub(in super::super) fn supports(conv: &Conv2d, path: IntPath) -> bool {
    has_byte_lanes(path)
        && conv.is_depthwise()
        && conv.x_stride == conv.y_stride()
        && matches!(conv.kernel, [3, 3] | [5, 5])
        && matches!(conv.stride, [1, 1] | [2, 2])
        && conv.dilation == [1, 1]
}

/// Vectors of four rows that a column takes.
const fn vectors(kernel: usize) -> usize {
    kernel.div_ceil(4)
}

/// Output rows that they cover.
const fn rows(kernel: usize, stride: usize) -> usize {
    (4 * vectors(kernel) - kernel) / stride + 1
}

/// Weights `[c / 16][rows][kernel columns][vectors][16][4]`.
pub(in super::super) fn pack(conv: &Conv2d, weights: &[i8]) -> Vec<Line> {
    let (k, step) = (conv.kernel[0], conv.stride[0]);
    let (n, rows) = (vectors(k), rows(k, step));
    let mut lines = vec![Line([0; 64]); conv.y_stride() / LANES * rows * k * n];
    for c in 0..conv.c_out {
        for r in 0..rows {
            for ky in 0..k {
                for kx in 0..k {
                    let at = r * step + ky;
                    let line = (((c / LANES) * rows + r) * k + kx) * n + at / 4;
                    lines[line].0[c % LANES * 4 + at % 4] = weights[(c * k + ky) * k + kx] as u8;
                }
            }
        }
    }
    lines
}

/// Bytes of scratch of a worker: a row of zero points for what lies above and below the image.
pub(in super::super) fn scratch_bytes(conv: &Conv2d) -> usize {
    conv.width * conv.x_stride
}

/// Runs the job on the pool; `init` holds the start of the sums, `[c / 16][16]`.
pub(in super::super) fn run(ctx: &Context, job: &Job, weights: &[Line], init: &[[i32; LANES]]) {
    let conv = &job.plan.conv;
    let (height, blocks) = (conv.out_height(), init.len());
    let together = rows(conv.kernel[0], conv.stride[0]);
    // About two thousand vector instructions a microsecond.
    let pixels = (job.images * height * conv.out_width() * blocks) as f64;
    let wanted = task_count(job.threads, pixels * (conv.taps() + 6) as f64 / 2e3).div_ceil(job.images);
    let bands = wanted.min(height.div_ceil(together)).max(1);
    let splits = wanted.div_ceil(bands).min(blocks).max(1);
    let band_rows = height.div_ceil(bands).next_multiple_of(together);
    let split_blocks = blocks.div_ceil(splits);
    let (bands, splits) = (height.div_ceil(band_rows), blocks.div_ceil(split_blocks));
    let block_lines = weights.len() / blocks;
    ctx.run(job.images * bands * splits, |task, worker| {
        let (split, place) = (task % splits, task / splits);
        let first = place % bands * band_rows;
        dispatch_bytes(
            job.plan.path,
            Task {
                job,
                weights,
                init,
                block_lines,
                image: place / bands,
                rows: first..(first + band_rows).min(height),
                blocks: split * split_blocks..((split + 1) * split_blocks).min(blocks),
                worker,
            },
        );
    });
}

struct Task<'a> {
    job: &'a Job<'a>,
    weights: &'a [Line],
    init: &'a [[i32; LANES]],
    /// Lines of weights of a block.
    block_lines: usize,
    image: usize,
    rows: Range<usize>,
    blocks: Range<usize>,
    worker: usize,
}

impl ByteKernel for Task<'_> {
    #[inline(always)]
    fn run<S: ByteLanes>(self, s: S) {
        let conv = &self.job.plan.conv;
        match (conv.kernel[0], conv.stride[0]) {
            (3, 1) => self.bands::<S, 3, 1, 1, 2>(s),
            (3, _) => self.bands::<S, 3, 2, 1, 1>(s),
            (_, 1) => self.bands::<S, 5, 1, 2, 4>(s),
            (..) => self.bands::<S, 5, 2, 2, 2>(s),
        }
    }
}

impl Task<'_> {
    /// `N` vectors cover `R` output rows.
    #[inline(always)]
    fn bands<S: ByteLanes, const K: usize, const STEP: usize, const N: usize, const R: usize>(&self, s: S) {
        const { assert!(N == vectors(K) && R == rows(K, STEP)) };
        let conv = &self.job.plan.conv;
        let line = conv.width * conv.x_stride;
        let image = &self.job.x[self.image * conv.height * line..][..conv.height * line];
        let width = conv.out_width();
        // Tiles of one width.
        let tile = width.div_ceil(width.div_ceil(TILE));
        // SAFETY: every worker has a part of the scratch, long enough for a row of the image.
        let zeros = unsafe {
            let start = self.job.scratch.get().add(self.worker * self.job.plan.scratch_per_worker);
            let zeros = std::slice::from_raw_parts_mut(start.cast::<u8>(), line);
            zeros.fill(self.job.plan.x_zero_point);
            &*zeros
        };
        for top in self.rows.clone().step_by(R) {
            for block in self.blocks.clone() {
                let mut rows = [[zeros.as_ptr(); 4]; N];
                for i in 0..4 * N {
                    let y = (top * STEP + i).wrapping_sub(conv.padding[0]);
                    if y < conv.height {
                        rows[i / 4][i % 4] = image[y * line + block * LANES..].as_ptr();
                    }
                }
                for first in (0..width).step_by(tile) {
                    let pixels = first..(first + tile).min(width);
                    // SAFETY: the rows' pixels and the zero points hold sixteen bytes for the block. This task alone
                    // writes its rows and blocks.
                    unsafe { self.tile::<S, K, STEP, N, R>(s, &rows, zeros, block, top, pixels) };
                }
            }
        }
    }

    /// # Safety
    /// Every pixel of the rows, and the first of `zeros`, holds sixteen bytes. The pixels of the tile, at most
    /// [`TILE`], are written by no other task.
    #[inline(always)]
    unsafe fn tile<S: ByteLanes, const K: usize, const STEP: usize, const N: usize, const R: usize>(
        &self,
        s: S,
        rows: &[[*const u8; 4]; N],
        zeros: &[u8],
        block: usize,
        top: usize,
        pixels: Range<usize>,
    ) {
        let plan = self.job.plan;
        let conv = &plan.conv;
        let order = s.row_order();
        let left = pixels.start * STEP;
        // SAFETY: the place is one of the zero points.
        let nothing = unsafe { s.load_rows(order, [zeros.as_ptr(); 4]) };
        // In memory: more columns than registers, and each is needed by several pixels.
        let mut columns = [const { MaybeUninit::<[S::B; N]>::uninit() }; COLUMNS];
        let count = (pixels.len() - 1) * STEP + K;
        for (i, column) in columns[..count].iter_mut().enumerate() {
            let at = (left + i).wrapping_sub(conv.padding[1]);
            let mut loaded = [nothing; N];
            if at < conv.width {
                for n in 0..N {
                    let mut p = rows[n];
                    for p in &mut p {
                        *p = p.wrapping_add(at * conv.x_stride);
                    }
                    // SAFETY: the caller vouches for the pixels.
                    loaded[n] = unsafe { s.load_rows(order, p) };
                }
            }
            column.write(loaded);
        }
        let weights = self.weights[block * self.block_lines..][..R * K * N].as_ptr();
        let init = s.load_i32(&self.init[block]);
        let mut sums = [const { [const { MaybeUninit::<[[f32; LANES]; 1]>::uninit() }; TILE] }; R];
        for t in 0..pixels.len() {
            let window = &columns[t * STEP..][..K];
            let mut acc = [init; R];
            for kx in 0..K {
                for n in 0..N {
                    for r in 0..R {
                        // SAFETY: there are `R * K * N` lines.
                        let w = unsafe { s.load_w(weights.add((r * K + kx) * N + n)) };
                        // SAFETY: the columns under the tile's pixels were written above.
                        let x = unsafe { window[kx].assume_init_ref()[n] };
                        acc[r] = s.mac_lanes(acc[r], x, w);
                    }
                }
            }
            for r in 0..R {
                // SAFETY: the array holds sixteen f32.
                unsafe { s.store_f32(s.to_f32(acc[r]), sums[r][t].as_mut_ptr().cast::<f32>()) };
            }
        }
        let (height, width, stride) = (conv.out_height(), conv.out_width(), conv.y_stride());
        for r in 0..R.min(self.rows.end - top) {
            let at = ((self.image * height + top + r) * width + pixels.start) * stride + block * LANES;
            // SAFETY: the sums of all pixels were written above; the rest is the caller's promise.
            unsafe {
                let sums = std::slice::from_raw_parts(sums[r].as_ptr().cast(), pixels.len());
                plan.finish.store::<S, 1>(s, sums, block, &self.job.target, at, stride);
            }
        }
    }
}
