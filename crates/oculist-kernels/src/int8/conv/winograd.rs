//! Winograd's F(4x4, 3x3) in integers, exact.
//!
//! With the points 0, 1, -1, 2, -2 and infinity the transform of the input has integer coefficients; that of the
//! weights becomes integer when each row is multiplied by its denominator, which the output transform makes up for.
//! A 4x4 tile then costs 36 products per pair of channels instead of 144, on 16-bit numbers: the input transform of
//! bytes stays below 68 * 255, that of weights below 49 * 128.
//!
//! Sums and the output transform are computed modulo 2^32. What comes out is the wanted sum times `9 * 2^k`, `k` at
//! most 6. The 9 is divided out by its inverse modulo 2^32, the power of two by a shift, and the result is exact,
//! whatever overflowed before, if the true sum lies within 2^25: the plan checks that against the weights.
//!
//! # Source
//! Lavin and Gray 2015, "Fast Algorithms for Convolutional Neural Networks"; the modular output transform is our own.

mod transform;

use std::ops::Range;

use super::{IntConv, Job, fits_bytes, task_count};
use crate::context::Context;
use crate::conv::Conv2d;
use crate::int8::simd::{IntKernel, IntPath, IntSimd, Line, dispatch};
use crate::layout::LANES;

/// Positions of a transformed tile.
const POINTS: usize = 36;

/// Whether the geometry fits and no true sum can leave the range that the output transform can tell apart.
pub(super) fn is_exact(problem: &IntConv) -> bool {
    let conv = &problem.conv;
    if !fits(conv) {
        return false;
    }
    problem.weights.chunks_exact(conv.c_in * 9).all(|weights| {
        let positive: i64 = weights.iter().map(|&w| i64::from(w.max(0))).sum();
        let negative: i64 = weights.iter().map(|&w| i64::from(w.min(0))).sum();
        255 * positive.max(-negative) < 1 << 25
    })
}

fn fits(conv: &Conv2d) -> bool {
    conv.kernel == [3, 3]
        && conv.stride == [1, 1]
        && conv.dilation == [1, 1]
        && conv.groups == 1
        && conv.x_stride.is_multiple_of(LANES)
}

/// Whether the fewer products are worth the transforms: a count of instructions.
pub(super) fn is_faster(problem: &IntConv, path: IntPath) -> bool {
    let conv = &problem.conv;
    // With VNNI the direct form does twice the products an instruction, and wins.
    if !fits(conv) || path != IntPath::Avx2 {
        return false;
    }
    let shape = Shape::new(conv);
    let tiles = (conv.batch * shape.tiles[0] * shape.tiles[1]) as f64;
    let pixels = (conv.batch * conv.out_height() * conv.out_width()) as f64;
    let (c_in, c_out) = (conv.x_stride as f64, conv.y_stride() as f64);
    // Instructions per product of sixteen output channels; direct convolution can do with fewer on bytes.
    let product = 2.0;
    let direct = if fits_bytes(problem) { 1.5 } else { product };
    let blocks = c_out / 16.0;
    let by_taps = pixels * 9.0 * c_in * blocks * direct;
    // Transforms: about 250 instructions for sixteen channels of a tile in, 450 out. Weights: eight bytes instead of
    // one, read once for each chunk of tiles from a cache that gives about eight bytes per instruction.
    let transforms = tiles * (250.0 * c_in / 16.0 + 450.0 * blocks);
    let chunks = (tiles / shape.chunk as f64).ceil();
    let weights = chunks * 72.0 * c_in * c_out / 8.0 * if tiles < 12.0 { 1.0 } else { 0.1 };
    let by_tiles = tiles * 36.0 * c_in * blocks * product + transforms + weights;
    by_tiles < 0.9 * by_taps
}

/// Division into tiles.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// Tiles of a column and of a row.
    tiles: [usize; 2],
    /// Channel stride of the input.
    channels: usize,
    /// Tiles of a task at most.
    chunk: usize,
}

impl Shape {
    pub(super) fn new(conv: &Conv2d) -> Self {
        let channels = conv.x_stride;
        // The transformed input of a chunk should stay in the second-level cache.
        let chunk = (128 * 1024 / (POINTS * channels) / 6 * 6).clamp(12, 48);
        Self { tiles: [conv.out_height().div_ceil(4), conv.out_width().div_ceil(4)], channels, chunk }
    }

    /// i16 from one point of the transformed input to the next; not a power of two, for the cache's sake.
    fn point_stride(&self) -> usize {
        self.chunk * self.channels + 32
    }

    /// Bytes of transformed input and of products of one task.
    pub(super) fn scratch_bytes(&self) -> usize {
        POINTS * (2 * self.point_stride() + 4 * self.chunk * LANES)
    }
}

/// Runs the job on the pool.
pub(super) fn run(ctx: &Context, job: &Job, shape: &Shape, weights: &[Line], init: &[[i32; 16]]) {
    let blocks = init.len();
    let tiles = job.images * shape.tiles[0] * shape.tiles[1];
    let products = (tiles * POINTS * shape.channels * blocks * LANES) as f64;
    let wanted = task_count(job.threads, products / 40e3);
    let chunk = tiles.div_ceil(wanted).next_multiple_of(6).min(shape.chunk);
    let chunks = tiles.div_ceil(chunk);
    let splits = if chunks < job.threads { blocks.min(job.threads.div_ceil(chunks)) } else { 1 };
    let split_blocks = blocks.div_ceil(splits);
    let splits = blocks.div_ceil(split_blocks);
    ctx.run(chunks * splits, |task, worker| {
        let (split, first) = (task % splits, task / splits * chunk);
        let task = Task {
            job,
            shape,
            weights,
            init,
            tiles: first..(first + chunk).min(tiles),
            blocks: split * split_blocks..((split + 1) * split_blocks).min(blocks),
            worker,
        };
        dispatch(job.plan.path, task);
    });
}

struct Task<'a> {
    job: &'a Job<'a>,
    shape: &'a Shape,
    weights: &'a [Line],
    init: &'a [[i32; 16]],
    tiles: Range<usize>,
    blocks: Range<usize>,
    worker: usize,
}

impl IntKernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: IntSimd>(self, s: S) {
        let shape = self.shape;
        let stride = shape.point_stride();
        let groups = self.groups();
        let count = self.tiles.len();
        // SAFETY: every worker has a part of the scratch, long enough for a chunk; each index stays below the
        // chunk's tiles, the points and the blocks.
        unsafe {
            let scratch = self.job.scratch.get().add(self.worker * self.job.plan.scratch_per_worker);
            let input = scratch.cast::<i16>();
            let products = scratch.add(POINTS * stride / 2).cast::<i32>();
            for t in 0..count {
                self.transform_input(s, self.tiles.start + t, input.add(t * shape.channels));
            }
            for block in self.blocks.clone() {
                for point in 0..POINTS {
                    let w = self.weights.as_ptr().add((block * POINTS + point) * groups);
                    let x = input.add(point * stride);
                    let y = products.add(point * shape.chunk * LANES);
                    self.multiply(s, w, x, y);
                }
                for t in 0..count {
                    self.transform_output(s, self.tiles.start + t, block, products.add(t * LANES));
                }
            }
        }
    }
}

impl Task<'_> {
    /// Pairs of input channels.
    fn groups(&self) -> usize {
        self.job.plan.conv.c_in.div_ceil(2)
    }

    /// All tiles of the task at one point: `y[t] = sum over c of x[t][c] * w[c]`.
    ///
    /// # Safety
    /// `x` and `y` hold the tiles of a chunk, `w` the groups of a point.
    #[inline(always)]
    unsafe fn multiply<S: IntSimd>(&self, s: S, w: *const Line, x: *const i16, y: *mut i32) {
        let rows = const { S::ROWS[0] };
        let mut t = 0;
        while t < self.tiles.len() {
            let left = (self.tiles.len() - t).min(rows);
            // SAFETY: the caller's promise; a tile of fewer rows repeats the last one.
            unsafe {
                let (x, y) = (x.add(t * self.shape.channels), y.add(t * LANES));
                match left {
                    9.. => self.rows::<S, 14>(s, w, x, y, left),
                    5.. => self.rows::<S, 6>(s, w, x, y, left.min(6)),
                    3.. => self.rows::<S, 4>(s, w, x, y, left),
                    2 => self.rows::<S, 2>(s, w, x, y, left),
                    _ => self.rows::<S, 1>(s, w, x, y, left),
                }
            }
            t += if left > 8 { left } else { left.min(6) };
        }
    }

    /// `count <= MR` tiles.
    ///
    /// # Safety
    /// As for [`Task::multiply`].
    #[inline(always)]
    unsafe fn rows<S: IntSimd, const MR: usize>(
        &self,
        s: S,
        w: *const Line,
        x: *const i16,
        y: *mut i32,
        count: usize,
    ) {
        if MR > const { S::ROWS[0] } {
            return;
        }
        let mut acc = [s.splat_i32(0); MR];
        let mut rows = [x; MR];
        for (r, row) in rows.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *row = unsafe { x.add(r.min(count - 1) * self.shape.channels) };
        }
        for g in 0..self.groups() {
            // SAFETY: the caller's promise.
            unsafe {
                let line = s.load_w(w.add(g));
                for r in 0..MR {
                    acc[r] = s.mac2(acc[r], s.load_x2(rows[r].add(2 * g)), line);
                }
            }
        }
        for (r, acc) in acc.into_iter().enumerate() {
            // Rows beyond `count` repeat the last one.
            // SAFETY: the caller's promise.
            unsafe { s.store_i32(acc, y.add(r.min(count - 1) * LANES)) };
        }
    }
}
