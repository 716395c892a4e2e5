//! From typed arguments to the library's settings: flags over the file given by `--config`.

use std::path::PathBuf;

use oculist::{
    Augmentation, Calibration, Existing, Keep, LossName, OptimizerName, Recipe, RunOptions, SamplingName,
    Settings, Target, Tta,
};

use crate::args::{
    AugmentArg, CalibrationArg, CompressionArgs, DataArgs, KeepArg, LossArg, ModelArgs, NetworkArgs,
    OptimizerArg, OutputArgs, SamplingArg, TargetArg, TrainingArgs, TtaArg, TtaArgs,
};

/// The settings that the data arguments give.
pub(crate) fn data(name: Option<&str>, args: &DataArgs) -> Settings {
    Settings {
        data: name.map(str::to_owned),
        data_dir: args.data_dir.clone(),
        layout: args.layout,
        exclude: (!args.exclude.is_empty()).then(|| args.exclude.clone()),
        // A flag that is not given must not override the file.
        strict: args.strict.then_some(true),
        seed: args.seed,
        threads: args.threads,
        max_memory: args.max_memory,
        max_image_bytes: args.max_image_bytes,
        ..Settings::default()
    }
}

/// The settings that say what a model's file does not.
pub(crate) fn reading(args: &ModelArgs, arch: Option<&String>, image_size: Option<usize>) -> Settings {
    Settings {
        classes: args.classes.clone(),
        preprocessing: args.preprocessing.clone(),
        logits: args.logits.clone(),
        state_dict: args.state_dict.clone(),
        partial: args.partial.then_some(true),
        arch: arch.cloned(),
        image_size,
        ..Settings::default()
    }
}

/// The settings that the network arguments give.
pub(crate) fn network(args: &NetworkArgs) -> Settings {
    Settings {
        arch: args.arch.clone(),
        width: args.width,
        image_size: args.image_size,
        ..Settings::default()
    }
}

/// The settings that the training arguments give.
pub(crate) fn training(args: &TrainingArgs) -> Settings {
    Settings {
        epochs: args.epochs,
        batch_size: args.batch_size,
        lr: args.lr,
        optimizer: args.optimizer.map(|o| match o {
            OptimizerArg::Sgd => OptimizerName::Sgd,
            OptimizerArg::Adamw => OptimizerName::Adamw,
        }),
        augment: args.augment.map(augmentation),
        augmentation: args.augmentation.clone(),
        mixup: args.mixup,
        cutmix: args.cutmix,
        mosaic: args.mosaic,
        consistency: args.consistency,
        loss: args.loss.map(|l| match l {
            LossArg::CrossEntropy => LossName::CrossEntropy,
            LossArg::Weighted => LossName::Weighted,
            LossArg::Focal => LossName::Focal,
            LossArg::LogitAdjusted => LossName::LogitAdjusted,
        }),
        sampling: args.sampling.map(|s| match s {
            SamplingArg::Once => SamplingName::Once,
            SamplingArg::Balanced => SamplingName::Balanced,
            SamplingArg::Repeated => SamplingName::Repeated,
            SamplingArg::BatchAugment => SamplingName::BatchAugment,
        }),
        repeats: args.repeats,
        cache: args.cache,
        patience: args.patience,
        keep: args.keep.map(|k| match k {
            KeepArg::Best => Keep::Best,
            KeepArg::Last => Keep::Last,
        }),
        ..Settings::default()
    }
}

/// The kind of augmentation.
pub(crate) fn augmentation(arg: AugmentArg) -> Augmentation {
    match arg {
        AugmentArg::Small => Augmentation::Small,
        AugmentArg::Photos => Augmentation::Photos,
        AugmentArg::None => Augmentation::None,
        AugmentArg::Crops => Augmentation::Crops,
        AugmentArg::Trivial => Augmentation::Trivial,
        AugmentArg::Rand => Augmentation::Rand,
        AugmentArg::Auto => Augmentation::Auto,
        AugmentArg::Augmix => Augmentation::Augmix,
        AugmentArg::Three => Augmentation::Three,
        AugmentArg::Erasing => Augmentation::Erasing,
    }
}

/// The settings that the compression arguments give.
pub(crate) fn compression(args: &CompressionArgs) -> Settings {
    Settings {
        metric: args.metric,
        max_drop: args.max_drop,
        target: args.target.map(|t| match t {
            TargetArg::Size => Target::Size,
            TargetArg::Latency => Target::Latency,
            TargetArg::Macs => Target::Macs,
        }),
        finetune_epochs: args.finetune_epochs,
        calibration: args.calibration.map(calibration),
        calibration_images: args.calibration_images,
        ..Settings::default()
    }
}

/// The calibration method.
pub(crate) fn calibration(arg: CalibrationArg) -> Calibration {
    match arg {
        CalibrationArg::Auto => Calibration::Auto,
        CalibrationArg::Minmax => Calibration::Minmax,
        CalibrationArg::Percentile => Calibration::Percentile,
        CalibrationArg::Entropy => Calibration::Entropy,
    }
}

/// The views of test-time augmentation.
pub(crate) fn tta(args: &TtaArgs) -> Option<Tta> {
    Some(match args.tta.clone()? {
        TtaArg::Flip => Tta::Flip,
        TtaArg::Crops => Tta::Crops,
        TtaArg::FlipCrops => Tta::FlipCrops,
        TtaArg::File(path) => Tta::Pipeline { path, views: args.tta_views },
    })
}

/// Flags over the file given by `--config`, where the run goes, and which command made it.
pub(crate) fn run_options(
    args: &OutputArgs,
    verb: &str,
    flags: Settings,
    recipe: Option<&Recipe>,
) -> anyhow::Result<(RunOptions, Settings)> {
    let file = args.config.as_deref().map(Settings::read).transpose()?.unwrap_or_default();
    let measuring = Settings { measure_seconds: args.measure_seconds, ..Settings::default() };
    let settings = flags.over(measuring).over(file);
    let existing = match (args.force, args.resume) {
        (true, _) => Existing::Replace,
        (_, true) => Existing::Resume,
        _ => Existing::Refuse,
    };
    let output = args.output.clone().unwrap_or_else(|| {
        // Without a data set the library refuses the run before anything is written.
        let data = settings.data.as_ref().or(recipe.and_then(|recipe| recipe.settings().data.as_ref()));
        default_output(verb, data.map_or("", String::as_str))
    });
    let (verb, verify) = (verb.to_owned(), args.verify);
    let tensorboard = args.tensorboard.clone().map(|dir| dir.unwrap_or_else(|| output.join("tensorboard")));
    let options = RunOptions { verb, output, existing, verify, command: command(), tensorboard };
    Ok((options, settings))
}

/// `runs/VERB-DATA`, with the last part of a path as DATA.
pub(crate) fn default_output(verb: &str, data: &str) -> PathBuf {
    let name =
        std::path::Path::new(data).file_name().map_or_else(|| data.into(), std::ffi::OsStr::to_string_lossy);
    PathBuf::from("runs").join(format!("{verb}-{name}"))
}

/// The command as typed, quoted where a shell would need it.
fn command() -> String {
    let quote = |a: String| {
        let plain = a.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=,:+".contains(c));
        if plain && !a.is_empty() { a } else { format!("'{}'", a.replace('\'', r"'\''")) }
    };
    std::iter::once("oculist".to_owned())
        .chain(std::env::args().skip(1).map(quote))
        .collect::<Vec<_>>()
        .join(" ")
}
