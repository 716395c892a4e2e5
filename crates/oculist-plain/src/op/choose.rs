//! Elements chosen by conditions.

use oculist_graph::op::axis;
use oculist_graph::{Compress, DataType, NonZero, Tensor, TensorData, Where};

use crate::along::Along;
use crate::broadcast::{Walk, choose, shape};
use crate::call::{Call, Forward, Outcome, Problem};
use crate::element::{Element, same_type, with_elements};

/// The truth values of input `i`.
fn truth<'a>(call: &Call<'a>, i: usize) -> Result<&'a [bool], Problem> {
    let tensor = call.input(i)?;
    let found = || format!("input {i} must be bool, found {}", tensor.dtype().name());
    bool::view(tensor.data()).ok_or_else(|| found().into())
}

impl Forward for Where {
    fn forward(&self, call: &Call) -> Outcome {
        let (condition, x, y) = (call.input(0)?, call.input(1)?, call.input(2)?);
        let shapes = [condition.shape(), x.shape(), y.shape()];
        let out = shape(&shapes)?;
        let len = call.room(x.dtype(), &out)?;
        let walk = Walk::new(&out, shapes);
        let truth = truth(call, 0)?;
        let differ =
            || Problem::Text(format!("the inputs are {} and {}", x.dtype().name(), y.dtype().name()));
        let data = same_type!(x.data(), v => {
            choose(call.ctx, (&walk, len), truth, v, Element::view(y.data()).ok_or_else(differ)?)
        });
        Ok(vec![Tensor::new(out, data)?])
    }
}

impl Forward for Compress {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let kept: Vec<usize> =
            truth(call, 1)?.iter().enumerate().filter_map(|(i, &c)| c.then_some(i)).collect();
        let Some(along) = self.axis else {
            let data = x.data().pick(kept.iter().copied().filter(|&i| i < x.len()));
            return Ok(vec![Tensor::new(vec![data.len()], data)?]);
        };
        let along = axis(along, x.shape().len())?;
        if let Some(i) = kept.last().filter(|&&i| i >= x.shape()[along]) {
            return Err(format!("the condition chooses index {i}, there are {}", x.shape()[along]).into());
        }
        let mut out = x.shape().to_vec();
        out[along] = kept.len();
        call.room(x.dtype(), &out)?;
        Ok(vec![x.select(along, &kept)])
    }
}

impl Forward for NonZero {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let places: Vec<usize> = with_elements!(x.data(), v: T => {
            v.iter().enumerate().filter_map(|(i, &x)| (x != T::default()).then_some(i)).collect()
        });
        let shape = vec![x.shape().len(), places.len()];
        call.room(DataType::I64, &shape)?;
        let index = |a: usize, place: usize| {
            let Along { len, inner, .. } = Along::new(x.shape(), a);
            (place / inner % len) as i64
        };
        let all = (0..shape[0]).flat_map(|a| places.iter().map(move |&place| index(a, place))).collect();
        Ok(vec![Tensor::new(shape, TensorData::I64(all))?])
    }
}

#[cfg(test)]
mod tests {
    use oculist_graph::Op;
    use oculist_kernels::Context;

    use super::*;

    fn of(op: impl Into<Op>, inputs: &[Tensor]) -> Tensor {
        let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Some).collect();
        crate::evaluate(&Context::new(1).unwrap(), &op.into(), &inputs, 1).unwrap().remove(0)
    }

    fn bools(shape: &[usize], all: Vec<bool>) -> Tensor {
        Tensor::new(shape.to_vec(), TensorData::Bool(all)).unwrap()
    }

    #[test]
    fn conditions_choose() {
        // numpy.where([[True, False], [True, True]], [[1, 2]], 9).
        let condition = bools(&[2, 2], vec![true, false, true, true]);
        let y = of(Where, &[condition, Tensor::i8(&[1, 2], vec![1, 2]), Tensor::i8(&[], vec![9])]);
        assert_eq!(y.as_i8().unwrap(), [1, 9, 1, 2]);
        // numpy.nonzero([[3, 0], [0, 4]]).
        let y = of(NonZero, &[Tensor::i8(&[2, 2], vec![3, 0, 0, 4])]);
        assert_eq!((y.shape(), y.as_i64().unwrap()), (&[2, 2][..], &[0, 1, 0, 1][..]));
        // numpy.compress([0, 1], [[1, 2], [3, 4], [5, 6]], axis=1).
        let x = Tensor::i8(&[3, 2], vec![1, 2, 3, 4, 5, 6]);
        let y = of(Compress { axis: Some(-1) }, &[x, bools(&[2], vec![false, true])]);
        assert_eq!((y.shape(), y.as_i8().unwrap()), (&[3, 1][..], &[2, 4, 6][..]));
    }
}
