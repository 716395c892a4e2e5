//! A factor of scores with which their softmax gives the best probabilities.
//!
//! # Source
//! Guo et al., "On Calibration of Modern Neural Networks", 2017 (temperature scaling; this is the inverse temperature).

use crate::error::HeadError;

/// The factor `s` between e^-7 and e^7 for which the mean of `-log softmax(s * scores)[label]` is least.
///
/// # Shapes
/// `scores` `[labels, classes]`.
pub(crate) fn factor(scores: &[f32], labels: &[u32], classes: usize) -> Result<f64, HeadError> {
    let loss = |log: f64| {
        let s = log.exp();
        scores
            .chunks_exact(classes)
            .zip(labels)
            .map(|(row, &label)| loss(row, label as usize, s))
            .sum::<f64>()
    };
    // It has one minimum, since the loss is convex in `s`: golden sections.
    let share = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (-7.0, 7.0);
    let (mut left, mut right) = (high - share * (high - low), low + share * (high - low));
    let (mut at_left, mut at_right) = (loss(left), loss(right));
    for _ in 0..40 {
        if at_left < at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - share * (high - low);
            at_left = loss(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + share * (high - low);
            at_right = loss(right);
        }
    }
    let factor = f64::midpoint(low, high).exp();
    if factor.is_finite() { Ok(factor) } else { Err(HeadError::Range { what: "calibration" }) }
}

/// Minus the logarithm of the softmax of `s * scores` at the label.
pub(crate) fn loss(scores: &[f32], label: usize, s: f64) -> f64 {
    let most = scores.iter().copied().fold(f32::MIN, f32::max);
    let sum: f64 = scores.iter().map(|&x| (s * f64::from(x - most)).exp()).sum();
    sum.ln() - s * f64::from(scores[label] - most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_known_odds_get_their_factor() {
        // Right in three of four: the odds are 3, so that a difference of 2 should be ln 3.
        let scores = [2.0, 0.0].repeat(4);
        let s = factor(&scores, &[0, 0, 1, 0], 2).unwrap();
        assert!((s - 3f64.ln() / 2.0).abs() < 1e-5, "{s}");
    }
}
