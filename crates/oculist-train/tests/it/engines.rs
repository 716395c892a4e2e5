//! Engines of these tests: what the loop trains on beside the CPU.

mod converting;
mod naive;

pub(super) use converting::Converting;
pub(super) use naive::Naive;
use oculist_train::Setup;

/// The same setup without the graph and the rules that it borrows.
fn alone(setup: &Setup<'_>) -> Setup<'static> {
    let Setup { rows, optimizer, weight_decay, clip_norm, ema_decay, teacher: _, tuning: _ } = *setup;
    Setup { rows, optimizer, weight_decay, clip_norm, ema_decay, ..Setup::plain(rows) }
}
