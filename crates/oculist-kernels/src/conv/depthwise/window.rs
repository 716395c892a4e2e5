//! The depthwise forward pass for the usual square windows: 3x3 and 5x5, stride 1 or 2, without dilation.
//!
//! A tile is a run of neighbouring output pixels of one row times one block of channels. Its sums stay in
//! registers through all taps, a row of weights too; the window's rows above and below the image are skipped
//! before the loop, and columns beside it are read from a row of zeros by tiles at the edge alone. The taps are
//! added in the order of the general pass.

use super::super::Conv2d;
use super::super::store::Store;
use crate::context::Context;
use crate::layout::LANES;
use crate::simd::{Kernel, Simd, dispatch};

/// Pixels of a wide tile: divides the usual widths 7, 14, 28, 56 and 112.
const WIDE: usize = 7;
/// Pixels of a narrow tile, for few registers and other widths.
const NARROW: usize = 4;
/// Columns that the widest tile reads: stride 2, five taps.
const MAX_COLUMNS: usize = (WIDE - 1) * 2 + 5;
const MAX_TAPS: usize = 5;

/// Whether this pass computes the convolution.
pub(crate) fn supports(conv: &Conv2d) -> bool {
    matches!(conv.kernel, [3, 3] | [5, 5])
        && matches!(conv.stride, [1, 1] | [2, 2])
        && conv.dilation == [1, 1]
}

/// `y = f(conv(x, w) + ..)` with weights `[taps][stride]`; `zero` is a row of zeros, one pixel long.
///
/// # Panics
/// When the geometry is not supported or a slice is too short.
pub(crate) fn run(ctx: &Context, conv: &Conv2d, x: &[f32], w: &[f32], store: Store, zero: &[f32]) {
    assert!(supports(conv), "window of {}", conv.label());
    assert_eq!(conv.x_stride, conv.y_stride(), "channels of {}", conv.label());
    assert!(x.len() >= conv.x_len() && w.len() >= conv.taps() * conv.x_stride, "slices of {}", conv.label());
    assert!(zero.len() >= conv.x_stride, "zeros of {}", conv.label());
    let (rows, blocks) = (conv.batch * conv.out_height(), conv.x_stride / LANES);
    let wanted = if ctx.threads() == 1 { 1 } else { 8 * ctx.threads() };
    // Few rows are split by channels too.
    let block_tasks = (wanted / 2).div_ceil(rows).clamp(1, blocks);
    let rows_per_task = (rows * block_tasks / wanted).max(1);
    let blocks_per_task = blocks.div_ceil(block_tasks);
    ctx.run(rows.div_ceil(rows_per_task) * block_tasks, |task, _| {
        let (row, block) = (task / block_tasks * rows_per_task, task % block_tasks * blocks_per_task);
        let rows = (row, (row + rows_per_task).min(rows));
        let blocks = (block.min(blocks), (block + blocks_per_task).min(blocks));
        dispatch(ctx, Task { conv, rows, blocks, x, w, store, zero });
    });
}

struct Task<'a> {
    conv: &'a Conv2d,
    /// Output rows of the whole batch: first and one past the last.
    rows: (usize, usize),
    blocks: (usize, usize),
    x: &'a [f32],
    w: &'a [f32],
    store: Store,
    zero: &'a [f32],
}

impl Kernel for Task<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let ow = self.conv.out_width();
        // With two blocks of sums in the convolution's tile there are registers enough for a wide one here.
        let cost = |tile: usize| ow.div_ceil(tile) * (tile + 1);
        let wide = S::ROWS_2 > 0 && cost(WIDE) <= cost(NARROW);
        match (self.conv.kernel[0], self.conv.stride[0], wide) {
            (3, 1, true) => self.rows::<S, 3, 1, WIDE>(s),
            (3, 1, false) => self.rows::<S, 3, 1, NARROW>(s),
            (3, _, true) => self.rows::<S, 3, 2, WIDE>(s),
            (3, _, false) => self.rows::<S, 3, 2, NARROW>(s),
            (_, 1, true) => self.rows::<S, 5, 1, WIDE>(s),
            (_, 1, false) => self.rows::<S, 5, 1, NARROW>(s),
            (_, _, true) => self.rows::<S, 5, 2, WIDE>(s),
            (_, _, false) => self.rows::<S, 5, 2, NARROW>(s),
        }
    }
}

/// Where a tile reads and writes.
struct Place {
    /// Kernel rows inside of the image: first and one past the last.
    taps: (usize, usize),
    /// The pixel of the window's first row inside of the image and its first column, which may lie outside.
    first: *const f32,
    /// f32 from a row of the image to the next.
    line: usize,
    /// Element of the first output pixel.
    out: usize,
    valid: usize,
}

impl Task<'_> {
    #[inline(always)]
    fn rows<S: Simd, const K: usize, const STEP: usize, const T: usize>(&self, s: S) {
        let conv = self.conv;
        let (oh, ow, stride) = (conv.out_height(), conv.out_width(), conv.x_stride);
        let columns = (T - 1) * STEP + K;
        let line = conv.width * stride;
        let mut table = [[self.zero.as_ptr(); MAX_COLUMNS]; MAX_TAPS];
        for row in self.rows.0..self.rows.1 {
            let (image, i) = (row / oh, row % oh);
            // Top of the window, counted from the top of the padding.
            let top = i * STEP;
            let first_tap = conv.padding[0].saturating_sub(top).min(K);
            let last_tap = (conv.height + conv.padding[0]).saturating_sub(top).min(K).max(first_tap);
            let h = image * conv.height + (top + first_tap).saturating_sub(conv.padding[0]);
            let mut j = 0;
            while j < ow {
                // The last tile of a row overlaps the one before rather than being short.
                let start = if j + T > ow { ow.saturating_sub(T) } else { j };
                let left = start * STEP;
                let place = Place {
                    taps: (first_tap, last_tap),
                    first: self
                        .x
                        .as_ptr()
                        .wrapping_add(h * line + left * stride)
                        .wrapping_sub(conv.padding[1] * stride),
                    line,
                    out: (row * ow + start) * stride,
                    valid: (ow - start).min(T),
                };
                if left >= conv.padding[1] && left + columns <= conv.width + conv.padding[1] {
                    for block in self.blocks.0..self.blocks.1 {
                        // SAFETY: all columns and the rows of the taps lie inside of the image.
                        unsafe { self.tile::<S, K, STEP, T, false>(s, &place, &table, block) };
                    }
                } else {
                    for (k, pointers) in table.iter_mut().enumerate().take(last_tap).skip(first_tap) {
                        for (c, pointer) in pointers.iter_mut().enumerate().take(columns) {
                            let inside =
                                left + c >= conv.padding[1] && left + c < conv.width + conv.padding[1];
                            *pointer = if inside {
                                place.first.wrapping_add((k - first_tap) * line + c * stride)
                            } else {
                                self.zero.as_ptr()
                            };
                        }
                    }
                    for block in self.blocks.0..self.blocks.1 {
                        // SAFETY: the table's pointers of these taps are pixels of the image or the zeros.
                        unsafe { self.tile::<S, K, STEP, T, true>(s, &place, &table, block) };
                    }
                }
                j += T;
            }
        }
    }

    /// One block of channels of a tile; at an `EDGE` the pixels come from the table.
    ///
    /// # Safety
    /// The pixels of the taps of `place`, or the pointers of the table for them, hold `x_stride` f32.
    #[inline(always)]
    unsafe fn tile<S: Simd, const K: usize, const STEP: usize, const T: usize, const EDGE: bool>(
        &self,
        s: S,
        place: &Place,
        table: &[[*const f32; MAX_COLUMNS]; MAX_TAPS],
        block: usize,
    ) {
        let (stride, at) = (self.conv.x_stride, block * LANES);
        let mut acc = [s.zero(); T];
        let mut row = place.first.wrapping_add(at);
        for k in place.taps.0..place.taps.1 {
            let pointers = &table[k];
            // SAFETY: the caller vouches for the pixels; `run` checked that there are weights for every tap.
            unsafe {
                let w = self.w.as_ptr().add(k * K * stride + at);
                for l in 0..K {
                    let w = s.load_ptr(w.add(l * stride));
                    for t in 0..T {
                        let c = t * STEP + l;
                        let p = if EDGE { pointers[c].add(at) } else { row.add(c * stride) };
                        acc[t] = s.mul_add(s.load_ptr(p), w, acc[t]);
                    }
                }
            }
            row = row.wrapping_add(place.line);
        }
        // SAFETY: the pixels lie inside of the output row, and this task alone owns its blocks.
        unsafe { self.store.put_run(s, acc, place.out, stride, place.valid, block) };
    }
}
