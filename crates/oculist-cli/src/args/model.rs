//! Arguments of the verbs that use a finished model, and what its file may leave open.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use oculist::range::{COUNT, PIXELS, SECONDS};
use oculist::{Calibration, MachineSettings, ReadingSettings, Settings};

use super::values::{self, SEVERITY, VIEWS};
use super::{DataArgs, RequiredSourceArg};

/// What a network's file may leave open.
#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// Side of the input in pixels, for a model that takes any.
    #[arg(long, value_name = "PIXELS", value_parser = PIXELS.parser())]
    image_size: Option<usize>,
    /// The architecture of a file of weights (see `oculist zoo list`).
    #[arg(long, value_name = "NAME")]
    pub(crate) arch: Option<String>,
}

impl FileArgs {
    /// The settings given.
    pub(crate) fn settings(&self) -> Settings {
        Settings { arch: self.arch.clone(), image_size: self.image_size, ..Settings::default() }
    }
}

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    pub(crate) source: RequiredSourceArg,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// The model: an ONNX file, or weights (*.safetensors, *.pth) with --arch.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) reading: ReadingSettings,
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// Which images. A split that DATA does not have is drawn by the seed, as for training.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) split: SplitArg,
    /// Leave out images of classes that the model does not know (default: an error).
    #[arg(long)]
    pub(crate) skip_unknown: bool,
    /// Also top-1 under the 15 corruptions of ImageNet-C and CIFAR-10-C.
    #[arg(long)]
    pub(crate) corruptions: bool,
    /// Severities of the corruptions, 1 to 5, separated by commas (default: all).
    #[arg(long, value_name = "N", value_delimiter = ',', requires = "corruptions", value_parser = SEVERITY.parser())]
    pub(crate) severity: Vec<u8>,
    /// Divide the errors under corruptions by those of this model, as ImageNet-C does by AlexNet's (mCE).
    #[arg(long, value_name = "FILE", requires = "corruptions")]
    pub(crate) baseline: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tta: TtaArgs,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Test-time augmentation.
#[derive(Debug, Args)]
pub(crate) struct TtaArgs {
    /// Average the probabilities over views of each image: `flip` (2 views), `crops` (5), `flip-crops` (10), or a
    /// pipeline file (*.toml, *.json).
    #[arg(long, value_name = "VIEWS", value_parser = values::tta)]
    pub(crate) tta: Option<values::TtaArg>,
    /// Views of a pipeline file, the image itself included.
    #[arg(long, value_name = "N", default_value_t = 8, requires = "tta", value_parser = VIEWS.parser())]
    pub(crate) tta_views: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SplitArg {
    /// Test images if DATA has a test split, else those of its validation split, else all.
    Auto,
    /// All images.
    All,
    /// Training images.
    Train,
    /// Validation images.
    Val,
    /// Test images.
    Test,
}

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// Image files or folders.
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    /// The model: an ONNX file, or weights (*.safetensors, *.pth) with --arch.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) reading: ReadingSettings,
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// How many classes to list per image.
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = COUNT.parser())]
    pub(crate) top: usize,
    /// Say `none of these` where an image is unlike those that the model was validated on, by the threshold in its file.
    #[arg(long, conflicts_with = "tta")]
    pub(crate) reject: bool,
    /// Also name the training images of this data set that are most like each image, as many as `--top`.
    #[arg(long, value_name = "DATA", conflicts_with = "csv")]
    pub(crate) similar: Option<String>,
    #[command(flatten)]
    pub(crate) tta: TtaArgs,
    /// Seed of the views that a pipeline file draws (default: 0).
    #[arg(long, value_name = "S", requires = "tta")]
    pub(crate) seed: Option<u64>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the answers as CSV, with the probability of each class, instead of printing a table (columns: docs/guide.md).
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Make an unreadable image an error instead of skipping it.
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) machine: MachineSettings,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Models, ONNX files.
    #[arg(required = true, value_name = "FILE.onnx")]
    pub(crate) models: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) file: FileArgs,
    #[command(flatten)]
    pub(crate) machine: MachineSettings,
    /// Seconds per measurement.
    #[arg(long, value_name = "S", default_value_t = 2.0, value_parser = SECONDS.parser())]
    pub(crate) seconds: f64,
    /// Show the plan of each model: steps, algorithms, memory.
    #[arg(long, conflicts_with = "json")]
    pub(crate) plan: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The model: an ONNX file, or weights (*.safetensors, *.pth) with --arch.
    #[arg(value_name = "FILE")]
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) reading: ReadingSettings,
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// The file to write: ONNX, or *.safetensors for the weights alone.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Fold batch normalisation into the convolutions.
    #[arg(long)]
    pub(crate) fold: bool,
    /// Quantise to int8, calibrated on this data set's training images.
    #[arg(long, value_name = "DATA")]
    pub(crate) int8: Option<String>,
    /// Measure on this data set's validation images when an image is none of the classes, for `predict --reject`.
    #[arg(long, value_name = "DATA", conflicts_with = "int8")]
    pub(crate) reject: Option<String>,
    /// The ONNX opset to write in (default: the file's, or the newer one that a node needs).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(7..=28))]
    pub(crate) opset: Option<i64>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Calibration of the int8 activations.
    #[arg(long)]
    pub(crate) calibration: Option<Calibration>,
    /// Replace an existing file.
    #[arg(long)]
    pub(crate) force: bool,
}
