//! Pooling over windows and over whole maps.

use oculist_graph::{AveragePool, GlobalPool, LpPool, MaxPool, Tensor, Window};

use super::conv::{OUTSIDE, table};
use super::{Backward, Gradients, Reverse};
use crate::call::Problem;
use crate::real::{Real, finish, with_real};

/// The elements under each element of the kernel.
fn windows(window: &Window, x: &Tensor, y: &Tensor) -> Vec<Vec<usize>> {
    let large = &x.shape()[2..];
    let padding: Vec<usize> = (0..large.len()).map(|a| window.padding_of(a, large[a]).0).collect();
    table(window, &padding, large, &y.shape()[2..])
}

/// Lets `f` add the gradients of one map to those of the map that it was pooled from.
fn by_map<T: Real>(
    reverse: &Reverse,
    x: &Tensor,
    dy: &Tensor,
    f: impl Fn(&[T], &[T], &mut [T]) + Sync,
) -> Result<Tensor, Problem> {
    let (values, gradient) = (T::read(x), T::read(dy));
    let large: usize = x.shape()[2..].iter().product();
    let small: usize = dy.shape()[2..].iter().product();
    let mut dx = vec![T::ZERO; values.len()];
    if large > 0 {
        reverse.ctx.for_pieces(&mut dx, large, |i, part| {
            f(&values[i * large..][..large], &gradient[i * small..][..small], part);
        });
    }
    finish(x.shape(), dx, x.dtype())
}

impl Backward for MaxPool {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, dy) = (reverse.input(0)?, reverse.only()?);
        let table = windows(&self.window, x, dy);
        reverse.first(|| {
            with_real!(x.dtype(), T => by_map::<T>(reverse, x, dy, |x, dy, dx| {
                for (o, &g) in dy.iter().enumerate() {
                    // The first of the largest.
                    let mut best = OUTSIDE;
                    for tap in &table {
                        let at = tap[o];
                        if at != OUTSIDE && (best == OUTSIDE || x[at] > x[best]) {
                            best = at;
                        }
                    }
                    if best != OUTSIDE {
                        dx[best] += g;
                    }
                }
            }))
        })
    }
}

impl Backward for AveragePool {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, dy) = (reverse.input(0)?, reverse.only()?);
        let table = windows(&self.window, x, dy);
        let small = &dy.shape()[2..];
        // What hangs over the padded end never counts, the padding only if asked.
        let counts: Vec<usize> = (0..small.iter().product())
            .map(|o| {
                if !self.count_include_pad {
                    return table.iter().filter(|tap| tap[o] != OUTSIDE).count();
                }
                let mut rest: usize = o;
                let mut count = 1;
                for a in (0..small.len()).rev() {
                    let out = rest % small[a];
                    rest /= small[a];
                    let size = x.shape()[2 + a];
                    let (before, behind) = self.window.padding_of(a, size);
                    let end = size + before + behind;
                    let place = |t: usize| out * self.window.stride[a] + t * self.window.dilation[a];
                    count *= (0..self.window.kernel[a]).filter(|&t| place(t) < end).count();
                }
                count
            })
            .collect();
        reverse.first(|| {
            with_real!(x.dtype(), T => by_map::<T>(reverse, x, dy, |_, dy, dx| {
                for (o, &g) in dy.iter().enumerate() {
                    let share = g / T::of_usize(counts[o].max(1));
                    for tap in table.iter().filter(|tap| tap[o] != OUTSIDE) {
                        dx[tap[o]] += share;
                    }
                }
            }))
        })
    }
}

/// The slope of `(sum |x|^p)^(1/p)` along `x`: `sum^(1/p - 1) * |x|^(p - 1) * sign x`, 0 where all are 0.
fn norm_slope(sum: f64, x: f64, p: i64) -> f64 {
    if sum == 0.0 || x == 0.0 {
        return 0.0;
    }
    let p = p as f64;
    sum.powf(1.0 / p - 1.0) * x.abs().powf(p - 1.0) * x.signum()
}

impl Backward for LpPool {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, dy) = (reverse.input(0)?, reverse.only()?);
        let table = windows(&self.window, x, dy);
        reverse.first(|| {
            with_real!(x.dtype(), T => by_map::<T>(reverse, x, dy, |x, dy, dx| {
                for (o, &g) in dy.iter().enumerate() {
                    let inside = || table.iter().map(|tap| tap[o]).filter(|&at| at != OUTSIDE);
                    let sum = inside().map(|at| x[at].to_f64().abs().powf(self.p as f64)).sum();
                    for at in inside() {
                        dx[at] += T::of_f64(norm_slope(sum, x[at].to_f64(), self.p) * g.to_f64());
                    }
                }
            }))
        })
    }
}

impl Backward for GlobalPool {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, dy) = (reverse.input(0)?, reverse.only()?);
        reverse.first(|| {
            with_real!(x.dtype(), T => by_map::<T>(reverse, x, dy, |x, dy, dx| {
                let g = dy[0];
                match *self {
                    Self::Average => dx.fill(g / T::of_usize(x.len())),
                    Self::Max => {
                        let best = (1..x.len()).fold(0, |best, i| if x[i] > x[best] { i } else { best });
                        dx[best] = g;
                    }
                    Self::Lp(p) => {
                        let sum = x.iter().map(|v| v.to_f64().abs().powf(p as f64)).sum();
                        for (dx, v) in dx.iter_mut().zip(x) {
                            *dx = T::of_f64(norm_slope(sum, v.to_f64(), p) * g.to_f64());
                        }
                    }
                }
            }))
        })
    }
}
