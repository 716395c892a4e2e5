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
use transform::MOST_HALVES;

/// Positions of a transformed tile.
const POINTS: usize = 36;
/// Blocks of output channels multiplied at a time at most.
const WIDEST: usize = 2;

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
    if !fits(conv) || path == IntPath::Portable {
        return false;
    }
    let shape = Shape::new(conv, path);
    let tiles = (conv.batch * shape.tiles[0] * shape.tiles[1]) as f64;
    let pixels = (conv.batch * conv.out_height() * conv.out_width()) as f64;
    let (c_in, c_out) = (conv.x_stride as f64, conv.y_stride() as f64);
    let blocks = c_out / 16.0;
    let chunks = (tiles / shape.chunk as f64).ceil();
    if path == IntPath::Vnni {
        // Counted in multiply instructions of 64 products of bytes or 32 of 16 bits, measured on Zen 5. The weights
        // come from the third-level cache while the products are computed; the slower of the two counts. In a network
        // the first chunk of tiles finds them farther away.
        let by_taps = pixels * 9.0 * c_in / 4.0 * blocks;
        let products = tiles * 36.0 * c_in / 2.0 * blocks;
        let weights = chunks * 72.0 * c_in * c_out * 0.15;
        let transforms = tiles * (150.0 * c_in / 16.0 + 480.0 * blocks);
        let cold = 72.0 * c_in * c_out * 0.19;
        return products.max(weights) + transforms + cold < 0.9 * by_taps;
    }
    // Instructions per product of sixteen output channels; direct convolution can do with fewer on bytes.
    let product = 2.0;
    let direct = if fits_bytes(problem) { 1.5 } else { product };
    let by_taps = pixels * 9.0 * c_in * blocks * direct;
    // Transforms: about 250 instructions for sixteen channels of a tile in, 450 out. Weights: eight bytes instead of
    // one, read once for each chunk of tiles from a cache that gives about eight bytes per instruction.
    let transforms = tiles * (250.0 * c_in / 16.0 + 450.0 * blocks);
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
    pub(super) fn new(conv: &Conv2d, path: IntPath) -> Self {
        let channels = conv.x_stride;
        // With VNNI three full kernels of twelve tiles; else the transformed input of a chunk should stay in the
        // second-level cache.
        let chunk = match path {
            IntPath::Vnni => 36,
            _ => (128 * 1024 / (POINTS * channels) / 6 * 6).clamp(12, 48),
        };
        Self { tiles: [conv.out_height().div_ceil(4), conv.out_width().div_ceil(4)], channels, chunk }
    }

    /// Tiles of a task and number of parts that the output channels are divided into.
    fn partition(&self, path: IntPath, tiles: usize, threads: usize, blocks: usize) -> [usize; 2] {
        let products = (tiles * POINTS * self.channels * blocks * LANES) as f64;
        if path == IntPath::Vnni {
            // Equal shares; of few tiles the weights cost the most, so each thread reads its own part of them.
            return if tiles <= self.chunk {
                [tiles, task_count(threads, products / 250e3).min(threads)]
            } else {
                let chunks = tiles.div_ceil(self.chunk).next_multiple_of(threads);
                [tiles.div_ceil(chunks), 1]
            };
        }
        let wanted = task_count(threads, products / 40e3);
        let chunk = tiles.div_ceil(wanted).next_multiple_of(6).min(self.chunk);
        let chunks = tiles.div_ceil(chunk);
        [chunk, if chunks < threads { threads.div_ceil(chunks) } else { 1 }]
    }

    /// i16 from one point of the transformed input to the next; not a power of two, for the cache's sake.
    fn point_stride(&self) -> usize {
        self.chunk * self.channels + MOST_HALVES
    }

    /// Bytes of transformed input and of products of one task.
    pub(super) fn scratch_bytes(&self) -> usize {
        POINTS * (2 * self.point_stride() + 4 * self.chunk * WIDEST * LANES)
    }
}

/// Runs the job on the pool.
pub(super) fn run(ctx: &Context, job: &Job, shape: &Shape, weights: &[Line], init: &[[i32; 16]]) {
    let blocks = init.len();
    let tiles = job.images * shape.tiles[0] * shape.tiles[1];
    let [chunk, splits] = shape.partition(job.plan.path, tiles, job.threads, blocks);
    let chunks = tiles.div_ceil(chunk);
    let splits = splits.min(blocks);
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
            for block in self.blocks.clone().step_by(wide::<S>()) {
                let blocks = wide::<S>().min(self.blocks.end - block);
                for point in 0..POINTS {
                    let w = self.weights.as_ptr().add((block * POINTS + point) * groups);
                    let x = input.add(point * stride);
                    let y = products.add(point * shape.chunk * wide::<S>() * LANES);
                    match blocks {
                        1 => self.multiply::<S, 1>(s, w, x, y),
                        _ => self.multiply::<S, 2>(s, w, x, y),
                    }
                }
                for t in 0..count {
                    for b in 0..blocks {
                        let products = products.add((t * wide::<S>() + b) * LANES);
                        self.transform_output(s, self.tiles.start + t, block + b, products);
                    }
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

    /// All tiles of the task at one point and `NB` blocks: `y[t] = sum over c of x[t][c] * w[c]`.
    ///
    /// # Safety
    /// `x` and `y` hold the tiles of a chunk, `w` the groups of a point, and so on for the next block.
    #[inline(always)]
    unsafe fn multiply<S: IntSimd, const NB: usize>(&self, s: S, w: *const Line, x: *const i16, y: *mut i32) {
        let rows = const { S::ROWS[NB - 1] };
        if rows == 0 {
            return;
        }
        let mut t = 0;
        while t < self.tiles.len() {
            let left = (self.tiles.len() - t).min(rows);
            // SAFETY: the caller's promise; a kernel of more rows than are left repeats the last one.
            unsafe {
                let (x, y) = (x.add(t * self.shape.channels), y.add(t * wide::<S>() * LANES));
                match (NB, left) {
                    (1, 13..) => self.rows::<S, 14, NB>(s, w, x, y, left),
                    (_, 9..) => self.rows::<S, 12, NB>(s, w, x, y, left),
                    (_, 7..) => self.rows::<S, 8, NB>(s, w, x, y, left),
                    (_, 5..) => self.rows::<S, 6, NB>(s, w, x, y, left),
                    (_, 3..) => self.rows::<S, 4, NB>(s, w, x, y, left),
                    (_, 2) => self.rows::<S, 2, NB>(s, w, x, y, left),
                    _ => self.rows::<S, 1, NB>(s, w, x, y, left),
                }
            }
            t += left;
        }
    }

    /// `count <= MR` tiles.
    ///
    /// # Safety
    /// As for [`Task::multiply`].
    #[inline(always)]
    unsafe fn rows<S: IntSimd, const MR: usize, const NB: usize>(
        &self,
        s: S,
        w: *const Line,
        x: *const i16,
        y: *mut i32,
        count: usize,
    ) {
        if MR > const { S::ROWS[NB - 1] } {
            return;
        }
        let groups = self.groups();
        let mut acc = [[s.splat_i32(0); NB]; MR];
        let mut rows = [x; MR];
        for (r, row) in rows.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *row = unsafe { x.add(r.min(count - 1) * self.shape.channels) };
        }
        for g in 0..groups {
            // SAFETY: the caller's promise.
            unsafe {
                let mut lines = [s.load_w(w.add(g)); NB];
                for (b, line) in lines.iter_mut().enumerate().skip(1) {
                    *line = s.load_w(w.add(b * POINTS * groups + g));
                }
                for r in 0..MR {
                    let pair = s.load_x2(rows[r].add(2 * g));
                    for b in 0..NB {
                        acc[r][b] = s.mac2(acc[r][b], pair, lines[b]);
                    }
                }
            }
        }
        // Loops of constant bounds: else the accumulators would be kept in memory throughout.
        for r in 0..MR {
            for b in 0..NB {
                // Rows beyond `count` repeat the last one.
                // SAFETY: the caller's promise.
                unsafe { s.store_i32(acc[r][b], y.add((r.min(count - 1) * wide::<S>() + b) * LANES)) };
            }
        }
    }
}

/// Blocks of output channels multiplied at a time, where enough of them are left.
const fn wide<S: IntSimd>() -> usize {
    if S::ROWS[1] > 0 { WIDEST } else { 1 }
}
