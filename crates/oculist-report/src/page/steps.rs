//! The steps of the pipeline: what each changed and cost.

use serde::Serialize;

use crate::comparison::range;
use crate::{Metric, RunSummary, Step, StepState, format};

#[derive(Debug, Serialize)]
pub(super) struct Steps {
    pub(super) total: String,
    pub(super) list: Vec<StepView>,
}

#[derive(Debug, Serialize)]
pub(super) struct StepView {
    pub(super) name: String,
    pub(super) what: String,
    pub(super) cost: String,
    /// Share of the time of all steps, percent, for the bar.
    pub(super) share: String,
    pub(super) changes: Vec<Change>,
}

/// One measure before and after the step; `before` is empty if there was no model yet.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    pub(super) label: String,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) tone: &'static str,
}

impl Steps {
    pub(super) fn new(run: &RunSummary) -> Option<Self> {
        if run.steps.is_empty() {
            return None;
        }
        let total: f64 = run.steps.iter().map(|s| s.cost.max(0.0)).sum();
        let list = run
            .steps
            .iter()
            .map(|step| StepView {
                name: step.name.clone(),
                what: step.what_changed.clone(),
                cost: format::duration(step.cost),
                share: format!("{:.1}", step.cost.max(0.0) / total.max(f64::MIN_POSITIVE) * 100.0),
                changes: changes(run.deciding_metric(), step),
            })
            .collect();
        Some(Steps { total: format::duration(total), list })
    }
}

fn changes(metric: Metric, step: &Step) -> Vec<Change> {
    let Some(after) = &step.after else { return Vec::new() };
    let none = StepState::default();
    let before = step.before.as_ref().unwrap_or(&none);
    let integer = |v: Option<u64>| v.map(|v| v as f64);
    let as_count = |v: f64| format::count(v as u64);
    let as_bytes = |v: f64| format::bytes(v as u64);
    let better = |new, old| metric.is_better(new, old);
    let less = |new, old| new < old;
    [
        change(format!("val. {}", metric.title()), before.value(metric), after.value(metric), &better, |v| {
            metric.format(v)
        }),
        change("parameters", integer(before.params), integer(after.params), &less, as_count),
        change("MACs", integer(before.macs), integer(after.macs), &less, as_count),
        change("file", integer(before.bytes), integer(after.bytes), &less, as_bytes),
        change("latency", before.latency_ms, after.latency_ms, &less, format::milliseconds).map(
            |mut change| {
                // The spread of the new value tells whether the difference means anything.
                if let Some(spread) = after.latency.filter(|spread| spread.runs > 1) {
                    change.after = format!("{} ({})", change.after, range(spread));
                }
                change
            },
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// `better` says whether its first number is better than its second.
fn change(
    label: impl Into<String>,
    before: Option<f64>,
    after: Option<f64>,
    better: &dyn Fn(f64, f64) -> bool,
    text: impl Fn(f64) -> String,
) -> Option<Change> {
    let after = after?;
    let old = before.map_or(String::new(), &text);
    let new = text(after);
    // What reads the same is the same.
    let tone = match before {
        Some(before) if old != new && better(after, before) => "better",
        Some(before) if old != new && better(before, after) => "worse",
        _ => "same",
    };
    let before = if old == new { String::new() } else { old };
    Some(Change { label: label.into(), before, after: new, tone })
}
