//! Parts of a value along its axes.

use oculist_graph::op::axis;
use oculist_graph::{Slice, Split, Tensor};

use crate::call::{Call, Forward, Outcome, Problem};
use crate::moves::{Along, moved, strides};

impl Forward for Slice {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let rank = x.shape().len();
        let missing = "starts and ends are missing";
        let (starts, ends) = (call.ints(1)?.ok_or(missing)?, call.ints(2)?.ok_or(missing)?);
        let axes = match call.ints(3)? {
            Some(axes) => axes.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
            None => (0..starts.len()).collect(),
        };
        let steps = call.ints(4)?.unwrap_or_else(|| vec![1; axes.len()]);
        if starts.len() != axes.len()
            || ends.len() != axes.len()
            || steps.len() != axes.len()
            || axes.len() > rank
        {
            return Err("starts, ends, axes and steps differ in number".into());
        }
        let strides = strides(x.shape());
        let mut shape = x.shape().to_vec();
        let mut along: Vec<Along> = (0..rank).map(|a| Along::all(shape[a], strides[a])).collect();
        for (i, &a) in axes.iter().enumerate() {
            let (first, count) = Self::range(x.shape()[a], starts[i], ends[i], steps[i])?;
            // With one index at most, no step is taken.
            let step = if count > 1 { (steps[i] as isize).wrapping_mul(strides[a] as isize) } else { 0 };
            along[a] = Along::Steps { start: first * strides[a], step, count };
            shape[a] = count;
        }
        if shape == x.shape() && steps.iter().all(|&s| s > 0) {
            return Ok(vec![x.clone()]);
        }
        call.room(x.dtype(), &shape)?;
        Ok(vec![Tensor::new(shape, moved(call.ctx, x.data(), along, None))?])
    }
}

impl Forward for Split {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let a = axis(self.axis, x.shape().len())?;
        let size = x.shape()[a];
        let lengths = match call.ints(1)? {
            None => Self::equal(size, self.parts.unwrap_or(call.outputs)),
            Some(lengths) => lengths
                .iter()
                .map(|&n| usize::try_from(n).map_err(|_| Problem::from(format!("a part has the length {n}"))))
                .collect::<Result<_, _>>()?,
        };
        let total = lengths.iter().fold(0usize, |sum, &n| sum.saturating_add(n));
        if total != size {
            return Err(format!("the parts have {total} indices, axis {a} has {size}").into());
        }
        let strides = strides(x.shape());
        let mut first = 0;
        let mut parts = Vec::with_capacity(lengths.len());
        for count in lengths {
            let mut shape = x.shape().to_vec();
            shape[a] = count;
            call.room(x.dtype(), &shape)?;
            let mut along: Vec<Along> = shape.iter().zip(&strides).map(|(&n, &s)| Along::all(n, s)).collect();
            along[a] = Along::Steps { start: first * strides[a], step: strides[a] as isize, count };
            parts.push(Tensor::new(shape, moved(call.ctx, x.data(), along, None))?);
            first += count;
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{run, run_all};

    #[test]
    fn slices_go_both_ways() {
        let x = Tensor::i32(&[2, 4], vec![1, 2, 3, 4, 5, 6, 7, 8]);
        let ints = |v: &[i64]| Tensor::ints(v.to_vec());
        let y = run(Slice, &[&x, &ints(&[1, 0]), &ints(&[2, 3]), &ints(&[0, 1]), &ints(&[1, 2])]).unwrap();
        assert_eq!(y, Tensor::i32(&[1, 2], vec![5, 7]));
        let y = run(Slice, &[&x, &ints(&[-1]), &ints(&[i64::MIN]), &ints(&[1]), &ints(&[-3])]).unwrap();
        assert_eq!(y, Tensor::i32(&[2, 2], vec![4, 1, 8, 5]));
        assert_eq!(run(Slice, &[&x, &ints(&[1]), &ints(&[1])]).unwrap().shape(), [0, 4]);
    }

    #[test]
    fn parts_are_cut_along_an_axis() {
        let x = Tensor::i32(&[2, 3], vec![1, 2, 3, 4, 5, 6]);
        let parts = run_all(Split { axis: 1, parts: None }, &[&x, &Tensor::ints(vec![1, 2])], 2).unwrap();
        assert_eq!(parts[0], Tensor::i32(&[2, 1], vec![1, 4]));
        assert_eq!(parts[1], Tensor::i32(&[2, 2], vec![2, 3, 5, 6]));
        let error = run_all(Split { axis: 1, parts: None }, &[&x, &Tensor::ints(vec![1, 1])], 2).unwrap_err();
        assert!(error.contains("the parts have 2 indices"), "{error}");
    }
}
