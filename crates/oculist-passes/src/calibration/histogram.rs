//! A histogram that grows with what it sees and does not depend on the order.
//!
//! Bins are `2^e` wide and start at multiples of their width, so 0 is always an edge and two neighbouring bins can
//! be joined into one of twice the width without error. `e` is the smallest exponent at which all data, and 0, fit
//! into [`MAX_BINS`] bins; data from the first batch on are counted at that exponent or at a smaller one that is
//! coarsened later, which gives the same counts.

use super::{CalibrationMethod, entropy};
use crate::quantize::Range;

/// Bins between the smallest and the largest value; at least half of them are in use.
const MAX_BINS: i64 = 4096;
/// The narrowest bin is `2^MIN_EXPONENT`.
const MIN_EXPONENT: i32 = -120;
/// Places in which a bin is counted.
const LANES: usize = 4;
/// Levels of a u8.
const LEVELS: usize = 256;

/// Counts of values by size.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    exponent: i32,
    /// Index of the first bin: it starts at `first * 2^exponent`.
    first: i64,
    counts: Vec<u64>,
    /// Exact zeros are counted apart: quantisation represents them exactly, whatever the range.
    zeros: u64,
    total: u64,
    min: f32,
    max: f32,
}

impl Histogram {
    /// Adds values.
    ///
    /// # Errors
    /// The first value that is not finite; then nothing is added.
    pub fn observe(&mut self, data: &[f32]) -> Result<(), f32> {
        if let Some(&bad) = data.iter().find(|x| !x.is_finite()) {
            return Err(bad);
        }
        if data.is_empty() {
            return Ok(());
        }
        let (mut min, mut max) = (f32::INFINITY, f32::NEG_INFINITY);
        for &x in data {
            (min, max) = (min.min(x), max.max(x));
        }
        self.widen(min, max);
        self.total += data.len() as u64;
        self.count(data);
        Ok(())
    }

    /// Counts values that lie in the bins.
    fn count(&mut self, data: &[f32]) {
        let scale = (-f64::from(self.exponent)).exp2();
        // Neighbours are alike: were they counted in one place, each would wait for the one before it.
        let mut lanes = vec![[0u32; LANES]; self.counts.len()];
        for part in data.chunks(1 << 24) {
            let mut zeros = 0u64;
            for four in part.chunks(LANES) {
                for (lane, &x) in four.iter().enumerate() {
                    let t = f64::from(x) * scale;
                    // Towards zero, then down: `floor` is a call on processors that the program must run on.
                    let i = t as i64;
                    let i = i - i64::from(t < i as f64) - self.first;
                    lanes[i as usize][lane] += 1;
                    zeros += u64::from(x == 0.0);
                }
            }
            for (count, lanes) in self.counts.iter_mut().zip(&mut lanes) {
                *count += lanes.iter().map(|&n| u64::from(n)).sum::<u64>();
                *lanes = [0; LANES];
            }
            self.counts[(-self.first) as usize] -= zeros;
            self.zeros += zeros;
        }
    }

    /// Adds what another histogram saw.
    pub fn merge(&mut self, other: &Self) {
        if other.total == 0 {
            return;
        }
        self.widen(other.min, other.max);
        let mut other = other.clone();
        other.coarsen(self.exponent);
        // Now this one may be the finer one only if the other's data are wider, which `widen` has ruled out.
        for (i, n) in other.counts.iter().enumerate().filter(|(_, n)| **n > 0) {
            self.counts[(other.first + i as i64 - self.first) as usize] += n;
        }
        self.zeros += other.zeros;
        self.total += other.total;
    }

    /// Number of values seen.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Width of a bin.
    pub fn width(&self) -> f64 {
        f64::from(self.exponent).exp2()
    }

    /// The range by the given method; `None` if nothing was seen.
    pub fn range(&self, method: CalibrationMethod) -> Option<Range> {
        if self.total == 0 {
            return None;
        }
        let (lo, hi) = match method {
            CalibrationMethod::MinMax => return Some(Range::new(self.min, self.max)),
            CalibrationMethod::Percentile(p) => self.percentile(p),
            CalibrationMethod::Entropy => self.entropy(LEVELS),
        };
        Some(Range::new((lo as f32).max(self.min), (hi as f32).min(self.max)))
    }

    /// Ends of the middle `p` percent, outward to the next edge.
    fn percentile(&self, p: f64) -> (f64, f64) {
        let cut = (100.0 - p) / 200.0 * self.total as f64;
        let counts = self.with_zeros();
        let end = |bins: &mut dyn Iterator<Item = (usize, u64)>| {
            let mut below = 0.0;
            for (i, n) in bins {
                below += n as f64;
                if below > cut {
                    return i as i64;
                }
            }
            -self.first
        };
        let lo = end(&mut counts.iter().copied().enumerate());
        let hi = end(&mut counts.iter().copied().enumerate().rev());
        let edge = |i: i64| (self.first + i) as f64 * self.width();
        (edge(lo), edge((hi + 1).max(lo)))
    }

    /// Ends of the range that loses the least information with the given number of levels (256 for u8), before they
    /// are cut to what was seen; see [`CalibrationMethod::Entropy`].
    pub fn entropy(&self, levels: usize) -> (f64, f64) {
        let below = (-self.first) as usize;
        let (lo, hi) = entropy::best_range(&self.counts, below, levels);
        let edge = |i: usize| (self.first + i as i64) as f64 * self.width();
        (edge(lo), edge(hi))
    }

    fn with_zeros(&self) -> Vec<u64> {
        let mut counts = self.counts.clone();
        if self.zeros > 0 {
            counts[(-self.first) as usize] += self.zeros;
        }
        counts
    }

    /// Makes room for data from `min` to `max`.
    fn widen(&mut self, min: f32, max: f32) {
        (self.min, self.max) =
            if self.total == 0 { (min, max) } else { (self.min.min(min), self.max.max(max)) };
        let (lo, hi) = (f64::from(self.min.min(0.0)), f64::from(self.max.max(0.0)));
        let peak = hi.max(-lo);
        let bins = |e: i32| {
            let scale = (-f64::from(e)).exp2();
            let (a, b) = ((lo * scale).floor() as i64, (hi * scale).floor() as i64);
            (a, b - a + 1)
        };
        // At this exponent the larger end alone takes twice as many bins as there are, so no smaller one fits.
        let mut e =
            if peak > 0.0 { (peak.log2().floor() as i32 - 13).max(MIN_EXPONENT) } else { MIN_EXPONENT };
        while bins(e).1 > MAX_BINS {
            e += 1;
        }
        let (first, n) = bins(e);
        if self.counts.is_empty() {
            (self.exponent, self.first, self.counts) = (e, first, vec![0; n as usize]);
            return;
        }
        self.coarsen(e);
        let mut counts = vec![0; n as usize];
        for (i, &c) in self.counts.iter().enumerate().filter(|(_, c)| **c > 0) {
            counts[(self.first + i as i64 - first) as usize] += c;
        }
        (self.first, self.counts) = (first, counts);
    }

    /// Joins neighbouring bins until they are `2^exponent` wide.
    fn coarsen(&mut self, exponent: i32) {
        while self.exponent < exponent {
            let first = self.first.div_euclid(2);
            let mut counts = vec![0; self.counts.len() / 2 + 2];
            for (i, &c) in self.counts.iter().enumerate() {
                counts[((self.first + i as i64).div_euclid(2) - first) as usize] += c;
            }
            (self.exponent, self.first, self.counts) = (self.exponent + 1, first, counts);
        }
    }
}
