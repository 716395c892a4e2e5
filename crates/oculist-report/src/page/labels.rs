//! The classes of images with several labels: how well each is found.

use oculist_metrics::Metric;
use serde::Serialize;

use crate::{LabelScores, RunSummary, format, measure};

/// Beyond this many classes the table scrolls.
const MAX_OPEN: usize = 24;

/// What is shown of each class: the heading, a metric that has its unit and direction, and the value.
type Measure = (&'static str, Metric, fn(&LabelScores) -> Option<f64>);

const MEASURES: [Measure; 4] = [
    ("F1", Metric::MacroF1, |l| Some(l.f1)),
    ("Precision", Metric::MacroF1, |l| Some(l.precision)),
    ("Recall", Metric::MacroF1, |l| Some(l.recall)),
    ("Average precision", Metric::Map, |l| l.average_precision),
];

#[derive(Debug, Serialize)]
pub(super) struct Labels {
    /// Names of the compared models: the recommended one, and the baseline if it is another.
    pub(super) model: String,
    pub(super) before: Option<String>,
    pub(super) heads: Vec<&'static str>,
    pub(super) rows: Vec<LabelRow>,
    pub(super) tall: bool,
    /// Classes that no test image has, in words; empty if there are none.
    pub(super) note: String,
}

#[derive(Debug, Serialize)]
pub(super) struct LabelRow {
    pub(super) class: String,
    pub(super) positives: String,
    /// One for each head.
    pub(super) cells: Vec<LabelCell>,
}

#[derive(Debug, Serialize)]
pub(super) struct LabelCell {
    pub(super) text: String,
    /// The difference from the baseline; empty without one.
    pub(super) delta: String,
    pub(super) tone: &'static str,
}

impl Labels {
    pub(super) fn new(run: &RunSummary) -> Option<Self> {
        let (before, model) = (run.baseline()?, run.recommended_model()?);
        if model.per_label.is_empty() {
            return None;
        }
        let pair = before.name != model.name;
        let old = |i: usize, label: &LabelScores| {
            before.per_label.get(i).filter(|old| pair && old.class == label.class)
        };
        let rows = model.per_label.iter().enumerate();
        let rows = rows.map(|(i, label)| row(label, old(i, label))).collect();
        Some(Labels {
            model: model.name.clone(),
            before: pair.then(|| before.name.clone()),
            heads: MEASURES.iter().map(|m| m.0).collect(),
            rows,
            tall: model.per_label.len() > MAX_OPEN,
            note: note(model.per_label.iter().filter(|l| l.positives == 0).count()),
        })
    }
}

fn row(label: &LabelScores, old: Option<&LabelScores>) -> LabelRow {
    let cell = |&(_, metric, value): &Measure| {
        let (before, after) = (old.and_then(value), value(label));
        let (delta, tone) = match (before, after) {
            (Some(before), Some(after)) => {
                let (_, tone) = measure::change(metric, before, after);
                (measure::difference(metric, before, after), tone)
            }
            _ => (String::new(), "same"),
        };
        LabelCell { text: measure::text(metric, after), delta, tone }
    };
    LabelRow {
        class: label.class.clone(),
        positives: format::grouped(label.positives),
        cells: MEASURES.iter().map(cell).collect(),
    }
}

fn note(without_positives: usize) -> String {
    match without_positives {
        0 => String::new(),
        1 => "One class is on no test image: it has no average precision and does not count in the mAP."
            .to_owned(),
        n => format!(
            "{} classes are on no test image: they have no average precision and do not count in the mAP.",
            format::grouped(n as u64)
        ),
    }
}
