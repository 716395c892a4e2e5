//! `cargo xtask operators`: what each stage does with each operator, in docs/adding-operators.md.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{process, workspace};

pub(crate) const ARGUMENTS: &str = "--write | --check";
pub(crate) const ABOUT: &str = "Writes the table of docs/adding-operators.md anew from what the stages say themselves, or\n\
                                fails if it is out of date.";

/// The page with the table.
const PAGE: &str = "docs/adding-operators.md";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [mode @ ("--write" | "--check")] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    else {
        bail!("expected {ARGUMENTS}");
    };
    let program = workspace::built("oculist-operators")?;
    process::run(Command::new(program).arg(mode).arg(workspace::root().join(PAGE)))
}
