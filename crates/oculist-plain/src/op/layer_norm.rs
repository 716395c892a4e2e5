//! Normalisation over the last axes.

use oculist_graph::op::axis;
use oculist_graph::{DataType, LayerNormalization, RmsNormalization, SkipLayerNormalization, Tensor};
use oculist_kernels::{RowNorm, norm_rows};

use super::pool::pairwise;
use crate::call::{Call, Forward, Outcome, Problem};
use crate::expand::expanded;
use crate::real::{Real, finish, round_to, with_real};

/// A parameter that is broadcast to `x`, repeated to whole rows of `x` or to all of it: element `i` of `x` meets element
/// `i % len`.
fn repeated<T: Real>(call: &Call, parameter: &Tensor, x: &[usize], first: usize) -> Result<Vec<T>, Problem> {
    let rank = parameter.shape().len();
    let from = if rank <= x.len() - first { first } else { 0 };
    call.room(parameter.dtype(), &x[from..])?;
    Ok(expanded(&T::read(parameter), parameter.shape(), &x[from..]))
}

/// Rows of `x` that are normalised on their own, and the type of the first stage.
struct Rows<'a> {
    x: &'a Tensor,
    first: usize,
    epsilon: f32,
    stash: DataType,
    /// Whether the mean is subtracted.
    centred: bool,
}

impl Rows<'_> {
    fn normalise<T: Real>(&self, call: &Call, parameters: [Option<&Tensor>; 2], dtype: DataType) -> Outcome {
        let Self { x, first, .. } = *self;
        let shape = x.shape();
        let len: usize = shape[first..].iter().product();
        call.room(dtype, shape)?;
        let rows = x.len() / len.max(1);
        let mut y = T::read(x).into_owned();
        let epsilon = T::of_f32(self.epsilon);
        let mut statistics = vec![(T::ZERO, T::ZERO); rows];
        let count = T::of_usize(len.max(1));
        // A few rows a piece: about 8192 elements.
        let together = (8192 / len.max(1)).max(1);
        let values = &y;
        call.ctx.for_pieces(&mut statistics, together, |i, part| {
            for (r, slot) in part.iter_mut().enumerate() {
                let row = &values[(i * together + r) * len..][..len];
                let mean = if self.centred { pairwise(row, |v| v) / count } else { T::ZERO };
                let var = pairwise(row, move |v| (v - mean) * (v - mean)) / count;
                *slot = (mean, T::ONE / (var + epsilon).sqrt());
            }
        });
        let [gamma, beta] = parameters;
        let gamma = gamma.map(|g| repeated::<T>(call, g, shape, first)).transpose()?;
        let beta = beta.map(|b| repeated::<T>(call, b, shape, first)).transpose()?;
        // Values of half width are rounded between the stages.
        let two_stages = !matches!(x.dtype(), DataType::F32 | DataType::F64);
        let affine = |row: usize, part: &mut [T]| {
            let scale = |v: &mut T, g: T| *v *= g;
            if let Some(gamma) = &gamma {
                let at = row * len % gamma.len();
                part.iter_mut().zip(&gamma[at..]).for_each(|(v, &g)| scale(v, g));
            }
            if let Some(beta) = &beta {
                let at = row * len % beta.len();
                part.iter_mut().zip(&beta[at..]).for_each(|(v, &b)| *v += b);
            }
        };
        call.ctx.for_pieces(&mut y, together * len, |i, part| {
            for (r, part) in part.chunks_mut(len.max(1)).enumerate() {
                let (mean, factor) = statistics[i * together + r];
                for v in &mut *part {
                    *v = (*v - mean) * factor;
                }
                if !two_stages {
                    affine(i * together + r, part);
                }
            }
        });
        if two_stages {
            round_to(&mut y, x.dtype());
            call.ctx.for_pieces(&mut y, len, affine);
        }
        let mut results = vec![finish(shape, y, dtype)?];
        if call.outputs > 1 {
            let mut reduced = shape[..first].to_vec();
            reduced.resize(shape.len(), 1);
            let means = statistics.iter().map(|s| s.0).collect::<Vec<T>>();
            results.push(finish(&reduced, means, self.stash)?);
            results.push(finish(&reduced, statistics.iter().map(|s| s.1).collect::<Vec<T>>(), self.stash)?);
        }
        Ok(results)
    }
}

/// Values and parameters in 32-bit floats, with one parameter for each element of a row: the kernels' way. `None` where
/// something else is asked for.
fn fast(call: &Call, rows: &Rows, parameters: [Option<&Tensor>; 2]) -> Option<Outcome> {
    let &Rows { x, first, epsilon, stash, centred } = rows;
    let shape = x.shape();
    let values = x.as_f32()?;
    let len: usize = shape[first..].iter().product();
    if stash != DataType::F32 || call.outputs > 1 || values.is_empty() {
        return None;
    }
    let mut slices = [None; 2];
    for (slice, parameter) in slices.iter_mut().zip(parameters) {
        if let Some(parameter) = parameter {
            *slice = Some(parameter.as_f32().filter(|_| parameter.shape() == &shape[first..])?);
        }
    }
    if let Err(problem) = call.room(x.dtype(), shape) {
        return Some(Err(problem));
    }
    let kind = if centred { RowNorm::Layer } else { RowNorm::RootMeanSquare };
    let mut y = vec![0.0; values.len()];
    norm_rows(call.ctx, kind, [values.len() / len, len], epsilon, values, slices[0], slices[1], &mut y);
    Some(finish(shape, y, DataType::F32).map(|y| vec![y]))
}

/// The type that is computed in: f64 as soon as values or the first stage have it.
fn computed(x: DataType, stash: DataType) -> DataType {
    if stash == DataType::F64 { stash } else { x }
}

impl Forward for LayerNormalization {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let first = axis(self.axis, x.shape().len())?;
        let rows = Rows { x, first, epsilon: self.epsilon, stash: self.stash, centred: true };
        if x.is_empty() && call.outputs > 1 {
            return Err(format!("expected at least one element, found the shape {:?}", x.shape()).into());
        }
        let parameters = [Some(call.input(1)?), call.get(2)];
        if let Some(result) = fast(call, &rows, parameters) {
            return result;
        }
        with_real!(computed(x.dtype(), self.stash), T => rows.normalise::<T>(call, parameters, x.dtype()))
    }
}

impl Forward for RmsNormalization {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, gamma) = (call.input(0)?, call.input(1)?);
        let first = axis(self.axis, x.shape().len())?;
        let rows = Rows { x, first, epsilon: self.epsilon, stash: self.stash, centred: false };
        if let Some(result) = fast(call, &rows, [Some(gamma), None]) {
            return result;
        }
        let of = computed(if gamma.dtype() == DataType::F64 { DataType::F64 } else { x.dtype() }, self.stash);
        with_real!(of, T => rows.normalise::<T>(call, [Some(gamma), None], gamma.dtype()))
    }
}

impl Forward for SkipLayerNormalization {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, skip) = (call.input(0)?, call.input(1)?);
        let shape = x.shape();
        call.room(x.dtype(), shape)?;
        let first = shape.len().saturating_sub(1);
        with_real!(x.dtype(), T => {
            let mut sum = T::read(x).into_owned();
            let terms = [Some(skip), call.get(self.bias())];
            for term in terms.into_iter().flatten() {
                let term = expanded(&T::read(term), term.shape(), shape);
                sum.iter_mut().zip(term).for_each(|(s, t)| *s += t);
            }
            let sum = finish(shape, sum, x.dtype())?;
            let rows = Rows { x: &sum, first, epsilon: self.epsilon, stash: DataType::F32, centred: !self.simplified };
            let beta = if self.simplified { None } else { call.get(3) };
            let mut results = rows.normalise::<T>(call, [Some(call.input(2)?), beta], x.dtype())?;
            if call.outputs > 3 {
                results.push(sum);
            }
            Ok(results)
        })
    }
}

#[cfg(test)]
mod tests {
    use half::f16;
    use oculist_graph::{Op, TensorData};
    use oculist_kernels::Context;

    use super::*;
    use crate::evaluate;

    #[test]
    fn rows_have_mean_zero_and_variance_one() {
        let x = Tensor::f32(&[2, 2], vec![1.0, 3.0, -10.0, 10.0]);
        let gamma = Tensor::f32(&[2], vec![2.0, 3.0]);
        let beta = Tensor::f32(&[], vec![0.5]);
        let op = Op::from(LayerNormalization { axis: -1, epsilon: 0.0, stash: DataType::F32 });
        let found =
            evaluate(&Context::new(2).unwrap(), &op, &[Some(&x), Some(&gamma), Some(&beta)], 3).unwrap();
        assert_eq!(found[0].as_f32().unwrap(), [-1.5, 3.5, -1.5, 3.5]);
        assert_eq!(found[1], Tensor::f32(&[2, 1], vec![2.0, 0.0]));
        assert_eq!(found[2], Tensor::f32(&[2, 1], vec![1.0, 0.1]));
    }

    /// A gamma along the first axis is not the same in every row.
    #[test]
    fn gamma_may_reach_over_rows() {
        let x = Tensor::f32(&[2, 2], vec![1.0, 3.0, 1.0, 3.0]);
        let gamma = Tensor::f32(&[2, 1], vec![2.0, 3.0]);
        let op = Op::from(LayerNormalization { axis: 1, epsilon: 0.0, stash: DataType::F32 });
        let found = evaluate(&Context::new(1).unwrap(), &op, &[Some(&x), Some(&gamma)], 1).unwrap();
        assert_eq!(found[0].as_f32().unwrap(), [-2.0, 2.0, -3.0, 3.0]);
    }

    /// Squares of large 16-bit floats leave their range; the first stage does not.
    #[test]
    fn half_width_values_are_computed_wider() {
        let x = Tensor::new(vec![1, 2], TensorData::F16([300.0, 400.0].map(f16::from_f32).to_vec())).unwrap();
        let gamma = Tensor::f32(&[2], vec![1.0, 1.0]);
        let op = Op::from(RmsNormalization { axis: -1, epsilon: 0.0, stash: DataType::F32 });
        let found = evaluate(&Context::new(1).unwrap(), &op, &[Some(&x), Some(&gamma)], 1).unwrap();
        let expected = [300.0, 400.0f32].map(|v| f16::from_f32(v / 125_000f32.sqrt()).to_f32());
        assert_eq!(found[0].as_f32().unwrap(), expected);
    }
}
