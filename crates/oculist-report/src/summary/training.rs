//! The learning curve.

use oculist_metrics::Metric;
use serde::{Deserialize, Deserializer, Serialize};

use super::task::validation_value;

/// One epoch of training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Epoch {
    /// What was trained: `baseline`, `fine-tune`, ... Epochs of one phase stand together.
    pub phase: String,
    /// Number within the phase, from 1.
    pub epoch: usize,
    /// Mean training loss; NaN (`null` in JSON) if it was not finite.
    #[serde(deserialize_with = "null_as_nan")]
    pub train_loss: f64,
    /// What makes the training loss another than the validation's, in words: `with label smoothing 0.1, augmented
    /// images`; empty where nothing does, and in older files.
    pub loss: String,
    /// Validation loss.
    pub val_loss: Option<f64>,
    /// The run's metric on the validation split, in its unit; see [`Epoch::value`].
    pub val: Option<f64>,
    /// Top-1 accuracy on the validation split, percent.
    pub val_top1: Option<f64>,
    /// Learning rate at the end of the epoch.
    pub lr: f64,
    /// Training throughput, images per second.
    pub images_per_s: f64,
    /// Wall time of the epoch, seconds.
    pub seconds: f64,
    /// Percent of the epoch's time that training waited for data.
    pub data_wait: f64,
}

impl Epoch {
    /// The value of the run's metric on the validation split.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        validation_value(metric, self.val, self.val_top1)
    }
}

/// JSON has no NaN: serde_json writes `null`, which must come back as what it was.
fn null_as_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}
