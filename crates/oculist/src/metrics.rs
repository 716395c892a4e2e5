//! Metrics of a classifier, and what of them the report shows.
//!
//! They are defined and computed in `oculist-metrics`.

pub use oculist_metrics::{
    Evaluation, agreement, argmax, evaluate_logits, expected_calibration_error, softmax,
};
use oculist_report::CalibrationBin;

/// How a model's probabilities follow from its logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Probabilities {
    /// Of one class for each image: [`softmax`].
    #[default]
    Softmax,
    /// Of each class by itself: the sigmoid of its logit. They need not add up to 1.
    Sigmoids,
}

impl Probabilities {
    /// The probabilities of a row of logits.
    pub fn of(self, row: &[f32]) -> Vec<f32> {
        match self {
            Self::Softmax => softmax(row),
            Self::Sigmoids => row.iter().map(|&z| sigmoid(z)).collect(),
        }
    }

    /// A logit of the probability `p`.
    pub(crate) fn logit(self, p: f64) -> f32 {
        let p = p.max(f64::MIN_POSITIVE);
        match self {
            Self::Softmax => p.ln() as f32,
            // The sum of f32 sigmoids may be 1.
            Self::Sigmoids => (p.ln() - (1.0 - p).max(f64::from(f32::MIN_POSITIVE)).ln()) as f32,
        }
    }
}

/// `1 / (1 + exp(-z))`.
pub(crate) fn sigmoid(z: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(z)).exp())) as f32
}

/// As [`evaluate_logits`], with confidences (and what is computed of them) as a model gives them. The loss is the
/// cross-entropy of a softmax all the same.
///
/// # Panics
/// As [`evaluate_logits`].
pub fn evaluate_as(
    probabilities: Probabilities,
    logits: &[f32],
    labels: &[u32],
    classes: usize,
) -> Evaluation {
    let mut found = evaluate_logits(logits, labels, classes);
    if probabilities == Probabilities::Sigmoids {
        let best = logits.chunks_exact(classes).zip(&found.predictions);
        found.confidences = best.map(|(row, &class)| sigmoid(row[class as usize])).collect();
        let correct: Vec<bool> = found.predictions.iter().zip(labels).map(|(p, l)| p == l).collect();
        found.ece = expected_calibration_error(&found.confidences, &correct);
    }
    found
}

/// The bins of [`expected_calibration_error`] that hold images, for a reliability diagram.
pub fn calibration_bins(evaluation: &Evaluation) -> Vec<CalibrationBin> {
    evaluation
        .bins()
        .into_iter()
        .filter(|b| b.count > 0)
        .map(|b| CalibrationBin {
            confidence: b.confidence / b.count as f64,
            accuracy: b.right as f64 / b.count as f64,
            count: b.count as u64,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigmoids_are_the_confidences_of_a_model_that_judges_each_class_by_itself() {
        let logits = [2.0, -1.0, 0.0, 1.0];
        let (soft, own) =
            (evaluate_logits(&logits, &[0, 0], 2), evaluate_as(Probabilities::Sigmoids, &logits, &[0, 0], 2));
        assert_eq!((soft.top1, &soft.predictions), (own.top1, &own.predictions));
        assert!(
            (own.confidences[0] - 0.880_797).abs() < 1e-6 && (own.confidences[1] - 0.731_059).abs() < 1e-6
        );
        assert!((soft.confidences[0] - 0.952_574).abs() < 1e-6);
        // Two bins: |1 - 0.8808| / 2 + |0 - 0.7311| / 2.
        assert!((own.ece - 42.513).abs() < 1e-2, "{}", own.ece);
        for p in [Probabilities::Softmax, Probabilities::Sigmoids] {
            let back = p.of(&[p.logit(0.3), p.logit(0.7)]);
            assert!((back[0] - 0.3).abs() < 1e-6 && (back[1] - 0.7).abs() < 1e-6, "{p:?}: {back:?}");
        }
    }

    #[test]
    fn bins_hold_means_and_empty_ones_are_left_out() {
        // Probabilities of 0.8 (right, wrong) and 0.5 (right).
        let logits = [4f32.ln(), 0.0, 4f32.ln(), 0.0, 0.0, 0.0];
        let bins = calibration_bins(&evaluate_logits(&logits, &[0, 1, 0], 2));
        let counts: Vec<_> = bins.iter().map(|b| (b.count, b.accuracy)).collect();
        assert_eq!(counts, [(1, 1.0), (2, 0.5)]);
        assert!((bins[1].confidence - 0.8).abs() < 1e-6);
    }
}
