//! Transform of products back to pixels: `A' m A`, and the epilogue.

use super::{Panels, STEP, Shape, TILE, transform};
use crate::conv::store::Store;
use crate::layout::LANES;
use crate::simd::Simd;

/// Transforms tiles `tiles.0..tiles.1` of the blocks `blocks.0..blocks.1` and stores their pixels.
///
/// # Safety
/// `m` holds these tiles and blocks, `store` writes to the destination of `shape`, and no other task touches these
/// tiles' pixels in these blocks.
#[inline(always)]
pub(super) unsafe fn transform_tiles<S: Simd>(
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
        let (h, w) = (ti * TILE, tj * TILE);
        let rows = (shape.dst[0] - h).min(TILE);
        let columns = (shape.dst[1] - w).min(TILE);
        let at = ((image * shape.dst[0] + h) * shape.dst[1] + w) * shape.dst_stride;
        for block in blocks.0..blocks.1 {
            let mut half = [[s.zero(); 6]; 4];
            // SAFETY: the caller vouches for `m`.
            unsafe {
                let m = m.add((block - blocks.0) * panels.block + (t - tiles.0) * STEP);
                for j in 0..6 {
                    let mut column = [s.zero(); 6];
                    for i in 0..6 {
                        column[i] = s.load_ptr(m.add(i * panels.row + j * LANES));
                    }
                    let column = transform::output(s, column);
                    for i in 0..4 {
                        half[i][j] = column[i];
                    }
                }
            }
            let line = shape.dst[1] * shape.dst_stride;
            if rows == TILE && columns == TILE {
                for i in 0..4 {
                    let row = transform::output(s, half[i]);
                    let first = at + i * line;
                    let places = [0, 1, 2, 3].map(|j| first + j * shape.dst_stride);
                    // SAFETY: the whole tile lies inside of the destination.
                    unsafe { store.put_tile(s, &row.map(|v| [v]), &places, TILE, block) };
                }
            } else {
                for i in 0..4 {
                    let row = transform::output(s, half[i]);
                    for j in 0..4 {
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
