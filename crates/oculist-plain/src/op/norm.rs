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
                part.iter_mut().for_each(|v| *v = (*v - mean) * factor + b);
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
    groups: usize,
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
        let block = c / self.groups * map;
        let mut y = T::read(x).into_owned();
        call.ctx.for_pieces(&mut y, block, |_, part| {
            let (mean, var) = moments(part);
            let factor = T::ONE / (var + T::of_f32(self.epsilon)).sqrt();
            part.iter_mut().for_each(|v| *v = (*v - mean) * factor);
        });
        // The first stage ends in the type of `x`.
        round_to(&mut y, x.dtype());
        let (gamma, beta) = (T::read(call.input(1)?), T::read(call.input(2)?));
        let per_group = (c / self.groups).max(1);
        call.ctx.for_pieces(&mut y, map, |i, part| {
            let at = if self.per_group { i % c / per_group } else { i % c };
            part.iter_mut().for_each(|v| *v = *v * gamma[at] + beta[at]);
        });
        finish(x.shape(), y, x.dtype())
    }
}

impl Forward for InstanceNormalization {
    fn forward(&self, call: &Call) -> Outcome {
        let groups = call.input(0)?.shape()[1].max(1);
        Groups { groups, epsilon: self.epsilon, stash: DataType::F32, per_group: false }.normalise(call)
    }
}

impl Forward for GroupNormalization {
    fn forward(&self, call: &Call) -> Outcome {
        let Self { groups, epsilon, stash, per_group } = *self;
        Groups { groups, epsilon, stash, per_group }.normalise(call)
    }
}
