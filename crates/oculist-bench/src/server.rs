//! The protocol between the benchmark and a program that it times.
//!
//! When its job is set up and has run once, the program prints one line of JSON with `ready: true` and what it has to
//! say about itself. Then, for each line `run SECONDS` on standard input, it repeats the job for at least so long, at
//! least once, and prints `{"times": [seconds, ...], "rss_kb": ...}`. A line `quit` or the end of the input ends it.

use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::memory;

/// Answers the benchmark until it has had enough.
pub(crate) fn serve(about: Value, job: impl FnMut() -> Result<()>) -> Result<()> {
    serve_on(std::io::stdin().lock(), std::io::stdout().lock(), about, job)
}

fn serve_on(
    input: impl BufRead,
    mut output: impl Write,
    mut about: Value,
    mut job: impl FnMut() -> Result<()>,
) -> Result<()> {
    about["ready"] = json!(true);
    let mut say = |value: Value| -> Result<()> {
        writeln!(output, "{value}")?;
        Ok(output.flush()?)
    };
    say(about)?;
    for line in input.lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["quit"] => break,
            ["run", seconds] => {
                let seconds: f64 = seconds.parse().with_context(|| format!("`{line}`"))?;
                let mut times = Vec::new();
                let start = Instant::now();
                while times.is_empty() || start.elapsed().as_secs_f64() < seconds {
                    let one = Instant::now();
                    job()?;
                    times.push(one.elapsed().as_secs_f64());
                }
                say(json!({"times": times, "rss_kb": memory::peak_kb(), "faults": memory::page_faults()}))?;
            }
            _ => bail!("expected `run SECONDS` or `quit`, found `{line}`"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(input: &str) -> (Result<()>, Vec<Value>, usize) {
        let (mut output, mut jobs) = (Vec::new(), 0);
        let result = serve_on(input.as_bytes(), &mut output, json!({"name": "x"}), || {
            jobs += 1;
            Ok(())
        });
        let text = String::from_utf8(output).unwrap();
        (result, text.lines().map(|l| serde_json::from_str(l).unwrap()).collect(), jobs)
    }

    #[test]
    fn a_job_runs_when_told_and_each_time_is_reported() {
        let (result, answers, jobs) = talk("run 0\nrun 0.01\nquit\nrun 0\n");
        result.unwrap();
        assert_eq!(answers.len(), 3);
        assert_eq!(answers[0], json!({"name": "x", "ready": true}));
        let counts: Vec<usize> = answers[1..].iter().map(|a| a["times"].as_array().unwrap().len()).collect();
        assert_eq!(counts.iter().sum::<usize>(), jobs);
        assert_eq!(counts[0], 1);
        assert!(counts[1] >= 1);
    }

    #[test]
    fn an_unknown_word_is_an_error() {
        assert!(talk("stop\n").0.unwrap_err().to_string().contains("`stop`"));
        assert!(talk("run soon\n").0.is_err());
    }
}
