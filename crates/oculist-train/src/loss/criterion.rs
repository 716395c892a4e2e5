//! Losses for soft labels and for classes of unequal size.

mod consistency;

use oculist_kernels::{Rows, Targets, softmax_cross_entropy};
use serde::{Deserialize, Serialize};

use super::{Distillation, with_distillation};
use crate::error::TrainError;

/// Which loss the trainer minimises.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Loss {
    /// Cross-entropy: `-sum of q log p`.
    #[default]
    CrossEntropy,
    /// Focal loss: `-sum of q (1 - p)^gamma log p`, which attends to what is not yet learnt.
    ///
    /// # Source
    /// Lin et al. 2017, with softmax in place of the sigmoid and soft labels q. Their balancing factor is the class
    /// weights' job.
    Focal {
        /// How strongly learnt examples are damped, 0..=10; 0 is cross-entropy.
        gamma: f32,
    },
    /// Cross-entropy of `z + tau log prior`: rare classes are held to a wider margin. Needs class priors.
    ///
    /// Predictions are made from the logits z as they are.
    ///
    /// # Source
    /// Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, the logit-adjusted loss.
    LogitAdjusted {
        /// Strength, 0..=10; 1 is the consistent choice.
        tau: f32,
    },
}

/// A loss together with the weights or priors of the classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Criterion {
    loss: Loss,
    classes: usize,
    label_smoothing: f32,
    /// One per class, or empty for ones.
    weights: Vec<f32>,
    /// `tau log prior` of each class, or empty for zeros.
    offsets: Vec<f32>,
}

impl Criterion {
    /// Combines a loss with label smoothing, class weights (empty: all 1) and class priors (empty: unknown).
    ///
    /// # Errors
    /// [`TrainError::Setting`]: a number out of its range; weights or priors that are not one positive number for each
    /// class; a [`Loss::LogitAdjusted`] without priors.
    pub fn new(
        loss: Loss,
        classes: usize,
        label_smoothing: f32,
        weights: &[f32],
        priors: &[f32],
    ) -> Result<Self, TrainError> {
        loss.validate()?;
        super::check_classes(
            classes,
            label_smoothing,
            &[("class_weights", weights), ("class_priors", priors)],
        )?;
        let mut offsets = Vec::new();
        if let Loss::LogitAdjusted { tau } = loss {
            if priors.is_empty() {
                return Err(TrainError::Setting {
                    name: "class_priors",
                    expected: "given for the logit-adjusted loss",
                    found: "none".into(),
                });
            }
            offsets = priors.iter().map(|p| (f64::from(tau) * f64::from(*p).ln()) as f32).collect();
        }
        Ok(Self { loss, classes, label_smoothing, weights: weights.to_vec(), offsets })
    }

    /// Cross-entropy alone.
    pub(crate) fn plain(classes: usize) -> Self {
        let (weights, offsets) = (Vec::new(), Vec::new());
        Self { loss: Loss::CrossEntropy, classes, label_smoothing: 0.0, weights, offsets }
    }

    /// Whether this is cross-entropy without class weights, which needs no soft labels.
    pub(crate) fn is_plain(&self) -> bool {
        self.loss == Loss::CrossEntropy && self.weights.is_empty()
    }

    /// The mean loss of a batch with class labels; see [`Criterion::soft_loss_and_gradient`].
    ///
    /// # Panics
    /// If a label is not below the number of classes.
    pub fn loss_and_gradient(
        &self,
        labels: &[u32],
        teacher: Option<&Distillation<'_>>,
        logits: &[f32],
        gradient: &mut [f32],
    ) -> f64 {
        if self.is_plain() {
            return super::loss_and_gradient(
                self.classes,
                labels,
                self.label_smoothing,
                teacher,
                logits,
                gradient,
            );
        }
        let mut targets = vec![0.0; labels.len() * self.classes];
        for (row, &label) in targets.chunks_exact_mut(self.classes).zip(labels) {
            row[label as usize] = 1.0;
        }
        self.soft_loss_and_gradient(&targets, teacher, logits, gradient)
    }

    /// The mean loss of a batch with soft labels and its gradient with respect to the logits.
    ///
    /// `L = 1 / n * sum over images and classes of w_c q_c l(p_c)` with the smoothed label
    /// `q = (1 - e) * target + e / K`, the class weights w, `p = softmax(z)` and `l(p) = -log p`, for the focal loss
    /// `-(1 - p)^gamma log p`, for logit adjustment p of the adjusted logits. The sum is divided by the number of images,
    /// not by the sum of weights, as PyTorch does for class probabilities. With a teacher,
    /// `(1 - alpha) L + alpha T^2 KL` as in [`loss_and_gradient`](crate::loss_and_gradient); class weights and logit
    /// adjustment do not touch the distillation term.
    ///
    /// # Shapes
    /// `targets`: `[n, classes]` dense; `logits`, `gradient`: `[n, stride]`, padded lanes of the gradient are 0.
    ///
    /// # Panics
    /// If a slice is shorter than the shape says.
    pub fn soft_loss_and_gradient(
        &self,
        targets: &[f32],
        teacher: Option<&Distillation<'_>>,
        logits: &[f32],
        gradient: &mut [f32],
    ) -> f64 {
        let k = self.classes;
        let shape = Rows::new(targets.len() / k, k);
        let stride = shape.stride();
        let scale = 1.0 / shape.rows as f32;
        let factor = (1.0 - teacher.map_or(0.0, |t| t.alpha)) * scale;
        let mut weighted = vec![0.0; shape.len()];
        let uniform = self.label_smoothing / k as f32;
        for (row, target) in weighted.chunks_exact_mut(stride).zip(targets.chunks_exact(k)) {
            for (c, (w, t)) in row.iter_mut().zip(target).enumerate() {
                let weight = self.weights.get(c).copied().unwrap_or(1.0);
                *w = weight * ((1.0 - self.label_smoothing) * t + uniform);
            }
        }
        let sum = match self.loss {
            Loss::Focal { gamma } => focal(shape, gamma, logits, &weighted, factor, gradient),
            Loss::CrossEntropy | Loss::LogitAdjusted { .. } => {
                let soft = Targets::Soft(&weighted);
                if self.offsets.is_empty() {
                    softmax_cross_entropy(shape, 1.0, logits, soft, factor, Some(gradient), None)
                } else {
                    let mut adjusted = logits[..shape.len()].to_vec();
                    for row in adjusted.chunks_exact_mut(stride) {
                        row.iter_mut().zip(&self.offsets).for_each(|(z, offset)| *z += offset);
                    }
                    softmax_cross_entropy(shape, 1.0, &adjusted, soft, factor, Some(gradient), None)
                }
            }
        };
        with_distillation(shape, sum * f64::from(scale), teacher, logits, gradient)
    }
}

impl Loss {
    /// Checks the ranges.
    pub(crate) fn validate(self) -> Result<(), TrainError> {
        let (name, value) = match self {
            Self::CrossEntropy => return Ok(()),
            Self::Focal { gamma } => ("loss.gamma", gamma),
            Self::LogitAdjusted { tau } => ("loss.tau", tau),
        };
        if (0.0..=10.0).contains(&value) {
            return Ok(());
        }
        Err(TrainError::Setting { name, expected: "in 0..=10", found: value.to_string() })
    }
}

/// The sum of `-q (1 - p)^gamma log p` over rows and classes, with `factor` times its gradient, in f64.
///
/// With `a_c = q_c (1 - p_c)^gamma (1 - gamma p_c log(p_c) / (1 - p_c))` the gradient is `p_j sum(a) - a_j`; the
/// quotient `log(p) / (1 - p)` goes to -1 for p to 1.
fn focal(shape: Rows, gamma: f32, logits: &[f32], targets: &[f32], factor: f32, gradient: &mut [f32]) -> f64 {
    let (stride, k) = (shape.stride(), shape.channels);
    let (gamma, factor) = (f64::from(gamma), f64::from(factor));
    let mut total = 0.0;
    let mut a = vec![0.0f64; k];
    let rows = logits.chunks_exact(stride).zip(targets.chunks_exact(stride));
    for ((logits, targets), gradient) in rows.zip(gradient.chunks_exact_mut(stride)) {
        let logits = &logits[..k];
        let most = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let norm = most + logits.iter().map(|z| (f64::from(*z) - most).exp()).sum::<f64>().ln();
        for ((a, z), q) in a.iter_mut().zip(logits).zip(targets) {
            let log_p = f64::from(*z) - norm;
            let (p, rest) = (log_p.exp(), -log_p.exp_m1());
            let damped = f64::from(*q) * rest.powf(gamma);
            total -= damped * log_p;
            let quotient = if rest > 0.0 { log_p / rest } else { -1.0 };
            *a = damped * (1.0 - gamma * p * quotient);
        }
        let sum: f64 = a.iter().sum();
        for ((g, a), z) in gradient.iter_mut().zip(&a).zip(logits) {
            *g = (factor * ((f64::from(*z) - norm).exp() * sum - a)) as f32;
        }
        gradient[k..].fill(0.0);
    }
    total
}

/// Class weights `n / (K n_c)`: every class counts as much as any other, and the mean weight of an image is 1.
///
/// A class without images gets the weight of a class with one.
pub fn balanced_weights(counts: &[usize]) -> Vec<f32> {
    let total = counts.iter().sum::<usize>() as f64;
    counts.iter().map(|&n| (total / (counts.len() * n.max(1)) as f64) as f32).collect()
}

/// Class priors `n_c / n`; a class without images counts as one with one.
pub fn class_priors(counts: &[usize]) -> Vec<f32> {
    let total = counts.iter().map(|&n| n.max(1)).sum::<usize>() as f64;
    counts.iter().map(|&n| (n.max(1) as f64 / total) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_and_priors_come_from_counts() {
        assert_eq!(balanced_weights(&[10, 30, 0]), [40.0 / 30.0, 40.0 / 90.0, 40.0 / 3.0]);
        assert_eq!(class_priors(&[10, 30, 0]), [10.0 / 41.0, 30.0 / 41.0, 1.0 / 41.0]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let broken: [(&str, Loss, &[f32], &[f32]); 6] = [
            ("loss.gamma", Loss::Focal { gamma: -1.0 }, &[], &[]),
            ("loss.tau", Loss::LogitAdjusted { tau: f32::NAN }, &[], &[0.5, 0.5]),
            ("class_priors", Loss::LogitAdjusted { tau: 1.0 }, &[], &[]),
            ("class_priors", Loss::LogitAdjusted { tau: 1.0 }, &[], &[1.0, 0.0]),
            ("class_weights", Loss::CrossEntropy, &[1.0], &[]),
            ("class_weights", Loss::CrossEntropy, &[1.0, f32::INFINITY], &[]),
        ];
        for (name, loss, weights, priors) in broken {
            let err = Criterion::new(loss, 2, 0.0, weights, priors).unwrap_err().to_string();
            assert!(err.starts_with(name), "{err}");
        }
        assert!(Criterion::new(Loss::CrossEntropy, 2, 1.0, &[], &[]).is_err());
    }

    #[test]
    fn focal_loss_is_finite_where_the_answer_is_certain() {
        let criterion = Criterion::new(Loss::Focal { gamma: 0.5 }, 2, 0.0, &[], &[]).unwrap();
        let stride = Rows::new(1, 2).stride();
        let mut logits = vec![0.0; stride];
        (logits[0], logits[1]) = (200.0, -200.0);
        let mut gradient = vec![1.0; stride];
        assert_eq!(criterion.loss_and_gradient(&[0], None, &logits, &mut gradient), 0.0);
        assert!(gradient.iter().all(|g| *g == 0.0));
        // And where it is certainly wrong: the slope of -log p.
        let loss = criterion.loss_and_gradient(&[1], None, &logits, &mut gradient);
        assert!((loss - 400.0).abs() < 1e-9 && (gradient[1] + 1.0).abs() < 1e-6, "{loss} {gradient:?}");
    }
}
