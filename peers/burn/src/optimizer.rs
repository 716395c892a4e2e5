//! Stochastic gradient descent.

use burn::tensor::Tensor;

/// SGD with momentum and weight decay.
///
/// `g' = g + wd * w; v = momentum * v + g'; w -= lr * (g' + momentum * v)` with Nesterov, `w -= lr * v` without.
///
/// # Source
/// Sutskever et al. 2013, in PyTorch's form (no dampening).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f32,
    /// Momentum, 0..1.
    pub momentum: f32,
    /// Weight decay on weights; norms and biases never decay.
    pub weight_decay: f32,
    /// Whether the Nesterov form is used.
    pub nesterov: bool,
}

impl Sgd {
    /// The new weights and velocity; without a velocity, that of the first step.
    pub(crate) fn apply(
        self,
        w: Tensor<1>,
        grad: Tensor<1>,
        velocity: Option<Tensor<1>>,
        decays: bool,
    ) -> (Tensor<1>, Tensor<1>) {
        let decay = if decays { self.weight_decay } else { 0.0 };
        let grad = if decay == 0.0 { grad } else { grad + w.clone().mul_scalar(decay) };
        let velocity = match velocity {
            Some(v) => v.mul_scalar(self.momentum) + grad.clone(),
            None => grad.clone(),
        };
        let direction =
            if self.nesterov { grad + velocity.clone().mul_scalar(self.momentum) } else { velocity.clone() };
        (w - direction.mul_scalar(self.lr), velocity)
    }
}
