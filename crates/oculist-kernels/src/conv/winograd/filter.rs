//! Transform of the weights: `[blocks][9][inputs][16]` to `[positions][blocks][inputs][16]`.

use super::TileSize;
use super::transform::{F2, F4, Tile};
use std::marker::PhantomData;

use crate::context::{Context, SendPtr};
use crate::layout::LANES;
use crate::simd::{Kernel, Simd, dispatch};

/// How far ahead of their use weights are prefetched, in f32: 4 KiB, which is a slice of a fused pass.
const AHEAD: usize = 1024;

/// f32 from one position to the next.
pub(super) fn filter_stride(inputs: usize, blocks: usize) -> usize {
    inputs * blocks * LANES + LANES
}

/// f32 of transformed weights.
pub(crate) fn filter_len(tile: TileSize, inputs: usize, blocks: usize) -> usize {
    tile.positions() * filter_stride(inputs, blocks)
}

/// Transforms packed 3x3 weights for `inputs` (padded) channels; `u` is overwritten, but for the gaps.
pub(crate) fn transform_filter(
    ctx: &Context,
    tile: TileSize,
    inputs: usize,
    blocks: usize,
    w: &[f32],
    u: &mut [f32],
) {
    match tile {
        TileSize::Two => transform_all::<F2>(ctx, inputs, blocks, w, u),
        TileSize::Four => transform_all::<F4>(ctx, inputs, blocks, w, u),
    }
}

fn transform_all<T: Tile>(ctx: &Context, inputs: usize, blocks: usize, w: &[f32], u: &mut [f32]) {
    assert_eq!(w.len(), blocks * 9 * inputs * LANES, "weights of a Winograd pass");
    let stride = filter_stride(inputs, blocks);
    let u = SendPtr(u[..T::XI * stride].as_mut_ptr());
    let chunk = LANES.min(inputs);
    let chunks = inputs.div_ceil(chunk);
    // A task is a few chunks of sixteen inputs, so that small weights do not drown in tasks.
    let per_task = (blocks * chunks).div_ceil(64);
    ctx.run((blocks * chunks).div_ceil(per_task), |task, _| {
        for piece in task * per_task..((task + 1) * per_task).min(blocks * chunks) {
            let (block, first) = (piece / chunks, piece % chunks * chunk);
            let count = chunk.min(inputs - first);
            dispatch(ctx, Filter::<T> { w, u, inputs, stride, block, first, count, tile: PhantomData });
        }
    });
}

struct Filter<'a, T> {
    w: &'a [f32],
    u: SendPtr<f32>,
    inputs: usize,
    stride: usize,
    block: usize,
    first: usize,
    count: usize,
    tile: PhantomData<T>,
}

impl<T: Tile> Kernel for Filter<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let inputs = (self.first, self.first + self.count);
        // SAFETY: the lengths were checked, and this task owns these inputs of the block.
        unsafe {
            let u = self.u.get().add((self.block * self.inputs + self.first) * LANES);
            transform_block::<S, T>(s, self.w, self.inputs, self.block, inputs, u, self.stride);
        }
    }
}

/// Transforms some inputs of one block; they go to `u` one after the other, the positions `stride` apart.
///
/// # Safety
/// `w` is as long as its shape says, and `u` has room for the inputs at every position.
#[inline(always)]
pub(super) unsafe fn transform_block<S: Simd, T: Tile>(
    s: S,
    w: &[f32],
    depth: usize,
    block: usize,
    inputs: (usize, usize),
    u: *mut f32,
    stride: usize,
) {
    for i in inputs.0..inputs.1 {
        let mut g = [[s.zero(); 3]; 3];
        for (kh, row) in g.iter_mut().enumerate() {
            for (kw, v) in row.iter_mut().enumerate() {
                let at = ((block * 9 + kh * 3 + kw) * depth + i) * LANES;
                s.prefetch_far(w.as_ptr().wrapping_add(at + AHEAD));
                // SAFETY: the caller vouches for the length of `w`.
                *v = unsafe { s.load_ptr(w.as_ptr().add(at)) };
            }
        }
        let mut half = T::side([s.zero(); 3]);
        for kw in 0..3 {
            let column = T::filter(s, [g[0][kw], g[1][kw], g[2][kw]]);
            for row in 0..T::SIDE {
                half[row][kw] = column[row];
            }
        }
        for row in 0..T::SIDE {
            let values = T::filter(s, half[row]);
            for column in 0..T::SIDE {
                let at = (row * T::SIDE + column) * stride + (i - inputs.0) * LANES;
                // SAFETY: the caller vouches for the room.
                unsafe { s.store_ptr(u.add(at), values[column]) };
            }
        }
    }
}
