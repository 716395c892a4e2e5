//! Normalisation by neighbouring channels and by p-norms.

use oculist_graph::op::axis;
use oculist_graph::{LpNormalization, Lrn};

use super::{Backward, Gradients, Reverse};
use crate::real::{Real, finish, with_real};

impl Backward for Lrn {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, dy) = (reverse.input(0)?, reverse.only()?);
        let c = x.shape()[1];
        let map: usize = x.shape()[2..].iter().product();
        let size = self.size.max(1);
        let (before, behind) = ((size - 1) / 2, size / 2);
        let (bias, beta) = (f64::from(self.bias), f64::from(self.beta));
        let factor = f64::from(self.alpha) / size as f64;
        reverse.first(|| {
            with_real!(x.dtype(), T => {
                let (values, gradient) = (T::read(x), T::read(dy));
                let mut dx = vec![T::ZERO; values.len()];
                let sample = c * map;
                reverse.ctx.for_pieces(&mut dx, sample.max(1), |n, dx| {
                    let (x, dy) = (&values[n * sample..][..sample], &gradient[n * sample..][..sample]);
                    for p in 0..map {
                        let at = |k: usize| x[k * map + p].to_f64();
                        let sum = |k: usize| {
                            let window = k.saturating_sub(before)..c.min(k.saturating_add(behind).saturating_add(1));
                            bias + factor * window.map(|j| at(j) * at(j)).sum::<f64>()
                        };
                        let sums: Vec<f64> = (0..c).map(sum).collect();
                        let flow = |k: usize| dy[k * map + p].to_f64();
                        for k in 0..c {
                            // The channels in whose windows this one lies.
                            let seen = k.saturating_sub(behind)..c.min(k.saturating_add(before).saturating_add(1));
                            let others: f64 = seen.map(|i| flow(i) * at(i) * sums[i].powf(-beta - 1.0)).sum();
                            let own = flow(k) * sums[k].powf(-beta);
                            dx[k * map + p] = T::of_f64(own - 2.0 * factor * beta * at(k) * others);
                        }
                    }
                });
                finish(x.shape(), dx, x.dtype())
            })
        })
    }
}

impl Backward for LpNormalization {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, dy) = (reverse.input(0)?, reverse.only()?);
        let at = axis(self.axis, x.shape().len())?;
        let (size, inner) = (x.shape()[at], x.shape()[at + 1..].iter().product::<usize>());
        let slab = size * inner;
        reverse.first(|| {
            with_real!(x.dtype(), T => {
                let (values, gradient) = (T::read(x), T::read(dy));
                let mut dx = vec![T::ZERO; values.len()];
                reverse.ctx.for_pieces(&mut dx, slab.max(1), |n, dx| {
                    let (x, dy) = (&values[n * slab..][..slab], &gradient[n * slab..][..slab]);
                    for j in 0..inner {
                        let along = || (j..slab).step_by(inner);
                        let power = |v: f64| if self.p == 1 { v.abs() } else { v * v };
                        let sum: f64 = along().map(|k| power(x[k].to_f64())).sum();
                        let norm = if self.p == 1 { sum } else { sum.sqrt() };
                        if norm == 0.0 {
                            continue;
                        }
                        // y = x / norm, so dx = (dy - (dy . y) * slope of the norm) / norm.
                        let share: f64 = along().map(|k| dy[k].to_f64() * x[k].to_f64()).sum::<f64>() / norm;
                        for k in along() {
                            let v = x[k].to_f64();
                            let slope = match self.p {
                                1 if v == 0.0 => 0.0,
                                1 => v.signum(),
                                _ => v / norm,
                            };
                            dx[k] = T::of_f64((dy[k].to_f64() - share * slope) / norm);
                        }
                    }
                });
                finish(x.shape(), dx, x.dtype())
            })
        })
    }
}
