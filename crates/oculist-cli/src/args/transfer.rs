//! Arguments of the verbs that carry over.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use oculist::{ReadingSettings, TrainingSettings, TransferSettings, TuningSettings};

use super::{DataArgs, FileArgs, OutputArgs, RequiredSourceArg, SourceArg};

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true
)]
pub(crate) struct TransferArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<TransferVerb>,
    #[command(flatten)]
    pub(crate) source: SourceArg,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) transfer: TransferSettings,
    #[command(flatten)]
    pub(crate) reading: ReadingSettings,
    #[command(flatten)]
    pub(crate) file: FileArgs,
    #[command(flatten)]
    pub(crate) training: TrainingSettings,
    #[command(flatten)]
    pub(crate) tuning: TuningSettings,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Only tell what would be done and about how long it would take; nothing is written.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TransferVerb {
    /// Rank sources by how well their features suit the data, without training.
    Estimate(EstimateArgs),
}

/// Data and sources that are looked at without a run.
#[derive(Debug, Args)]
pub(crate) struct LookArgs {
    #[command(flatten)]
    pub(crate) source: RequiredSourceArg,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) transfer: TransferSettings,
    #[command(flatten)]
    pub(crate) reading: ReadingSettings,
    #[command(flatten)]
    pub(crate) file: FileArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EstimateArgs {
    #[command(flatten)]
    pub(crate) look: LookArgs,
    /// Leave out the learning curve of a small network from scratch.
    #[arg(long)]
    pub(crate) no_scratch: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FeaturesArgs {
    #[command(flatten)]
    pub(crate) look: LookArgs,
    /// The file to write: *.npy with names and labels in a *.csv beside it, or *.parquet with all in one.
    #[arg(long, short, value_name = "FILE.npy|FILE.parquet")]
    pub(crate) output: PathBuf,
    /// Replace existing files.
    #[arg(long)]
    pub(crate) force: bool,
}
