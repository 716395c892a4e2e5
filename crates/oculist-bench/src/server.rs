//! The protocol between the benchmark and a program that it times.
//!
//! When its job is set up and has run once, the program prints one line of JSON with `ready: true` and what it has to
//! say about itself. Then, for each line `run SECONDS` on standard input, it repeats the job for at least so long, at
//! least once, and prints `{"times": [seconds, ...], "rss_kb": ...}`. A line `quit` or the end of the input ends it.
//!
//! A program with many short jobs understands two lines more: `case NAME` chooses the job (the answer has `case`, or
//! `missing` with the reason why there is no such job), and `check` asks for its output (the answer has `file` and
//! `shape`, f32 values in HWC order; or `random`; or `other` with what the job does that ours does not).

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
                let times = time(seconds, &mut job)?;
                say(json!({"times": times, "rss_kb": memory::peak_kb(), "faults": memory::page_faults()}))?;
            }
            _ => bail!("expected `run SECONDS` or `quit`, found `{line}`"),
        }
    }
    Ok(())
}

/// Repeats a job for at least so many seconds, at least once; the seconds of each.
pub(crate) fn time(seconds: f64, mut job: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    let start = Instant::now();
    while times.is_empty() || start.elapsed().as_secs_f64() < seconds {
        let one = Instant::now();
        job()?;
        times.push(one.elapsed().as_secs_f64());
    }
    Ok(times)
}

/// Many jobs, one of them chosen; each answers with what is printed.
pub(crate) trait Cases {
    /// Makes the job of this name the chosen one and runs it once.
    fn choose(&mut self, name: &str) -> Result<Value>;
    /// The chosen job's output.
    fn check(&mut self) -> Result<Value>;
    /// Times the chosen job.
    fn run(&mut self, seconds: f64) -> Result<Value>;
}

/// Answers the benchmark until it has had enough.
pub(crate) fn serve_cases(about: Value, cases: &mut impl Cases) -> Result<()> {
    serve_cases_on(std::io::stdin().lock(), std::io::stdout().lock(), about, cases)
}

fn serve_cases_on(
    input: impl BufRead,
    mut output: impl Write,
    mut about: Value,
    cases: &mut impl Cases,
) -> Result<()> {
    about["ready"] = json!(true);
    writeln!(output, "{about}")?;
    output.flush()?;
    for line in input.lines() {
        let line = line?;
        let answer = match line.split_once(' ').unwrap_or((&line, "")) {
            ("quit", "") => break,
            ("case", name) => cases.choose(name)?,
            ("check", "") => cases.check()?,
            ("run", seconds) => cases.run(seconds.parse().with_context(|| format!("`{line}`"))?)?,
            _ => bail!("expected `case NAME`, `check`, `run SECONDS` or `quit`, found `{line}`"),
        };
        writeln!(output, "{answer}")?;
        output.flush()?;
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

    struct Names(Vec<String>);

    impl Cases for Names {
        fn choose(&mut self, name: &str) -> Result<Value> {
            self.0.push(name.into());
            Ok(json!({"case": name}))
        }

        fn check(&mut self) -> Result<Value> {
            Ok(json!({"random": true}))
        }

        fn run(&mut self, seconds: f64) -> Result<Value> {
            Ok(json!({"times": time(seconds, || Ok(()))?.len()}))
        }
    }

    #[test]
    fn cases_are_chosen_by_names_of_several_words() {
        let mut names = Names(Vec::new());
        let mut output = Vec::new();
        let input = "case to grey\ncheck\nrun 0\nquit\n";
        serve_cases_on(input.as_bytes(), &mut output, json!({}), &mut names).unwrap();
        let text = String::from_utf8(output).unwrap();
        let answers: Vec<&str> = text.lines().collect();
        let expected = [r#"{"ready":true}"#, r#"{"case":"to grey"}"#, r#"{"random":true}"#, r#"{"times":1}"#];
        assert_eq!(answers, expected);
        assert_eq!(names.0, ["to grey"]);
        assert!(serve_cases_on("halt\n".as_bytes(), Vec::new(), json!({}), &mut names).is_err());
    }
}
