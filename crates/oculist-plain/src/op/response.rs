//! Normalisation without parameters.

use oculist_graph::op::axis;
use oculist_graph::{LpNormalization, Lrn, MeanVarianceNormalization};

use crate::call::{Call, Forward, Outcome, Problem};
use crate::real::{Real, finish, with_real};
use crate::window::advance;

impl Forward for LpNormalization {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let at = axis(self.axis, x.shape().len())?;
        let (size, inner) = (x.shape()[at], x.shape()[at + 1..].iter().product::<usize>());
        call.room(x.dtype(), x.shape())?;
        with_real!(x.dtype(), T => {
            let mut y = T::read(x).into_owned();
            call.ctx.for_pieces(&mut y, size * inner, |_, part| {
                let mut norms = vec![T::ZERO; inner];
                for row in part.chunks(inner.max(1)) {
                    for (norm, &v) in norms.iter_mut().zip(row) {
                        *norm += if self.p == 1 { v.abs() } else { v * v };
                    }
                }
                if self.p != 1 {
                    for n in &mut norms { *n = n.sqrt(); }
                }
                for row in part.chunks_mut(inner.max(1)) {
                    for (v, &norm) in row.iter_mut().zip(&norms) {
                        *v = if norm == T::ZERO { T::ZERO } else { *v / norm };
                    }
                }
            });
            Ok(vec![finish(x.shape(), y, x.dtype())?])
        })
    }
}

impl Forward for Lrn {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let c = x.shape()[1];
        let map: usize = x.shape()[2..].iter().product();
        call.room(x.dtype(), x.shape())?;
        // An even number of channels has one more behind than in front.
        let (before, behind) = ((self.size - 1) / 2, self.size / 2);
        with_real!(x.dtype(), T => {
            let values = T::read(x);
            let mut y = values.to_vec();
            let factor = T::of_f32(self.alpha) / T::of_usize(self.size);
            call.ctx.for_pieces(&mut y, map, |i, part| {
                let (sample, at) = (i / c, i % c);
                let mut sums = vec![T::ZERO; map];
                for from in at.saturating_sub(before)..c.min(at.saturating_add(behind).saturating_add(1)) {
                    let neighbour = &values[(sample * c + from) * map..][..map];
                    sums.iter_mut().zip(neighbour).for_each(|(s, &v)| *s += v * v);
                }
                for (v, &sum) in part.iter_mut().zip(&sums) {
                    *v /= (T::of_f32(self.bias) + factor * sum).powf(T::of_f32(self.beta));
                }
            });
            Ok(vec![finish(x.shape(), y, x.dtype())?])
        })
    }
}

/// What is added to the standard deviation of a group.
pub(crate) const TINY: f64 = 1e-9;

/// For each element the number of the group that it is normalised with, and how many groups there are: elements that
/// share their positions along the axes that are not in `axes`.
pub(crate) fn groups(shape: &[usize], axes: &[i64]) -> Result<(Vec<usize>, usize), Problem> {
    let mut reduced = vec![false; shape.len()];
    for &a in axes {
        reduced[axis(a, shape.len())?] = true;
    }
    // `steps` leads to the number of a group.
    let mut steps = vec![0; shape.len()];
    let mut groups = 1;
    for a in (0..shape.len()).rev().filter(|&a| !reduced[a]) {
        steps[a] = groups;
        groups *= shape[a];
    }
    let mut at = vec![0; shape.len()];
    let group = (0..shape.iter().product())
        .map(|_| {
            let group = at.iter().zip(&steps).map(|(&i, &s)| i * s).sum();
            advance(&mut at, |a| shape[a]);
            group
        })
        .collect();
    Ok((group, groups))
}

impl Forward for MeanVarianceNormalization {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let shape = x.shape();
        call.room(x.dtype(), shape)?;
        let (group, groups) = groups(shape, &self.axes)?;
        with_real!(x.dtype(), T => {
            let mut y = T::read(x).into_owned();
            let count = T::of_usize((y.len() / groups.max(1)).max(1));
            let sums = |y: &[T], each: fn(T) -> T| {
                // Sums of many values are kept in f64, which costs nothing here.
                let mut sums = vec![0.0f64; groups];
                y.iter().zip(&group).for_each(|(&v, &g)| sums[g] += each(v).to_f64());
                sums.into_iter().map(|s| T::of_f64(s) / count).collect::<Vec<T>>()
            };
            let means = sums(&y, |v| v);
            y.iter_mut().zip(&group).for_each(|(v, &g)| *v -= means[g]);
            let variances = sums(&y, |v| v * v);
            let tiny = T::of_f64(TINY);
            y.iter_mut().zip(&group).for_each(|(v, &g)| *v /= variances[g].sqrt() + tiny);
            Ok(vec![finish(shape, y, x.dtype())?])
        })
    }
}

#[cfg(test)]
mod tests {
    use oculist_graph::{Op, Tensor};
    use oculist_kernels::Context;

    use super::*;
    use crate::evaluate;

    fn apply(op: impl Into<Op>, x: &Tensor) -> Vec<f32> {
        let y = evaluate(&Context::new(2).unwrap(), &op.into(), &[Some(x)], 1).unwrap().remove(0);
        assert_eq!(y.shape(), x.shape());
        y.as_f32().unwrap().to_vec()
    }

    #[test]
    fn norms_along_an_axis() {
        let x = Tensor::f32(&[2, 2], vec![3.0, 0.0, -4.0, 0.0]);
        assert_eq!(apply(LpNormalization { axis: 0, p: 2 }, &x), [0.6, 0.0, -0.8, 0.0]);
        assert_eq!(apply(LpNormalization { axis: -1, p: 1 }, &x), [1.0, 0.0, -1.0, 0.0]);
    }

    /// Two channels are summed: the own one and the next.
    #[test]
    fn an_even_number_of_neighbours_reaches_further_behind() {
        let x = Tensor::f32(&[1, 3, 1, 1], vec![1.0, 2.0, 3.0]);
        let op = Lrn { alpha: 2.0, beta: 1.0, bias: 1.0, size: 2 };
        assert_eq!(apply(op, &x), [1.0 / 6.0, 2.0 / 14.0, 3.0 / 10.0]);
    }

    #[test]
    fn axes_are_normalised_together() {
        let x = Tensor::f32(&[2, 2], vec![1.0, 5.0, 3.0, 9.0]);
        assert_eq!(apply(MeanVarianceNormalization { axes: vec![0] }, &x), [-1.0, -1.0, 1.0, 1.0]);
        let y = apply(MeanVarianceNormalization { axes: vec![0, -1] }, &x);
        assert!((y[0] + 3.5 / 8.75f32.sqrt()).abs() < 1e-6, "{y:?}");
    }
}
