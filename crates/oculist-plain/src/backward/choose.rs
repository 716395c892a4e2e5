//! Choices between values.

use oculist_graph::{Clip, TensorData, Where};

use super::broadcast::walk;
use super::{Backward, Gradients, Reverse};
use crate::real::{Real, finish, with_real};

impl Backward for Where {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (condition, dy) = (reverse.input(0)?, reverse.only()?);
        let TensorData::Bool(chosen) = condition.data() else {
            return Err(format!("input 0 must be bool, found {}", condition.dtype().name()).into());
        };
        reverse.each(|i| {
            let input = reverse.input(i)?;
            with_real!(input.dtype(), T => {
                let gradient = T::read(dy);
                let mut sums = vec![T::ZERO; input.len()];
                walk(dy.shape(), [condition.shape(), input.shape()], |at, [c, p]| {
                    if chosen[c] == (i == 1) {
                        sums[p] += gradient[at];
                    }
                });
                finish(input.shape(), sums, input.dtype()).map(Some)
            })
        })
    }
}

impl Backward for Clip {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, dy) = (reverse.input(0)?, reverse.only()?);
        with_real!(x.dtype(), T => {
            let bound = |i: usize, none: f64| match reverse.get(i) {
                Some(t) => T::read(t).first().copied().map_or(none, Real::to_f64),
                None => none,
            };
            let (min, max) = (bound(1, f64::NEG_INFINITY), bound(2, f64::INFINITY));
            let (values, gradient) = (T::read(x), T::read(dy));
            // The upper bound is applied last, so it wins where both cross.
            let taken = |v: f64| if v.max(min) >= max { 2 } else { usize::from(v <= min) };
            reverse.each(|i| {
                let input = reverse.input(i)?;
                let flows = values.iter().zip(gradient.iter()).map(|(v, &g)| {
                    if taken(v.to_f64()) == i { g } else { T::ZERO }
                });
                let result = if i == 0 {
                    flows.collect()
                } else {
                    vec![T::of_f64(flows.map(Real::to_f64).sum())]
                };
                finish(input.shape(), result, input.dtype()).map(Some)
            })
        })
    }
}
