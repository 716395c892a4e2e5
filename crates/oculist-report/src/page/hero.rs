//! The head of the page: the verdict and its four numbers.

use std::fmt::Write as _;

use serde::Serialize;

use super::chance::ChanceTable;
use crate::{Metric, Model, RunSummary, format, measure, verdict};

#[derive(Debug, Serialize)]
pub(super) struct Hero {
    pub(super) eyebrow: String,
    pub(super) headline: String,
    pub(super) promise: Option<PromiseView>,
    pub(super) tiles: Vec<Tile>,
    pub(super) chance: Option<ChanceTable>,
}

#[derive(Debug, Serialize)]
pub(super) struct PromiseView {
    pub(super) kept: bool,
    pub(super) badge: &'static str,
    pub(super) text: String,
}

/// One measure, as a number and as a pair of bars.
#[derive(Debug, Serialize)]
pub(super) struct Tile {
    pub(super) label: String,
    pub(super) value: String,
    pub(super) note: String,
    pub(super) tone: &'static str,
    /// Bars: name of the model, formatted value, length in percent of the longer one.
    pub(super) bars: Vec<Bar>,
}

#[derive(Debug, Serialize)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) length: String,
}

impl Hero {
    pub(super) fn new(run: &RunSummary) -> Self {
        let mut eyebrow = super::subject(run);
        let input = &run.input;
        if input.height > 0 {
            let _ = write!(eyebrow, " · {} × {} × {}", input.height, input.width, input.channels);
        }
        if run.data.classes > 0 {
            let _ = write!(eyebrow, " · {} classes", format::grouped(run.data.classes as u64));
        }
        Hero {
            eyebrow,
            headline: unbroken(&verdict(run)),
            promise: run.promise.as_ref().map(|p| {
                let (kept, badge) = match (p.kept, run.is_no_better_than_chance()) {
                    (true, false) => (true, "✓ Promise kept"),
                    (true, true) => (false, "✗ The promise says nothing"),
                    (false, _) => (false, "✗ Promise not kept"),
                };
                PromiseView { kept, badge, text: p.text.clone() }
            }),
            chance: ChanceTable::new(run),
            tiles: match (run.baseline(), run.recommended_model()) {
                (Some(before), Some(after)) => tiles(run.deciding_metric(), before, after),
                _ => Vec::new(),
            },
        }
    }
}

fn tiles(metric: Metric, before: &Model, after: &Model) -> Vec<Tile> {
    let pair = before.name != after.name;
    let tile = |label: String, values: (f64, f64), text: &dyn Fn(f64) -> String, note: String, tone| {
        let longest =
            [values.0, values.1].into_iter().filter(|v| v.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
        let bar = |model: &Model, value: f64| Bar {
            name: model.name.clone(),
            text: text(value),
            // What is not a number has no bar, what is without bounds fills it.
            length: format!(
                "{:.1}",
                if value.is_nan() { 0.0 } else { (value / longest * 100.0).clamp(0.0, 100.0) }
            ),
        };
        let bars = if pair { vec![bar(before, values.0), bar(after, values.1)] } else { Vec::new() };
        Tile { label, value: text(values.1), note: if pair { note } else { String::new() }, tone, bars }
    };
    let [old, new] = [before, after].map(|model| model.score(metric).unwrap_or(f64::NAN));
    let (change, tone_of_change) = measure::change(metric, old, new);
    let mut tiles = vec![tile(
        format!("{} on test images", measure::label(metric)),
        (old, new),
        &|v| metric.format(v),
        change,
        tone_of_change,
    )];
    let size = before.bytes as f64 / after.bytes as f64;
    tiles.push(tile(
        "File".to_owned(),
        (before.bytes as f64, after.bytes as f64),
        &|v| format::bytes(v as u64),
        format::factor(size, "smaller", "larger"),
        tone(size - 1.0, 0.005),
    ));
    if let (Some(old), Some(new)) = (before.latency_ms, after.latency_ms) {
        let gain = old.median / new.median;
        tiles.push(tile(
            if new.batch <= 1 { "Latency of one image" } else { "Latency of a batch" }.to_owned(),
            (old.median, new.median),
            &format::milliseconds,
            format::factor(gain, "faster", "slower"),
            tone(gain - 1.0, 0.005),
        ));
    }
    if let (Some(old), Some(new)) = (before.images_per_s, after.images_per_s) {
        let gain = new.median / old.median;
        tiles.push(tile(
            "Images per second".to_owned(),
            (old.median, new.median),
            &format::sig3,
            format::factor(gain, "faster", "slower"),
            tone(gain - 1.0, 0.005),
        ));
    }
    tiles
}

/// The verdict with its short parts kept on one line each.
fn unbroken(verdict: &str) -> String {
    let part =
        |text: &str| if text.chars().count() < 18 { text.replace(' ', "\u{a0}") } else { text.to_string() };
    verdict.split(", ").map(part).collect::<Vec<_>>().join(", ")
}

/// Whether a gain is one; within `dead` it is none.
pub(super) fn tone(gain: f64, dead: f64) -> &'static str {
    if gain > dead {
        "better"
    } else if gain < -dead {
        "worse"
    } else {
        "same"
    }
}
