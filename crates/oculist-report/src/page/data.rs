//! The data set: split, input, class sizes, skipped files.

use serde::Serialize;

use crate::page::Fact;
use crate::{Input, RunSummary, format};

/// Class sizes are drawn up to this number of classes.
const MAX_BARS: usize = 40;
/// So many skipped files are listed; summary.json has them all.
const MAX_SKIPPED: usize = 200;

#[derive(Debug, Serialize)]
pub(super) struct DataSection {
    pub(super) facts: Vec<Fact>,
    /// Name and length (percent) of each part of the split.
    pub(super) split: Vec<Part>,
    pub(super) bars: Vec<ClassBar>,
    pub(super) skipped_count: String,
    pub(super) skipped: Vec<(String, String)>,
    pub(super) skipped_more: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) count: String,
    pub(super) share: String,
}

#[derive(Debug, Serialize)]
pub(super) struct ClassBar {
    pub(super) class: String,
    pub(super) count: String,
    pub(super) length: String,
}

impl DataSection {
    pub(super) fn new(run: &RunSummary) -> Self {
        let data = &run.data;
        let skipped = data.skipped.len();
        DataSection {
            facts: facts(run),
            split: split(run),
            bars: bars(run),
            skipped_count: if skipped == 0 { String::new() } else { format::grouped(skipped as u64) },
            skipped: data
                .skipped
                .iter()
                .take(MAX_SKIPPED)
                .map(|s| (s.path.clone(), s.reason.clone()))
                .collect(),
            skipped_more: match skipped.saturating_sub(MAX_SKIPPED) {
                0 => String::new(),
                more => format::grouped(more as u64),
            },
        }
    }
}

fn split(run: &RunSummary) -> Vec<Part> {
    let parts = [("training", run.data.train), ("validation", run.data.val), ("test", run.data.test)];
    let total = parts.iter().map(|p| p.1).sum::<usize>().max(1) as f64;
    parts
        .into_iter()
        .filter(|p| p.1 > 0)
        .map(|(name, count)| Part {
            name,
            count: format::grouped(count as u64),
            share: format!("{:.2}", count as f64 / total * 100.0),
        })
        .collect()
}

fn bars(run: &RunSummary) -> Vec<ClassBar> {
    let counts = &run.data.train_per_class;
    if counts.len() > MAX_BARS {
        return Vec::new();
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    counts
        .iter()
        .enumerate()
        .map(|(i, &count)| ClassBar {
            class: run.class_name(i),
            count: format::grouped(count as u64),
            length: format!("{:.1}", count as f64 / most * 100.0),
        })
        .collect()
}

fn facts(run: &RunSummary) -> Vec<Fact> {
    let data = &run.data;
    let mut facts = Vec::new();
    if !data.name.is_empty() {
        facts.push(Fact::new("Data set", data.name.clone()));
    }
    facts.push(Fact::new("Classes", format::grouped(data.classes as u64)));
    if data.train_per_class.len() > MAX_BARS {
        let (least, most) = (data.train_per_class.iter().min(), data.train_per_class.iter().max());
        if let (Some(&least), Some(&most)) = (least, most) {
            let text = format!("{} to {}", format::grouped(least as u64), format::grouped(most as u64));
            facts.push(Fact::new("Training images a class", text));
        }
    }
    facts.extend(input_facts(&run.input));
    if let Some(license) = &data.license {
        facts.push(Fact::new("Licence", license.clone()));
    }
    facts
}

fn input_facts(input: &Input) -> Vec<Fact> {
    let mut facts = Vec::new();
    if input.height > 0 {
        let colour = match input.channels {
            1 => "grey",
            3 => "RGB",
            _ => "channels",
        };
        let text = format!("{} × {} × {} ({colour})", input.height, input.width, input.channels);
        facts.push(Fact::new("Input", text));
    }
    if !input.preprocessing.is_empty() {
        facts.push(Fact::new("Preprocessing", input.preprocessing.clone()));
    }
    let list = |values: &[f64]| values.iter().map(|v| format!("{v:.4}")).collect::<Vec<_>>().join(", ");
    if !input.mean.is_empty() {
        facts.push(Fact::new("Mean", list(&input.mean)));
    }
    if !input.std.is_empty() {
        facts.push(Fact::new("Standard deviation", list(&input.std)));
    }
    facts
}
