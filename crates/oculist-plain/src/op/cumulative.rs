//! Running sums and products.

use oculist_graph::op::axis;
use oculist_graph::{Cumulative, CumulativeKind, Tensor};

use crate::along::Along;
use crate::call::{Call, Forward, Outcome};
use crate::element::{Element, Wide, expect_number, with_elements};

impl Forward for Cumulative {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        expect_number(x.dtype(), false)?;
        call.room(x.dtype(), x.shape())?;
        let at = call.ints(1)?.and_then(|a| a.first().copied()).ok_or("the axis must be one number")?;
        let along = Along::new(x.shape(), axis(at, x.shape().len())?);
        let data = with_elements!(x.data(), v: T => {
            type W = <T as Element>::Wide;
            let (start, step): (W, fn(W, W) -> W) = match self.kind {
                CumulativeKind::Sum => (W::default(), W::plus),
                CumulativeKind::Prod => (W::ONE, W::times),
            };
            let mut y = vec![T::default(); v.len()];
            for line in 0..if v.is_empty() { 0 } else { along.lines() } {
                let (mut sum, first) = (start, along.line(line));
                for k in 0..along.len {
                    let at = first + along.inner * if self.reverse { along.len - 1 - k } else { k };
                    let before = sum;
                    sum = step(sum, v[at].widen());
                    y[at] = T::narrow(if self.exclusive { before } else { sum });
                }
            }
            T::wrap(y)
        });
        Ok(vec![Tensor::new(x.shape().to_vec(), data)?])
    }
}

#[cfg(test)]
mod tests {
    use oculist_kernels::Context;

    use super::*;

    #[test]
    fn the_examples_of_the_document() {
        let ctx = Context::new(1).unwrap();
        let of = |kind, exclusive, reverse| {
            let (x, axis) =
                (Tensor::i32(&[3], vec![1, 2, 3]), Tensor::ints(vec![0]).reshaped(vec![]).unwrap());
            let op = Cumulative { kind, exclusive, reverse };
            let y = crate::evaluate(&ctx, &op.into(), &[Some(&x), Some(&axis)], 1).unwrap();
            y[0].as_i32().unwrap().to_vec()
        };
        assert_eq!(of(CumulativeKind::Sum, false, false), [1, 3, 6]);
        assert_eq!(of(CumulativeKind::Sum, true, false), [0, 1, 3]);
        assert_eq!(of(CumulativeKind::Sum, true, true), [5, 3, 0]);
        assert_eq!(of(CumulativeKind::Prod, false, true), [6, 6, 3]);
        assert_eq!(of(CumulativeKind::Prod, true, true), [6, 3, 1]);
    }
}
