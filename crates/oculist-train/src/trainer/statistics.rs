//! When batch-norm statistics are measured anew, and over what.

use super::{Run, TrainingData};
use crate::config::TrainConfig;
use crate::error::TrainError;

/// Running statistics are trusted where an epoch has this many times the updates they remember.
const WINDOWS: f64 = 10.0;
/// Images over which statistics are measured, at the least.
const IMAGES: usize = 256;
/// The part of an epoch over which they are measured, if that is more.
const PART: usize = 16;

/// Batches over which statistics are measured before each validation; 0 if the running ones do.
///
/// Running statistics lag behind the weights by `1 / (1 - momentum)` updates, and averaged ones by `1 / (1 - decay)`
/// more. That does not matter where an epoch has ten times as many updates: the weights hardly change meanwhile, and of
/// the start `exp(-10)` is left. Otherwise a validation would judge the lag, and the epoch it chooses be the wrong one.
///
/// `window` is [`statistics_window`](crate::Learner::statistics_window).
pub(super) fn batches(window: Option<f64>, config: &TrainConfig, steps: usize) -> usize {
    let Some(window) = window else { return 0 };
    let average = if config.ema_decay > 0.0 { 1.0 / (1.0 - f64::from(config.ema_decay)) } else { 0.0 };
    if steps as f64 >= WINDOWS * window.max(average) {
        return 0;
    }
    IMAGES.div_ceil(config.rows()).max(steps / PART).min(steps)
}

impl Run<'_> {
    /// Measures the statistics of the weights that are about to be validated (the averaged ones, if there are any) over
    /// the first batches of the epoch, augmented as they were but not mixed.
    pub(super) fn measure_statistics(&mut self, data: &dyn TrainingData) -> Result<(), TrainError> {
        if self.statistics == 0 {
            return Ok(());
        }
        let mut batches = data.epoch(self.state.epoch)?.take(self.statistics);
        self.learner.measure_statistics(&mut batches).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use oculist_graph::{Flatten, GraphBuilder, Op};
    use oculist_kernels::Context;

    use super::*;
    use crate::cpu::Cpu;
    use crate::engine::{Engine, Setup};

    fn window(momentum: Option<f32>) -> Option<f64> {
        let mut b = GraphBuilder::new("net");
        let mut x = b.input("image", 1, 2, 2);
        if let Some(momentum) = momentum {
            x = b.batch_norm("faster", x, 1e-5, 0.5);
            x = b.batch_norm("norm", x, 1e-5, momentum);
        }
        let x = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[x]);
        let x = b.linear("fc", x, 2);
        let cpu = Cpu::new(Arc::new(Context::new(1).unwrap()));
        cpu.load(&b.finish(x).unwrap(), &Setup::plain(32)).unwrap().statistics_window()
    }

    #[test]
    fn few_updates_for_the_slowest_momentum_are_measured_over_few_images() {
        let config = |ema_decay| TrainConfig { batch_size: 32, ema_decay, ..TrainConfig::default() };
        let of = |momentum, decay, steps| batches(window(momentum), &config(decay), steps);
        // 100 updates are remembered: up to 1000 an epoch are few.
        assert_eq!(of(Some(0.99), 0.0, 14), 8, "256 images");
        assert_eq!(of(Some(0.99), 0.0, 3), 3, "all there are");
        assert_eq!(of(Some(0.99), 0.0, 960), 60, "a sixteenth");
        assert_eq!(of(Some(0.99), 0.0, 1001), 0);
        // PyTorch's momentum remembers ten; an average of weights reaches back further.
        assert_eq!(of(Some(0.9), 0.0, 101), 0);
        assert_eq!(of(Some(0.9), 0.995, 160), 10);
        assert_eq!(of(Some(0.9), 0.995, 2001), 0);
        // Statistics that never move are always measured; without any there is nothing to measure.
        assert!(of(Some(1.0), 0.0, 1_000_000) > 0);
        assert_eq!(of(None, 0.995, 14), 0);
    }
}
