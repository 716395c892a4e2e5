//! `cargo xtask elpv`: photos of solar cells as class folders, a real data set to try the tool on.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{process, venv, workspace};

pub(crate) const ARGUMENTS: &str = "FOLDER [SEED]";
pub(crate) const ABOUT: &str = "Makes FOLDER/functional and FOLDER/defective from the 2,624 photos of solar cells in the\n\
                                PyPI package elpv-dataset (CC BY-NC-SA 4.0); defective from a probability of 0.5.\n\
                                With SEED, a quarter of each class is drawn for FOLDER/test, the rest is FOLDER/train.";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let ([folder] | [folder, _]) = arguments else {
        bail!("expected one folder and perhaps a seed, found {}", arguments.len());
    };
    if let Some(seed) = arguments.get(1).filter(|seed| seed.parse::<u64>().is_err()) {
        bail!("expected a whole number as seed, found `{seed}` behind {folder}");
    }
    let python = venv::ensure("elpv-venv", "requirements-elpv.txt")?;
    let script = workspace::root().join("golden").join("elpv_folder.py");
    process::run(Command::new(&python).arg("-B").arg(script).args(arguments))
}
