//! Maximum and average pooling, forward and backward.

mod max;

pub use max::{max_pool, max_pool_backward};

use crate::KernelError;
use crate::context::Context;
use crate::layout::{MAX_ELEMENTS, channel_stride, check_elements, product};

/// The geometry of a pooling.
///
/// # Shapes
/// `x`: `[batch, height, width, channel_stride(channels)]`, `y`: `[batch, out_height, out_width, ..]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pooling {
    /// Images.
    pub batch: usize,
    /// Height of `x`.
    pub height: usize,
    /// Width of `x`.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// Window height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Padding at the top, left, bottom and right. To round output sizes up, enlarge the last two.
    pub padding: [usize; 4],
}

impl Pooling {
    /// Checks the geometry.
    ///
    /// # Errors
    /// [`KernelError::Geometry`] when a size is 0, the window does not fit the padded input, the padding is not
    /// smaller than the window (a window of padding alone has no maximum), the window has more than 65,535 pixels, or a
    /// tensor or the padded input has more than [`MAX_ELEMENTS`](crate::MAX_ELEMENTS) elements.
    pub fn check(&self) -> Result<(), KernelError> {
        let fail = |reason: String| Err(KernelError::Geometry { operation: "pooling", reason });
        let sizes = [self.batch, self.height, self.width, self.channels];
        if sizes.iter().chain(&self.kernel).chain(&self.stride).any(|size| *size == 0) {
            return fail(format!("expected sizes of at least 1, found {self:?}"));
        }
        for axis in 0..2 {
            let (before, after) = (self.padding[axis], self.padding[axis + 2]);
            let padded = self.padded(axis);
            if self.kernel[axis] > padded {
                return fail(format!(
                    "window covers {} pixels, padded input has {padded}",
                    self.kernel[axis]
                ));
            }
            if before >= self.kernel[axis] || after >= self.kernel[axis] {
                return fail(format!(
                    "padding {before}, {after} reaches the window size {}",
                    self.kernel[axis]
                ));
            }
        }
        if product(&self.kernel) > usize::from(u16::MAX) {
            return fail(format!("a window of {} x {} pixels is too large", self.kernel[0], self.kernel[1]));
        }
        let cs = channel_stride(self.channels);
        let padded = product(&[self.batch, self.padded(0), self.padded(1), cs]);
        check_elements("pooling", &[("the padded input", padded), ("the output", self.y_len())])
    }

    /// Panics unless the geometry is sound.
    pub(crate) fn assert_sound(&self) {
        if let Err(error) = self.check() {
            panic!("{error}");
        }
    }

    /// Pixels of the input along an axis, padding included; `usize::MAX` where they are more.
    fn padded(&self, axis: usize) -> usize {
        let size = [self.height, self.width][axis];
        size.saturating_add(self.padding[axis]).saturating_add(self.padding[axis + 2])
    }

    fn out_size(&self, axis: usize) -> usize {
        let rest = self.padded(axis).saturating_sub(self.kernel[axis]);
        (rest / self.stride[axis].max(1)).saturating_add(1)
    }

    /// Rows of `y`.
    pub fn out_height(&self) -> usize {
        self.out_size(0)
    }

    /// Columns of `y`.
    pub fn out_width(&self) -> usize {
        self.out_size(1)
    }

    /// f32 of `x`.
    pub fn x_len(&self) -> usize {
        product(&[self.batch, self.height, self.width, channel_stride(self.channels)])
    }

    /// f32 of `y`.
    pub fn y_len(&self) -> usize {
        product(&[self.batch, self.out_height(), self.out_width(), channel_stride(self.channels)])
    }

    /// The pixels that output position `o` sees along an axis: first and one past the last.
    fn window(&self, axis: usize, o: usize) -> (usize, usize) {
        let size = [self.height, self.width][axis];
        let start = o * self.stride[axis];
        let end = start + self.kernel[axis];
        let before = self.padding[axis];
        (start.saturating_sub(before).min(size), end.saturating_sub(before).min(size))
    }
}

/// How the windows of an average are laid out.
trait Windows: Sync {
    fn out(&self) -> [usize; 2];
    /// First pixel and one past the last along an axis.
    fn window(&self, axis: usize, o: usize) -> (usize, usize);
    /// What the sum is divided by.
    fn count(&self, window: [(usize, usize); 2]) -> usize;
}

struct Fixed<'a> {
    pool: &'a Pooling,
    count_include_pad: bool,
}

impl Windows for Fixed<'_> {
    fn out(&self) -> [usize; 2] {
        [self.pool.out_height(), self.pool.out_width()]
    }
    fn window(&self, axis: usize, o: usize) -> (usize, usize) {
        self.pool.window(axis, o)
    }
    fn count(&self, [(h0, h1), (w0, w1)]: [(usize, usize); 2]) -> usize {
        if self.count_include_pad { self.pool.kernel[0] * self.pool.kernel[1] } else { (h1 - h0) * (w1 - w0) }
    }
}

struct Adaptive {
    input: [usize; 2],
    out: [usize; 2],
}

impl Windows for Adaptive {
    fn out(&self) -> [usize; 2] {
        self.out
    }
    fn window(&self, axis: usize, o: usize) -> (usize, usize) {
        let (size, out) = (self.input[axis], self.out[axis]);
        (o * size / out, ((o + 1) * size).div_ceil(out))
    }
    fn count(&self, [(h0, h1), (w0, w1)]: [(usize, usize); 2]) -> usize {
        (h1 - h0) * (w1 - w0)
    }
}

fn average(
    ctx: &Context,
    windows: &dyn Windows,
    [height, width]: [usize; 2],
    cs: usize,
    x: &[f32],
    y: &mut [f32],
) {
    let [oh, ow] = windows.out();
    ctx.for_pieces(y, ow * cs, |task, row| {
        let (n, i) = (task / oh, task % oh);
        let (h0, h1) = windows.window(0, i);
        for (j, sum) in row.chunks_exact_mut(cs).enumerate() {
            let (w0, w1) = windows.window(1, j);
            sum.fill(0.0);
            for h in h0..h1 {
                for w in w0..w1 {
                    let x = &x[((n * height + h) * width + w) * cs..][..cs];
                    for (sum, x) in sum.iter_mut().zip(x) {
                        *sum += x;
                    }
                }
            }
            let factor = 1.0 / windows.count([(h0, h1), (w0, w1)]) as f32;
            for sum in sum.iter_mut() {
                *sum *= factor;
            }
        }
    });
}

fn average_backward(
    ctx: &Context,
    windows: &dyn Windows,
    [height, width]: [usize; 2],
    cs: usize,
    dy: &[f32],
    dx: &mut [f32],
    accumulate: bool,
) {
    let [oh, ow] = windows.out();
    ctx.for_pieces(dx, height * width * cs, |n, dx| {
        if !accumulate {
            dx.fill(0.0);
        }
        for i in 0..oh {
            let (h0, h1) = windows.window(0, i);
            for j in 0..ow {
                let (w0, w1) = windows.window(1, j);
                let factor = 1.0 / windows.count([(h0, h1), (w0, w1)]) as f32;
                let dy = &dy[((n * oh + i) * ow + j) * cs..][..cs];
                for h in h0..h1 {
                    for w in w0..w1 {
                        let dx = &mut dx[(h * width + w) * cs..][..cs];
                        for (dx, dy) in dx.iter_mut().zip(dy) {
                            *dx += dy * factor;
                        }
                    }
                }
            }
        }
    });
}

/// `y = average over the window`; padding counts as zeros with `count_include_pad`, else it does not count.
///
/// # Panics
/// When [`Pooling::check`] refuses the geometry or a slice has another length than it says.
pub fn average_pool(ctx: &Context, pool: &Pooling, count_include_pad: bool, x: &[f32], y: &mut [f32]) {
    pool.assert_sound();
    assert_eq!(x.len(), pool.x_len(), "input of {pool:?}");
    assert_eq!(y.len(), pool.y_len(), "output of {pool:?}");
    let windows = Fixed { pool, count_include_pad };
    average(ctx, &windows, [pool.height, pool.width], channel_stride(pool.channels), x, y);
}

/// Gradient of [`average_pool`]; `dx` is overwritten or added to.
///
/// # Panics
/// When [`Pooling::check`] refuses the geometry or a slice has another length than it says.
pub fn average_pool_backward(
    ctx: &Context,
    pool: &Pooling,
    count_include_pad: bool,
    dy: &[f32],
    dx: &mut [f32],
    accumulate: bool,
) {
    pool.assert_sound();
    assert_eq!(dx.len(), pool.x_len(), "input gradient of {pool:?}");
    assert_eq!(dy.len(), pool.y_len(), "output gradient of {pool:?}");
    let windows = Fixed { pool, count_include_pad };
    let size = [pool.height, pool.width];
    average_backward(ctx, &windows, size, channel_stride(pool.channels), dy, dx, accumulate);
}

/// The geometry of an adaptive average; `out: [1, 1]` is global average pooling.
///
/// Window `o` of `out` along an axis of `size` pixels is `floor(o * size / out) .. ceil((o + 1) * size / out)`.
///
/// # Shapes
/// `x`: `[batch, input, channel_stride(channels)]`, `y`: `[batch, out, channel_stride(channels)]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AdaptivePooling {
    /// Images.
    pub batch: usize,
    /// Height and width of `x`.
    pub input: [usize; 2],
    /// Height and width of `y`.
    pub out: [usize; 2],
    /// Channels.
    pub channels: usize,
}

impl AdaptivePooling {
    /// The average over the whole map.
    pub const fn global(batch: usize, input: [usize; 2], channels: usize) -> Self {
        Self { batch, input, out: [1, 1], channels }
    }

    fn assert_lengths(&self, x: usize, y: usize) {
        let cs = channel_stride(self.channels);
        assert_eq!(x, product(&[self.batch, self.input[0], self.input[1], cs]), "input of {self:?}");
        assert_eq!(y, product(&[self.batch, self.out[0], self.out[1], cs]), "output of {self:?}");
        // A window's ends are products of the two sizes.
        let largest = (0..2).map(|axis| product(&[self.input[axis], self.out[axis]])).max();
        assert!(largest <= Some(MAX_ELEMENTS), "sizes of {self:?}");
    }
}

/// `y = average over the adaptive window`.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub fn adaptive_average_pool(ctx: &Context, pool: &AdaptivePooling, x: &[f32], y: &mut [f32]) {
    pool.assert_lengths(x.len(), y.len());
    let windows = Adaptive { input: pool.input, out: pool.out };
    average(ctx, &windows, pool.input, channel_stride(pool.channels), x, y);
}

/// Gradient of [`adaptive_average_pool`]; `dx` is overwritten or added to.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub fn adaptive_average_pool_backward(
    ctx: &Context,
    pool: &AdaptivePooling,
    dy: &[f32],
    dx: &mut [f32],
    accumulate: bool,
) {
    pool.assert_lengths(dx.len(), dy.len());
    let windows = Adaptive { input: pool.input, out: pool.out };
    average_backward(ctx, &windows, pool.input, channel_stride(pool.channels), dy, dx, accumulate);
}
