//! Elements picked by index.

use oculist_graph::op::axis;
use oculist_graph::{ArrayFeatureExtractor, Gather, GatherElements, GatherND, Tensor};

use crate::call::{Call, Forward, Outcome, Problem};
use crate::moves::{Along, moved, strides};

/// An index counted from the front, which must lie on an axis of this size.
pub(super) fn index(i: i64, size: usize) -> Result<usize, Problem> {
    let from_front = if i < 0 { i.saturating_add(size as i64) } else { i };
    usize::try_from(from_front)
        .ok()
        .filter(|&at| at < size)
        .ok_or_else(|| Problem::from(format!("the index is {i}, the axis has {size}")))
}

/// The indices of an input.
pub(crate) fn indices(call: &Call, i: usize) -> Result<Vec<i64>, Problem> {
    call.ints(i)?.ok_or_else(|| Problem::from(format!("input {i} is missing")))
}

/// The parts along an axis that indices name, with the axis replaced by `dims`.
fn parts(call: &Call, x: &Tensor, a: usize, named: &[i64], dims: &[usize]) -> Outcome {
    let strides = strides(x.shape());
    let shape = [&x.shape()[..a], dims, &x.shape()[a + 1..]].concat();
    call.room(x.dtype(), &shape)?;
    let positions =
        named.iter().map(|&i| Ok(index(i, x.shape()[a])? * strides[a])).collect::<Result<_, Problem>>()?;
    let mut along: Vec<Along> = x.shape().iter().zip(&strides).map(|(&n, &s)| Along::all(n, s)).collect();
    along[a] = Along::Listed(positions);
    Ok(vec![Tensor::new(shape, moved(call.ctx, x.data(), along, None))?])
}

impl Forward for Gather {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, named) = (call.input(0)?, call.input(1)?);
        let a = axis(self.axis, x.shape().len())?;
        parts(call, x, a, &indices(call, 1)?, named.shape())
    }
}

impl Forward for ArrayFeatureExtractor {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, named) = (call.input(0)?, indices(call, 1)?);
        let last = x.shape().len().checked_sub(1).ok_or("a scalar has no columns")?;
        let mut y = parts(call, x, last, &named, &[named.len()])?;
        if last == 0 {
            y = vec![y.remove(0).reshaped(vec![1, named.len()])?];
        }
        Ok(y)
    }
}

/// For each index, in their order, the position that it names in a value of `shape`: its own but for axis `a`, where it
/// says which.
pub(crate) fn element_positions(
    named: &[i64],
    dims: &[usize],
    shape: &[usize],
    a: usize,
) -> Result<Vec<usize>, Problem> {
    let (own, theirs) = (strides(dims), strides(shape));
    let mut positions = Vec::with_capacity(named.len());
    for (i, &name) in named.iter().enumerate() {
        let mut position = index(name, shape[a])? * theirs[a];
        for b in (0..dims.len()).filter(|&b| b != a) {
            position += i / own[b] % dims[b] * theirs[b];
        }
        positions.push(position);
    }
    Ok(positions)
}

impl Forward for GatherElements {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, named) = (call.input(0)?, call.input(1)?);
        let a = axis(self.axis, x.shape().len())?;
        call.room(x.dtype(), named.shape())?;
        let positions = element_positions(&indices(call, 1)?, named.shape(), x.shape(), a)?;
        Ok(vec![Tensor::new(named.shape().to_vec(), x.data().pick(positions.into_iter()))?])
    }
}

/// Where the parts begin that tuples of indices name behind the first `batch` axes, and their length.
pub(crate) fn tuple_positions(
    named: &[i64],
    dims: &[usize],
    shape: &[usize],
    batch: usize,
) -> Result<(Vec<usize>, usize), Problem> {
    let len = dims.last().copied().filter(|&n| n > 0).ok_or("tuples without indices name nothing")?;
    let strides = strides(shape);
    // Tuples of one sample.
    let each = dims[batch..dims.len() - 1].iter().product::<usize>().max(1);
    let inner = shape[batch + len..].iter().product();
    let sample: usize = shape[batch..].iter().product();
    let begin = |(t, tuple): (usize, &[i64])| {
        let mut position = t / each * sample;
        for (k, &i) in tuple.iter().enumerate() {
            position += index(i, shape[batch + k])? * strides[batch + k];
        }
        Ok(position)
    };
    let begins = named.chunks_exact(len).enumerate().map(begin).collect::<Result<_, Problem>>()?;
    Ok((begins, inner))
}

impl Forward for GatherND {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, named) = (call.input(0)?, call.input(1)?);
        let dims = named.shape();
        let len = dims.last().copied().unwrap_or(0);
        let shape = [&dims[..dims.len().saturating_sub(1)], &x.shape()[self.batch_dims + len..]].concat();
        if call.room(x.dtype(), &shape)? == 0 {
            return Ok(vec![Tensor::zeros(x.dtype(), &shape)]);
        }
        let (begins, inner) = tuple_positions(&indices(call, 1)?, dims, x.shape(), self.batch_dims)?;
        let along = vec![Along::Listed(begins), Along::all(inner, 1)];
        Ok(vec![Tensor::new(shape, moved(call.ctx, x.data(), along, None))?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;

    #[test]
    fn indices_count_from_both_ends() {
        let x = Tensor::f32(&[3, 2], vec![1.0, 1.2, 2.3, 3.4, 4.5, 5.7]);
        let at = |shape: &[usize], v: &[i64]| Tensor::ints(v.to_vec()).reshaped(shape.to_vec()).unwrap();
        let y = run(Gather { axis: 0 }, &[&x, &at(&[2, 2], &[0, 1, -2, 2])]).unwrap();
        assert_eq!(y, Tensor::f32(&[2, 2, 2], vec![1.0, 1.2, 2.3, 3.4, 2.3, 3.4, 4.5, 5.7]));
        let y = run(GatherElements { axis: 0 }, &[&x, &at(&[1, 2], &[2, -3])]).unwrap();
        assert_eq!(y, Tensor::f32(&[1, 2], vec![4.5, 1.2]));
        let y = run(GatherND { batch_dims: 0 }, &[&x, &at(&[2, 2], &[0, 1, -1, 0])]).unwrap();
        assert_eq!(y, Tensor::f32(&[2], vec![1.2, 4.5]));
        let y = run(GatherND { batch_dims: 1 }, &[&x, &at(&[3, 1], &[1, 0, 1])]).unwrap();
        assert_eq!(y, Tensor::f32(&[3], vec![1.2, 2.3, 5.7]));
        let y = run(ArrayFeatureExtractor, &[&x, &at(&[2], &[1, 0])]).unwrap();
        assert_eq!(y, Tensor::f32(&[3, 2], vec![1.2, 1.0, 3.4, 2.3, 5.7, 4.5]));
        let error = run(Gather { axis: 0 }, &[&x, &at(&[1], &[-4])]).unwrap_err();
        assert!(error.contains("the index is -4, the axis has 3"), "{error}");
    }
}
