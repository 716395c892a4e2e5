//! Softmax and its logarithm.

use oculist_graph::{Softmax, SoftmaxKind};

use super::{Backward, Gradients, Reverse};
use crate::real::{Real, finish, with_real};

impl Backward for Softmax {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, y, dy) = (reverse.input(0)?, reverse.output(0)?, reverse.only()?);
        let axes = self.axes(x.shape().len())?;
        let size = |range: std::ops::Range<usize>| x.shape()[range].iter().product::<usize>();
        let (len, inner) = (size(axes.clone()), size(axes.end..x.shape().len()));
        reverse.first(|| {
            with_real!(x.dtype(), T => {
                let (values, gradient) = (T::read(y), T::read(dy));
                let mut dx = vec![T::ZERO; values.len()];
                let slab = len * inner;
                if slab > 0 {
                    reverse.ctx.for_pieces(&mut dx, slab, |i, part| {
                        let (y, g) = (&values[i * slab..][..slab], &gradient[i * slab..][..slab]);
                        for j in 0..inner {
                            let along = || (0..len).map(|k| k * inner + j);
                            if self.kind == SoftmaxKind::LogSoftmax {
                                let sum: T = along().fold(T::ZERO, |s, k| s + g[k]);
                                along().for_each(|k| part[k] = g[k] - Real::exp(y[k]) * sum);
                            } else {
                                let sum: T = along().fold(T::ZERO, |s, k| s + g[k] * y[k]);
                                along().for_each(|k| part[k] = y[k] * (g[k] - sum));
                            }
                        }
                    });
                }
                finish(x.shape(), dx, x.dtype())
            })
        })
    }
}
