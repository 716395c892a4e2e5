//! Group, instance and layer normalisation as one: every element belongs to a set that is normalised as a whole.

/// A normalisation of `[batch, channels, pixels]` over sets of elements, with a factor and a summand per channel.
#[derive(Debug, Clone)]
pub struct SetNorm {
    /// The elements of each set.
    sets: Vec<Vec<usize>>,
    channels: usize,
    pixels: usize,
    eps: f64,
}

impl SetNorm {
    /// The sets that `key(image, channel, pixel)` tells apart, in the order of first appearance.
    fn new(
        [batch, channels, pixels]: [usize; 3],
        eps: f64,
        key: impl Fn(usize, usize, usize) -> usize,
    ) -> Self {
        let mut sets: Vec<Vec<usize>> = Vec::new();
        for n in 0..batch {
            for c in 0..channels {
                for p in 0..pixels {
                    let set = key(n, c, p);
                    if set >= sets.len() {
                        sets.resize(set + 1, Vec::new());
                    }
                    sets[set].push((n * channels + c) * pixels + p);
                }
            }
        }
        Self { sets, channels, pixels, eps }
    }

    /// Sets of all pixels and `channels / groups` channels of an image; set `n * groups + g`.
    pub fn group(shape: [usize; 3], groups: usize, eps: f64) -> Self {
        Self::new(shape, eps, |n, c, _| n * groups + c / (shape[1] / groups))
    }

    /// Sets of all channels of a pixel; set `n * pixels + p`.
    pub fn layer(shape: [usize; 3], eps: f64) -> Self {
        Self::new(shape, eps, |n, _, p| n * shape[2] + p)
    }

    /// Mean and biased variance of each set.
    pub fn statistics(&self, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
        self.sets
            .iter()
            .map(|set| {
                let n = set.len() as f64;
                let mean = set.iter().map(|i| x[*i]).sum::<f64>() / n;
                (mean, set.iter().map(|i| (x[*i] - mean).powi(2)).sum::<f64>() / n)
            })
            .unzip()
    }

    fn channel(&self, i: usize) -> usize {
        i / self.pixels % self.channels
    }

    /// `(x - mean) / sqrt(variance + eps)`.
    fn normalised(&self, x: &[f64]) -> Vec<f64> {
        let (mean, variance) = self.statistics(x);
        let mut y = vec![0.0; x.len()];
        for (s, set) in self.sets.iter().enumerate() {
            for i in set {
                y[*i] = (x[*i] - mean[s]) / (variance[s] + self.eps).sqrt();
            }
        }
        y
    }

    /// `gamma * (x - mean) / sqrt(variance + eps) + beta`.
    pub fn forward(&self, x: &[f64], gamma: &[f64], beta: &[f64]) -> Vec<f64> {
        let xhat = self.normalised(x);
        (0..x.len()).map(|i| gamma[self.channel(i)] * xhat[i] + beta[self.channel(i)]).collect()
    }

    /// Gradients of `sum(y * dy)` with respect to `x`, `gamma` and `beta`.
    ///
    /// Element `j` of a set of `m` moves the normalised element `i` by
    /// `(kronecker(i, j) - 1 / m - xhat[i] * xhat[j] / m) / sqrt(variance + eps)`.
    pub fn backward(&self, x: &[f64], gamma: &[f64], dy: &[f64]) -> [Vec<f64>; 3] {
        let xhat = self.normalised(x);
        let (_, variance) = self.statistics(x);
        let (mut dgamma, mut dbeta) = (vec![0.0; self.channels], vec![0.0; self.channels]);
        for i in 0..x.len() {
            dgamma[self.channel(i)] += dy[i] * xhat[i];
            dbeta[self.channel(i)] += dy[i];
        }
        let mut dx = vec![0.0; x.len()];
        for (s, set) in self.sets.iter().enumerate() {
            let m = set.len() as f64;
            let d = |i: usize| gamma[self.channel(i)] * dy[i];
            let total: f64 = set.iter().map(|i| d(*i)).sum();
            let slope: f64 = set.iter().map(|i| d(*i) * xhat[*i]).sum();
            for j in set {
                dx[*j] = (d(*j) - total / m - xhat[*j] * slope / m) / (variance[s] + self.eps).sqrt();
            }
        }
        [dx, dgamma, dbeta]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::norm::finite_differences;
    use crate::reference::{Noise, widen};

    #[test]
    fn small_ones_by_hand() {
        let x = [1.0, 3.0, 5.0, 7.0];
        let pixelwise = SetNorm::layer([1, 2, 2], 0.0);
        assert_eq!(pixelwise.statistics(&x), (vec![3.0, 5.0], vec![4.0, 4.0]));
        assert_eq!(pixelwise.forward(&x, &[1.0, 2.0], &[0.0, 10.0]), [-1.0, -1.0, 12.0, 12.0]);
        let instance = SetNorm::group([1, 2, 2], 2, 0.0);
        assert_eq!(instance.forward(&x, &[1.0, 1.0], &[0.0, 10.0]), [-1.0, 1.0, 9.0, 11.0]);
        assert_eq!(SetNorm::group([1, 2, 2], 1, 0.0).statistics(&x), (vec![4.0], vec![5.0]));
    }

    #[test]
    fn gradients_are_the_differences() {
        let mut noise = Noise::new(2);
        let shape = [2, 4, 3];
        for norm in [SetNorm::group(shape, 2, 1e-3), SetNorm::layer(shape, 1e-3)] {
            let mut values = |n| widen(&noise.vector(n));
            let (x, gamma, beta, dy) = (values(24), values(4), values(4), values(24));
            let loss = |y: Vec<f64>| -> f64 { y.iter().zip(&dy).map(|(y, d)| y * d).sum() };
            let [dx, dgamma, dbeta] = norm.backward(&x, &gamma, &dy);
            let pairs = [
                (&dx, finite_differences(&|x| loss(norm.forward(x, &gamma, &beta)), &x, 1e-6)),
                (&dgamma, finite_differences(&|g| loss(norm.forward(&x, g, &beta)), &gamma, 1e-6)),
                (&dbeta, finite_differences(&|b| loss(norm.forward(&x, &gamma, b)), &beta, 1e-6)),
            ];
            for (got, want) in pairs {
                assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-6), "{got:?} {want:?}");
                assert!(want.iter().any(|v| v.abs() > 0.1));
            }
        }
    }
}
