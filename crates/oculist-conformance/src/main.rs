//! Runs ONNX's own tests of operators on the plain kernels. `cargo xtask conformance` writes them and calls this.

mod case;
mod compare;
mod outcome;
mod page;
mod roundtrip;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use oculist_kernels::Context;

use case::{Case, Index};
use outcome::Outcome;
use roundtrip::RoundTrip;

/// What the command line asks for.
struct Options {
    /// The folder with the tests.
    folder: PathBuf,
    /// A part of the names of tests or operators that are run.
    filter: Option<String>,
    /// Whether tests that passed or do not apply are listed.
    verbose: bool,
    /// The page that is written.
    write: Option<PathBuf>,
    /// The page that must be up to date.
    check: Option<PathBuf>,
    /// The folder that models are written to once they are read, instead of running them.
    export: Option<PathBuf>,
    /// What came of the written models.
    roundtrip: Option<PathBuf>,
}

impl Options {
    fn parse() -> Result<Self> {
        let mut arguments = std::env::args().skip(1);
        let folder = arguments.next().context("expected the folder with the tests")?.into();
        let mut options = Self {
            folder,
            filter: None,
            verbose: false,
            write: None,
            check: None,
            export: None,
            roundtrip: None,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("`{argument}` needs a value"));
            match argument.as_str() {
                "--filter" => options.filter = Some(value()?.to_lowercase()),
                "--verbose" => options.verbose = true,
                "--write" => options.write = Some(value()?.into()),
                "--check" => options.check = Some(value()?.into()),
                "--roundtrip" => options.roundtrip = Some(value()?.into()),
                "--export" => options.export = Some(value()?.into()),
                other => bail!("unknown argument `{other}`"),
            }
        }
        Ok(options)
    }

    fn wants(&self, case: &Case) -> bool {
        let Some(filter) = &self.filter else { return true };
        case.name.to_lowercase().contains(filter) || case.op.to_lowercase().contains(filter)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let options = Options::parse()?;
    let index = Index::read(&options.folder)?;
    if let Some(folder) = &options.export {
        return export(&options, &index, folder);
    }
    let ctx = Context::new(1)?.with_max_memory(1 << 31);
    // Panics are counted and listed; their traces would only hide the list.
    std::panic::set_hook(Box::new(|_| {}));
    let mut results: Vec<(&Case, Outcome)> = Vec::new();
    for case in index.cases.iter().filter(|case| options.wants(case)) {
        let outcome = outcome::run(&ctx, &options.folder, case);
        match &outcome {
            Outcome::Failed(failure, problem) => {
                println!("FAILED {} [{}] {problem}", case.name, failure.name());
            }
            Outcome::Passed if options.verbose => println!("passed {}", case.name),
            Outcome::NotApplicable(reason) if options.verbose => println!("n/a    {} [{reason}]", case.name),
            Outcome::Passed | Outcome::NotApplicable(_) => {}
        }
        results.push((case, outcome));
    }
    println!("{}", page::summary(&results));
    if options.filter.is_some() {
        return Ok(ExitCode::SUCCESS);
    }
    let roundtrip = options.roundtrip.as_deref().map(RoundTrip::read).transpose()?.unwrap_or_default();
    let text = page::page(&index.onnx, &results, &roundtrip);
    if let Some(path) = &options.write {
        fs::write(path, &text).with_context(|| path.display().to_string())?;
        println!("wrote {}", path.display());
    }
    if let Some(path) = &options.check {
        let old = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        if let Some(problem) = page::contradicts(&old, &text, &results) {
            println!("{}: {problem}; `cargo xtask conformance --write` makes it anew", path.display());
            return Ok(ExitCode::FAILURE);
        }
        println!("{} holds", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes every model that can be read, under the test's name.
fn export(options: &Options, index: &Index, folder: &Path) -> Result<ExitCode> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let (mut written, mut unread, mut failed) = (0, 0, 0);
    for case in index.cases.iter().filter(|case| options.wants(case)) {
        let Ok(graph) = oculist_onnx::read(options.folder.join(&case.model)) else {
            unread += 1;
            continue;
        };
        match oculist_onnx::to_bytes(&graph) {
            Ok(bytes) => {
                let path = folder.join(&case.name).with_extension("onnx");
                fs::write(&path, bytes).with_context(|| path.display().to_string())?;
                written += 1;
            }
            Err(error) => {
                println!("FAILED {} [export] {error}", case.name);
                failed += 1;
            }
        }
    }
    println!("{written} models read and written, {failed} read and not written, {unread} not read");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
