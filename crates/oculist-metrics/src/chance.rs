//! Whether a classifier is better than answering one class for every image.

mod labels;

use serde::{Deserialize, Serialize};

use crate::confusion::{counts, mean};
use crate::proportion::{Interval, wilson_interval};

/// The 97.5% quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

pub use labels::LabelStanding;

/// How a classifier stands beside one that has learnt nothing. In files its text: `better`, `no-better`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// Its accuracy is above the majority rate, by more than chance.
    #[default]
    Better,
    /// Its accuracy is not, but its balanced accuracy is above what the same answers in another order would give.
    BetterBalanced,
    /// Its accuracy is above the majority rate, but not by more than chance on so few images.
    Unclear,
    /// Neither accuracy nor balanced accuracy is above what needs no image.
    NoBetter,
}

/// An accuracy beside that of the commonest class, and a balanced accuracy beside that of answers in any order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// The commonest class; of equally common ones the first.
    pub majority: usize,
    /// Share of its images, percent: the accuracy of always answering it.
    pub majority_rate: f64,
    /// Share of right answers, percent.
    pub accuracy: f64,
    /// 95% confidence interval of `accuracy`; see [`wilson_interval`].
    pub interval: Interval,
    /// Mean over the classes that occur of their share of right answers, percent.
    pub balanced: f64,
    /// What `balanced` is expected to be if the answers have nothing to do with the images; see [`Standing::of`].
    pub balanced_chance: f64,
    /// How many standard deviations `balanced` lies above that; 0 where it cannot vary, as with a constant answer.
    pub balanced_z: f64,
}

impl Standing {
    /// The standing by `confusion[truth][predicted]`; `None` where fewer than two classes have images, of which nothing
    /// can be told apart.
    ///
    /// With `n_k` images of class k, `m_k` answers k, n images and K classes that have images, the answers in a random
    /// order have the balanced accuracy `sum of m_k / (n K)` over these classes (1 / K if only they are answered) and the
    /// variance `1 / (n - 1) * sum over images i and answers j of d_ij^2`, where d is
    /// `a_ij = [answer j is the class of i] / (K n_class(i))` less the means of its row and column, plus the mean of all.
    ///
    /// # Source
    /// Moments of a permutation statistic: Hoeffding, "A combinatorial central limit theorem", 1951.
    pub fn of(confusion: &[Vec<u32>]) -> Option<Self> {
        let truths: Vec<f64> = confusion.iter().map(|row| sum(row.iter().copied())).collect();
        let classes = truths.iter().filter(|&&n| n > 0.0).count();
        if classes < 2 {
            return None;
        }
        let n: f64 = truths.iter().sum();
        let answers: Vec<f64> =
            (0..confusion.len()).map(|p| sum(confusion.iter().map(|row| row[p]))).collect();
        let right = sum((0..confusion.len()).map(|c| confusion[c][c]));
        let majority = (0..truths.len()).fold(0, |most, c| if truths[c] > truths[most] { c } else { most });
        let balanced = mean(counts(confusion).iter().map(|c| c.recall()))?;
        let k = classes as f64;
        let occurs = |class: usize| truths[class] > 0.0;
        let answered: f64 = (0..truths.len()).filter(|&c| occurs(c)).map(|c| answers[c]).sum();
        let all = answered / (n * n * k);
        let mut squares = 0.0;
        for truth in (0..truths.len()).filter(|&c| occurs(c)) {
            let row = answers[truth] / (n * k * truths[truth]);
            for answer in (0..answers.len()).filter(|&p| answers[p] > 0.0) {
                let column = if occurs(answer) { 1.0 / (n * k) } else { 0.0 };
                let own = if truth == answer { 1.0 / (k * truths[truth]) } else { 0.0 };
                let d = own - row - column + all;
                squares += truths[truth] * answers[answer] * d * d;
            }
        }
        let deviation = 100.0 * (squares / (n - 1.0)).sqrt();
        let balanced_chance = 100.0 * answered / (n * k);
        // What cannot vary differs by rounding only.
        let varies = deviation > 1e-9;
        Some(Self {
            majority,
            majority_rate: 100.0 * truths[majority] / n,
            accuracy: 100.0 * right / n,
            interval: wilson_interval(right as usize, n as usize),
            balanced,
            balanced_chance,
            balanced_z: if varies { (balanced - balanced_chance) / deviation } else { 0.0 },
        })
    }

    /// What can be said: the lower end of the interval above the majority rate is better; else a balanced accuracy more
    /// than 1.96 standard deviations above chance is better by that measure.
    ///
    /// Rare classes are why the second is asked: a classifier that finds most of 1% may have an accuracy below the 99% of
    /// never answering it.
    pub fn finding(&self) -> Finding {
        if self.interval.low > self.majority_rate {
            Finding::Better
        } else if self.balanced_z > Z {
            Finding::BetterBalanced
        } else if self.accuracy > self.majority_rate {
            Finding::Unclear
        } else {
            Finding::NoBetter
        }
    }
}

fn sum(counts: impl Iterator<Item = u32>) -> f64 {
    counts.map(f64::from).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate_logits;

    /// The confusion matrix of answers.
    fn confusion(truths: &[u32], answers: &[u32], classes: usize) -> Vec<Vec<u32>> {
        let mut found = vec![vec![0; classes]; classes];
        for (&truth, &answer) in truths.iter().zip(answers) {
            found[truth as usize][answer as usize] += 1;
        }
        found
    }

    /// All orders of a list.
    fn orders(list: &[u32]) -> Vec<Vec<u32>> {
        if list.is_empty() {
            return vec![Vec::new()];
        }
        let mut all = Vec::new();
        for i in 0..list.len() {
            let mut rest = list.to_vec();
            let first = rest.remove(i);
            all.extend(orders(&rest).into_iter().map(|rest| [vec![first], rest].concat()));
        }
        all
    }

    #[test]
    fn the_moments_are_those_of_all_orders_of_the_answers() {
        // Unequal classes, one without images (3) that is answered, one that is never answered (1).
        let truths = [0, 0, 0, 1, 1, 2, 2];
        for answers in [[0, 0, 2, 0, 0, 2, 2], [0, 3, 2, 0, 3, 2, 1], [0, 1, 0, 1, 0, 2, 2]] {
            let balanced: Vec<f64> = orders(&answers)
                .iter()
                .map(|order| Standing::of(&confusion(&truths, order, 4)).unwrap().balanced)
                .collect();
            let n = balanced.len() as f64;
            let mean = balanced.iter().sum::<f64>() / n;
            let variance = balanced.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / n;
            let found = Standing::of(&confusion(&truths, &answers, 4)).unwrap();
            let z = (found.balanced - mean) / variance.sqrt();
            assert!((found.balanced_chance - mean).abs() < 1e-9, "{} {mean}", found.balanced_chance);
            assert!((found.balanced_z - z).abs() < 1e-9, "{} {z}", found.balanced_z);
            // The variance of independent answers would not pass.
            let independent = variance * (truths.len() - 1) as f64 / truths.len() as f64;
            assert!((found.balanced_z - (found.balanced - mean) / independent.sqrt()).abs() > 1e-3);
        }
    }

    #[test]
    fn a_constant_answer_is_no_better_whatever_the_classes() {
        for sizes in [vec![600, 300, 200, 100, 90, 54], vec![50, 50], vec![990, 10], vec![2, 1]] {
            let truths: Vec<u32> = sizes.iter().enumerate().flat_map(|(c, &n)| vec![c as u32; n]).collect();
            for answer in 0..sizes.len() as u32 {
                let found =
                    Standing::of(&confusion(&truths, &vec![answer; truths.len()], sizes.len())).unwrap();
                assert_eq!(found.finding(), Finding::NoBetter, "{sizes:?} {answer}");
                assert_eq!((found.majority, found.balanced_z), (0, 0.0));
                assert!((found.balanced - 100.0 / sizes.len() as f64).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn what_finds_the_rare_class_is_better_though_less_accurate_than_never_answering_it() {
        // 990 and 10 images; 9 of the 10 are found and 40 others are taken for them.
        let found = Standing::of(&[vec![950, 40], vec![1, 9]]).unwrap();
        assert!(found.accuracy < found.majority_rate);
        assert_eq!(found.finding(), Finding::BetterBalanced);
        // As many answers anywhere are not.
        assert_eq!(Standing::of(&[vec![941, 49], vec![10, 0]]).unwrap().finding(), Finding::NoBetter);
    }

    #[test]
    fn few_images_are_unclear_and_many_are_not() {
        // 60% of two equal classes.
        let of = |n: u32| Standing::of(&[vec![6 * n, 4 * n], vec![4 * n, 6 * n]]).unwrap().finding();
        assert_eq!([of(1), of(2), of(20), of(100)].map(|f| f == Finding::Better), [false, false, true, true]);
        assert_eq!(of(1), Finding::Unclear);
        // All right, of three images and of thirty.
        let right = |n: u32| Standing::of(&[vec![n, 0, 0], vec![0, n, 0], vec![0, 0, n]]).unwrap().finding();
        assert_eq!([right(1), right(10)], [Finding::Better; 2]);
        let one = Standing::of(&[vec![1, 0], vec![0, 1]]).unwrap();
        assert_eq!(one.finding(), Finding::Unclear, "two images prove nothing");
    }

    #[test]
    fn one_class_or_none_has_no_standing() {
        assert_eq!(Standing::of(&[vec![5, 1], vec![0, 0]]), None);
        assert_eq!(Standing::of(&[]), None);
        let evaluation = evaluate_logits(&[], &[], 3);
        assert_eq!(Standing::of(&evaluation.confusion), None);
    }
}
