//! Additions, scalings and the channel-wise product of squeeze-and-excitation.

use crate::context::Context;
use crate::layout::{LANES, Rows, blocks, blocks_mut};
use crate::simd::{Kernel, Simd, dispatch};

/// `y = a * x + b * y`, block by block.
struct Axpby<'a> {
    a: f32,
    x: &'a [f32],
    b: f32,
    y: &'a mut [f32],
}

impl Kernel for Axpby<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (a, b) = (s.splat(self.a), s.splat(self.b));
        let (y_blocks, y_rest) = self.y.as_chunks_mut::<LANES>();
        let (x_blocks, x_rest) = self.x.as_chunks::<LANES>();
        for (y, x) in y_blocks.iter_mut().zip(x_blocks) {
            let v = s.mul_add(s.load(x), a, s.mul(s.load(y), b));
            s.store(v, y);
        }
        for (y, x) in y_rest.iter_mut().zip(x_rest) {
            *y = self.a * x + self.b * *y;
        }
    }
}

fn axpby(ctx: &Context, a: f32, x: &[f32], b: f32, y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "operands of different lengths");
    let piece = Context::piece_len(y.len(), LANES);
    ctx.for_pieces(y, piece, |i, y| {
        let x = &x[i * piece..][..y.len()];
        dispatch(ctx, Axpby { a, x, b, y });
    });
}

/// `y += x`.
///
/// # Panics
/// When the lengths differ.
pub fn add_assign(ctx: &Context, x: &[f32], y: &mut [f32]) {
    axpby(ctx, 1.0, x, 1.0, y);
}

/// `y += factor * x`.
///
/// # Panics
/// When the lengths differ.
pub fn add_scaled(ctx: &Context, factor: f32, x: &[f32], y: &mut [f32]) {
    axpby(ctx, factor, x, 1.0, y);
}

/// `y = a + b`.
///
/// # Panics
/// When the lengths differ.
pub fn add(ctx: &Context, a: &[f32], b: &[f32], y: &mut [f32]) {
    struct Add<'a> {
        a: &'a [f32],
        b: &'a [f32],
        y: &'a mut [f32],
    }
    impl Kernel for Add<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let (y_blocks, y_rest) = self.y.as_chunks_mut::<LANES>();
            let (a_blocks, a_rest) = self.a.as_chunks::<LANES>();
            let (b_blocks, b_rest) = self.b.as_chunks::<LANES>();
            for ((y, a), b) in y_blocks.iter_mut().zip(a_blocks).zip(b_blocks) {
                s.store(s.add(s.load(a), s.load(b)), y);
            }
            for ((y, a), b) in y_rest.iter_mut().zip(a_rest).zip(b_rest) {
                *y = a + b;
            }
        }
    }
    assert!(a.len() == y.len() && b.len() == y.len(), "operands of different lengths");
    let piece = Context::piece_len(y.len(), LANES);
    ctx.for_pieces(y, piece, |i, y| {
        let part = i * piece..i * piece + y.len();
        dispatch(ctx, Add { a: &a[part.clone()], b: &b[part], y });
    });
}

/// `x *= factor`.
pub fn scale(ctx: &Context, factor: f32, x: &mut [f32]) {
    struct Scale<'a> {
        factor: f32,
        x: &'a mut [f32],
    }
    impl Kernel for Scale<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let factor = s.splat(self.factor);
            let (blocks, rest) = self.x.as_chunks_mut::<LANES>();
            for x in blocks {
                let v = s.mul(s.load(x), factor);
                s.store(v, x);
            }
            for x in rest {
                *x *= self.factor;
            }
        }
    }
    let piece = Context::piece_len(x.len(), LANES);
    ctx.for_pieces(x, piece, |_, x| dispatch(ctx, Scale { factor, x }));
}

/// `y[n, p, c] = x[n, p, c] * gate[n, c]`: the product of squeeze-and-excitation.
///
/// # Shapes
/// `x`, `y`: `[batch, pixels, stride]`; `gate`: `[batch, stride]`; `shape.rows = batch * pixels`.
///
/// # Panics
/// When a length does not fit the shape.
pub fn channel_scale(ctx: &Context, shape: Rows, batch: usize, x: &[f32], gate: &[f32], y: &mut [f32]) {
    struct Product<'a> {
        x: &'a [f32],
        gate: &'a [f32],
        y: &'a mut [f32],
    }
    impl Kernel for Product<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let gate = blocks(self.gate);
            let n = gate.len();
            for (y, x) in blocks_mut(self.y).chunks_exact_mut(n).zip(blocks(self.x).chunks_exact(n)) {
                for ((y, x), g) in y.iter_mut().zip(x).zip(gate) {
                    s.store(s.mul(s.load(x), s.load(g)), y);
                }
            }
        }
    }
    if shape.is_empty() {
        return;
    }
    let stride = shape.stride();
    let image = image_len(shape, batch);
    let (x, y, gate) = (&x[..shape.len()], &mut y[..shape.len()], &gate[..batch * stride]);
    ctx.for_pieces(y, image, |n, y| {
        dispatch(ctx, Product { x: &x[n * image..][..image], gate: &gate[n * stride..][..stride], y });
    });
}

/// Gradients of [`channel_scale`]: `dx = dy * gate` (or `dx += ..`), `dgate[n, c] = sum over p of dy * x`.
///
/// # Shapes
/// `x`, `dy`, `dx`: `[batch, pixels, stride]`; `gate`, `dgate`: `[batch, stride]`.
///
/// # Panics
/// When a length does not fit the shape.
pub fn channel_scale_backward(
    ctx: &Context,
    shape: Rows,
    batch: usize,
    x: &[f32],
    gate: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    accumulate: bool,
    dgate: &mut [f32],
) {
    struct ProductBackward<'a> {
        x: &'a [f32],
        gate: &'a [f32],
        dy: &'a [f32],
        dx: &'a mut [f32],
        accumulate: bool,
        dgate: &'a mut [f32],
    }
    impl Kernel for ProductBackward<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let gate = blocks(self.gate);
            let dgate = blocks_mut(self.dgate);
            let n = gate.len();
            let rows = self.x.len() / (n * LANES);
            let (x, dy, dx) = (blocks(self.x), blocks(self.dy), blocks_mut(self.dx));
            for b in 0..n {
                let g = s.load(&gate[b]);
                let mut total = s.zero();
                for row in 0..rows {
                    let i = row * n + b;
                    let d = s.load(&dy[i]);
                    total = s.mul_add(d, s.load(&x[i]), total);
                    let old = if self.accumulate { s.load(&dx[i]) } else { s.zero() };
                    s.store(s.mul_add(d, g, old), &mut dx[i]);
                }
                s.store(total, &mut dgate[b]);
            }
        }
    }
    if shape.is_empty() {
        return;
    }
    let stride = shape.stride();
    let image = image_len(shape, batch);
    let (x, dy, dx) = (&x[..shape.len()], &dy[..shape.len()], &mut dx[..shape.len()]);
    let (gate, dgate) = (&gate[..batch * stride], &mut dgate[..batch * stride]);
    let dgate = crate::context::SendPtr(dgate.as_mut_ptr());
    ctx.for_pieces(dx, image, |n, dx| {
        // SAFETY: image `n` owns the row `n` of `dgate`, whose length was checked above.
        let dgate = unsafe { std::slice::from_raw_parts_mut(dgate.get().add(n * stride), stride) };
        let part = n * image..(n + 1) * image;
        let gate = &gate[n * stride..][..stride];
        dispatch(ctx, ProductBackward { x: &x[part.clone()], gate, dy: &dy[part], dx, accumulate, dgate });
    });
}

/// f32 of one image.
fn image_len(shape: Rows, batch: usize) -> usize {
    assert!(batch > 0 && shape.rows.is_multiple_of(batch), "{} rows are no {batch} images", shape.rows);
    shape.len() / batch
}
