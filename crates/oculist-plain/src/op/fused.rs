//! Layers with an activation behind them.

use oculist_graph::{FusedActivation, FusedConv, FusedGemm, Tensor};

use crate::call::{Call, Forward, Outcome, Problem};
use crate::real::{Real, finish, with_real};

/// The activation of the sum of a layer's result and what is added to it.
fn activated(
    call: &Call,
    y: &Tensor,
    added: Option<&Tensor>,
    activation: FusedActivation,
) -> Result<Tensor, Problem> {
    with_real!(y.dtype(), T => {
        let mut values = T::read(y).into_owned();
        if let Some(added) = added {
            values.iter_mut().zip(T::read(added).iter()).for_each(|(v, &a)| *v += a);
        }
        call.ctx.for_pieces(&mut values, 4096, |_, part| {
            for v in &mut *part { *v = T::of_f64(activation.of(v.to_f64())); }
        });
        finish(y.shape(), values, y.dtype())
    })
}

/// Does to the first result of a layer what `activated` does.
fn behind(call: &Call, results: &[Tensor], added: Option<&Tensor>, activation: FusedActivation) -> Outcome {
    results.iter().map(|y| activated(call, y, added, activation)).collect()
}

impl Forward for FusedConv {
    fn forward(&self, call: &Call) -> Outcome {
        behind(call, &self.conv.forward(call)?, call.get(3), self.activation)
    }
}

impl Forward for FusedGemm {
    fn forward(&self, call: &Call) -> Outcome {
        behind(call, &self.gemm.forward(call)?, None, self.activation)
    }
}

#[cfg(test)]
mod tests {
    use oculist_graph::{Conv, Op};
    use oculist_kernels::Context;

    use super::*;
    use crate::evaluate;

    #[test]
    fn the_sum_is_activated() {
        let x = Tensor::f32(&[1, 1, 1, 3], vec![1.0, -2.0, 3.0]);
        let w = Tensor::f32(&[1, 1, 1, 1], vec![2.0]);
        let z = Tensor::f32(&[1, 1, 1, 3], vec![0.0, 1.0, -10.0]);
        let apply = |activation| {
            let op = Op::from(FusedConv { conv: Conv::square(1, 1, 0), activation });
            evaluate(&Context::new(1).unwrap(), &op, &[Some(&x), Some(&w), None, Some(&z)], 1)
                .unwrap()
                .remove(0)
        };
        assert_eq!(apply(FusedActivation::LeakyRelu(0.5)).as_f32().unwrap(), [2.0, -1.5, -2.0]);
        assert_eq!(apply(FusedActivation::Clip(-1.0, 1.0)).as_f32().unwrap(), [1.0, -1.0, -1.0]);
        assert_eq!(apply(FusedActivation::HardSigmoid(0.25, 0.5)).as_f32().unwrap(), [1.0, 0.0, 0.0]);
    }
}
