//! Random numbers that depend on what they are for, not on who asks first.
//!
//! A generator is made from a key (seed, epoch, sample, operation) by chained mixing, then counts on as
//! SplitMix64. Equal keys give equal numbers on every machine, for any number of workers.
//!
//! # Source
//! Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014 (SplitMix64; the
//! finaliser's constants are Stafford's variant 13).

use oculist_kernels::Isa;
use oculist_kernels::image::field::uniform_noise;

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Which sample is being augmented: the part of the key that a pipeline is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SampleKey {
    /// The run's seed.
    pub seed: u64,
    /// The epoch, from 0.
    pub epoch: u64,
    /// The sample's index in its split, not its place in the shuffled order.
    pub sample: u64,
}

impl SampleKey {
    /// The generator for one operation on this sample.
    pub fn operation(self, operation: u64) -> Rng {
        Rng::keyed(&[self.seed, self.epoch, self.sample, operation])
    }
}

/// A small, fast generator for sampling and shuffling; not for secrets.
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// A generator from the parts of a key; the order of the parts matters.
    pub fn keyed(key: &[u64]) -> Self {
        let mut state = mix(GOLDEN ^ key.len() as u64);
        for &part in key {
            state = mix(state.wrapping_add(GOLDEN) ^ mix(part.wrapping_add(GOLDEN)));
        }
        Self { state }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// Uniform in [0, 1), on a grid of 2^-24.
    pub fn uniform(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 * (1.0 / (1u32 << 24) as f32)
    }

    /// Fills in numbers uniform in [-1, 1): twice [`Rng::uniform`] less 1.
    pub(crate) fn fill_noise(&mut self, to: &mut [f32]) {
        uniform_noise(Isa::detect(), self.state, to);
        self.state = self.state.wrapping_add(GOLDEN.wrapping_mul(to.len() as u64));
    }

    /// Uniform in [low, high); `low` if both are equal.
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// Uniform among 0..n; 0 for n = 0. The bias is below n / 2^64.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    /// True with probability p.
    pub fn chance(&mut self, p: f32) -> bool {
        self.uniform() < p
    }

    /// Normal with mean 0 and standard deviation 1, by the Box-Muller transform of two numbers.
    pub fn normal(&mut self) -> f32 {
        self.normal_f64() as f32
    }

    fn normal_f64(&mut self) -> f64 {
        // Above 0, so that the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.uniform_f64()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform_f64()).cos()
    }

    fn uniform_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Gamma distributed with this shape, above 0, and scale 1.
    ///
    /// # Source
    /// Marsaglia and Tsang, "A simple method for generating gamma variables", 2000.
    pub fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let boost = (1.0 - self.uniform_f64()).powf(1.0 / shape);
            return self.gamma(shape + 1.0) * boost;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal_f64();
            let v = (1.0 + c * x).powi(3);
            let u = 1.0 - self.uniform_f64();
            if v > 0.0 && u.ln() < 0.5 * x * x + d * (1.0 - v + v.ln()) {
                return d * v;
            }
        }
    }

    /// Shuffles in place (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_key_matters() {
        let first = |seed, epoch, sample, op| SampleKey { seed, epoch, sample }.operation(op).next_u64();
        let mut seen: Vec<u64> = Vec::new();
        for seed in 0..4 {
            for epoch in 0..4 {
                for sample in 0..4 {
                    for op in 0..4 {
                        seen.push(first(seed, epoch, sample, op));
                    }
                }
            }
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 256);
        assert_eq!(first(1, 2, 3, 4), first(1, 2, 3, 4));
    }

    #[test]
    fn the_stream_is_fixed_for_all_time() {
        // Stored pipelines and resumed runs depend on these numbers: never change them.
        let mut rng = SampleKey { seed: 7, epoch: 1, sample: 42 }.operation(0);
        let numbers = [rng.next_u64(), rng.next_u64(), rng.next_u64()];
        assert_eq!(numbers, [2345159910388810252, 11010272413664684087, 8060338181192846841]);
    }

    #[test]
    fn counts_on_as_splitmix64() {
        // The published first outputs of SplitMix64 for the state 1234567.
        let mut rng = Rng { state: 1234567 };
        let numbers = [rng.next_u64(), rng.next_u64(), rng.next_u64()];
        assert_eq!(numbers, [6457827717110365317, 3203168211198807973, 9817491932198370423]);
    }

    #[test]
    fn noise_is_drawn_from_the_same_stream() {
        let (mut one, mut all) = (Rng::keyed(&[9]), Rng::keyed(&[9]));
        let mut noise = vec![0.0; 1001];
        all.fill_noise(&mut noise);
        assert!(noise.iter().all(|&v| v == 2.0 * one.uniform() - 1.0));
        assert_eq!(one.next_u64(), all.next_u64());
    }

    #[test]
    fn uniform_is_uniform() {
        let mut rng = Rng::keyed(&[3]);
        let mut counts = [0usize; 16];
        for _ in 0..160_000 {
            let x = rng.uniform();
            assert!((0.0..1.0).contains(&x));
            counts[(x * 16.0) as usize] += 1;
        }
        // Chi-squared, 15 degrees of freedom: 44.3 is exceeded once in ten thousand seeds.
        let chi: f64 = counts.iter().map(|&c| (c as f64 - 1e4).powi(2) / 1e4).sum();
        assert!(chi < 44.3, "chi-squared {chi}");
    }

    #[test]
    fn normal_and_gamma_have_their_moments() {
        let mut rng = Rng::keyed(&[5]);
        let mut moments = |draw: &mut dyn FnMut(&mut Rng) -> f64| {
            let all: Vec<f64> = (0..100_000).map(|_| draw(&mut rng)).collect();
            let mean = all.iter().sum::<f64>() / 1e5;
            let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e5;
            let third = all.iter().map(|x| (x - mean).powi(3)).sum::<f64>() / 1e5 / variance.powf(1.5);
            (mean, variance, third)
        };
        let (mean, variance, skew) = moments(&mut |rng| f64::from(rng.normal()));
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03 && skew.abs() < 0.05);
        for shape in [0.3, 1.0, 4.5] {
            let (mean, variance, skew) = moments(&mut |rng| rng.gamma(shape));
            assert!((mean / shape - 1.0).abs() < 0.03, "{shape}: mean {mean}");
            assert!((variance / shape - 1.0).abs() < 0.06, "{shape}: variance {variance}");
            assert!((skew * shape.sqrt() / 2.0 - 1.0).abs() < 0.1, "{shape}: skewness {skew}");
        }
    }

    #[test]
    fn shuffle_is_a_permutation_and_moves_things() {
        let mut items: Vec<usize> = (0..100).collect();
        Rng::keyed(&[1]).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
