//! Bounds that are inputs.

use oculist_graph::{Clip, Tensor};

use crate::broadcast::map;
use crate::call::{Call, Forward, Outcome, Problem};
use crate::element::{Element, above, below, expect_number, with_elements};

/// The only element of a bound of the type of `x`, or the end of the type if there is none.
fn bound<T: Element>(bound: Option<&Tensor>, end: T) -> Result<T, Problem> {
    let Some(bound) = bound else { return Ok(end) };
    T::view(bound.data()).and_then(|v| v.first().copied()).ok_or_else(|| {
        format!("a bound must be one number, found {}{:?}", bound.dtype().name(), bound.shape()).into()
    })
}

impl Forward for Clip {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        expect_number(x.dtype(), false)?;
        call.room(x.dtype(), x.shape())?;
        let data = with_elements!(x.data(), v: T => {
            let (min, max) = (bound(call.get(1), T::LEAST)?, bound(call.get(2), T::GREATEST)?);
            T::wrap(map(call.ctx, v, |x| below(above(x, min), max)))
        });
        Ok(vec![Tensor::new(x.shape().to_vec(), data)?])
    }
}

#[cfg(test)]
mod tests {
    use oculist_kernels::Context;

    use super::*;

    #[test]
    fn a_bound_may_be_left_out() {
        let ctx = Context::new(1).unwrap();
        let x = Tensor::i8(&[3], vec![-100, 0, 100]);
        let (min, max) = (Tensor::i8(&[], vec![-5]), Tensor::i8(&[], vec![7]));
        let of = |inputs: &[Option<&Tensor>]| {
            let y = crate::evaluate(&ctx, &Clip.into(), inputs, 1).unwrap();
            y[0].as_i8().unwrap().to_vec()
        };
        assert_eq!(of(&[Some(&x), Some(&min), Some(&max)]), [-5, 0, 7]);
        assert_eq!(of(&[Some(&x), None, Some(&max)]), [-100, 0, 7]);
        assert_eq!(of(&[Some(&x)]), [-100, 0, 100]);
        // ONNX: where the bounds are crossed, the upper one wins.
        assert_eq!(of(&[Some(&x), Some(&max), Some(&min)]), [-5, -5, -5]);
    }
}
