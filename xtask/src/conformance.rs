//! `cargo xtask conformance`: ONNX's own tests of operators.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{process, test, workspace};

pub(crate) const ARGUMENTS: &str = "[--filter TEXT] [--verbose] [--write] [--check] [--roundtrip]";
pub(crate) const ABOUT: &str = "Runs the tests of the Python package `onnx` on the plain kernels, or only those with TEXT\n\
                                in the name of the test or operator. `--write` makes docs/conformance.md anew,\n\
                                `--check` fails if that is out of date. `--roundtrip` reads and writes the models\n\
                                instead, and compares what ONNX Runtime computes before and after.";

/// The page with the results.
const PAGE: &str = "docs/conformance.md";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut passed_on: Vec<String> = Vec::new();
    let mut roundtrip = false;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--roundtrip" => roundtrip = true,
            "--filter" => {
                passed_on.extend([argument.clone(), rest.next().context("--filter needs a text")?.clone()]);
            }
            "--verbose" => passed_on.push(argument.clone()),
            "--write" | "--check" => {
                passed_on.extend([argument.clone(), workspace::root().join(PAGE).display().to_string()]);
            }
            other => bail!("unknown argument `{other}`; expected {ARGUMENTS}"),
        }
    }
    let python = test::oracles()?;
    let folder = workspace::target()?.join("conformance");
    let script = workspace::root().join("xtask").join("conformance.py");
    process::run(Command::new(&python).arg("-B").arg(&script).arg(&folder))?;
    // With the features that the tests build with, so that nothing is built twice.
    let profile = workspace::profile()?;
    let mut build = Command::new(workspace::cargo());
    build.current_dir(workspace::root()).args(["build", "--quiet", "--profile", &profile, "--workspace"]);
    process::run(build.args(["--bin", "oculist-conformance"]))?;
    let folder_of = if profile == "dev" { "debug" } else { &profile };
    let runner = workspace::target()?.join(folder_of).join("oculist-conformance");
    let mut command = Command::new(runner);
    command.current_dir(workspace::root()).arg(&folder).args(&passed_on);
    if !roundtrip {
        return process::run(&mut command);
    }
    let written = workspace::target()?.join("conformance-roundtrip");
    process::run(command.arg("--export").arg(&written))?;
    process::run(Command::new(&python).arg("-B").arg(&script).arg(&folder).arg("--roundtrip").arg(&written))
}
