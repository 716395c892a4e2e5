//! What a model gives for each class, and what follows from one row of it.

use std::cmp::Ordering;

/// What a model gives, one row per image.
#[derive(Debug, Clone, Copy)]
pub enum Outputs<'a> {
    /// Before softmax or sigmoid: any numbers.
    Logits(&'a [f32]),
    /// 0..=1. What is below counts as 0, NaN too. Where one class is true, each row is divided by its sum.
    Probabilities(&'a [f32]),
}

impl<'a> Outputs<'a> {
    /// The numbers as they are.
    pub(crate) fn values(self) -> &'a [f32] {
        let (Self::Logits(values) | Self::Probabilities(values)) = self;
        values
    }

    /// The answer to one image whose true class is `truth`.
    ///
    /// Logits: with `m = max z`, `p_c = exp(z_c - m) / sum exp(z - m)` and `loss = m - z_truth + ln sum exp(z - m)`.
    /// Several infinite logits share the probability; a row without any number above `-inf` gives none to any class.
    pub(crate) fn answer(self, row: &[f32], truth: usize) -> Answer {
        let best = argmax(row);
        let (confidence, loss) = match self {
            Self::Logits(_) => {
                let (max, of_truth) = (number(row[best]), number(row[truth]));
                let Some(sum) = exponentials(row) else {
                    return Answer { best, confidence: 0.0, loss: f64::INFINITY };
                };
                let behind = if max == of_truth { 0.0 } else { max - of_truth };
                (1.0 / sum, behind + sum.ln())
            }
            Self::Probabilities(_) => {
                let sum: f64 = row.iter().map(|&p| probability(p)).sum();
                if sum == 0.0 {
                    return Answer { best, confidence: 0.0, loss: f64::INFINITY };
                }
                (probability(row[best]) / sum, sum.ln() - probability(row[truth]).ln())
            }
        };
        Answer { best, confidence, loss }
    }

    /// How much a row of two speaks for class 1: the difference of the logits, or the probability as it is given.
    pub(crate) fn margin(self, row: &[f32]) -> f64 {
        match self {
            Self::Logits(_) if number(row[0]) == number(row[1]) => 0.0,
            Self::Logits(_) => number(row[1]) - number(row[0]),
            Self::Probabilities(_) => probability(row[1]),
        }
    }
}

/// What follows from the row of one image.
pub(crate) struct Answer {
    /// The most likely class.
    pub(crate) best: usize,
    /// Its probability, 0..=1.
    pub(crate) confidence: f64,
    /// `-ln` of the true class's probability.
    pub(crate) loss: f64,
}

/// Index of the largest element, the first of equals; a NaN is less than everything but another NaN or `-inf`.
///
/// 0 for an empty row.
pub fn argmax(row: &[f32]) -> usize {
    let mut best = 0;
    for i in 1..row.len() {
        if order(row[i], row[best]).is_gt() {
            best = i;
        }
    }
    best
}

/// Probabilities of a row of logits, `p_c = exp(z_c - max z) / sum exp(z - max z)`.
///
/// Infinite logits share the probability. A row without any number above `-inf` gives zeros; a NaN counts as `-inf`.
pub fn softmax(row: &[f32]) -> Vec<f32> {
    let max = row.iter().fold(f32::NEG_INFINITY, |max, &z| max.max(z));
    let exps: Vec<f64> = row.iter().map(|&z| exponential(z, max)).collect();
    let sum: f64 = exps.iter().sum();
    exps.iter().map(|e| if sum > 0.0 { (e / sum) as f32 } else { 0.0 }).collect()
}

/// How many classes are thought likelier than `truth`, in the order in which equals come by index.
pub(crate) fn ahead(row: &[f32], truth: usize) -> usize {
    let before = |c: usize, z: f32| match order(z, row[truth]) {
        Ordering::Greater => true,
        Ordering::Equal => c < truth,
        Ordering::Less => false,
    };
    row.iter().enumerate().filter(|&(c, &z)| before(c, z)).count()
}

/// The one order of outputs: NaN as `-inf`, both zeros equal.
fn order(a: f32, b: f32) -> Ordering {
    number(a).total_cmp(&number(b))
}

/// An output as f64, NaN as `-inf`, `-0` as `0`.
pub(crate) fn number(z: f32) -> f64 {
    if z.is_nan() { f64::NEG_INFINITY } else { f64::from(z) + 0.0 }
}

/// A probability as f64: what is below 0 or NaN as 0, infinity as the largest number.
pub(crate) fn probability(p: f32) -> f64 {
    if p > 0.0 { f64::from(p.min(f32::MAX)) } else { 0.0 }
}

/// `sum exp(z - max z)`; `None` where nothing is above `-inf`.
fn exponentials(row: &[f32]) -> Option<f64> {
    let max = row.iter().fold(f32::NEG_INFINITY, |max, &z| max.max(z));
    (max > f32::NEG_INFINITY).then(|| row.iter().map(|&z| exponential(z, max)).sum())
}

/// `exp(z - max)`, 1 for what is as large as `max`, 0 for NaN.
fn exponential(z: f32, max: f32) -> f64 {
    match z {
        z if z.is_nan() || max == f32::NEG_INFINITY => 0.0,
        z if z == max => 1.0,
        z => (f64::from(z) - f64::from(max)).exp(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f32 = f32::NAN;
    const INF: f32 = f32::INFINITY;

    #[test]
    fn the_first_of_the_largest_is_taken_and_nan_is_least() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(argmax(&[-0.0, 0.0]), 0);
        assert_eq!(argmax(&[NAN, -5.0, NAN]), 1);
        assert_eq!(argmax(&[-NAN, -INF]), 0, "as little as -inf");
        assert_eq!(argmax(&[NAN, NAN]), 0);
        assert_eq!(argmax(&[]), 0);
        assert_eq!(ahead(&[NAN, 0.0, NAN, 1.0], 2), 3);
        assert_eq!(ahead(&[0.0, -0.0], 0), 0);
    }

    #[test]
    fn probabilities_stay_numbers_whatever_the_logits_are() {
        assert_eq!(softmax(&[NAN, 0.0, 0.0]), [0.0, 0.5, 0.5]);
        assert_eq!(softmax(&[INF, 3.0, INF]), [0.5, 0.0, 0.5]);
        assert_eq!(softmax(&[-INF, NAN]), [0.0, 0.0]);
        assert_eq!(softmax(&[3e38, -3e38]), [1.0, 0.0]);
        assert!(softmax(&[]).is_empty());
    }

    #[test]
    fn losses_of_odd_rows_are_numbers_or_infinite() {
        let loss = |row: &[f32], truth| Outputs::Logits(row).answer(row, truth).loss;
        assert_eq!(loss(&[NAN, NAN], 0), f64::INFINITY);
        assert_eq!(loss(&[NAN, 0.0], 0), f64::INFINITY);
        assert_eq!(loss(&[NAN, 0.0], 1), 0.0);
        assert_eq!(loss(&[INF, INF], 1), 2f64.ln());
        assert_eq!(loss(&[INF, 0.0], 1), f64::INFINITY);
        // Absorbed by 1e30 unless the difference is taken first.
        assert_eq!(loss(&[1e30, 1e30], 1), 2f64.ln());
    }

    #[test]
    fn probabilities_are_divided_by_their_sum() {
        let row = [0.2, 0.6];
        let answer = Outputs::Probabilities(&row).answer(&row, 0);
        assert!((answer.confidence - 0.75).abs() < 1e-7 && (answer.loss - 4f64.ln()).abs() < 1e-7);
        let none = [NAN, -1.0];
        let answer = Outputs::Probabilities(&none).answer(&none, 1);
        assert_eq!((answer.confidence, answer.loss), (0.0, f64::INFINITY));
    }
}
