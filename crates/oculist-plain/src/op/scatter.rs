//! Elements written by index.

use half::{bf16, f16};
use oculist_graph::op::{Reduction, axis};
use oculist_graph::{ScatterElements, ScatterND, Tensor, TensorScatter};

use super::gather::{element_positions, indices, tuple_positions};
use crate::call::{Call, Forward, Outcome, Problem};
use crate::moves::{Element, same_type, strides};

/// What two elements make.
trait Reduce: Element {
    fn reduce(self, update: Self, how: Reduction) -> Self;
}

macro_rules! reduce {
    ($($type:ty: $add:expr, $mul:expr, $max:expr, $min:expr;)*) => {
        $(impl Reduce for $type {
            fn reduce(self, update: Self, how: Reduction) -> Self {
                match how {
                    Reduction::None => update,
                    Reduction::Add => $add(self, update),
                    Reduction::Mul => $mul(self, update),
                    Reduction::Max => $max(self, update),
                    Reduction::Min => $min(self, update),
                }
            }
        })*
    };
}

/// The larger one, or the one that is no number, as NumPy's `maximum` has it.
fn larger<T: PartialOrd + Copy>(a: T, b: T) -> T {
    if a >= b || a.partial_cmp(&a).is_none() { a } else { b }
}

/// The smaller one, or the one that is no number.
fn smaller<T: PartialOrd + Copy>(a: T, b: T) -> T {
    if a <= b || a.partial_cmp(&a).is_none() { a } else { b }
}

reduce! {
    f32: |a, b| a + b, |a, b| a * b, larger, smaller;
    f64: |a, b| a + b, |a, b| a * b, larger, smaller;
    f16: |a, b| a + b, |a, b| a * b, larger, smaller;
    bf16: |a, b| a + b, |a, b| a * b, larger, smaller;
    u8: u8::wrapping_add, u8::wrapping_mul, larger, smaller;
    i8: i8::wrapping_add, i8::wrapping_mul, larger, smaller;
    u16: u16::wrapping_add, u16::wrapping_mul, larger, smaller;
    i16: i16::wrapping_add, i16::wrapping_mul, larger, smaller;
    u32: u32::wrapping_add, u32::wrapping_mul, larger, smaller;
    i32: i32::wrapping_add, i32::wrapping_mul, larger, smaller;
    u64: u64::wrapping_add, u64::wrapping_mul, larger, smaller;
    i64: i64::wrapping_add, i64::wrapping_mul, larger, smaller;
    bool: |a, b| a || b, |a, b| a && b, larger, smaller;
}

/// Runs of `inner` updates written one after the other from the positions on, which the caller has checked.
fn written(
    data: &Tensor,
    updates: &Tensor,
    begins: &[usize],
    inner: usize,
    how: Reduction,
) -> Result<Tensor, Problem> {
    fn all<T: Reduce>(
        mut data: Vec<T>,
        updates: &[T],
        begins: &[usize],
        inner: usize,
        how: Reduction,
    ) -> Vec<T> {
        for (&begin, updates) in begins.iter().zip(updates.chunks_exact(inner.max(1))) {
            for (y, &update) in data[begin..begin + inner].iter_mut().zip(updates) {
                *y = y.reduce(update, how);
            }
        }
        data
    }
    let source = updates.data();
    let shape = data.shape().to_vec();
    let data =
        same_type!(data.data(), v => all(v.clone(), Element::of(source).unwrap_or(&[]), begins, inner, how));
    Ok(Tensor::new(shape, data)?)
}

impl Forward for ScatterElements {
    fn forward(&self, call: &Call) -> Outcome {
        let (data, named, updates) = (call.input(0)?, call.input(1)?, call.input(2)?);
        let a = axis(self.axis, data.shape().len())?;
        call.room(data.dtype(), data.shape())?;
        let positions = element_positions(&indices(call, 1)?, named.shape(), data.shape(), a)?;
        Ok(vec![written(data, updates, &positions, 1, self.reduction)?])
    }
}

impl Forward for ScatterND {
    fn forward(&self, call: &Call) -> Outcome {
        let (data, named, updates) = (call.input(0)?, call.input(1)?, call.input(2)?);
        call.room(data.dtype(), data.shape())?;
        if updates.is_empty() {
            return Ok(vec![data.clone()]);
        }
        let (begins, inner) = tuple_positions(&indices(call, 1)?, named.shape(), data.shape(), 0)?;
        Ok(vec![written(data, updates, &begins, inner, self.reduction)?])
    }
}

impl Forward for TensorScatter {
    fn forward(&self, call: &Call) -> Outcome {
        let (cache, update) = (call.input(0)?, call.input(1)?);
        let a = axis(self.axis, cache.shape().len())?;
        call.room(cache.dtype(), cache.shape())?;
        if update.is_empty() {
            return Ok(vec![cache.clone()]);
        }
        let (size, len) = (cache.shape()[a], update.shape()[a]);
        let from = call.ints(2)?.unwrap_or_else(|| vec![0; cache.shape()[0]]);
        let strides = strides(cache.shape());
        let rows: usize = cache.shape()[..a].iter().product();
        let of_one_sample = rows / cache.shape()[0].max(1);
        let mut begins = Vec::with_capacity(rows * len);
        for row in 0..rows {
            let first = from[row / of_one_sample];
            let start = usize::try_from(first).map_err(|_| format!("a sample is written from {first} on"))?;
            if !self.circular && start.saturating_add(len) > size {
                return Err(format!("{len} indices are written from {start} on, the cache has {size}").into());
            }
            let at = |i: usize| (row * size + (start % size.max(1) + i) % size.max(1)) * strides[a];
            begins.extend((0..len).map(at));
        }
        Ok(vec![written(cache, update, &begins, strides[a], Reduction::None)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;
    use oculist_graph::TensorData;

    #[test]
    fn updates_of_one_place_add_up() {
        let data = Tensor::f32(&[1, 5], vec![1.0, 2.0, 3.0, 4.0, 5.0]);
        let at = Tensor::new(vec![1, 2], TensorData::I64(vec![1, -4])).unwrap();
        let updates = Tensor::f32(&[1, 2], vec![1.5, 2.25]);
        let y = |reduction| run(ScatterElements { axis: 1, reduction }, &[&data, &at, &updates]).unwrap();
        assert_eq!(y(Reduction::Add), Tensor::f32(&[1, 5], vec![1.0, 5.75, 3.0, 4.0, 5.0]));
        assert_eq!(y(Reduction::Min), Tensor::f32(&[1, 5], vec![1.0, 1.5, 3.0, 4.0, 5.0]));
        let at = Tensor::new(vec![1, 2], TensorData::I64(vec![1, 5])).unwrap();
        let error = run(ScatterElements { axis: 1, reduction: Reduction::None }, &[&data, &at, &updates]);
        assert!(error.unwrap_err().contains("the index is 5, the axis has 5"));
    }

    #[test]
    fn a_cache_is_written_around_its_end() {
        let cache = Tensor::i32(&[2, 3, 1], vec![0; 6]);
        let update = Tensor::i32(&[2, 2, 1], vec![1, 2, 3, 4]);
        let from = Tensor::ints(vec![2, 0]);
        let y = run(TensorScatter { axis: -2, circular: true }, &[&cache, &update, &from]).unwrap();
        assert_eq!(y, Tensor::i32(&[2, 3, 1], vec![2, 0, 1, 3, 4, 0]));
        let error = run(TensorScatter { axis: -2, circular: false }, &[&cache, &update, &from]).unwrap_err();
        assert!(error.contains("from 2 on"), "{error}");
    }
}
