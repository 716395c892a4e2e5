//! Values made from nothing but numbers.

use oculist_graph::{Constant, ConstantOfShape, Range, Tensor};

use crate::call::{Call, Forward, Outcome};
use crate::element::{Element, Wide, expect_number, same_type, with_elements};

impl Forward for Constant {
    fn forward(&self, _: &Call) -> Outcome {
        Ok(vec![self.value.clone()])
    }
}

impl Forward for ConstantOfShape {
    fn forward(&self, call: &Call) -> Outcome {
        let ints = call.ints(0)?.ok_or("the shape is missing")?;
        let shape: Vec<usize> = ints
            .iter()
            .map(|&n| usize::try_from(n).map_err(|_| format!("a dimension must be at least 0, found {n}")))
            .collect::<Result<_, _>>()?;
        let len = call.room(self.value.dtype(), &shape)?;
        let data = same_type!(self.value.data(), v => vec![v.first().copied().unwrap_or_default(); len]);
        Ok(vec![Tensor::new(shape, data)?])
    }
}

impl Forward for Range {
    fn forward(&self, call: &Call) -> Outcome {
        let (start, limit, delta) = (call.input(0)?, call.input(1)?, call.input(2)?);
        let dtype = start.dtype();
        expect_number(dtype, false)?;
        let data = with_elements!(start.data(), v: T => {
            let one = |tensor: &Tensor| {
                let first = <T as Element>::view(tensor.data()).and_then(|v| v.first());
                first.map(|x| x.widen()).ok_or("start, limit and delta must be one number of one type each")
            };
            let start = v.first().map_or_else(Default::default, |x| x.widen());
            let (limit, delta) = (one(limit)?, one(delta)?);
            let len = if dtype.is_float() {
                Self::len_of_floats(start.to_f64(), limit.to_f64(), delta.to_f64())?
            } else {
                let int = |x: <T as Element>::Wide| i64::try_from(x.to_i128()).unwrap_or(i64::MAX);
                Self::len_of_ints(int(start), int(limit), int(delta))?
            };
            call.room(dtype, &[len])?;
            let at = |i: usize| T::narrow(start.plus(<T as Element>::Wide::of_i128(i as i128).times(delta)));
            T::wrap((0..len).map(at).collect())
        });
        Ok(vec![Tensor::new(vec![data.len()], data)?])
    }
}

#[cfg(test)]
mod tests {
    use oculist_graph::DataType;
    use oculist_kernels::Context;

    use super::*;

    #[test]
    fn a_range_has_steps() {
        let ctx = Context::new(1).unwrap();
        let of = |all: [Tensor; 3]| {
            let inputs: Vec<Option<&Tensor>> = all.iter().map(Some).collect();
            crate::evaluate(&ctx, &Range.into(), &inputs, 1).map(|mut y| y.remove(0))
        };
        // The examples of the document.
        let y = of([10, 4, -2].map(|v| Tensor::i32(&[], vec![v]))).unwrap();
        assert_eq!(y.as_i32().unwrap(), [10, 8, 6]);
        let y = of([3.0, 9.0, 3.0].map(|v| Tensor::filled(&[], v))).unwrap();
        assert_eq!(y.as_f32().unwrap(), [3.0, 6.0]);
        // Far more than any memory holds is refused before it is made.
        let long = [0, i64::MAX, 1].map(|v| Tensor::ints(vec![v]).reshaped(vec![]).unwrap());
        assert!(of(long).is_err());
    }

    #[test]
    fn a_shape_beyond_memory_is_refused() {
        let ctx = Context::new(1).unwrap();
        let op = ConstantOfShape { value: Tensor::zeros(DataType::F32, &[1]) };
        let of =
            |shape: Vec<i64>| crate::evaluate(&ctx, &op.clone().into(), &[Some(&Tensor::ints(shape))], 1);
        assert_eq!(of(vec![2, 0]).unwrap()[0].shape(), [2, 0]);
        assert!(of(vec![1 << 40, 1 << 40]).is_err());
        assert!(of(vec![2, -1]).is_err());
    }
}
