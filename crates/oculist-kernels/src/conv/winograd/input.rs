//! Transform of source tiles: `B' d B` for the gathering passes and the weight gradient, `A dy A'` for the latter.

use super::{Panels, STEP, Shape, TILE, transform};
use crate::layout::LANES;
use crate::simd::Simd;

/// The source that tiles are read from, and a row of zeros for what lies outside.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) data: &'a [f32],
    pub(super) zero: &'a [f32],
}

/// Transforms tiles `tiles.0..tiles.1`, blocks `blocks.0..blocks.1` to `panels` of `v`; tile `tiles.0` and block
/// `blocks.0` come first there.
///
/// # Safety
/// `v` has room for these tiles and blocks, and no other task touches them. `source` fits `shape`.
#[inline(always)]
pub(super) unsafe fn transform_tiles<S: Simd>(
    s: S,
    shape: &Shape,
    source: Source,
    tiles: (usize, usize),
    blocks: (usize, usize),
    v: *mut f32,
    panels: Panels,
) {
    for t in tiles.0..tiles.1 {
        let pointers = tile_pointers::<6>(shape, source, t, shape.src, shape.src_stride, shape.padding);
        for block in blocks.0..blocks.1 {
            let at = block * LANES;
            let mut half = [[s.zero(); 6]; 6];
            for j in 0..6 {
                let mut d = [s.zero(); 6];
                for i in 0..6 {
                    // SAFETY: every pointer has a whole pixel, or the row of zeros as long as one.
                    d[i] = unsafe { s.load_ptr(pointers[i][j].add(at)) };
                }
                let column = transform::input(s, d);
                for i in 0..6 {
                    half[i][j] = column[i];
                }
            }
            // SAFETY: the caller vouches for the room.
            unsafe {
                let v = v.add((block - blocks.0) * panels.block + (t - tiles.0) * STEP);
                for i in 0..6 {
                    let row = transform::input(s, half[i]);
                    for j in 0..6 {
                        s.store_ptr(v.add(i * panels.row + j * LANES), row[j]);
                    }
                }
            }
        }
    }
}

/// Transforms tiles of the output gradient, `A dy A'`; otherwise as [`transform_tiles`], with `source` laid out as the
/// destination of `shape`.
///
/// # Safety
/// As [`transform_tiles`].
#[inline(always)]
pub(super) unsafe fn transform_gradient_tiles<S: Simd>(
    s: S,
    shape: &Shape,
    source: Source,
    tiles: (usize, usize),
    v: *mut f32,
    panels: Panels,
) {
    for t in tiles.0..tiles.1 {
        let pointers = tile_pointers::<4>(shape, source, t, shape.dst, shape.dst_stride, [0, 0]);
        for block in 0..shape.dst_blocks() {
            let at = block * LANES;
            let mut half = [[s.zero(); 4]; 6];
            for j in 0..4 {
                let mut y = [s.zero(); 4];
                for i in 0..4 {
                    // SAFETY: every pointer has a whole pixel, or the row of zeros as long as one.
                    y[i] = unsafe { s.load_ptr(pointers[i][j].add(at)) };
                }
                let column = transform::output_adjoint(s, y);
                for i in 0..6 {
                    half[i][j] = column[i];
                }
            }
            // SAFETY: the caller vouches for the room.
            unsafe {
                let v = v.add(block * panels.block + (t - tiles.0) * STEP);
                for i in 0..6 {
                    let row = transform::output_adjoint(s, half[i]);
                    for j in 0..6 {
                        s.store_ptr(v.add(i * panels.row + j * LANES), row[j]);
                    }
                }
            }
        }
    }
}

/// Where the `N x N` pixels of a tile lie; `source.zero` for what is outside of the image.
#[inline(always)]
fn tile_pointers<const N: usize>(
    shape: &Shape,
    source: Source,
    t: usize,
    size: [usize; 2],
    stride: usize,
    padding: [usize; 2],
) -> [[*const f32; N]; N] {
    let (image, ti, tj) = shape.tile(t);
    let mut pointers = [[source.zero.as_ptr(); N]; N];
    for (i, row) in pointers.iter_mut().enumerate() {
        // Above the image the subtraction wraps to a large number.
        let h = (ti * TILE + i).wrapping_sub(padding[0]);
        if h < size[0] {
            let line = source.data.as_ptr().wrapping_add((image * size[0] + h) * size[1] * stride);
            for (j, pointer) in row.iter_mut().enumerate() {
                let w = (tj * TILE + j).wrapping_sub(padding[1]);
                if w < size[1] {
                    *pointer = line.wrapping_add(w * stride);
                }
            }
        }
    }
    pointers
}
