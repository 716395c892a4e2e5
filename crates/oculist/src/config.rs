//! The resolved recipe: every setting decided, from what the user said, the data and the network.

mod augmentation;
mod tuning;

use oculist_augment::{Pipeline, Preprocessing};
use oculist_data::Task;
use oculist_metrics::{Metric, Unit};
use oculist_train::{
    Loss, OptimizerConfig, TrainConfig, balanced_weights, class_priors, objective, positive_weights,
};
use oculist_zoo::Family;
use serde::{Deserialize, Serialize};

use crate::error::{OculistError, wrong};
use crate::judging::{metrics, usual_metric};
use crate::message::{set_to, setting};
use crate::settings::{Calibration, LossName, OptimizerName, SamplingName, Settings, Target};
use crate::stage::Teacher;

pub(crate) use augmentation::{read as read_pipeline, shared_by_views};
pub use tuning::TuningConfig;

/// Updates that a network is trained for when the user does not say; epochs follow from it.
const UPDATES: usize = 1000;
/// Fewest epochs by default. With 12, a ResNet-20 on 54,000 images of Fashion-MNIST still underfits: 93.1% test top-1.
const LEAST_EPOCHS: usize = 20;
/// From this ratio of the largest to the smallest class on, an epoch shows each class equally often. Below, the rare classes are
/// found without that, and the share of right answers is the better for it.
const UNEQUAL: usize = 10;
/// Most epochs by default.
const MOST_EPOCHS: usize = 60;
/// The same of photos, for the network that is chosen for them: crops and colours of few photos are learned from for long.
const PHOTO_UPDATES: usize = 2000;
const MOST_PHOTO_EPOCHS: usize = 100;
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

/// Compression, resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompressionConfig {
    /// Points of validation top-1 that may be lost.
    pub max_drop: f64,
    /// What to make small.
    pub target: Target,
    /// Pruning levels tried at the most.
    pub candidates: usize,
    /// Shares of the cost that pruning tries to leave, from weak to strong; the usual ones if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<f64>,
    /// Whose answers fine-tuning learns from.
    #[serde(default, skip_serializing_if = "is_baseline")]
    pub teacher: Teacher,
    /// Calibration method.
    pub calibration: Calibration,
    /// Training images for calibration.
    pub calibration_images: usize,
}

/// Repeated augmentation: each image stands several times in one batch, differently augmented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeat {
    /// How often.
    pub times: usize,
    /// Whether an epoch shows all images and is as many times as long, instead of fewer images.
    pub longer: bool,
}

impl Repeat {
    /// Repeats if the settings do not say: as often as the published code of repeated augmentation.
    const TIMES: usize = 3;

    fn resolve(settings: &Settings) -> Option<Self> {
        let longer = match settings.sampling? {
            SamplingName::Once | SamplingName::Balanced => return None,
            SamplingName::Repeated => false,
            SamplingName::BatchAugment => true,
        };
        Some(Self { times: settings.repeats.unwrap_or(Self::TIMES), longer })
    }
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
    /// What decides which model is better.
    #[serde(default = "top1", skip_serializing_if = "is_top1")]
    pub metric: Metric,
    /// Whether an image has one class or any number.
    #[serde(default, skip_serializing_if = "is_single")]
    pub task: Task,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_single(task: &Task) -> bool {
    *task == Task::SingleLabel
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_baseline(teacher: &Teacher) -> bool {
    *teacher == Teacher::Baseline
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
        let schedule = Schedule::resolve(settings, facts, preprocessing.height)?;
        let (arch, width) = if let Some(name) = &settings.arch {
            (oculist_zoo::find(name)?.name, 1.0)
        } else {
            let suggested = oculist_zoo::default_for(input, schedule.epochs.saturating_mul(facts.train));
            (suggested.arch, suggested.width)
        };
        let (arch, width) = (arch.to_owned(), settings.width.unwrap_or(width));
        let augmentation = augmentation::resolve(settings, facts, &preprocessing)?;
        let train = training(settings, facts, &arch, schedule)?;
        if train.consistency > 0.0 && augmentation::shared_by_views(&augmentation).is_none() {
            let (augment, file) = (set_to("augment", "augmix"), setting("augmentation"));
            let problem = format!("expected {augment} with it, or an {file} file with an aug_mix step");
            return Err(wrong("consistency", problem));
        }
        let finetune = finetuning(settings, &train);
        train.validate()?;
        finetune.validate()?;
        // What the task does not have is refused here and not where training begins.
        objective(facts.task, &train, facts.classes)?;
        let compression = CompressionConfig {
            max_drop: settings.max_drop.unwrap_or_else(|| usual_drop(metric)),
            target: settings.target.unwrap_or_default(),
            candidates: settings.candidates.unwrap_or(4),
            levels: settings.levels.clone().unwrap_or_default(),
            teacher: settings.finetune_teacher.unwrap_or_default(),
            calibration: settings.calibration.unwrap_or_default(),
            calibration_images: settings.calibration_images.unwrap_or(512),
        };
        Ok(Self {
            data: facts.name.clone(),
            arch,
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
        let decided = if given.model.is_none() { decided.over(network) } else { decided };
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

/// What may be lost where nobody says: half a point, or a fiftieth of a nat.
fn usual_drop(metric: Metric) -> f64 {
    match metric.unit() {
        Unit::Nats => 0.02,
        _ => 0.5,
    }
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

/// Whether an epoch shows each class equally often: asked for, or, where neither a sampling nor a loss is, since the classes are
/// unequal.
///
/// A given model was trained in a way of its own, several labels cannot be shown equally often, and the consistency loss goes
/// with each image once.
fn is_balanced(settings: &Settings, facts: &DataFacts) -> bool {
    let open = settings.loss.is_none()
        && settings.model.is_none()
        && facts.task == Task::SingleLabel
        && settings.consistency.is_none_or(|weight| weight == 0.0);
    let counts = facts.class_counts.iter().copied();
    let unequal = counts
        .clone()
        .max()
        .zip(counts.min())
        .is_some_and(|(most, least)| least > 0 && most >= UNEQUAL.saturating_mul(least));
    match settings.sampling {
        Some(sampling) => sampling == SamplingName::Balanced,
        None => open && unequal,
    }
}

/// The loss, the weight of each class, and how frequent each is; the latter two only where the loss needs them.
fn loss(settings: &Settings, facts: &DataFacts) -> (Loss, Vec<f32>, Vec<f32>) {
    let counts = &facts.class_counts;
    if facts.task == Task::MultiLabel && settings.loss == Some(LossName::Weighted) {
        return (Loss::CrossEntropy, positive_weights(counts, facts.train), Vec::new());
    }
    match settings.loss.unwrap_or(LossName::CrossEntropy) {
        LossName::CrossEntropy => (Loss::CrossEntropy, Vec::new(), Vec::new()),
        LossName::Focal => (Loss::Focal { gamma: 2.0 }, Vec::new(), Vec::new()),
        LossName::Weighted => (Loss::CrossEntropy, balanced_weights(counts), Vec::new()),
        LossName::LogitAdjusted => (Loss::LogitAdjusted { tau: 1.0 }, Vec::new(), class_priors(counts)),
    }
}

/// How many images an update has, and how many epochs there are.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    batch_size: usize,
    epochs: usize,
}

impl Schedule {
    /// What is asked for, or what suits the images.
    ///
    /// # Errors
    /// [`OculistError::Setting`] for a batch that cannot be.
    fn resolve(settings: &Settings, facts: &DataFacts, side: usize) -> Result<Self, OculistError> {
        // At least a dozen updates per epoch, so that small sets are not trained in a handful of steps.
        let largest = if side <= SMALL_SIDE { 128 } else { 64 };
        let automatic = (facts.train / 12).clamp(8, largest);
        let repeat = Repeat::resolve(settings);
        let batch_size = batch_size(settings, automatic, facts.train, repeat)?;
        let places = facts.train * repeat.filter(|r| r.longer).map_or(1, |r| r.times);
        let steps = (places / batch_size).max(1);
        // A network that is chosen for the images is chosen for so many epochs; of one that is named nothing is known.
        let chosen = side > SMALL_SIDE && settings.arch.is_none();
        let (updates, most) =
            if chosen { (PHOTO_UPDATES, MOST_PHOTO_EPOCHS) } else { (UPDATES, MOST_EPOCHS) };
        let epochs = settings.epochs.unwrap_or_else(|| updates.div_ceil(steps).clamp(LEAST_EPOCHS, most));
        Ok(Self { batch_size, epochs })
    }
}

fn training(
    settings: &Settings,
    facts: &DataFacts,
    arch: &str,
    schedule: Schedule,
) -> Result<TrainConfig, OculistError> {
    let family = oculist_zoo::find(arch)?.family;
    let Schedule { batch_size, epochs } = schedule;
    let name = settings.optimizer.unwrap_or(match family {
        // Depthwise layers train badly with large SGD steps in short schedules.
        Family::MobileNetV2 | Family::MobileNetV3 | Family::EfficientNetLite => OptimizerName::Adamw,
        _ => OptimizerName::Sgd,
    });
    let (optimizer, lr, weight_decay) = match name {
        OptimizerName::Sgd => {
            // Without batch norm only small steps are stable.
            let lr = if family == Family::AlexNet { 0.01 } else { 0.1 };
            (OptimizerConfig::sgd(), lr * batch_size as f32 / 128.0, 5e-4)
        }
        OptimizerName::Adamw => (OptimizerConfig::adamw(), 3e-3 * (batch_size as f32 / 128.0).sqrt(), 0.05),
    };
    let (loss, class_weights, class_priors) = loss(settings, facts);
    Ok(TrainConfig {
        loss,
        class_weights,
        class_priors,
        mixup_alpha: settings.mixup.unwrap_or(0.0),
        cutmix_alpha: settings.cutmix.unwrap_or(0.0),
        mosaic_probability: settings.mosaic.unwrap_or(0.0),
        consistency: settings.consistency.unwrap_or(0.0),
        epochs,
        batch_size,
        lr: settings.lr.unwrap_or(lr),
        min_lr: 0.0,
        warmup_epochs: (epochs as f32 / 10.0).clamp(0.5, 3.0),
        optimizer,
        weight_decay,
        patience: settings.patience.unwrap_or(0),
        keep: settings.keep.unwrap_or_default(),
        // What is usual is not written, so that the settings of older runs keep their text.
        metric: settings.metric.filter(|metric| *metric != usual_metric(facts.task)),
        seed: settings.seed.unwrap_or(0),
        ..TrainConfig::default()
    })
}

/// The batch size asked for, at most the number of images; where images are repeated, a multiple of the repeats.
fn batch_size(
    settings: &Settings,
    automatic: usize,
    train: usize,
    repeat: Option<Repeat>,
) -> Result<usize, OculistError> {
    let wanted = settings.batch_size.unwrap_or(automatic);
    let size = wanted.min(train.max(2));
    let Some(Repeat { times, .. }) = repeat else { return Ok(size) };
    if size == wanted && settings.batch_size.is_some() && !size.is_multiple_of(times) {
        let problem = format!("expected a multiple of the {times} repeats of each image, found {size}");
        return Err(wrong("batch_size", problem));
    }
    Ok((size - size % times).max(times))
}

/// Fine-tuning takes a third of the epochs at the full peak. On the demo, with another ranking, a tenth of the peak
/// left two points less than half of it; the full peak was not compared with half.
fn finetuning(settings: &Settings, train: &TrainConfig) -> TrainConfig {
    let epochs = settings.finetune_epochs.unwrap_or_else(|| train.epochs.div_ceil(3).max(2));
    TrainConfig {
        epochs,
        warmup_epochs: 0.25,
        label_smoothing: 0.0,
        // The teacher's answers are for the images as they are.
        mixup_alpha: 0.0,
        cutmix_alpha: 0.0,
        mosaic_probability: 0.0,
        consistency: 0.0,
        patience: 0,
        seed: train.seed.wrapping_add(1),
        ..train.clone()
    }
}

#[cfg(test)]
mod tests {
    use oculist_augment::ColorMode;

    use super::*;
    use crate::settings::Augmentation;

    fn facts(train: usize, preprocessing: Preprocessing) -> DataFacts {
        DataFacts {
            name: "x".into(),
            train,
            classes: 2,
            class_counts: vec![train / 4, train - train / 4],
            task: Task::SingleLabel,
            flip: true,
            preprocessing,
        }
    }

    fn small() -> Preprocessing {
        Preprocessing::exact(ColorMode::Grey, 28, 28)
    }

    fn photos() -> Preprocessing {
        Preprocessing::photos(ColorMode::Rgb, 96)
    }

    #[test]
    fn small_images_get_padded_crops_and_twenty_epochs() {
        let r = Config::resolve(&Settings::default(), &facts(9000, small())).unwrap();
        assert_eq!((r.arch.as_str(), r.train.batch_size, r.train.epochs), ("resnet20", 128, 20));
        assert_eq!(r.augmentation, Pipeline::small_images(28, true));
    }

    #[test]
    fn photos_are_cropped_and_flips_can_be_off() {
        let facts = DataFacts { flip: false, ..facts(1800, photos()) };
        let r = Config::resolve(&Settings::default(), &facts).unwrap();
        assert!(r.augmentation.steps.iter().all(|s| s.op != oculist_augment::Op::HorizontalFlip));
        assert!(!r.augmentation.steps.is_empty());
    }

    #[test]
    fn what_the_user_says_holds() {
        let settings = Settings {
            arch: Some("MobileNet-V2".into()),
            epochs: Some(3),
            batch_size: Some(16),
            lr: Some(0.01),
            ..Settings::default()
        };
        let r = Config::resolve(&settings, &facts(1800, photos())).unwrap();
        assert_eq!((r.arch.as_str(), r.train.epochs, r.train.batch_size), ("mobilenet_v2", 3, 16));
        assert!((r.train.lr - 0.01).abs() < 1e-9);
    }

    #[test]
    fn policies_follow_crops_and_flips() {
        for (augment, name) in [
            (Augmentation::Trivial, "trivial_augment_wide"),
            (Augmentation::Rand, "rand_augment"),
            (Augmentation::Auto, "auto_augment"),
            (Augmentation::Augmix, "aug_mix"),
            (Augmentation::Three, "three_augment"),
            (Augmentation::Erasing, "random_erasing"),
        ] {
            let settings = Settings { augment: Some(augment), ..Settings::default() };
            for (facts, first) in
                [(facts(9000, small()), "random_crop"), (facts(1800, photos()), "random_resized_crop")]
            {
                let pipeline = Config::resolve(&settings, &facts).unwrap().augmentation;
                let names: Vec<&str> = pipeline.steps.iter().map(|s| s.op.name()).collect();
                assert_eq!(names, [first, "horizontal_flip", name]);
            }
        }
    }

    #[test]
    fn unequal_classes_are_weighed_or_adjusted_for() {
        let resolve = |loss| {
            let settings = Settings { loss: Some(loss), ..Settings::default() };
            Config::resolve(&settings, &facts(400, small())).unwrap().train
        };
        // 100 and 300 images.
        assert_eq!(resolve(LossName::Weighted).class_weights, [2.0, 2.0 / 3.0]);
        assert_eq!(resolve(LossName::LogitAdjusted).class_priors, [0.25, 0.75]);
        assert!(resolve(LossName::Focal).class_weights.is_empty());
    }

    #[test]
    fn much_more_of_one_class_balances_the_epochs_unless_loss_or_sampling_is_named() {
        let with = |counts: &[usize], settings: Settings| {
            let facts = DataFacts {
                classes: counts.len(),
                class_counts: counts.to_vec(),
                ..facts(counts.iter().sum(), small())
            };
            let config = Config::resolve(&settings, &facts).unwrap();
            // What was decided makes the same again, also where it is read back.
            let again: Settings = toml::from_str(&config.settings(&settings).to_toml()).unwrap();
            assert_eq!(Config::resolve(&again, &facts).unwrap(), config);
            assert_eq!(config.train.loss, Loss::CrossEntropy);
            config.balanced
        };
        let plain = Settings::default;
        assert!(with(&[1000, 100, 100], plain()));
        assert!(!with(&[999, 100, 100], plain()) && !with(&[100; 10], plain()));
        assert!(with(&[100; 3], Settings { sampling: Some(SamplingName::Balanced), ..plain() }));
        for named in [
            Settings { loss: Some(LossName::CrossEntropy), ..plain() },
            Settings { sampling: Some(SamplingName::Once), ..plain() },
            Settings { sampling: Some(SamplingName::Repeated), ..plain() },
            Settings { model: Some("model.onnx".into()), ..plain() },
            Settings { augment: Some(Augmentation::Augmix), consistency: Some(6.0), ..plain() },
        ] {
            assert!(!with(&[2000, 100], named));
        }
        let several =
            DataFacts { task: Task::MultiLabel, class_counts: vec![900, 10], ..facts(1000, small()) };
        assert!(!Config::resolve(&plain(), &several).unwrap().balanced);
    }

    #[test]
    fn repeated_images_fill_batches_exactly() {
        let resolve = |sampling, repeats, batch_size| {
            let settings = Settings { sampling: Some(sampling), repeats, batch_size, ..Settings::default() };
            Config::resolve(&settings, &facts(9000, small()))
        };
        let r = resolve(SamplingName::Repeated, None, None).unwrap();
        assert_eq!((r.repeat, r.train.batch_size), (Some(Repeat { times: 3, longer: false }), 126));
        let r = resolve(SamplingName::BatchAugment, Some(4), Some(64)).unwrap();
        assert_eq!((r.repeat, r.train.batch_size), (Some(Repeat { times: 4, longer: true }), 64));
        let text = resolve(SamplingName::Repeated, Some(3), Some(64)).unwrap_err().to_string();
        assert!(text.contains("batch_size: ") && text.contains("3 repeats"), "{text}");
        assert_eq!(resolve(SamplingName::Once, None, None).unwrap().repeat, None);
        // Lowered to the number of images, it is lowered to a multiple as well.
        assert_eq!(resolve(SamplingName::Repeated, Some(7), Some(10_000)).unwrap().train.batch_size, 8995);
    }

    #[test]
    fn mosaics_are_for_training_not_for_fine_tuning() {
        let settings = Settings { mosaic: Some(0.5), ..Settings::default() };
        let r = Config::resolve(&settings, &facts(9000, small())).unwrap();
        assert_eq!((r.train.mosaic_probability, r.finetune.mosaic_probability), (0.5, 0.0));
        assert_eq!(toml::from_str::<Config>(&r.to_toml()).unwrap(), r);
    }

    #[test]
    fn views_are_compared_in_training_not_in_fine_tuning_and_only_with_augmix() {
        let with = |augment| Settings { consistency: Some(12.0), augment, ..Settings::default() };
        let r = Config::resolve(&with(Some(Augmentation::Augmix)), &facts(9000, small())).unwrap();
        assert_eq!((r.train.consistency, r.finetune.consistency), (12.0, 0.0));
        assert_eq!((r.train.batch_size, r.train.rows()), (128, 384));
        assert_eq!(shared_by_views(&r.augmentation), Some(2), "crop and flip are shared");
        assert_eq!(toml::from_str::<Config>(&r.to_toml()).unwrap(), r);
        for augment in [None, Some(Augmentation::None), Some(Augmentation::Rand)] {
            let text = Config::resolve(&with(augment), &facts(9000, small())).unwrap_err().to_string();
            assert!(text.contains("consistency: ") && text.contains("augment = augmix"), "{text}");
        }
        let off = Settings { consistency: Some(0.0), ..Settings::default() };
        assert!(Config::resolve(&off, &facts(9000, small())).is_ok());
    }

    #[test]
    fn a_tiny_set_still_gives_batches() {
        let r = Config::resolve(&Settings::default(), &facts(20, photos())).unwrap();
        assert!(r.train.batch_size <= 20);
        assert!(r.train.validate().is_ok());
    }

    #[test]
    fn the_decided_settings_make_the_same_recipe_again() {
        let given = [
            Settings::default(),
            Settings { batch_size: Some(5000), epochs: Some(3), ..Settings::default() },
            Settings { arch: Some("MobileNet-V2".into()), lr: Some(0.02), ..Settings::default() },
            Settings {
                sampling: Some(SamplingName::BatchAugment),
                mosaic: Some(0.25),
                ..Settings::default()
            },
            Settings {
                arch: Some("resnet18".into()),
                width: Some(0.25),
                keep: Some(oculist_train::Keep::Last),
                ..Settings::default()
            },
            Settings { augment: Some(Augmentation::Augmix), consistency: Some(6.0), ..Settings::default() },
        ];
        for (given, facts) in
            given.iter().flat_map(|g| [(g, facts(1800, small())), (g, facts(1800, photos()))])
        {
            let recipe = Config::resolve(given, &facts).unwrap();
            let text = recipe.settings(given).to_toml();
            let again: Settings = toml::from_str(&text).unwrap();
            assert_eq!(Config::resolve(&again, &facts).unwrap(), recipe, "{text}");
            assert!(again.arch.is_some() && again.batch_size.is_some_and(|b| b <= 1800), "{text}");
        }
    }

    #[test]
    fn the_recipe_survives_toml() {
        let r = Config::resolve(&Settings::default(), &facts(9000, small())).unwrap();
        assert_eq!(toml::from_str::<Config>(&r.to_toml()).unwrap(), r);
    }
}
