//! Any number of true classes per image.

use crate::confusion::{Counts, mean, percent};
use crate::metric::Metric;
use crate::outputs::{Outputs, number, probability};
use crate::ranking::average_precision;
use crate::scores::Scores;

/// Whether an image has a label: how data sets and losses write it.
pub trait Target: Copy {
    /// Whether it has.
    fn holds(self) -> bool;
}

impl Target for bool {
    fn holds(self) -> bool {
        self
    }
}

/// 0 or 1.
impl Target for u8 {
    fn holds(self) -> bool {
        self != 0
    }
}

/// 0.0 or 1.0; what lies between holds from 0.5.
impl Target for f32 {
    fn holds(self) -> bool {
        self >= 0.5
    }
}

/// What was measured of a model that gives each image any number of classes.
#[derive(Debug, Clone, PartialEq)]
pub struct MultiLabel {
    /// Number of images.
    pub count: usize,
    /// Probability from which a class counts as answered, 0..=1.
    pub threshold: f64,
    /// The metrics of [`Metric::MULTI_LABEL`] that can be computed.
    pub scores: Scores,
    /// One entry per class.
    pub per_class: Vec<ClassScores>,
}

/// What was measured of one class. Shares are in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassScores {
    /// See [`average_precision`]; `None` without positives.
    pub average_precision: Option<f64>,
    /// `2 TP / (2 TP + FP + FN)`, 0 of nothing.
    pub f1: f64,
    /// `TP / (TP + FP)`, 0 of nothing.
    pub precision: f64,
    /// `TP / (TP + FN)`, 0 of nothing.
    pub recall: f64,
    /// Number of images with the class.
    pub positives: usize,
    /// Number of images that are answered to have it.
    pub predicted: usize,
}

impl MultiLabel {
    /// The classes that no image has, which the mean average precision leaves out.
    pub fn without_positives(&self) -> Vec<usize> {
        (0..self.per_class.len()).filter(|&c| self.per_class[c].positives == 0).collect()
    }
}

/// The metrics of [`Metric::MULTI_LABEL`] that can be computed, and those of each class.
///
/// - mAP: mean of [`average_precision`] over the classes with positives; see [`MultiLabel::without_positives`].
/// - macro F1: mean of F1 over the classes with positives or answers.
/// - micro F1: F1 of the counts of all classes together.
/// - exact match: share of images with no wrong answer; Hamming loss: share of wrong answers.
/// - log loss: mean over images and classes of `ln(1 + exp(-z))` where the class is there, else `ln(1 + exp(z))`.
///
/// A class is answered where its probability, `1 / (1 + exp(-z))` of logits, is at least `threshold` (usually 0.5).
/// A NaN is as `-inf`. Nothing is computed of no images or no classes.
///
/// # Shapes
/// `outputs` and `targets`: `[n, classes]`, dense.
///
/// # Panics
/// If the lengths differ or are no multiple of `classes`, or `threshold` is not within 0..=1.
///
/// # Source
/// Values as scikit-learn's `average_precision_score`, `f1_score` (macro with `zero_division=nan`), `accuracy_score`,
/// `hamming_loss` and, but that nothing is clipped, `log_loss`.
pub fn multi_label<T: Target>(
    outputs: Outputs<'_>,
    targets: &[T],
    classes: usize,
    threshold: f64,
) -> MultiLabel {
    let values = outputs.values();
    assert_eq!(values.len(), targets.len(), "outputs and targets differ in length");
    assert!((0.0..=1.0).contains(&threshold), "a threshold of {threshold} is no probability");
    let count = targets.len().checked_div(classes).unwrap_or(0);
    assert_eq!(targets.len(), count * classes, "targets are not a number of images of {classes} classes");

    let least = least(outputs, threshold);
    let mut counts = vec![Counts::default(); classes];
    let (mut exact, mut loss) = (0usize, 0.0f64);
    for (row, truths) in values.chunks_exact(classes.max(1)).zip(targets.chunks_exact(classes.max(1))) {
        let mut all_right = true;
        for ((counts, &value), truth) in counts.iter_mut().zip(row).zip(truths) {
            let (answered, holds) = (number(value) >= least, truth.holds());
            counts.true_positives += usize::from(answered && holds);
            counts.false_positives += usize::from(answered && !holds);
            counts.false_negatives += usize::from(!answered && holds);
            all_right &= answered == holds;
            loss += cross_entropy(outputs, value, holds);
        }
        exact += usize::from(all_right);
    }

    let total = Counts::total(&counts);
    let elements = targets.len();
    let per_class: Vec<_> =
        counts.iter().enumerate().map(|(c, &n)| of_class(values, targets, (c, classes), n)).collect();
    let scores = [
        (Metric::Map, mean(per_class.iter().map(|c| c.average_precision))),
        (Metric::MacroF1, mean(counts.iter().map(|c| c.f1()))),
        (Metric::MicroF1, total.f1()),
        (Metric::ExactMatch, percent(exact, count)),
        (Metric::Hamming, percent(total.false_positives + total.false_negatives, elements)),
        (Metric::LogLoss, (elements > 0).then(|| loss / elements as f64)),
    ];
    let scores = scores.into_iter().filter_map(|(metric, value)| Some((metric, value?))).collect();
    MultiLabel { count, threshold, scores, per_class }
}

/// What an output has to be at least for its probability to be at least `threshold`.
fn least(outputs: Outputs<'_>, threshold: f64) -> f64 {
    match outputs {
        Outputs::Logits(_) => threshold.ln() - (1.0 - threshold).ln(),
        // What is below 0 counts as 0, which reaches a threshold of 0.
        Outputs::Probabilities(_) if threshold == 0.0 => f64::NEG_INFINITY,
        Outputs::Probabilities(_) => threshold,
    }
}

/// `-ln` of the probability of what is true.
fn cross_entropy(outputs: Outputs<'_>, value: f32, holds: bool) -> f64 {
    match outputs {
        Outputs::Logits(_) => {
            let z = number(value);
            softplus(if holds { -z } else { z })
        }
        Outputs::Probabilities(_) => {
            let p = probability(value).min(1.0);
            // Not `-ln`, which would make the loss of certainty -0.
            if holds { 0.0 - p.ln() } else { 0.0 - (-p).ln_1p() }
        }
    }
}

/// `ln(1 + exp(x))` without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The scores of class `c` of `classes`.
fn of_class<T: Target>(
    values: &[f32],
    targets: &[T],
    (c, classes): (usize, usize),
    counts: Counts,
) -> ClassScores {
    let scores: Vec<f64> = values.iter().skip(c).step_by(classes).map(|&value| number(value)).collect();
    let positive: Vec<bool> = targets.iter().skip(c).step_by(classes).map(|target| target.holds()).collect();
    ClassScores {
        average_precision: average_precision(&scores, &positive).map(|precision| 100.0 * precision),
        f1: counts.f1().unwrap_or(0.0),
        precision: counts.precision().unwrap_or(0.0),
        recall: counts.recall().unwrap_or(0.0),
        positives: counts.positives(),
        predicted: counts.predicted(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f32 = f32::NAN;

    #[test]
    fn counts_by_hand() {
        // Two right, one missed and one false, none right; nobody has class 2 or is said to.
        let logits = [1.0, -1.0, -1.0, 2.0, 1.0, -1.0, -0.5, 0.0, -9.0];
        let m = multi_label(Outputs::Logits(&logits), &[1u8, 0, 0, 1, 0, 0, 1, 1, 0], 3, 0.5);
        let of = |metric| m.scores.get(metric).unwrap();
        assert_eq!((m.count, m.without_positives()), (3, vec![2]));
        assert!((of(Metric::ExactMatch) - 100.0 / 3.0).abs() < 1e-12);
        assert!((of(Metric::Hamming) - 200.0 / 9.0).abs() < 1e-12);
        assert!((of(Metric::MicroF1) - 75.0).abs() < 1e-12);
        // Class 0: 2 of 3 found, F1 0.8; class 1: 1 found, 1 false, F1 2/3; class 2 is left out.
        assert!((of(Metric::MacroF1) - 100.0 * (0.8 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        assert!((of(Metric::Map) - 75.0).abs() < 1e-12);
        assert_eq!(m.per_class[1].precision, 50.0);
        assert_eq!(
            m.per_class[2],
            ClassScores {
                average_precision: None,
                f1: 0.0,
                precision: 0.0,
                recall: 0.0,
                positives: 0,
                predicted: 0,
            }
        );
    }

    #[test]
    fn targets_may_be_bytes_numbers_or_truths() {
        let logits = Outputs::Logits(&[1.0, -1.0]);
        let bytes = multi_label(logits, &[1u8, 0], 2, 0.5);
        assert_eq!(bytes, multi_label(logits, &[1f32, 0.0], 2, 0.5));
        assert_eq!(bytes, multi_label(logits, &[true, false], 2, 0.5));
    }

    #[test]
    fn nothing_measured_has_no_scores() {
        for classes in [0, 1, 3] {
            let m = multi_label::<u8>(Outputs::Logits(&[]), &[], classes, 0.5);
            assert!(m.scores.is_empty());
            assert_eq!((m.count, m.per_class.len()), (0, classes));
        }
        // Images, but nothing to find and nothing found: F1 and precision have no value.
        let m = multi_label(Outputs::Logits(&[-1.0; 4]), &[0u8; 4], 2, 0.5);
        let known: Vec<_> = m.scores.iter().map(|(metric, _)| metric).collect();
        assert_eq!(known, [Metric::ExactMatch, Metric::Hamming, Metric::LogLoss]);
    }

    #[test]
    fn the_threshold_is_a_probability() {
        fn predicted(outputs: Outputs<'_>, threshold: f64) -> usize {
            multi_label(outputs, &[1u8], 1, threshold).per_class[0].predicted
        }
        let of = |z: f32, t: f64| predicted(Outputs::Logits(&[z]), t);
        assert_eq!([of(0.0, 0.5), of(-1e-6, 0.5), of(1.0, 0.73), of(1.0, 0.74)], [1, 0, 1, 0]);
        assert_eq!([of(f32::NEG_INFINITY, 0.0), of(NAN, 0.0), of(NAN, 1e-9), of(99.0, 1.0)], [1, 1, 0, 0]);
        let of = |p: f32, t: f64| predicted(Outputs::Probabilities(&[p]), t);
        assert_eq!([of(0.5, 0.5), of(0.49, 0.5), of(NAN, 0.5), of(-1.0, 0.0), of(1.0, 1.0)], [1, 0, 0, 1, 1]);
    }

    #[test]
    fn losses_stay_stable() {
        let loss = |z: f32, y: u8| {
            multi_label(Outputs::Logits(&[z]), &[y], 1, 0.5).scores.get(Metric::LogLoss).unwrap()
        };
        assert_eq!((loss(1e30, 1), loss(-1e30, 0)), (0.0, 0.0));
        assert_eq!(loss(-1e4, 1), 1e4);
        assert!((loss(40.0, 1) - (-40f64).exp()).abs() < 1e-30);
        assert_eq!((loss(NAN, 1), loss(NAN, 0), loss(f32::INFINITY, 0)), (f64::INFINITY, 0.0, f64::INFINITY));
        let of_p = multi_label(Outputs::Probabilities(&[0.25, 0.25]), &[1u8, 0], 1, 0.5).scores;
        let want = -(0.25f64.ln() + 0.75f64.ln()) / 2.0;
        assert!((of_p.get(Metric::LogLoss).unwrap() - want).abs() < 1e-12);
    }

    #[test]
    #[should_panic(expected = "are not a number of images of 3 classes")]
    fn half_an_image_is_refused() {
        multi_label(Outputs::Logits(&[0.0; 4]), &[0u8; 4], 3, 0.5);
    }
}
