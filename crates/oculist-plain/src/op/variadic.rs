//! Functions of any number of elements, with broadcasting.

use oculist_graph::{Tensor, TensorData, Variadic};

use crate::broadcast::{Walk, map, shape, zip};
use crate::call::{Call, Forward, Outcome, Problem};
use crate::element::{Element, Wide, expect_number, larger, smaller, with_elements};

/// The function of two tensors of the same type.
fn pair(call: &Call, op: Variadic, a: &Tensor, b: &Tensor) -> Result<Tensor, Problem> {
    let out = shape(&[a.shape(), b.shape()])?;
    let len = call.room(a.dtype(), &out)?;
    let walk = &Walk::new(&out, [a.shape(), b.shape()]);
    let walk = (walk, len);
    let differ = || Problem::Text(format!("the inputs are {} and {}", a.dtype().name(), b.dtype().name()));
    let data = match (op, a.as_f32(), b.as_f32()) {
        (Variadic::Sum | Variadic::Mean, Some(a), Some(b)) => {
            TensorData::F32(zip(call.ctx, walk, a, b, |a, b| a + b))
        }
        _ => with_elements!(a.data(), x: T => {
            let y = T::view(b.data()).ok_or_else(differ)?;
            let f: fn(T, T) -> T = match op {
                Variadic::Sum | Variadic::Mean => |a, b| T::narrow(a.widen().plus(b.widen())),
                Variadic::Min => smaller,
                Variadic::Max => larger,
            };
            T::wrap(zip(call.ctx, walk, x, y, f))
        }),
    };
    Ok(Tensor::new(out, data)?)
}

impl Forward for Variadic {
    fn forward(&self, call: &Call) -> Outcome {
        let mut result = call.input(0)?.clone();
        expect_number(result.dtype(), false)?;
        for i in 1..call.inputs.len() {
            result = pair(call, *self, &result, call.input(i)?)?;
        }
        if *self == Self::Mean {
            let n = call.inputs.len() as i128;
            let data = with_elements!(result.data(), v: T => {
                let n = <T as Element>::Wide::of_i128(n);
                T::wrap(map(call.ctx, v, |x| T::narrow(x.widen().over(n))))
            });
            result = Tensor::new(result.shape().to_vec(), data)?;
        }
        Ok(vec![result])
    }
}

#[cfg(test)]
mod tests {
    use oculist_kernels::Context;

    use super::*;

    fn of(op: Variadic, inputs: &[Tensor]) -> Tensor {
        let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Some).collect();
        crate::evaluate(&Context::new(1).unwrap(), &op.into(), &inputs, 1).unwrap().remove(0)
    }

    #[test]
    fn all_inputs_are_broadcast() {
        // numpy: ([[1], [2]] + [10, 20] + 0.5) / 3.
        let inputs = [
            Tensor::f32(&[2, 1], vec![1.0, 2.0]),
            Tensor::f32(&[2], vec![10.0, 20.0]),
            Tensor::filled(&[], 0.5),
        ];
        assert_eq!(of(Variadic::Sum, &inputs).as_f32().unwrap(), [11.5, 21.5, 12.5, 22.5]);
        let mean = of(Variadic::Mean, &inputs);
        assert_eq!((mean.shape(), mean.as_f32().unwrap()[0]), (&[2, 2][..], 11.5 / 3.0));
    }

    #[test]
    fn a_nan_is_smallest_and_largest() {
        let inputs = [Tensor::f32(&[2], vec![f32::NAN, 1.0]), Tensor::f32(&[2], vec![2.0, f32::NAN])];
        for op in [Variadic::Min, Variadic::Max] {
            assert!(of(op, &inputs).as_f32().unwrap().iter().all(|v| v.is_nan()));
        }
    }
}
