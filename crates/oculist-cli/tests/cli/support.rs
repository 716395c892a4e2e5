//! Calls of the binary and what comes back, data sets, and the runs that several tests share.

#[path = "support/data.rs"]
pub(crate) mod data;
#[path = "support/runs.rs"]
pub(crate) mod runs;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A call of the binary, as it is typed.
pub(crate) struct Call(Command);

/// The verb (or any first argument) of a call.
pub(crate) fn oculist(verb: &str) -> Call {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oculist"));
    // What a call writes without being told where must not end up in the source tree.
    command.arg(verb).current_dir(env!("CARGO_TARGET_TMPDIR")).stdin(Stdio::null());
    Call(command)
}

impl Call {
    /// One more argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.0.arg(arg);
        self
    }

    /// An option with its value.
    pub(crate) fn option(self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.arg(name).arg(value)
    }

    /// Several arguments without blanks in them.
    pub(crate) fn args(mut self, args: &str) -> Self {
        self.0.args(args.split_whitespace());
        self
    }

    /// The command itself, for its streams.
    pub(crate) fn command(&mut self) -> &mut Command {
        &mut self.0
    }

    /// Runs to the end.
    pub(crate) fn run(mut self) -> Outcome {
        Outcome::new(self.0.output().expect("the binary starts"))
    }

    /// Starts with both streams kept.
    pub(crate) fn start(mut self) -> Child {
        self.0.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
    }
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            status: output.status,
            stdout: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8 on standard error"),
        }
    }

    /// Waits for a started call.
    pub(crate) fn of(child: Child) -> Self {
        Self::new(child.wait_with_output().expect("the call ends"))
    }

    /// Asserts exit code 0.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status.code(), Some(0), "{self:?}");
        self
    }

    /// Asserts the exit code, nothing on standard output, and an error message with all of these words.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "an error is no result");
        let message = self.stderr.split_once("error: ").expect("an error message").1;
        for word in words {
            assert!(message.contains(word), "`{word}` is not in: {message}");
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }
}

/// A folder that goes away with the test.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

/// All files below a folder with their bytes.
pub(crate) fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            let bytes = read(&path);
            all.insert(path, bytes);
        }
    }
    all
}

/// Copies a folder with all below it.
pub(crate) fn copy(from: &Path, to: &Path) {
    for (path, bytes) in contents(from) {
        let target = to.join(path.strip_prefix(from).expect("a path below"));
        std::fs::create_dir_all(target.parent().expect("a parent")).expect("a folder");
        std::fs::write(target, bytes).expect("a copy");
    }
}

#[track_caller]
pub(crate) fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[track_caller]
pub(crate) fn read_text(path: &Path) -> String {
    String::from_utf8(read(path)).expect("UTF-8")
}

#[track_caller]
pub(crate) fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&read(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Waits until a file is there while a call goes on.
pub(crate) fn wait_for(file: &Path, child: &mut Child) {
    let began = Instant::now();
    while !file.exists() {
        let ended = child.try_wait().expect("a child");
        assert!(ended.is_none(), "ended ({ended:?}) before {} was there", file.display());
        assert!(began.elapsed() < Duration::from_mins(2), "{} does not appear", file.display());
        std::thread::sleep(Duration::from_millis(1));
    }
}
