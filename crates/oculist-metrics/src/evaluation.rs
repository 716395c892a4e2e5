//! The answers of a classifier to one split, and what they are worth.

use crate::calibration::{Bin, bins, expected_calibration_error};
use crate::confusion::{Counts, counts, mean};
use crate::metric::Metric;
use crate::outputs::{Outputs, ahead};
use crate::ranking::area_under_roc;
use crate::scores::Scores;

/// What a classifier got right on one split. Accuracies are in percent.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Number of images.
    pub count: usize,
    /// Share of images whose most likely class is the true one; 0 of none.
    pub top1: f64,
    /// Share of images whose true class is among the five most likely ones (all classes, if fewer than five); 0 of none.
    pub top5: f64,
    /// Mean cross-entropy of the true class, natural logarithm; 0 of none.
    pub loss: f64,
    /// Expected calibration error in percent; see [`expected_calibration_error`].
    pub ece: f64,
    /// Right answers per class in percent; `None` for a class without images.
    pub per_class: Vec<Option<f64>>,
    /// `confusion[truth][predicted]` counts.
    pub confusion: Vec<Vec<u32>>,
    /// Predicted class of each image.
    pub predictions: Vec<u32>,
    /// Probability of the predicted class of each image, 0..=1.
    pub confidences: Vec<f32>,
    /// True class of each image.
    pub labels: Vec<u32>,
    /// Area under the ROC curve in percent, where there are two classes and both occur.
    auc: Option<f64>,
}

/// Evaluates logits against labels; see [`evaluate`].
///
/// # Shapes
/// `logits`: `[labels.len(), classes]`, dense.
///
/// # Panics
/// If a label is not below `classes` or the lengths differ: the data set guarantees both.
pub fn evaluate_logits(logits: &[f32], labels: &[u32], classes: usize) -> Evaluation {
    evaluate(Outputs::Logits(logits), labels, classes)
}

/// Evaluates what a model gave against labels.
///
/// Ties go to the lower class index; a NaN is the least of all outputs.
///
/// # Shapes
/// `outputs`: `[labels.len(), classes]`, dense.
///
/// # Panics
/// If a label is not below `classes` or the lengths differ: the data set guarantees both.
pub fn evaluate(outputs: Outputs<'_>, labels: &[u32], classes: usize) -> Evaluation {
    let values = outputs.values();
    assert_eq!(values.len(), labels.len() * classes, "outputs and labels differ in length");
    if let Some(label) = labels.iter().find(|&&label| label as usize >= classes) {
        panic!("label {label} is not below {classes} classes");
    }
    let count = labels.len();
    let mut confusion = vec![vec![0u32; classes]; classes];
    let mut predictions = Vec::with_capacity(count);
    let mut confidences = Vec::with_capacity(count);
    let (mut top5, mut loss) = (0usize, 0.0f64);
    for (row, &label) in values.chunks_exact(classes.max(1)).zip(labels) {
        let truth = label as usize;
        let answer = outputs.answer(row, truth);
        loss += answer.loss;
        top5 += usize::from(ahead(row, truth) < 5);
        confusion[truth][answer.best] += 1;
        predictions.push(answer.best as u32);
        confidences.push(answer.confidence as f32);
    }
    let right: u32 = (0..classes).map(|c| confusion[c][c]).sum();
    let percent = |n: f64| if count == 0 { 0.0 } else { 100.0 * n / count as f64 };
    let correct = correct(&predictions, labels);
    Evaluation {
        count,
        top1: percent(f64::from(right)),
        top5: percent(top5 as f64),
        loss: if count == 0 { 0.0 } else { loss / count as f64 },
        ece: expected_calibration_error(&confidences, &correct),
        per_class: counts(&confusion).into_iter().map(Counts::recall).collect(),
        confusion,
        predictions,
        confidences,
        labels: labels.to_vec(),
        auc: (classes == 2).then(|| auc(outputs, labels)).flatten(),
    }
}

/// Area under the ROC curve of two classes in percent.
fn auc(outputs: Outputs<'_>, labels: &[u32]) -> Option<f64> {
    let margins: Vec<f64> = outputs.values().chunks_exact(2).map(|row| outputs.margin(row)).collect();
    let positive: Vec<bool> = labels.iter().map(|&label| label == 1).collect();
    area_under_roc(&margins, &positive).map(|area| 100.0 * area)
}

fn correct(predictions: &[u32], labels: &[u32]) -> Vec<bool> {
    predictions.iter().zip(labels).map(|(p, l)| p == l).collect()
}

impl Evaluation {
    /// The metrics that can be computed; see [`classification`](crate::classification). Empty of no images.
    pub fn scores(&self) -> Scores {
        if self.count == 0 {
            return Scores::new();
        }
        let counts = counts(&self.confusion);
        [
            (Metric::Top1, Some(self.top1)),
            (Metric::Top5, Some(self.top5)),
            (Metric::BalancedAccuracy, mean(counts.iter().map(|c| c.recall()))),
            (Metric::MacroF1, mean(counts.iter().map(|c| c.f1()))),
            (Metric::Auc, self.auc),
            (Metric::LogLoss, Some(self.loss)),
            (Metric::Ece, Some(self.ece)),
        ]
        .into_iter()
        .filter_map(|(metric, value)| value.map(|value| (metric, value)))
        .collect()
    }

    /// The fifteen bins of [`expected_calibration_error`], for a reliability diagram.
    pub fn bins(&self) -> Vec<Bin> {
        bins(&self.confidences, &correct(&self.predictions, &self.labels))
    }
}

/// Share of equal predictions, in percent; 0 of none.
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
        // F1 of 2/3, 0 (answered, never true) and 2/3; recall over the two classes that occur.
        assert_eq!(e.scores().get(Metric::BalancedAccuracy), Some(50.0));
        assert!((e.scores().get(Metric::MacroF1).unwrap() - 400.0 / 9.0).abs() < 1e-12);
        assert_eq!(e.scores().get(Metric::Auc), None, "of two classes only");
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
    fn nothing_measured_has_no_scores() {
        for classes in [0, 1, 2, 5] {
            let e = evaluate_logits(&[], &[], classes);
            assert_eq!((e.count, e.top1, e.top5, e.loss, e.ece), (0, 0.0, 0.0, 0.0, 0.0));
            assert_eq!(e.per_class, vec![None; classes]);
            assert!(e.scores().is_empty());
        }
    }

    #[test]
    fn an_area_needs_both_classes() {
        let logits = [0.0, 1.0, 0.0, 2.0];
        assert_eq!(evaluate_logits(&logits, &[1, 1], 2).scores().get(Metric::Auc), None);
        assert_eq!(evaluate_logits(&logits, &[0, 1], 2).scores().get(Metric::Auc), Some(100.0));
        // Softmax in f32 would call both 1.
        assert_eq!(evaluate_logits(&[0.0, 60.0, 0.0, 50.0], &[0, 1], 2).scores().get(Metric::Auc), Some(0.0));
    }

    #[test]
    #[should_panic(expected = "label 3 is not below 3 classes")]
    fn labels_out_of_range_are_refused() {
        evaluate_logits(&[0.0; 3], &[3], 3);
    }

    #[test]
    fn agreement_is_the_share_of_equal_answers() {
        assert!((agreement(&[1, 2, 3, 4], &[1, 2, 0, 4]) - 75.0).abs() < 1e-12);
        assert_eq!(agreement(&[], &[]), 0.0);
    }
}
