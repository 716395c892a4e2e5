//! `cargo xtask sanitize`: the kernels' tests under AddressSanitizer, and their portable path under Miri.
//!
//! The nightly toolchain is asked for through rustup. The standard library is the precompiled one, so accesses inside
//! of it are not watched; `--target` keeps procedural macros, which run inside the compiler, free of instrumentation.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::{process, workspace};

pub(crate) const ARGUMENTS: &str = "[-- ARGS]";
pub(crate) const ABOUT: &str = "Runs the tests of oculist-kernels under AddressSanitizer (nightly toolchain) and, where Miri\n\
                                is installed, the portable ones under Miri. ARGS go to `cargo test`.";

/// The only package with `unsafe`.
const PACKAGE: &str = "oculist-kernels";

/// Tests whose name holds this word are small and stay on the portable path.
const PORTABLE: &str = "portable";

/// Reads one element behind an array: AddressSanitizer must see it, or its silence says nothing.
const FAULTY: &str = "fn main() {
    let x = vec![1.0f32; 16].into_boxed_slice();
    let behind = std::hint::black_box(x.as_ptr().wrapping_add(16));
    println!(\"{}\", unsafe { behind.read() });
}
";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let test_arguments = match arguments.split_first() {
        None => &[],
        Some((dashes, rest)) if dashes == "--" => rest,
        Some((other, _)) => bail!("unknown argument `{other}`; expected {ARGUMENTS}"),
    };
    let Some(version) = process::output(nightly("rustc").arg("-vV")) else {
        bail!(
            "there is no nightly toolchain, so nothing was checked; `rustup toolchain install nightly` gets it"
        );
    };
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("`rustc -vV` names no host")?;
    let target = workspace::target()?.join("sanitize");
    std::fs::create_dir_all(&target).with_context(|| format!("{} cannot be made", target.display()))?;

    println!("==> AddressSanitizer on a program with a known fault");
    address_sanitizer_works(&target)?;
    println!("==> {PACKAGE} under AddressSanitizer");
    let mut command = nightly("cargo");
    command.args(["test", "--release", "--package", PACKAGE, "--target", host]).args(test_arguments);
    checked_build(&mut command, &target).env("RUSTFLAGS", "-Zsanitizer=address");
    command.env("RUSTDOCFLAGS", "-Zsanitizer=address");
    announce_and_run(command)?;

    println!("==> {PACKAGE} under Miri");
    if process::output(nightly("cargo").args(["miri", "--version"])).is_none() {
        println!(
            "    NOT RUN: Miri is not installed; `rustup component add --toolchain nightly miri` gets it"
        );
        println!("AddressSanitizer found nothing; Miri was not run");
        return Ok(());
    }
    let mut command = nightly("cargo");
    command.args(["miri", "test", "--package", PACKAGE, "--lib", "--tests", PORTABLE]);
    command.env("CARGO_TARGET_DIR", &target).env_remove("RUSTFLAGS");
    announce_and_run(command)?;
    println!("AddressSanitizer and Miri found nothing");
    Ok(())
}

/// A program of the nightly toolchain. `cargo xtask` has set the variables of its own toolchain, which must not leak.
fn nightly(program: &str) -> Command {
    let mut command = Command::new("rustup");
    command.current_dir(workspace::root()).args(["run", "nightly", program]);
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "CARGO_ENCODED_RUSTFLAGS"] {
        command.env_remove(variable);
    }
    command
}

/// Debug assertions, ours and those of the standard library's unsafe functions, and line numbers in reports.
fn checked_build<'a>(command: &'a mut Command, target: &Path) -> &'a mut Command {
    command
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only")
}

/// Builds and runs [`FAULTY`], which must end with a report.
fn address_sanitizer_works(target: &Path) -> Result<()> {
    let (source, program) = (target.join("faulty.rs"), target.join("faulty"));
    std::fs::write(&source, FAULTY).with_context(|| format!("{} cannot be written", source.display()))?;
    let mut compile = nightly("rustc");
    compile.args(["-Zsanitizer=address", "-O", "--edition=2024", "-o"]).arg(&program).arg(&source);
    process::run(&mut compile)?;
    let output =
        Command::new(&program).stdin(Stdio::null()).output().context("the program does not start")?;
    let report = String::from_utf8_lossy(&output.stderr);
    ensure!(
        !output.status.success() && report.contains("heap-buffer-overflow"),
        "AddressSanitizer does not see a read behind an array, so its silence would say nothing:\n{report}"
    );
    println!("    it sees the fault");
    Ok(())
}

fn announce_and_run(mut command: Command) -> Result<()> {
    println!("    {}", process::show(&command));
    process::run(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_argument_is_refused_before_anything_runs() {
        let error = run(&["--fast".to_string()]).unwrap_err().to_string();
        assert!(error.contains("--fast"), "{error}");
    }

    #[test]
    fn the_toolchain_of_the_caller_does_not_leak() {
        let command = nightly("cargo");
        assert_eq!(process::show(&command), "rustup run nightly cargo");
        assert!(command.get_envs().any(|(name, value)| name == "RUSTUP_TOOLCHAIN" && value.is_none()));
    }
}
