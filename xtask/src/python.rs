//! The Python package: laid out for tests and benchmarks, and as a wheel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{process, venv, workspace};

pub(crate) const ARGUMENTS: &str = "";
pub(crate) const ABOUT: &str =
    "Builds the wheel of the Python package into target/wheels; pip installs it where there is no Rust.";

/// A wheel of more bytes than this is a mistake.
const LARGEST_WHEEL: u64 = 20_000_000;

/// `cargo xtask wheel`.
pub(crate) fn wheel(arguments: &[String]) -> Result<()> {
    if let Some(argument) = arguments.first() {
        bail!("unknown argument `{argument}`; `cargo xtask wheel` takes none");
    }
    let python = venv::ensure_from("wheel-venv", &source().join("requirements-build.txt"))?;
    let target = workspace::target()?;
    let folder = target.join("wheels");
    // Else an older version would lie beside the new one.
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    let mut maturin = Command::new(&python);
    maturin.args(["-m", "maturin", "build", "--release", "--locked", "--manifest-path"]);
    maturin.arg(source().join("Cargo.toml")).arg("--out").arg(&folder);
    maturin.env("CARGO_TARGET_DIR", &target).env("CARGO", workspace::cargo());
    process::run(&mut maturin)?;
    for file in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let file = file?;
        let bytes = file.metadata()?.len();
        println!("    {} {:.1} MB", file.path().display(), bytes as f64 / 1e6);
        if bytes > LARGEST_WHEEL {
            bail!("the wheel has {bytes} bytes, expected at most {LARGEST_WHEEL}");
        }
    }
    Ok(())
}

/// Runs the package's tests with an interpreter that has their libraries.
pub(crate) fn test(python: &Path) -> Result<()> {
    let mut pytest = Command::new(python);
    pytest.args(["-B", "-m", "pytest", "--quiet", "-p", "no:cacheprovider"]).arg(source());
    pytest.env("PYTHONPATH", package()?).env("OCULIST_REQUIRE_ORACLES", "1");
    process::run(&mut pytest)
}

/// The folder that holds the package as `import oculist` finds it, with the module built now.
pub(crate) fn package() -> Result<PathBuf> {
    let library = workspace::built_library("_oculist")?;
    let folder = workspace::target()?.join("python-package");
    let package = folder.join("oculist");
    if package.exists() {
        fs::remove_dir_all(&package).with_context(|| package.display().to_string())?;
    }
    fs::create_dir_all(&package).with_context(|| package.display().to_string())?;
    let sources = source().join("package").join("oculist");
    for file in fs::read_dir(&sources).with_context(|| sources.display().to_string())? {
        let file = file?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), package.join(file.file_name()))?;
        }
    }
    let module = package.join("_oculist.abi3.so");
    fs::copy(&library, &module).with_context(|| library.display().to_string())?;
    Ok(folder)
}

fn source() -> PathBuf {
    workspace::root().join("python")
}
