//! What was carried over from a model for another task.

use serde::{Deserialize, Serialize};

/// Knowledge transfer in a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Transfer {
    /// File of the source.
    pub source: String,
    /// Its architecture.
    pub arch: String,
    /// Number of its classes.
    pub source_classes: usize,
    /// `features`, `gap`, `fc` or `finetune`.
    pub mode: String,
    /// Features of an image, and the value of the source that gives them.
    pub features: usize,
    /// The value of the source where it was cut.
    pub at: String,
    /// Whether the features are means over the places of maps.
    pub pooled: bool,
    /// `f32` or `int8`.
    pub precision: String,
    /// How images become the source's input, in words.
    pub preprocessing: String,
    /// The heads that were tried, the one that was kept first.
    pub heads: Vec<TransferHead>,
    /// Classes that were carried over by name, where the classifier was.
    pub carried_classes: Vec<String>,
    /// Classes that are new to the source, where its classifier was carried over.
    pub new_classes: Vec<String>,
    /// The sources that were compared, in the order in which they were given; empty where there was one alone.
    pub sources: Vec<TransferSource>,
    /// Ways of carrying over that were not tried, each with the reason, in words.
    pub left_out: Vec<String>,
}

/// A source among several.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TransferSource {
    /// Its file.
    pub source: String,
    /// The deciding metric on validation images, by a logistic regression on its features.
    pub val: Option<f64>,
}

/// A head on the source's features.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TransferHead {
    /// `logistic`, `svm`, `lda`, `knn` or `forest`.
    pub kind: String,
    /// What cross-validation chose, in words.
    pub chosen: String,
    /// The deciding metric on validation images.
    pub val: Option<f64>,
    /// Seconds that learning it took.
    pub seconds: f64,
}
