//! A program that times its job when told to; the protocol is described in `crates/oculist-bench/src/server.rs`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;

/// A started program that has announced itself.
#[derive(Debug)]
pub(crate) struct Program {
    /// What tables call it.
    pub(crate) name: String,
    /// What it said about itself.
    pub(crate) about: Value,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// A case that a program cannot run, and why: `{"declined": REASON}` instead of its greeting.
#[derive(Debug)]
pub(crate) struct Declined(String);

impl std::fmt::Display for Declined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Declined {}

/// One round.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Round {
    /// Seconds of a job, median of the round.
    pub(crate) seconds: f64,
    /// Jobs in the round.
    pub(crate) jobs: usize,
    /// Peak resident memory so far, KiB.
    pub(crate) rss_kb: u64,
    /// Page faults of the process so far.
    pub(crate) faults: u64,
}

impl Program {
    /// Starts a program and waits until it is ready. That it declined is an error of the type [`Declined`].
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self> {
        let shown = process::show(command);
        // What peers write to standard error are progress and warnings; on failure it is the reason.
        let errors = tempfile()?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors.try_clone()?);
        let mut child = command.spawn().with_context(|| format!("`{shown}` does not start"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("`{shown}` has no pipes");
        };
        let mut program =
            Self { name: name.into(), about: Value::Null, child, input, output: BufReader::new(output) };
        match program.answer() {
            Ok(about) if about["ready"] == true => program.about = about,
            Ok(about) if about["declined"].is_string() => {
                return Err(Declined(about["declined"].as_str().unwrap_or_default().into()).into());
            }
            Ok(other) => bail!("`{shown}`: expected to be told that it is ready, found {other}"),
            Err(error) => {
                let _ = program.child.wait();
                bail!("`{shown}` failed: {error:#}\n{}", tail(errors));
            }
        }
        Ok(program)
    }

    /// Lets it work for at least `seconds`.
    pub(crate) fn round(&mut self, seconds: f64) -> Result<Round> {
        let result = writeln!(self.input, "run {seconds}").map_err(Into::into).and_then(|()| self.answer());
        let answer = result.with_context(|| format!("{} stopped in the middle", self.name))?;
        let times = answer["times"].as_array().context("the answer has no times")?;
        let mut times: Vec<f64> = times.iter().filter_map(Value::as_f64).collect();
        times.sort_by(f64::total_cmp);
        let Some(&seconds) = times.get(times.len() / 2) else {
            bail!("{} answered without a time", self.name)
        };
        let count = |key: &str| answer[key].as_u64().unwrap_or(0);
        Ok(Round { seconds, jobs: times.len(), rss_kb: count("rss_kb"), faults: count("faults") })
    }

    /// Sends a line and waits for the answer.
    pub(crate) fn ask(&mut self, line: &str) -> Result<Value> {
        let result = writeln!(self.input, "{line}").map_err(Into::into).and_then(|()| self.answer());
        result.with_context(|| format!("{} stopped at `{line}`", self.name))
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        // Some libraries greet on standard output; answers are the lines in braces.
        while !line.starts_with('{') {
            line.clear();
            if self.output.read_line(&mut line)? == 0 {
                bail!("it ended without an answer");
            }
        }
        serde_json::from_str(&line).with_context(|| format!("`{}`", line.trim()))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself already.
        let _ = writeln!(self.input, "quit");
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file without a name that goes away with its last handle.
fn tempfile() -> Result<std::fs::File> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("oculist-bench-{}-{}.log", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    let file = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// The last lines of what was written.
fn tail(mut file: std::fs::File) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let mut text = String::new();
    let _ = file.seek(SeekFrom::Start(0));
    let _ = file.read_to_string(&mut text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_round_gives_the_median() {
        let script = r#"echo hello; echo '{"ready": true, "version": "x 1"}'; read line; echo "{\"times\": [3, 1, 2], \"rss_kb\": 5}""#;
        let mut program = Program::start("x", &mut shell(script)).unwrap();
        assert_eq!(program.about["version"], "x 1");
        assert_eq!(program.round(0.1).unwrap(), Round { seconds: 2.0, jobs: 3, rss_kb: 5, faults: 0 });
        assert!(program.round(0.1).unwrap_err().to_string().contains("x stopped"));
    }

    #[test]
    fn a_program_that_declines_says_so() {
        let script = r#"echo hello; echo '{"declined": "it has no such operator"}'"#;
        let error = Program::start("x", &mut shell(script)).unwrap_err();
        assert!(error.is::<Declined>());
        assert_eq!(format!("{error:#}"), "it has no such operator");
        assert!(!Program::start("x", &mut shell("exit 1")).unwrap_err().is::<Declined>());
    }

    #[test]
    fn a_program_that_fails_tells_why() {
        let error = Program::start("x", &mut shell("echo no such model >&2; exit 1")).unwrap_err();
        assert!(error.to_string().contains("no such model"), "{error:#}");
        let error = Program::start("x", &mut shell("echo '{}'")).unwrap_err();
        assert!(error.to_string().contains("ready"), "{error:#}");
    }
}
