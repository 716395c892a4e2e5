//! Elements repeated.

use oculist_graph::{Expand, Tensor, Tile};

use crate::call::{Call, Forward, Outcome, Problem};
use crate::moves::{Along, moved, strides};

/// Numbers of an input that are no negative ones.
fn sizes(call: &Call, i: usize) -> Result<Vec<usize>, Problem> {
    let ints = call.ints(i)?.unwrap_or_default();
    ints.iter()
        .map(|&n| {
            usize::try_from(n).map_err(|_| Problem::from(format!("a size is {n}, expected at least 0")))
        })
        .collect()
}

impl Forward for Expand {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, target) = (call.input(0)?, sizes(call, 1)?);
        let rank = x.shape().len().max(target.len());
        let padded = |s: &[usize]| [vec![1; rank - s.len()], s.to_vec()].concat();
        let (own, target) = (padded(x.shape()), padded(&target));
        let mut shape = own.clone();
        for (size, &target) in shape.iter_mut().zip(&target) {
            match (*size, target) {
                (_, 1) => {}
                (1, n) => *size = n,
                (a, b) if a == b => {}
                (a, b) => return Err(format!("a size of {a} cannot be expanded to {b}").into()),
            }
        }
        if shape == own {
            return Ok(vec![x.reshaped(shape)?]);
        }
        call.room(x.dtype(), &shape)?;
        let strides = strides(&own);
        let along =
            (0..rank).map(|a| Along::all(shape[a], if own[a] == 1 { 0 } else { strides[a] })).collect();
        Ok(vec![Tensor::new(shape, moved(call.ctx, x.data(), along, None))?])
    }
}

impl Forward for Tile {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, repeats) = (call.input(0)?, sizes(call, 1)?);
        if repeats.len() != x.shape().len() {
            return Err(format!("{} repeats are given for {} axes", repeats.len(), x.shape().len()).into());
        }
        let shape: Vec<usize> = x.shape().iter().zip(&repeats).map(|(n, r)| n.saturating_mul(*r)).collect();
        call.room(x.dtype(), &shape)?;
        // Each axis as two: the repeats, and the indices.
        let two = |((&size, stride), &n)| [Along::all(n, 0), Along::all(size, stride)];
        let along = x.shape().iter().zip(strides(x.shape())).zip(&repeats).flat_map(two).collect();
        Ok(vec![Tensor::new(shape, moved(call.ctx, x.data(), along, None))?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;

    #[test]
    fn elements_are_repeated() {
        let x = Tensor::i32(&[2, 1], vec![1, 2]);
        let y = run(Expand, &[&x, &Tensor::ints(vec![2, 1, 3])]).unwrap();
        assert_eq!(y, Tensor::i32(&[2, 2, 3], vec![1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2]));
        assert!(run(Expand, &[&x, &Tensor::ints(vec![3, 3])]).is_err());
        let x = Tensor::i32(&[2, 2], vec![1, 2, 3, 4]);
        let y = run(Tile, &[&x, &Tensor::ints(vec![1, 2])]).unwrap();
        assert_eq!(y, Tensor::i32(&[2, 4], vec![1, 2, 1, 2, 3, 4, 3, 4]));
        // More than any memory.
        assert!(run(Tile, &[&x, &Tensor::ints(vec![1 << 40, 1 << 40])]).is_err());
    }
}
