//! The settings of one training run.

use oculist_metrics::Metric;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::loss::Loss;
use crate::optimizer::OptimizerConfig;
use crate::tuning::Tuning;

/// Views of each image in a batch where the consistency loss is on: the image, and two augmentations of it.
pub const VIEWS: usize = 3;

/// Which weights a run ends with. Of two epochs that are equally good, the later one is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Those that are best on the validation images by the metric.
    #[default]
    Best,
    /// Those at the end of the schedule, whatever the validation images say.
    Last,
}

/// The settings of one training run; all of them together determine the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the training split.
    pub epochs: usize,
    /// Images per step.
    pub batch_size: usize,
    /// Peak learning rate.
    pub lr: f32,
    /// Learning rate at the end of the cosine.
    pub min_lr: f32,
    /// Epochs of linear warm-up; may be a fraction.
    pub warmup_epochs: f32,
    /// The update rule.
    pub optimizer: OptimizerConfig,
    /// Weight decay on weights; never on norms and biases.
    pub weight_decay: f32,
    /// Label smoothing, 0..1.
    pub label_smoothing: f32,
    /// Gradients are scaled down to this Euclidean norm; 0 turns clipping off.
    pub clip_norm: f32,
    /// Decay of the moving average of the weights; 0 turns it off.
    pub ema_decay: f32,
    /// Epochs without a better value of the metric after which training stops; 0 never stops early.
    pub patience: usize,
    /// Seed of initialisation, shuffling, augmentation and dropout.
    pub seed: u64,
    /// Threads that decode and augment.
    pub loader_workers: usize,
    /// Weight of the distillation loss, 0..=1, when there is a teacher.
    pub distill_alpha: f32,
    /// Temperature of the distillation loss.
    pub distill_temperature: f32,
    /// The loss on the labels.
    #[serde(skip_serializing_if = "is_default")]
    pub loss: Loss,
    /// Weight of each class in the loss, or of its positives where images have several labels; empty for equal weights.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub class_weights: Vec<f32>,
    /// How frequent each class is, which the logit-adjusted loss needs; may be empty for the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub class_priors: Vec<f32>,
    /// MixUp's Beta(alpha, alpha) that weights are drawn from; 0 turns MixUp off.
    #[serde(skip_serializing_if = "is_default")]
    pub mixup_alpha: f32,
    /// CutMix's Beta(alpha, alpha) that areas are drawn from; 0 turns CutMix off.
    #[serde(skip_serializing_if = "is_default")]
    pub cutmix_alpha: f32,
    /// Probability that a batch is made of mosaics of four images, 0..=1, instead of being mixed in another way.
    #[serde(skip_serializing_if = "is_default")]
    pub mosaic_probability: f32,
    /// Probability that a batch is mixed, 0..=1, if either kind is on.
    #[serde(skip_serializing_if = "is_one")]
    pub mix_probability: f32,
    /// Probability of CutMix for a mixed batch, 0..=1, if both kinds are on; else MixUp.
    #[serde(skip_serializing_if = "is_half")]
    pub mix_switch: f32,
    /// Weight of AugMix's consistency loss, 0..=1000; 0 turns it off. Where it is on, a batch holds [`VIEWS`] views of
    /// each image in a row, the first without augmentation by AugMix, and cannot be mixed.
    #[serde(skip_serializing_if = "is_default")]
    pub consistency: f32,
    /// Which weights the run ends with.
    #[serde(skip_serializing_if = "is_default")]
    pub keep: Keep,
    /// What decides on the validation images which weights are best; without a value the task's usual metric: top-1, or the
    /// mean average precision where images have several labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// How parameters are trained that are not simply trained.
    #[serde(skip_serializing_if = "Tuning::is_plain")]
    pub tuning: Tuning,
}

// What has its default is not written: settings stored before these fields existed keep their text, and with it
// the fingerprint by which a run is resumed.

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_one(value: &f32) -> bool {
    *value == 1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_half(value: &f32) -> bool {
    *value == 0.5
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 20,
            batch_size: 128,
            lr: 0.1,
            min_lr: 0.0,
            warmup_epochs: 1.0,
            optimizer: OptimizerConfig::sgd(),
            weight_decay: 5e-4,
            label_smoothing: 0.1,
            clip_norm: 5.0,
            ema_decay: 0.995,
            patience: 0,
            seed: 0,
            loader_workers: 1,
            distill_alpha: 0.7,
            distill_temperature: 3.0,
            loss: Loss::CrossEntropy,
            class_weights: Vec::new(),
            class_priors: Vec::new(),
            mixup_alpha: 0.0,
            cutmix_alpha: 0.0,
            mosaic_probability: 0.0,
            mix_probability: 1.0,
            mix_switch: 0.5,
            consistency: 0.0,
            keep: Keep::Best,
            metric: None,
            tuning: Tuning::default(),
        }
    }
}

impl TrainConfig {
    /// Views of each image in a batch: 1, or [`VIEWS`] with the consistency loss.
    pub fn views(&self) -> usize {
        if self.consistency > 0.0 { VIEWS } else { 1 }
    }

    /// Rows of a batch: each view of each image.
    pub fn rows(&self) -> usize {
        self.batch_size * self.views()
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`TrainError::Setting`] naming the setting, its range and the value.
    pub fn validate(&self) -> Result<(), TrainError> {
        let fail = |name, expected, found: String| Err(TrainError::Setting { name, expected, found });
        if self.epochs == 0 {
            return fail("epochs", "at least 1", "0".into());
        }
        if self.batch_size < 2 {
            return fail("batch_size", "at least 2 (batch normalisation)", self.batch_size.to_string());
        }
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            return fail("lr", "a positive number", self.lr.to_string());
        }
        if !(self.min_lr >= 0.0 && self.min_lr <= self.lr) {
            return fail("min_lr", "between 0 and lr", self.min_lr.to_string());
        }
        for (name, value) in [("label_smoothing", self.label_smoothing), ("ema_decay", self.ema_decay)] {
            if !(0.0..1.0).contains(&value) {
                return fail(name, "in 0..1", value.to_string());
            }
        }
        if !(0.0..=1.0).contains(&self.distill_alpha) {
            return fail("distill_alpha", "in 0..=1", self.distill_alpha.to_string());
        }
        for (name, value) in [
            ("weight_decay", self.weight_decay),
            ("clip_norm", self.clip_norm),
            ("warmup_epochs", self.warmup_epochs),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                return fail(name, "0 or more", value.to_string());
            }
        }
        if !(self.distill_temperature > 0.0 && self.distill_temperature.is_finite()) {
            return fail("distill_temperature", "a positive number", self.distill_temperature.to_string());
        }
        for (name, value) in [
            ("mosaic_probability", self.mosaic_probability),
            ("mix_probability", self.mix_probability),
            ("mix_switch", self.mix_switch),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return fail(name, "in 0..=1", value.to_string());
            }
        }
        for (name, value) in [("mixup_alpha", self.mixup_alpha), ("cutmix_alpha", self.cutmix_alpha)] {
            if !(0.0..=1000.0).contains(&value) {
                return fail(name, "in 0..=1000", value.to_string());
            }
        }
        if !(0.0..=1000.0).contains(&self.consistency) {
            return fail("consistency", "in 0..=1000", self.consistency.to_string());
        }
        let mixes = self.mixup_alpha > 0.0 || self.cutmix_alpha > 0.0 || self.mosaic_probability > 0.0;
        if self.consistency > 0.0 && mixes {
            return fail("consistency", "0 where batches are mixed", self.consistency.to_string());
        }
        if self.keep == Keep::Last && self.patience > 0 {
            return fail("patience", "0 where the last weights are kept", self.patience.to_string());
        }
        self.loss.validate()?;
        self.tuning.validate()?;
        if self.loader_workers == 0 {
            return fail("loader_workers", "at least 1", "0".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::Rule;

    #[test]
    fn the_default_is_valid_and_each_range_is_checked() {
        assert!(TrainConfig::default().validate().is_ok());
        let broken = [
            ("epochs", TrainConfig { epochs: 0, ..TrainConfig::default() }),
            ("batch_size", TrainConfig { batch_size: 1, ..TrainConfig::default() }),
            ("lr", TrainConfig { lr: f32::NAN, ..TrainConfig::default() }),
            ("min_lr", TrainConfig { min_lr: 1.0, ..TrainConfig::default() }),
            ("label_smoothing", TrainConfig { label_smoothing: 1.0, ..TrainConfig::default() }),
            ("ema_decay", TrainConfig { ema_decay: -0.1, ..TrainConfig::default() }),
            ("weight_decay", TrainConfig { weight_decay: -1.0, ..TrainConfig::default() }),
            ("distill_alpha", TrainConfig { distill_alpha: 2.0, ..TrainConfig::default() }),
            ("distill_temperature", TrainConfig { distill_temperature: 0.0, ..TrainConfig::default() }),
            ("loader_workers", TrainConfig { loader_workers: 0, ..TrainConfig::default() }),
            ("mixup_alpha", TrainConfig { mixup_alpha: -0.1, ..TrainConfig::default() }),
            ("cutmix_alpha", TrainConfig { cutmix_alpha: f32::NAN, ..TrainConfig::default() }),
            ("mosaic_probability", TrainConfig { mosaic_probability: -0.1, ..TrainConfig::default() }),
            ("mix_probability", TrainConfig { mix_probability: 1.1, ..TrainConfig::default() }),
            ("mix_switch", TrainConfig { mix_switch: -0.1, ..TrainConfig::default() }),
            ("consistency", TrainConfig { consistency: -1.0, ..TrainConfig::default() }),
            ("consistency", TrainConfig { consistency: f32::NAN, ..TrainConfig::default() }),
            ("consistency", TrainConfig { consistency: 12.0, mixup_alpha: 0.2, ..TrainConfig::default() }),
            ("consistency", TrainConfig { consistency: 12.0, cutmix_alpha: 1.0, ..TrainConfig::default() }),
            (
                "consistency",
                TrainConfig { consistency: 12.0, mosaic_probability: 1.0, ..TrainConfig::default() },
            ),
            ("patience", TrainConfig { patience: 3, keep: Keep::Last, ..TrainConfig::default() }),
            ("loss.gamma", TrainConfig { loss: Loss::Focal { gamma: 11.0 }, ..TrainConfig::default() }),
        ];
        for (name, config) in broken {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.starts_with(name), "{message}");
        }
    }

    #[test]
    fn settings_of_older_runs_keep_their_text_and_newer_ones_come_back() {
        let text = serde_json::to_string(&TrainConfig::default()).unwrap();
        assert!(text.ends_with("\"distill_alpha\":0.7,\"distill_temperature\":3.0}"), "{text}");
        let config = TrainConfig {
            loss: Loss::LogitAdjusted { tau: 0.5 },
            class_weights: vec![1.0, 2.0],
            class_priors: vec![0.75, 0.25],
            mixup_alpha: 0.2,
            cutmix_alpha: 1.0,
            mosaic_probability: 0.25,
            mix_probability: 0.0,
            mix_switch: 0.0,
            consistency: 12.0,
            keep: Keep::Last,
            metric: Some(Metric::BalancedAccuracy),
            tuning: Tuning::default().with("w", Rule { factor: 0.5, from: 2, anchor: 0.1 }),
            ..TrainConfig::default()
        };
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TrainConfig>(&text).unwrap(), config);
    }
}
