//! Floats that kernels compute with, and how tensors become slices of them and back.

use std::borrow::Cow;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use half::{bf16, f16};
use oculist_graph::{DataType, Tensor, TensorData};

use crate::call::Problem;
use crate::cast::cast;
use crate::gemm::Number;

/// A float with the arithmetic of kernels: `f32`, also for half-width types, or `f64`.
pub(crate) trait Real:
    Number
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
{
    const ZERO: Self;
    const ONE: Self;
    const NEG_INFINITY: Self;
    fn to_f64(self) -> f64;
    fn of_f64(value: f64) -> Self;
    fn wrap(values: Vec<Self>) -> TensorData;
    fn of_f32(value: f32) -> Self;
    fn of_usize(value: usize) -> Self;
    /// The elements of a tensor; borrowed if it holds this type.
    fn read(tensor: &Tensor) -> Cow<'_, [Self]>;
    fn exp(self) -> Self;
    fn tanh(self) -> Self;
    fn sqrt(self) -> Self;
    fn abs(self) -> Self;
    fn floor(self) -> Self;
    fn powf(self, exponent: Self) -> Self;
    fn larger(self, other: Self) -> Self;
}

macro_rules! real {
    ($type:ident, $variant:ident) => {
        impl Real for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NEG_INFINITY: Self = Self::NEG_INFINITY;

            fn to_f64(self) -> f64 {
                self.into()
            }

            fn of_f64(value: f64) -> Self {
                value as Self
            }

            fn wrap(values: Vec<Self>) -> TensorData {
                TensorData::$variant(values)
            }

            fn of_f32(value: f32) -> Self {
                value as Self
            }

            fn of_usize(value: usize) -> Self {
                value as Self
            }

            fn read(tensor: &Tensor) -> Cow<'_, [Self]> {
                if let TensorData::$variant(v) = tensor.data() {
                    return Cow::Borrowed(v);
                }
                match cast(tensor, DataType::$variant).into_data() {
                    TensorData::$variant(v) => Cow::Owned(v),
                    _ => Cow::Owned(Vec::new()),
                }
            }

            fn exp(self) -> Self {
                self.exp()
            }

            fn tanh(self) -> Self {
                self.tanh()
            }

            fn sqrt(self) -> Self {
                self.sqrt()
            }

            fn abs(self) -> Self {
                self.abs()
            }

            fn floor(self) -> Self {
                self.floor()
            }

            fn powf(self, exponent: Self) -> Self {
                self.powf(exponent)
            }

            fn larger(self, other: Self) -> Self {
                self.max(other)
            }
        }
    };
}

real!(f32, F32);
real!(f64, F64);

/// A result of the type that a node's value has: half-width types are rounded here.
pub(crate) fn finish<T: Real>(shape: &[usize], values: Vec<T>, dtype: DataType) -> Result<Tensor, Problem> {
    let tensor = Tensor::new(shape.to_vec(), T::wrap(values))?;
    Ok(if tensor.dtype() == dtype { tensor } else { cast(&tensor, dtype) })
}

/// Rounds values as storing them in a type does.
pub(crate) fn round_to<T: Real>(values: &mut [T], dtype: DataType) {
    let through: fn(f64) -> f64 = match dtype {
        DataType::F16 => |v| f16::from_f64(v).to_f64(),
        DataType::BF16 => |v| bf16::from_f64(v).to_f64(),
        DataType::F32 => |v| f64::from(v as f32),
        _ => return,
    };
    for v in values {
        *v = T::of_f64(through(v.to_f64()));
    }
}

/// Runs an expression with the type `T` that floats of an element type are computed in.
macro_rules! with_real {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            oculist_graph::DataType::F64 => {
                type $T = f64;
                $body
            }
            _ => {
                type $T = f32;
                $body
            }
        }
    };
}

pub(crate) use with_real;
