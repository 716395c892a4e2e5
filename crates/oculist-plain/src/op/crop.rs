//! Values cut or padded about their middle.

use oculist_graph::{CenterCropPad, Tensor};

use crate::call::{Call, Forward, Outcome, Problem};
use crate::moves::{Along, FILL, moved, strides};

impl Forward for CenterCropPad {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let sizes = call.ints(1)?.ok_or("input 1 is missing")?;
        let axes = self.cropped_axes(x.shape().len())?;
        let mut shape = x.shape().to_vec();
        for (&a, &size) in axes.iter().zip(&sizes) {
            shape[a] = usize::try_from(size).map_err(|_| Problem::from(format!("a size is {size}")))?;
        }
        if call.room(x.dtype(), &shape)? == 0 {
            return Ok(vec![Tensor::zeros(x.dtype(), &shape)]);
        }
        let strides = strides(x.shape());
        let along = |a: usize| {
            let (from, to) = (x.shape()[a], shape[a]);
            if to <= from {
                // What cannot be shared equally is cut off behind.
                return Along::Steps {
                    start: (from - to) / 2 * strides[a],
                    step: strides[a] as isize,
                    count: to,
                };
            }
            let before = (to - from) / 2;
            let position = |i: usize| i.checked_sub(before).filter(|&i| i < from).map(|i| i * strides[a]);
            Along::Listed((0..to).map(|i| position(i).unwrap_or(FILL)).collect())
        };
        let along = (0..shape.len()).map(along).collect();
        Ok(vec![Tensor::new(shape, moved(call.ctx, x.data(), along, None))?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;

    #[test]
    fn what_is_odd_is_cut_or_added_behind() {
        let x = Tensor::i32(&[2, 5], (1..=10).collect());
        let crop =
            |sizes: &[i64]| run(CenterCropPad { axes: None }, &[&x, &Tensor::ints(sizes.to_vec())]).unwrap();
        assert_eq!(crop(&[2, 2]), Tensor::i32(&[2, 2], vec![2, 3, 7, 8]));
        assert_eq!(crop(&[1, 8]), Tensor::i32(&[1, 8], vec![0, 1, 2, 3, 4, 5, 0, 0]));
        assert_eq!(crop(&[5, 1]), Tensor::i32(&[5, 1], vec![0, 3, 8, 0, 0]));
    }
}
