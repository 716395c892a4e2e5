//! Transform of source tiles: `B' d B` for the gathering passes and the weight gradient, `A dy A'` for the latter.

use super::transform::Tile;
use super::{Panels, Shape};
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
pub(super) unsafe fn transform_tiles<S: Simd, T: Tile>(
    s: S,
    shape: &Shape,
    source: Source,
    tiles: (usize, usize),
    blocks: (usize, usize),
    v: *mut f32,
    panels: Panels,
) {
    for t in tiles.0..tiles.1 {
        let mut pointers = T::side(T::side(source.zero.as_ptr()));
        let size = (shape.src, shape.src_stride);
        tile_pointers(shape, source, (t, T::OUT, T::SIDE), size, shape.padding, |i, j, p| pointers[i][j] = p);
        for block in blocks.0..blocks.1 {
            let at = block * LANES;
            let mut half = T::side(T::side(s.zero()));
            for j in 0..T::SIDE {
                let mut d = T::side(s.zero());
                for i in 0..T::SIDE {
                    // SAFETY: every pointer has a whole pixel, or the row of zeros as long as one.
                    d[i] = unsafe { s.load_ptr(pointers[i][j].add(at)) };
                }
                let column = T::input(s, d);
                for i in 0..T::SIDE {
                    half[i][j] = column[i];
                }
            }
            // SAFETY: the caller vouches for the room.
            unsafe {
                let v = v.add((block - blocks.0) * panels.block + (t - tiles.0) * T::STEP);
                for i in 0..T::SIDE {
                    let row = T::input(s, half[i]);
                    for j in 0..T::SIDE {
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
pub(super) unsafe fn transform_gradient_tiles<S: Simd, T: Tile>(
    s: S,
    shape: &Shape,
    source: Source,
    tiles: (usize, usize),
    v: *mut f32,
    panels: Panels,
) {
    for t in tiles.0..tiles.1 {
        let mut pointers = T::out(T::out(source.zero.as_ptr()));
        let size = (shape.dst, shape.dst_stride);
        tile_pointers(shape, source, (t, T::OUT, T::OUT), size, [0, 0], |i, j, p| pointers[i][j] = p);
        for block in 0..shape.dst_blocks() {
            let at = block * LANES;
            let mut half = T::side(T::out(s.zero()));
            for j in 0..T::OUT {
                let mut y = T::out(s.zero());
                for i in 0..T::OUT {
                    // SAFETY: every pointer has a whole pixel, or the row of zeros as long as one.
                    y[i] = unsafe { s.load_ptr(pointers[i][j].add(at)) };
                }
                let column = T::output_adjoint(s, y);
                for i in 0..T::SIDE {
                    half[i][j] = column[i];
                }
            }
            // SAFETY: the caller vouches for the room.
            unsafe {
                let v = v.add(block * panels.block + (t - tiles.0) * T::STEP);
                for i in 0..T::SIDE {
                    let row = T::output_adjoint(s, half[i]);
                    for j in 0..T::SIDE {
                        s.store_ptr(v.add(i * panels.row + j * LANES), row[j]);
                    }
                }
            }
        }
    }
}

/// Calls `found` with row, column and place of the pixels of a tile that lie inside of the image, of `side` pixels
/// along a side, `outputs` apart from tile to tile; `size` is the image's height and width and the pixels' stride.
#[inline(always)]
fn tile_pointers(
    shape: &Shape,
    source: Source,
    (t, outputs, side): (usize, usize, usize),
    (size, stride): ([usize; 2], usize),
    padding: [usize; 2],
    mut found: impl FnMut(usize, usize, *const f32),
) {
    let (image, ti, tj) = shape.tile(t);
    for i in 0..side {
        // Above the image the subtraction wraps to a large number.
        let h = (ti * outputs + i).wrapping_sub(padding[0]);
        if h < size[0] {
            let line = source.data.as_ptr().wrapping_add((image * size[0] + h) * size[1] * stride);
            for j in 0..side {
                let w = (tj * outputs + j).wrapping_sub(padding[1]);
                if w < size[1] {
                    found(i, j, line.wrapping_add(w * stride));
                }
            }
        }
    }
}
