//! `cargo xtask zoo`: a page for each architecture, in docs/zoo.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{process, workspace};

pub(crate) const ARGUMENTS: &str = "--write | --check";
pub(crate) const ABOUT: &str = "Writes the pages of docs/zoo anew from the architectures themselves, or fails if one is out of\n\
                                date.";

/// The folder with the pages.
const PAGES: &str = "docs/zoo";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [mode @ ("--write" | "--check")] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    else {
        bail!("expected {ARGUMENTS}");
    };
    let mut command = Command::new(workspace::cargo());
    command.current_dir(workspace::root());
    command.args([
        "run",
        "--quiet",
        "--release",
        "--package",
        "oculist-zoo",
        "--example",
        "pages",
        "--",
        mode,
    ]);
    process::run(command.arg(workspace::root().join(PAGES)))
}
