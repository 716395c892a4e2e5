//! Functions of two elements, with broadcasting.

use oculist_graph::{Binary, DataType, Tensor, TensorData};
use oculist_kernels::Context;

use crate::broadcast::{Walk, shape, zip};
use crate::call::{Call, Forward, Outcome, Problem};
use crate::cast::cast;
use crate::element::{Element, expect_number, with_elements};

/// Functions of what elements are computed in.
trait Arithmetic: PartialOrd + Sized {
    fn apply(op: Binary, a: Self, b: Self) -> Self;
}

impl Arithmetic for f64 {
    fn apply(op: Binary, a: Self, b: Self) -> Self {
        match op {
            Binary::Add => a + b,
            Binary::Sub => a - b,
            Binary::Mul => a * b,
            Binary::Div => a / b,
            Binary::Pow => a.powf(b),
            Binary::Mod { fmod: true } => a % b,
            Binary::Mod { fmod: false } => {
                let rest = a % b;
                if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
            }
            Binary::PRelu => {
                if a < 0.0 {
                    a * b
                } else {
                    a
                }
            }
            // Those of truth values and integers, which inference refuses for floats.
            _ => Self::NAN,
        }
    }
}

impl Arithmetic for i128 {
    fn apply(op: Binary, a: Self, b: Self) -> Self {
        match op {
            Binary::Add => a.wrapping_add(b),
            Binary::Sub => a.wrapping_sub(b),
            Binary::Mul => a.wrapping_mul(b),
            // ONNX leaves open what a division by zero gives.
            Binary::Div => a.checked_div(b).unwrap_or(0),
            Binary::Mod { fmod: true } => a.checked_rem(b).unwrap_or(0),
            Binary::Mod { fmod: false } => {
                let rest = a.checked_rem(b).unwrap_or(0);
                if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }
            }
            Binary::Pow => match (u32::try_from(b), a) {
                (Ok(b), _) => a.wrapping_pow(b),
                // Of a negative exponent, the inverse is cut towards zero; of one beyond 32 bits only the parity counts.
                (_, 1) => 1,
                (_, -1) => 1 - 2 * (b & 1),
                _ => 0,
            },
            Binary::PRelu => {
                if a < 0 {
                    a.wrapping_mul(b)
                } else {
                    a
                }
            }
            Binary::And | Binary::BitwiseAnd => a & b,
            Binary::Or | Binary::BitwiseOr => a | b,
            Binary::Xor | Binary::BitwiseXor => a ^ b,
            Binary::BitShift { left } => match u32::try_from(b).ok().filter(|&n| n < 64) {
                Some(places) if left => a << places,
                Some(places) => a >> places,
                // Beyond the width, and for a negative number of places, all bits are gone but the sign's copies.
                None if left => 0,
                None => a >> 127,
            },
            Binary::Equal | Binary::Greater | Binary::GreaterOrEqual | Binary::Less | Binary::LessOrEqual => {
                0
            }
        }
    }
}

/// What is computed of two tensors: threads, function, walk and number of elements.
struct Job<'a> {
    ctx: &'a Context,
    op: Binary,
    walk: (&'a Walk<2>, usize),
}

impl Job<'_> {
    /// Comparisons of any type; `None` for other functions.
    fn compare<T: Copy + PartialOrd + Sync>(&self, a: &[T], b: &[T]) -> Option<Vec<bool>> {
        let test = match self.op {
            Binary::Equal => |a: T, b: T| a == b,
            Binary::Greater => |a: T, b: T| a > b,
            Binary::GreaterOrEqual => |a: T, b: T| a >= b,
            Binary::Less => |a: T, b: T| a < b,
            Binary::LessOrEqual => |a: T, b: T| a <= b,
            _ => return None,
        };
        Some(zip(self.ctx, self.walk, a, b, test))
    }

    /// The functions that networks spend time in, in 32-bit floats.
    fn fast(&self, a: &[f32], b: &[f32]) -> Option<Vec<f32>> {
        Some(match self.op {
            Binary::Add => zip(self.ctx, self.walk, a, b, |a, b| a + b),
            Binary::Sub => zip(self.ctx, self.walk, a, b, |a, b| a - b),
            Binary::Mul => zip(self.ctx, self.walk, a, b, |a, b| a * b),
            Binary::Div => zip(self.ctx, self.walk, a, b, |a, b| a / b),
            Binary::PRelu => zip(self.ctx, self.walk, a, b, |a, b| if a < 0.0 { a * b } else { a }),
            // Squares are common in normalisations written out.
            Binary::Pow => zip(self.ctx, self.walk, a, b, |a, b| if b == 2.0 { a * a } else { a.powf(b) }),
            _ => return None,
        })
    }

    /// Any function of any type.
    fn apply<T: Element>(&self, a: &[T], b: &[T]) -> TensorData
    where
        T::Wide: Arithmetic,
    {
        if let Some(truth) = self.compare(a, b) {
            return TensorData::Bool(truth);
        }
        let f = |a: T, b: T| T::narrow(T::Wide::apply(self.op, a.widen(), b.widen()));
        T::wrap(zip(self.ctx, self.walk, a, b, f))
    }
}

/// A function of two tensors of the same type.
fn apply(call: &Call, op: Binary, a: &Tensor, b: &Tensor) -> Result<Tensor, Problem> {
    let out = shape(&[a.shape(), b.shape()])?;
    expect_number(a.dtype(), true)?;
    let len = call.room(if op.is_comparison() { DataType::Bool } else { a.dtype() }, &out)?;
    let walk = Walk::new(&out, [a.shape(), b.shape()]);
    let job = Job { ctx: call.ctx, op, walk: (&walk, len) };
    let differ = || Problem::Text(format!("the inputs are {} and {}", a.dtype().name(), b.dtype().name()));
    let fast = a.as_f32().zip(b.as_f32()).and_then(|(a, b)| job.fast(a, b));
    let data = match fast {
        Some(y) => TensorData::F32(y),
        None => with_elements!(a.data(), x: T => job.apply::<T>(x, T::view(b.data()).ok_or_else(differ)?)),
    };
    Ok(Tensor::new(out, data)?)
}

impl Forward for Binary {
    fn forward(&self, call: &Call) -> Outcome {
        let (a, b) = (call.input(0)?, call.input(1)?);
        if a.dtype() == b.dtype() {
            return Ok(vec![apply(call, *self, a, b)?]);
        }
        // Pow with an exponent of another type: in one that holds both.
        let wide = if a.dtype().is_float() || b.dtype().is_float() { DataType::F64 } else { DataType::I64 };
        let powers = apply(call, *self, &cast(a, wide), &cast(b, wide))?;
        Ok(vec![cast(&powers, a.dtype())])
    }
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    fn of(op: Binary, a: TensorData, b: TensorData) -> TensorData {
        let ctx = Context::new(1).unwrap();
        let tensor = |data: TensorData| Tensor::new(vec![data.len()], data).unwrap();
        let (a, b) = (tensor(a), tensor(b));
        crate::evaluate(&ctx, &op.into(), &[Some(&a), Some(&b)], 1).unwrap().remove(0).into_data()
    }

    #[test]
    fn integers_divide_towards_zero_and_wrap() {
        use TensorData::{I8, I32, I64, U64};
        assert_eq!(of(Binary::Div, I32(vec![-7, 7, 1]), I32(vec![2, -2, 0])), I32(vec![-3, -3, 0]));
        assert_eq!(of(Binary::Div, I64(vec![i64::MIN]), I64(vec![-1])), I64(vec![i64::MIN]));
        assert_eq!(of(Binary::Add, I8(vec![127]), I8(vec![1])), I8(vec![-128]));
        assert_eq!(of(Binary::Mul, U64(vec![u64::MAX]), U64(vec![u64::MAX])), U64(vec![1]));
        // ONNX's Mod: -4 % 3 is 2, fmod(-4, 3) is -1.
        let (x, y) = (|| I64(vec![-4, 7, 5, 4, -7, 8]), || I64(vec![2, -3, 8, -2, 3, 5]));
        assert_eq!(of(Binary::Mod { fmod: false }, x(), y()), I64(vec![0, -2, 5, 0, 2, 3]));
        assert_eq!(of(Binary::Mod { fmod: true }, x(), y()), I64(vec![0, 1, 5, 0, -1, 3]));
    }

    #[test]
    fn powers_have_the_type_of_the_base() {
        use TensorData::{F16, F32, I32, I64, U8};
        assert_eq!(
            of(Binary::Pow, F32(vec![1.0, 2.0, 3.0]), I64(vec![4, 5, 6])),
            F32(vec![1.0, 32.0, 729.0])
        );
        assert_eq!(of(Binary::Pow, I32(vec![2, -3]), F32(vec![0.5, 3.0])), I32(vec![1, -27]));
        assert_eq!(of(Binary::Pow, I64(vec![-1, 2, 2]), I64(vec![-3, -1, 62])), I64(vec![-1, 0, 1 << 62]));
        assert_eq!(of(Binary::Pow, U8(vec![3]), I64(vec![300])), U8(vec![3u8.wrapping_pow(300)]));
        let half = |v: f32| F16(vec![f16::from_f32(v)]);
        assert_eq!(of(Binary::Pow, half(1.5), half(2.0)), half(2.25));
    }

    #[test]
    fn bits_fall_off_the_end() {
        use TensorData::{I8, U8, U64};
        assert_eq!(of(Binary::BitShift { left: true }, U8(vec![255, 1]), U8(vec![1, 9])), U8(vec![254, 0]));
        assert_eq!(of(Binary::BitShift { left: false }, U64(vec![16, 1]), U64(vec![2, 64])), U64(vec![4, 0]));
        let right = Binary::BitShift { left: false };
        assert_eq!(of(right, I8(vec![-8, 4, -1]), I8(vec![8, 9, -16])), I8(vec![-1, 0, -1]));
    }
}
