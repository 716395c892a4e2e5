//! What can be typed. Nothing here does any work; `verbs` turns the arguments into recipes.

mod audit;
mod augment;
pub(crate) mod habits;
pub(crate) mod help;
mod model;
mod transfer;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, FromArgMatches, Parser, Subcommand};
use oculist::{
    CompressionSettings, DataSettings, MachineSettings, MeasuringSettings, NetworkSettings, ReadingSettings,
    SeedSettings, Settings, SourceSettings, StartSettings, TrainingSettings, TransferSettings,
    TuningSettings,
};

pub(crate) use audit::{CheckArgs, FixArgs, SplitArgs};
pub(crate) use augment::{AugmentVerb, CheckAugmentArgs, PipelineArgs};
pub(crate) use help::command;
pub(crate) use model::{BenchArgs, EvalArgs, ExportArgs, FileArgs, PredictArgs, SplitArg, TtaArgs};
pub(crate) use transfer::{EstimateArgs, FeaturesArgs, LookArgs, TransferArgs, TransferVerb};
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
#[expect(clippy::large_enum_variant, reason = "there is one of it in a process")]
pub(crate) enum Verb {
    /// Train, prune, quantise, export and report, in one go.
    Optimize(OptimizeArgs),
    /// Train a model and export it.
    Train(TrainArgs),
    /// Carry over what a model for another task has learned.
    Transfer(TransferArgs),
    /// Prune and quantise a trained model.
    Compress(CompressArgs),
    /// Accuracy of a model on a data set.
    Eval(EvalArgs),
    /// Classes of image files.
    Predict(PredictArgs),
    /// Features of images, for other tools.
    Features(FeaturesArgs),
    /// Latency and throughput of a model.
    Bench(BenchArgs),
    /// Write a model as ONNX: f32 as it is, or int8.
    Export(ExportArgs),
    /// Make the report page of a run again, or put several runs on one page.
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

impl Cli {
    /// What was typed.
    ///
    /// # Errors
    /// Wrong usage; what is a habit of other tools' users is answered with what to type here.
    pub(crate) fn typed(typed: &[OsString]) -> Result<Self, clap::Error> {
        let mut command = command();
        let matches =
            command.try_get_matches_from_mut(typed).map_err(|e| habits::answered(e, &command, typed))?;
        let cli = Self::from_arg_matches(&matches).map_err(|e| e.format(&mut command))?;
        let data = cli.verb.data().and_then(|data| habits::refused_word(&command, typed, data));
        data.map_or(Ok(cli), Err)
    }
}

impl Verb {
    /// The data that were named.
    fn data(&self) -> Option<&str> {
        match self {
            Self::Optimize(args) => args.source.data.as_deref(),
            Self::Train(args) => args.source.source.data.as_deref(),
            Self::Transfer(args) => args.source.source.data.as_deref(),
            Self::Compress(args) => args.source.source.data.as_deref(),
            Self::Eval(args) => Some(args.source.name()),
            _ => None,
        }
    }

    /// Whether this verb works in steps and stops between two of them: because the run can be continued then, or
    /// because the work can be long.
    pub(crate) fn stops_between_steps(&self) -> bool {
        let audits = matches!(self, Self::Data(DataVerb::Check(_) | DataVerb::Split(_)));
        let checks = matches!(self, Self::Augment(AugmentVerb::Check(_)));
        let carries = matches!(self, Self::Transfer(_) | Self::Features(_));
        audits || checks || carries || matches!(self, Self::Optimize(_) | Self::Train(_) | Self::Compress(_))
    }
}

/// Which images; a file of settings may name them instead.
#[derive(Debug, Args)]
#[command(mut_arg("data", |data| data.required_unless_present("config")))]
pub(crate) struct SourceArg {
    #[command(flatten)]
    pub(crate) source: SourceSettings,
}

/// Which images.
#[derive(Debug, Args)]
#[command(mut_arg("data", |data| data.required(true)))]
pub(crate) struct RequiredSourceArg {
    #[command(flatten)]
    source: SourceSettings,
}

/// How the images are read, and what all work with them shares.
#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    #[command(flatten)]
    images: DataSettings,
    #[command(flatten)]
    machine: MachineSettings,
    #[command(flatten)]
    seed: SeedSettings,
}

impl RequiredSourceArg {
    /// The name or folder of the data set.
    pub(crate) fn name(&self) -> &str {
        self.source.data.as_deref().unwrap_or_default()
    }

    /// The settings given.
    pub(crate) fn settings(&self) -> Settings {
        self.source.clone().into()
    }
}

impl DataArgs {
    /// The settings given.
    pub(crate) fn settings(&self) -> Settings {
        Settings::from(self.images.clone()).over(self.machine.clone().into()).over(self.seed.clone().into())
    }
}

/// Which network to train.
#[derive(Debug, Args)]
pub(crate) struct NetworkArgs {
    #[command(flatten)]
    pub(crate) network: NetworkSettings,
    /// What users of other tools type; says what to type here.
    #[arg(long, value_name = "NAME", hide = true, num_args = 0..=1, default_missing_value = "")]
    pub(crate) pretrained: Option<String>,
}

/// The model that is to be made small.
#[derive(Debug, Args)]
#[command(mut_arg("model", |model| model.required_unless_present("config").help(
    "The trained model: an ONNX file, or weights (*.safetensors, *.pth) with --arch"
)))]
pub(crate) struct TrainedArg {
    #[command(flatten)]
    pub(crate) start: StartSettings,
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
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(crate) tensorboard: Option<OsString>,
    #[command(flatten)]
    pub(crate) measuring: MeasuringSettings,
}

#[derive(Debug, Args)]
#[command(mut_arg("data", |data| data.required_unless_present_any(["config", "recipe"])))]
pub(crate) struct OptimizeArgs {
    #[command(flatten)]
    pub(crate) source: SourceSettings,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) start: StartSettings,
    #[command(flatten)]
    pub(crate) transfer: TransferSettings,
    #[command(flatten)]
    pub(crate) reading: ReadingSettings,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) training: TrainingSettings,
    #[command(flatten)]
    pub(crate) tuning: TuningSettings,
    #[command(flatten)]
    pub(crate) compression: CompressionSettings,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// TOML or JSON file with the stages to run instead of the usual ones (see docs/recipes.md).
    #[arg(long, value_name = "FILE")]
    pub(crate) recipe: Option<PathBuf>,
    /// Only tell what each stage would do and about how long it would take; nothing is written.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) source: SourceArg,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) training: TrainingSettings,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CompressArgs {
    #[command(flatten)]
    pub(crate) source: SourceArg,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) start: TrainedArg,
    #[command(flatten)]
    pub(crate) reading: ReadingSettings,
    #[command(flatten)]
    pub(crate) file: FileArgs,
    #[command(flatten)]
    pub(crate) training: TrainingSettings,
    #[command(flatten)]
    pub(crate) tuning: TuningSettings,
    #[command(flatten)]
    pub(crate) compression: CompressionSettings,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true
)]
pub(crate) struct ReportArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<ReportVerb>,
    /// Folder of a finished run.
    #[arg(value_name = "RUN", required = true)]
    pub(crate) run: Option<PathBuf>,
    /// Only print the tables.
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReportVerb {
    /// Several runs on one page: their recommended models, costs, settings that differ, curves.
    Compare(CompareArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Folders of finished runs, or their summary.json files, also of older versions.
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    pub(crate) runs: Vec<PathBuf>,
    /// The page to write.
    #[arg(long, short, value_name = "FILE.html")]
    pub(crate) output: PathBuf,
    /// Replace an existing file.
    #[arg(long)]
    pub(crate) force: bool,
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
        source: RequiredSourceArg,
        #[command(flatten)]
        data: DataArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ZooVerb {
    /// All architectures with parameters, multiply-adds and where pretrained weights can be had.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// The layers of an architecture with shapes, parameters and multiply-adds.
    Show {
        /// The architecture (see `oculist zoo list`).
        name: String,
        /// Side of square images [default: the published one].
        #[arg(long, value_name = "PIXELS")]
        image_size: Option<usize>,
        /// Number of classes [default: the published one].
        #[arg(long, value_name = "N")]
        classes: Option<usize>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}
