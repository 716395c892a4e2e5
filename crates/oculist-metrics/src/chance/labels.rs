//! Whether a mean average precision is above that of the same answer for every image.

use super::Finding;
use crate::multi_label::Target;
use crate::outputs::{Outputs, number};

/// Random orders that a mean average precision is compared with.
const ORDERS: usize = 199;
/// Share of orders, the true one included, that may reach the value by chance.
const LEVEL: f64 = 0.025;

/// A mean average precision beside that of outputs that have nothing to do with the images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelStanding {
    /// Mean average precision, percent.
    pub map: f64,
    /// That of one answer for all images, percent: the mean over the classes with positives of their share of the images.
    pub constant: f64,
    /// Share of the orders of the images, the true one among them, that reach `map`, 0..=1.
    pub p: f64,
}

impl LabelStanding {
    /// Compares outputs with the same ones given to the images in 199 random orders, always the same; `None` without a
    /// positive.
    ///
    /// The labels of an image stay together, so that what classes have to do with each other makes no difference.
    ///
    /// # Shapes
    /// `outputs` and `targets`: `[n, classes]`, dense.
    ///
    /// # Panics
    /// If the lengths differ.
    ///
    /// # Source
    /// A permutation test: Phipson and Smyth 2010, `p = (b + 1) / (m + 1)`.
    pub fn of<T: Target>(outputs: Outputs<'_>, targets: &[T], classes: usize) -> Option<Self> {
        let values = outputs.values();
        assert_eq!(values.len(), targets.len(), "outputs and targets differ in length");
        let count = targets.len().checked_div(classes).unwrap_or(0);
        let ranked: Vec<Ranked> = (0..classes)
            .map(|class| {
                Ranked::new(|i| values[i * classes + class], |i| targets[i * classes + class].holds(), count)
            })
            .filter(|ranked| !ranked.positives.is_empty())
            .collect();
        if ranked.is_empty() {
            return None;
        }
        let mean =
            |of: &dyn Fn(&Ranked) -> f64| 100.0 * ranked.iter().map(of).sum::<f64>() / ranked.len() as f64;
        let mut order: Vec<u32> = (0..count as u32).collect();
        let map = mean(&|class| class.average_precision(&order));
        let mut random = Random(0x6f63_756c_6973_7421);
        let reached = (0..ORDERS)
            .filter(|_| {
                random.shuffle(&mut order);
                // Equal values may differ by the rounding of their sums.
                mean(&|class| class.average_precision(&order)) >= map - 1e-9
            })
            .count();
        Some(Self {
            map,
            constant: mean(&|class| class.positives.len() as f64 / count as f64),
            p: (reached + 1) as f64 / (ORDERS + 1) as f64,
        })
    }

    /// Better where at most 2.5% of the orders reach the value; else unclear above the constant answer's, and no better
    /// below.
    pub fn finding(&self) -> Finding {
        if self.p <= LEVEL {
            Finding::Better
        } else if self.map > self.constant + 1e-9 {
            Finding::Unclear
        } else {
            Finding::NoBetter
        }
    }
}

/// The outputs of one class, from the highest to the lowest.
struct Ranked {
    /// How many images have an output at least as high as image i.
    taken: Vec<u32>,
    /// The images that have the class.
    positives: Vec<u32>,
}

impl Ranked {
    fn new(value: impl Fn(usize) -> f32, holds: impl Fn(usize) -> bool, count: usize) -> Self {
        let mut order: Vec<(f64, usize)> = (0..count).map(|i| (number(value(i)) + 0.0, i)).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut taken = vec![0; count];
        let mut before = 0;
        for same in order.chunk_by(|a, b| a.0 == b.0) {
            before += same.len();
            for &(_, i) in same {
                taken[i] = before as u32;
            }
        }
        Self { taken, positives: (0..count).filter(|&i| holds(i)).map(|i| i as u32).collect() }
    }

    /// [`average_precision`](crate::average_precision) where image i has the outputs of image `order[i]`.
    fn average_precision(&self, order: &[u32]) -> f64 {
        let mut taken: Vec<u32> =
            self.positives.iter().map(|&i| self.taken[order[i as usize] as usize]).collect();
        taken.sort_unstable();
        let (mut found, mut sum) = (0usize, 0.0);
        for same in taken.chunk_by(|a, b| a == b) {
            found += same.len();
            sum += same.len() as f64 * (found as f64 / f64::from(same[0]));
        }
        sum / taken.len() as f64
    }
}

/// Splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Fisher and Yates.
    fn shuffle(&mut self, list: &mut [u32]) {
        for i in (1..list.len()).rev() {
            let j = (u128::from(self.next()) * (i as u128 + 1)) >> 64;
            list.swap(i, j as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metric, average_precision, multi_label};

    /// Outputs and targets of n images and three classes; the outputs lean to the truth by `lean`.
    fn case(n: usize, lean: f32) -> (Vec<f32>, Vec<bool>) {
        let mut random = Random(7);
        let mut unit = || (random.next() >> 40) as f32 / (1u64 << 24) as f32;
        let targets: Vec<bool> = (0..3 * n).map(|i| unit() < [0.5, 0.2, 0.05][i % 3]).collect();
        // Rounded, so that outputs are equal.
        let outputs =
            targets.iter().map(|&t| ((unit() + if t { lean } else { 0.0 }) * 20.0).floor()).collect();
        (outputs, targets)
    }

    #[test]
    fn the_value_is_the_metric_and_that_of_a_constant_is_the_share_of_positives() {
        let (outputs, targets) = case(200, 0.3);
        let found = LabelStanding::of(Outputs::Logits(&outputs), &targets, 3).unwrap();
        let scores = multi_label(Outputs::Logits(&outputs), &targets, 3, 0.5).scores;
        assert!((found.map - scores.get(Metric::Map).unwrap()).abs() < 1e-9);
        let constant: Vec<f64> = (0..3)
            .map(|c| {
                let positive: Vec<bool> = targets.iter().skip(c).step_by(3).copied().collect();
                average_precision(&vec![1.5; positive.len()], &positive).unwrap()
            })
            .collect();
        assert!((found.constant - 100.0 * constant.iter().sum::<f64>() / 3.0).abs() < 1e-9);
    }

    #[test]
    fn what_leans_to_the_truth_is_better_and_what_does_not_is_not() {
        let of = |n, lean| {
            let (outputs, targets) = case(n, lean);
            LabelStanding::of(Outputs::Logits(&outputs), &targets, 3).unwrap()
        };
        assert_eq!(of(200, 0.3).finding(), Finding::Better);
        assert_ne!(of(200, 0.0).finding(), Finding::Better);
        assert_eq!(of(200, -0.3).finding(), Finding::NoBetter);
        let (_, targets) = case(200, 0.0);
        let same = LabelStanding::of(Outputs::Logits(&[0.25; 600]), &targets, 3).unwrap();
        assert_eq!((same.finding(), same.p), (Finding::NoBetter, 1.0));
        assert!((same.map - same.constant).abs() < 1e-9);
        assert_eq!(LabelStanding::of(Outputs::Logits(&[0.5; 4]), &[false; 4], 2), None);
    }

    #[test]
    fn the_share_of_orders_is_that_of_all_orders() {
        // One class, two of five images: every pair of places is equally likely.
        let outputs = [5.0, 4.0, 3.0, 2.0, 1.0];
        let targets = [true, false, true, false, false];
        let found = LabelStanding::of(Outputs::Logits(&outputs), &targets, 1).unwrap();
        let scores: Vec<f64> = outputs.iter().map(|&v| f64::from(v)).collect();
        let (mut reach, mut all) = (0.0, 0.0);
        for i in 0..5 {
            for j in i + 1..5 {
                let positive: Vec<bool> = (0..5).map(|k| k == i || k == j).collect();
                all += 1.0;
                reach +=
                    f64::from(u8::from(100.0 * average_precision(&scores, &positive).unwrap() >= found.map));
            }
        }
        let expected: f64 = reach / all;
        let error = (expected * (1.0 - expected) / 200.0).sqrt();
        assert!((found.p - expected).abs() < 3.0 * error, "{} {expected}", found.p);
        assert!((found.p - 2.0 * expected).abs() > 3.0 * error, "twice that would be seen");
    }
}
