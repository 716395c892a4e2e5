//! What can be typed. Nothing here does any work; `verbs` turns the arguments into recipes.

mod audit;
mod augment;
mod model;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use oculist::{ByteSize, Layout, Metric};

pub(crate) use audit::{CheckArgs, FixArgs, SplitArgs};
pub(crate) use augment::{AugmentVerb, CheckAugmentArgs, PipelineArgs};
pub(crate) use model::{BenchArgs, EvalArgs, ExportArgs, ModelArgs, PredictArgs, SplitArg, TtaArgs};
pub(crate) use values::TtaArg;

/// Examine, prescribe, correct: gives image classifiers fewer errors, less size and more speed.
#[derive(Debug, Parser)]
#[command(name = "oculist", version, about, max_term_width = 110, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Only errors, and the answer of a verb that asks (eval, predict, bench, report --print, data, zoo).
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Train, prune, quantise, export and report, in one go.
    Optimize(OptimizeArgs),
    /// Train a model and export it.
    Train(TrainArgs),
    /// Prune and quantise a trained model.
    Compress(CompressArgs),
    /// Accuracy of a model on a data set.
    Eval(EvalArgs),
    /// Classes of image files.
    Predict(PredictArgs),
    /// Latency and throughput of a model.
    Bench(BenchArgs),
    /// Write a model as ONNX: f32 as it is, or int8.
    Export(ExportArgs),
    /// Make the report page of a run again.
    Report(ReportArgs),
    /// Look at augmentation, check it, or write augmented images.
    #[command(subcommand)]
    Augment(AugmentVerb),
    /// Look at data sets.
    #[command(subcommand)]
    Data(DataVerb),
    /// Look at architectures.
    #[command(subcommand)]
    Zoo(ZooVerb),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

impl Verb {
    /// Whether this verb works in steps and stops between two of them: because the run can be continued then, or
    /// because the work can be long.
    pub(crate) fn stops_between_steps(&self) -> bool {
        let audits = matches!(self, Self::Data(DataVerb::Check(_) | DataVerb::Split(_)));
        let checks = matches!(self, Self::Augment(AugmentVerb::Check(_)));
        audits || checks || matches!(self, Self::Optimize(_) | Self::Train(_) | Self::Compress(_))
    }
}

/// Which images; a file of settings may name them instead.
#[derive(Debug, Args)]
pub(crate) struct DataArg {
    /// `demo`, `fashion-mnist`, a folder of photos (`train/CLASS/*`, `val/`, `test/`, one unsplit folder `CLASS/*`, or with
    /// metadata.csv), of IDX, CIFAR, COCO, *.tar or *.parquet files, or a file: a manifest (*.csv or *.jsonl with file_name,
    /// label and perhaps split), *.tar or name-{000..009}.tar (WebDataset), *.parquet (Hugging Face), *.json (COCO).
    #[arg(value_name = "DATA", required_unless_present_any = ["config", "recipe"])]
    pub(crate) data: Option<String>,
}

/// Which images.
#[derive(Debug, Args)]
pub(crate) struct RequiredDataArg {
    /// `demo`, `fashion-mnist`, a folder of photos (`train/CLASS/*`, `val/`, `test/`, one unsplit folder `CLASS/*`, or with
    /// metadata.csv), of IDX, CIFAR, COCO, *.tar or *.parquet files, or a file: a manifest (*.csv or *.jsonl with file_name,
    /// label and perhaps split), *.tar or name-{000..009}.tar (WebDataset), *.parquet (Hugging Face), *.json (COCO).
    #[arg(value_name = "DATA")]
    pub(crate) data: String,
}

/// How the images are read, and what all work with them shares.
#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// Folder of the data set named by DATA, if it is not in its usual place.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// How the folder DATA is laid out, where it can be read in two ways: classes, splits, inner (parts
    /// whose inner folders are the classes), metadata, idx, cifar, coco, tar or parquet.
    #[arg(long, value_name = "LAYOUT")]
    pub(crate) layout: Option<Layout>,
    /// Leave out files and folders of this name, such as masks or '*_mask.*' (may be repeated).
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,
    /// Make an unreadable image an error instead of skipping it.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Hold at most so many bytes of encoded images in memory, such as 512M (Parquet; default: 4G).
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_image_bytes: Option<ByteSize>,
    /// Threads (default: all cores).
    #[arg(long, value_name = "N", value_parser = values::positive)]
    pub(crate) threads: Option<usize>,
    /// Memory that a plan of a network may take, such as 512M or 8G (default: what the machine or its control group has).
    #[arg(long, value_name = "BYTES", value_parser = values::memory)]
    pub(crate) max_memory: Option<ByteSize>,
    /// Seed of splitting, initialisation, shuffling and augmentation (default: 0).
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
}

/// Which network to train.
#[derive(Debug, Args)]
pub(crate) struct NetworkArgs {
    /// Architecture (see `oculist zoo list`).
    #[arg(long, value_name = "NAME")]
    pub(crate) arch: Option<String>,
    /// Factor on the architecture's number of channels, such as 0.5 or 2 (default: 1, the published width).
    #[arg(long, value_name = "FACTOR", value_parser = values::width)]
    pub(crate) width: Option<f64>,
    /// Side of the network's square input in pixels.
    #[arg(long, value_name = "PIXELS", value_parser = values::pixels)]
    pub(crate) image_size: Option<usize>,
    /// What users of other tools type; says what to type here.
    #[arg(long, value_name = "NAME", hide = true, num_args = 0..=1, default_missing_value = "")]
    pub(crate) pretrained: Option<String>,
}

/// How to train. What is not given is chosen by network and data.
#[derive(Debug, Args)]
pub(crate) struct TrainingArgs {
    /// Passes over the training images.
    #[arg(long, value_name = "N", value_parser = values::positive)]
    pub(crate) epochs: Option<usize>,
    /// Images per step.
    #[arg(long, value_name = "N", value_parser = values::positive)]
    pub(crate) batch_size: Option<usize>,
    /// Peak learning rate.
    #[arg(long, value_name = "LR", value_parser = values::learning_rate, allow_negative_numbers = true)]
    pub(crate) lr: Option<f32>,
    /// Update rule.
    #[arg(long, value_enum)]
    pub(crate) optimizer: Option<OptimizerArg>,
    /// Augmentation of the training images.
    #[arg(long, value_enum)]
    pub(crate) augment: Option<AugmentArg>,
    /// TOML or JSON file with an augmentation pipeline (see docs/augmentation.md).
    #[arg(long, value_name = "FILE", conflicts_with = "augment")]
    pub(crate) augmentation: Option<PathBuf>,
    /// MixUp: alpha of the Beta distribution that weights are drawn from, such as 0.2 (0: off).
    #[arg(long, value_name = "ALPHA")]
    pub(crate) mixup: Option<f32>,
    /// CutMix: alpha of the Beta distribution that areas are drawn from, such as 1 (0: off).
    #[arg(long, value_name = "ALPHA")]
    pub(crate) cutmix: Option<f32>,
    /// Mosaic: probability that a batch is made of pictures of four images each.
    #[arg(long, value_name = "PROBABILITY", value_parser = values::probability)]
    pub(crate) mosaic: Option<f32>,
    /// With `--augment augmix`: weight of AugMix's consistency loss on three views of each image (12 without a number).
    #[arg(long, value_name = "WEIGHT", num_args = 0..=1, default_missing_value = "12", value_parser = values::weight)]
    pub(crate) consistency: Option<f32>,
    /// Loss on the labels.
    #[arg(long, value_enum)]
    pub(crate) loss: Option<LossArg>,
    /// Which images an epoch shows.
    #[arg(long, value_enum)]
    pub(crate) sampling: Option<SamplingArg>,
    /// How often an image stands in a batch, with `--sampling repeated` or `batch-augment` (default: 3).
    #[arg(long, value_name = "N", value_parser = values::positive)]
    pub(crate) repeats: Option<usize>,
    /// Keep so many bytes of decoded images from one epoch to the next, such as 512M or 2G (default: 0).
    #[arg(long, value_name = "BYTES")]
    pub(crate) cache: Option<ByteSize>,
    /// Epochs without improvement after which training stops (0: never).
    #[arg(long, value_name = "N")]
    pub(crate) patience: Option<usize>,
    /// Which weights training ends with (default: best).
    #[arg(long, value_enum)]
    pub(crate) keep: Option<KeepArg>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum KeepArg {
    /// Those with the best top-1 on the validation images.
    Best,
    /// Those at the end of the schedule, whatever the validation images say.
    Last,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum OptimizerArg {
    /// SGD with Nesterov momentum.
    Sgd,
    /// Adam with decoupled weight decay.
    Adamw,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum AugmentArg {
    /// Padded crops, flips, small rotations and scalings.
    Small,
    /// Random resized crops, flips, colour jitter.
    Photos,
    /// None.
    None,
    /// Crops and flips alone.
    Crops,
    /// Crops, flips, TrivialAugmentWide: one random operation of random strength.
    Trivial,
    /// Crops, flips, RandAugment: two random operations of one strength.
    Rand,
    /// Crops, flips, AutoAugment: a learned policy.
    Auto,
    /// Crops, flips, AugMix: several chains of operations mixed into one image.
    Augmix,
    /// Crops, flips, 3-Augment: grey, solarise or blur, then colour jitter.
    Three,
    /// Crops, flips, random erasing.
    Erasing,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LossArg {
    /// Cross-entropy.
    CrossEntropy,
    /// Cross-entropy in which each class weighs the same.
    Weighted,
    /// Focal loss.
    Focal,
    /// Logits adjusted by the classes' frequencies.
    LogitAdjusted,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SamplingArg {
    /// Each image once.
    Once,
    /// Each class equally often.
    Balanced,
    /// Fewer images, each several times in a batch, differently augmented.
    Repeated,
    /// Each image several times in a batch; the epoch is as many times as long.
    BatchAugment,
}

/// How far to compress.
#[derive(Debug, Args)]
pub(crate) struct CompressionArgs {
    /// What decides which model is better: top1, balanced_accuracy, macro_f1, auc, log_loss, ece (default: top1).
    #[arg(long, value_name = "NAME")]
    pub(crate) metric: Option<Metric>,
    /// How much of the metric on validation images the result may lose: points where it is in percent.
    #[arg(long, value_name = "POINTS", value_parser = values::points, allow_negative_numbers = true)]
    pub(crate) max_drop: Option<f64>,
    /// What to make small.
    #[arg(long, value_enum)]
    pub(crate) target: Option<TargetArg>,
    /// Epochs of fine-tuning after each pruning.
    #[arg(long, value_name = "N", value_parser = values::positive)]
    pub(crate) finetune_epochs: Option<usize>,
    /// Calibration of the int8 activations.
    #[arg(long, value_enum)]
    pub(crate) calibration: Option<CalibrationArg>,
    /// Images for calibration.
    #[arg(long, value_name = "N", value_parser = values::positive)]
    pub(crate) calibration_images: Option<usize>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum TargetArg {
    /// Bytes of the file.
    Size,
    /// Time for one image.
    Latency,
    /// Multiply-accumulate operations.
    Macs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum CalibrationArg {
    /// Try all and keep the best on validation images.
    Auto,
    /// Smallest and largest value.
    Minmax,
    /// All but the outermost values.
    Percentile,
    /// Least Kullback-Leibler divergence.
    Entropy,
}

/// Where the results go.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Folder of the run (default: `runs/VERB-DATA`).
    #[arg(long, short, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Replace a run that is there.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) force: bool,
    /// Continue the interrupted run that is in the output folder, with the same settings.
    #[arg(long)]
    pub(crate) resume: bool,
    /// With `--resume`: read every image again to see whether it has changed, instead of trusting those whose size, times
    /// and inode have not.
    #[arg(long, requires = "resume")]
    pub(crate) verify: bool,
    /// TOML file with any of these settings, such as the `settings.toml` of another run; flags override it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Also write event files for TensorBoard (default folder: `tensorboard` in that of the run).
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    pub(crate) tensorboard: Option<Option<PathBuf>>,
    /// Seconds of each final measurement of latency and throughput (default: 2).
    #[arg(long, value_name = "S", value_parser = values::seconds)]
    pub(crate) measure_seconds: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct OptimizeArgs {
    #[command(flatten)]
    pub(crate) source: DataArg,
    /// TOML or JSON file with the stages to run instead of the usual ones (see docs/recipes.md).
    #[arg(long, value_name = "FILE")]
    pub(crate) recipe: Option<PathBuf>,
    /// Only tell what each stage would do and about how long it would take; nothing is written.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Start from this model instead of training one.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: ModelArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) training: TrainingArgs,
    #[command(flatten)]
    pub(crate) compression: CompressionArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) source: DataArg,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) training: TrainingArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CompressArgs {
    #[command(flatten)]
    pub(crate) source: DataArg,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// The trained model: an ONNX file, or weights (*.safetensors, *.pth) with --arch.
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    pub(crate) model: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: ModelArgs,
    /// Side of the input in pixels, for a model that takes any.
    #[arg(long, value_name = "PIXELS", value_parser = values::pixels)]
    pub(crate) image_size: Option<usize>,
    /// The architecture of a file of weights (see `oculist zoo list`).
    #[arg(long, value_name = "NAME")]
    pub(crate) arch: Option<String>,
    #[command(flatten)]
    pub(crate) training: TrainingArgs,
    #[command(flatten)]
    pub(crate) compression: CompressionArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Folder of a finished run.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// Only print the tables.
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataVerb {
    /// Look for faulty, odd and repeated images and wrong labels; writes a page and a JSON file.
    Check(CheckArgs),
    /// Split a folder of images anew: by class, keeping groups and duplicates together; writes a manifest.
    Split(SplitArgs),
    /// Leave out and relabel what you approve of an audit; writes a manifest and changes no image.
    Fix(FixArgs),
    /// Counts per split and class, sizes, unreadable files.
    Show {
        #[command(flatten)]
        source: RequiredDataArg,
        #[command(flatten)]
        data: DataArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ZooVerb {
    /// All architectures with parameters and multiply-adds.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}
