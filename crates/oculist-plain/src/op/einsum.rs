//! Sums of products in Einstein's notation: one product of matrices for each further input.

use oculist_graph::{Einsum, Shape, Tensor, TensorData};

use super::matmul::{gathered, steps_of};
use crate::call::{Call, Forward, Outcome, Problem};
use crate::gemm::{Number, Size, batch};
use crate::real::{Real, finish, with_real};

/// A value whose axes have numbers; axes of size 1 are left out, so that they are broadcast.
struct Part<T> {
    values: Vec<T>,
    numbers: Vec<usize>,
    sizes: Vec<usize>,
}

impl<T: Number> Part<T> {
    /// An input with its axes' numbers; a number that appears twice takes the diagonal.
    fn new(x: &[T], shape: &[usize], axes: &[usize]) -> Self {
        let own = steps_of(shape);
        let (mut numbers, mut sizes, mut steps): (Vec<usize>, Vec<usize>, Vec<usize>) = Default::default();
        for ((&number, &size), &step) in axes.iter().zip(shape).zip(&own) {
            if size == 1 {
                continue;
            }
            if let Some(i) = numbers.iter().position(|&n| n == number) {
                steps[i] += step;
            } else {
                numbers.push(number);
                sizes.push(size);
                steps.push(step);
            }
        }
        let values = if sizes.contains(&0) { Vec::new() } else { gathered(x, &sizes, &steps) };
        Self { values, numbers, sizes }
    }

    /// The axes in the order of these numbers, which are all of them.
    fn ordered(self, numbers: Vec<usize>) -> Self {
        if numbers == self.numbers {
            return self;
        }
        let own = steps_of(&self.sizes);
        let at = |n: &usize| self.numbers.iter().position(|m| m == n);
        let positions: Vec<usize> = numbers.iter().filter_map(at).collect();
        let sizes: Vec<usize> = positions.iter().map(|&i| self.sizes[i]).collect();
        let steps: Vec<usize> = positions.iter().map(|&i| own[i]).collect();
        let values =
            if self.values.is_empty() { self.values } else { gathered(&self.values, &sizes, &steps) };
        Self { values, numbers, sizes }
    }

    /// Number of elements along these axes.
    fn count(&self, numbers: &[usize]) -> usize {
        let size = |n: &usize| self.numbers.iter().position(|m| m == n).map_or(1, |i| self.sizes[i]);
        numbers.iter().map(size).product()
    }

    /// The sum over all axes that are not to be kept.
    fn summed(self, keep: impl Fn(usize) -> bool) -> Self {
        let (kept, gone): (Vec<usize>, Vec<usize>) = self.numbers.iter().partition(|&&n| keep(n));
        if gone.is_empty() {
            return self;
        }
        let (rows, len) = (self.count(&kept), self.count(&gone));
        let ordered = self.ordered([&kept[..], &gone[..]].concat());
        let sum = |row: &[T]| row.iter().fold(T::default(), |sum, &v| sum.plus_product(v, T::UNIT));
        let values =
            (0..rows).map(|i| ordered.values.get(i * len..(i + 1) * len).map_or(T::default(), sum)).collect();
        let sizes = ordered.sizes[..kept.len()].to_vec();
        Self { values, numbers: kept, sizes }
    }

    /// The product with another value, summed over the axes of both that are not needed any more.
    fn times(self, other: Self, call: &Call, needed: impl Fn(usize) -> bool) -> Result<Self, Problem> {
        let left = self.summed(|n| needed(n) || other.numbers.contains(&n));
        let right = other.summed(|n| needed(n) || left.numbers.contains(&n));
        let (common, rows): (Vec<usize>, Vec<usize>) =
            left.numbers.iter().partition(|n| right.numbers.contains(n));
        let columns: Vec<usize> = right.numbers.iter().copied().filter(|n| !common.contains(n)).collect();
        let (each, inner): (Vec<usize>, Vec<usize>) = common.into_iter().partition(|&n| needed(n));
        let size = Size::packed(left.count(&rows), right.count(&columns), left.count(&inner));
        let products = left.count(&each);
        let sizes = |part: &Self, list: &[usize]| list.iter().map(|&n| part.count(&[n])).collect::<Vec<_>>();
        let shape = [sizes(&left, &each), sizes(&left, &rows), sizes(&right, &columns)].concat();
        let len = call.room(oculist_graph::DataType::F64, &shape)?;
        let left = left.ordered([&each[..], &rows[..], &inner[..]].concat());
        let right = right.ordered([&each[..], &inner[..], &columns[..]].concat());
        let mut values = vec![T::default(); len];
        if len > 0 {
            let offsets: Vec<_> = (0..products).map(|i| (i * size.m * size.k, i * size.k * size.n)).collect();
            batch(call.ctx, size, &offsets, &left.values, &right.values, &mut values);
        }
        Ok(Self { values, numbers: [each, rows, columns].concat(), sizes: shape })
    }
}

/// The whole sum of products, row-major along the axes of the result.
fn contract<T: Number>(call: &Call, parts: Vec<Part<T>>, output: &[usize]) -> Result<Vec<T>, Problem> {
    let numbers: Vec<Vec<usize>> = parts.iter().map(|p| p.numbers.clone()).collect();
    let mut parts = parts.into_iter().enumerate();
    let Some((_, mut all)) = parts.next() else { return Err("there is no input".into()) };
    for (i, part) in parts {
        let needed =
            |n: usize| output.contains(&n) || numbers[i + 1..].iter().any(|later| later.contains(&n));
        all = all.times(part, call, needed)?;
    }
    let all = all.summed(|n| output.contains(&n));
    let order = output.iter().copied().filter(|n| all.numbers.contains(n)).collect();
    Ok(all.ordered(order).values)
}

impl Forward for Einsum {
    fn forward(&self, call: &Call) -> Outcome {
        let inputs = (0..call.inputs.len()).map(|i| call.input(i)).collect::<Result<Vec<&Tensor>, _>>()?;
        let terms = self.terms(&inputs.iter().map(|x| x.shape().len()).collect::<Vec<_>>())?;
        let shapes: Vec<Shape> = inputs.iter().map(|x| Shape::fixed(x.shape())).collect();
        let sizes = terms.sizes(&shapes.iter().collect::<Vec<_>>())?;
        let shape: Vec<usize> = terms.output.iter().map(|&n| sizes[n].size().unwrap_or(1)).collect();
        let dtype = call.input(0)?.dtype();
        call.room(dtype, &shape)?;
        let part = |i: usize| (inputs[i].shape(), &terms.inputs[i][..]);
        macro_rules! by_type {
            ($($variant:ident),*) => {
                match call.input(0)?.data() {
                    $(TensorData::$variant(_) => {
                        let mut parts = Vec::new();
                        for (i, x) in inputs.iter().enumerate() {
                            let TensorData::$variant(values) = x.data() else {
                                return Err(format!("input {i} must be {}, found {}", dtype.name(), x.dtype().name()).into());
                            };
                            parts.push(Part::new(values, part(i).0, part(i).1));
                        }
                        let values = contract(call, parts, &terms.output)?;
                        Ok(vec![Tensor::new(shape, TensorData::$variant(values))?])
                    })*
                    _ if dtype.is_float() => with_real!(dtype, T => {
                        let parts = inputs.iter().enumerate().map(|(i, x)| Part::new(&T::read(x), part(i).0, part(i).1));
                        let values = contract::<T>(call, parts.collect(), &terms.output)?;
                        Ok(vec![finish(&shape, values, dtype)?])
                    }),
                    _ => Err(format!("values of {} are not supported", dtype.name()).into()),
                }
            };
        }
        by_type!(F32, F64, U8, I8, U16, I16, U32, I32, U64, I64)
    }
}

#[cfg(test)]
mod tests {
    use oculist_graph::Op;
    use oculist_kernels::Context;

    use super::*;
    use crate::evaluate;

    fn apply(equation: &str, shapes: &[&[usize]]) -> (Vec<usize>, Vec<i64>) {
        let inputs: Vec<Tensor> = shapes
            .iter()
            .map(|shape| {
                let len: usize = shape.iter().product();
                Tensor::ints((1..=len as i64).collect()).reshaped(shape.to_vec()).unwrap()
            })
            .collect();
        let op = Op::from(Einsum { equation: equation.to_owned() });
        let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Some).collect();
        let y = evaluate(&Context::new(1).unwrap(), &op, &inputs, 1).unwrap().remove(0);
        (y.shape().to_vec(), y.as_i64().unwrap().to_vec())
    }

    /// Values of numpy's `einsum` for inputs that count from 1.
    #[test]
    fn values_of_numpy() {
        assert_eq!(apply("ij,jk->ik", &[&[2, 2], &[2, 2]]), (vec![2, 2], vec![7, 10, 15, 22]));
        assert_eq!(apply("ii->i", &[&[3, 3]]), (vec![3], vec![1, 5, 9]));
        assert_eq!(apply("iij,j", &[&[2, 2, 2], &[2]]), (vec![], vec![28]));
        assert_eq!(apply("ba", &[&[2, 3]]), (vec![3, 2], vec![1, 4, 2, 5, 3, 6]));
        assert_eq!(apply("i,j,k->kj", &[&[2], &[2], &[2]]), (vec![2, 2], vec![3, 6, 6, 12]));
        assert_eq!(apply("...i,i...->...", &[&[1, 2], &[2, 3]]), (vec![3], vec![9, 12, 15]));
        assert_eq!(apply("ij->j", &[&[0, 2]]), (vec![2], vec![0, 0]));
    }
}
