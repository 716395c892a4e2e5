//! Pooling of bytes.

use super::Quant;
use super::simd::{IntKernel, IntPath, IntSimd, dispatch};
use crate::context::Context;
use crate::layout::{LANES, channel_stride, product};
use crate::pooling::Pooling;

/// Input pixels under an output position along an axis: first and one past the last.
fn window(pool: &Pooling, axis: usize, o: usize) -> (usize, usize) {
    let size = [pool.height, pool.width][axis];
    let start = o * pool.stride[axis];
    let before = pool.padding[axis];
    (start.saturating_sub(before).min(size), (start + pool.kernel[axis]).saturating_sub(before).min(size))
}

/// `y = maximum over the window`; input and output have the same scale and zero point.
///
/// # Shapes
/// As [`Pooling`], in bytes.
///
/// # Panics
/// When [`Pooling::check`] refuses the geometry or a slice has another length than it says.
pub fn int_max_pool(ctx: &Context, pool: &Pooling, x: &[u8], y: &mut [u8]) {
    struct Row<'a> {
        pool: &'a Pooling,
        x: &'a [u8],
        y: &'a mut [u8],
        oy: usize,
    }
    impl IntKernel for Row<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: IntSimd>(self, s: S) {
            let Self { pool, x, y, oy } = self;
            let stride = channel_stride(pool.channels);
            let (top, bottom) = window(pool, 0, oy);
            for (ox, y) in y.chunks_exact_mut(stride).enumerate() {
                let (left, right) = window(pool, 1, ox);
                y.fill(0);
                for iy in top..bottom {
                    for ix in left..right {
                        let x = &x[(iy * pool.width + ix) * stride..][..stride];
                        for (y, x) in y.as_chunks_mut::<LANES>().0.iter_mut().zip(x.as_chunks::<LANES>().0) {
                            // SAFETY: the arrays hold sixteen bytes.
                            unsafe { s.max_u8(y.as_mut_ptr(), x.as_ptr()) };
                        }
                    }
                }
            }
        }
    }
    pool.assert_sound();
    assert_eq!(x.len(), pool.x_len(), "input of {pool:?}");
    assert_eq!(y.len(), pool.y_len(), "output of {pool:?}");
    let stride = channel_stride(pool.channels);
    let image = pool.height * pool.width * stride;
    let height = pool.out_height();
    let path = IntPath::of(ctx);
    ctx.for_pieces(y, pool.out_width() * stride, |row, y| {
        let x = &x[row / height * image..][..image];
        dispatch(path, Row { pool, x, y, oy: row % height });
    });
}

/// Sums of levels above the zero point over rectangles of pixels.
struct Mean<'a> {
    stride: usize,
    /// Pixels of an input row.
    width: usize,
    zero_point: u8,
    y_zero_point: u8,
    x: &'a [u8],
    y: &'a mut [u8],
}

impl Mean<'_> {
    /// `y[pixel] = quantize(factor * sum)` over the rectangle.
    #[inline(always)]
    fn pixel<S: IntSimd>(
        &mut self,
        s: S,
        pixel: usize,
        rows: (usize, usize),
        columns: (usize, usize),
        factor: f32,
    ) {
        let offset = s.splat_i32(i32::from(self.y_zero_point));
        let (low, high) = (-f32::from(self.y_zero_point), 255.0 - f32::from(self.y_zero_point));
        let zero = s.splat(f32::from(self.zero_point));
        for block in (0..self.stride).step_by(LANES) {
            let mut sum = s.splat(0.0);
            for iy in rows.0..rows.1 {
                for ix in columns.0..columns.1 {
                    let x = &self.x[(iy * self.width + ix) * self.stride + block..][..LANES];
                    // SAFETY: sixteen bytes were sliced. Sums below 2^24 are exact.
                    sum = unsafe { s.add(sum, s.sub(s.load_u8(x.as_ptr()), zero)) };
                }
            }
            let t = s.mul(sum, s.splat(factor));
            let y = &mut self.y[pixel * self.stride + block..][..LANES];
            // SAFETY: sixteen bytes were sliced; the clamped sums lie in 0..=255.
            unsafe { s.store_u8(s.min(s.max(t, s.splat(low)), s.splat(high)), offset, y.as_mut_ptr()) };
        }
    }
}

/// `y = quantize(average over the window)`; padding counts as zeros with `count_include_pad`, else it does not count.
///
/// # Shapes
/// As [`Pooling`], in bytes.
///
/// # Panics
/// When [`Pooling::check`] refuses the geometry or a slice has another length than it says.
pub fn int_average_pool(
    ctx: &Context,
    pool: &Pooling,
    count_include_pad: bool,
    (x, x_quant): (&[u8], Quant),
    (y, y_quant): (&mut [u8], Quant),
) {
    struct Row<'a> {
        mean: Mean<'a>,
        pool: &'a Pooling,
        count_include_pad: bool,
        ratio: f32,
        oy: usize,
    }
    impl IntKernel for Row<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: IntSimd>(mut self, s: S) {
            let pool = self.pool;
            let rows = window(pool, 0, self.oy);
            for ox in 0..pool.out_width() {
                let columns = window(pool, 1, ox);
                let count = if self.count_include_pad {
                    pool.kernel[0] * pool.kernel[1]
                } else {
                    (rows.1 - rows.0) * (columns.1 - columns.0)
                };
                self.mean.pixel(s, ox, rows, columns, self.ratio / count as f32);
            }
        }
    }
    pool.assert_sound();
    assert_eq!(x.len(), pool.x_len(), "input of {pool:?}");
    assert_eq!(y.len(), pool.y_len(), "output of {pool:?}");
    let stride = channel_stride(pool.channels);
    let image = pool.height * pool.width * stride;
    let height = pool.out_height();
    let path = IntPath::of(ctx);
    let ratio = x_quant.scale / y_quant.scale;
    ctx.for_pieces(y, pool.out_width() * stride, |row, y| {
        let mean = Mean {
            stride,
            width: pool.width,
            zero_point: x_quant.zero_point,
            y_zero_point: y_quant.zero_point,
            x: &x[row / height * image..][..image],
            y,
        };
        dispatch(path, Row { mean, pool, count_include_pad, ratio, oy: row % height });
    });
}

/// `y = quantize(average over all pixels)`.
///
/// # Shapes
/// `x`: `[n, pixels, channel_stride(channels)]`, `y`: `[n, channel_stride(channels)]`.
///
/// # Panics
/// When a slice is shorter than the shape says.
pub fn int_global_average_pool(
    ctx: &Context,
    [n, pixels, channels]: [usize; 3],
    (x, x_quant): (&[u8], Quant),
    (y, y_quant): (&mut [u8], Quant),
) {
    struct Whole<'a> {
        mean: Mean<'a>,
        pixels: usize,
        factor: f32,
    }
    impl IntKernel for Whole<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: IntSimd>(mut self, s: S) {
            self.mean.pixel(s, 0, (0, 1), (0, self.pixels), self.factor);
        }
    }
    let stride = channel_stride(channels);
    let (x, y) = (&x[..product(&[n, pixels, stride])], &mut y[..product(&[n, stride])]);
    let path = IntPath::of(ctx);
    let factor = x_quant.scale / (y_quant.scale * pixels as f32);
    ctx.for_pieces(y, stride, |i, y| {
        let mean = Mean {
            stride,
            width: pixels,
            zero_point: x_quant.zero_point,
            y_zero_point: y_quant.zero_point,
            x: &x[i * pixels * stride..][..pixels * stride],
            y,
        };
        dispatch(path, Whole { mean, pixels, factor });
    });
}
