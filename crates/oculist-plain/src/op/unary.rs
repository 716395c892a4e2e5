//! Functions of one element.

use half::{bf16, f16};
use oculist_graph::{DataType, Tensor, TensorData, Unary};
use oculist_kernels::{Context, Function, apply};

use crate::broadcast::map;
use crate::call::{Call, Forward, Outcome, Problem};
use crate::element::{Element, above, below, expect_number, with_elements};
use crate::special::erf;

/// `1 / (1 + e^-x)`.
fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `ln(1 + e^x)` without an overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The function of a float.
fn float(op: Unary, x: f64) -> f64 {
    match op {
        Unary::Relu => above(x, 0.0),
        Unary::Clip { min, max } => below(above(x, min.into()), max.into()),
        Unary::LeakyRelu { alpha } => {
            if x < 0.0 {
                f64::from(alpha) * x
            } else {
                x
            }
        }
        Unary::ThresholdedRelu { alpha } => {
            if x <= alpha.into() {
                0.0
            } else {
                x
            }
        }
        Unary::Elu { alpha } => {
            if x < 0.0 {
                f64::from(alpha) * x.exp_m1()
            } else {
                x
            }
        }
        Unary::Selu { alpha, gamma } => {
            let inner = if x <= 0.0 { f64::from(alpha) * x.exp_m1() } else { x };
            f64::from(gamma) * inner
        }
        Unary::Celu { alpha } => {
            let alpha = f64::from(alpha);
            above(x, 0.0) + below(alpha * (x / alpha).exp_m1(), 0.0)
        }
        Unary::HardSigmoid { alpha, beta } => below(above(f64::from(alpha) * x + f64::from(beta), 0.0), 1.0),
        Unary::HardSwish => x * below(above(x / 6.0 + 0.5, 0.0), 1.0),
        Unary::Sigmoid => sigmoid(x),
        Unary::Tanh => x.tanh(),
        Unary::Softplus => softplus(x),
        Unary::Softsign => x / (1.0 + x.abs()),
        Unary::Mish => x * softplus(x).tanh(),
        Unary::Gelu { tanh: false } => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        Unary::Gelu { tanh: true } => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
        Unary::Swish { alpha } => x * sigmoid(f64::from(alpha) * x),
        Unary::Shrink { lambd, bias } => {
            let (lambd, bias) = (f64::from(lambd), f64::from(bias));
            if x < -lambd {
                x + bias
            } else if x > lambd {
                x - bias
            } else {
                0.0
            }
        }
        Unary::Erf => erf(x),
        Unary::Sqrt => x.sqrt(),
        Unary::Reciprocal => 1.0 / x,
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Exp => x.exp(),
        Unary::Log => x.ln(),
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round_ties_even(),
        Unary::Sign => {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                x
            }
        }
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Tan => x.tan(),
        Unary::Asin => x.asin(),
        Unary::Acos => x.acos(),
        Unary::Atan => x.atan(),
        Unary::Sinh => x.sinh(),
        Unary::Cosh => x.cosh(),
        Unary::Asinh => x.asinh(),
        Unary::Acosh => x.acosh(),
        Unary::Atanh => x.atanh(),
        Unary::Not | Unary::BitwiseNot | Unary::IsNaN | Unary::IsInf { .. } => {
            unreachable!("inference gives them other types")
        }
    }
}

/// The function of an integer or truth value.
fn integer(op: Unary, x: i128) -> i128 {
    match op {
        Unary::Relu => x.max(0),
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Sign => x.signum(),
        Unary::BitwiseNot => !x,
        Unary::Not => i128::from(x == 0),
        // Those that inference allows for integers, cut towards zero.
        other => float(other, x as f64) as i128,
    }
}

/// The kernel of a function of 32-bit floats, for those that need more than a few instructions.
pub fn vector_function(op: Unary) -> Option<Function> {
    match op {
        Unary::Sigmoid => Some(Function::Sigmoid),
        Unary::Swish { alpha: 1.0 } => Some(Function::Silu),
        Unary::Tanh => Some(Function::Tanh),
        Unary::Gelu { tanh: false } => Some(Function::Gelu),
        Unary::Gelu { tanh: true } => Some(Function::GeluTanh),
        Unary::Erf => Some(Function::Erf),
        Unary::Exp => Some(Function::Exp),
        _ => None,
    }
}

/// The functions that networks spend time in, in 32-bit floats.
fn fast(op: Unary, ctx: &Context, x: &[f32]) -> Option<Vec<f32>> {
    if let Some(function) = vector_function(op) {
        let mut y = vec![0.0; x.len()];
        apply(ctx, function, x, &mut y);
        return Some(y);
    }
    let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
    Some(match op {
        Unary::Relu => map(ctx, x, |x| above(x, 0.0)),
        Unary::Clip { min, max } => map(ctx, x, |x| below(above(x, min), max)),
        Unary::LeakyRelu { alpha } => map(ctx, x, |x| if x < 0.0 { alpha * x } else { x }),
        Unary::HardSigmoid { alpha, beta } => map(ctx, x, |x| below(above(alpha * x + beta, 0.0), 1.0)),
        Unary::HardSwish => map(ctx, x, |x| x * below(above(x * (1.0 / 6.0) + 0.5, 0.0), 1.0)),
        Unary::Swish { alpha } => map(ctx, x, |x| x * sigmoid(alpha * x)),
        Unary::Sqrt => map(ctx, x, f32::sqrt),
        Unary::Reciprocal => map(ctx, x, |x| 1.0 / x),
        Unary::Neg => map(ctx, x, |x: f32| -x),
        Unary::Abs => map(ctx, x, f32::abs),
        _ => return None,
    })
}

/// Whether a float is no number or infinite.
fn test(op: Unary, x: f64) -> bool {
    match op {
        Unary::IsInf { negative, positive } => {
            (negative && x == f64::NEG_INFINITY) || (positive && x == f64::INFINITY)
        }
        _ => x.is_nan(),
    }
}

/// A function of floats of some type.
fn of_floats<T: Element<Wide = f64>>(op: Unary, ctx: &Context, x: &[T]) -> TensorData {
    match op {
        Unary::IsNaN | Unary::IsInf { .. } => TensorData::Bool(map(ctx, x, |x| test(op, x.widen()))),
        _ => T::wrap(map(ctx, x, |x| T::narrow(float(op, x.widen())))),
    }
}

impl Forward for Unary {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, op) = (call.input(0)?, *self);
        expect_number(x.dtype(), true)?;
        call.room(x.dtype(), x.shape())?;
        let data = match x.data() {
            TensorData::F32(v) => match fast(op, call.ctx, v) {
                Some(y) => TensorData::F32(y),
                None => of_floats::<f32>(op, call.ctx, v),
            },
            TensorData::F64(v) => of_floats::<f64>(op, call.ctx, v),
            TensorData::F16(v) => of_floats::<f16>(op, call.ctx, v),
            TensorData::BF16(v) => of_floats::<bf16>(op, call.ctx, v),
            other => integers(op, call.ctx, other)?,
        };
        Ok(vec![Tensor::new(x.shape().to_vec(), data)?])
    }
}

/// A function of integers or truth values.
fn integers(op: Unary, ctx: &Context, data: &TensorData) -> Result<TensorData, Problem> {
    // Wide elements of floats are computed above; here they would only be rounded.
    fn go<T: Element>(op: Unary, ctx: &Context, x: &[T]) -> TensorData {
        use crate::element::Wide;
        T::wrap(map(ctx, x, |x| T::narrow(T::Wide::of_i128(integer(op, x.widen().to_i128())))))
    }
    if data.dtype() == DataType::Bool && op != Unary::Not {
        return Err("bool has no arithmetic".into());
    }
    Ok(with_elements!(data, v: T => go::<T>(op, ctx, v)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(op: Unary, x: &Tensor) -> Tensor {
        let ctx = Context::new(1).unwrap();
        crate::evaluate(&ctx, &op.into(), &[Some(x)], 1).unwrap().remove(0)
    }

    #[test]
    fn fast_functions_are_the_general_ones() {
        let ctx = Context::new(1).unwrap();
        let x: Vec<f32> =
            (-40i8..40).map(|i| f32::from(i) / 8.0).chain([f32::INFINITY, f32::NEG_INFINITY]).collect();
        for &op in Unary::ALL {
            let Some(y) = fast(op, &ctx, &x) else { continue };
            for (&x, &y) in x.iter().zip(&y) {
                let exact = float(op, x.into()) as f32;
                let near = (y - exact).abs() <= 2e-6 * exact.abs() + 2e-7;
                assert!(
                    near || y == exact || (y.is_nan() && exact.is_nan()),
                    "{op:?} of {x}: {y}, expected {exact}"
                );
            }
        }
    }

    #[test]
    fn a_nan_stays() {
        for op in
            [Unary::Relu, Unary::Clip { min: 0.0, max: 6.0 }, Unary::HardSwish, Unary::Celu { alpha: 1.0 }]
        {
            assert!(apply(op, &Tensor::f32(&[1], vec![f32::NAN])).as_f32().unwrap()[0].is_nan(), "{op:?}");
        }
    }

    #[test]
    fn integers_wrap_as_in_numpy() {
        assert_eq!(apply(Unary::Neg, &Tensor::i8(&[2], vec![-128, 5])).as_i8().unwrap(), [-128, -5]);
        assert_eq!(apply(Unary::BitwiseNot, &Tensor::u8(&[2], vec![0, 250])).as_u8().unwrap(), [255, 5]);
        // numpy.round and ONNX: halves to even.
        let y = apply(Unary::Round, &Tensor::f32(&[4], vec![0.5, 1.5, 2.5, -2.5]));
        assert_eq!(y.as_f32().unwrap(), [0.0, 2.0, 2.0, -2.0]);
    }
}
