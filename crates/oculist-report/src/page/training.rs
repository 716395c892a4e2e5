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
    pub(super) has_val_loss: bool,
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
        let mut losses = vec![series("train loss", "line s1", &|e| Some(e.train_loss))];
        let has_val_loss = history.iter().any(|e| e.val_loss.is_some());
        if has_val_loss {
            losses.push(series("val. loss", "line s2", &|e| e.val_loss));
        }
        let loss =
            Drawing::new(WIDE, NARROW, |size| curves::draw(history, &phases, &losses, "loss", "", size));
        let values = history.iter().any(|e| e.value(metric).is_some()).then(|| {
            let name = format!("val. {}", metric.title());
            let lines = [series(&name, "line s1", &|e| e.value(metric))];
            let (axis, unit) = (measure::axis(metric), measure::unit(metric));
            Drawing::new(WIDE, NARROW, |size| curves::draw(history, &phases, &lines, &axis, unit, size))
        });
        Some(Training {
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
