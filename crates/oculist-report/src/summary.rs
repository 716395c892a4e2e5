//! The facts of one run, as plain serde structs.
//!
//! One type serves both files: `summary.json` is a [`RunSummary`] whose pictures are left out,
//! `report-data.json` is one that has them. So there is one schema, and either file can be read back.
//!
//! One metric decides in a run: [`RunSummary::metric`]. What is said of a candidate, a step or an epoch is its value.
//!
//! Units, unless a field says otherwise: accuracies in percent (`0..=100`), probabilities and ratios in
//! `0..=1`, times in seconds (latencies in milliseconds), sizes in bytes.
//!
//! Every struct has a `Default` and every field may be missing when read, so that a file of an older version
//! still opens; unknown fields are ignored.

mod chance;
mod compression;
mod data;
mod json;
mod model;
mod picture;
mod task;
mod training;
mod transfer;

use oculist_metrics::Metric;
use serde::{Deserialize, Serialize};

pub use chance::Chance;
pub use compression::{Candidate, LayerSensitivity, LayerWidth, Promise, Quantization, Step, StepState};
pub use data::{Data, Input, Repeats, SharedImages, Skipped};
pub use json::SCHEMA_VERSION;
pub use model::{CalibrationBin, ClassAccuracy, LabelScores, Model, Reject, Spread};
pub use picture::{AugmentedSample, Guess, Png, Sample};
pub use task::Task;
pub use training::Epoch;
pub use transfer::{Transfer, TransferHead, TransferSource};

/// Everything a report says about one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunSummary {
    /// Version of the schema, [`SCHEMA_VERSION`] when written by this crate.
    pub schema_version: u32,
    /// Version of Oculist that made the run.
    pub oculist_version: String,
    /// The verb: `optimize`, `train`, `compress`, ...
    pub verb: String,
    /// The exact command line, quoted so that a shell runs it again.
    pub command: String,
    /// The resolved configuration as TOML text.
    pub config: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// Number of threads used for training and for the measurements.
    pub threads: usize,
    /// Name of the CPU.
    pub cpu: String,
    /// The instruction set that the kernels use: `avx512`, `avx2`, `portable`; empty in older files.
    pub instruction_set: String,
    /// The operating system with its architecture: `linux x86_64 (Debian GNU/Linux 12)`; empty in older files.
    pub os: String,
    /// Start of the run, RFC 3339 in UTC.
    pub started: String,
    /// Wall time of the run, seconds.
    pub duration_s: f64,
    /// Name of the architecture, or of the model file the run started from.
    pub arch: String,
    /// The data set.
    pub data: Data,
    /// The network's input image.
    pub input: Input,
    /// How many classes an image has.
    pub task: Task,
    /// The metric that decided; see [`RunSummary::deciding_metric`].
    pub metric: Metric,
    /// What the search minimised: `size`, `latency` or `macs`.
    pub target: Option<String>,
    /// What the metric may lose on the validation split at the most, in its unit.
    pub max_drop: Option<f64>,
    /// Whether the promise of `max_drop` was kept.
    pub promise: Option<Promise>,
    /// The models, `baseline` first.
    pub models: Vec<Model>,
    /// Name of the model that the run recommends; the last of `models` if absent.
    pub recommended: Option<String>,
    /// The steps of the pipeline, in order.
    pub steps: Vec<Step>,
    /// Every candidate tried by the search.
    pub candidates: Vec<Candidate>,
    /// One entry per epoch, in order, over all phases.
    pub history: Vec<Epoch>,
    /// The channels of each layer before and after pruning.
    pub layers: Vec<LayerWidth>,
    /// The per-layer sensitivity scan.
    pub sensitivity: Vec<LayerSensitivity>,
    /// What was carried over from a model for another task.
    pub transfer: Option<Transfer>,
    /// How the int8 model was made.
    pub quantization: Option<Quantization>,
    /// Predictions on test images.
    pub samples: Vec<Sample>,
    /// Name of the model whose answers on every test image are in `predictions.csv`; absent if there is no such file.
    pub predictions_of: Option<String>,
    /// Training images as the augmentation leaves them.
    pub augmented_samples: Vec<AugmentedSample>,
    /// Remarks the reader should see.
    pub warnings: Vec<String>,
}

impl Default for RunSummary {
    fn default() -> Self {
        RunSummary {
            schema_version: SCHEMA_VERSION,
            oculist_version: String::new(),
            verb: String::new(),
            command: String::new(),
            config: String::new(),
            seed: 0,
            threads: 0,
            cpu: String::new(),
            instruction_set: String::new(),
            os: String::new(),
            started: String::new(),
            duration_s: 0.0,
            arch: String::new(),
            data: Data::default(),
            input: Input::default(),
            task: Task::default(),
            metric: Task::default().usual_metric(),
            target: None,
            max_drop: None,
            promise: None,
            models: Vec::new(),
            recommended: None,
            steps: Vec::new(),
            candidates: Vec::new(),
            history: Vec::new(),
            layers: Vec::new(),
            sensitivity: Vec::new(),
            transfer: None,
            quantization: None,
            samples: Vec::new(),
            predictions_of: None,
            augmented_samples: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

impl RunSummary {
    /// The metric that the report is about: [`metric`](Self::metric), or the usual one of the task where that cannot be
    /// measured, as in a multi-label file that names none.
    pub fn deciding_metric(&self) -> Metric {
        if self.task.metrics().contains(&self.metric) { self.metric } else { self.task.usual_metric() }
    }

    /// The model that everything is compared with: the one named `baseline`, else the first.
    pub fn baseline(&self) -> Option<&Model> {
        self.models.iter().find(|m| m.name == "baseline").or_else(|| self.models.first())
    }

    /// The model that the run recommends: the one named by `recommended`, else the last.
    pub fn recommended_model(&self) -> Option<&Model> {
        self.recommended
            .as_ref()
            .and_then(|name| self.models.iter().find(|m| &m.name == name))
            .or_else(|| self.models.last())
    }

    /// Whether nothing was measured on test images, since there are none.
    pub fn is_untested(&self) -> bool {
        let metric = self.deciding_metric();
        self.data.test == 0 && self.models.iter().all(|model| model.score(metric).is_none())
    }

    /// Whether the recommended model is known to be no better than one answer for every image, so that nothing that was kept of
    /// its accuracy means anything.
    pub fn is_no_better_than_chance(&self) -> bool {
        self.recommended_model().is_some_and(Model::is_no_better_than_chance)
    }

    /// Name of class `index`, its number where the data set has no names.
    pub fn class_name(&self, index: usize) -> String {
        self.data.class_names.get(index).cloned().unwrap_or_else(|| index.to_string())
    }
}
