//! Batch normalisation and gradients by finite differences.

/// Batch normalisation over `[batch, channels, pixels]` with the batch's own biased variance.
#[derive(Debug, Clone, Copy)]
pub struct BatchNorm {
    /// Images.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// Pixels of an image.
    pub pixels: usize,
    /// Added to the variance.
    pub eps: f64,
}

impl BatchNorm {
    fn values(&self, x: &[f64], c: usize) -> Vec<f64> {
        (0..self.batch)
            .flat_map(|n| x[(n * self.channels + c) * self.pixels..][..self.pixels].iter().copied())
            .collect()
    }

    /// Mean and biased variance of each channel.
    pub fn statistics(&self, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
        (0..self.channels)
            .map(|c| {
                let values = self.values(x, c);
                let n = values.len() as f64;
                let mean = values.iter().sum::<f64>() / n;
                (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n)
            })
            .unzip()
    }

    /// `f(gamma * (x - mean) / sqrt(variance + eps) + beta + residual)`.
    pub fn forward(
        &self,
        x: &[f64],
        gamma: &[f64],
        beta: &[f64],
        residual: Option<&[f64]>,
        f: &dyn Fn(f64) -> f64,
    ) -> Vec<f64> {
        let (mean, variance) = self.statistics(x);
        (0..x.len())
            .map(|i| {
                let c = i / self.pixels % self.channels;
                let z = gamma[c] * (x[i] - mean[c]) / (variance[c] + self.eps).sqrt() + beta[c];
                f(z + residual.map_or(0.0, |r| r[i]))
            })
            .collect()
    }
}

/// The gradient of `f` at `x` by central differences with step `h`.
pub fn finite_differences(f: &dyn Fn(&[f64]) -> f64, x: &[f64], h: f64) -> Vec<f64> {
    let mut x = x.to_vec();
    (0..x.len())
        .map(|i| {
            let keep = x[i];
            x[i] = keep + h;
            let above = f(&x);
            x[i] = keep - h;
            let below = f(&x);
            x[i] = keep;
            (above - below) / (2.0 * h)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalised_values_have_mean_beta_and_deviation_gamma() {
        let norm = BatchNorm { batch: 2, channels: 1, pixels: 2, eps: 0.0 };
        let y = norm.forward(&[1.0, 3.0, 5.0, 7.0], &[2.0], &[10.0], None, &|z| z);
        let (mean, variance) = norm.statistics(&y);
        assert!((mean[0] - 10.0).abs() < 1e-12 && (variance[0] - 4.0).abs() < 1e-12);
    }

    #[test]
    fn differences_of_a_square() {
        let d = finite_differences(&|x| x[0] * x[0] + 3.0 * x[1], &[2.0, 5.0], 1e-4);
        assert!((d[0] - 4.0).abs() < 1e-8 && (d[1] - 3.0).abs() < 1e-8);
    }
}
