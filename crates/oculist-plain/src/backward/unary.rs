//! Functions of one element.

use oculist_graph::Unary;

use super::{Backward, Gradients, Reverse};
use crate::real::{Real, finish, with_real};
use crate::special::erf;

/// Elements that one task computes.
const PIECE: usize = 1 << 13;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The derivative at `x`. Where there is none, that of one side: of the lower one for a ramp that begins.
#[expect(clippy::match_same_arms, reason = "a table by name")]
pub(super) fn slope(op: Unary, x: f64) -> f64 {
    let chosen = |condition: bool| f64::from(u8::from(condition));
    match op {
        Unary::Relu => chosen(x > 0.0),
        Unary::Clip { min, max } => chosen(x > min.into() && x < max.into()),
        Unary::LeakyRelu { alpha } if x < 0.0 => alpha.into(),
        Unary::LeakyRelu { .. } => 1.0,
        Unary::ThresholdedRelu { alpha } => chosen(x > alpha.into()),
        Unary::Elu { alpha } if x < 0.0 => f64::from(alpha) * x.exp(),
        Unary::Elu { .. } => 1.0,
        Unary::Selu { alpha, gamma } if x <= 0.0 => f64::from(gamma) * f64::from(alpha) * x.exp(),
        Unary::Selu { gamma, .. } => gamma.into(),
        Unary::Celu { alpha } if x < 0.0 => (x / f64::from(alpha)).exp(),
        Unary::Celu { .. } => 1.0,
        Unary::HardSigmoid { alpha, beta } => {
            let (alpha, y) = (f64::from(alpha), f64::from(alpha) * x + f64::from(beta));
            alpha * chosen(y > 0.0 && y < 1.0)
        }
        Unary::HardSwish if x <= -3.0 => 0.0,
        Unary::HardSwish if x >= 3.0 => 1.0,
        Unary::HardSwish => x / 3.0 + 0.5,
        Unary::Sigmoid => sigmoid(x) * sigmoid(-x),
        Unary::Tanh => 1.0 - x.tanh() * x.tanh(),
        Unary::Softplus => sigmoid(x),
        Unary::Softsign => (1.0 + x.abs()).powi(-2),
        Unary::Mish => {
            let t = (x.max(0.0) + (-x.abs()).exp().ln_1p()).tanh();
            t + x * (1.0 - t * t) * sigmoid(x)
        }
        Unary::Gelu { tanh: false } => {
            let below = 0.5 * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2));
            below + x * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
        }
        Unary::Gelu { tanh: true } => {
            let factor = (2.0 / std::f64::consts::PI).sqrt();
            let t = (factor * (x + 0.044_715 * x * x * x)).tanh();
            0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * factor * (1.0 + 3.0 * 0.044_715 * x * x)
        }
        Unary::Swish { alpha } => {
            let s = sigmoid(f64::from(alpha) * x);
            s + f64::from(alpha) * x * s * (1.0 - s)
        }
        Unary::Shrink { lambd, .. } => chosen(x.abs() > lambd.into()),
        Unary::Erf => std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp(),
        Unary::Sqrt => 0.5 / x.sqrt(),
        Unary::Reciprocal => -1.0 / (x * x),
        Unary::Neg => -1.0,
        Unary::Abs if x == 0.0 => 0.0,
        Unary::Abs => x.signum(),
        Unary::Exp => x.exp(),
        Unary::Log => 1.0 / x,
        Unary::Sin => x.cos(),
        Unary::Cos => -x.sin(),
        Unary::Tan => 1.0 + x.tan() * x.tan(),
        Unary::Asin => (1.0 - x * x).sqrt().recip(),
        Unary::Acos => -(1.0 - x * x).sqrt().recip(),
        Unary::Atan => 1.0 / (1.0 + x * x),
        Unary::Sinh => x.cosh(),
        Unary::Cosh => x.sinh(),
        Unary::Asinh => (x * x + 1.0).sqrt().recip(),
        Unary::Acosh => (x * x - 1.0).sqrt().recip(),
        Unary::Atanh => 1.0 / (1.0 - x * x),
        Unary::Floor
        | Unary::Ceil
        | Unary::Round
        | Unary::Sign
        | Unary::Not
        | Unary::BitwiseNot
        | Unary::IsNaN
        | Unary::IsInf { .. } => 0.0,
    }
}

/// Whether a function of one element is made of steps.
pub(super) trait Flat {
    /// Whether its derivative is 0 wherever there is one.
    fn is_flat(&self) -> bool;
}

impl Flat for Unary {
    fn is_flat(&self) -> bool {
        matches!(
            self,
            Self::Floor
                | Self::Ceil
                | Self::Round
                | Self::Sign
                | Self::Not
                | Self::BitwiseNot
                | Self::IsNaN
                | Self::IsInf { .. }
        )
    }
}

impl Backward for Unary {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, dy) = (reverse.input(0)?, reverse.only()?);
        reverse.first(|| {
            with_real!(x.dtype(), T => {
                let (values, dy) = (T::read(x), T::read(dy));
                let mut dx = vec![T::ZERO; values.len()];
                reverse.ctx.for_pieces(&mut dx, PIECE, |i, part| {
                    let from = i * PIECE;
                    for ((dx, x), dy) in part.iter_mut().zip(&values[from..]).zip(&dy[from..]) {
                        *dx = T::of_f64(slope(*self, x.to_f64()) * dy.to_f64());
                    }
                });
                finish(x.shape(), dx, x.dtype())
            })
        })
    }
}
