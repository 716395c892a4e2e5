//! Transform of products back to pixels: `A' m A`, and the epilogue.

use super::transform::Tile;
use super::{Panels, Shape};
use crate::conv::store::Store;
use crate::layout::LANES;
use crate::simd::Simd;

/// Transforms tiles `tiles.0..tiles.1` of the blocks `blocks.0..blocks.1` and stores their pixels.
///
/// # Safety
/// `m` holds these tiles and blocks, `store` writes to the destination of `shape`, and no other task touches these
/// tiles' pixels in these blocks.
#[inline(always)]
pub(super) unsafe fn transform_tiles<S: Simd, T: Tile>(
    s: S,
    shape: &Shape,
    m: *const f32,
    panels: Panels,
    tiles: (usize, usize),
    blocks: (usize, usize),
    store: &Store,
) {
    for t in tiles.0..tiles.1 {
        let (image, ti, tj) = shape.tile(t);
        let (h, w) = (ti * T::OUT, tj * T::OUT);
        let rows = (shape.dst[0] - h).min(T::OUT);
        let columns = (shape.dst[1] - w).min(T::OUT);
        let at = ((image * shape.dst[0] + h) * shape.dst[1] + w) * shape.dst_stride;
        for block in blocks.0..blocks.1 {
            let mut half = T::out(T::side(s.zero()));
            // SAFETY: the caller vouches for `m`.
            unsafe {
                let m = m.add((block - blocks.0) * panels.block + (t - tiles.0) * T::STEP);
                for j in 0..T::SIDE {
                    let mut column = T::side(s.zero());
                    for i in 0..T::SIDE {
                        column[i] = s.load_ptr(m.add(i * panels.row + j * LANES));
                    }
                    let column = T::output(s, column);
                    for i in 0..T::OUT {
                        half[i][j] = column[i];
                    }
                }
            }
            let line = shape.dst[1] * shape.dst_stride;
            if rows == T::OUT && columns == T::OUT {
                for i in 0..T::OUT {
                    let row = T::output(s, half[i]);
                    let first = at + i * line;
                    // SAFETY: the whole tile lies inside of the destination.
                    unsafe { T::put_row(s, store, row, first, shape.dst_stride, block) };
                }
            } else {
                for i in 0..T::OUT {
                    let row = T::output(s, half[i]);
                    for j in 0..T::OUT {
                        if i < rows && j < columns {
                            let place = at + i * line + j * shape.dst_stride;
                            // SAFETY: row and column lie inside of the destination.
                            unsafe { store.put_tile(s, &[[row[j]]], &[place], 1, block) };
                        }
                    }
                }
            }
        }
    }
}
