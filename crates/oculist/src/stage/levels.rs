//! The search for the strongest setting that keeps the promise.

/// Shares of the cost that stages aim at where a search names none, from weak to strong.
pub(crate) const LEVELS: [f64; 8] = [0.92, 0.85, 0.7, 0.55, 0.45, 0.35, 0.25, 0.15];

/// A binary search over levels for the strongest that is accepted.
///
/// Accuracy falls with the level but for noise, so each answer halves what is left. The first level tried is the
/// middle one; a level is tried at most once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LevelSearch {
    /// Levels before this one are known to be good (or weaker than a good one).
    low: usize,
    /// Levels from this one on are known to be bad.
    high: usize,
    budget: usize,
}

impl LevelSearch {
    /// Of so many levels at most `budget` are tried.
    pub(crate) fn new(levels: usize, budget: usize) -> Self {
        Self { low: 0, high: levels, budget }
    }

    /// The next level to try, as an index.
    pub(crate) fn next(&self) -> Option<usize> {
        (self.budget > 0 && self.low < self.high).then(|| usize::midpoint(self.low, self.high))
    }

    /// Tells whether `level` was accepted.
    pub(crate) fn answer(&mut self, level: usize, accepted: bool) {
        self.budget = self.budget.saturating_sub(1);
        if accepted {
            self.low = level + 1;
        } else {
            self.high = level;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strongest(limit: Option<usize>, budget: usize) -> (Option<usize>, usize) {
        let mut search = LevelSearch::new(LEVELS.len(), budget);
        let (mut best, mut tries) = (None, 0);
        while let Some(level) = search.next() {
            tries += 1;
            let accepted = limit.is_some_and(|l| level <= l);
            if accepted {
                best = best.max(Some(level));
            }
            search.answer(level, accepted);
        }
        (best, tries)
    }

    #[test]
    fn finds_every_limit_within_four_tries() {
        for limit in 0..LEVELS.len() {
            let (best, tries) = strongest(Some(limit), 4);
            assert_eq!(best, Some(limit));
            assert!(tries <= 4);
        }
        assert_eq!(strongest(None, 4).0, None, "nothing is accepted if nothing passes");
    }

    #[test]
    fn a_small_budget_ends_the_search_early() {
        let (best, tries) = strongest(Some(7), 2);
        assert_eq!(tries, 2);
        assert_eq!(best, Some(6), "the fifth level, then the seventh");
    }

    #[test]
    fn levels_grow_stronger() {
        assert!(LEVELS.windows(2).all(|w| w[0] > w[1]));
    }
}
