//! Counts of right and wrong answers per class, and what is computed from counts alone.

/// What was said of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Of the class and said to be.
    pub(crate) true_positives: usize,
    /// Said to be of the class and is not.
    pub(crate) false_positives: usize,
    /// Of the class and not said to be.
    pub(crate) false_negatives: usize,
}

impl Counts {
    /// How many are of the class.
    pub(crate) fn positives(self) -> usize {
        self.true_positives + self.false_negatives
    }

    /// How many are said to be.
    pub(crate) fn predicted(self) -> usize {
        self.true_positives + self.false_positives
    }

    /// `100 TP / (TP + FP)`; `None` if nothing is said to be of the class.
    pub(crate) fn precision(self) -> Option<f64> {
        percent(self.true_positives, self.predicted())
    }

    /// `100 TP / (TP + FN)`; `None` if nothing is of the class.
    pub(crate) fn recall(self) -> Option<f64> {
        percent(self.true_positives, self.positives())
    }

    /// `200 TP / (2 TP + FP + FN)`; `None` if nothing is of the class or said to be.
    pub(crate) fn f1(self) -> Option<f64> {
        percent(2 * self.true_positives, self.positives() + self.predicted())
    }

    /// The sum over classes.
    pub(crate) fn total(all: &[Self]) -> Self {
        all.iter().fold(Self::default(), |sum, c| Self {
            true_positives: sum.true_positives + c.true_positives,
            false_positives: sum.false_positives + c.false_positives,
            false_negatives: sum.false_negatives + c.false_negatives,
        })
    }
}

/// Counts of each class from `confusion[truth][predicted]`.
pub(crate) fn counts(confusion: &[Vec<u32>]) -> Vec<Counts> {
    let mut counts = vec![Counts::default(); confusion.len()];
    for (truth, row) in confusion.iter().enumerate() {
        for (predicted, &n) in row.iter().enumerate() {
            if truth == predicted {
                counts[truth].true_positives += n as usize;
            } else {
                counts[truth].false_negatives += n as usize;
                counts[predicted].false_positives += n as usize;
            }
        }
    }
    counts
}

/// `100 part / whole`; `None` of nothing.
pub(crate) fn percent(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

/// The mean of what is there; `None` of nothing.
pub(crate) fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (n, sum) = values.flatten().fold((0usize, 0.0), |(n, sum), value| (n + 1, sum + value));
    (n > 0).then(|| sum / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_hand() {
        // Class 1 never occurs and is answered once; class 3 neither.
        let confusion = vec![vec![2, 1, 0, 0], vec![0; 4], vec![1, 0, 4, 0], vec![0; 4]];
        let counts = counts(&confusion);
        let flat = counts.iter().map(|c| (c.true_positives, c.false_positives, c.false_negatives));
        assert_eq!(flat.collect::<Vec<_>>(), [(2, 1, 1), (0, 1, 0), (4, 0, 1), (0, 0, 0)]);
        assert_eq!(counts[2].recall(), Some(80.0));
        assert_eq!(counts[1].recall(), None);
        assert_eq!((counts[1].f1(), counts[3].f1()), (Some(0.0), None));
        assert_eq!(
            Counts::total(&counts),
            Counts { true_positives: 6, false_positives: 2, false_negatives: 2 }
        );
        assert_eq!(mean(counts.iter().map(|c| c.recall())), Some(f64::midpoint(200.0 / 3.0, 80.0)));
        assert_eq!(mean([None].into_iter()), None);
    }
}
