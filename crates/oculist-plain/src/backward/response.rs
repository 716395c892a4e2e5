//! Normalisation without parameters: by neighbouring channels, by p-norms, by mean and variance.

use oculist_graph::op::axis;
use oculist_graph::{LpNormalization, Lrn, MeanVarianceNormalization};

use super::{Backward, Gradients, Reverse};
use crate::op::response::{TINY, groups};
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

impl Backward for MeanVarianceNormalization {
    /// With `c` the element less its mean and `s` the standard deviation plus a tiny number, `y = c / s`.
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, dy) = (reverse.input(0)?, reverse.only()?);
        let (group, groups) = groups(x.shape(), &self.axes)?;
        let count = (x.len() / groups.max(1)).max(1) as f64;
        reverse.first(|| {
            with_real!(x.dtype(), T => {
                let (values, gradient) = (T::read(x), T::read(dy));
                let means = |each: &dyn Fn(usize) -> f64| {
                    let mut sums = vec![0.0; groups];
                    group.iter().enumerate().for_each(|(i, &g)| sums[g] += each(i));
                    for sum in &mut sums {
                        *sum /= count;
                    }
                    sums
                };
                let mean = means(&|i| values[i].to_f64());
                let centred = |i: usize| values[i].to_f64() - mean[group[i]];
                let flow = |i: usize| gradient[i].to_f64();
                let deviation: Vec<f64> = means(&|i| centred(i).powi(2)).iter().map(|v| v.sqrt()).collect();
                let (flows, along) = (means(&flow), means(&|i| flow(i) * centred(i)));
                let dx = (0..values.len()).map(|i| {
                    let g = group[i];
                    let s = deviation[g] + TINY;
                    // Equal elements have no deviation that could grow with them.
                    let bent = if deviation[g] == 0.0 { 0.0 } else { centred(i) * along[g] / (s * deviation[g]) };
                    T::of_f64((flow(i) - flows[g] - bent) / s)
                });
                finish(x.shape(), dx.collect::<Vec<T>>(), x.dtype())
            })
        })
    }
}
