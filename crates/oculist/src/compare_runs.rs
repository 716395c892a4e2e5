//! Puts several finished runs on one page.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use oculist_report::{ComparedRun, RunSummary, render_runs_html};
use serde_json::{Map, Value};

use crate::error::{OculistError, wrong};
use crate::files::{check_free_beside, toml_problem, write};
use crate::message::setting;
use crate::report_again::missing;
use crate::sink::folder::SUMMARY_FILE;

/// Where the page goes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CompareOptions {
    /// The file to write.
    pub output: PathBuf,
    /// Whether an existing file may be replaced.
    pub replace: bool,
}

impl CompareOptions {
    /// A new file.
    pub fn new(output: impl Into<PathBuf>) -> Self {
        Self { output: output.into(), replace: false }
    }
}

/// Reads the `summary.json` of finished runs, of this or an older version of its schema, and writes a page that compares
/// them: the recommended models, costs, settings that differ, curves. A run is named by its folder, or by its summary.
///
/// # Errors
/// [`OculistError::Output`] naming a run without a summary, or a summary that is none; or the page, if it is there already
/// and may not be replaced, or cannot be written. [`OculistError::Setting`] for fewer than two runs, or one given twice.
pub fn compare_runs(runs: &[PathBuf], options: &CompareOptions) -> Result<Vec<ComparedRun>, OculistError> {
    if runs.len() < 2 {
        return Err(wrong("runs", format!("expected at least two runs to compare, found {}", runs.len())));
    }
    let output = &options.output;
    check_free_beside(output)?;
    if output.is_dir() {
        return Err(problem(output, "expected a file to write, found a folder"));
    }
    if output.exists() && !options.replace {
        return Err(problem(output, &format!("exists already; replace it with {}", setting("force"))));
    }
    let mut seen = BTreeSet::new();
    for run in runs {
        if !seen.insert(run.canonicalize().unwrap_or_else(|_| run.clone())) {
            return Err(problem(run, "expected different runs, found this one twice"));
        }
    }
    let names = names(runs);
    let compared =
        runs.iter().zip(names).map(|(run, name)| read(run, name)).collect::<Result<Vec<_>, _>>()?;
    write(output, render_runs_html(&compared)?.as_bytes())?;
    Ok(compared)
}

fn problem(path: &Path, problem: &str) -> OculistError {
    OculistError::Output { path: path.to_path_buf(), problem: problem.to_owned().into() }
}

fn read(run: &Path, name: String) -> Result<ComparedRun, OculistError> {
    let file = if run.is_file() { run.to_path_buf() } else { run.join(SUMMARY_FILE) };
    let text = oculist_files::read_to_string(&file).map_err(|e| {
        if file.exists() { problem(&file, &e.to_string()) } else { problem(run, &missing(run, &e)) }
    })?;
    let summary = RunSummary::from_json(&text).map_err(|e| problem(&file, &e.to_string()))?;
    if summary.models.is_empty() {
        return Err(problem(&file, "expected a run with at least one measured model, found none"));
    }
    let config = toml::from_str::<Map<String, Value>>(&summary.config)
        .map_err(|e| problem(&file, &format!("config: {}", toml_problem(&e, &summary.config))))?;
    let mut settings = Vec::new();
    flatten("", &Value::Object(config), &mut settings);
    Ok(ComparedRun { name, summary, settings })
}

/// The values of a configuration under the names of the tables that they are in.
fn flatten(prefix: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let dot = if prefix.is_empty() { "" } else { "." };
                flatten(&format!("{prefix}{dot}{key}"), value, into);
            }
        }
        Value::String(text) => into.push((prefix.to_owned(), text.clone())),
        other => into.push((prefix.to_owned(), other.to_string())),
    }
}

/// What runs are called: the last parts of their paths, as many as tell them apart.
fn names(runs: &[PathBuf]) -> Vec<String> {
    let parts: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            let path = run.canonicalize().unwrap_or_else(|_| run.clone());
            path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
        })
        .collect();
    let longest = parts.iter().map(Vec::len).max().unwrap_or(1);
    let named = |count: usize| -> Vec<String> {
        parts.iter().map(|all| all[all.len().saturating_sub(count)..].join("/")).collect()
    };
    (1..=longest)
        .map(named)
        .find(|names| {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for name in names {
                *counts.entry(name).or_default() += 1;
            }
            counts.values().all(|&count| count == 1)
        })
        .unwrap_or_else(|| named(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_short_as_tells_the_runs_apart() {
        let of = |paths: &[&str]| names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(of(&["runs/a", "runs/b"]), ["a", "b"]);
        assert_eq!(of(&["x/run", "y/run"]), ["x/run", "y/run"]);
    }

    #[test]
    fn values_are_named_by_their_tables() {
        let config: Map<String, Value> =
            toml::from_str("seed = 3\n[train]\nlr = 0.1\nname = \"sgd\"\nlist = [1, 2]").unwrap();
        let mut found = Vec::new();
        flatten("", &Value::Object(config), &mut found);
        found.sort();
        let want = [("seed", "3"), ("train.list", "[1,2]"), ("train.lr", "0.1"), ("train.name", "sgd")];
        assert_eq!(found, want.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn a_run_without_numbers_is_named_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        for run in [&a, &b] {
            std::fs::create_dir(run).unwrap();
        }
        let page = dir.path().join("page.html");
        let message =
            |runs: &[PathBuf]| compare_runs(runs, &CompareOptions::new(&page)).unwrap_err().to_string();
        assert!(message(std::slice::from_ref(&a)).contains("at least two"));
        assert!(message(&[a.clone(), dir.path().join("./a")]).contains("twice"));
        let text = message(&[a.clone(), b.clone()]);
        assert!(text.contains("/a") && text.contains("summary.json"), "{text}");
        std::fs::write(a.join(SUMMARY_FILE), "{\"schema_version\": 1}").unwrap();
        let text = message(&[a.clone(), b.clone()]);
        assert!(text.contains("a/summary.json") && text.contains("found none"), "{text}");
        std::fs::write(a.join(SUMMARY_FILE), "[").unwrap();
        assert!(message(&[a.clone(), b.clone()]).contains("a/summary.json: not a run summary"));
        std::fs::write(a.join(SUMMARY_FILE), "{\"schema_version\": 99}").unwrap();
        assert!(message(&[a.clone(), b]).contains("schema_version 99"));
        assert!(!page.exists());
        std::fs::write(&page, "mine").unwrap();
        assert!(message(&[a, dir.path().join("c")]).contains("exists already"));
    }
}
