//! Batch-norm statistics of the weights as they are.
//!
//! Running statistics follow the weights with a delay of `1 / (1 - momentum)` updates, and until then still hold what
//! the training started from. Measured anew over some batches, they belong to the weights.

use oculist_data::Batch;

use super::plan::Step;
use super::{Executor, Mode};

/// Sums over batches, laid out as the statistics: of means, and of squares at the places of the variances.
#[derive(Debug)]
pub(super) struct Moments {
    sums: Vec<f64>,
    rows: Vec<f64>,
}

impl Moments {
    /// Adds the mean and the (biased) variance of a batch of `rows` pixels; `at` are the places of both in the
    /// statistics.
    pub(super) fn add(&mut self, at: [usize; 2], rows: usize, mean: &[f32], variance: &[f32]) {
        let n = rows as f64;
        for (c, (&mean, &variance)) in mean.iter().zip(variance).enumerate() {
            let (mean, variance) = (f64::from(mean), f64::from(variance));
            for (place, value) in [(at[0] + c, mean), (at[1] + c, variance + mean * mean)] {
                self.sums[place] += n * value;
                self.rows[place] += n;
            }
        }
    }
}

impl Executor {
    /// Updates after which running statistics have mostly forgotten: `1 / (1 - momentum)` of the slowest
    /// normalisation; `None` without any that is not frozen.
    pub fn statistics_window(&self) -> Option<f64> {
        let windows = self.plan.steps.iter().filter_map(|step| match step {
            Step::Norm { momentum, running_mean, .. } if self.rules.follows(*running_mean) => {
                Some(1.0 / (1.0 - f64::from(*momentum)).max(0.0))
            }
            _ => None,
        });
        windows.reduce(f64::max)
    }

    /// Replaces the running statistics by the mean and the unbiased variance over all pixels of these batches, under
    /// the weights as they are. Each batch is normalised by itself, as in training; nothing is dropped.
    ///
    /// Empty batches are passed over; without any other the statistics stay. Returns the number of images.
    ///
    /// # Shapes
    /// Each batch has as many images as the executor.
    ///
    /// # Errors
    /// That of the first batch that cannot be had; the statistics then stay.
    ///
    /// # Source
    /// Wu and Johnson 2021, "Rethinking \"Batch\" in BatchNorm", section 3 (PreciseBN); Izmailov et al. 2018,
    /// "Averaging Weights Leads to Wider Optima and Better Generalization", section 3.2, for averaged weights.
    pub fn estimate_statistics<E>(
        &mut self,
        batches: impl Iterator<Item = Result<Batch, E>>,
    ) -> Result<usize, E> {
        self.moments = Some(Moments { sums: vec![0.0; self.stats.len()], rows: vec![0.0; self.stats.len()] });
        let mut images = 0;
        let mut failed = None;
        for batch in batches {
            match batch {
                Ok(batch) if batch.images.is_empty() => {}
                Ok(batch) => {
                    images += self.batch;
                    self.run(&batch.images, Mode::Train);
                }
                Err(e) => {
                    failed = Some(e);
                    break;
                }
            }
        }
        let moments = self.moments.take();
        if let Some(e) = failed {
            return Err(e);
        }
        if let Some(moments) = moments {
            self.take_statistics(&moments);
        }
        Ok(images)
    }

    fn take_statistics(&mut self, moments: &Moments) {
        for step in &self.plan.steps {
            let Step::Norm { running_mean, running_var, .. } = step else { continue };
            let (means, variances) =
                (self.plan.stats.get(*running_mean).range(), self.plan.stats.get(*running_var).range());
            for (m, v) in means.zip(variances) {
                let n = moments.rows[m];
                if n > 1.0 {
                    let mean = moments.sums[m] / n;
                    let biased = (moments.sums[v] / n - mean * mean).max(0.0);
                    self.stats[m] = mean as f32;
                    self.stats[v] = (biased * n / (n - 1.0)) as f32;
                }
            }
        }
    }
}
