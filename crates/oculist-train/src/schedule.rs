//! Learning-rate schedules.

/// Linear warm-up followed by half a cosine.
///
/// With `t` the step, `w` the warm-up steps, `T` all steps:
/// `lr(t) = lr * (t + 1) / w` for `t < w`, else
/// `min_lr + (lr - min_lr) * (1 + cos(pi * (t - w) / (T - w))) / 2`.
///
/// # Source
/// Goyal et al. 2017 (warm-up), Loshchilov and Hutter 2017 (cosine, without restarts).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Peak learning rate.
    pub lr: f32,
    /// Learning rate at the end.
    pub min_lr: f32,
    /// Steps of warm-up.
    pub warmup: usize,
    /// All steps.
    pub total: usize,
}

impl Schedule {
    /// The learning rate of step `t` (from 0).
    pub fn at(&self, t: usize) -> f32 {
        if t < self.warmup {
            return self.lr * (t + 1) as f32 / self.warmup as f32;
        }
        let span = self.total.saturating_sub(self.warmup).max(1) as f64;
        let progress = ((t - self.warmup) as f64 / span).min(1.0);
        let cosine = f64::midpoint(1.0, (std::f64::consts::PI * progress).cos());
        self.min_lr + (self.lr - self.min_lr) * cosine as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warms_up_peaks_and_falls_to_the_minimum() {
        let s = Schedule { lr: 0.4, min_lr: 0.01, warmup: 4, total: 20 };
        assert!((s.at(0) - 0.1).abs() < 1e-6);
        assert!((s.at(3) - 0.4).abs() < 1e-6);
        assert!((s.at(4) - 0.4).abs() < 1e-6);
        assert!((s.at(12) - 0.205).abs() < 1e-6, "half-way is the mean of peak and minimum");
        assert!((s.at(20) - 0.01).abs() < 1e-6);
        assert!((s.at(1000) - 0.01).abs() < 1e-6);
        for t in 4..19 {
            assert!(s.at(t + 1) < s.at(t));
        }
    }

    #[test]
    fn works_without_warm_up_and_with_one_step() {
        let s = Schedule { lr: 0.1, min_lr: 0.0, warmup: 0, total: 1 };
        assert!((s.at(0) - 0.1).abs() < 1e-7);
    }
}
