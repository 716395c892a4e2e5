//! The weight gradient: `G' [ sum over tiles of (B' d B) * (A dy A') ] G`.
//!
//! With few channels the tiles are cut into splits, whose number depends on the shape alone; a task takes its tiles
//! through the transforms and adds their products to sums of its own, and at the end the splits are added in
//! order. With many channels such sums would be too large: the tiles of a chunk are transformed first, by all
//! threads, and then a task owns thirty-two input and sixty-four output channels over all of the chunk's tiles.

use std::marker::PhantomData;

use super::ahead::Ahead;
use super::input::{self, Source};
use super::transform::{F2, F4, Tile};
use super::{Panels, Shape, TileSize};
use crate::context::{Context, SendPtr};
use crate::layout::LANES;
use crate::simd::{Kernel, Simd, dispatch};

/// f32 of the sums of one split at most: 3 MB, 128 x 128 channels.
const SPLIT: usize = 36 * 128 * 128;
/// f32 of the transformed tiles of a chunk that all threads share.
const CHUNK: usize = 4 << 20;
/// f32 of the transformed tiles that a task holds: half of a small second-level cache.
const TASK: usize = 64 << 10;

#[derive(Debug, Clone, Copy)]
struct Schedule {
    /// Splits, each with sums of its own; 0 for the shared schedule.
    splits: usize,
    /// Tiles transformed at a time.
    tiles: usize,
}

impl Schedule {
    fn new(shape: &Shape) -> Self {
        let tiles = shape.tiles();
        let sums = shape.positions() * shape.src_stride * shape.dst_stride;
        let per_tile = shape.positions() * (shape.src_stride + shape.dst_stride);
        if sums <= SPLIT {
            let splits = (16 * SPLIT / 16 / sums).clamp(4, 16).min(tiles.div_ceil(32));
            // The larger the sums, the more tiles must pay for reading and writing them.
            let chunk = (TASK.max(2 * sums.min(TASK * 4)) / per_tile).clamp(32, 128);
            Self { splits, tiles: chunk.min(tiles.div_ceil(splits)) }
        } else {
            Self { splits: 0, tiles: (CHUNK / per_tile).max(32).min(tiles) }
        }
    }

    fn v(&self, shape: &Shape) -> Panels {
        Panels::new(shape.tile_size, shape.src_blocks(), self.tiles)
    }

    fn w(&self, shape: &Shape) -> Panels {
        Panels::new(shape.tile_size, shape.dst_blocks(), self.tiles)
    }

    /// f32 of the transformed tiles of both operands.
    fn transformed(&self, shape: &Shape) -> usize {
        self.v(shape).len() + self.w(shape).len()
    }
}

/// Sums lie as `[split][input block][output block][xi][16][16]`.
fn sums_len(shape: &Shape) -> usize {
    shape.positions() * shape.src_stride * shape.dst_stride
}

/// f32 of scratch.
pub(crate) fn scratch_len(shape: &Shape, threads: usize) -> usize {
    let schedule = Schedule::new(shape);
    let zero = shape.src_stride.max(shape.dst_stride);
    let (workers, sums) = if schedule.splits > 0 { (threads, schedule.splits) } else { (1, 1) };
    zero + workers * schedule.transformed(shape) + sums * sums_len(shape)
}

/// `dw` (packed) overwritten.
pub(crate) fn run(ctx: &Context, shape: &Shape, x: &[f32], dy: &[f32], dw: &mut [f32], scratch: &mut [f32]) {
    match shape.tile_size {
        TileSize::Two => run_tiles::<F2>(ctx, shape, x, dy, dw, scratch),
        TileSize::Four => run_tiles::<F4>(ctx, shape, x, dy, dw, scratch),
    }
}

fn run_tiles<T: Tile>(
    ctx: &Context,
    shape: &Shape,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    scratch: &mut [f32],
) {
    let schedule = Schedule::new(shape);
    let scratch = &mut scratch[..scratch_len(shape, ctx.threads())];
    let (zero, rest) = scratch.split_at_mut(shape.src_stride.max(shape.dst_stride));
    zero.fill(0.0);
    let sums_len = sums_len(shape);
    let (sums, work) = rest.split_at_mut(schedule.splits.max(1) * sums_len);
    let (sums, work) = (SendPtr(sums.as_mut_ptr()), SendPtr(work.as_mut_ptr()));
    let (x, dy) = (Source { data: x, zero }, Source { data: dy, zero });
    let pass = Pass::<T> { shape, schedule, x, dy, tile: PhantomData };
    let tiles = shape.tiles();
    if schedule.splits > 0 {
        let splits = schedule.splits;
        ctx.run(splits, |split, worker| {
            let tiles = (tiles * split / splits, tiles * (split + 1) / splits);
            // SAFETY: each worker has its own transformed tiles, each split its own sums.
            let (v, sums) = unsafe {
                (work.get().add(worker * schedule.transformed(shape)), sums.get().add(split * sums_len))
            };
            dispatch(ctx, Split { pass, tiles, v: SendPtr(v), sums: SendPtr(sums) });
        });
    } else {
        for first in (0..tiles).step_by(schedule.tiles) {
            let end = (first + schedule.tiles).min(tiles);
            let step = (end - first).div_ceil(8 * ctx.threads()).max(1);
            ctx.run((end - first).div_ceil(step), |task, _| {
                let tiles = (first + task * step, (first + (task + 1) * step).min(end));
                dispatch(ctx, Transform { pass, first, tiles, v: work });
            });
            // Two by four blocks: what they read of a position stays in the first-level cache.
            let (rows, columns) = (shape.src_blocks().div_ceil(2), shape.dst_blocks().div_ceil(4));
            ctx.run(rows * columns, |task, _| {
                let (i, o) = (task / columns * 2, task % columns * 4);
                let inputs = (i, (i + 2).min(shape.src_blocks()));
                let outputs = (o, (o + 4).min(shape.dst_blocks()));
                let count = end - first;
                dispatch(ctx, Accumulate { pass, inputs, outputs, count, fresh: first == 0, v: work, sums });
            });
        }
    }
    let splits = schedule.splits.max(1);
    let inputs = shape.src_stride;
    assert_eq!(dw.len(), shape.dst_blocks() * 9 * inputs * LANES, "weight gradient of a Winograd pass");
    let dw = SendPtr(dw.as_mut_ptr());
    ctx.run(shape.src_blocks() * shape.dst_blocks(), |task, _| {
        dispatch(
            ctx,
            Finish::<T> {
                shape,
                i: task / shape.dst_blocks(),
                o: task % shape.dst_blocks(),
                splits,
                sums,
                dw,
                tile: PhantomData,
            },
        );
    });
}

#[derive(Clone, Copy)]
struct Pass<'a, T> {
    shape: &'a Shape,
    schedule: Schedule,
    x: Source<'a>,
    dy: Source<'a>,
    tile: PhantomData<T>,
}

impl<T: Tile> Pass<'_, T> {
    /// Transforms some tiles of both operands to the places of `first` and following.
    ///
    /// # Safety
    /// `v` has room for the schedule's tiles, and this task alone writes these.
    #[inline(always)]
    unsafe fn transform<S: Simd>(&self, s: S, first: usize, tiles: (usize, usize), v: *mut f32) {
        let shape = self.shape;
        let (vp, wp) = (self.schedule.v(shape), self.schedule.w(shape));
        // SAFETY: the caller vouches for the memory.
        unsafe {
            let at = (tiles.0 - first) * T::STEP;
            input::transform_tiles::<S, T>(s, shape, self.x, tiles, (0, shape.src_blocks()), v.add(at), vp);
            input::transform_gradient_tiles::<S, T>(s, shape, self.dy, tiles, v.add(vp.len() + at), wp);
        }
    }

    /// Adds the products of `count` tiles to the sums of some input and output blocks.
    ///
    /// # Safety
    /// The tiles are transformed, and this task alone touches these sums.
    #[inline(always)]
    unsafe fn accumulate<S: Simd>(
        &self,
        s: S,
        inputs: (usize, usize),
        outputs: (usize, usize),
        count: usize,
        fresh: bool,
        v: *const f32,
        sums: *mut f32,
        ahead: [Ahead; 2],
    ) {
        let shape = self.shape;
        let (vp, wp) = (self.schedule.v(shape), self.schedule.w(shape));
        // SAFETY: all offsets are inside of what the caller vouches for.
        unsafe {
            for xi in 0..T::XI {
                for range in ahead {
                    range.step(s, xi);
                }
                for i in inputs.0..inputs.1 {
                    let a = v.add(vp.xi::<T>(xi) + i * vp.block);
                    let mut o = outputs.0;
                    while o < outputs.1 {
                        let b = v.add(vp.len() + wp.xi::<T>(xi) + o * wp.block);
                        let sums = sums.add(((i * shape.dst_blocks() + o) * T::XI + xi) * LANES * LANES);
                        let product = OuterProduct { a, b, b_block: wp.block, count, fresh, sums };
                        o += product.run::<S, T>(s, outputs.1 - o);
                    }
                }
            }
        }
    }
}

/// `sums[c][lane] += sum over tiles of a[t][c] * b[t][lane]` of one position.
struct OuterProduct {
    a: *const f32,
    b: *const f32,
    b_block: usize,
    count: usize,
    fresh: bool,
    /// Sums of the first output block; the next one's are `positions * 256` further.
    sums: *mut f32,
}

impl OuterProduct {
    /// Sixteen inputs by one or two output blocks of the `left` ones; returns how many.
    ///
    /// # Safety
    /// The memory has the extents that the fields say.
    #[inline(always)]
    unsafe fn run<S: Simd, T: Tile>(&self, s: S, left: usize) -> usize {
        // SAFETY: the caller vouches for the memory.
        unsafe {
            if S::ROWS_2 > 0 && left >= 2 {
                self.tile::<S, T, 8, 2>(s, 0);
                self.tile::<S, T, 8, 2>(s, 8);
                return 2;
            }
            if S::ROWS_2 > 0 {
                self.tile::<S, T, 16, 1>(s, 0);
            } else if S::ROWS_1 >= 6 {
                self.tile::<S, T, 6, 1>(s, 0);
                self.tile::<S, T, 6, 1>(s, 6);
                self.tile::<S, T, 4, 1>(s, 12);
            } else {
                for c in (0..LANES).step_by(2) {
                    self.tile::<S, T, 2, 1>(s, c);
                }
            }
        }
        1
    }

    /// `MR` inputs from `c` on by `NB` output blocks.
    ///
    /// # Safety
    /// The memory has the extents that the fields say.
    #[inline(always)]
    unsafe fn tile<S: Simd, T: Tile, const MR: usize, const NB: usize>(&self, s: S, c: usize) {
        let mut acc = [[s.zero(); NB]; MR];
        // SAFETY: the caller vouches for the memory.
        unsafe {
            for t in 0..self.count {
                let mut b = [s.zero(); NB];
                for n in 0..NB {
                    b[n] = s.load_ptr(self.b.add(n * self.b_block + t * T::STEP));
                }
                for r in 0..MR {
                    let a = s.splat(*self.a.add(t * T::STEP + c + r));
                    for n in 0..NB {
                        acc[r][n] = s.mul_add(a, b[n], acc[r][n]);
                    }
                }
            }
            for n in 0..NB {
                for r in 0..MR {
                    let sum = self.sums.add(n * T::XI * LANES * LANES + (c + r) * LANES);
                    let old = if self.fresh { s.zero() } else { s.load_ptr(sum) };
                    s.store_ptr(sum, s.add(old, acc[r][n]));
                }
            }
        }
    }
}

/// One split through transforms and products.
struct Split<'a, T> {
    pass: Pass<'a, T>,
    tiles: (usize, usize),
    v: SendPtr<f32>,
    sums: SendPtr<f32>,
}

impl<T: Tile> Kernel for Split<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Pass { shape, schedule, .. } = self.pass;
        let mut first = self.tiles.0;
        while first < self.tiles.1 {
            let end = (first + schedule.tiles).min(self.tiles.1);
            let fresh = first == self.tiles.0;
            // SAFETY: memory and sums belong to this worker and split.
            unsafe {
                self.pass.transform(s, first, (first, end), self.v.get());
                let (inputs, outputs) = ((0, shape.src_blocks()), (0, shape.dst_blocks()));
                let later = (end, (end + schedule.tiles).min(self.tiles.1));
                let ahead = [
                    Ahead::new::<T>(shape, later, self.pass.x.data.as_ptr(), shape.src, shape.src_stride, 1),
                    Ahead::new::<T>(shape, later, self.pass.dy.data.as_ptr(), shape.dst, shape.dst_stride, 0),
                ];
                let (v, sums) = (self.v.get(), self.sums.get());
                self.pass.accumulate(s, inputs, outputs, end - first, fresh, v, sums, ahead);
            }
            first = end;
        }
    }
}

/// The transforms of some tiles of a shared chunk.
struct Transform<'a, T> {
    pass: Pass<'a, T>,
    first: usize,
    tiles: (usize, usize),
    v: SendPtr<f32>,
}

impl<T: Tile> Kernel for Transform<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // SAFETY: these tiles belong to this task.
        unsafe { self.pass.transform(s, self.first, self.tiles, self.v.get()) };
    }
}

/// The products of a shared chunk for some channels.
struct Accumulate<'a, T> {
    pass: Pass<'a, T>,
    inputs: (usize, usize),
    outputs: (usize, usize),
    count: usize,
    fresh: bool,
    v: SendPtr<f32>,
    sums: SendPtr<f32>,
}

impl<T: Tile> Kernel for Accumulate<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (v, sums) = (self.v.get(), self.sums.get());
        // SAFETY: the chunk is transformed, and these channels' sums belong to this task.
        unsafe {
            self.pass.accumulate(
                s,
                self.inputs,
                self.outputs,
                self.count,
                self.fresh,
                v,
                sums,
                [Ahead::NOTHING; 2],
            );
        };
    }
}

/// Adds up the splits of one block pair and transforms the sums to weight gradients.
struct Finish<'a, T> {
    shape: &'a Shape,
    i: usize,
    o: usize,
    splits: usize,
    sums: SendPtr<f32>,
    dw: SendPtr<f32>,
    tile: PhantomData<T>,
}

impl<T: Tile> Kernel for Finish<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let shape = self.shape;
        let split_len = sums_len(shape);
        let first = (self.i * shape.dst_blocks() + self.o) * T::XI * LANES * LANES;
        for c in 0..LANES {
            let mut half = [T::side(s.zero()); 3];
            for j in 0..T::SIDE {
                let mut column = T::side(s.zero());
                for i in 0..T::SIDE {
                    let at = first + (i * T::SIDE + j) * LANES * LANES + c * LANES;
                    // SAFETY: `at` is an index of the first split's sums; the others follow at `split_len`.
                    unsafe {
                        let mut sum = s.load_ptr(self.sums.get().add(at));
                        for split in 1..self.splits {
                            sum = s.add(sum, s.load_ptr(self.sums.get().add(split * split_len + at)));
                        }
                        column[i] = sum;
                    }
                }
                let column = T::filter_adjoint(s, column);
                for i in 0..3 {
                    half[i][j] = column[i];
                }
            }
            for (kh, row) in half.into_iter().enumerate() {
                for (kw, v) in T::filter_adjoint(s, row).into_iter().enumerate() {
                    let at = ((self.o * 9 + kh * 3 + kw) * shape.src_stride + self.i * LANES + c) * LANES;
                    // SAFETY: these inputs of the output block belong to this task; `run` checked the length.
                    unsafe { s.store_ptr(self.dw.get().add(at), v) };
                }
            }
        }
    }
}
