//! Metrics of a classifier, and what of them the report shows.
//!
//! They are defined and computed in `oculist-metrics`.

pub use oculist_metrics::{
    Evaluation, agreement, argmax, evaluate_logits, expected_calibration_error, softmax,
};
use oculist_report::CalibrationBin;

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
    fn bins_hold_means_and_empty_ones_are_left_out() {
        // Probabilities of 0.8 (right, wrong) and 0.5 (right).
        let logits = [4f32.ln(), 0.0, 4f32.ln(), 0.0, 0.0, 0.0];
        let bins = calibration_bins(&evaluate_logits(&logits, &[0, 1, 0], 2));
        let counts: Vec<_> = bins.iter().map(|b| (b.count, b.accuracy)).collect();
        assert_eq!(counts, [(1, 1.0), (2, 0.5)]);
        assert!((bins[1].confidence - 0.8).abs() < 1e-6);
    }
}
