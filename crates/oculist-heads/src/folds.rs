//! Folds for cross-validation, with equal shares of each class.

use std::ops::Range;

use crate::random::Random;

/// Rows in the order of the folds that hold them out.
#[derive(Debug, Clone)]
pub(crate) struct Folds {
    /// Rows by fold; at the end those that no fold holds out, since their class has no other.
    pub(crate) order: Vec<usize>,
    /// Where each fold's rows are in `order`; none where no class has two rows.
    pub(crate) held_out: Vec<Range<usize>>,
    /// Rows of the smallest class, if there are fewer folds than asked for because of it.
    limited_by: Option<usize>,
}

impl Folds {
    /// Deals the rows of each class in random order to folds in turn.
    ///
    /// There are as many folds as asked for, or as the smallest class of two rows or more has rows. A class of one row is
    /// never held out.
    pub(crate) fn new(labels: &[u32], classes: usize, wanted: usize, seed: u64) -> Self {
        let mut rows_of = vec![Vec::new(); classes];
        for (row, &label) in labels.iter().enumerate() {
            rows_of[label as usize].push(row);
        }
        let smallest = rows_of.iter().map(Vec::len).filter(|&n| n > 1).min().unwrap_or(0);
        let folds = wanted.min(smallest);
        let mut held = vec![Vec::new(); folds];
        let mut always = Vec::new();
        let mut next = 0;
        for (class, rows) in rows_of.iter_mut().enumerate() {
            if rows.len() < 2 {
                always.append(rows);
                continue;
            }
            Random::new(seed, class as u64).shuffle(rows);
            for &row in &*rows {
                held[next % folds].push(row);
                next += 1;
            }
        }
        let mut order = Vec::with_capacity(labels.len());
        let mut held_out = Vec::with_capacity(folds);
        for mut fold in held {
            fold.sort_unstable();
            held_out.push(order.len()..order.len() + fold.len());
            order.append(&mut fold);
        }
        order.append(&mut always);
        Self { order, held_out, limited_by: (folds > 0 && folds < wanted).then_some(smallest) }
    }

    /// The folds in words: `5 folds`.
    pub(crate) fn words(&self) -> String {
        let count = self.held_out.len();
        match self.limited_by {
            None => format!("{count} folds"),
            Some(n) => format!("{count} folds, since a class has {n} rows"),
        }
    }

    /// Positions in `order` that a fold learns from.
    pub(crate) fn learned(&self, fold: usize) -> [Range<usize>; 2] {
        let held = &self.held_out[fold];
        [0..held.start, held.end..self.order.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fold_learns_from_every_class() {
        let labels: Vec<u32> = (0..23).map(|i| if i == 5 { 3 } else { i % 3 }).collect();
        let folds = Folds::new(&labels, 5, 5, 7);
        assert_eq!(folds.held_out.len(), 5);
        assert_eq!(folds.words(), "5 folds");
        let mut all = folds.order.clone();
        all.sort_unstable();
        assert_eq!(all, (0..23).collect::<Vec<_>>());
        assert_eq!(folds.order[22], 5, "the only row of its class is never held out");
        for fold in 0..5 {
            let learned = folds.learned(fold).into_iter().flatten().map(|i| labels[folds.order[i]]);
            let mut seen: Vec<u32> = learned.collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen, [0, 1, 2, 3]);
        }
    }

    #[test]
    fn a_small_class_means_fewer_folds() {
        let folds = Folds::new(&[0, 0, 0, 0, 1, 1], 2, 5, 0);
        assert_eq!(folds.words(), "2 folds, since a class has 2 rows");
        assert!(Folds::new(&[0, 1, 2], 3, 5, 0).held_out.is_empty());
    }
}
