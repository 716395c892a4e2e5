//! The resolved recipe: every setting decided, from what the user said, the data and the network.

mod augmentation;
mod compression;
mod schedule;
#[cfg(test)]
mod tests;
mod training;
mod transfer;
mod tuning;

use oculist_augment::{Pipeline, Preprocessing};
use oculist_data::Task;
use oculist_metrics::Metric;
use oculist_train::{OptimizerConfig, TrainConfig, objective};
use oculist_zoo::Suggestion;
use serde::{Deserialize, Serialize};

use crate::error::{OculistError, wrong};
use crate::judging::{metrics, usual_metric};
use crate::message::{set_to, setting};
use crate::settings::{CompressionSettings, OptimizerName, SamplingName, Settings};
use schedule::Schedule;
use training::{finetuning, is_balanced, training};

pub use compression::CompressionConfig;
pub use schedule::Repeat;

pub(crate) use augmentation::{read as read_pipeline, shared_by_views};
pub use transfer::TransferConfig;
pub use tuning::TuningConfig;

/// Inputs up to this side are trained as small images: padded crops, large batches.
const SMALL_SIDE: usize = 64;

/// What must be known of a data set before the rest can be decided.
#[derive(Debug, Clone, PartialEq)]
pub struct DataFacts {
    /// Its name for files and tables.
    pub name: String,
    /// Training images.
    pub train: usize,
    /// Number of classes.
    pub classes: usize,
    /// Training images of each class.
    pub class_counts: Vec<usize>,
    /// Whether an image has one class or any number.
    pub task: Task,
    /// Whether mirrored images are known to keep their class.
    pub flip: bool,
    /// How images become inputs: size, colour and statistics follow from the images.
    pub preprocessing: Preprocessing,
}

/// Everything that determines the result, as stored in `config.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Name or folder of the data set.
    pub data: String,
    /// Architecture.
    pub arch: String,
    /// Factor on the architecture's number of channels.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub width: f64,
    /// Seed.
    pub seed: u64,
    /// Threads.
    pub threads: usize,
    /// Image to input.
    pub preprocessing: Preprocessing,
    /// Augmentation of training images.
    pub augmentation: Pipeline,
    /// Whether an epoch shows each class equally often instead of each image once.
    #[serde(default, skip_serializing_if = "is_false")]
    pub balanced: bool,
    /// Whether and how images are repeated within a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
    /// Training of the baseline.
    pub train: TrainConfig,
    /// Fine-tuning after pruning.
    pub finetune: TrainConfig,
    /// What fine-tuning changes.
    #[serde(default, skip_serializing_if = "TuningConfig::is_plain")]
    pub tuning: TuningConfig,
    /// Compression.
    pub compression: CompressionConfig,
    /// What is carried over from a model for another task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<TransferConfig>,
    /// What decides which model is better.
    #[serde(default = "top1", skip_serializing_if = "is_top1")]
    pub metric: Metric,
    /// Whether an image has one class or any number.
    #[serde(default, skip_serializing_if = "is_single")]
    pub task: Task,
}

/// The network, where it does not depend on the number of epochs: the one that is named, with the width that is, or the one for
/// small images. A given model is trained on as a network that needs its time, since nothing is known of it.
fn network(
    settings: &Settings,
    input: (usize, usize, usize),
    train: usize,
) -> Result<Option<Suggestion>, OculistError> {
    let small = input.1.min(input.2) <= oculist_zoo::SMALL_INPUT;
    let given = settings.model.is_some() || settings.from.is_some();
    let chosen = match &settings.arch {
        Some(name) => Suggestion { arch: oculist_zoo::find(name)?.name, width: 1.0 },
        None if small && given => Suggestion { arch: "resnet20", width: 1.0 },
        None if small => oculist_zoo::default_for(input, train, 1),
        None => return Ok(None),
    };
    Ok(Some(Suggestion { width: settings.width.unwrap_or(chosen.width), ..chosen }))
}

/// The settings of compression alone.
fn compression_of(settings: &Settings) -> Settings {
    settings.only(CompressionSettings::NAMES)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_single(task: &Task) -> bool {
    *task == Task::SingleLabel
}

const fn top1() -> Metric {
    Metric::Top1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_top1(metric: &Metric) -> bool {
    *metric == Metric::Top1
}

impl Config {
    /// Decides every setting.
    ///
    /// # Errors
    /// [`OculistError::Zoo`] for an unknown architecture; [`OculistError::Train`] for a setting out of range.
    pub fn resolve(settings: &Settings, facts: &DataFacts) -> Result<Self, OculistError> {
        settings.validate()?;
        let metric = metric(settings, facts)?;
        let preprocessing = facts.preprocessing.clone();
        let input = (preprocessing.channels(), preprocessing.height, preprocessing.width);
        let known = network(settings, input, facts.train)?;
        let schedule = Schedule::resolve(settings, facts, preprocessing.height, known)?;
        let Suggestion { arch, width } =
            known.unwrap_or_else(|| oculist_zoo::default_for(input, facts.train, schedule.epochs));
        let width = settings.width.unwrap_or(width);
        let family = oculist_zoo::find(arch)?.family;
        let augmentation = augmentation::resolve(settings, facts, &preprocessing)?;
        let train = training(settings, facts, family, schedule);
        if train.consistency > 0.0 && augmentation::shared_by_views(&augmentation).is_none() {
            let (augment, file) = (set_to("augment", "augmix"), setting("augmentation"));
            let problem = format!("expected {augment} with it, or an {file} file with an aug_mix step");
            return Err(wrong("consistency", problem));
        }
        let finetune = finetuning(settings, family, &train);
        train.validate()?;
        finetune.validate()?;
        // What the task does not have is refused here and not where training begins.
        objective(facts.task, &train, facts.classes)?;
        let compression = CompressionConfig::resolve(settings, metric);
        Ok(Self {
            data: facts.name.clone(),
            arch: arch.to_owned(),
            width,
            seed: settings.seed.unwrap_or(0),
            threads: settings.threads(),
            preprocessing,
            augmentation,
            balanced: is_balanced(settings, facts),
            repeat: Repeat::resolve(settings),
            train,
            finetune,
            tuning: TuningConfig::resolve(settings),
            compression,
            transfer: TransferConfig::resolve(settings),
            metric,
            task: facts.task,
        })
    }

    /// The flat settings that make this recipe again: what was given, and what was decided where nothing was.
    ///
    /// What a model brings with it stays as given, and so does the side of the input, whose rule is more than a number.
    #[must_use]
    pub fn settings(&self, given: &Settings) -> Settings {
        let decided = Settings {
            seed: Some(self.seed),
            threads: Some(self.threads),
            epochs: Some(self.train.epochs),
            lr: Some(self.train.lr),
            optimizer: Some(match self.train.optimizer {
                OptimizerConfig::Sgd { .. } => OptimizerName::Sgd,
                OptimizerConfig::AdamW { .. } => OptimizerName::Adamw,
            }),
            patience: Some(self.train.patience),
            // Each image once goes without saying, and everything else but this was asked for.
            sampling: self.balanced.then_some(SamplingName::Balanced),
            repeats: self.repeat.map(|r| r.times),
            max_drop: Some(self.compression.max_drop),
            target: Some(self.compression.target),
            candidates: Some(self.compression.candidates),
            finetune_epochs: Some(self.finetune.epochs),
            calibration: Some(self.compression.calibration),
            calibration_images: Some(self.compression.calibration_images),
            ..Settings::default()
        };
        let network = Settings {
            arch: Some(self.arch.clone()),
            width: Some(self.width).filter(|width| !is_one(width)),
            augment: Some(augmentation::kind(given, &self.preprocessing)),
            ..Settings::default()
        };
        let decided =
            if given.model.is_none() && given.from.is_none() { decided.over(network) } else { decided };
        // How what is carried over is trained on, and whether it is, follows from what was asked for.
        let decided = match &given.from {
            Some(_) => Settings { seed: decided.seed, threads: decided.threads, ..compression_of(&decided) },
            None => decided,
        };
        if given.from.is_some() {
            // Where features are kept is the machine's and changes nothing.
            return Settings { feature_cache: None, ..given.clone() }.over(decided);
        }
        // A batch size above the number of images was lowered.
        let batch = Settings { batch_size: Some(self.train.batch_size), ..Settings::default() };
        batch.over(given.clone()).over(decided)
    }

    /// The network's name for people: the architecture, and its width where it is not the published one.
    pub fn network(&self) -> String {
        if is_one(&self.width) {
            self.arch.clone()
        } else {
            format!("{} at {} times its width", self.arch, self.width)
        }
    }

    /// The recipe as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

const fn one() -> f64 {
    1.0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    clippy::float_cmp,
    reason = "serde calls it; the default is exact"
)]
fn is_one(value: &f64) -> bool {
    *value == 1.0
}

/// The metric that decides: the task's usual one unless another is asked for that the task has.
fn metric(settings: &Settings, facts: &DataFacts) -> Result<Metric, OculistError> {
    let Some(metric) = settings.metric else { return Ok(usual_metric(facts.task)) };
    let fail = |problem: String| Err(wrong("metric", problem));
    let known = metrics(facts.task);
    if !known.contains(&metric) {
        let choices: Vec<_> = known.iter().map(|metric| metric.name()).collect();
        let (found, task) = (metric.name(), facts.task);
        return fail(format!("expected one of {} for {task} data, found {found}", choices.join(", ")));
    }
    if metric == Metric::Auc && facts.classes != 2 {
        return fail(format!("auc: expected two classes, found {}", facts.classes));
    }
    Ok(metric)
}
