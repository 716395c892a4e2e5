//! Normalisations.

use oculist_graph::op::axis;
use oculist_graph::{
    BatchNormalization, GroupNormalization, InstanceNormalization, LayerNormalization, RmsNormalization,
    Tensor,
};

use super::broadcast::{expanded, reduced};
use super::{Backward, Gradients, Reverse};
use crate::call::Problem;
use crate::real::{Real, finish, with_real};

/// Elements that are normalised together, `len` in a row, and scaled and shifted behind.
struct Rows<'a> {
    /// The shape of `x` for gamma and beta to be broadcast to.
    shape: Vec<usize>,
    /// Their shape within it.
    parameter: &'a [usize],
    len: usize,
    epsilon: f32,
    /// Whether the mean is subtracted.
    centred: bool,
}

impl Rows<'_> {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let x = reverse.input(0)?;
        with_real!(x.dtype(), T => self.by_type::<T>(reverse, x))
    }

    fn by_type<T: Real>(&self, reverse: &Reverse, x: &Tensor) -> Gradients {
        let dy = reverse.only()?;
        let (values, gradient) = (T::read(x), T::read(dy));
        let len = self.len.max(1);
        let count = len as f64;
        // Normalised values and the inverse standard deviation of each row.
        let mut normal = values.to_vec();
        let mut factors = Vec::with_capacity(values.len() / len);
        for row in normal.chunks_exact_mut(len) {
            let sum: f64 = if self.centred { row.iter().map(|v| v.to_f64()).sum() } else { 0.0 };
            let mean = sum / count;
            let var = row.iter().map(|v| (v.to_f64() - mean).powi(2)).sum::<f64>() / count;
            let factor = 1.0 / (var + f64::from(self.epsilon)).sqrt();
            for v in row {
                *v = T::of_f64((v.to_f64() - mean) * factor);
            }
            factors.push(factor);
        }
        reverse.each(|i| {
            let input = reverse.input(i)?;
            let result: Vec<T> = match i {
                0 => {
                    let gamma = reverse.get(1).map(|g| expanded(&T::read(g), self.parameter, &self.shape));
                    let mut dx: Vec<T> = match gamma {
                        Some(gamma) => gradient.iter().zip(&gamma).map(|(&g, &k)| g * k).collect(),
                        None => gradient.to_vec(),
                    };
                    for ((dx, normal), factor) in
                        dx.chunks_exact_mut(len).zip(normal.chunks_exact(len)).zip(&factors)
                    {
                        let along: f64 =
                            dx.iter().zip(normal).map(|(d, n)| d.to_f64() * n.to_f64()).sum::<f64>() / count;
                        let mean: f64 = dx.iter().map(|d| d.to_f64()).sum::<f64>() / count;
                        let mean = if self.centred { mean } else { 0.0 };
                        for (d, n) in dx.iter_mut().zip(normal) {
                            *d = T::of_f64(factor * (d.to_f64() - mean - n.to_f64() * along));
                        }
                    }
                    dx
                }
                1 => {
                    let each: Vec<T> = gradient.iter().zip(&normal).map(|(&g, &n)| g * n).collect();
                    reduced(&each, &self.shape, self.parameter)
                }
                _ => reduced(&gradient, &self.shape, self.parameter),
            };
            finish(input.shape(), result, input.dtype()).map(Some)
        })
    }
}

/// Normalisation over the axes from `first` on.
fn over_last_axes(reverse: &Reverse, first: i64, epsilon: f32, centred: bool) -> Gradients {
    let x = reverse.input(0)?;
    let first = axis(first, x.shape().len())?;
    let len = x.shape()[first..].iter().product();
    let parameters = [reverse.get(1), reverse.get(2)];
    let shapes: Vec<&[usize]> = parameters.iter().flatten().map(|t| t.shape()).collect();
    if let [a, b] = shapes[..]
        && a != b
    {
        return Err("gamma and beta of different shapes have no gradient rule".into());
    }
    let parameter = shapes.first().copied().unwrap_or(&[]);
    Rows { shape: x.shape().to_vec(), parameter, len, epsilon, centred }.backward(reverse)
}

impl Backward for LayerNormalization {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        over_last_axes(reverse, self.axis, self.epsilon, true)
    }
}

impl Backward for RmsNormalization {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        over_last_axes(reverse, self.axis, self.epsilon, false)
    }
}

/// Normalisation of groups of channels of `[N, C, ...]`.
fn over_groups(reverse: &Reverse, groups: Option<usize>, per_group: bool, epsilon: f32) -> Gradients {
    let x = reverse.input(0)?;
    let (n, c) = (x.shape()[0], x.shape()[1]);
    let groups = groups.unwrap_or(c);
    if groups == 0 || c % groups != 0 {
        return Err(format!("{c} channels cannot be {groups} groups").into());
    }
    let map: usize = x.shape()[2..].iter().product();
    let each = c / groups;
    let parameter = if per_group { [groups, 1, 1] } else { [groups, each, 1] };
    Rows { shape: vec![n, groups, each, map], parameter: &parameter, len: each * map, epsilon, centred: true }
        .backward(reverse)
}

impl Backward for InstanceNormalization {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        over_groups(reverse, None, false, self.epsilon)
    }
}

impl Backward for GroupNormalization {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        over_groups(reverse, Some(self.groups), self.per_group, self.epsilon)
    }
}

/// The gradient of input `i` where the statistics are constants.
fn batch_norm_by<T: Real>(op: &BatchNormalization, reverse: &Reverse, i: usize) -> Result<Tensor, Problem> {
    let (x, dy, input) = (reverse.input(0)?, reverse.only()?, reverse.input(i)?);
    let (gamma, mean, var) = (reverse.input(1)?, reverse.input(3)?, reverse.input(4)?);
    let (values, gradient) = (T::read(x), T::read(dy));
    let read = |t: &Tensor| T::read(t).iter().map(|v| v.to_f64()).collect::<Vec<f64>>();
    let (gamma, mean, var) = (read(gamma), read(mean), read(var));
    let c = x.shape()[1];
    let map: usize = x.shape()[2..].iter().product::<usize>().max(1);
    let factor: Vec<f64> = var.iter().map(|v| 1.0 / (v + f64::from(op.epsilon)).sqrt()).collect();
    let channel = |at: usize| at / map % c;
    if i == 0 {
        let each = |(at, g): (usize, &T)| T::of_f64(g.to_f64() * gamma[channel(at)] * factor[channel(at)]);
        let dx: Vec<T> = gradient.iter().enumerate().map(each).collect();
        return finish(x.shape(), dx, x.dtype());
    }
    let mut sums = vec![0.0; c];
    for (at, (g, v)) in gradient.iter().zip(values.iter()).enumerate() {
        let k = channel(at);
        let (g, from_mean) = (g.to_f64(), v.to_f64() - mean[k]);
        sums[k] += match i {
            1 => g * from_mean * factor[k],
            2 => g,
            3 => -g * gamma[k] * factor[k],
            _ => -0.5 * g * gamma[k] * from_mean * factor[k].powi(3),
        };
    }
    finish(input.shape(), sums.into_iter().map(T::of_f64).collect::<Vec<T>>(), input.dtype())
}

impl Backward for BatchNormalization {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let dtype = reverse.input(0)?.dtype();
        reverse.each(|i| with_real!(dtype, T => batch_norm_by::<T>(self, reverse, i).map(Some)))
    }
}
