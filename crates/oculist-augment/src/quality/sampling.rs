//! Random numbers that are not uniform, drawn from the crate's generator.

use crate::Rng;

/// Uniform in [0, 1), on a grid of 2^-53.
pub(crate) fn unit(rng: &mut Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// Two independent standard normal numbers.
///
/// # Source
/// Marsaglia and Bray, "A convenient method for generating normal variables", 1964 (the polar method).
pub(crate) fn normal_pair(rng: &mut Rng) -> (f64, f64) {
    loop {
        let bits = rng.next_u64();
        // Both coordinates of a point in the square from -1 to 1, off the lattice's zero.
        let coordinate = |half: u32| (f64::from(half as i32) + 0.5) * (1.0 / 2_147_483_648.0);
        let (u, v) = (coordinate((bits >> 32) as u32), coordinate(bits as u32));
        let s = u * u + v * v;
        if s < 1.0 {
            let factor = (-2.0 * s.ln() / s).sqrt();
            return (u * factor, v * factor);
        }
    }
}

/// The distribution function of a Poisson variable, as a table to search in.
///
/// Built outwards from the mode by the ratio of neighbours, so that no factorial or tiny exponential is needed.
pub(crate) struct Poisson {
    first: usize,
    cumulative: Vec<f64>,
}

impl Poisson {
    /// For a mean of 0 or more; values rarer than about 1e-18 are left out.
    pub(crate) fn new(mean: f64) -> Self {
        const NEGLIGIBLE: f64 = 1e-18;
        let mode = mean.floor();
        let mut below = Vec::new();
        let (mut p, mut k) = (1.0, mode);
        while k > 0.0 && p > NEGLIGIBLE {
            p *= k / mean;
            k -= 1.0;
            below.push(p);
        }
        let mut masses: Vec<f64> = below.iter().rev().copied().collect();
        let first = mode as usize - below.len();
        masses.push(1.0);
        (p, k) = (1.0, mode);
        while mean > 0.0 && p > NEGLIGIBLE {
            k += 1.0;
            p *= mean / k;
            masses.push(p);
        }
        let total: f64 = masses.iter().sum();
        let mut sum = 0.0;
        for mass in &mut masses {
            sum += *mass / total;
            *mass = sum;
        }
        Self { first, cumulative: masses }
    }

    /// One value.
    pub(crate) fn draw(&self, rng: &mut Rng) -> usize {
        let at = unit(rng);
        let place = self.cumulative.partition_point(|&c| c <= at);
        self.first + place.min(self.cumulative.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: impl Iterator<Item = f64>) -> (f64, f64) {
        let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for v in values {
            (n, sum, squares) = (n + 1.0, sum + v, squares + v * v);
        }
        (sum / n, squares / n - (sum / n).powi(2))
    }

    #[test]
    fn normal_numbers_have_the_moments_and_the_tails() {
        let mut rng = Rng::keyed(&[5]);
        let values: Vec<f64> =
            (0..100_000).map(|_| normal_pair(&mut rng)).flat_map(|(a, b)| [a, b]).collect();
        let (mean, variance) = moments(values.iter().copied());
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        for (bound, part) in [(-1.0, 0.158_655), (0.0, 0.5), (0.5, 0.691_462), (2.0, 0.977_250)] {
            let found = values.iter().filter(|&&v| v < bound).count() as f64 / values.len() as f64;
            assert!((found - part).abs() < 0.005, "{found} below {bound}, expected {part}");
        }
    }

    #[test]
    fn poisson_numbers_have_mean_and_variance_alike() {
        for mean in [0.0, 0.02, 1.0, 3.7, 60.0, 500.0, 20_000.0] {
            let poisson = Poisson::new(mean);
            let mut rng = Rng::keyed(&[9]);
            let (found, variance) = moments((0..100_000).map(|_| poisson.draw(&mut rng) as f64));
            let error = 6.0 * (mean / 1e5).sqrt();
            assert!((found - mean).abs() <= error, "mean {found}, expected {mean}");
            assert!((variance - mean).abs() <= 0.05 * mean, "variance {variance}, expected {mean}");
        }
        // P(0) = exp(-mean).
        let poisson = Poisson::new(1.5);
        assert!((poisson.cumulative[0] - (-1.5f64).exp()).abs() < 1e-12);
    }
}
