//! One model, measured.

use oculist_metrics::{Metric, Scores};
use serde::{Deserialize, Serialize};

use super::Chance;
use super::task::validation_value;

/// A model and its measurements, on the test split unless a field says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// `baseline`, `compressed`, `compressed-int8`, ...
    pub name: String,
    /// File, relative to the run folder; empty if it was not written.
    pub file: String,
    /// `f32` or `int8`.
    pub precision: String,
    /// Top-1 accuracy on the test split, percent; `None` where images have several labels.
    pub top1: Option<f64>,
    /// Top-5 accuracy on the test split, percent; `None` where images have several labels.
    pub top5: Option<f64>,
    /// Top-1 accuracy on the validation split, percent.
    pub val_top1: Option<f64>,
    /// Every metric that was measured on the test split; empty in older files, see [`Model::score`].
    pub scores: Scores,
    /// Every metric that was measured on the validation split; see [`Model::val_score`].
    pub val_scores: Scores,
    /// Number of parameters.
    pub params: u64,
    /// Multiply-accumulates for one image.
    pub macs: u64,
    /// Size of the file, bytes.
    pub bytes: u64,
    /// Latency of one batch, milliseconds.
    pub latency_ms: Option<Spread>,
    /// Throughput, images per second.
    pub images_per_s: Option<Spread>,
    /// Expected calibration error on the test split, `0..=1`.
    pub ece: Option<f64>,
    /// The bins of the calibration error, by rising confidence; may be empty.
    pub calibration: Vec<CalibrationBin>,
    /// Accuracy of each class, in label order.
    pub per_class: Vec<ClassAccuracy>,
    /// Scores of each class where images have several labels, in label order; else empty.
    pub per_label: Vec<LabelScores>,
    /// Confusion matrix: `confusion[truth][predicted]` counts test images; empty beyond [`Model::MATRIX_CLASSES`] classes.
    pub confusion: Vec<Vec<u64>>,
    /// Where the matrix is left out, its mistakes: `[truth, predicted, count]` of each pair that occurred.
    pub mistakes: Vec<[u64; 3]>,
    /// Share of the test images on which the top-1 class equals the baseline's, percent.
    pub agreement_with_baseline: Option<f64>,
    /// How it stands beside one answer for every image; `None` where only one class has images, and in older files.
    pub chance: Option<Chance>,
    /// When it says that an image is none of its classes; `None` where images have several labels.
    pub reject: Option<Reject>,
}

impl Model {
    /// Up to this many classes the confusion matrix is written; it grows with their square, and what is in it does not.
    pub const MATRIX_CLASSES: usize = 200;

    /// The value of a metric on the test split, in the metric's unit.
    ///
    /// Files of version 1 of the schema have top-1, top-5 and the calibration error in fields of their own.
    pub fn score(&self, metric: Metric) -> Option<f64> {
        self.scores.get(metric).or_else(|| match metric {
            Metric::Top1 => self.top1,
            Metric::Top5 => self.top5,
            Metric::Ece => self.ece.map(|share| 100.0 * share),
            _ => None,
        })
    }

    /// The value of a metric on the validation split, in the metric's unit.
    pub fn val_score(&self, metric: Metric) -> Option<f64> {
        validation_value(metric, self.val_scores.get(metric), self.val_top1)
    }

    /// Puts a confusion matrix where it belongs: whole, or as a list of the mistakes.
    pub fn set_confusion(&mut self, matrix: Vec<Vec<u64>>) {
        if matrix.len() <= Self::MATRIX_CLASSES {
            (self.confusion, self.mistakes) = (matrix, Vec::new());
            return;
        }
        let rows = matrix.iter().enumerate();
        let cells = rows.flat_map(|(t, row)| row.iter().enumerate().map(move |(p, &n)| (t, p, n)));
        self.mistakes =
            cells.filter(|&(t, p, n)| t != p && n > 0).map(|(t, p, n)| [t as u64, p as u64, n]).collect();
        self.confusion = Vec::new();
    }

    /// Number of classes that were told apart.
    pub fn classes(&self) -> usize {
        self.confusion.len().max(self.per_class.len()).max(self.per_label.len())
    }
}

/// When a model says that an image is none of its classes: its score is below the threshold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reject {
    /// `energy`, the logarithm of the sum of the exponentials of the logits, or `max_probability`.
    pub score: String,
    /// The least score that is still of a class.
    pub threshold: f64,
    /// Share of the validation images that was to be kept at the least, percent.
    pub rate: f64,
    /// Number of validation images.
    pub images: u64,
    /// Share of the validation images that is kept, percent.
    pub val_kept: f64,
    /// Share of the test images that is kept, percent.
    pub test_kept: Option<f64>,
    /// `[threshold, share of the validation images that it would keep in percent]`, by rising threshold.
    pub curve: Vec<[f64; 2]>,
}

/// A repeated measurement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spread {
    /// Images in a batch.
    pub batch: usize,
    /// Median of the runs.
    pub median: f64,
    /// Smallest of the runs.
    pub min: f64,
    /// Largest of the runs.
    pub max: f64,
    /// The value that a tenth of the runs lie below; `None` in older files.
    pub p10: Option<f64>,
    /// The value that nine tenths of the runs lie below; `None` in older files.
    pub p90: Option<f64>,
    /// Number of runs.
    pub runs: usize,
}

impl Spread {
    /// The same runs in another unit; `to` may fall, as from times to rates: then low and high change places.
    #[must_use]
    pub fn map(self, to: impl Fn(f64) -> f64) -> Self {
        let (min, max) = (to(self.min), to(self.max));
        let (p10, p90) = (self.p10.map(&to), self.p90.map(&to));
        let falls = min > max;
        Spread {
            median: to(self.median),
            min: if falls { max } else { min },
            max: if falls { min } else { max },
            p10: if falls { p90 } else { p10 },
            p90: if falls { p10 } else { p90 },
            ..self
        }
    }
}

/// Accuracy of one class.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClassAccuracy {
    /// Name of the class.
    pub class: String,
    /// Share of its images that were recognised, percent.
    pub accuracy: f64,
    /// Number of its images.
    pub count: u64,
}

/// Scores of one class where images have several labels. Shares are in percent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LabelScores {
    /// Name of the class.
    pub class: String,
    /// `2 TP / (2 TP + FP + FN)`, 0 of nothing.
    pub f1: f64,
    /// Share of the images said to have the class that do.
    pub precision: f64,
    /// Share of the images with the class that were found.
    pub recall: f64,
    /// Area under the curve of precision over recall; `None` without positives.
    pub average_precision: Option<f64>,
    /// Number of images with the class.
    pub positives: u64,
    /// Number of images said to have it.
    pub predicted: u64,
}

/// One bin of the reliability diagram.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CalibrationBin {
    /// Mean confidence of the bin's images, `0..=1`.
    pub confidence: f64,
    /// Share of the bin's images that were right, `0..=1`.
    pub accuracy: f64,
    /// Number of images.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_high_where_the_time_is_short() {
        let time =
            Spread { batch: 1, median: 2.0, min: 1.0, max: 4.0, runs: 3, p10: Some(1.25), p90: Some(3.2) };
        let rate = time.map(|s| 8.0 / s);
        assert_eq!((rate.min, rate.median, rate.max), (2.0, 4.0, 8.0));
        assert_eq!((rate.p10, rate.p90), (Some(2.5), Some(6.4)));
        let ms = time.map(|s| 1e3 * s);
        assert_eq!((ms.min, ms.p10, ms.max, ms.runs), (1e3, Some(1250.0), 4e3, 3));
    }
}
