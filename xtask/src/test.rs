//! `cargo xtask test`: everything that must hold before a change lands, in steps that stop at the first failure.
//!
//! All steps build in the release profile with `--workspace`, so that cargo sees the same features everywhere and
//! builds each dependency once for checking (clippy, rustdoc) and once for running (tests).

mod locks;
mod tally;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{machine, process, venv, workspace};
use tally::Tally;

pub(crate) const ARGUMENTS: &str = "[--only STEPS] [-- ARGS]";
pub(crate) const ABOUT: &str = "Checks everything, or only STEPS: some of fmt, locks, clippy, doc, operators, oracles,\n\
                                conformance, python, test, separated by commas. ARGS go to `cargo test`.";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Fmt,
    Locks,
    Clippy,
    Doc,
    Operators,
    Oracles,
    Conformance,
    Python,
    Test,
}

impl Step {
    /// In the order of running: what is quick and fails often comes first, the tests' own summary last.
    const ALL: [Self; 9] = [
        Self::Fmt,
        Self::Locks,
        Self::Clippy,
        Self::Doc,
        Self::Operators,
        Self::Oracles,
        Self::Conformance,
        Self::Python,
        Self::Test,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Locks => "locks",
            Self::Clippy => "clippy",
            Self::Doc => "doc",
            Self::Operators => "operators",
            Self::Oracles => "oracles",
            Self::Conformance => "conformance",
            Self::Python => "python",
            Self::Test => "test",
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Fmt => "formatting",
            Self::Locks => "lock files of all workspaces are current",
            Self::Clippy => "clippy, warnings denied",
            Self::Doc => "documentation, warnings denied",
            Self::Operators => "what the stages support, against docs/adding-operators.md",
            Self::Oracles => "environment of the Python oracles",
            Self::Conformance => {
                "ONNX's own tests of operators, and their models written again, against docs/conformance.md"
            }
            Self::Python => "the Python package, built and tested",
            Self::Test => "unit, integration, oracle and doc tests",
        }
    }
}

/// What the command line asked for.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    steps: Vec<Step>,
    cargo_test_args: Vec<String>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut steps = Step::ALL.to_vec();
        let mut rest = arguments.iter();
        let mut cargo_test_args = Vec::new();
        while let Some(argument) = rest.next() {
            let names = match argument.as_str() {
                "--" => {
                    cargo_test_args = rest.cloned().collect();
                    break;
                }
                "--only" => rest.next().context("--only needs the names of steps")?.as_str(),
                other => match other.strip_prefix("--only=") {
                    Some(names) => names,
                    None => bail!("unknown argument `{other}`; expected {ARGUMENTS}"),
                },
            };
            let wanted = names.split(',').map(step_called).collect::<Result<Vec<_>>>()?;
            // The tests need the oracles' interpreter, so one step brings the other.
            let tests = wanted.contains(&Step::Test) || wanted.contains(&Step::Python);
            steps.retain(|step| wanted.contains(step) || (tests && *step == Step::Oracles));
        }
        Ok(Self { steps, cargo_test_args })
    }
}

fn step_called(name: &str) -> Result<Step> {
    let step = Step::ALL.into_iter().find(|step| step.name() == name);
    let known = Step::ALL.map(Step::name).join(", ");
    step.with_context(|| format!("there is no step `{name}`; there are {known}"))
}

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let options = Options::parse(arguments)?;
    let begin = Instant::now();
    // What an oracle computes may depend on the processor, so a report of a failure needs these words.
    println!("    {}", machine::describe());
    println!("    {}", covered(machine::has_avx512(), machine::has_vnni()));
    let mut python = None;
    let mut tally = None;
    let mut times = Vec::new();
    for (i, &step) in options.steps.iter().enumerate() {
        println!("==> [{}/{}] {}: {}", i + 1, options.steps.len(), step.name(), step.describe());
        let start = Instant::now();
        let result = match step {
            Step::Fmt => announce_and_run(cargo(&["fmt", "--all", "--check"])),
            Step::Locks => locks::check(&workspace::root()),
            Step::Clippy => {
                let flags = ["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"];
                announce_and_run(cargo(&flags))
            }
            Step::Doc => {
                let mut command = cargo(&["doc", "--release", "--workspace", "--no-deps"]);
                command.env("RUSTDOCFLAGS", "-D warnings");
                announce_and_run(command)
            }
            Step::Operators => crate::operators::run(&["--check".to_owned()]),
            Step::Oracles => oracles().map(|path| python = Some(path)),
            Step::Conformance => crate::conformance::run(&["--check".to_owned()]),
            Step::Python => python
                .as_deref()
                .context("the oracles' environment comes first")
                .and_then(crate::python::test),
            Step::Test => {
                cargo_test(python.as_ref(), &options.cargo_test_args).map(|counted| tally = Some(counted))
            }
        };
        result.with_context(|| {
            format!("step `{}` failed; `cargo xtask test --only {0}` runs it alone", step.name())
        })?;
        times.push(format!("{} {}", step.name(), process::human(start.elapsed())));
        println!("    {} done in {}", step.name(), process::human(start.elapsed()));
    }
    println!("==> {}: {}", process::human(begin.elapsed()), times.join(", "));
    if let Some(tally) = tally {
        println!("{tally}");
    }
    if options.steps.len() == Step::ALL.len() {
        println!("all checks passed");
    } else {
        let names: Vec<&str> = options.steps.iter().map(|step| step.name()).collect();
        println!("{} passed", names.join(", "));
    }
    Ok(())
}

/// Which instruction sets the tests can reach here. The kernels' tests run on each one that the processor has, the
/// slower ones too; the oracles choose for themselves.
fn covered(avx512: bool, vnni: bool) -> &'static str {
    match (avx512, vnni) {
        (true, true) => "the kernels' tests reach the portable, AVX2, AVX-512 and VNNI paths",
        (true, false) => {
            "the kernels' tests reach the portable, AVX2 and AVX-512 paths; the VNNI path is not tested here"
        }
        _ => "the kernels' tests reach the portable and AVX2 paths; AVX-512 and VNNI are not tested here",
    }
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(workspace::cargo());
    command.current_dir(workspace::root()).args(arguments);
    command
}

fn announce_and_run(mut command: Command) -> Result<()> {
    println!("    {}", process::show(&command));
    process::run(&mut command)
}

/// The interpreter that `OCULIST_PYTHON` names, or else that of the environment made here.
pub(crate) fn oracles() -> Result<PathBuf> {
    match std::env::var_os("OCULIST_PYTHON").filter(|value| !value.is_empty()) {
        Some(python) => {
            println!("    OCULIST_PYTHON is set; its packages are used as they are");
            Ok(python.into())
        }
        None => venv::ensure("oracle-venv", "requirements-light.txt"),
    }
}

/// Runs the tests, passes their output through and counts the results on the way.
fn cargo_test(python: Option<&PathBuf>, arguments: &[String]) -> Result<Tally> {
    let mut command = cargo(&["test", "--release", "--workspace"]);
    command.args(arguments).env("OCULIST_REQUIRE_ORACLES", "1").stdin(Stdio::null()).stdout(Stdio::piped());
    if let Some(python) = python {
        command.env("OCULIST_PYTHON", python);
    }
    let shown = process::show(&command);
    println!("    {shown}");
    let mut child = command.spawn().with_context(|| format!("`{shown}` does not start"))?;
    let mut tally = Tally::default();
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout);
        let mut line = Vec::new();
        let mut screen = std::io::stdout();
        while lines.read_until(b'\n', &mut line)? > 0 {
            screen.write_all(&line)?;
            screen.flush()?;
            tally.add(&String::from_utf8_lossy(&line));
            line.clear();
        }
    }
    let status = child.wait()?;
    if !status.success() {
        println!("{tally}");
        bail!("`{shown}` failed ({status})");
    }
    if tally.is_empty() && arguments.is_empty() {
        bail!("`{shown}` ran no test");
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options> {
        Options::parse(&text.split_whitespace().map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn without_arguments_every_step_runs_and_the_tests_come_last() {
        let options = parse("").unwrap();
        assert_eq!(options.steps, Step::ALL);
        assert_eq!(options.steps.last(), Some(&Step::Test));
    }

    #[test]
    fn only_selects_and_keeps_the_order() {
        assert_eq!(parse("--only clippy,fmt").unwrap().steps, [Step::Fmt, Step::Clippy]);
        assert_eq!(parse("--only=doc").unwrap().steps, [Step::Doc]);
    }

    #[test]
    fn tests_bring_their_oracles() {
        assert_eq!(parse("--only python").unwrap().steps, [Step::Oracles, Step::Python]);
        let options = parse("--only test -- -p xtask").unwrap();
        assert_eq!(options.steps, [Step::Oracles, Step::Test]);
        assert_eq!(options.cargo_test_args, ["-p", "xtask"]);
    }

    #[test]
    fn what_the_processor_leaves_untested_is_said() {
        assert!(covered(false, false).contains("AVX-512 and VNNI are not tested"));
        assert!(
            covered(false, true).contains("AVX-512 and VNNI are not tested"),
            "VNNI is a path of AVX-512 here"
        );
        assert!(covered(true, false).contains("the VNNI path is not tested"));
        assert!(!covered(true, true).contains("not tested"));
    }

    #[test]
    fn wrong_arguments_are_named() {
        assert!(parse("--only").unwrap_err().to_string().contains("--only"));
        assert!(parse("--only lint").unwrap_err().to_string().contains("`lint`"));
        assert!(parse("clippy").unwrap_err().to_string().contains("`clippy`"));
    }
}
