//! Maximum pooling.

use super::Pooling;
use crate::context::{Context, SendPtr};
use crate::layout::{LANES, blocks, blocks_mut, channel_stride};
use crate::simd::{Kernel, Simd, dispatch};

/// `y = maximum over the window`; `argmax` gets which window position it was (row-major), for the backward pass.
///
/// The first of equal values wins, as in PyTorch. NaN is not treated specially.
///
/// # Panics
/// When [`Pooling::check`] refuses the geometry or a slice has another length than it says.
pub fn max_pool(ctx: &Context, pool: &Pooling, x: &[f32], y: &mut [f32], argmax: Option<&mut [u16]>) {
    pool.assert_sound();
    let (oh, ow, cs) = (pool.out_height(), pool.out_width(), channel_stride(pool.channels));
    assert_eq!(x.len(), pool.x_len(), "input of {pool:?}");
    assert_eq!(y.len(), pool.y_len(), "output of {pool:?}");
    let argmax = argmax.map(|a| {
        assert_eq!(a.len(), pool.y_len(), "argmax of {pool:?}");
        SendPtr(a.as_mut_ptr())
    });
    let row_len = ow * cs;
    ctx.for_pieces(y, row_len, |task, y| {
        // SAFETY: task `task` owns this row of `argmax`, whose length was checked above.
        let argmax =
            argmax.map(|a| unsafe { std::slice::from_raw_parts_mut(a.get().add(task * row_len), row_len) });
        let image = &x[task / oh * pool.height * pool.width * cs..][..pool.height * pool.width * cs];
        dispatch(ctx, Row { pool, x: image, i: task % oh, y, argmax });
    });
}

/// One output row.
struct Row<'a> {
    pool: &'a Pooling,
    /// One image.
    x: &'a [f32],
    i: usize,
    y: &'a mut [f32],
    argmax: Option<&'a mut [u16]>,
}

impl Kernel for Row<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { pool, x, i, y, argmax } = self;
        let n = channel_stride(pool.channels) / LANES;
        let x = blocks(x);
        let (h0, h1) = pool.window(0, i);
        let mut argmax = argmax.map(|a| a.as_chunks_mut::<LANES>().0);
        for (j, y) in blocks_mut(y).chunks_exact_mut(n).enumerate() {
            let (w0, w1) = pool.window(1, j);
            // The position of the first pixel in the unclipped window, so that the backward pass needs no clipping.
            let top = h0 + pool.padding[0] - i * pool.stride[0];
            let left = w0 + pool.padding[1] - j * pool.stride[1];
            for (block, y) in y.iter_mut().enumerate() {
                let mut best = s.splat(f32::NEG_INFINITY);
                // Positions are below 65,536, which f32 hold exactly.
                let mut position = s.zero();
                for h in h0..h1 {
                    let line = (h * pool.width + w0) * n + block;
                    let mut at = ((top + h - h0) * pool.kernel[1] + left) as f32;
                    for w in 0..w1 - w0 {
                        let v = s.load(&x[line + w * n]);
                        position = s.select_gt(v, best, s.splat(at), position);
                        best = s.select_gt(v, best, v, best);
                        at += 1.0;
                    }
                }
                s.store(best, y);
                if let Some(argmax) = &mut argmax {
                    // Above 2^23 the lowest bits of an f32 count ones: a conversion that vectorises.
                    let shifted = s.add(position, s.splat(8_388_608.0));
                    argmax[j * n + block] = s.to_array(shifted).map(|p| p.to_bits() as u16);
                }
            }
        }
    }
}

/// Gradient of [`max_pool`]: each `dy` goes to the pixel that was the maximum; `dx` is overwritten or added to.
///
/// # Panics
/// When [`Pooling::check`] refuses the geometry or a slice has another length than it says.
pub fn max_pool_backward(
    ctx: &Context,
    pool: &Pooling,
    dy: &[f32],
    argmax: &[u16],
    dx: &mut [f32],
    accumulate: bool,
) {
    pool.assert_sound();
    let (oh, ow, cs) = (pool.out_height(), pool.out_width(), channel_stride(pool.channels));
    assert_eq!(dx.len(), pool.x_len(), "input gradient of {pool:?}");
    assert!(dy.len() == pool.y_len() && argmax.len() == dy.len(), "output gradient of {pool:?}");
    let out = oh * ow * cs;
    ctx.for_pieces(dx, pool.height * pool.width * cs, |n, dx| {
        if !accumulate {
            dx.fill(0.0);
        }
        let part = n * out..(n + 1) * out;
        dispatch(ctx, Image { pool, dy: &dy[part.clone()], argmax: &argmax[part], dx });
    });
}

/// The gradient of one image.
struct Image<'a> {
    pool: &'a Pooling,
    dy: &'a [f32],
    argmax: &'a [u16],
    dx: &'a mut [f32],
}

impl Kernel for Image<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { pool, dy, argmax, dx } = self;
        let n = channel_stride(pool.channels) / LANES;
        let (dy, dx) = (blocks(dy), blocks_mut(dx));
        let argmax = argmax.as_chunks::<LANES>().0;
        let half = s.splat(0.5);
        let ow = pool.out_width();
        for i in 0..pool.out_height() {
            let (h0, h1) = pool.window(0, i);
            let top = h0 + pool.padding[0] - i * pool.stride[0];
            for j in 0..ow {
                let (w0, w1) = pool.window(1, j);
                let left = w0 + pool.padding[1] - j * pool.stride[1];
                for block in 0..n {
                    let at = (i * ow + j) * n + block;
                    let d = s.load(&dy[at]);
                    let position = s.load(&argmax[at].map(f32::from));
                    for h in h0..h1 {
                        let line = (h * pool.width + w0) * n + block;
                        let first = ((top + h - h0) * pool.kernel[1] + left) as f32;
                        for w in 0..w1 - w0 {
                            let here = s.splat(first + w as f32);
                            // Equal means a distance below one half.
                            let distance = s.max(s.sub(position, here), s.sub(here, position));
                            let part = s.select_gt(half, distance, d, s.zero());
                            let dx = &mut dx[line + w * n];
                            s.store(s.add(s.load(dx), part), dx);
                        }
                    }
                }
            }
        }
    }
}
