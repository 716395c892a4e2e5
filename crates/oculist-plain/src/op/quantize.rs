//! Quantisation and its reverse.

use oculist_graph::op::axis;
use oculist_graph::{DataType, DequantizeLinear, QuantizeLinear, Tensor, TensorData};

use crate::call::{Call, Forward, Outcome, Problem};
use crate::cast::cast;

/// The least and the largest number of a quantised type.
pub(super) fn bounds(dtype: DataType) -> (i64, i64) {
    match dtype {
        DataType::U4 => (0, 15),
        DataType::I4 => (-8, 7),
        DataType::I8 => (-128, 127),
        DataType::U16 => (0, 65_535),
        DataType::I16 => (-32_768, 32_767),
        DataType::I32 => (i32::MIN.into(), i32::MAX.into()),
        _ => (0, 255),
    }
}

/// Numbers kept within the range of a type; those that are no number become the zero point 0.
pub(super) fn saturate(values: impl Iterator<Item = f64>, dtype: DataType) -> TensorData {
    let (low, high) = bounds(dtype);
    let kept = values.map(|v| (v as i64).clamp(low, high));
    match dtype {
        DataType::U4 => TensorData::U4(kept.map(|v| v as u8).collect()),
        DataType::I4 => TensorData::I4(kept.map(|v| v as i8).collect()),
        DataType::I8 => TensorData::I8(kept.map(|v| v as i8).collect()),
        DataType::U16 => TensorData::U16(kept.map(|v| v as u16).collect()),
        DataType::I16 => TensorData::I16(kept.map(|v| v as i16).collect()),
        DataType::I32 => TensorData::I32(kept.map(|v| v as i32).collect()),
        _ => TensorData::U8(kept.map(|v| v as u8).collect()),
    }
}

/// Which scale belongs to an element.
enum Scales {
    One,
    /// Sizes of the axis and of what lies behind it.
    Axis(usize, usize),
    /// Sizes of the axis, of what lies behind it, and of a block.
    Blocks(usize, usize, usize),
}

impl Scales {
    fn new(x: &Tensor, scale: &Tensor, along: i64, block: usize) -> Result<Self, Problem> {
        if scale.len() == 1 && scale.shape().len() <= 1 {
            return Ok(Self::One);
        }
        let a = axis(along, x.shape().len())?;
        let size = x.shape()[a].max(1);
        let inner = x.shape()[a + 1..].iter().product::<usize>().max(1);
        Ok(if block == 0 { Self::Axis(size, inner) } else { Self::Blocks(size, inner, block) })
    }

    fn index(&self, i: usize) -> usize {
        match *self {
            Self::One => 0,
            Self::Axis(size, inner) => i / inner % size,
            Self::Blocks(size, inner, block) => {
                let (outer, along, rest) = (i / inner / size, i / inner % size, i % inner);
                (outer * size.div_ceil(block) + along / block) * inner + rest
            }
        }
    }
}

/// The zero points as numbers, one for each scale: 0 where there is no input.
fn zeros(zero: Option<&Tensor>, scale: &Tensor) -> Result<Vec<i64>, Problem> {
    let Some(zero) = zero else { return Ok(vec![0; scale.len()]) };
    let all = zero.to_i64s().ok_or_else(|| Problem::from("a zero point must be an integer"))?;
    match all[..] {
        _ if all.len() == scale.len() => Ok(all),
        [one] => Ok(vec![one; scale.len()]),
        _ => {
            Err(format!("expected a zero point for each of {} scales, found {}", scale.len(), all.len())
                .into())
        }
    }
}

impl Forward for QuantizeLinear {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, scale) = (call.input(0)?, call.input(1)?);
        let zero = zeros(call.get(2), scale)?;
        let dtype = call.get(2).map_or(self.dtype, Tensor::dtype);
        call.room(dtype, x.shape())?;
        let scales = Scales::new(x, scale, self.axis, self.block)?;
        let data = if scale.dtype() == DataType::F64 {
            let (x, scale) = (cast(x, DataType::F64), cast(scale, DataType::F64));
            let (TensorData::F64(x), TensorData::F64(scale)) = (x.data(), scale.data()) else {
                return Err("the floats could not be widened".into());
            };
            let quotient = |(i, &x): (usize, &f64)| {
                let s = scales.index(i);
                (x / scale[s]).round_ties_even() + zero[s] as f64
            };
            saturate(x.iter().enumerate().map(quotient), dtype)
        } else {
            let (x, scale) = (x.to_f32s(), scale.to_f32s());
            let quotient = |(i, &x): (usize, &f32)| {
                let s = scales.index(i);
                f64::from((x / scale[s]).round_ties_even()) + zero[s] as f64
            };
            saturate(x.iter().enumerate().map(quotient), dtype)
        };
        Ok(vec![Tensor::new(x.shape().to_vec(), data)?])
    }
}

impl Forward for DequantizeLinear {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, scale) = (call.input(0)?, call.input(1)?);
        let dtype = self.dtype.unwrap_or(scale.dtype());
        call.room(dtype, x.shape())?;
        let zero = zeros(call.get(2), scale)?;
        let scales = Scales::new(x, scale, self.axis, self.block)?;
        let ints = x.to_i64s().ok_or("the numbers must be integers within 64 bits")?;
        let shape = x.shape().to_vec();
        let y = if dtype == DataType::F64 {
            let scale = cast(scale, DataType::F64);
            let TensorData::F64(scale) = scale.data() else {
                return Err("the scale could not be widened".into());
            };
            let value = |(i, &x): (usize, &i64)| {
                let s = scales.index(i);
                x.saturating_sub(zero[s]) as f64 * scale[s]
            };
            Tensor::new(shape, TensorData::F64(ints.iter().enumerate().map(value).collect()))?
        } else {
            let scale = scale.to_f32s();
            let value = |(i, &x): (usize, &i64)| {
                let s = scales.index(i);
                x.saturating_sub(zero[s]) as f32 * scale[s]
            };
            Tensor::new(shape, TensorData::F32(ints.iter().enumerate().map(value).collect()))?
        };
        Ok(vec![cast(&y, dtype)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;

    #[test]
    fn each_scale_has_a_zero_point() {
        // What the operators of com.microsoft are given, inference does not look at.
        let scale = Tensor::f32(&[2], vec![1.0, 2.0]);
        let of = |zero: &[u8]| zeros(Some(&Tensor::u8(&[zero.len()], zero.to_vec())), &scale).ok();
        assert_eq!(of(&[10]), Some(vec![10, 10]));
        assert_eq!(of(&[10, 20]), Some(vec![10, 20]));
        assert_eq!(of(&[1; 3]), None);
        assert_eq!(zeros(None, &scale).ok(), Some(vec![0, 0]));
    }

    #[test]
    fn halves_are_rounded_to_even_and_ends_are_kept() {
        let x = Tensor::f32(&[6], vec![0.0, 2.0, 3.0, 1000.0, -254.0, -1000.0]);
        let op = QuantizeLinear { axis: 1, block: 0, dtype: DataType::U8 };
        let y = run(op, &[&x, &Tensor::f32(&[], vec![2.0]), &Tensor::u8(&[], vec![128])]).unwrap();
        assert_eq!(y, Tensor::u8(&[6], vec![128, 129, 130, 255, 1, 0]));
    }

    #[test]
    fn blocks_have_scales_of_their_own() {
        let x = Tensor::i8(&[2, 3], vec![1, 2, 3, 4, 5, 6]);
        let scale = Tensor::f32(&[2, 2], vec![1.0, 10.0, 0.5, 100.0]);
        let y = run(DequantizeLinear { axis: 1, block: 2, dtype: None }, &[&x, &scale]).unwrap();
        assert_eq!(y, Tensor::f32(&[2, 3], vec![1.0, 2.0, 30.0, 2.0, 2.5, 600.0]));
        let y = run(DequantizeLinear::along(0), &[&x, &Tensor::f32(&[2], vec![2.0, 3.0])]).unwrap();
        assert_eq!(y, Tensor::f32(&[2, 3], vec![2.0, 4.0, 6.0, 12.0, 15.0, 18.0]));
    }
}
