//! `cargo xtask conformance`: ONNX's own tests of operators.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{process, test, workspace};

pub(crate) const ARGUMENTS: &str = "[--filter TEXT] [--verbose] [--write] [--check]";
pub(crate) const ABOUT: &str = "Runs the tests of the Python package `onnx` on the plain kernels, or only those with TEXT\n\
                                in the name of the test or operator. `--write` makes docs/conformance.md anew,\n\
                                `--check` fails if that is out of date.";

/// The page with the results.
const PAGE: &str = "docs/conformance.md";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut passed_on: Vec<String> = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        passed_on.push(argument.clone());
        match argument.as_str() {
            "--filter" => passed_on.push(rest.next().context("--filter needs a text")?.clone()),
            "--verbose" => {}
            "--write" | "--check" => passed_on.push(workspace::root().join(PAGE).display().to_string()),
            other => bail!("unknown argument `{other}`; expected {ARGUMENTS}"),
        }
    }
    let python = test::oracles()?;
    let folder = workspace::target()?.join("conformance");
    let script = workspace::root().join("xtask").join("conformance.py");
    process::run(Command::new(python).arg("-B").arg(script).arg(&folder))?;
    let mut command = Command::new(workspace::cargo());
    command.current_dir(workspace::root()).args(["run", "--quiet", "--profile", &workspace::profile()?]);
    command.args(["--package", "oculist-conformance", "--"]).arg(&folder).args(&passed_on);
    process::run(&mut command)
}
