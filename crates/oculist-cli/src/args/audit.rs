//! Arguments of `data check`, `data split` and `data fix`.

use std::path::PathBuf;

use clap::Args;
use oculist::range::COUNT;

use super::values::PART;
use super::{DataArgs, RequiredSourceArg};

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) source: RequiredSourceArg,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Also look for wrong labels: trains a small network per fold, which takes minutes.
    #[arg(long)]
    pub(crate) labels: bool,
    /// Each image is judged by a network that was trained on the other folds.
    #[arg(long, value_name = "K", default_value_t = 4, requires = "labels", value_parser = COUNT.parser())]
    pub(crate) folds: usize,
    /// Epochs of each of these networks (default: by the number of images).
    #[arg(long, value_name = "N", requires = "labels", value_parser = COUNT.parser())]
    pub(crate) epochs: Option<usize>,
    /// Folder for audit.html and audit.json (default: `runs/check-DATA`).
    #[arg(long, short, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Write the JSON here instead.
    #[arg(long, value_name = "FILE.json")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SplitArgs {
    #[command(flatten)]
    pub(crate) source: RequiredSourceArg,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// The manifest to write: FILE.csv, or JSON Lines as FILE.jsonl.
    #[arg(long, short, value_name = "FILE.csv")]
    pub(crate) output: PathBuf,
    /// Replace an existing manifest.
    #[arg(long)]
    pub(crate) force: bool,
    /// Part of the images for training.
    #[arg(long, value_name = "PART", default_value_t = 0.7, value_parser = PART.parser())]
    pub(crate) train: f64,
    /// Part of the images for validation.
    #[arg(long, value_name = "PART", default_value_t = 0.15, value_parser = PART.parser())]
    pub(crate) val: f64,
    /// Part of the images for the test.
    #[arg(long, value_name = "PART", default_value_t = 0.15, value_parser = PART.parser())]
    pub(crate) test: f64,
    /// Keep images together that have the same value in this column of the manifest DATA.
    #[arg(long, value_name = "COLUMN", conflicts_with = "groups_regex")]
    pub(crate) groups: Option<String>,
    /// Keep images together in whose file names the first group of this expression is the same text.
    #[arg(long, value_name = "REGEX")]
    pub(crate) groups_regex: Option<String>,
    /// Keep exact and near duplicates together.
    #[arg(long)]
    pub(crate) keep_duplicates_together: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FixArgs {
    /// The audit that `data check` wrote.
    #[arg(value_name = "AUDIT.json")]
    pub(crate) audit: PathBuf,
    /// Kinds of issues whose images are left out, separated by commas.
    #[arg(long, value_name = "KINDS", value_delimiter = ',', required_unless_present = "relabel")]
    pub(crate) apply: Vec<String>,
    /// Manifest with file_name and label (CSV or JSON Lines): labels that you approve.
    #[arg(long, value_name = "FILE.csv")]
    pub(crate) relabel: Option<PathBuf>,
    /// The manifest to write: FILE.csv, or JSON Lines as FILE.jsonl.
    #[arg(long, short, value_name = "FILE.csv")]
    pub(crate) output: PathBuf,
    /// Replace an existing manifest.
    #[arg(long)]
    pub(crate) force: bool,
    /// Threads (default: all cores).
    #[arg(long, value_name = "N", value_parser = COUNT.parser())]
    pub(crate) threads: Option<usize>,
}
