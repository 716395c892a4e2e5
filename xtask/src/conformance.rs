//! `cargo xtask conformance`: ONNX's own tests of operators, and what is left of their models when they are written again.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{process, test, workspace};

pub(crate) const ARGUMENTS: &str = "[--filter TEXT] [--verbose] [--write] [--check] [--roundtrip]";
pub(crate) const ABOUT: &str = "Runs the tests of the Python package `onnx` on the plain kernels, or only those with TEXT\n\
                                in the name of the test or operator. `--write` makes docs/conformance.md anew,\n\
                                `--check` fails if that is out of date; both also do what `--roundtrip` does alone:\n\
                                read and write the models, and compare what ONNX Runtime computes before and after.";

/// The page with the results.
const PAGE: &str = "docs/conformance.md";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (mut filter, mut passed_on): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let (mut alone, mut page) = (false, false);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--roundtrip" => alone = true,
            "--filter" => {
                filter = vec![argument.clone(), rest.next().context("--filter needs a text")?.clone()];
            }
            "--verbose" => passed_on.push(argument.clone()),
            "--write" | "--check" => {
                page = true;
                passed_on.extend([argument.clone(), workspace::root().join(PAGE).display().to_string()]);
            }
            other => bail!("unknown argument `{other}`; expected {ARGUMENTS}"),
        }
    }
    if page && (alone || !filter.is_empty()) {
        bail!("--write and --check take all tests and the round trip; leave --filter and --roundtrip out");
    }
    let python = test::oracles()?;
    let folder = workspace::target()?.join("conformance");
    let script = workspace::root().join("xtask").join("conformance.py");
    let python = |arguments: &[&Path]| {
        process::run(Command::new(&python).arg("-B").arg(&script).arg(&folder).args(arguments))
    };
    python(&[])?;
    let runner = workspace::built("oculist-conformance")?;
    let runner = |arguments: &[String]| {
        process::run(Command::new(&runner).current_dir(workspace::root()).arg(&folder).args(arguments))
    };
    if alone || page {
        let written = workspace::target()?.join("conformance-roundtrip");
        let export = ["--export".to_owned(), written.display().to_string()];
        runner(&[&filter[..], &export].concat())?;
        python(&[Path::new("--roundtrip"), &written])?;
        let found = written.join("roundtrip.json").display().to_string();
        passed_on.extend(["--roundtrip".to_owned(), found]);
    }
    if alone { Ok(()) } else { runner(&[filter, passed_on].concat()) }
}
