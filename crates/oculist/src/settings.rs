//! What the user asked for: flags over a TOML file, everything optional.

mod bytes;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oculist_data::Layout;
use oculist_kernels::Context;
use oculist_metrics::Metric;
use oculist_train::Keep;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::OculistError;
use crate::files::toml_problem;
use crate::sink::folder::SETTINGS_FILE;

pub use bytes::ByteSize;

/// What compression should make small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Bytes of the model file.
    #[default]
    Size,
    /// Time for one image on this machine.
    Latency,
    /// Multiply-accumulate operations.
    Macs,
}

/// How activation ranges are chosen for int8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Calibration {
    /// All methods are tried; the best on validation images is kept.
    #[default]
    Auto,
    /// Smallest and largest value seen.
    Minmax,
    /// All but the outermost values.
    Percentile,
    /// Least Kullback-Leibler divergence.
    Entropy,
}

/// Which rule updates the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    /// SGD with Nesterov momentum.
    Sgd,
    /// Adam with decoupled weight decay.
    Adamw,
}

/// Which augmentation the training images get.
///
/// All but the first three crop (small images after padding, photos to random sizes) and, where it suits the data, flip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Augmentation {
    /// Padded crops, flips, small rotations and scalings.
    Small,
    /// Random resized crops, flips, colour jitter.
    Photos,
    /// None.
    None,
    /// Crops and flips alone.
    Crops,
    /// One random operation of random strength.
    Trivial,
    /// Two random operations of one strength.
    Rand,
    /// A learned policy: CIFAR-10's for small images, ImageNet's for photos.
    Auto,
    /// Several chains of operations mixed into one image.
    Augmix,
    /// Grey, solarise or blur, then colour jitter.
    Three,
    /// A random rectangle is erased.
    Erasing,
}

/// The loss on the labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossName {
    /// Cross-entropy.
    CrossEntropy,
    /// Cross-entropy in which each class weighs the same, however many images it has.
    Weighted,
    /// Focal loss with gamma 2.
    Focal,
    /// Cross-entropy of logits adjusted by the classes' frequencies.
    LogitAdjusted,
}

/// Which images an epoch shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SamplingName {
    /// Each image once.
    Once,
    /// Each class equally often.
    Balanced,
    /// As many images as usual, but each several times in one batch, so that an epoch shows fewer different ones.
    Repeated,
    /// Each image several times in one batch; the epoch is as many times as long.
    #[serde(rename = "batch-augment")]
    BatchAugment,
}

/// Settings as given; what is absent is chosen by network and data.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Name or folder of the data set.
    pub data: Option<String>,
    /// Folder of a named data set.
    pub data_dir: Option<PathBuf>,
    /// How the folder of the data is laid out, where it can be read in two ways.
    pub layout: Option<Layout>,
    /// Patterns of names that are left out of the folder.
    pub exclude: Option<Vec<String>>,
    /// Whether an unreadable image is an error.
    pub strict: Option<bool>,
    /// Seed of everything random.
    pub seed: Option<u64>,
    /// Threads.
    pub threads: Option<usize>,
    /// Bytes of memory that a plan of a network may take.
    pub max_memory: Option<ByteSize>,
    /// Bytes of encoded images that may be held in memory (Parquet).
    pub max_image_bytes: Option<ByteSize>,
    /// Bytes of decoded training and validation images kept from one epoch to the next.
    pub cache: Option<ByteSize>,
    /// Architecture.
    pub arch: Option<String>,
    /// Factor on the architecture's number of channels; 1 is the published width.
    pub width: Option<f64>,
    /// A model to start from.
    pub model: Option<PathBuf>,
    /// Its class names, or a file of them, where the model does not say them.
    pub classes: Option<String>,
    /// How images become its input, by name or as a file, where the model does not say it.
    pub preprocessing: Option<String>,
    /// Which of its outputs classifies.
    pub logits: Option<String>,
    /// Which of several sets of weights in its file.
    pub state_dict: Option<String>,
    /// Whether its file of weights may lack some.
    pub partial: Option<bool>,
    /// Side of the square input in pixels.
    pub image_size: Option<usize>,
    /// Passes over the training images.
    pub epochs: Option<usize>,
    /// Images per step.
    pub batch_size: Option<usize>,
    /// Peak learning rate.
    pub lr: Option<f32>,
    /// Update rule.
    pub optimizer: Option<OptimizerName>,
    /// Augmentation.
    pub augment: Option<Augmentation>,
    /// A file with an augmentation pipeline, instead of `augment`.
    pub augmentation: Option<PathBuf>,
    /// MixUp's alpha; 0 is off.
    pub mixup: Option<f32>,
    /// CutMix's alpha; 0 is off.
    pub cutmix: Option<f32>,
    /// Probability that a batch is made of mosaics of four images.
    pub mosaic: Option<f32>,
    /// Weight of AugMix's consistency loss; 0 is off.
    pub consistency: Option<f32>,
    /// The loss.
    pub loss: Option<LossName>,
    /// Which images an epoch shows.
    pub sampling: Option<SamplingName>,
    /// How often each image is shown in a batch, where images are repeated.
    pub repeats: Option<usize>,
    /// Epochs without improvement after which training stops; 0 never stops.
    pub patience: Option<usize>,
    /// Which weights training ends with.
    pub keep: Option<Keep>,
    /// What decides which model is better.
    pub metric: Option<Metric>,
    /// How much of the metric on validation images compression may lose, in its unit (points for percent).
    pub max_drop: Option<f64>,
    /// What to make small.
    pub target: Option<Target>,
    /// Epochs of fine-tuning after each pruning.
    pub finetune_epochs: Option<usize>,
    /// Calibration method.
    pub calibration: Option<Calibration>,
    /// Images for calibration.
    pub calibration_images: Option<usize>,
    /// Seconds of each final measurement of latency and throughput.
    pub measure_seconds: Option<f64>,
}

macro_rules! prefer {
    ($over:ident, $under:ident, $($field:ident),+ $(,)?) => {
        Settings { $($field: $over.$field.or($under.$field)),+ }
    };
}

impl Settings {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// [`OculistError::Option`] naming the file and the key that is unknown or of the wrong type.
    pub fn read(path: &Path) -> Result<Self, OculistError> {
        let io = |source| OculistError::Io { path: path.to_path_buf(), source };
        let text = oculist_files::read_to_string(path).map_err(io)?;
        toml::from_str(&text).map_err(|e| OculistError::Option {
            option: format!("--config {}", path.display()),
            problem: if toml::from_str::<Config>(&text).is_ok() {
                format!("it is the resolved recipe of a run; give {SETTINGS_FILE}, which lies beside it")
            } else {
                toml_problem(&e, &text)
            },
        })
    }

    /// These settings as TOML, as [`Settings::read`] takes them; what is absent is left out.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }

    /// These settings where they say something, `under` elsewhere.
    #[must_use]
    pub fn over(self, under: Self) -> Self {
        let over = self;
        prefer!(
            over,
            under,
            data,
            data_dir,
            layout,
            exclude,
            strict,
            seed,
            threads,
            max_memory,
            max_image_bytes,
            cache,
            arch,
            width,
            model,
            classes,
            preprocessing,
            logits,
            state_dict,
            partial,
            image_size,
            epochs,
            batch_size,
            lr,
            optimizer,
            augment,
            augmentation,
            mixup,
            cutmix,
            mosaic,
            consistency,
            loss,
            sampling,
            repeats,
            patience,
            keep,
            metric,
            max_drop,
            target,
            finetune_epochs,
            calibration,
            calibration_images,
            measure_seconds,
        )
    }

    /// Checks the ranges that need no data set, and the name of the architecture.
    ///
    /// # Errors
    /// [`OculistError::Option`] naming the option, its range and the value; [`OculistError::Zoo`] for an unknown
    /// architecture.
    pub fn validate(&self) -> Result<(), OculistError> {
        let fail =
            |option: &str, problem: String| Err(OculistError::Option { option: option.into(), problem });
        if let Some(d) = self.max_drop
            && !(0.0..=100.0).contains(&d)
        {
            return fail("--max-drop", format!("expected 0 to 100 points, found {d}"));
        }
        if let Some(size) = self.image_size
            && !(8..=1024).contains(&size)
        {
            return fail("--image-size", format!("expected 8 to 1024 pixels, found {size}"));
        }
        for (option, value) in [
            ("--threads", self.threads),
            ("--epochs", self.epochs),
            ("--finetune-epochs", self.finetune_epochs),
            ("--batch-size", self.batch_size),
            ("--calibration-images", self.calibration_images),
            ("--repeats", self.repeats),
            ("--max-memory", self.max_memory.map(|size| usize::try_from(size.0).unwrap_or(usize::MAX))),
        ] {
            if value == Some(0) {
                return fail(option, "expected at least 1, found 0".into());
            }
        }
        if let Some(lr) = self.lr
            && !(lr > 0.0 && lr.is_finite())
        {
            return fail("--lr", format!("expected a positive number such as 0.1, found {lr:?}"));
        }
        for (option, alpha) in [("--mixup", self.mixup), ("--cutmix", self.cutmix)] {
            if let Some(alpha) = alpha
                && !(0.0..=1000.0).contains(&alpha)
            {
                return fail(option, format!("expected an alpha of 0 to 1000, found {alpha:?}"));
            }
        }
        if let Some(p) = self.mosaic
            && !(0.0..=1.0).contains(&p)
        {
            return fail("--mosaic", format!("expected a probability of 0 to 1, found {p:?}"));
        }
        self.validate_consistency()?;
        let repeated = matches!(self.sampling, Some(SamplingName::Repeated | SamplingName::BatchAugment));
        if self.repeats.is_some() && !repeated {
            return fail("--repeats", "expected --sampling repeated or batch-augment with it".into());
        }
        if self.keep == Some(Keep::Last) && self.patience.is_some_and(|epochs| epochs > 0) {
            return fail("--patience", "expected none with --keep last, which goes to the end".into());
        }
        if let Some(width) = self.width
            && !(0.0625..=16.0).contains(&width)
        {
            return fail("--width", format!("expected a factor of 0.0625 to 16, found {width:?}"));
        }
        if self.width.is_some() && self.model.is_some() {
            return fail("--width", "expected no --model with it: a trained model has its width".into());
        }
        if let Some(seconds) = self.measure_seconds
            && !(seconds > 0.0 && seconds <= 3600.0)
        {
            let problem = format!("expected more than 0 and at most 3600 seconds, found {seconds:?}");
            return fail("--measure-seconds", problem);
        }
        if let Some(arch) = &self.arch {
            oculist_zoo::find(arch)?;
        }
        Ok(())
    }

    /// Checks the weight of the consistency loss, and that nothing is on that the views of an image cannot be compared
    /// under.
    fn validate_consistency(&self) -> Result<(), OculistError> {
        let fail = |problem: String| Err(OculistError::Option { option: "--consistency".into(), problem });
        let weight = self.consistency.unwrap_or(0.0);
        if !(0.0..=1000.0).contains(&weight) {
            return fail(format!("expected a weight of 0 to 1000, found {weight:?}"));
        }
        if weight == 0.0 {
            return Ok(());
        }
        for (option, value) in [("--mixup", self.mixup), ("--cutmix", self.cutmix), ("--mosaic", self.mosaic)]
        {
            if value.is_some_and(|value| value > 0.0) {
                return fail(format!("expected no {option} with it: mixed images have no clean view"));
            }
        }
        if self.sampling.is_some_and(|sampling| sampling != SamplingName::Once) {
            return fail("expected --sampling once with it: each image has its three views already".into());
        }
        Ok(())
    }

    /// Threads asked for, or all cores.
    pub fn threads(&self) -> usize {
        self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// What networks run on: the threads, and the memory that a plan may take.
    pub(crate) fn context(&self) -> Result<Arc<Context>, OculistError> {
        context(self.threads(), self.max_memory)
    }
}

/// What networks run on; without a limit a plan may take what the machine has.
pub(crate) fn context(threads: usize, max_memory: Option<ByteSize>) -> Result<Arc<Context>, OculistError> {
    let context = Context::new(threads)?;
    Ok(Arc::new(match max_memory {
        Some(ByteSize(bytes)) => context.with_max_memory(usize::try_from(bytes).unwrap_or(usize::MAX)),
        None => context,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_override_the_file() {
        let file: Settings = toml::from_str("epochs = 3\nseed = 7\ntarget = \"latency\"").unwrap();
        let flags = Settings { epochs: Some(9), ..Settings::default() };
        let merged = flags.over(file);
        assert_eq!((merged.epochs, merged.seed, merged.target), (Some(9), Some(7), Some(Target::Latency)));
    }

    #[test]
    fn settings_survive_toml() {
        let settings = Settings {
            data: Some("demo".into()),
            seed: Some(u64::MAX),
            lr: Some(0.1),
            augment: Some(Augmentation::None),
            max_drop: Some(0.5),
            ..Settings::default()
        };
        let text = settings.to_toml();
        assert_eq!(
            text,
            "data = \"demo\"\nseed = 18446744073709551615\nlr = 0.1\naugment = \"none\"\nmax_drop = 0.5\n"
        );
        assert_eq!(toml::from_str::<Settings>(&text).unwrap(), settings);
    }

    #[test]
    fn sizes_are_numbers_or_have_a_unit() {
        let settings: Settings = toml::from_str("cache = \"512M\"\nmax_image_bytes = 1000").unwrap();
        assert_eq!(
            (settings.cache, settings.max_image_bytes),
            (Some(ByteSize(512 << 20)), Some(ByteSize(1000)))
        );
        assert_eq!(settings.to_toml(), "max_image_bytes = 1000\ncache = 536870912\n");
        assert_eq!(toml::from_str::<Settings>(&settings.to_toml()).unwrap(), settings);
        assert_eq!(["0", "3k", "2G"].map(|t| t.parse::<ByteSize>().unwrap().0), [0, 3 << 10, 2 << 30]);
        for wrong in ["", "M", "-1", "1.5G", "+3", "3T", "99999999999G", "1 M"] {
            assert!(wrong.parse::<ByteSize>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("o.toml");
        std::fs::write(&path, "epoch = 3").unwrap();
        let text = Settings::read(&path).unwrap_err().to_string();
        assert!(text.contains("o.toml") && text.contains("epoch"), "{text}");
    }

    #[test]
    fn ranges_are_checked() {
        assert!(Settings::default().validate().is_ok());
        let bad = [
            Settings { max_drop: Some(-1.0), ..Settings::default() },
            Settings { image_size: Some(4), ..Settings::default() },
            Settings { keep: Some(Keep::Last), patience: Some(3), ..Settings::default() },
            Settings { width: Some(0.0), ..Settings::default() },
            Settings { width: Some(f64::NAN), ..Settings::default() },
            Settings { width: Some(0.5), model: Some("m.onnx".into()), ..Settings::default() },
            Settings { threads: Some(0), ..Settings::default() },
            Settings { epochs: Some(0), ..Settings::default() },
            Settings { lr: Some(f32::NAN), ..Settings::default() },
            Settings { mosaic: Some(1.5), ..Settings::default() },
            Settings { repeats: Some(3), ..Settings::default() },
            Settings { consistency: Some(-1.0), ..Settings::default() },
            Settings { consistency: Some(f32::NAN), ..Settings::default() },
            Settings { consistency: Some(12.0), mixup: Some(0.2), ..Settings::default() },
            Settings { consistency: Some(12.0), cutmix: Some(1.0), ..Settings::default() },
            Settings { consistency: Some(12.0), mosaic: Some(0.5), ..Settings::default() },
            Settings {
                consistency: Some(12.0),
                sampling: Some(SamplingName::Balanced),
                ..Settings::default()
            },
            Settings {
                consistency: Some(12.0),
                sampling: Some(SamplingName::Repeated),
                ..Settings::default()
            },
            Settings { repeats: Some(0), sampling: Some(SamplingName::Repeated), ..Settings::default() },
            Settings { measure_seconds: Some(0.0), ..Settings::default() },
            Settings { arch: Some("resnet19".into()), ..Settings::default() },
        ];
        for settings in bad {
            assert!(settings.validate().is_err(), "{settings:?}");
        }
    }
}
