//! Functions of two and more elements, with broadcasting.

use oculist_graph::{Binary, Tensor, Variadic};

use super::broadcast::{sum_to, walk};
use super::unary::Flat;
use super::{Backward, Gradients, Reverse};
use crate::call::Problem;
use crate::real::{Real, finish, with_real};

impl Flat for Binary {
    fn is_flat(&self) -> bool {
        match self {
            Self::Add | Self::Sub | Self::Mul | Self::Div | Self::Pow | Self::Mod { .. } | Self::PRelu => {
                false
            }
            Self::And
            | Self::Or
            | Self::Xor
            | Self::BitwiseAnd
            | Self::BitwiseOr
            | Self::BitwiseXor
            | Self::BitShift { .. }
            | Self::Equal
            | Self::Greater
            | Self::GreaterOrEqual
            | Self::Less
            | Self::LessOrEqual => true,
        }
    }
}

/// The derivative by the first (0) or second operand.
fn slope(op: Binary, by: usize, a: f64, b: f64) -> f64 {
    match (op, by) {
        (Binary::Add | Binary::Sub | Binary::Mod { .. }, 0) | (Binary::Add, _) => 1.0,
        (Binary::Sub, _) => -1.0,
        (Binary::Mul, 0) => b,
        (Binary::Mul, _) => a,
        (Binary::Div, 0) => 1.0 / b,
        (Binary::Div, _) => -a / (b * b),
        // 0 to the power of 0 is flat, as 1 is.
        (Binary::Pow, 0) if b == 0.0 => 0.0,
        (Binary::Pow, 0) => b * a.powf(b - 1.0),
        // A power of 0 does not move with a positive exponent.
        (Binary::Pow, _) if a == 0.0 && b > 0.0 => 0.0,
        (Binary::Pow, _) => a.powf(b) * a.ln(),
        (Binary::Mod { fmod: true }, _) => -(a / b).trunc(),
        (Binary::Mod { fmod: false }, _) => -(a / b).floor(),
        (Binary::PRelu, 0) => {
            if a < 0.0 {
                b
            } else {
                1.0
            }
        }
        (Binary::PRelu, _) => a.min(0.0),
        (
            Binary::And
            | Binary::Or
            | Binary::Xor
            | Binary::BitwiseAnd
            | Binary::BitwiseOr
            | Binary::BitwiseXor
            | Binary::BitShift { .. }
            | Binary::Equal
            | Binary::Greater
            | Binary::GreaterOrEqual
            | Binary::Less
            | Binary::LessOrEqual,
            _,
        ) => 0.0,
    }
}

/// The gradient of an input of shape `to` from the slope at each element of the result.
fn chained<T: Real>(
    [a, b, dy]: [&Tensor; 3],
    to: &Tensor,
    slope: impl Fn(f64, f64) -> f64,
) -> Result<Tensor, Problem> {
    let (x, y, g) = (T::read(a), T::read(b), T::read(dy));
    let out = dy.shape();
    let each = |i: usize, p: usize, q: usize| slope(x[p].to_f64(), y[q].to_f64()) * g[i].to_f64();
    if to.shape() == out {
        let mut values = vec![T::ZERO; g.len()];
        walk(out, [a.shape(), b.shape()], |i, [p, q]| values[i] = T::of_f64(each(i, p, q)));
        return finish(out, values, to.dtype());
    }
    let mut sums = vec![0.0; to.len()];
    walk(out, [a.shape(), b.shape(), to.shape()], |i, [p, q, at]| sums[at] += each(i, p, q));
    finish(to.shape(), sums.into_iter().map(T::of_f64).collect::<Vec<T>>(), to.dtype())
}

impl Backward for Binary {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (a, b, dy) = (reverse.input(0)?, reverse.input(1)?, reverse.only()?);
        reverse.each(|by| {
            let to = if by == 0 { a } else { b };
            if *self == Self::Add || (*self == Self::Sub && by == 0) {
                return sum_to(dy, to.shape()).map(Some);
            }
            with_real!(a.dtype(), T => chained::<T>([a, b, dy], to, |a, b| slope(*self, by, a, b)).map(Some))
        })
    }
}

impl Backward for Variadic {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (y, dy) = (reverse.output(0)?, reverse.only()?);
        with_real!(dy.dtype(), T => {
            let share: Vec<f64> = match self {
                Self::Sum => vec![1.0; y.len()],
                Self::Mean => vec![1.0 / reverse.len() as f64; y.len()],
                // Inputs that are alike share.
                Self::Min | Self::Max => {
                    let values = T::read(y);
                    let mut count = vec![0.0f64; y.len()];
                    for i in 0..reverse.len() {
                        let input = reverse.input(i)?;
                        let own = T::read(input);
                        walk(y.shape(), [input.shape()], |at, [p]| {
                            count[at] += if own[p] == values[at] { 1.0 } else { 0.0 };
                        });
                    }
                    count.into_iter().map(|c| 1.0 / c.max(1.0)).collect()
                }
            };
            let (values, gradient) = (T::read(y), T::read(dy));
            reverse.each(|i| {
                let input = reverse.input(i)?;
                let own = T::read(input);
                let chosen = matches!(self, Self::Min | Self::Max);
                let mut sums = vec![0.0f64; input.len()];
                walk(y.shape(), [input.shape()], |at, [p]| {
                    if !chosen || own[p] == values[at] {
                        sums[p] += gradient[at].to_f64() * share[at];
                    }
                });
                finish(input.shape(), sums.into_iter().map(T::of_f64).collect::<Vec<T>>(), input.dtype()).map(Some)
            })
        })
    }
}
