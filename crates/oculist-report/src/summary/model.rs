//! One model, measured.

use serde::{Deserialize, Serialize};

/// A model and its measurements; accuracies on the test split.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// `baseline`, `compressed`, `compressed-int8`, ...
    pub name: String,
    /// File, relative to the run folder; empty if it was not written.
    pub file: String,
    /// `f32` or `int8`.
    pub precision: String,
    /// Top-1 accuracy on the test split, percent.
    pub top1: f64,
    /// Top-5 accuracy on the test split, percent.
    pub top5: f64,
    /// Top-1 accuracy on the validation split, percent.
    pub val_top1: Option<f64>,
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
    /// Confusion matrix: `confusion[truth][predicted]` counts test images; empty beyond [`Model::MATRIX_CLASSES`] classes.
    pub confusion: Vec<Vec<u64>>,
    /// Where the matrix is left out, its mistakes: `[truth, predicted, count]` of each pair that occurred.
    pub mistakes: Vec<[u64; 3]>,
    /// Share of the test images on which the top-1 class equals the baseline's, percent.
    pub agreement_with_baseline: Option<f64>,
}

impl Model {
    /// Up to this many classes the confusion matrix is written; it grows with their square, and what is in it does not.
    pub const MATRIX_CLASSES: usize = 200;

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
        self.confusion.len().max(self.per_class.len())
    }
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
    /// Number of runs.
    pub runs: usize,
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
