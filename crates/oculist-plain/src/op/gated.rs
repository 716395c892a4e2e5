//! Gated and biased activations.

use oculist_graph::{BiasGelu, SwiGlu};

use crate::call::{Call, Forward, Outcome};
use crate::real::{Real, finish, with_real};
use crate::special::erf;

impl Forward for SwiGlu {
    fn forward(&self, call: &Call) -> Outcome {
        let (a, b) = (call.input(0)?, call.input(1)?);
        call.room(a.dtype(), a.shape())?;
        with_real!(a.dtype(), T => {
            let alpha = T::of_f32(self.alpha);
            let b = T::read(b);
            let mut y = T::read(a).into_owned();
            y.iter_mut().zip(b.iter()).for_each(|(v, &b)| *v = *v / (T::ONE + (-(alpha * *v)).exp()) * b);
            Ok(vec![finish(a.shape(), y, a.dtype())?])
        })
    }
}

impl Forward for BiasGelu {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        call.room(x.dtype(), x.shape())?;
        with_real!(x.dtype(), T => {
            let bias = call.get(1).map(T::read);
            let mut y = T::read(x).into_owned();
            let len = x.shape().last().copied().unwrap_or(1);
            call.ctx.for_pieces(&mut y, len, |_, row| {
                if let Some(bias) = &bias {
                    row.iter_mut().zip(bias.iter()).for_each(|(v, &b)| *v += b);
                }
                for v in row {
                    let x = v.to_f64();
                    let inner = match self {
                        Self::Exact => erf(x * std::f64::consts::FRAC_1_SQRT_2),
                        Self::Tanh => (x * (0.797_884_560_802_865_4 + 0.035_677_408_136_300_125 * x * x)).tanh(),
                    };
                    *v = T::of_f64(0.5 * x * (1.0 + inner));
                }
            });
            Ok(vec![finish(x.shape(), y, x.dtype())?])
        })
    }
}

#[cfg(test)]
mod tests {
    use oculist_graph::{Op, Tensor};
    use oculist_kernels::Context;

    use super::*;
    use crate::evaluate;

    fn apply(op: impl Into<Op>, inputs: &[&Tensor]) -> Vec<f32> {
        let inputs: Vec<Option<&Tensor>> = inputs.iter().map(|x| Some(*x)).collect();
        let y = evaluate(&Context::new(1).unwrap(), &op.into(), &inputs, 1).unwrap().remove(0);
        y.as_f32().unwrap().to_vec()
    }

    /// The values at 1 are those of PyTorch's documents: 0.8413 for the exact form, 0.8412 for the approximation.
    #[test]
    fn the_bias_comes_before_the_function() {
        let (x, bias) = (Tensor::f32(&[1, 2], vec![0.5, 3.0]), Tensor::f32(&[2], vec![0.5, -3.0]));
        let y = apply(BiasGelu::Exact, &[&x, &bias]);
        assert!((y[0] - 0.841_344_7).abs() < 1e-6 && y[1] == 0.0, "{y:?}");
        let y = apply(BiasGelu::Tanh, &[&x, &bias]);
        assert!((y[0] - 0.841_192).abs() < 1e-6 && y[1] == 0.0, "{y:?}");
    }

    #[test]
    fn the_first_value_is_the_gate() {
        let (a, b) = (Tensor::f32(&[2], vec![0.0, 2.0]), Tensor::f32(&[2], vec![5.0, 3.0]));
        let y = apply(SwiGlu { alpha: 0.5 }, &[&a, &b]);
        assert!(y[0] == 0.0 && (y[1] - 6.0 / (1.0 + (-1.0f32).exp())).abs() < 1e-6, "{y:?}");
    }
}
