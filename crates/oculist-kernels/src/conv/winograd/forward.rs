//! The gathering Winograd passes: forward and data gradient.
//!
//! With few channels a task takes a group of tiles through all three steps in memory of its own, which stays in the
//! second-level cache, and reads all transformed weights. With many channels those would not fit there: the
//! tiles of a chunk are transformed first, by all threads, and then a task takes two blocks of output channels
//! through the products of all tiles. If one chunk holds all tiles, that task also transforms the weights it
//! needs, a slice of input channels at a time, so that the transformed weights never leave the cache.

use std::marker::PhantomData;

use super::ahead::Ahead;
use super::filter::{filter_len, filter_stride, transform_block, transform_filter};
use super::gemm::Product;
use super::input::{self, Source};
use super::transform::{F2, F4, Tile};
use super::{Panels, Shape, TileSize, output, tile_group};
use crate::context::{Context, SendPtr};
use crate::conv::store::Store;
use crate::layout::LANES;
use crate::simd::{Kernel, Simd, dispatch};

/// Transformed weights up to this many f32 are read whole by every task.
const SMALL_WEIGHTS: usize = 700_000;
/// Transformed weights of more f32 (16 MB) do not stay in a third-level cache.
const HUGE_WEIGHTS: usize = 4_000_000;
/// Blocks of output channels whose products a task holds at a time.
const BLOCK_GROUP: usize = 4;
/// f32 of the transformed tiles of a chunk that all threads share: 8 MiB.
const CHUNK: usize = 2 << 20;

/// Input blocks of a slice of weights that a task transforms at a time: 300 KB for two output blocks.
const SLICE: usize = 4;

/// The weights of a pass.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Weights<'a> {
    /// Transformed before.
    Transformed(&'a [f32]),
    /// Packed 3x3 weights and memory for [`filter_len`](super::filter_len) f32, unless the pass can do without.
    Packed(&'a [f32]),
}

/// How a pass is cut.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    /// All steps in one task.
    private: bool,
    /// Tiles of a task (private) or a chunk (shared).
    tiles: usize,
    /// Blocks of output channels of a task at a time.
    blocks: usize,
    /// All tiles are in one chunk, and tasks transform the weights.
    fused: bool,
}

impl Schedule {
    fn new(shape: &Shape, ctx_isa: crate::Isa, threads: usize) -> Self {
        let group = tile_group(ctx_isa);
        let weights = shape.positions() * shape.src_stride * shape.dst_stride;
        let tiles = shape.tiles();
        let groups = tiles.div_ceil(group);
        if weights <= SMALL_WEIGHTS && groups >= 3 * threads {
            // Half a group where the transformed tiles would fill the cache.
            let tiles =
                if shape.positions() * group * shape.src_stride > 100_000 { group / 2 } else { group };
            Self { private: true, tiles, blocks: BLOCK_GROUP.min(shape.dst_blocks()), fused: false }
        } else {
            let fitting = (CHUNK / (shape.positions() * shape.src_stride)).max(group) / group * group;
            let most = if groups <= 6 { 6 } else { 4 };
            let tiles = fitting.min(most * group).min(groups * group);
            Self {
                private: false,
                tiles,
                blocks: 2.min(shape.dst_blocks()),
                fused: tiles >= shape.tiles() && weights > SMALL_WEIGHTS,
            }
        }
    }

    fn v(&self, shape: &Shape) -> Panels {
        Panels::new(shape.tile_size, shape.src_blocks(), self.tiles)
    }

    fn m(&self, shape: &Shape) -> Panels {
        Panels::new(shape.tile_size, self.blocks, self.tiles)
    }

    /// f32 from one position to the next of a slice of transformed weights.
    fn slice_stride(&self) -> usize {
        self.blocks * SLICE * LANES * LANES + LANES
    }

    /// f32 that a worker needs for products and, when fused, weights.
    fn worker_len(&self, shape: &Shape) -> usize {
        self.m(shape).len() + if self.fused { shape.positions() * self.slice_stride() } else { 0 }
    }

    /// f32 of scratch: a row of zeros, the transformed tiles, the products, the weights.
    fn scratch_len(&self, shape: &Shape, threads: usize, transformed: bool) -> usize {
        let v = self.v(shape).len() * if self.private { threads } else { 1 };
        let u = if self.fused || transformed {
            0
        } else {
            filter_len(shape.tile_size, shape.src_stride, shape.dst_blocks())
        };
        shape.src_stride + v + threads * self.worker_len(shape) + u
    }
}

/// Whether transforming the weights in every pass is faster than reading transformed ones: those are up to four times
/// as large, and past the size of a third-level cache memory is slower than the arithmetic.
pub(crate) fn packed_is_faster(shape: &Shape, isa: crate::Isa) -> bool {
    // The schedule of large weights does not depend on the number of threads.
    shape.positions() * shape.src_stride * shape.dst_stride > HUGE_WEIGHTS
        && Schedule::new(shape, isa, 1).fused
}

/// f32 of scratch.
pub(crate) fn scratch_len(shape: &Shape, isa: crate::Isa, threads: usize) -> usize {
    // Fewer threads may choose the private schedule where more choose the shared one.
    (1..=threads).map(|n| Schedule::new(shape, isa, n).scratch_len(shape, n, false)).max().unwrap_or(0)
}

/// Runs a pass.
pub(crate) fn run(ctx: &Context, shape: &Shape, src: &[f32], w: Weights, store: Store, scratch: &mut [f32]) {
    match shape.tile_size {
        TileSize::Two => run_tiles::<F2>(ctx, shape, src, w, store, scratch),
        TileSize::Four => run_tiles::<F4>(ctx, shape, src, w, store, scratch),
    }
}

fn run_tiles<T: Tile>(
    ctx: &Context,
    shape: &Shape,
    src: &[f32],
    w: Weights,
    store: Store,
    scratch: &mut [f32],
) {
    let threads = ctx.threads();
    let schedule = Schedule::new(shape, ctx.isa(), threads);
    let transformed = matches!(w, Weights::Transformed(_));
    let scratch = &mut scratch[..schedule.scratch_len(shape, threads, transformed)];
    let (zero, work) = scratch.split_at_mut(shape.src_stride);
    zero.fill(0.0);
    let (u, work) = match w {
        Weights::Transformed(u) => (u, work),
        Weights::Packed(w) if schedule.fused => {
            assert_eq!(
                w.len(),
                shape.dst_blocks() * 9 * shape.src_stride * LANES,
                "weights of a Winograd pass"
            );
            (w, work)
        }
        Weights::Packed(w) => {
            let (u, work) =
                work.split_at_mut(filter_len(shape.tile_size, shape.src_stride, shape.dst_blocks()));
            transform_filter(ctx, shape.tile_size, shape.src_stride, shape.dst_blocks(), w, u);
            (&*u, work)
        }
    };
    let fused = schedule.fused && !transformed;
    let pass = Pass::<T> {
        shape,
        schedule,
        source: Source { data: src, zero },
        u,
        u_stride: filter_stride(shape.src_stride, shape.dst_blocks()),
        store,
        tile: PhantomData,
    };
    assert!(fused || u.len() >= T::XI * pass.u_stride, "transformed weights of a Winograd pass");
    let tiles = shape.tiles();
    if schedule.private {
        let per_worker = schedule.v(shape).len() + schedule.m(shape).len();
        let work = SendPtr(work.as_mut_ptr());
        ctx.run(tiles.div_ceil(schedule.tiles), |task, worker| {
            let first = task * schedule.tiles;
            let tiles = (first, (first + schedule.tiles).min(tiles));
            // SAFETY: each worker has its own part of `work`, whose length was checked by the slice above.
            let v = SendPtr(unsafe { work.get().add(worker * per_worker) });
            // SAFETY: as above; the products lie behind the transformed tiles.
            let m = SendPtr(unsafe { v.get().add(schedule.v(shape).len()) });
            dispatch(ctx, Private { pass, next: threads * schedule.tiles, tiles, v, m });
        });
        return;
    }
    let (v, m) = work.split_at_mut(schedule.v(shape).len());
    let (v, m) = (SendPtr(v.as_mut_ptr()), SendPtr(m.as_mut_ptr()));
    let m_len = schedule.worker_len(shape);
    let block_tasks = shape.dst_blocks().div_ceil(schedule.blocks);
    for first in (0..tiles).step_by(schedule.tiles) {
        let end = (first + schedule.tiles).min(tiles);
        // Few tiles are cut by channels, many by tiles.
        let cuts = (16usize.div_ceil(end - first)).clamp(1, shape.src_blocks());
        let step = (end - first).div_ceil(8 * threads).max(1);
        ctx.run((end - first).div_ceil(step) * cuts, |task, _| {
            let (group, cut) = (task / cuts, task % cuts);
            let tiles = (first + group * step, (first + (group + 1) * step).min(end));
            let blocks = (shape.src_blocks() * cut / cuts, shape.src_blocks() * (cut + 1) / cuts);
            dispatch(ctx, Transform { pass, first, tiles, blocks, v });
        });
        ctx.run(block_tasks, |task, worker| {
            let blocks = (task * schedule.blocks, ((task + 1) * schedule.blocks).min(shape.dst_blocks()));
            // SAFETY: each worker has its own products, `threads` of which were counted into the scratch.
            let m = SendPtr(unsafe { m.get().add(worker * m_len) });
            dispatch(ctx, Multiply { pass, fused, tiles: (first, end), blocks, v, m });
        });
    }
}

#[derive(Clone, Copy)]
struct Pass<'a, T> {
    shape: &'a Shape,
    schedule: Schedule,
    source: Source<'a>,
    u: &'a [f32],
    u_stride: usize,
    store: Store,
    tile: PhantomData<T>,
}

impl<T: Tile> Pass<'_, T> {
    /// The pixels that this group of tiles writes, and the pixels that the one `next` tiles later reads.
    #[inline(always)]
    fn ahead(&self, tiles: (usize, usize), next: usize) -> [Ahead; 2] {
        let shape = self.shape;
        let written = Ahead::new::<T>(shape, tiles, self.store.destination(), shape.dst, shape.dst_stride, 0);
        let later = ((tiles.0 + next).min(shape.tiles()), (tiles.1 + next).min(shape.tiles()));
        let source = self.source.data.as_ptr();
        [written, Ahead::new::<T>(shape, later, source, shape.src, shape.src_stride, 1)]
    }

    /// Products and outputs of some tiles and blocks.
    ///
    /// # Safety
    /// `v` holds the transformed tiles, `m` has room for the products, and this task alone writes these outputs.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(
        &self,
        s: S,
        tiles: (usize, usize),
        blocks: (usize, usize),
        v: *const f32,
        m: *mut f32,
        ahead: [Ahead; 2],
    ) {
        let shape = self.shape;
        let (vp, mp) = (self.schedule.v(shape), self.schedule.m(shape));
        // SAFETY: the offsets stay inside of what the caller vouches for; `u` was checked by `run`.
        unsafe {
            for xi in 0..T::XI {
                for range in ahead {
                    range.step(s, xi);
                }
                let product = Product {
                    v: v.add(vp.xi::<T>(xi)),
                    v_block: vp.block,
                    depth: shape.src_blocks(),
                    u: self.u.as_ptr().add(xi * self.u_stride + blocks.0 * shape.src_stride * LANES),
                    m: m.add(mp.xi::<T>(xi)),
                    m_block: mp.block,
                    u_block: shape.src_stride * LANES,
                    u_next: self.u_stride,
                    accumulate: false,
                    blocks: blocks.1 - blocks.0,
                    tiles: tiles.1 - tiles.0,
                };
                product.run::<S, T>(s);
            }
            output::transform_tiles::<S, T>(s, shape, m, mp, tiles, blocks, &self.store);
        }
    }
}

impl<T: Tile> Pass<'_, T> {
    /// As [`Pass::multiply`], with packed weights in `u`, transformed a slice of input blocks at a time.
    ///
    /// # Safety
    /// As [`Pass::multiply`]; `m` has room for a slice of transformed weights behind the products.
    #[inline(always)]
    unsafe fn multiply_fused<S: Simd>(
        &self,
        s: S,
        tiles: (usize, usize),
        blocks: (usize, usize),
        v: *const f32,
        m: *mut f32,
    ) {
        let shape = self.shape;
        let (vp, mp) = (self.schedule.v(shape), self.schedule.m(shape));
        let slice_stride = self.schedule.slice_stride();
        // SAFETY: the offsets stay inside of what the caller vouches for; `run` checked the length of `u`.
        unsafe {
            let slice = m.add(mp.len());
            for first in (0..shape.src_blocks()).step_by(SLICE) {
                let depth = SLICE.min(shape.src_blocks() - first);
                for block in blocks.0..blocks.1 {
                    let inputs = (first * LANES, (first + depth) * LANES);
                    let to = slice.add((block - blocks.0) * depth * LANES * LANES);
                    transform_block::<S, T>(s, self.u, shape.src_stride, block, inputs, to, slice_stride);
                }
                for xi in 0..T::XI {
                    let product = Product {
                        v: v.add(vp.xi::<T>(xi) + first * vp.block),
                        v_block: vp.block,
                        depth,
                        u: slice.add(xi * slice_stride),
                        u_block: depth * LANES * LANES,
                        u_next: slice_stride,
                        accumulate: first > 0,
                        m: m.add(mp.xi::<T>(xi)),
                        m_block: mp.block,
                        blocks: blocks.1 - blocks.0,
                        tiles: tiles.1 - tiles.0,
                    };
                    product.run::<S, T>(s);
                }
            }
            output::transform_tiles::<S, T>(s, shape, m, mp, tiles, blocks, &self.store);
        }
    }
}

/// All steps of a group of tiles.
struct Private<'a, T> {
    pass: Pass<'a, T>,
    /// Tiles from this group to the one that this worker will probably take next.
    next: usize,
    tiles: (usize, usize),
    v: SendPtr<f32>,
    m: SendPtr<f32>,
}

impl<T: Tile> Kernel for Private<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let shape = self.pass.shape;
        let (v, m) = (self.v.get(), self.m.get());
        // SAFETY: `run` gave this worker memory for a whole group; groups do not share pixels.
        unsafe {
            let panels = self.pass.schedule.v(shape);
            input::transform_tiles::<S, T>(
                s,
                shape,
                self.pass.source,
                self.tiles,
                (0, shape.src_blocks()),
                v,
                panels,
            );
            let group = self.pass.schedule.blocks;
            let ahead = self.pass.ahead(self.tiles, self.next);
            for block in (0..shape.dst_blocks()).step_by(group) {
                let blocks = (block, (block + group).min(shape.dst_blocks()));
                let ahead = if block == 0 { ahead } else { [Ahead::NOTHING; 2] };
                self.pass.multiply(s, self.tiles, blocks, v, m, ahead);
            }
        }
    }
}

/// The first step of a chunk that all threads share.
struct Transform<'a, T> {
    pass: Pass<'a, T>,
    /// First tile of the chunk.
    first: usize,
    tiles: (usize, usize),
    blocks: (usize, usize),
    v: SendPtr<f32>,
}

impl<T: Tile> Kernel for Transform<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let panels = self.pass.schedule.v(self.pass.shape);
        // SAFETY: these tiles and blocks of the shared memory belong to this task.
        unsafe {
            let v = self.v.get().add(self.blocks.0 * panels.block + (self.tiles.0 - self.first) * T::STEP);
            input::transform_tiles::<S, T>(
                s,
                self.pass.shape,
                self.pass.source,
                self.tiles,
                self.blocks,
                v,
                panels,
            );
        }
    }
}

/// The other steps of a chunk for some blocks.
struct Multiply<'a, T> {
    pass: Pass<'a, T>,
    fused: bool,
    tiles: (usize, usize),
    blocks: (usize, usize),
    v: SendPtr<f32>,
    m: SendPtr<f32>,
}

impl<T: Tile> Kernel for Multiply<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // SAFETY: the transforms of the chunk are complete; the blocks belong to this task.
        unsafe {
            if self.fused {
                self.pass.multiply_fused(s, self.tiles, self.blocks, self.v.get(), self.m.get());
            } else {
                self.pass.multiply(
                    s,
                    self.tiles,
                    self.blocks,
                    self.v.get(),
                    self.m.get(),
                    [Ahead::NOTHING; 2],
                );
            }
        }
    }
}
