//! Runs the Python oracles (NumPy, Pillow, OpenCV, ONNX, ONNX Runtime, TensorBoard) as separate processes.
//!
//! `cargo xtask test` makes a venv with them and passes its interpreter in `OCULIST_PYTHON`. Without that
//! variable an oracle test has nothing to compare with: it says so and passes, unless `OCULIST_REQUIRE_ORACLES`
//! is `1`, when it fails.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What a script printed and how it ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether the exit code was 0.
    pub success: bool,
    /// Everything on standard output.
    pub stdout: String,
    /// Everything on standard error.
    pub stderr: String,
}

impl Outcome {
    /// Standard output as JSON.
    ///
    /// # Panics
    /// If it is no JSON; the message shows both streams.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| {
            panic!(
                "the oracle printed no JSON ({e})\n--- stdout\n{}\n--- stderr\n{}",
                self.stdout, self.stderr
            )
        })
    }

    /// The outcome itself, if the script succeeded.
    ///
    /// # Panics
    /// If it did not; the message shows both streams.
    #[must_use]
    pub fn expect_success(self) -> Self {
        assert!(self.success, "the oracle failed\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }
}

/// The interpreter of the oracle venv, or `None`, with a line saying so, when `OCULIST_PYTHON` is not set.
///
/// # Panics
/// If `OCULIST_PYTHON` is not set although `OCULIST_REQUIRE_ORACLES` is `1`.
pub fn interpreter() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    choose(set("OCULIST_PYTHON").map(PathBuf::from), set("OCULIST_REQUIRE_ORACLES").is_some_and(|v| v == "1"))
}

/// [`interpreter`] without the environment.
fn choose(python: Option<PathBuf>, required: bool) -> Option<PathBuf> {
    assert!(
        python.is_some() || !required,
        "OCULIST_REQUIRE_ORACLES is 1 but OCULIST_PYTHON is not set; run `cargo xtask test`"
    );
    if python.is_none() {
        println!("skipped: OCULIST_PYTHON is not set, so there is no oracle to compare with");
    }
    python
}

/// Runs `golden/oracles/SCRIPT` with `args`; `None` if there is no interpreter (see [`interpreter`]).
///
/// # Panics
/// If the interpreter cannot be started, or is required and missing.
pub fn run<A: AsRef<OsStr>>(script: &str, args: impl IntoIterator<Item = A>) -> Option<Outcome> {
    run_file(&crate::golden::path("oracles").join(script), args)
}

/// [`run`] with a script anywhere, such as one beside the tests of another crate.
///
/// # Panics
/// As [`run`].
pub fn run_file<A: AsRef<OsStr>>(script: &Path, args: impl IntoIterator<Item = A>) -> Option<Outcome> {
    let python = interpreter()?;
    assert!(script.is_file(), "{} is no file", script.display());
    Some(start(&python, [script.as_os_str()], args))
}

/// [`run`] with the program given as text.
///
/// # Panics
/// As [`run`].
pub fn run_source<A: AsRef<OsStr>>(source: &str, args: impl IntoIterator<Item = A>) -> Option<Outcome> {
    Some(start(&interpreter()?, [OsStr::new("-c"), OsStr::new(source)], args))
}

fn start<'a, A: AsRef<OsStr>>(
    python: &Path,
    program: impl IntoIterator<Item = &'a OsStr>,
    args: impl IntoIterator<Item = A>,
) -> Outcome {
    let output = Command::new(python)
        // `-B`: tests must not write __pycache__ into the source tree.
        .arg("-B")
        .args(program)
        .args(args)
        .output()
        .unwrap_or_else(|e| panic!("{} does not start: {e}", python.display()));
    Outcome {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_interpreter_tests_are_skipped() {
        assert_eq!(choose(None, false), None);
        assert_eq!(choose(Some("python3".into()), true), Some("python3".into()));
    }

    #[test]
    #[should_panic(expected = "cargo xtask test")]
    fn a_required_interpreter_must_be_there() {
        choose(None, true);
    }

    #[test]
    fn arguments_output_and_exit_code_come_through() {
        let source = "import sys; print('[1, 2]'); print(sys.argv[1], file=sys.stderr); sys.exit(3)";
        let Some(outcome) = run_source(source, ["x y"]) else { return };
        assert!(!outcome.success);
        assert_eq!(outcome.json(), serde_json::json!([1, 2]));
        assert_eq!(outcome.stderr.trim(), "x y");
    }

    #[test]
    fn the_venv_holds_every_oracle() {
        let source = "import cv2, numpy, onnx, onnxruntime, PIL, tensorboard; print('{\"ok\": true}')";
        let Some(outcome) = run_source::<&str>(source, []) else { return };
        assert_eq!(outcome.expect_success().json()["ok"], true);
    }

    #[test]
    #[should_panic(expected = "the oracle failed")]
    fn a_failed_script_is_not_a_success() {
        let outcome = Outcome { success: false, stdout: String::new(), stderr: "Traceback".into() };
        let _ = outcome.expect_success();
    }
}
