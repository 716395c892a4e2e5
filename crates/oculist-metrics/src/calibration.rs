//! Calibration: whether what is said with 80% confidence is right in 80% of cases.

/// One bin of confidences.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bin {
    /// Number of images.
    pub count: usize,
    /// How many of them are answered right.
    pub right: usize,
    /// Sum of confidences, `0..=count`.
    pub confidence: f64,
}

/// Fifteen bins of equal width in confidence, `(low, high]`; the first also holds 0.
///
/// # Shapes
/// `confidences` (0..=1) and `correct`: one element per image.
pub fn bins(confidences: &[f32], correct: &[bool]) -> Vec<Bin> {
    const BINS: usize = 15;
    let mut bins = vec![Bin::default(); BINS];
    for (&confidence, &ok) in confidences.iter().zip(correct) {
        // Open below, so that a confidence of one falls into the last.
        let i = ((f64::from(confidence) * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        bins[i].count += 1;
        bins[i].right += usize::from(ok);
        bins[i].confidence += f64::from(confidence);
    }
    bins
}

/// Expected calibration error in percent: over 15 bins of equal width in confidence,
/// `100 * sum |bin| / n * |accuracy(bin) - mean confidence(bin)|`; 0 of nothing.
///
/// # Shapes
/// `confidences` (0..=1) and `correct`: one element per image.
///
/// # Source
/// Guo et al. 2017, section 2; 15 bins as there.
pub fn expected_calibration_error(confidences: &[f32], correct: &[bool]) -> f64 {
    let n = confidences.len().max(1) as f64;
    let gaps = bins(confidences, correct).into_iter().map(|b| (b.right as f64 - b.confidence).abs());
    100.0 * gaps.sum::<f64>() / n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibration_error_of_known_cases() {
        // Always 0.8 sure and right in four of five cases: perfectly calibrated.
        let ok = [true, true, true, true, false];
        assert!(expected_calibration_error(&[0.8; 5], &ok) < 1e-5);
        // Always 0.8 sure and never right: off by 80 points.
        assert!((expected_calibration_error(&[0.8; 5], &[false; 5]) - 80.0).abs() < 1e-4);
        // Two bins: |1 - 0.95| * 1/2 + |0 - 0.55| * 1/2 = 30 points.
        assert!((expected_calibration_error(&[0.95, 0.55], &[true, false]) - 30.0).abs() < 1e-4);
        assert_eq!(expected_calibration_error(&[], &[]), 0.0);
    }

    #[test]
    fn bins_are_open_below() {
        let of = |confidence| bins(&[confidence], &[true]).iter().position(|b| b.count == 1).unwrap();
        assert_eq!([0.0, 0.01, 0.2, 0.21, 1.0].map(of), [0, 0, 3, 3, 14]);
    }
}
