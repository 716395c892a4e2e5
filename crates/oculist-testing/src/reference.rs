//! Kernels as naive f64 loops over NCHW and OIHW arrays: the oracle of the fast ones, kept forever.

pub mod conv;
pub mod norm;
pub mod pooling;
pub mod set_norm;
pub mod transposed;

/// A reproducible stream of numbers (SplitMix64), for test inputs.
///
/// # Source
/// Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
#[derive(Debug, Clone)]
pub struct Noise(u64);

impl Noise {
    /// A stream that depends on `seed` alone.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An f32 in -1..1.
    pub fn signed(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// `n` f32 in -1..1.
    pub fn vector(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.signed()).collect()
    }

    /// An integer in `low..=high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + (self.bits() % (high - low + 1) as u64) as usize
    }

    /// One of the values.
    ///
    /// # Panics
    /// When there is none.
    pub fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.between(0, values.len() - 1)]
    }
}

/// Largest absolute difference, relative to the largest absolute value of `want`.
///
/// A NaN on either side counts as an infinite error.
///
/// # Panics
/// When the lengths differ.
pub fn relative_error(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len(), "compared arrays of different lengths");
    let scale = want.iter().fold(f64::MIN_POSITIVE, |m, w| m.max(w.abs()));
    let worst = got.iter().zip(want).fold(0.0f64, |m, (g, w)| {
        let d = (f64::from(*g) - w).abs();
        if d.is_nan() { f64::INFINITY } else { m.max(d) }
    });
    worst / scale
}

/// The f64 copy of an f32 array.
pub fn widen(x: &[f32]) -> Vec<f64> {
    x.iter().map(|v| f64::from(*v)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zeroed_or_undefined_result_is_far_off() {
        let want = [1.0, -2.0];
        assert_eq!(relative_error(&[1.0, -2.0], &want), 0.0);
        assert_eq!(relative_error(&[0.0, 0.0], &want), 1.0);
        assert!(relative_error(&[f32::NAN, -2.0], &want).is_infinite());
    }

    #[test]
    fn noise_depends_on_the_seed() {
        assert_eq!(Noise::new(3).vector(4), Noise::new(3).vector(4));
        assert_ne!(Noise::new(3).vector(4), Noise::new(4).vector(4));
        assert!(Noise::new(0).vector(1000).iter().all(|v| (-1.0..1.0).contains(v)));
    }
}
