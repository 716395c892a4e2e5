//! Elements moved or kept.

use oculist_graph::op::axis;
use oculist_graph::{Concat, DataType, Dropout, Flatten, Identity, Tensor, TensorData};

use crate::call::{Call, Forward, Outcome};
use crate::moves::{count, joined};

impl Forward for Concat {
    fn forward(&self, call: &Call) -> Outcome {
        let first = call.input(0)?;
        let along = axis(self.axis, first.shape().len())?;
        let mut shape = first.shape().to_vec();
        let (mut parts, mut widths) = (Vec::new(), Vec::new());
        shape[along] = 0;
        for i in 0..call.inputs.len() {
            let x = call.input(i)?;
            shape[along] = shape[along].saturating_add(x.shape()[along]);
            parts.push(x.data());
            widths.push(count(&x.shape()[along..]));
        }
        call.room(first.dtype(), &shape)?;
        let rows = count(&shape[..along]);
        Ok(vec![Tensor::new(shape, joined(call.ctx, &parts, &widths, rows))?])
    }
}

impl Forward for Identity {
    fn forward(&self, call: &Call) -> Outcome {
        Ok(vec![call.input(0)?.clone()])
    }
}

impl Forward for Flatten {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let rank = x.shape().len();
        let at = if usize::try_from(self.axis) == Ok(rank) { rank } else { axis(self.axis, rank)? };
        let (rows, columns) = x.shape().split_at(at);
        Ok(vec![x.reshaped(vec![count(rows), count(columns)])?])
    }
}

impl Forward for Dropout {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let ratio = match call.get(1) {
            None => self.ratio,
            Some(ratio) => ratio.to_f32s().first().copied().unwrap_or(self.ratio),
        };
        let training = call.ints(2)?.is_some_and(|mode| mode.first().is_some_and(|&m| m != 0));
        if training && ratio > 0.0 {
            return Err(format!(
                "it zeroes {ratio} of the elements while training; plain evaluation draws nothing at random"
            )
            .into());
        }
        let mut results = vec![x.clone()];
        if call.outputs > 1 {
            let len = call.room(DataType::Bool, x.shape())?;
            results.push(Tensor::new(x.shape().to_vec(), TensorData::Bool(vec![true; len]))?);
        }
        Ok(results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run_all as run;

    #[test]
    fn parts_are_joined_along_any_axis() {
        let a = Tensor::i8(&[2, 1, 2], vec![1, 2, 3, 4]);
        let b = Tensor::i8(&[2, 2, 2], vec![5, 6, 7, 8, 9, 10, 11, 12]);
        let y = &run(Concat { axis: -2 }, &[&a, &b], 1).unwrap()[0];
        assert_eq!(y, &Tensor::i8(&[2, 3, 2], vec![1, 2, 5, 6, 7, 8, 3, 4, 9, 10, 11, 12]));
        let y = &run(Concat { axis: 0 }, &[&b, &b], 1).unwrap()[0];
        assert_eq!((y.shape(), y.len()), (&[4, 2, 2][..], 16));
        assert!(run(Concat { axis: 0 }, &[&a, &b], 1).unwrap_err().contains("differ"));
    }

    #[test]
    fn dropout_keeps_everything_unless_it_trains() {
        let x = Tensor::f32(&[2], vec![1.0, 2.0]);
        let y = run(Dropout { ratio: 0.5 }, &[&x], 2).unwrap();
        assert_eq!(y[0], x);
        assert_eq!(y[1].data(), &TensorData::Bool(vec![true; 2]));
        let training = Tensor::new(Vec::new(), TensorData::Bool(vec![true])).unwrap();
        let ratio = |r| Tensor::f32(&[], vec![r]);
        assert_eq!(run(Dropout { ratio: 0.5 }, &[&x, &ratio(0.0), &training], 1).unwrap()[0], x);
        let error = run(Dropout { ratio: 0.5 }, &[&x, &ratio(0.25), &training], 1).unwrap_err();
        assert!(error.contains("0.25") && error.contains("at random"), "{error}");
    }
}
