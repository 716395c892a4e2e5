//! Activation functions, alone or fused into other kernels.

use crate::context::Context;
use crate::layout::{LANES, Rows, blocks, blocks_mut};
use crate::simd::{Kernel, Simd, dispatch};

/// `max(z, bound)` that keeps a NaN.
fn above(z: f32, bound: f32) -> f32 {
    if z < bound { bound } else { z }
}

/// `min(z, bound)` that keeps a NaN.
fn below(z: f32, bound: f32) -> f32 {
    if z > bound { bound } else { z }
}

/// A function applied to every element. A NaN stays a NaN, so that a diverged network shows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Activation {
    /// `z`.
    #[default]
    Identity,
    /// `max(z, 0)`.
    Relu,
    /// `min(max(z, min), max)`; ReLU6 is `Clip { min: 0.0, max: 6.0 }`.
    Clip {
        /// Lower bound.
        min: f32,
        /// Upper bound.
        max: f32,
    },
    /// `z * min(max(z / 6 + 1/2, 0), 1)`.
    HardSwish,
    /// `min(max(alpha * z + beta, 0), 1)`.
    HardSigmoid {
        /// Slope; ONNX's default is 0.2, PyTorch's function has 1/6.
        alpha: f32,
        /// Offset, 0.5 in both.
        beta: f32,
    },
    /// `1 / (1 + exp(-z))`.
    Sigmoid,
}

impl Activation {
    /// Whether `f(0) == 0`, so that padded lanes stay 0 by themselves.
    pub fn keeps_zero(self) -> bool {
        match self {
            Self::Identity | Self::Relu | Self::HardSwish => true,
            Self::Clip { min, max } => min <= 0.0 && max >= 0.0,
            Self::HardSigmoid { .. } | Self::Sigmoid => false,
        }
    }

    /// Whether the derivative can be told from the output alone.
    pub fn derivative_from_output(self) -> bool {
        !matches!(self, Self::HardSwish)
    }

    /// `f(z)` of one number.
    pub fn apply(self, z: f32) -> f32 {
        match self {
            Self::Identity => z,
            Self::Relu => above(z, 0.0),
            Self::Clip { min, max } => below(above(z, min), max),
            Self::HardSwish => z * below(above(z * (1.0 / 6.0) + 0.5, 0.0), 1.0),
            Self::HardSigmoid { alpha, beta } => below(above(alpha * z + beta, 0.0), 1.0),
            Self::Sigmoid => 1.0 / (1.0 + (-z).exp()),
        }
    }

    /// `f(z)` of a block.
    #[inline(always)]
    pub(crate) fn apply_simd<S: Simd>(self, s: S, z: S::V) -> S::V {
        match self {
            Self::Identity => z,
            // The order of the operands matters: of a NaN and a number, the second operand is returned.
            Self::Relu => s.max(s.zero(), z),
            Self::Clip { min, max } => s.min(s.splat(max), s.max(s.splat(min), z)),
            Self::HardSwish => {
                let gate = s.mul_add(z, s.splat(1.0 / 6.0), s.splat(0.5));
                s.mul(z, s.min(s.max(gate, s.zero()), s.splat(1.0)))
            }
            Self::HardSigmoid { alpha, beta } => {
                let gate = s.mul_add(z, s.splat(alpha), s.splat(beta));
                s.min(s.splat(1.0), s.max(s.zero(), gate))
            }
            Self::Sigmoid => {
                let mut lanes = s.to_array(z);
                sigmoid(&mut lanes);
                s.load(&lanes)
            }
        }
    }

    /// `dy * f'(z)` of a block, given the pre-activation `z`.
    ///
    /// At a kink the derivative is that of the flat side, as in PyTorch for ReLU and ReLU6.
    #[inline(always)]
    pub(crate) fn backward_simd<S: Simd>(self, s: S, z: S::V, dy: S::V) -> S::V {
        let zero = s.zero();
        match self {
            Self::Identity => dy,
            Self::Relu => s.select_gt(z, zero, dy, zero),
            Self::Clip { min, max } => {
                let inside = s.select_gt(z, s.splat(min), dy, zero);
                s.select_gt(s.splat(max), z, inside, zero)
            }
            Self::HardSwish => {
                let slope = s.mul_add(z, s.splat(1.0 / 3.0), s.splat(0.5));
                let inside = s.select_gt(z, s.splat(-3.0), s.mul(slope, dy), zero);
                s.select_gt(s.splat(3.0), z, inside, dy)
            }
            Self::HardSigmoid { alpha, beta } => {
                let gate = s.mul_add(z, s.splat(alpha), s.splat(beta));
                let inside = s.select_gt(gate, zero, s.mul(dy, s.splat(alpha)), zero);
                s.select_gt(s.splat(1.0), gate, inside, zero)
            }
            Self::Sigmoid => {
                let y = self.apply_simd(s, z);
                s.mul(dy, s.mul(y, s.sub(s.splat(1.0), y)))
            }
        }
    }
}

impl Activation {
    /// `dy * f'(z)` of a block, given the output `y = f(z)`; not for HardSwish, whose output does not tell.
    #[inline(always)]
    pub(crate) fn backward_from_output<S: Simd>(self, s: S, y: S::V, dy: S::V) -> S::V {
        let zero = s.zero();
        match self {
            Self::Identity | Self::HardSwish => {
                debug_assert!(self.derivative_from_output(), "the output of {self:?} does not tell");
                dy
            }
            Self::Relu => s.select_gt(y, zero, dy, zero),
            Self::Clip { min, max } => {
                let inside = s.select_gt(y, s.splat(min), dy, zero);
                s.select_gt(s.splat(max), y, inside, zero)
            }
            Self::HardSigmoid { alpha, .. } => {
                let inside = s.select_gt(y, zero, s.mul(dy, s.splat(alpha)), zero);
                s.select_gt(s.splat(1.0), y, inside, zero)
            }
            Self::Sigmoid => s.mul(dy, s.mul(y, s.sub(s.splat(1.0), y))),
        }
    }
}

/// Kept out of line, so that the calls of the exponential do not swell every kernel.
#[inline(never)]
fn sigmoid(lanes: &mut [f32; LANES]) {
    for lane in lanes {
        *lane = 1.0 / (1.0 + (-*lane).exp());
    }
}

/// Ones in the lanes of real channels of the last block, zeros in the padding.
pub(crate) fn tail_mask(channels: usize) -> [f32; LANES] {
    let used = match channels % LANES {
        0 => LANES,
        rest => rest,
    };
    std::array::from_fn(|i| if i < used { 1.0 } else { 0.0 })
}

/// `y = f(x)`.
///
/// # Shapes
/// `x`, `y`: `[rows, stride]`.
///
/// # Panics
/// When a slice is shorter than the shape says.
pub fn activation_forward(ctx: &Context, shape: Rows, activation: Activation, x: &[f32], y: &mut [f32]) {
    struct Forward<'a> {
        activation: Activation,
        x: &'a [f32],
        y: &'a mut [f32],
        mask: Option<[f32; LANES]>,
        blocks_per_row: usize,
    }
    impl Kernel for Forward<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            for (y, x) in blocks_mut(self.y).iter_mut().zip(blocks(self.x)) {
                s.store(self.activation.apply_simd(s, s.load(x)), y);
            }
            if let Some(mask) = self.mask {
                let last = self.blocks_per_row - 1;
                for y in blocks_mut(self.y).iter_mut().skip(last).step_by(self.blocks_per_row) {
                    let masked = s.mul(s.load(y), s.load(&mask));
                    s.store(masked, y);
                }
            }
        }
    }
    let (x, y) = (&x[..shape.len()], &mut y[..shape.len()]);
    let stride = shape.stride();
    let mask = (!activation.keeps_zero() && shape.channels < stride).then(|| tail_mask(shape.channels));
    let piece = Context::piece_len(y.len(), stride);
    ctx.for_pieces(y, piece, |i, y| {
        let x = &x[i * piece..][..y.len()];
        dispatch(ctx, Forward { activation, x, y, mask, blocks_per_row: stride / LANES });
    });
}

/// `dx = dy * f'(x)`, or `dx += ..` with `accumulate`.
///
/// # Shapes
/// `x` (the pre-activation), `dy`, `dx`: `[rows, stride]`; padded lanes of `dy` are 0.
///
/// # Panics
/// When a slice is shorter than the shape says.
pub fn activation_backward(
    ctx: &Context,
    shape: Rows,
    activation: Activation,
    x: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    accumulate: bool,
) {
    struct Backward<'a> {
        activation: Activation,
        x: &'a [f32],
        dy: &'a [f32],
        dx: &'a mut [f32],
        accumulate: bool,
    }
    impl Kernel for Backward<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            for ((dx, x), dy) in blocks_mut(self.dx).iter_mut().zip(blocks(self.x)).zip(blocks(self.dy)) {
                let mut d = self.activation.backward_simd(s, s.load(x), s.load(dy));
                if self.accumulate {
                    d = s.add(d, s.load(dx));
                }
                s.store(d, dx);
            }
        }
    }
    let (x, dy, dx) = (&x[..shape.len()], &dy[..shape.len()], &mut dx[..shape.len()]);
    let piece = Context::piece_len(dx.len(), shape.stride());
    ctx.for_pieces(dx, piece, |i, dx| {
        let part = i * piece..i * piece + dx.len();
        dispatch(ctx, Backward { activation, x: &x[part.clone()], dy: &dy[part], dx, accumulate });
    });
}
