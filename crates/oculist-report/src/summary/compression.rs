//! What compression tried, decided and changed.

use oculist_metrics::Metric;
use serde::{Deserialize, Serialize};

use super::Spread;
use super::task::validation_value;

/// The outcome of `--max-drop`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Promise {
    /// Whether the recommended model keeps to `max_drop` on the validation split and is faster or smaller.
    pub kept: bool,
    /// The finding as one sentence.
    pub text: String,
}

/// One step of the pipeline.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// Short name: `train baseline`, `prune channels`, ...
    pub name: String,
    /// What it changed, in words.
    pub what_changed: String,
    /// Wall time, seconds.
    pub cost: f64,
    /// The model before the step, if there was one.
    pub before: Option<StepState>,
    /// The model after the step.
    pub after: Option<StepState>,
}

/// The model at one point of the pipeline; what was not measured there is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StepState {
    /// The run's metric on the validation split, in its unit; see [`StepState::value`].
    pub val: Option<f64>,
    /// Top-1 accuracy on the validation split, percent.
    pub val_top1: Option<f64>,
    /// Number of parameters.
    pub params: Option<u64>,
    /// Multiply-accumulates for one image.
    pub macs: Option<u64>,
    /// Size of the file, bytes.
    pub bytes: Option<u64>,
    /// Median latency at batch 1, milliseconds.
    pub latency_ms: Option<f64>,
    /// The repetitions behind [`StepState::latency_ms`]; absent in older files.
    pub latency: Option<Spread>,
}

impl StepState {
    /// The value of the run's metric on the validation split.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        validation_value(metric, self.val, self.val_top1)
    }
}

/// One setting tried by the search.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Candidate {
    /// Short name, unique in the run: `prune 0.40 int8`.
    pub name: String,
    /// What was done: `prune`, `int8`, `prune+int8`, ... Colours the plot.
    pub kind: String,
    /// Share of the parameters (or, by the target, of the multiply-accumulates) that pruning was to remove, `0..=1`.
    pub pruning_ratio: Option<f64>,
    /// The run's metric on the validation split, in its unit; see [`Candidate::value`].
    pub val: Option<f64>,
    /// Top-1 accuracy on the validation split, percent.
    pub val_top1: Option<f64>,
    /// Number of parameters.
    pub params: u64,
    /// Multiply-accumulates for one image.
    pub macs: u64,
    /// Size of the file, bytes; an estimate if the candidate was not written.
    pub bytes: u64,
    /// Median latency at batch 1, milliseconds, if measured.
    pub latency_ms: Option<f64>,
    /// The repetitions behind [`Candidate::latency_ms`]; absent in older files.
    pub latency: Option<Spread>,
    /// Whether it is what the search began from and no candidate of its own; see [`Candidate::is_reference`].
    pub reference: bool,
    /// Whether it keeps to `max_drop` and is faster or smaller than the baseline.
    pub accepted: bool,
    /// Whether it is the one that became the recommended model; at most one is.
    pub chosen: bool,
    /// Why it was accepted or refused.
    pub reason: String,
}

impl Candidate {
    /// Whether it is what the search began from, with which the others are compared. Older files say so in the reason.
    pub fn is_reference(&self) -> bool {
        self.reference || self.reason == "the reference"
    }

    /// The value of the run's metric on the validation split.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        validation_value(metric, self.val, self.val_top1)
    }
}

/// A layer's channels before and after pruning.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LayerWidth {
    /// Name of the layer.
    pub layer: String,
    /// Output channels before.
    pub before: usize,
    /// Output channels after.
    pub after: usize,
}

/// One line of the sensitivity scan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LayerSensitivity {
    /// Name of the layer.
    pub layer: String,
    /// What the run's metric loses on the validation split with this layer alone compressed, in its unit.
    pub val_drop: f64,
    /// What was decided: `int8`, `f32`, ...
    pub decision: String,
}

/// How the int8 model was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quantization {
    /// Calibration method: `min-max`, `percentile 99.99`, `entropy`.
    pub calibration: String,
    /// Number of training images it was calibrated on.
    pub images: usize,
    /// How weights are held: `per-channel symmetric int8`.
    pub weights: String,
    /// How activations are held: `per-tensor uint8`.
    pub activations: String,
    /// Whether biases were corrected for the mean error of the weights.
    pub bias_correction: bool,
    /// Layers that run in int8.
    pub layers_int8: Vec<String>,
    /// Layers that stay in f32.
    pub layers_f32: Vec<String>,
    /// Number of validation images that the sensitivity scan looked at; 0 if it is not known or there was none.
    pub sensitivity_images: usize,
}
