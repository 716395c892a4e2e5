//! Exponential moving average of the weights.

use oculist_kernels::Context;

use crate::optimizer::run;

/// `ema = d * ema + (1 - d) * w` with `d = min(decay, (1 + t) / (10 + t))`, so that the start does not linger.
///
/// Running statistics are averaged along, since they belong to the weights.
///
/// # Source
/// Polyak and Juditsky 1992; the warm-up of the decay follows TensorFlow's `ExponentialMovingAverage`.
#[derive(Debug, Clone)]
pub struct Ema {
    decay: f32,
    pub(crate) updates: u64,
    pub(crate) weights: Vec<f32>,
    pub(crate) stats: Vec<f32>,
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
        let d = self.decay.min((1.0 + t) / (10.0 + t));
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
