//! Losses on logits: cross-entropy with label smoothing, its relatives for soft labels and unequal classes, and
//! distillation from a teacher.

mod binary;
mod criterion;

pub use binary::{BinaryCriterion, positive_weights};
pub use criterion::{Criterion, Loss, balanced_weights, class_priors};

use oculist_kernels::{Rows, Targets, softmax, softmax_cross_entropy};

use crate::error::TrainError;

/// Distillation from a teacher's logits.
#[derive(Debug, Clone, Copy)]
pub struct Distillation<'a> {
    /// The teacher's logits, laid out as the student's.
    pub logits: &'a [f32],
    /// Weight of the distillation term, 0..=1; the cross-entropy has the rest.
    pub alpha: f32,
    /// Temperature that softens both distributions.
    pub temperature: f32,
}

/// Checks the settings that all losses share.
fn check_classes(
    classes: usize,
    label_smoothing: f32,
    of_classes: &[(&'static str, &[f32])],
) -> Result<(), TrainError> {
    let fail = |name, expected, found: String| Err(TrainError::Setting { name, expected, found });
    if !(0.0..1.0).contains(&label_smoothing) {
        return fail("label_smoothing", "in 0..1", label_smoothing.to_string());
    }
    for &(name, values) in of_classes {
        if !values.is_empty() && values.len() != classes {
            return fail(name, "empty or one number for each class", format!("{} numbers", values.len()));
        }
        if let Some(bad) = values.iter().find(|v| !(**v > 0.0 && v.is_finite())) {
            return fail(name, "positive numbers", bad.to_string());
        }
    }
    Ok(())
}

/// The mean loss of a batch and its gradient with respect to the logits.
///
/// `L = (1 - alpha) * CE(softmax(s), q) + alpha * T^2 * KL(softmax(t / T) || softmax(s / T))` with the smoothed
/// target `q = (1 - e) * onehot + e / K`; without a teacher, `L = CE`.
///
/// # Shapes
/// `logits`, `gradient`: `[labels.len(), stride]`, padded lanes of the gradient are 0.
///
/// # Source
/// Szegedy et al. 2016 (label smoothing), Hinton et al. 2015 (distillation).
///
/// # Panics
/// If a label is not below the number of classes: the loader guarantees it.
pub fn loss_and_gradient(
    classes: usize,
    labels: &[u32],
    label_smoothing: f32,
    teacher: Option<&Distillation<'_>>,
    logits: &[f32],
    gradient: &mut [f32],
) -> f64 {
    let shape = Rows::new(labels.len(), classes);
    let scale = 1.0 / labels.len() as f32;
    let alpha = teacher.map_or(0.0, |t| t.alpha);
    let targets = Targets::Labels { labels, smoothing: label_smoothing };
    let cross_entropy =
        softmax_cross_entropy(shape, 1.0, logits, targets, (1.0 - alpha) * scale, Some(gradient), None)
            * f64::from(scale);
    with_distillation(shape, cross_entropy, teacher, logits, gradient)
}

/// `(1 - alpha) * loss` plus the distillation term; adds the term's gradient, since `gradient` holds the loss's own
/// with its factor already.
fn with_distillation(
    shape: Rows,
    loss: f64,
    teacher: Option<&Distillation<'_>>,
    logits: &[f32],
    gradient: &mut [f32],
) -> f64 {
    let Some(teacher) = teacher else {
        return loss;
    };
    let (alpha, scale) = (teacher.alpha, 1.0 / shape.rows as f32);
    let t = teacher.temperature;
    let mut soft = vec![0.0; shape.len()];
    softmax(shape, t, teacher.logits, &mut soft);
    let mut distilled = vec![0.0; shape.len()];
    let cross = softmax_cross_entropy(
        shape,
        t,
        logits,
        Targets::Soft(&soft),
        alpha * t * t * scale,
        Some(&mut distilled),
        None,
    );
    for (g, d) in gradient.iter_mut().zip(&distilled) {
        *g += d;
    }
    // The divergence is the cross-entropy less the teacher's own entropy.
    let entropy: f64 = soft.iter().filter(|&&q| q > 0.0).map(|&q| -f64::from(q) * f64::from(q).ln()).sum();
    let divergence = (cross - entropy) * f64::from(scale);
    f64::from(1.0 - alpha) * loss + f64::from(alpha * t * t) * divergence
}
