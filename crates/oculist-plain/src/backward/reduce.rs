//! Reductions along axes, running sums and products.

use oculist_graph::op::axis;
use oculist_graph::{Cumulative, CumulativeKind, Op, Reduce, ReduceKind, Tensor};

use super::broadcast::walk;
use super::{Backward, Gradients, Reverse};
use crate::along::Along;
use crate::call::Problem;
use crate::real::{Real, finish, with_real};

/// The gradient of `x` whose reduction over `mask` is `y`.
fn spread<T: Real>(
    kind: ReduceKind,
    x: &Tensor,
    [y, dy]: [&Tensor; 2],
    kept: &[usize],
) -> Result<Tensor, Problem> {
    let (values, results, gradient) = (T::read(x), T::read(y), T::read(dy));
    let count = x.len() as f64 / y.len().max(1) as f64;
    // How many elements are the extreme one: they share.
    let mut ties = vec![0.0f64; y.len()];
    // The product of those that are not 0, and how many are.
    let mut products = vec![(1.0f64, 0usize); y.len()];
    match kind {
        ReduceKind::Max | ReduceKind::Min => {
            walk(x.shape(), [kept], |i, [at]| ties[at] += if values[i] == results[at] { 1.0 } else { 0.0 });
        }
        ReduceKind::Prod => walk(x.shape(), [kept], |i, [at]| {
            let v = values[i].to_f64();
            if v == 0.0 {
                products[at].1 += 1;
            } else {
                products[at].0 *= v;
            }
        }),
        ReduceKind::Mean
        | ReduceKind::Sum
        | ReduceKind::L1
        | ReduceKind::L2
        | ReduceKind::SumSquare
        | ReduceKind::LogSum
        | ReduceKind::LogSumExp => {}
    }
    let mut dx = vec![T::ZERO; values.len()];
    walk(x.shape(), [kept], |i, [at]| {
        let (v, r) = (values[i].to_f64(), results[at].to_f64());
        let slope = match kind {
            ReduceKind::Sum => 1.0,
            ReduceKind::Mean => 1.0 / count,
            ReduceKind::Max | ReduceKind::Min if v == r => 1.0 / ties[at].max(1.0),
            ReduceKind::Max | ReduceKind::Min => 0.0,
            ReduceKind::Prod => match products[at] {
                (product, 0) => product / v,
                (product, 1) if v == 0.0 => product,
                _ => 0.0,
            },
            ReduceKind::L1 if v == 0.0 => 0.0,
            ReduceKind::L1 => v.signum(),
            ReduceKind::L2 if r == 0.0 => 0.0,
            ReduceKind::L2 => v / r,
            ReduceKind::SumSquare => 2.0 * v,
            ReduceKind::LogSum => (-r).exp(),
            ReduceKind::LogSumExp => (v - r).exp(),
        };
        dx[i] = T::of_f64(slope * gradient[at].to_f64());
    });
    finish(x.shape(), dx, x.dtype())
}

impl Backward for Reduce {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, y, dy) = (reverse.input(0)?, reverse.output(0)?, reverse.only()?);
        let axes = match reverse.get(1) {
            None => Vec::new(),
            Some(axes) => axes.to_i64s().ok_or("the axes must be integers")?,
        };
        let mask = self.mask(&axes, x.shape().len())?;
        // The shape of the result with the reduced axes kept.
        let kept: Vec<usize> =
            x.shape().iter().zip(&mask).map(|(&d, &gone)| if gone { 1 } else { d }).collect();
        reverse.first(|| with_real!(x.dtype(), T => spread::<T>(self.kind, x, [y, dy], &kept)))
    }
}

/// The gradient of a running product, from the end of each line to its start: no element is divided by, so that zeros
/// are no special case.
fn running_product(op: Cumulative, reverse: &Reverse) -> Result<Tensor, Problem> {
    let (x, dy, named) = (reverse.input(0)?, reverse.only()?, reverse.input(1)?);
    let at = named.to_i64s().and_then(|a| a.first().copied()).ok_or("the axis must be one number")?;
    let along = Along::new(x.shape(), axis(at, x.shape().len())?);
    with_real!(x.dtype(), T => {
        let (values, gradient) = (T::read(x), T::read(dy));
        let mut dx = vec![T::ZERO; values.len()];
        let mut before = vec![1.0; along.len];
        for line in 0..if values.is_empty() { 0 } else { along.lines() } {
            let place = |k: usize| along.at(line, if op.reverse { along.len - 1 - k } else { k });
            for k in 1..along.len {
                before[k] = before[k - 1] * values[place(k - 1)].to_f64();
            }
            // What flows to the products behind, without this element and those before it.
            let mut behind = 0.0;
            for k in (0..along.len).rev() {
                let flow = gradient[place(k)].to_f64();
                if !op.exclusive {
                    behind += flow;
                }
                dx[place(k)] = T::of_f64(before[k] * behind);
                behind *= values[place(k)].to_f64();
                if op.exclusive {
                    behind += flow;
                }
            }
        }
        finish(x.shape(), dx, x.dtype())
    })
}

impl Backward for Cumulative {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (dy, axis) = (reverse.only()?, reverse.input(1)?);
        reverse.first(|| {
            if self.kind == CumulativeKind::Prod {
                return running_product(*self, reverse);
            }
            // Each element is in the sums behind it: their gradients run the other way.
            let back = Op::Cumulative(Self { reverse: !self.reverse, ..*self });
            let mut all = crate::evaluate(reverse.ctx, &back, &[Some(dy), Some(axis)], 1)?;
            all.pop().ok_or_else(|| Problem::Text("no result".to_owned()))
        })
    }
}
