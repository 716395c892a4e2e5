//! Normalisation of channels and groups of channels.

use oculist_graph::{BatchNormalization, DataType, GroupNormalization, InstanceNormalization, Tensor};

use super::pool::pairwise;
use crate::call::{Call, Forward, Outcome, Problem};
use crate::real::{Real, finish, round_to, with_real};

/// Mean and variance of a slice.
fn moments<T: Real>(x: &[T]) -> (T, T) {
    let n = T::of_usize(x.len().max(1));
    let mean = pairwise(x, |v| v) / n;
    (mean, pairwise(x, move |v| (v - mean) * (v - mean)) / n)
}

/// Mean and variance of each channel over all samples.
fn statistics<T: Real>(call: &Call, x: &[T], c: usize, map: usize) -> Vec<(T, T)> {
    let n = x.len() / (c * map).max(1);
    let mut all = vec![(T::ZERO, T::ZERO); c];
    call.ctx.for_pieces(&mut all, 1, |at, slot| {
        let maps = || (0..n).map(|s| &x[(s * c + at) * map..][..map]);
        let count = T::of_usize((n * map).max(1));
        let mean = maps().fold(T::ZERO, |sum, m| sum + pairwise(m, |v| v)) / count;
        let squares = maps().fold(T::ZERO, |sum, m| sum + pairwise(m, move |v| (v - mean) * (v - mean)));
        slot[0] = (mean, squares / count);
    });
    all
}

impl Forward for BatchNormalization {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let (gamma, beta, mean, var) = (call.input(1)?, call.input(2)?, call.input(3)?, call.input(4)?);
        let c = x.shape()[1];
        let map: usize = x.shape()[2..].iter().product();
        call.room(x.dtype(), x.shape())?;
        with_real!(x.dtype(), T => {
            let values = T::read(x);
            let (running_mean, running_var) = (T::read(mean), T::read(var));
            let statistics = if self.training {
                statistics(call, &values, c, map)
            } else {
                running_mean.iter().copied().zip(running_var.iter().copied()).collect()
            };
            let (gamma, beta) = (T::read(gamma), T::read(beta));
            let lines: Vec<(T, T, T)> = statistics
                .iter()
                .zip(gamma.iter().zip(beta.iter()))
                .map(|(&(mean, var), (&g, &b))| (mean, g / (var + T::of_f32(self.epsilon)).sqrt(), b))
                .collect();
            let mut y = values.into_owned();
            call.ctx.for_pieces(&mut y, map, |i, part| {
                let (mean, factor, b) = lines[i % c];
                for v in &mut *part { *v = (*v - mean) * factor + b; }
            });
            let mut results = vec![finish(x.shape(), y, x.dtype())?];
            if call.outputs > 1 {
                let momentum = T::of_f32(self.momentum);
                let mixed = |old: &[T], new: &dyn Fn(usize) -> T| -> Vec<T> {
                    old.iter().enumerate().map(|(i, &o)| o * momentum + new(i) * (T::ONE - momentum)).collect()
                };
                let new_mean = mixed(&running_mean, &|i| statistics[i].0);
                let new_var = mixed(&running_var, &|i| statistics[i].1);
                results.push(finish(mean.shape(), new_mean, mean.dtype())?);
                results.push(finish(var.shape(), new_var, var.dtype())?);
            }
            Ok(results)
        })
    }
}

/// Parameters of a normalisation of groups of channels.
struct Groups {
    /// Groups a sample.
    count: usize,
    epsilon: f32,
    stash: DataType,
    /// Whether gamma and beta have one element a group.
    per_group: bool,
}

impl Groups {
    fn normalise(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        call.room(x.dtype(), x.shape())?;
        // Statistics of f64 where the type or the values ask for it.
        let dtype = if self.stash == DataType::F64 { DataType::F64 } else { x.dtype() };
        with_real!(dtype, T => Ok(vec![self.of::<T>(call, x)?]))
    }

    fn of<T: Real>(&self, call: &Call, x: &Tensor) -> Result<Tensor, Problem> {
        let c = x.shape()[1];
        let map: usize = x.shape()[2..].iter().product();
        let block = c / self.count * map;
        let mut y = T::read(x).into_owned();
        call.ctx.for_pieces(&mut y, block, |_, part| {
            let (mean, var) = moments(part);
            let factor = T::ONE / (var + T::of_f32(self.epsilon)).sqrt();
            for v in &mut *part {
                *v = (*v - mean) * factor;
            }
        });
        // The first stage ends in the type of `x`.
        round_to(&mut y, x.dtype());
        let (gamma, beta) = (T::read(call.input(1)?), T::read(call.input(2)?));
        let per_group = (c / self.count).max(1);
        call.ctx.for_pieces(&mut y, map, |i, part| {
            let at = if self.per_group { i % c / per_group } else { i % c };
            for v in &mut *part {
                *v = *v * gamma[at] + beta[at];
            }
        });
        finish(x.shape(), y, x.dtype())
    }
}

impl Forward for InstanceNormalization {
    fn forward(&self, call: &Call) -> Outcome {
        let count = call.input(0)?.shape()[1].max(1);
        Groups { count, epsilon: self.epsilon, stash: DataType::F32, per_group: false }.normalise(call)
    }
}

impl Forward for GroupNormalization {
    fn forward(&self, call: &Call) -> Outcome {
        let Self { groups, epsilon, stash, per_group } = *self;
        Groups { count: groups, epsilon, stash, per_group }.normalise(call)
    }
}

#[cfg(test)]
mod tests {
    use oculist_graph::Op;
    use oculist_kernels::Context;

    use super::*;
    use crate::evaluate;

    fn apply(op: impl Into<Op>, inputs: &[&Tensor], outputs: usize) -> Vec<Tensor> {
        let inputs: Vec<Option<&Tensor>> = inputs.iter().map(|x| Some(*x)).collect();
        evaluate(&Context::new(2).unwrap(), &op.into(), &inputs, outputs).unwrap()
    }

    fn line(values: &[f32]) -> Tensor {
        Tensor::f32(&[values.len()], values.to_vec())
    }

    #[test]
    fn statistics_are_given_or_of_the_batch() {
        let x = Tensor::f32(&[2, 2, 1], vec![1.0, 10.0, 3.0, 10.0]);
        let inputs = [&x, &line(&[2.0, 1.0]), &line(&[0.5, 0.0]), &line(&[1.0, 8.0]), &line(&[4.0, 1.0])];
        let op = BatchNormalization { epsilon: 0.0, momentum: 0.75, training: false };
        assert_eq!(apply(op, &inputs, 1)[0].as_f32().unwrap(), [0.5, 2.0, 2.5, 2.0]);
        let op = BatchNormalization { epsilon: 1.0, momentum: 0.75, training: true };
        let found = apply(op, &inputs, 3);
        let side = 2.0 / 2.0f32.sqrt();
        assert_eq!(found[0].as_f32().unwrap(), [0.5 - side, 0.0, 0.5 + side, 0.0]);
        assert_eq!(found[1], line(&[1.25, 8.5]));
        assert_eq!(found[2], line(&[3.25, 0.75]));
    }

    #[test]
    fn groups_are_normalised_on_their_own() {
        let x = Tensor::f32(&[1, 4, 1], vec![1.0, 3.0, -20.0, 20.0]);
        let (gamma, beta) = (line(&[1.0, 1.0, 2.0, 2.0]), line(&[0.0, 0.0, 0.0, 1.0]));
        let op = GroupNormalization { groups: 2, epsilon: 0.0, stash: DataType::F32, per_group: false };
        let y = apply(op, &[&x, &gamma, &beta], 1);
        assert_eq!(y[0].as_f32().unwrap(), [-1.0, 1.0, -2.0, 3.0]);
        let op = GroupNormalization { per_group: true, ..op };
        let y = apply(op, &[&x, &line(&[1.0, 3.0]), &line(&[0.0, 1.0])], 1);
        assert_eq!(y[0].as_f32().unwrap(), [-1.0, 1.0, -2.0, 4.0]);
        let x = Tensor::f32(&[1, 2, 2], vec![1.0, 3.0, 5.0, 5.0]);
        let y =
            apply(InstanceNormalization { epsilon: 1.0 }, &[&x, &line(&[2.0, 2.0]), &line(&[0.0, 7.0])], 1);
        let side = 2.0 / 2.0f32.sqrt();
        assert_eq!(y[0].as_f32().unwrap(), [-side, side, 7.0, 7.0]);
    }
}
