//! Learning curves, and the numbers behind them.

use serde::Serialize;

use crate::chart::curves::{self, Phase, Series};
use crate::chart::{Drawing, Size};
use crate::{Epoch, Metric, RunSummary, format, measure};

const WIDE: Size = Size { width: 520.0, height: 320.0 };
const NARROW: Size = Size { width: 340.0, height: 260.0 };

#[derive(Debug, Serialize)]
pub(super) struct Training {
    /// The heading of the metric's curve, and the metric's title.
    pub(super) topic: String,
    pub(super) metric: &'static str,
    pub(super) loss: Drawing,
    pub(super) values: Option<Drawing>,
    pub(super) rates: Option<Drawing>,
    pub(super) has_val_loss: bool,
    /// What the training loss is, behind its name in the legend: ` with label smoothing 0.1`; may be empty.
    pub(super) loss_kind: String,
    /// Why the curves of the two losses cannot be compared; may be empty.
    pub(super) loss_note: String,
    pub(super) phases: Vec<PhaseRow>,
    pub(super) epochs: Vec<EpochRow>,
}

#[derive(Debug, Serialize)]
pub(super) struct PhaseRow {
    pub(super) name: String,
    pub(super) epochs: usize,
    pub(super) best: String,
    pub(super) last_loss: String,
    pub(super) images_per_s: String,
    pub(super) time: String,
}

#[derive(Debug, Serialize)]
pub(super) struct EpochRow {
    pub(super) phase: String,
    pub(super) epoch: usize,
    pub(super) train_loss: String,
    pub(super) val_loss: String,
    pub(super) value: String,
    pub(super) lr: String,
    pub(super) images_per_s: String,
    pub(super) seconds: String,
}

impl Training {
    pub(super) fn new(run: &RunSummary) -> Option<Self> {
        let (history, metric) = (&run.history, run.deciding_metric());
        if history.is_empty() {
            return None;
        }
        let phases = curves::phases(history);
        let series = |name: &str, class, value: &dyn Fn(&Epoch) -> Option<f64>| {
            let values = history.iter().map(|e| value(e).unwrap_or(f64::NAN)).collect();
            Series { name: name.to_owned(), class, values }
        };
        let mut losses = vec![series("training loss", "line s1", &|e| Some(e.train_loss))];
        let has_val_loss = history.iter().any(|e| e.val_loss.is_some());
        if has_val_loss {
            losses.push(series("validation loss", "line s2", &|e| e.val_loss));
        }
        let loss =
            Drawing::new(WIDE, NARROW, |size| curves::draw(history, &phases, &losses, "loss", "", size));
        let values = history.iter().any(|e| e.value(metric).is_some()).then(|| {
            let name = format!("val. {}", metric.title());
            let lines = [series(&name, "line s1", &|e| e.value(metric))];
            let (axis, unit) = (measure::axis(metric), measure::unit(metric));
            Drawing::new(WIDE, NARROW, |size| curves::draw(history, &phases, &lines, &axis, unit, size))
        });
        let rates = history.iter().any(|e| e.lr.is_finite() && e.lr > 0.0).then(|| {
            let lines = [series("learning rate", "line s1", &|e| Some(e.lr))];
            Drawing::new(WIDE, NARROW, |size| {
                curves::draw(history, &phases, &lines, "learning rate", "", size)
            })
        });
        let (loss_kind, loss_note) = loss_words(history, &phases, has_val_loss);
        Some(Training {
            rates,
            loss_kind,
            loss_note,
            topic: measure::topic(metric),
            metric: metric.title(),
            loss,
            values,
            has_val_loss,
            phases: phases.iter().map(|p| phase_row(metric, p, history)).collect(),
            epochs: history.iter().map(|e| epoch_row(metric, e)).collect(),
        })
    }
}

/// What the training loss is, for the legend if it is the same in all phases, and in a sentence.
fn loss_words(history: &[Epoch], phases: &[Phase], has_val_loss: bool) -> (String, String) {
    let mut kinds: Vec<(&str, Vec<&str>)> = Vec::new();
    for phase in phases {
        let loss = history[phase.start].loss.as_str();
        match kinds.iter_mut().find(|kind| kind.0 == loss) {
            Some((_, names)) => names.push(&phase.name),
            None => kinds.push((loss, vec![&phase.name])),
        }
    }
    if kinds.iter().all(|kind| kind.0.is_empty()) {
        return (String::new(), String::new());
    }
    let why = if has_val_loss {
        " The validation loss is the plain one on images as they are, so that the training loss may lie above it."
    } else {
        ""
    };
    if let [(only, _)] = kinds[..] {
        return (format!(" {only}"), format!("The training loss is computed {only}.{why}"));
    }
    let parts: Vec<String> = kinds
        .iter()
        .map(|(loss, names)| {
            let loss = if loss.is_empty() { "as it is" } else { loss };
            // Dozens of levels of a search say no more than three.
            let more = names.len().saturating_sub(3);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{loss} in {}{more}", names[..names.len().min(3)].join(", "))
        })
        .collect();
    (" (see below)".to_owned(), format!("The training loss is computed {}.{why}", parts.join("; ")))
}

fn phase_row(metric: Metric, phase: &Phase, history: &[Epoch]) -> PhaseRow {
    let epochs = &history[phase.start..phase.end];
    let best = epochs.iter().filter_map(|e| e.value(metric)).max_by(|&a, &b| metric.compare(a, b));
    let mut speeds: Vec<f64> = epochs.iter().map(|e| e.images_per_s).collect();
    speeds.sort_by(f64::total_cmp);
    PhaseRow {
        name: phase.name.clone(),
        epochs: epochs.len(),
        best: measure::text(metric, best),
        last_loss: format::sig3(epochs.last().map_or(f64::NAN, |e| e.train_loss)),
        images_per_s: format::sig3(speeds[speeds.len() / 2]),
        time: format::duration(epochs.iter().map(|e| e.seconds).sum()),
    }
}

fn epoch_row(metric: Metric, epoch: &Epoch) -> EpochRow {
    EpochRow {
        phase: epoch.phase.clone(),
        epoch: epoch.epoch,
        train_loss: format::sig3(epoch.train_loss),
        val_loss: format::sig3(epoch.val_loss.unwrap_or(f64::NAN)),
        value: measure::text(metric, epoch.value(metric)),
        lr: format::sig3(epoch.lr),
        images_per_s: format::sig3(epoch.images_per_s),
        seconds: format::duration(epoch.seconds),
    }
}
