//! Quantisation, dequantisation, sums, products and tables of bytes.

use super::Quant;
use super::simd::{IntKernel, IntPath, IntSimd, dispatch};
use crate::activation::tail_mask;
use crate::context::Context;
use crate::layout::{LANES, Rows, product};

/// Bytes of one task of an elementwise pass.
const PIECE: usize = 16 * 1024;

/// Whole rows of `stride` bytes, about [`PIECE`] bytes.
fn piece_len(stride: usize) -> usize {
    (PIECE / stride.max(1)).max(1) * stride
}

/// `x / scale` within two integers of at most 255, ready to be rounded.
///
/// Division is slow. A product with the inverse of the scale is off by less than 1e-4, which can only matter next to
/// a tie; there, and only there, it is divided.
#[inline(always)]
pub(super) fn divide<S: IntSimd>(s: S, x: S::F, scale: f32, low: f32, high: f32) -> S::F {
    let product = s.min(s.max(s.mul(x, s.splat(1.0 / scale)), s.splat(low)), s.splat(high));
    let rounded = s.round(product);
    let rest = s.sub(product, rounded);
    if s.any_gt(s.max(rest, s.sub(s.splat(0.0), rest)), s.splat(0.4998)) {
        return s.min(s.max(s.div(x, s.splat(scale)), s.splat(low)), s.splat(high));
    }
    rounded
}

/// `y = saturate(round_half_even(x / scale) + zero_point)`; lanes beyond `channels` become the zero point.
///
/// # Shapes
/// `x`: `[rows, x_stride]`, `y`: `[rows, y_stride]`; only the first `channels` of each row are read.
///
/// # Panics
/// When a slice is shorter than the shape says.
pub fn int_quantize(
    ctx: &Context,
    shape: Rows,
    [x_stride, y_stride]: [usize; 2],
    quant: Quant,
    x: &[f32],
    y: &mut [u8],
) {
    struct Run<'a> {
        quant: Quant,
        channels: usize,
        strides: [usize; 2],
        x: &'a [f32],
        y: &'a mut [u8],
    }
    impl Run<'_> {
        /// Sixteen numbers.
        #[inline(always)]
        fn block<S: IntSimd>(&self, s: S, x: S::F, y: &mut [u8; LANES]) {
            let zero_point = f32::from(self.quant.zero_point);
            let t = divide(s, x, self.quant.scale, -zero_point, 255.0 - zero_point);
            // SAFETY: the array holds sixteen bytes; the sums lie in 0..=255.
            unsafe { s.store_u8(t, s.splat_i32(i32::from(self.quant.zero_point)), y.as_mut_ptr()) };
        }
    }
    impl Run<'_> {
        /// Dense pixels of `C` channels to pixels of four bytes, four at a time.
        #[inline(always)]
        fn image<S: IntSimd, const C: usize>(&self, s: S, y: &mut [u8]) {
            let (blocks, rest) = y.as_chunks_mut::<LANES>();
            for (x, y) in self.x.chunks_exact(4 * C).zip(&mut *blocks) {
                // SAFETY: four pixels of `C` channels were sliced.
                self.block(s, unsafe { s.load_pixels::<C>(x.as_ptr()) }, y);
            }
            let x = self.x[4 * C * blocks.len()..].chunks_exact(C);
            for (x, y) in x.zip(rest.as_chunks_mut::<4>().0) {
                *y = [self.quant.zero_point; 4];
                for (x, y) in x.iter().zip(y) {
                    *y = self.quant.quantize(*x);
                }
            }
        }
    }
    impl IntKernel for Run<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: IntSimd>(mut self, s: S) {
            let [x_stride, y_stride] = self.strides;
            let y = std::mem::take(&mut self.y);
            if x_stride == y_stride && x_stride.is_multiple_of(LANES) {
                // Padded lanes are 0 and so become the zero point.
                for (y, x) in y.as_chunks_mut::<LANES>().0.iter_mut().zip(self.x.as_chunks::<LANES>().0) {
                    self.block(s, s.block(x), y);
                }
                return;
            }
            match (x_stride == self.channels && y_stride == 4, x_stride) {
                (true, 1) => return self.image::<S, 1>(s, y),
                (true, 2) => return self.image::<S, 2>(s, y),
                (true, 3) => return self.image::<S, 3>(s, y),
                (true, 4) => return self.image::<S, 4>(s, y),
                _ => y.fill(self.quant.zero_point),
            }
            for (y, x) in y.chunks_exact_mut(y_stride).zip(self.x.chunks_exact(x_stride)) {
                for (y, x) in y.iter_mut().zip(&x[..self.channels]) {
                    *y = self.quant.quantize(*x);
                }
            }
        }
    }
    let Rows { rows, channels } = shape;
    let (x, y) = (&x[..product(&[rows, x_stride])], &mut y[..product(&[rows, y_stride])]);
    let piece = piece_len(y_stride);
    let path = IntPath::of(ctx);
    ctx.for_pieces(y, piece, |i, y| {
        let first = i * piece / y_stride;
        let x = &x[first * x_stride..][..y.len() / y_stride * x_stride];
        dispatch(path, Run { quant, channels, strides: [x_stride, y_stride], x, y });
    });
}

/// `y = (x - zero_point) * scale`; padded lanes become 0.
///
/// # Shapes
/// `x`, `y`: `[rows, stride]`.
///
/// # Panics
/// When a slice is shorter than the shape says.
pub fn int_dequantize(ctx: &Context, shape: Rows, quant: Quant, x: &[u8], y: &mut [f32]) {
    struct Run<'a> {
        quant: Quant,
        channels: usize,
        stride: usize,
        x: &'a [u8],
        y: &'a mut [f32],
    }
    impl IntKernel for Run<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: IntSimd>(self, s: S) {
            let (zero, scale) = (s.splat(f32::from(self.quant.zero_point)), s.splat(self.quant.scale));
            let mask = tail_mask(self.channels);
            let blocks = self.stride / LANES;
            let x = self.x.as_chunks::<LANES>().0;
            for (i, (y, x)) in self.y.as_chunks_mut::<LANES>().0.iter_mut().zip(x).enumerate() {
                // SAFETY: the arrays hold sixteen elements.
                unsafe {
                    let mut t = s.mul(s.sub(s.load_u8(x.as_ptr()), zero), scale);
                    if i % blocks == blocks - 1 {
                        t = s.mul(t, s.block(&mask));
                    }
                    s.store_f32(t, y.as_mut_ptr());
                }
            }
        }
    }
    let (x, y) = (&x[..shape.len()], &mut y[..shape.len()]);
    let stride = shape.stride();
    let piece = piece_len(stride);
    let path = IntPath::of(ctx);
    ctx.for_pieces(y, piece, |i, y| {
        let x = &x[i * piece..][..y.len()];
        dispatch(path, Run { quant, channels: shape.channels, stride, x, y });
    });
}

/// The sum of two byte tensors as ONNX Runtime computes it: `a * own + (b * other + fixed)` with two fused
/// multiply-adds on the bytes as they are, rounded with the result's zero point in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sum {
    first: f32,
    second: f32,
    fixed: f32,
}

impl Sum {
    /// For `a + b`.
    pub(super) fn new(a: Quant, b: Quant, y: Quant) -> Self {
        let (first, second) = (a.scale / y.scale, b.scale / y.scale);
        let zeros = first.mul_add(f32::from(a.zero_point), second * f32::from(b.zero_point));
        Self { first, second, fixed: f32::from(y.zero_point) - zeros }
    }

    /// The largest absolute value of [`Sum::apply`] for bytes.
    pub(super) fn bound(self) -> f64 {
        let [first, second, fixed] = [self.first, self.second, self.fixed].map(|x| f64::from(x).abs());
        255.0 * (first + second) + fixed
    }

    /// The sum's byte before rounding and clamping.
    #[inline(always)]
    pub(super) fn apply<S: IntSimd>(self, s: S, a: S::F, b: S::F) -> S::F {
        s.fma(a, s.splat(self.first), s.fma(b, s.splat(self.second), s.splat(self.fixed)))
    }
}

/// How two byte tensors become one.
#[derive(Clone, Copy)]
enum Pair {
    Sum(Sum),
    /// `(a - zero) * (b - zero) * factor + zero`.
    Product {
        zeros: [f32; 2],
        factor: f32,
        zero: f32,
    },
}

impl Pair {
    fn product(a: Quant, b: Quant, y: Quant) -> Self {
        Self::Product {
            zeros: [a, b].map(|q| f32::from(q.zero_point)),
            factor: a.scale * b.scale / y.scale,
            zero: f32::from(y.zero_point),
        }
    }
}

struct Combine<'a> {
    pair: Pair,
    levels: [u8; 2],
    a: &'a [u8],
    b: &'a [u8],
    y: &'a mut [u8],
}

impl IntKernel for Combine<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: IntSimd>(self, s: S) {
        let [low, high] = self.levels.map(|level| s.splat(f32::from(level)));
        let offset = s.splat_i32(0);
        // A gate of one row repeats for every pixel.
        let b = self.b.as_chunks::<LANES>().0;
        let a = self.a.as_chunks::<LANES>().0;
        let y = self.y.as_chunks_mut::<LANES>().0;
        for (y, a) in y.chunks_mut(b.len()).zip(a.chunks(b.len())) {
            for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
                // SAFETY: the arrays hold sixteen bytes; what is stored was clamped to 0..=255.
                unsafe {
                    let (a, b) = (s.load_u8(a.as_ptr()), s.load_u8(b.as_ptr()));
                    let t = match self.pair {
                        Pair::Sum(sum) => sum.apply(s, a, b),
                        Pair::Product { zeros, factor, zero } => {
                            let product = s.mul(s.sub(a, s.splat(zeros[0])), s.sub(b, s.splat(zeros[1])));
                            s.add(s.mul(product, s.splat(factor)), s.splat(zero))
                        }
                    };
                    s.store_u8(s.min(s.max(t, low), high), offset, y.as_mut_ptr());
                }
            }
        }
    }
}

/// `y = clamp(quantize(a + b), low, high)`; `low` is the zero point for a fused ReLU.
///
/// # Panics
/// When the lengths differ or are no multiple of 16.
pub fn int_add(
    ctx: &Context,
    (a, a_quant): (&[u8], Quant),
    (b, b_quant): (&[u8], Quant),
    (y, y_quant): (&mut [u8], Quant),
    levels: [u8; 2],
) {
    combine(ctx, Pair::Sum(Sum::new(a_quant, b_quant, y_quant)), a, b, y, levels);
}

/// `y = quantize(a * b)`.
///
/// # Panics
/// When the lengths differ or are no multiple of 16.
pub fn int_multiply(
    ctx: &Context,
    (a, a_quant): (&[u8], Quant),
    (b, b_quant): (&[u8], Quant),
    (y, y_quant): (&mut [u8], Quant),
) {
    combine(ctx, Pair::product(a_quant, b_quant, y_quant), a, b, y, [0, 255]);
}

fn combine(ctx: &Context, pair: Pair, a: &[u8], b: &[u8], y: &mut [u8], levels: [u8; 2]) {
    assert!(a.len() == y.len() && b.len() == y.len(), "operands of different lengths");
    assert!(y.len().is_multiple_of(LANES), "length {} is no multiple of {LANES}", y.len());
    let path = IntPath::of(ctx);
    ctx.for_pieces(y, PIECE, |i, y| {
        let part = i * PIECE..i * PIECE + y.len();
        dispatch(path, Combine { pair, levels, a: &a[part.clone()], b: &b[part], y });
    });
}

/// `y[n, p, c] = quantize(x[n, p, c] * gate[n, c])`: the product of squeeze-and-excitation.
///
/// # Shapes
/// `x`, `y`: `[batch, pixels, stride]`; `gate`: `[batch, stride]`; `shape.rows = batch * pixels`.
///
/// # Panics
/// When a slice is shorter than the shape says.
pub fn int_gate(
    ctx: &Context,
    shape: Rows,
    batch: usize,
    (x, x_quant): (&[u8], Quant),
    (gate, gate_quant): (&[u8], Quant),
    (y, y_quant): (&mut [u8], Quant),
) {
    let stride = shape.stride();
    let (x, y, gate) = (&x[..shape.len()], &mut y[..shape.len()], &gate[..product(&[batch, stride])]);
    if y.is_empty() {
        return;
    }
    let image = y.len() / batch;
    // Pieces of whole pixels that divide the image, so that each piece has one gate.
    let pixels = image / stride;
    let parts = (1..=pixels).find(|&p| pixels.is_multiple_of(p) && image / p <= PIECE).unwrap_or(1);
    let piece = image / parts;
    let pair = Pair::product(x_quant, gate_quant, y_quant);
    let path = IntPath::of(ctx);
    ctx.for_pieces(y, piece, |i, y| {
        let (a, b) = (&x[i * piece..][..y.len()], &gate[i / parts * stride..][..stride]);
        dispatch(path, Combine { pair, levels: [0, 255], a, b, y });
    });
}

/// `table[q] = quantize(f(dequantize(q)))`: any function of one byte.
pub fn lookup_table(x: Quant, y: Quant, f: impl Fn(f32) -> f32) -> [u8; 256] {
    std::array::from_fn(|q| y.quantize(f(x.dequantize(q as u8))))
}

/// `y = table[x]`.
///
/// # Panics
/// When the lengths differ.
pub fn int_lookup(ctx: &Context, table: &[u8; 256], x: &[u8], y: &mut [u8]) {
    assert_eq!(x.len(), y.len(), "operands of different lengths");
    ctx.for_pieces(y, PIECE, |i, y| {
        let x = &x[i * PIECE..][..y.len()];
        for (y, x) in y.iter_mut().zip(x) {
            *y = table[usize::from(*x)];
        }
    });
}
