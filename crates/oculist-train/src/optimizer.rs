//! Rules by which gradients change weights; each engine has its own implementation.

use serde::{Deserialize, Serialize};

/// Which rule updates the weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum OptimizerConfig {
    /// Stochastic gradient descent with momentum.
    ///
    /// `g' = g + wd * w; v = momentum * v + g'; w -= lr * (g' + momentum * v)` with Nesterov, `w -= lr * v` without.
    ///
    /// # Source
    /// Sutskever et al. 2013, in PyTorch's form (no dampening).
    Sgd {
        /// Momentum, 0..1.
        momentum: f32,
        /// Whether the Nesterov form is used.
        nesterov: bool,
    },
    /// Adam with decoupled weight decay.
    ///
    /// `w *= 1 - lr * wd; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;`
    /// `w -= lr / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps)`.
    ///
    /// # Source
    /// Loshchilov and Hutter 2019.
    AdamW {
        /// Decay of the first moment.
        beta1: f32,
        /// Decay of the second moment.
        beta2: f32,
        /// Added to the root of the second moment.
        eps: f32,
    },
}

impl OptimizerConfig {
    /// SGD with Nesterov momentum 0.9.
    pub fn sgd() -> Self {
        Self::Sgd { momentum: 0.9, nesterov: true }
    }

    /// AdamW with the usual constants.
    pub fn adamw() -> Self {
        Self::AdamW { beta1: 0.9, beta2: 0.999, eps: 1e-8 }
    }
}
