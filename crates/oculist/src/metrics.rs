//! Accuracy and calibration of a classifier from its logits.

use std::cmp::Ordering;

/// What a classifier got right on one split. Accuracies are in percent.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Number of images.
    pub count: usize,
    /// Share of images whose most likely class is the true one.
    pub top1: f64,
    /// Share of images whose true class is among the five most likely ones (all classes, if fewer than five).
    pub top5: f64,
    /// Mean cross-entropy of the true class, natural logarithm.
    pub loss: f64,
    /// Expected calibration error in percent; see [`expected_calibration_error`].
    pub ece: f64,
    /// Right answers per class in percent; `None` for a class without images.
    pub per_class: Vec<Option<f64>>,
    /// `confusion[truth][predicted]` counts.
    pub confusion: Vec<Vec<u32>>,
    /// Predicted class of each image.
    pub predictions: Vec<u32>,
    /// Probability of the predicted class of each image, 0..=1, as the model gives it ([`Probabilities`]).
    pub confidences: Vec<f32>,
    /// True class of each image.
    pub labels: Vec<u32>,
}

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

fn sigmoid(z: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(z)).exp())) as f32
}

/// Evaluates logits against labels, with the probabilities of a [`softmax`].
///
/// Ties go to the lower class index.
///
/// # Shapes
/// `logits`: `[labels.len(), classes]`, dense.
///
/// # Panics
/// If a label is not below `classes` or the lengths differ: the data set guarantees both.
pub fn evaluate_logits(logits: &[f32], labels: &[u32], classes: usize) -> Evaluation {
    evaluate_as(Probabilities::Softmax, logits, labels, classes)
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
    assert_eq!(logits.len(), labels.len() * classes, "logits and labels differ in length");
    let count = labels.len();
    let mut confusion = vec![vec![0u32; classes]; classes];
    let mut predictions = Vec::with_capacity(count);
    let mut confidences = Vec::with_capacity(count);
    let (mut top5, mut loss) = (0usize, 0.0f64);
    for (row, &label) in logits.chunks_exact(classes).zip(labels) {
        let truth = label as usize;
        assert!(truth < classes, "label {truth} is not below {classes} classes");
        let best = argmax(row);
        let max = f64::from(row[best]);
        let sum: f64 = row.iter().map(|&x| (f64::from(x) - max).exp()).sum();
        loss += max + sum.ln() - f64::from(row[truth]);
        let ahead = row
            .iter()
            .enumerate()
            .filter(|&(c, x)| match x.total_cmp(&row[truth]) {
                Ordering::Greater => true,
                Ordering::Equal => c < truth,
                Ordering::Less => false,
            })
            .count();
        top5 += usize::from(ahead < 5);
        confusion[truth][best] += 1;
        predictions.push(best as u32);
        confidences.push(match probabilities {
            Probabilities::Softmax => (1.0 / sum) as f32,
            Probabilities::Sigmoids => sigmoid(row[best]),
        });
    }
    let right: u32 = (0..classes).map(|c| confusion[c][c]).sum();
    let percent = |n: f64| if count == 0 { 0.0 } else { 100.0 * n / count as f64 };
    let per_class = confusion
        .iter()
        .enumerate()
        .map(|(c, row)| {
            let n: u32 = row.iter().sum();
            (n > 0).then(|| 100.0 * f64::from(row[c]) / f64::from(n))
        })
        .collect();
    let correct: Vec<bool> = predictions.iter().zip(labels).map(|(p, l)| p == l).collect();
    Evaluation {
        count,
        top1: percent(f64::from(right)),
        top5: percent(top5 as f64),
        loss: if count == 0 { 0.0 } else { loss / count as f64 },
        ece: expected_calibration_error(&confidences, &correct),
        per_class,
        confusion,
        predictions,
        confidences,
        labels: labels.to_vec(),
    }
}

/// Index of the largest element, the first of equals.
pub fn argmax(row: &[f32]) -> usize {
    let mut best = 0;
    for (i, x) in row.iter().enumerate() {
        if *x > row[best] {
            best = i;
        }
    }
    best
}

/// Probabilities of a row of logits.
pub fn softmax(row: &[f32]) -> Vec<f32> {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> = row.iter().map(|&x| f64::from(x - max).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.iter().map(|e| (e / sum) as f32).collect()
}

impl Evaluation {
    /// The bins of [`expected_calibration_error`] that hold images, for a reliability diagram.
    pub fn calibration_bins(&self) -> Vec<oculist_report::CalibrationBin> {
        bins(&self.confidences, &self.correct())
            .into_iter()
            .filter(|b| b.count > 0)
            .map(|b| oculist_report::CalibrationBin {
                confidence: b.confidence / b.count as f64,
                accuracy: b.right as f64 / b.count as f64,
                count: b.count as u64,
            })
            .collect()
    }

    fn correct(&self) -> Vec<bool> {
        self.predictions.iter().zip(&self.labels).map(|(p, l)| p == l).collect()
    }
}

/// One bin of confidences: how many images, how many right, sum of confidences.
#[derive(Clone, Copy, Default)]
struct Bin {
    count: usize,
    right: usize,
    confidence: f64,
}

/// Fifteen bins of equal width.
fn bins(confidences: &[f32], correct: &[bool]) -> Vec<Bin> {
    const BINS: usize = 15;
    let mut bins = vec![Bin::default(); BINS];
    for (&confidence, &ok) in confidences.iter().zip(correct) {
        // Bins are (low, high], so that a confidence of one falls into the last.
        let i = ((f64::from(confidence) * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        bins[i].count += 1;
        bins[i].right += usize::from(ok);
        bins[i].confidence += f64::from(confidence);
    }
    bins
}

/// Expected calibration error in percent: over 15 bins of equal width in confidence,
/// `100 * sum |bin| / n * |accuracy(bin) - mean confidence(bin)|`.
///
/// # Source
/// Guo et al. 2017, section 2; 15 bins as there.
pub fn expected_calibration_error(confidences: &[f32], correct: &[bool]) -> f64 {
    let n = confidences.len().max(1) as f64;
    let gaps = bins(confidences, correct).into_iter().map(|b| (b.right as f64 - b.confidence).abs());
    100.0 * gaps.sum::<f64>() / n
}

/// Share of equal predictions, in percent.
pub fn agreement(a: &[u32], b: &[u32]) -> f64 {
    let same = a.iter().zip(b).filter(|(a, b)| a == b).count();
    100.0 * same as f64 / a.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_hand() {
        // Three classes, four images: right, wrong (0 taken for 1), right, tie between 1 and 2 with truth 2.
        let logits = [3.0, 1.0, 0.0, 0.0, 2.0, 1.0, 0.0, 0.0, 5.0, 0.0, 1.0, 1.0];
        let e = evaluate_logits(&logits, &[0, 0, 2, 2], 3);
        assert_eq!(e.count, 4);
        assert!((e.top1 - 50.0).abs() < 1e-12);
        assert!((e.top5 - 100.0).abs() < 1e-12, "three classes all fit into five");
        assert_eq!(e.confusion, vec![vec![1, 1, 0], vec![0, 0, 0], vec![0, 1, 1]]);
        assert_eq!(e.per_class, vec![Some(50.0), None, Some(50.0)]);
        assert_eq!(e.predictions, vec![0, 1, 2, 1]);
    }

    #[test]
    fn top5_counts_ties_like_a_stable_sort() {
        let mut row = vec![0.0f32; 10];
        row[0] = -1.0;
        // Classes 1..=9 tie at zero; the truth is the sixth of them and so not among the first five.
        assert!(evaluate_logits(&row, &[6], 10).top5.abs() < 1e-12);
        assert!((evaluate_logits(&row, &[5], 10).top5 - 100.0).abs() < 1e-12);
    }

    #[test]
    fn loss_is_the_mean_cross_entropy() {
        let e = evaluate_logits(&[0.0, 0.0, 0.0, 0.0], &[0, 1], 2);
        assert!((e.loss - 2f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn calibration_error_of_known_cases() {
        // Always 0.8 sure and right in four of five cases: perfectly calibrated.
        let ok = [true, true, true, true, false];
        assert!(expected_calibration_error(&[0.8; 5], &ok) < 1e-5);
        // Always 0.8 sure and never right: off by 80 points.
        assert!((expected_calibration_error(&[0.8; 5], &[false; 5]) - 80.0).abs() < 1e-4);
        // Two bins: |1 - 0.95| * 1/2 + |0 - 0.55| * 1/2 = 30 points.
        assert!((expected_calibration_error(&[0.95, 0.55], &[true, false]) - 30.0).abs() < 1e-4);
    }

    #[test]
    fn confidences_of_sigmoids_are_those_of_each_class() {
        // sigmoid(ln 3) = 3/4, sigmoid(-ln 4) = 1/5; a softmax of the two would give 12/13.
        let logits = [3f32.ln(), -(4f32.ln()), -(9f32.ln()), -(4f32.ln())];
        let e = evaluate_as(Probabilities::Sigmoids, &logits, &[0, 0], 2);
        assert!((e.confidences[0] - 0.75).abs() < 1e-6 && (e.confidences[1] - 0.2).abs() < 1e-6, "{e:?}");
        // One right and sure by 3/4, one wrong and sure by 1/5: (1/4 + 1/5) / 2.
        assert!((e.ece - 22.5).abs() < 1e-4, "{}", e.ece);
        let other = evaluate_logits(&logits, &[0, 0], 2);
        assert!((other.confidences[0] - 12.0 / 13.0).abs() < 1e-6 && (other.ece - e.ece).abs() > 1.0);
        assert_eq!((e.predictions, e.loss), (other.predictions, other.loss));
        for p in [Probabilities::Softmax, Probabilities::Sigmoids] {
            let back: Vec<f32> = p.of(&logits[..2]).iter().map(|&x| p.logit(f64::from(x))).collect();
            let difference = back[0] - back[1] - (logits[0] - logits[1]);
            assert!(difference.abs() < 1e-5, "{p:?}: {back:?}");
            assert!(p.logit(0.0).is_finite() && p.logit(1.0).is_finite());
        }
    }

    #[test]
    fn agreement_is_the_share_of_equal_answers() {
        assert!((agreement(&[1, 2, 3, 4], &[1, 2, 0, 4]) - 75.0).abs() < 1e-12);
    }
}
