//! Exponential moving average of the weights.

use oculist_kernels::Context;

use crate::cpu::optimizer::run;

/// `ema = d * ema + (1 - d) * w` with `d = min(decay, (t - 1) / (t + 8))` at update `t`, from 1.
///
/// The first update takes the weights over as they are, so that the weights before training have no part in the
/// average; later ones reach back over a growing number of updates, until the decay limits it. Running statistics are
/// averaged along.
///
/// # Source
/// Polyak and Juditsky 1992; the warm-up of the decay is that of TensorFlow's `ExponentialMovingAverage`, two updates
/// earlier.
#[derive(Debug, Clone)]
pub struct Ema {
    decay: f32,
    pub(super) updates: u64,
    pub(super) weights: Vec<f32>,
    pub(super) stats: Vec<f32>,
}

impl Ema {
    /// Starts from the given weights and running statistics.
    pub fn new(decay: f32, weights: &[f32], stats: &[f32]) -> Self {
        Self { decay, updates: 0, weights: weights.to_vec(), stats: stats.to_vec() }
    }

    /// Takes one step towards the current weights and statistics.
    pub fn update(&mut self, ctx: &Context, weights: &[f32], stats: &[f32]) {
        self.updates += 1;
        let t = self.updates as f32;
        let d = self.decay.min((t - 1.0) / (t + 8.0));
        for (mean, now) in [(&mut self.weights, weights), (&mut self.stats, stats)] {
            let parts: Vec<_> = mean.chunks_mut(1 << 14).zip(now.chunks(1 << 14)).collect();
            run(ctx, parts, |(mean, now)| {
                for (m, &w) in mean.iter_mut().zip(*now) {
                    *m = d * *m + (1.0 - d) * w;
                }
            });
        }
    }

    /// The averaged weights.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The averaged running statistics.
    pub fn stats(&self) -> &[f32] {
        &self.stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_has_no_part_and_the_decay_limits_the_reach() {
        let ctx = Context::new(1).unwrap();
        // A start that would be seen anywhere.
        let mut ema = Ema::new(0.25, &[1e6], &[1e6]);
        let (mut mean, mut t) = (0.0, 0.0);
        for w in [3.0f32, 5.0, 4.0, 8.0, 1.0, 2.0] {
            t += 1.0;
            ema.update(&ctx, &[w], &[-w]);
            let d = f64::min(0.25, (t - 1.0) / (t + 8.0));
            mean = d * mean + (1.0 - d) * f64::from(w);
            assert!((f64::from(ema.weights()[0]) - mean).abs() < 1e-5, "{t}: {} {mean}", ema.weights()[0]);
            assert!((f64::from(ema.stats()[0]) + mean).abs() < 1e-5);
        }
        assert_eq!(Ema::new(0.25, &[7.0], &[]).weights(), [7.0], "before any update");
    }
}
