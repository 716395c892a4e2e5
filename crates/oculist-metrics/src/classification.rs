//! One true class per image.

use crate::evaluation::evaluate;
use crate::outputs::Outputs;
use crate::scores::Scores;

/// The metrics of [`Metric::CLASSIFICATION`](crate::Metric::CLASSIFICATION) that can be computed.
///
/// - top-1, top-5: share of images whose true class is the likeliest one, or one of the five likeliest.
/// - balanced accuracy: `mean TP_c / (TP_c + FN_c)` over the classes that occur.
/// - macro F1: `mean 2 TP_c / (2 TP_c + FP_c + FN_c)` over the classes that occur or are answered.
/// - AUC, of two classes of which both occur: see [`area_under_roc`](crate::area_under_roc); the score is the
///   difference of the logits, or the probability of class 1 as given.
/// - log loss: `mean -ln p_truth`.
/// - ECE: see [`expected_calibration_error`](crate::expected_calibration_error).
///
/// Nothing is computed of no images.
///
/// # Shapes
/// `outputs`: `[labels.len(), classes]`, dense.
///
/// # Panics
/// If a label is not below `classes` or the lengths differ: the data set guarantees both.
///
/// # Source
/// Values as scikit-learn's `balanced_accuracy_score`, `f1_score(average="macro", zero_division=0)`, `roc_auc_score` and
/// `log_loss`, but that no probability is clipped: what was said to be impossible has an infinite loss.
pub fn classification(outputs: Outputs<'_>, labels: &[u32], classes: usize) -> Scores {
    evaluate(outputs, labels, classes).scores()
}
