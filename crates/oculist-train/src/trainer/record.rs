//! What an epoch brought, as it is kept in checkpoints.

use oculist_metrics::{Metric, Scores};
use serde::{Deserialize, Deserializer, Serialize};

/// What one epoch brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct EpochRecord {
    /// From 1.
    pub epoch: usize,
    /// Mean training loss, with augmentation, mixing, smoothing, class weights, distillation and consistency.
    pub train_loss: f64,
    /// Mean loss on the validation split, without any of these.
    pub val_loss: f64,
    /// What was measured on the validation split.
    pub val: Scores,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Training images (not views) per second, waiting for data included.
    pub images_per_s: f64,
    /// Seconds of the epoch, validation included.
    pub seconds: f64,
    /// Seconds that training waited for data.
    pub wait_s: f64,
}

/// A record as this and older versions wrote it.
#[derive(Deserialize)]
struct Stored {
    epoch: usize,
    train_loss: f64,
    #[serde(deserialize_with = "number_or_none")]
    val_loss: f64,
    #[serde(default)]
    val: Scores,
    /// All that was measured once.
    val_top1: Option<f64>,
    lr: f64,
    images_per_s: f64,
    seconds: f64,
    wait_s: f64,
}

impl From<Stored> for EpochRecord {
    fn from(stored: Stored) -> Self {
        let Stored { epoch, train_loss, val_loss, mut val, val_top1, lr, images_per_s, seconds, wait_s } =
            stored;
        if let (Some(top1), None) = (val_top1, val.get(Metric::Top1)) {
            val.set(Metric::Top1, top1);
        }
        Self { epoch, train_loss, val_loss, val, lr, images_per_s, seconds, wait_s }
    }
}

/// A number that need not be finite: JSON has `null` for the others.
pub(crate) fn number_or_none<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::NAN))
}

impl EpochRecord {
    /// Percent of the epoch's time, validation included, that training waited for data.
    pub fn data_wait(&self) -> f64 {
        if self.seconds > 0.0 { 100.0 * self.wait_s / self.seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_older_versions_are_read() {
        let text = r#"{"epoch":2,"train_loss":1.5,"val_loss":0.5,"val_top1":81.25,"lr":0.1,"images_per_s":10.0,
                       "seconds":2.0,"wait_s":0.5}"#;
        let record: EpochRecord = serde_json::from_str(text).unwrap();
        assert_eq!((record.epoch, record.val.len(), record.val.get(Metric::Top1)), (2, 1, Some(81.25)));
        let again = serde_json::to_string(&record).unwrap();
        assert!(again.contains(r#""val":{"top1":81.25}"#), "{again}");
        assert_eq!(serde_json::from_str::<EpochRecord>(&again).unwrap(), record);
    }
}
