//! Packed weights the other way round, for the data gradient.

use super::Conv2d;
use crate::context::Context;
use crate::layout::LANES;
use crate::simd::{Kernel, Simd, dispatch};

/// Transposes packed weights for the data gradient: `[c_out / 16][taps][x_stride][16]` to
/// `[x_stride / 16][taps][c_out][16]`, taps in the same order, or in reverse with `flip`.
pub(crate) fn transpose_weights(ctx: &Context, conv: &Conv2d, w: &[f32], flip: bool, transposed: &mut [f32]) {
    struct Rows<'a> {
        w: &'a [f32],
        /// f32 from one block of outputs to the next.
        stride: usize,
        transposed: &'a mut [f32],
    }
    impl Kernel for Rows<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let sources = self.w.chunks(self.stride);
            for (to, from) in self.transposed.chunks_exact_mut(LANES * LANES).zip(sources) {
                let (to, from) = (to.as_chunks_mut::<LANES>().0, from.as_chunks::<LANES>().0);
                let mut rows = [s.zero(); LANES];
                for r in 0..LANES {
                    rows[r] = s.load(&from[r]);
                }
                let columns = s.transpose(rows);
                for c in 0..LANES {
                    s.store(columns[c], &mut to[c]);
                }
            }
        }
    }
    let (taps, xs, ys) = (conv.taps(), conv.x_stride, conv.y_stride());
    assert!(xs.is_multiple_of(LANES), "weights of {} have no whole blocks to transpose", conv.label());
    ctx.for_pieces(transposed, ys * LANES, |task, transposed| {
        let (block, tap) = (task / taps, task % taps);
        let from = if flip { taps - 1 - tap } else { tap };
        let w = &w[(from * xs + block * LANES) * LANES..];
        dispatch(ctx, Rows { w, stride: taps * xs * LANES, transposed });
    });
}
