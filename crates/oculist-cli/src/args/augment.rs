//! Arguments of `augment preview`, `augment check` and `augment apply`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use oculist::Augmentation;
use oculist::range::{COUNT, PIXELS};

use super::{DataArgs, RequiredSourceArg};

/// Which augmentation, of which images.
#[derive(Debug, Args)]
pub(crate) struct PipelineArgs {
    #[command(flatten)]
    pub(crate) source: RequiredSourceArg,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Side of the square images in pixels (default: by the data).
    #[arg(long, value_name = "PIXELS", value_parser = PIXELS.parser())]
    pub(crate) image_size: Option<usize>,
    /// The augmentation (default: what training would use).
    #[arg(long)]
    pub(crate) augment: Option<Augmentation>,
    /// TOML or JSON file with an augmentation pipeline (see docs/augmentation.md).
    #[arg(long, value_name = "FILE", conflicts_with = "augment")]
    pub(crate) augmentation: Option<PathBuf>,
}

/// What is checked, and by which classifier.
#[derive(Debug, Args)]
pub(crate) struct CheckAugmentArgs {
    #[command(flatten)]
    pub(crate) source: RequiredSourceArg,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Check the steps of this pipeline, a TOML or JSON file (default: every operation at a usual strength).
    #[arg(long, value_name = "FILE")]
    pub(crate) augmentation: Option<PathBuf>,
    /// The classifier, an ONNX file made by oculist (default: train a small one).
    #[arg(long, value_name = "FILE.onnx", conflicts_with_all = ["epochs", "image_size"])]
    pub(crate) model: Option<PathBuf>,
    /// Epochs of the small classifier (default: by the number of images).
    #[arg(long, value_name = "N", value_parser = COUNT.parser())]
    pub(crate) epochs: Option<usize>,
    /// Side of the small classifier's square input in pixels (default: by the data, at most 64).
    #[arg(long, value_name = "PIXELS", value_parser = PIXELS.parser())]
    pub(crate) image_size: Option<usize>,
    /// Validation images looked at, at the most.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = COUNT.parser())]
    pub(crate) images: usize,
    /// Folder for augment-check.html and augment-check.json (default: `runs/augment-check-DATA`).
    #[arg(long, short, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Write the JSON here instead.
    #[arg(long, value_name = "FILE.json")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AugmentVerb {
    /// Write a contact sheet of augmented images, as a picture and as a page.
    Preview {
        #[command(flatten)]
        pipeline: PipelineArgs,
        /// Training images shown.
        #[arg(long, value_name = "N", default_value_t = 8, value_parser = COUNT.parser())]
        images: usize,
        /// Augmented forms of each.
        #[arg(long, value_name = "N", default_value_t = 8, value_parser = COUNT.parser())]
        copies: usize,
        /// Folder for preview.png and preview.html (default: `runs/preview-DATA`).
        #[arg(long, short, value_name = "DIR")]
        output: Option<PathBuf>,
    },
    /// Report which operations make a classifier take which classes for others; changes nothing.
    Check(CheckAugmentArgs),
    /// Write the data set with augmented copies of the training images, as class folders with a manifest.
    Apply {
        #[command(flatten)]
        pipeline: PipelineArgs,
        /// Augmented copies of each training image.
        #[arg(long, value_name = "N", value_parser = COUNT.parser())]
        copies: usize,
        /// Folder of the new data set; an interrupted run is completed.
        #[arg(long, short, value_name = "DIR")]
        output: PathBuf,
    },
}
