//! Resizing: linear in the elements and made axis by axis, so the gradient is made with the turned matrix of each axis.

use oculist_graph::op::AspectRatio;
use oculist_graph::{Op, Resize, Tensor};

use super::linear::times_turned;
use super::{Backward, Gradients, Reverse};
use crate::call::Problem;
use crate::gemm::Size;
use crate::real::{Real, finish, with_real};

/// What each of `n` elements adds to each of `m`, `[n, m]`: the operator applied to the rows of the identity.
fn matrix<T: Real>(op: &Resize, reverse: &Reverse, [at, n, m]: [usize; 3]) -> Result<Vec<T>, Problem> {
    let x = reverse.input(0)?;
    let mut identity = vec![T::ZERO; n * n];
    identity.iter_mut().step_by(n + 1).for_each(|v| *v = T::ONE);
    let rows = finish(&[n, n], identity, x.dtype())?;
    let pick = |i: usize, positions: &[usize]| reverse.get(i).map(|t| t.select(0, positions));
    let named = reverse.get(1).map_or(0, |roi| roi.len() / 2);
    let roi = if named > at { pick(1, &[at, named + at]) } else { None };
    let scales = reverse.get(2).filter(|t| !t.is_empty()).and_then(|_| pick(2, &[at]));
    let sizes =
        if scales.is_none() { Some(Tensor::ints(vec![i64::try_from(m).unwrap_or(i64::MAX)])) } else { None };
    let along =
        Resize { axes: Some(vec![1]), aspect_ratio: AspectRatio::Stretch, extrapolation: 0.0, ..op.clone() };
    let given = [Some(&rows), roi.as_ref(), scales.as_ref(), sizes.as_ref()];
    let given = if sizes.is_none() { &given[..3] } else { &given[..] };
    let all = crate::evaluate(reverse.ctx, &Op::Resize(along), given, 1)?;
    match all.first() {
        Some(found) if found.shape() == [n, m] => Ok(T::read(found).into_owned()),
        _ => Err("an axis resized alone has another size".into()),
    }
}

fn resized<T: Real>(op: &Resize, reverse: &Reverse) -> Result<Tensor, Problem> {
    let (x, dy) = (reverse.input(0)?, reverse.only()?);
    let mut values = T::read(dy).into_owned();
    let mut shape = dy.shape().to_vec();
    for (at, a) in op.resized_axes(shape.len())?.into_iter().enumerate() {
        let (n, m) = (x.shape()[a], shape[a]);
        let matrix = matrix::<T>(op, reverse, [at, n, m])?;
        let inner: usize = shape[a + 1..].iter().product();
        let outer: usize = shape[..a].iter().product();
        values = if inner == 1 {
            times_turned(reverse, &values, &matrix, [outer, n, m])
        } else {
            let mut all = vec![T::ZERO; outer * n * inner];
            for (to, from) in all.chunks_exact_mut(n * inner).zip(values.chunks_exact(m * inner)) {
                T::matmul(reverse.ctx, Size::packed(n, inner, m), &matrix, from, to);
            }
            all
        };
        shape[a] = n;
    }
    finish(&shape, values, x.dtype())
}

impl Backward for Resize {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let by_sizes = reverse.get(3).is_some_and(|t| !t.is_empty());
        if by_sizes && self.aspect_ratio != AspectRatio::Stretch {
            return Err("the gradient of a size that keeps the ratio of the axes is not known".into());
        }
        let x = reverse.input(0)?;
        if x.is_empty() {
            return reverse.first(|| Ok(x.clone()));
        }
        reverse.first(|| with_real!(x.dtype(), T => resized::<T>(self, reverse)))
    }
}
