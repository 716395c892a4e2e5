//! Learning curves, and the numbers behind them.

use serde::Serialize;

use crate::chart::curves::{self, Phase, Series};
use crate::chart::{Drawing, Size};
use crate::{Epoch, RunSummary, format};

const WIDE: Size = Size { width: 520.0, height: 320.0 };
const NARROW: Size = Size { width: 340.0, height: 260.0 };

#[derive(Debug, Serialize)]
pub(super) struct Training {
    pub(super) loss: Drawing,
    pub(super) top1: Option<Drawing>,
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
    pub(super) val_top1: String,
    pub(super) lr: String,
    pub(super) images_per_s: String,
    pub(super) seconds: String,
}

impl Training {
    pub(super) fn new(run: &RunSummary) -> Option<Self> {
        let history = &run.history;
        if history.is_empty() {
            return None;
        }
        let phases = curves::phases(history);
        let values = |value: fn(&Epoch) -> Option<f64>| -> Vec<f64> {
            history.iter().map(|e| value(e).unwrap_or(f64::NAN)).collect()
        };
        let mut losses =
            vec![Series { name: "train loss", class: "line s1", values: values(|e| Some(e.train_loss)) }];
        let has_val_loss = history.iter().any(|e| e.val_loss.is_some());
        if has_val_loss {
            losses.push(Series { name: "val. loss", class: "line s2", values: values(|e| e.val_loss) });
        }
        let loss =
            Drawing::new(WIDE, NARROW, |size| curves::draw(history, &phases, &losses, "loss", "", size));
        let top1 = history.iter().any(|e| e.val_top1.is_some()).then(|| {
            let series = [Series { name: "val. top-1", class: "line s1", values: values(|e| e.val_top1) }];
            Drawing::new(WIDE, NARROW, |size| {
                curves::draw(history, &phases, &series, "validation top-1, %", "%", size)
            })
        });
        Some(Training {
            loss,
            top1,
            has_val_loss,
            phases: phases.iter().map(|p| phase_row(p, history)).collect(),
            epochs: history.iter().map(epoch_row).collect(),
        })
    }
}

fn phase_row(phase: &Phase, history: &[Epoch]) -> PhaseRow {
    let epochs = &history[phase.start..phase.end];
    let best = epochs.iter().filter_map(|e| e.val_top1).fold(f64::NEG_INFINITY, f64::max);
    let mut speeds: Vec<f64> = epochs.iter().map(|e| e.images_per_s).collect();
    speeds.sort_by(f64::total_cmp);
    PhaseRow {
        name: phase.name.clone(),
        epochs: epochs.len(),
        best: format::percent(best),
        last_loss: format::sig3(epochs.last().map_or(f64::NAN, |e| e.train_loss)),
        images_per_s: format::sig3(speeds[speeds.len() / 2]),
        time: format::duration(epochs.iter().map(|e| e.seconds).sum()),
    }
}

fn epoch_row(epoch: &Epoch) -> EpochRow {
    EpochRow {
        phase: epoch.phase.clone(),
        epoch: epoch.epoch,
        train_loss: format::sig3(epoch.train_loss),
        val_loss: format::sig3(epoch.val_loss.unwrap_or(f64::NAN)),
        val_top1: format::percent(epoch.val_top1.unwrap_or(f64::NAN)),
        lr: format::sig3(epoch.lr),
        images_per_s: format::sig3(epoch.images_per_s),
        seconds: format::duration(epoch.seconds),
    }
}
