//! `cargo xtask elpv`: photos of solar cells as class folders, a real data set to try the tool on.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{process, venv, workspace};

pub(crate) const ARGUMENTS: &str = "FOLDER";
pub(crate) const ABOUT: &str = "Makes FOLDER/functional and FOLDER/defective from the 2,624 photos of solar cells in the\n\
                                PyPI package elpv-dataset (CC BY-NC-SA 4.0); defective from a probability of 0.5.";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [folder] = arguments else {
        bail!("expected one folder, found {}", arguments.len());
    };
    let python = venv::ensure("elpv-venv", "requirements-elpv.txt")?;
    let script = workspace::root().join("golden").join("elpv_folder.py");
    process::run(Command::new(&python).arg("-B").arg(script).arg(folder))
}
