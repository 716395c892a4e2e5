//! Where things are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Cargo's target folder, taken from where this very program lies (`TARGET/release/xtask`), so that an option
/// or a variable that moves it is respected.
pub(crate) fn target() -> Result<PathBuf> {
    let program = std::env::current_exe().context("where does xtask itself lie?")?;
    let target = program.parent().and_then(Path::parent);
    Ok(target.context("xtask lies outside a target folder; run it as `cargo xtask`")?.to_path_buf())
}

/// The profile that this program was built in, for building others alike.
fn profile() -> Result<String> {
    let program = std::env::current_exe().context("where does xtask itself lie?")?;
    let folder = program.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    // Cargo calls the profile `dev`, and its folder otherwise.
    Ok(folder.map_or("release", |name| if name == "debug" { "dev" } else { name }).to_owned())
}

/// A program of the workspace, built in the profile of this one with the features that the tests build with, so that nothing
/// is built twice.
pub(crate) fn built(program: &str) -> Result<PathBuf> {
    Ok(build(&["--bin", program])?.join(program))
}

/// A dynamic library of the workspace, built as [`built`] does.
pub(crate) fn built_library(name: &str) -> Result<PathBuf> {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    Ok(build(&["--lib"])?.join(format!("{DLL_PREFIX}{name}{DLL_SUFFIX}")))
}

/// Builds targets of the workspace; returns the folder that they lie in.
fn build(targets: &[&str]) -> Result<PathBuf> {
    let profile = profile()?;
    let mut build = Command::new(cargo());
    build.current_dir(root()).args(["build", "--quiet", "--profile", &profile, "--workspace"]).args(targets);
    process::run(&mut build)?;
    let folder = if profile == "dev" { "debug" } else { &profile };
    Ok(target()?.join(folder))
}

/// The cargo that runs us.
pub(crate) fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}
