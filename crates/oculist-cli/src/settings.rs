//! From typed arguments to the library's settings: flags over the file given by `--config`.

use std::path::PathBuf;

use oculist::{Existing, Recipe, RunOptions, Settings, Tta};

use crate::args::{OutputArgs, TtaArg, TtaArgs};
use crate::terminal::typed;

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
    let settings = flags.over(args.measuring.clone().into()).over(file);
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
    let tensorboard = args.tensorboard.clone().map(|dir| {
        // Without a folder that of the run.
        if dir.is_empty() { output.join("tensorboard") } else { dir.into() }
    });
    let options = RunOptions { verb, output, existing, verify, command: command(), tensorboard, show: typed };
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
