//! The tables that commands print.
//!
//! All are plain ASCII apart from the names they are given, at most about a hundred columns wide, and end in
//! a newline. In names, what would break a line or steer the terminal is shown as escapes.

mod evaluation;

use std::fmt::Write as _;

use oculist_text::{name, visible};
use serde::{Deserialize, Serialize};

use crate::comparison::{Comparison, between, latency};
use crate::table::ascii;
use crate::verdict::verdict;
use crate::{Align, Guess, Metric, RunSummary, Spread, Step, StepState, Table, format, measure};

pub use evaluation::evaluation;

/// The classes found in one image file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prediction {
    /// Path of the file.
    pub path: String,
    /// Whether the path is no Unicode: then `\xNN` stands for a byte in it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub escaped: bool,
    /// The likeliest classes, best first; empty if the file could not be read.
    pub top: Vec<Guess>,
    /// The labels that are answered, where an image may have several: those of a probability of at least one half.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Whether it is none of the classes, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reject: Option<Rejection>,
    /// The images that are most like it, where that was asked for, the most like first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub similar: Vec<Neighbour>,
    /// Why the file could not be read.
    pub error: Option<String>,
}

/// An image that is like another one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Neighbour {
    /// Its file, or its name in its data set.
    pub image: String,
    /// Its class.
    pub label: String,
    /// The cosine between the features of the two, -1 to 1.
    pub cosine: f64,
}

/// Whether an image is none of the classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rejection {
    /// The more, the more it looks like the images that the model knows.
    pub score: f64,
    /// The least score that is still of a class.
    pub threshold: f64,
    /// Whether its score is below the threshold.
    pub none_of_these: bool,
}

/// One line of a benchmark.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BenchResult {
    /// The model: a file name or an architecture.
    pub model: String,
    /// `f32` or `int8`.
    pub precision: String,
    /// Number of threads.
    pub threads: usize,
    /// Time of one batch, milliseconds; its `batch` says how many images that is.
    pub latency_ms: Spread,
    /// Throughput in the same runs, images per second.
    pub images_per_s: Spread,
}

/// The before/after table, the product's face: verdict, promise, measures as rows, models as columns.
pub fn before_after(run: &RunSummary) -> String {
    let mut text = format!("{}\n", ascii(&verdict(run)));
    if let Some(promise) = &run.promise {
        let word = match (promise.kept, run.is_no_better_than_chance()) {
            (true, true) => "the promise says nothing of a model that is no better than one answer for all",
            (true, false) => "promise kept",
            (false, _) => "promise NOT kept",
        };
        let _ = writeln!(text, "{word}: {}", visible(&promise.text));
    }
    let comparison = Comparison::new(run);
    if comparison.rows.is_empty() {
        return text;
    }
    let mut columns = vec![(String::new(), Align::Left)];
    for (i, column) in comparison.columns.iter().enumerate() {
        let star = if column.recommended { "*" } else { "" };
        columns.push((format!("{}{star}", column.name), Align::Right));
        if has_deltas(&comparison, i) {
            columns.push((String::new(), Align::Left));
        }
    }
    let mut table = Table::new(&columns);
    for row in &comparison.rows {
        let mut values = vec![row.label.clone()];
        let mut spreads = vec![format!("  {}", ascii(row.range).replace('-', " - "))];
        for (i, cell) in row.cells.iter().enumerate() {
            values.push(ascii(&cell.text));
            spreads.push(ascii(&cell.spread));
            if has_deltas(&comparison, i) {
                values.push(ascii(&cell.delta));
                spreads.push(String::new());
            }
        }
        table.row(values);
        if row.cells.iter().any(|c| !c.spread.is_empty()) {
            table.row(spreads);
        }
    }
    let _ = write!(text, "\n{table}\n");
    if comparison.columns.iter().any(|c| c.recommended) {
        text.push_str("* recommended. ");
    }
    let scores = measure::scores(run.deciding_metric());
    if run.is_untested() {
        let _ = write!(text, "No test images: no {}", scores.to_lowercase());
    } else {
        let _ = write!(text, "{scores} on {} test images", format::grouped(run.data.test as u64));
    }
    if run.models.iter().any(|m| m.latency_ms.is_some() || m.images_per_s.is_some()) {
        let plural = if run.threads == 1 { "" } else { "s" };
        let _ = write!(text, "; speeds with {} thread{plural} on {}", run.threads, visible(&run.cpu));
    }
    text.push_str(".\n");
    text
}

fn has_deltas(comparison: &Comparison, column: usize) -> bool {
    comparison.rows.iter().any(|row| !row.cells[column].delta.is_empty())
}

/// What each step cost, and the model after it.
pub fn steps(run: &RunSummary) -> String {
    let (right, metric) = (Align::Right, run.deciding_metric());
    let value = format!("val {}", metric.title());
    let mut table = Table::new(&[
        ("step", Align::Left),
        ("time", right),
        (&value, right),
        ("params", right),
        ("file", right),
        ("latency", right),
    ]);
    for step in &run.steps {
        let after = step.after.clone().unwrap_or_default();
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_string());
        table.row([
            step.name.clone(),
            format::duration(step.cost),
            or_dash(after.value(metric).map(|value| ascii(&metric.format(value)))),
            or_dash(after.params.map(format::count)),
            or_dash(after.bytes.map(format::bytes)),
            or_dash(after.latency_ms.map(|median| ascii(&latency(median, after.latency)))),
        ]);
    }
    table.to_string()
}

/// One step in one line, for the moment it ends: name, time, what it changed, and the model after it, with the run's metric.
pub fn step_line(step: &Step, metric: Metric) -> String {
    let mut text = format!("{} ({})", step.name, format::duration(step.cost));
    if !step.what_changed.is_empty() {
        let _ = write!(text, ": {}", step.what_changed);
    }
    let Some(after) = &step.after else { return text };
    let before = step.before.clone().unwrap_or_default();
    let mut parts = Vec::new();
    let mut part = |label: &str, old: Option<String>, new: Option<String>| match (old, new) {
        (Some(old), Some(new)) if old != new => parts.push(format!("{label} {old} -> {new}")),
        (None, Some(new)) => parts.push(format!("{label} {new}")),
        _ => {}
    };
    let value = |state: &StepState| state.value(metric).map(|value| metric.format(value));
    part(&format!("val {}", metric.title()), value(&before), value(after));
    part("params", before.params.map(format::count), after.params.map(format::count));
    part("MACs", before.macs.map(format::count), after.macs.map(format::count));
    part("file", before.bytes.map(format::bytes), after.bytes.map(format::bytes));
    part("latency", before.latency_ms.map(format::milliseconds), after.latency_ms.map(format::milliseconds));
    if !parts.is_empty() {
        let _ = write!(text, " [{}]", ascii(&parts.join(", ")));
    }
    text
}

/// Every candidate of the search.
pub fn candidates(run: &RunSummary) -> String {
    let (right, metric) = (Align::Right, run.deciding_metric());
    let value = format!("val {}", metric.title());
    let mut table = Table::new(&[
        ("candidate", Align::Left),
        (&value, right),
        ("params", right),
        ("MACs", right),
        ("file", right),
        ("latency", right),
        ("decision", Align::Left),
    ]);
    for c in &run.candidates {
        let decision = match (c.chosen, c.accepted) {
            _ if c.is_reference() => "reference",
            (true, _) => "chosen",
            (false, true) => "accepted",
            (false, false) => "refused",
        };
        let reason =
            if c.reason.is_empty() || c.is_reference() { String::new() } else { format!(": {}", c.reason) };
        table.row([
            c.name.clone(),
            ascii(&measure::text(metric, c.value(metric))),
            format::count(c.params),
            format::count(c.macs),
            format::bytes(c.bytes),
            c.latency_ms.map_or("-".to_string(), |median| ascii(&latency(median, c.latency))),
            format!("{decision}{reason}"),
        ]);
    }
    table.to_string()
}

/// The result of `predict`: a line for each file, its best class first.
pub fn predictions(list: &[Prediction]) -> String {
    let mut table = Table::new(&[
        ("file", Align::Left),
        ("class", Align::Left),
        ("confidence", Align::Right),
        ("next", Align::Left),
    ]);
    for prediction in list {
        let mut guesses = prediction.top.iter();
        let shown = |g: &Guess| format!("{} {:.1}%", name(&g.class), g.confidence * 100.0);
        if let (Some(labels), false) = (&prediction.labels, prediction.top.is_empty()) {
            let labels: Vec<_> = labels.iter().map(|label| name(label)).collect();
            let labels = if labels.is_empty() { "(none)".to_owned() } else { labels.join(", ") };
            let all: Vec<_> = guesses.map(shown).collect();
            table.row([prediction.path.clone(), labels, String::new(), all.join(", ")]);
            continue;
        }
        let Some(best) = guesses.next() else {
            let error = prediction.error.as_deref().unwrap_or("no answer");
            table.row([prediction.path.clone(), format!("error: {error}")]);
            continue;
        };
        if let Some(reject) = prediction.reject.filter(|reject| reject.none_of_these) {
            let why = format!("score {} < {}", format::sig3(reject.score), format::sig3(reject.threshold));
            let all: Vec<_> = prediction.top.iter().map(shown).collect();
            table.row([prediction.path.clone(), "(none of these)".into(), why, all.join(", ")]);
            continue;
        }
        let next: Vec<_> = guesses.map(shown).collect();
        let confidence = format!("{:.1}%", best.confidence * 100.0);
        table.row([prediction.path.clone(), name(&best.class).into_owned(), confidence, next.join(", ")]);
    }
    let mut text = table.to_string();
    for prediction in list.iter().filter(|prediction| !prediction.similar.is_empty()) {
        let _ = writeln!(text, "\nmost like {}:", name(&prediction.path));
        let mut table =
            Table::new(&[("image", Align::Left), ("class", Align::Left), ("cosine", Align::Right)]);
        for one in &prediction.similar {
            table.row([
                name(&one.image).into_owned(),
                name(&one.label).into_owned(),
                format!("{:.3}", one.cosine),
            ]);
        }
        text.push_str(&table.to_string());
    }
    text
}

/// The result of `bench`, with the CPU named.
pub fn bench(list: &[BenchResult], cpu: &str) -> String {
    let right = Align::Right;
    let mut table = Table::new(&[
        ("model", Align::Left),
        ("precision", Align::Left),
        ("threads", right),
        ("batch", right),
        ("median ms", right),
        ("min - max", right),
        ("images/s", right),
        ("runs", right),
    ]);
    for line in list {
        table.row([
            line.model.clone(),
            line.precision.clone(),
            line.threads.to_string(),
            line.latency_ms.batch.to_string(),
            format::sig3(line.latency_ms.median),
            ascii(&between(line.latency_ms.min, line.latency_ms.max)).replace('-', " - "),
            format::sig3(line.images_per_s.median),
            line.latency_ms.runs.to_string(),
        ]);
    }
    format!("{table}CPU: {}\n", visible(cpu))
}
