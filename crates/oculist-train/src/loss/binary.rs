//! The loss of images with several labels: a yes or no for each class.

use oculist_kernels::Rows;

use super::Distillation;
use crate::error::TrainError;

/// Binary cross-entropy of each class, with the weights of the classes.
#[derive(Debug, Clone, PartialEq)]
pub struct BinaryCriterion {
    classes: usize,
    label_smoothing: f64,
    /// One per class, or empty for ones.
    weights: Vec<f32>,
}

impl BinaryCriterion {
    /// Combines label smoothing with the weights of positives (empty: all 1).
    ///
    /// # Errors
    /// [`TrainError::Setting`]: a number out of its range; weights that are not one positive number for each class.
    pub fn new(classes: usize, label_smoothing: f32, weights: &[f32]) -> Result<Self, TrainError> {
        super::check_classes(classes, label_smoothing, &[("class_weights", weights)])?;
        Ok(Self { classes, label_smoothing: label_smoothing.into(), weights: weights.to_vec() })
    }

    /// Without smoothing and weights.
    pub(crate) fn plain(classes: usize) -> Self {
        Self { classes, label_smoothing: 0.0, weights: Vec::new() }
    }

    /// The mean loss of a batch and its gradient with respect to the logits, computed in f64.
    ///
    /// `L = 1 / (n K) * sum over images and classes of -(w_c y log(p) + (1 - y) log(1 - p))` with `p = 1 / (1 + exp(-z))`,
    /// the smoothed target `y = (1 - e) t + e / 2` and the weight `w_c` of the class's positives. With a teacher,
    /// `(1 - alpha) L + alpha T^2 D`, where D is the mean over images and classes of the divergence
    /// `KL(q || p) = q log(q / p) + (1 - q) log((1 - q) / (1 - p))` of the teacher's `q` from the student's `p`, both of
    /// logits divided by T.
    ///
    /// # Shapes
    /// `targets`: `[n, classes]` dense, numbers of 0..=1; `logits`, `gradient`: `[n, stride]`, padded lanes of the gradient
    /// are 0.
    ///
    /// # Panics
    /// If a slice is shorter than the shape says.
    ///
    /// # Source
    /// PyTorch's `binary_cross_entropy_with_logits` with `pos_weight`; the smoothing of Keras' `BinaryCrossentropy`; Hinton et
    /// al. 2015 for the distillation, of each class by itself.
    pub fn loss_and_gradient(
        &self,
        targets: &[f32],
        teacher: Option<&Distillation<'_>>,
        logits: &[f32],
        gradient: &mut [f32],
    ) -> f64 {
        let k = self.classes;
        let shape = Rows::new(targets.len() / k, k);
        let stride = shape.stride();
        assert!(
            logits.len() >= shape.len() && gradient.len() >= shape.len(),
            "logits and gradient of {shape:?}"
        );
        let scale = 1.0 / targets.len() as f64;
        let alpha = f64::from(teacher.map_or(0.0, |t| t.alpha));
        let (mut loss, mut divergence) = (0.0, 0.0);
        let rows = logits.chunks_exact(stride).zip(targets.chunks_exact(k));
        for (i, ((z, t), gradient)) in rows.zip(gradient.chunks_exact_mut(stride)).enumerate() {
            for c in 0..k {
                let z = f64::from(z[c]);
                let y = (1.0 - self.label_smoothing) * f64::from(t[c]) + self.label_smoothing / 2.0;
                let w = self.weights.get(c).map_or(1.0, |w| f64::from(*w));
                loss += w * y * softplus(-z) + (1.0 - y) * softplus(z);
                let mut slope = (1.0 - alpha) * ((1.0 - y) * sigmoid(z) - w * y * sigmoid(-z));
                if let Some(teacher) = teacher {
                    let temperature = f64::from(teacher.temperature);
                    let (z, of_teacher) =
                        (z / temperature, f64::from(teacher.logits[i * stride + c]) / temperature);
                    let (yes, no) = (sigmoid(of_teacher), sigmoid(-of_teacher));
                    divergence += yes * (softplus(-z) - softplus(-of_teacher));
                    divergence += no * (softplus(z) - softplus(of_teacher));
                    slope += alpha * temperature * (sigmoid(z) - yes);
                }
                gradient[c] = (scale * slope) as f32;
            }
            gradient[k..].fill(0.0);
        }
        let factor = teacher.map_or(0.0, |t| alpha * f64::from(t.temperature).powi(2));
        scale * ((1.0 - alpha) * loss + factor * divergence)
    }
}

/// `ln(1 + exp(x))` without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `1 / (1 + exp(-x))` without overflow.
fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

/// Weights of positives `(n - n_c) / n_c`, by which the positives of a class count as much as its negatives; a class without
/// positives, or without negatives, counts as one with one.
pub fn positive_weights(counts: &[usize], images: usize) -> Vec<f32> {
    let of = |&positives: &usize| {
        let negatives = images.saturating_sub(positives).max(1);
        (negatives as f64 / positives.max(1) as f64) as f32
    };
    counts.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_finite_where_the_answer_is_certain() {
        let criterion = BinaryCriterion::new(2, 0.0, &[]).unwrap();
        let mut logits = vec![0.0; Rows::new(1, 2).stride()];
        (logits[0], logits[1]) = (500.0, -500.0);
        let mut gradient = vec![1.0; logits.len()];
        assert!(criterion.loss_and_gradient(&[1.0, 0.0], None, &logits, &mut gradient) < 1e-200);
        assert!(gradient.iter().all(|g| *g == 0.0));
        let loss = criterion.loss_and_gradient(&[0.0, 1.0], None, &logits, &mut gradient);
        assert!((loss - 500.0).abs() < 1e-9 && gradient[..2] == [0.5, -0.5], "{loss} {gradient:?}");
    }

    #[test]
    fn what_does_not_fit_is_refused_and_weights_come_from_counts() {
        for weights in [&[1.0][..], &[1.0, 0.0], &[1.0, f32::NAN]] {
            let text = BinaryCriterion::new(2, 0.0, weights).unwrap_err().to_string();
            assert!(text.starts_with("class_weights"), "{text}");
        }
        assert!(BinaryCriterion::new(2, 1.0, &[]).is_err());
        assert_eq!(positive_weights(&[10, 40, 0, 50], 50), [4.0, 0.25, 50.0, 0.02]);
    }
}
