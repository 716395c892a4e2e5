//! Layers with an activation behind them, and sums that are normalised: the gradients of their parts.

use oculist_graph::{
    FusedActivation, FusedConv, FusedGemm, LayerNormalization, Op, RmsNormalization, SkipLayerNormalization,
    Tensor, Unary,
};

use super::broadcast::{expanded, sum_to};
use super::unary::slope;
use super::{Backward, Gradients, Reverse};
use crate::call::Problem;
use crate::real::{Real, finish, with_real};

/// The activation as a function of one element; `None` for the identity.
fn function(activation: FusedActivation) -> Option<Unary> {
    match activation {
        FusedActivation::Identity => None,
        FusedActivation::Relu => Some(Unary::Relu),
        FusedActivation::Tanh => Some(Unary::Tanh),
        FusedActivation::Sigmoid => Some(Unary::Sigmoid),
        FusedActivation::LeakyRelu(alpha) => Some(Unary::LeakyRelu { alpha }),
        FusedActivation::Clip(min, max) => Some(Unary::Clip { min, max }),
        FusedActivation::HardSigmoid(alpha, beta) => Some(Unary::HardSigmoid { alpha, beta }),
    }
}

/// The gradients of a layer behind which `added` and an activation follow; that of `added` is input 3.
fn behind(reverse: &Reverse, layer: &Op, added: Option<&Tensor>, activation: FusedActivation) -> Gradients {
    let dy = reverse.only()?;
    let inputs: Vec<Option<&Tensor>> = (0..reverse.len().min(3)).map(|i| reverse.get(i)).collect();
    let z = crate::evaluate(reverse.ctx, layer, &inputs, 1)?;
    let z = z.first().ok_or("no result")?;
    let dz = match function(activation) {
        None => dy.clone(),
        Some(function) => with_real!(z.dtype(), T => {
            let mut sum = T::read(z).into_owned();
            if let Some(added) = added {
                sum.iter_mut().zip(T::read(added).iter()).for_each(|(s, &a)| *s += a);
            }
            let each = |(z, g): (&T, &T)| T::of_f64(slope(function, z.to_f64()) * g.to_f64());
            finish(z.shape(), sum.iter().zip(T::read(dy).iter()).map(each).collect::<Vec<T>>(), z.dtype())?
        }),
    };
    let wanted: Vec<bool> = (0..inputs.len()).map(|i| reverse.wants(i)).collect();
    let mut found = super::gradient(reverse.ctx, layer, &inputs, &[Some(z)], &[Some(&dz)], &wanted)?;
    reverse.each(|i| if i == 3 { Ok(Some(dz.clone())) } else { Ok(found.get_mut(i).and_then(Option::take)) })
}

impl Backward for FusedConv {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        behind(reverse, &Op::Conv(self.conv.clone()), reverse.get(3), self.activation)
    }
}

impl Backward for FusedGemm {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        behind(reverse, &Op::Gemm(self.gemm), None, self.activation)
    }
}

impl Backward for SkipLayerNormalization {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        if let Some(i) = [1, 2].into_iter().find(|&i| reverse.gradient_of(i).is_some()) {
            return Err(format!("output {i} has no gradient rule").into());
        }
        let (x, gamma) = (reverse.input(0)?, reverse.input(2)?);
        let terms = [reverse.get(1), reverse.get(self.bias())];
        let sum = with_real!(x.dtype(), T => {
            let mut sum = T::read(x).into_owned();
            for term in terms.into_iter().flatten() {
                let term = expanded(&T::read(term), term.shape(), x.shape());
                sum.iter_mut().zip(term).for_each(|(s, t)| *s += t);
            }
            finish(x.shape(), sum, x.dtype())?
        });
        let beta = if self.simplified { None } else { reverse.get(3) };
        let (epsilon, stash) = (self.epsilon, oculist_graph::DataType::F32);
        let norm = if self.simplified {
            Op::RmsNormalization(RmsNormalization { axis: -1, epsilon, stash })
        } else {
            Op::LayerNormalization(LayerNormalization { axis: -1, epsilon, stash })
        };
        let mut inputs = vec![Some(&sum), Some(gamma)];
        inputs.extend(beta.map(Some));
        let mut found = match reverse.gradient_of(0) {
            Some(_) => {
                let (y, dy) = ([Some(reverse.output(0)?)], [reverse.gradient_of(0)]);
                let wanted = vec![true; inputs.len()];
                super::gradient(reverse.ctx, &norm, &inputs, &y, &dy, &wanted)?
            }
            None => vec![None; inputs.len()],
        };
        // The sum is an output too.
        let parts = [found.first_mut().and_then(Option::take), reverse.gradient_of(3).cloned()];
        let dsum = match parts {
            [Some(a), Some(b)] => with_real!(x.dtype(), T => {
                let sums = T::read(&a).iter().zip(T::read(&b).iter()).map(|(&a, &b)| a + b).collect::<Vec<T>>();
                finish(x.shape(), sums, x.dtype())?
            }),
            [Some(one), None] | [None, Some(one)] => one,
            [None, None] => return Err(Problem::Text("the gradient of the output is missing".to_owned())),
        };
        reverse.each(|i| {
            if i < 2 || i == self.bias() {
                return sum_to(&dsum, reverse.input(i)?.shape()).map(Some);
            }
            Ok(found.get_mut(i - 1).and_then(Option::take))
        })
    }
}
