//! One function per verb, each thin over the library.

mod audit;
mod augment;
mod inspect;
mod model;
mod recipe;
mod transfer;
mod zoo;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clap::CommandFactory;
use clap::error::ErrorKind;
use oculist::{OculistError, Progress, Watch};
use oculist_hub::{Hub, Spec};

use crate::args::{Cli, DataVerb, Verb, ZooVerb};
use crate::terminal::{Terminal, print, print_as_is, print_paths, say};

/// Runs the verb that was typed.
pub(crate) fn run(cli: &Cli, stop: &AtomicBool) -> anyhow::Result<()> {
    let quiet = cli.quiet;
    match &cli.verb {
        Verb::Optimize(args) => recipe::optimize(args, quiet, stop),
        Verb::Train(args) => recipe::train(args, quiet, stop),
        Verb::Compress(args) => recipe::compress(args, quiet, stop),
        Verb::Transfer(args) => transfer::run(args, quiet, stop),
        Verb::Features(args) => transfer::features(args, quiet, stop),
        Verb::Eval(args) => model::eval(args, quiet, stop),
        Verb::Predict(args) => model::predict(args, quiet),
        Verb::Bench(args) => model::bench(args, quiet),
        Verb::Export(args) => model::export(args, quiet, stop),
        Verb::Report(args) => inspect::report(args, quiet),
        Verb::Augment(verb) => augment::run(verb, quiet, stop),
        Verb::Data(DataVerb::Check(args)) => audit::check(args, quiet, stop),
        Verb::Data(DataVerb::Split(args)) => audit::split(args, quiet, stop),
        Verb::Data(DataVerb::Fix(args)) => audit::fix(args, quiet, stop),
        Verb::Data(DataVerb::Show { source, data, json }) => inspect::data_show(source, data, *json),
        Verb::Zoo(ZooVerb::List { json }) => zoo::list(*json),
        Verb::Zoo(ZooVerb::Show { name, image_size, classes, json }) => {
            zoo::show(name, *image_size, *classes, *json)
        }
        Verb::Completions { shell } => {
            // Into memory first: clap_complete panics on a closed pipe.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "oculist", &mut script);
            print_as_is(&String::from_utf8_lossy(&script))
        }
    }
}

/// The file of a model: the path as it was typed, or where a file of the Hugging Face Hub (`hf:OWNER/NAME`) now lies.
fn local(model: &Path, quiet: bool) -> anyhow::Result<PathBuf> {
    let Some(spec) = model.to_str().map(Spec::parse).transpose()?.flatten() else {
        return Ok(model.to_path_buf());
    };
    let told = |line: &str| {
        if !quiet {
            say(line);
        }
    };
    let fetched = Hub::from_env()?.fetch(&spec, &mut |line| told(line))?;
    for note in &fetched.notes {
        told(note);
    }
    told(&format!("{spec} is {}", fetched.path.display()));
    Ok(fetched.path)
}

/// Ends with a usage error where an architecture is named for a file that holds its own.
fn one_network(model: Option<&Path>, arch: Option<&String>) {
    let holds_network = |path: &Path| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx"));
    if arch.is_some() && model.is_some_and(holds_network) {
        let problem = "the argument '--arch <NAME>' cannot be used with '--model <FILE>' of an ONNX file, which holds its network";
        Cli::command().error(ErrorKind::ArgumentConflict, problem).exit();
    }
}

/// Ends with a usage error that says where pretrained weights come from.
fn no_pretrained(pretrained: Option<&String>, arch: Option<&String>) {
    if pretrained.is_some() {
        let arch = arch.map_or("NAME", String::as_str);
        let problem = format!(
            "there are no weights in this program, so '--pretrained' has nothing to take: give those that you have, of the \
             same classes, with 'optimize --model FILE.pth --arch {arch}' (safetensors or what torch.save writes), or a whole \
             model with '--model FILE.onnx'; from those of other classes carry over with 'transfer DATA --from FILE'"
        );
        Cli::command().error(ErrorKind::ArgumentConflict, problem).exit();
    }
}

/// Runs a job with progress on standard error.
fn watched<T>(
    quiet: bool,
    stop: &AtomicBool,
    job: impl FnOnce(&mut Watch<'_>) -> Result<T, OculistError>,
) -> Result<T, OculistError> {
    let mut terminal = Terminal::new(quiet);
    let mut show = |p: Progress<'_>| terminal.show(&p);
    let result = job(&mut Watch { observer: &mut show, stop });
    terminal.clear();
    result
}
