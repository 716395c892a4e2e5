//! Products of bytes: the zero points are taken off first, then wider numbers are multiplied.

use oculist_graph::{
    ConvInteger, DataType, DynamicQuantizeLinear, IntegerMatMul, MatMul, QLinearConv, Tensor, TensorData,
};

use super::quantize::saturate;
use crate::call::{Call, Forward, Outcome, Problem};
use crate::cast::cast;

/// The first result.
fn first(mut results: Vec<Tensor>) -> Result<Tensor, Problem> {
    if results.is_empty() { Err("the operator has no result".into()) } else { Ok(results.swap_remove(0)) }
}

/// A number for each element of a value: one for all, or one for each index of an axis, or one broadcast as its shape
/// says.
pub(super) fn each(
    numbers: &Tensor,
    shape: &[usize],
    axis: usize,
) -> Result<impl Fn(usize) -> usize + use<>, Problem> {
    let own = numbers.shape();
    // A vector lies along the axis, other shapes are broadcast from the back.
    let dims: Vec<usize> = if numbers.len() == 1 {
        Vec::new()
    } else if own.len() == 1 {
        let behind = shape.len().saturating_sub(axis + 1);
        own.iter().copied().chain(vec![1; behind]).collect()
    } else {
        own.to_vec()
    };
    let offset = shape.len().checked_sub(dims.len());
    let fits = offset.is_some_and(|o| dims.iter().zip(&shape[o..]).all(|(&d, &n)| d == 1 || d == n));
    if !fits {
        return Err(format!("scales or zero points {own:?} do not fit {shape:?}").into());
    }
    // Sizes behind an axis, its size, and the distance in the numbers: 0 where they are broadcast.
    let mut steps = Vec::new();
    let (mut behind, mut step) = (1usize, 1usize);
    for (a, &size) in shape.iter().enumerate().rev() {
        let dim = offset.and_then(|o| a.checked_sub(o)).map_or(1, |i| dims[i]);
        if dim != 1 {
            steps.push((behind, size, step));
        }
        step *= dim;
        behind = behind.saturating_mul(size);
    }
    Ok(move |i: usize| steps.iter().map(|&(behind, size, step)| i / behind % size * step).sum())
}

/// The integers less their zero points.
fn centered(call: &Call, x: &Tensor, zero: Option<&Tensor>, axis: usize) -> Result<Vec<i64>, Problem> {
    call.room(DataType::I64, x.shape())?;
    let mut ints = x.to_i64s().ok_or("the numbers must be integers")?;
    if let Some(zero) = zero {
        let points = zero.to_i64s().ok_or("the zero points must be integers")?;
        let index = each(zero, x.shape(), axis)?;
        for (i, x) in ints.iter_mut().enumerate() {
            *x -= points[index(i)];
        }
    }
    Ok(ints)
}

/// A tensor of 64-bit floats, which hold all sums of products of bytes exactly.
fn exact(ints: &[i64], shape: &[usize]) -> Result<Tensor, Problem> {
    Ok(Tensor::new(shape.to_vec(), TensorData::F64(ints.iter().map(|&v| v as f64).collect()))?)
}

fn sums(call: &Call, conv: &oculist_graph::Conv, x: &Tensor, w: &Tensor) -> Result<Tensor, Problem> {
    let y = first(conv.forward(&Call { ctx: call.ctx, inputs: &[Some(x), Some(w)], outputs: 1 })?)?;
    Ok(cast(&y, DataType::I32))
}

impl Forward for ConvInteger {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, w) = (call.input(0)?, call.input(1)?);
        let x = exact(&centered(call, x, call.get(2), 0)?, x.shape())?;
        let w = exact(&centered(call, w, call.get(3), 0)?, w.shape())?;
        Ok(vec![sums(call, &self.conv, &x, &w)?])
    }
}

impl Forward for QLinearConv {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, w) = (call.input(0)?, call.input(3)?);
        let x = exact(&centered(call, x, call.get(2), 0)?, x.shape())?;
        let w = exact(&centered(call, w, call.get(5), 0)?, w.shape())?;
        let y = sums(call, &self.conv, &x, &w)?;
        let bias = call.ints(8)?;
        let sums = y.as_i32().ok_or("sums have 32 bits")?;
        let channels = y.shape()[1].max(1);
        let map: usize = y.shape()[2..].iter().product::<usize>().max(1);
        let number = |i: usize| -> Result<f32, Problem> {
            call.input(i)?.to_f32s().first().copied().ok_or_else(|| Problem::from("a scale is missing"))
        };
        let (of_x, of_y) = (number(1)?, number(6)?);
        let factors: Vec<f32> = call.input(4)?.to_f32s().into_iter().map(|of_w| of_x * of_w / of_y).collect();
        let zero = call.ints(7)?.and_then(|z| z.first().copied()).unwrap_or(0) as f64;
        let dtype = call.input(7)?.dtype();
        let quantized = sums.iter().enumerate().map(|(i, &sum)| {
            let channel = i / map % channels;
            let sum = bias.as_ref().map_or(sum, |b| sum.wrapping_add(b[channel] as i32));
            let factor = factors[if factors.len() == 1 { 0 } else { channel }];
            f64::from((sum as f32 * factor).round_ties_even()) + zero
        });
        Ok(vec![Tensor::new(y.shape().to_vec(), saturate(quantized, dtype))?])
    }
}

/// Bytes, their scale and their zero point, for floats of the range that they have together with 0.
fn dynamic(x: &[f32]) -> (Vec<u8>, f32, u8) {
    let high = x.iter().copied().fold(0.0, f32::max);
    let low = x.iter().copied().fold(0.0, f32::min);
    let scale = if high == low { 1.0 } else { (high - low) / 255.0 };
    let zero = (-low / scale).clamp(0.0, 255.0).round_ties_even();
    let byte = |&x: &f32| ((x / scale).round_ties_even() + zero).clamp(0.0, 255.0) as u8;
    (x.iter().map(byte).collect(), scale, zero as u8)
}

impl Forward for DynamicQuantizeLinear {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        call.room(DataType::U8, x.shape())?;
        let (bytes, scale, zero) = dynamic(x.as_f32().ok_or("the values must be f32")?);
        Ok(vec![Tensor::u8(x.shape(), bytes), Tensor::f32(&[], vec![scale]), Tensor::u8(&[], vec![zero])])
    }
}

impl Forward for IntegerMatMul {
    fn forward(&self, call: &Call) -> Outcome {
        let (a, b) = (call.input(0)?, call.input(self.second())?);
        let (mut of_a, mut zero_a, zero_b, of_b, of_y, bias) = match self {
            Self::Sums => (None, call.get(2), call.get(3), None, None, None),
            Self::Quantized => (call.get(1), call.get(2), call.get(5), call.get(4), call.get(6), None),
            Self::Floats => (call.get(2), call.get(4), call.get(5), call.get(3), None, call.get(6)),
            Self::Dynamic => (None, None, call.get(3), call.get(2), None, call.get(4)),
        };
        let quantized;
        let mut a = a;
        if *self == Self::Dynamic {
            call.room(DataType::U8, a.shape())?;
            let (bytes, scale, zero) = dynamic(a.as_f32().ok_or("the values must be f32")?);
            let one = |data| Tensor::new(Vec::new(), data);
            quantized = (
                Tensor::u8(a.shape(), bytes),
                one(TensorData::F32(vec![scale]))?,
                one(TensorData::U8(vec![zero]))?,
            );
            a = &quantized.0;
            of_a = Some(&quantized.1);
            zero_a = Some(&quantized.2);
        }
        // Numbers of `a` are for its rows, those of `b` for its columns.
        let row = a.shape().len().saturating_sub(2);
        let column = b.shape().len().saturating_sub(1);
        let wide = |x: &Tensor, zero: Option<&Tensor>, axis: usize| -> Result<Tensor, Problem> {
            let ints = centered(call, x, zero, axis)?.into_iter().map(|v| v as i32).collect();
            Ok(Tensor::i32(x.shape(), ints))
        };
        let (x, w) = (wide(a, zero_a, row)?, wide(b, zero_b, column)?);
        let y = first(MatMul.forward(&Call { ctx: call.ctx, inputs: &[Some(&x), Some(&w)], outputs: 1 })?)?;
        if *self == Self::Sums {
            return Ok(vec![y]);
        }
        let shape = y.shape().to_vec();
        let sums = y.as_i32().ok_or("sums have 32 bits")?;
        let rows = shape.len().saturating_sub(if b.shape().len() > 1 { 2 } else { 1 });
        let columns = shape.len().saturating_sub(1);
        let numbers = |x: Option<&Tensor>| x.map_or_else(|| vec![1.0], Tensor::to_f32s);
        let one = Tensor::f32(&[], vec![1.0]);
        let (at_a, at_b, at_y) = (
            each(of_a.unwrap_or(&one), &shape, rows)?,
            each(of_b.unwrap_or(&one), &shape, columns)?,
            each(of_y.unwrap_or(&one), &shape, rows)?,
        );
        let (of_a, of_b, of_y) = (numbers(of_a), numbers(of_b), numbers(of_y));
        let scaled = sums
            .iter()
            .enumerate()
            .map(|(i, &sum)| sum as f32 * (of_a[at_a(i)] * of_b[at_b(i)] / of_y[at_y(i)]));
        if *self == Self::Quantized {
            let zero = call.input(7)?;
            let index = each(zero, &shape, rows)?;
            let points = zero.to_i64s().unwrap_or_default();
            let values =
                scaled.enumerate().map(|(i, v)| f64::from(v.round_ties_even()) + points[index(i)] as f64);
            return Ok(vec![Tensor::new(shape, saturate(values, zero.dtype()))?]);
        }
        let bias = bias.map(Tensor::to_f32s);
        let last = shape.last().copied().unwrap_or(1).max(1);
        let values = scaled.enumerate().map(|(i, v)| bias.as_ref().map_or(v, |b| v + b[i % last])).collect();
        let dtype = call.input(if *self == Self::Floats { 2 } else { 0 })?.dtype();
        Ok(vec![cast(&Tensor::new(shape, TensorData::F32(values))?, dtype)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_dynamic_quantisation_holds_zero() {
        // The example of ONNX.
        let (bytes, scale, zero) = dynamic(&[0.0, 2.0, -3.0, -2.5, 1.34, 0.5]);
        assert_eq!((bytes, zero), (vec![153, 255, 0, 26, 221, 179], 153));
        assert!((scale - 0.019_607_844).abs() < 1e-8);
        assert_eq!(dynamic(&[0.0, 0.0]), (vec![0, 0], 1.0, 0));
        assert_eq!(dynamic(&[1.0, 2.0]).2, 0);
    }

    #[test]
    fn numbers_lie_along_their_axis() {
        let t = |shape: &[usize]| Tensor::filled(shape, 0.0);
        let all = |numbers: &Tensor, axis| {
            let index = each(numbers, &[2, 3], axis).unwrap();
            (0..6).map(index).collect::<Vec<_>>()
        };
        assert_eq!(all(&t(&[2]), 0), [0, 0, 0, 1, 1, 1]);
        assert_eq!(all(&t(&[3]), 1), [0, 1, 2, 0, 1, 2]);
        assert_eq!(all(&t(&[2, 1]), 0), [0, 0, 0, 1, 1, 1]);
        assert_eq!(all(&t(&[1]), 0), [0; 6]);
        assert!(each(&t(&[4]), &[2, 3], 0).is_err());
    }
}
