//! The tables that commands print.
//!
//! All are plain ASCII apart from the names they are given, at most about a hundred columns wide, and end in
//! a newline. In names, what would break a line or steer the terminal is shown as escapes.

use std::fmt::Write as _;

use oculist_text::{name, visible};
use serde::{Deserialize, Serialize};

use crate::chart::confusion;
use crate::comparison::{Comparison, range};
use crate::table::ascii;
use crate::verdict::verdict;
use crate::{Align, Guess, Model, RunSummary, Spread, Step, Table, format};

/// So many classes and pairs are printed; `summary.json` has them all.
const MAX_CLASSES: usize = 30;
const MAX_PAIRS: usize = 5;

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
    /// Why the file could not be read.
    pub error: Option<String>,
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
        let word = if promise.kept { "promise kept" } else { "promise NOT kept" };
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
        let mut spreads = vec!["  smallest - largest".to_string()];
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
    let _ = write!(text, "Accuracies on {} test images", format::grouped(run.data.test as u64));
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
    let right = Align::Right;
    let mut table = Table::new(&[
        ("step", Align::Left),
        ("time", right),
        ("val top-1", right),
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
            or_dash(after.val_top1.map(format::percent)),
            or_dash(after.params.map(format::count)),
            or_dash(after.bytes.map(format::bytes)),
            or_dash(after.latency_ms.map(format::milliseconds)),
        ]);
    }
    table.to_string()
}

/// One step in one line, for the moment it ends: name, time, what it changed, and the model after it.
pub fn step_line(step: &Step) -> String {
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
    part("val top-1", before.val_top1.map(format::percent), after.val_top1.map(format::percent));
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
    let right = Align::Right;
    let mut table = Table::new(&[
        ("candidate", Align::Left),
        ("val top-1", right),
        ("params", right),
        ("MACs", right),
        ("file", right),
        ("latency", right),
        ("decision", Align::Left),
    ]);
    for c in &run.candidates {
        let decision = match (c.chosen, c.accepted) {
            (true, _) => "chosen",
            (false, true) => "accepted",
            (false, false) => "refused",
        };
        let reason = if c.reason.is_empty() { String::new() } else { format!(": {}", c.reason) };
        table.row([
            c.name.clone(),
            format::percent(c.val_top1),
            format::count(c.params),
            format::count(c.macs),
            format::bytes(c.bytes),
            c.latency_ms.map_or("-".to_string(), format::milliseconds),
            format!("{decision}{reason}"),
        ]);
    }
    table.to_string()
}

/// The result of `eval`: the model's measures, its weakest classes, and what it confuses most.
///
/// `class_names` may be empty; classes then go by their number.
pub fn evaluation(model: &Model, class_names: &[String]) -> String {
    let mut table = Table::new(&[("measure", Align::Left), ("value", Align::Right)]);
    let images: u64 = model.per_class.iter().map(|class| class.count).sum();
    if images > 0 {
        table.row(["images".to_string(), format::grouped(images)]);
    }
    table.row(["top-1".to_string(), format::percent(model.top1)]);
    table.row(["top-5".to_string(), format::percent(model.top5)]);
    if let Some(ece) = model.ece {
        table.row(["ECE".to_string(), format!("{ece:.4}")]);
    }
    if let Some(agreement) = model.agreement_with_baseline {
        table.row(["agreement with baseline".to_string(), format::percent(agreement)]);
    }
    table.row(["parameters".to_string(), format::count(model.params)]);
    table.row(["MACs".to_string(), format::count(model.macs)]);
    table.row(["file".to_string(), format::bytes(model.bytes)]);
    if let Some(latency) = model.latency_ms {
        let label = format!("latency, batch {}", latency.batch);
        table.row([label, format::milliseconds(latency.median)]);
    }
    if let Some(rate) = model.images_per_s {
        let label = format!("throughput, batch {}", rate.batch);
        table.row([label, format!("{} images/s", format::sig3(rate.median))]);
    }
    let mut text = ascii(&table.to_string());

    // A class without images has no accuracy, neither 0% nor another.
    let mut order: Vec<_> = model.per_class.iter().filter(|class| class.count > 0).collect();
    if !order.is_empty() {
        let with_images = order.len();
        let all = order.len() <= MAX_CLASSES;
        if !all {
            order.sort_by(|a, b| a.accuracy.total_cmp(&b.accuracy));
            order.truncate(MAX_CLASSES);
            let _ = write!(text, "\nThe {MAX_CLASSES} weakest of {with_images} classes");
        }
        let mut table =
            Table::new(&[("class", Align::Left), ("accuracy", Align::Right), ("images", Align::Right)]);
        for class in order {
            table.row([
                name(&class.class).into_owned(),
                format::percent(class.accuracy),
                format::grouped(class.count),
            ]);
        }
        let _ = write!(text, "\n{table}");
    }

    let pairs = confusion::most_confused_by(model, MAX_PAIRS);
    if !pairs.is_empty() {
        let shown =
            |i: usize| class_names.get(i).map_or_else(|| i.to_string(), |class| name(class).into_owned());
        let mut table = Table::new(&[
            ("confused most", Align::Left),
            ("taken for", Align::Left),
            ("images", Align::Right),
        ]);
        for p in pairs {
            table.row([shown(p.truth), shown(p.predicted), format!("{} of {}", p.count, p.of)]);
        }
        let _ = write!(text, "\n{table}");
    }
    text
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
        let Some(best) = guesses.next() else {
            let error = prediction.error.as_deref().unwrap_or("no answer");
            table.row([prediction.path.clone(), format!("error: {error}")]);
            continue;
        };
        let next: Vec<_> =
            guesses.map(|g| format!("{} {:.1}%", name(&g.class), g.confidence * 100.0)).collect();
        let confidence = format!("{:.1}%", best.confidence * 100.0);
        table.row([prediction.path.clone(), name(&best.class).into_owned(), confidence, next.join(", ")]);
    }
    table.to_string()
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
            ascii(&range(line.latency_ms)).replace('-', " - "),
            format::sig3(line.images_per_s.median),
            line.latency_ms.runs.to_string(),
        ]);
    }
    format!("{table}CPU: {}\n", visible(cpu))
}
