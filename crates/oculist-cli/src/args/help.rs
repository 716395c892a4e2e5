//! The help in two lengths: `-h` shows the options of a verb that people type first, `--help` all of them in groups.

use clap::{Command, CommandFactory};
use oculist::{
    CompressionSettings, DataSettings, MachineSettings, MeasuringSettings, NetworkSettings, ReadingSettings,
    SeedSettings, StartSettings, TrainingSettings, TransferSettings, TuningSettings,
};

use super::Cli;

/// The groups of `--help`; what is in none is under `Options`.
const GROUPS: [(&str, &[&[&str]]); 9] = [
    ("Data", &[DataSettings::NAMES]),
    ("Model", &[StartSettings::NAMES, NetworkSettings::NAMES]),
    ("Transfer", &[TransferSettings::NAMES]),
    ("What the model's file does not say", &[ReadingSettings::NAMES]),
    ("Training", &[TrainingSettings::NAMES]),
    ("Fine-tuning", &[TuningSettings::NAMES]),
    ("Compression", &[CompressionSettings::NAMES]),
    (
        "Output",
        &[MeasuringSettings::NAMES, &["output", "force", "resume", "verify", "config", "tensorboard"]],
    ),
    ("Run", &[MachineSettings::NAMES, SeedSettings::NAMES, &["recipe", "dry_run"]]),
];

/// The verbs of many options, and the ten of them that are typed first.
pub(crate) const FIRST: [(&str, [&str; 10]); 6] = [
    (
        "optimize",
        [
            "output",
            "arch",
            "image_size",
            "epochs",
            "batch_size",
            "augment",
            "model",
            "max_drop",
            "target",
            "resume",
        ],
    ),
    (
        "train",
        ["output", "arch", "image_size", "epochs", "batch_size", "lr", "augment", "metric", "seed", "resume"],
    ),
    (
        "transfer",
        [
            "from",
            "mode",
            "head",
            "output",
            "arch",
            "preprocessing",
            "precision",
            "epochs",
            "time_budget",
            "resume",
        ],
    ),
    (
        "compress",
        [
            "model",
            "output",
            "preprocessing",
            "classes",
            "max_drop",
            "target",
            "finetune_epochs",
            "calibration",
            "seed",
            "resume",
        ],
    ),
    (
        "eval",
        [
            "model",
            "split",
            "preprocessing",
            "classes",
            "image_size",
            "arch",
            "skip_unknown",
            "corruptions",
            "tta",
            "json",
        ],
    ),
    (
        "predict",
        [
            "model",
            "top",
            "reject",
            "json",
            "preprocessing",
            "classes",
            "image_size",
            "arch",
            "tta",
            "threads",
        ],
    ),
];

/// The command line with the options of all verbs in groups, and those that a short help leaves out marked so.
pub(crate) fn command() -> Command {
    FIRST.iter().fold(grouped(Cli::command()), |command, (verb, first)| {
        command.mut_subcommand(verb, |verb| {
            let options = verb.get_arguments().filter(|arg| !arg.is_positional() && !arg.is_hide_set()).count();
            let pointer = format!(
                "These are the ten options that are typed first; all {options} of this verb: oculist {} --help",
                verb.get_name()
            );
            verb.mut_args(|arg| {
                let stays = arg.is_positional() || first.contains(&arg.get_id().as_str());
                arg.hide_short_help(!stays)
            })
            .after_help(pointer)
            .after_long_help("")
        })
    })
}

/// The options of a command and of those below it in their groups.
fn grouped(command: Command) -> Command {
    let in_group = |arg: clap::Arg| {
        let named = |(_, lists): &&(&str, &[&[&str]])| {
            lists.iter().any(|names| names.contains(&arg.get_id().as_str()))
        };
        match GROUPS.iter().find(named) {
            Some((heading, _)) if !arg.is_positional() => arg.help_heading(*heading),
            _ => arg,
        }
    };
    command.mut_args(in_group).mut_subcommands(grouped)
}
