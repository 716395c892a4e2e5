//! How a head is learned.

use crate::error::HeadError;

/// How a head is learned.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadOptions {
    /// Seed of all random choices.
    pub seed: u64,
    /// Threads; the result does not depend on them.
    pub threads: usize,
    /// Folds of the cross-validation, 2 and more. Where a class has fewer rows, there are as many as it has.
    pub folds: usize,
    /// The inverse strength `C` of the penalty of `logistic` and `svm`, as scikit-learn counts it, instead of the one that
    /// cross-validation chooses.
    pub strength: Option<f64>,
    /// The number of neighbours of `knn` instead of the one that cross-validation chooses.
    pub neighbours: Option<usize>,
    /// Trees of `forest`.
    pub trees: usize,
    /// Bytes of memory that may be taken.
    pub max_memory: usize,
}

impl Default for HeadOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            threads: 1,
            folds: 5,
            strength: None,
            neighbours: None,
            trees: 200,
            max_memory: oculist_kernels::machine_memory(),
        }
    }
}

impl HeadOptions {
    /// Refuses what is out of range.
    pub(crate) fn check(&self) -> Result<(), HeadError> {
        let wrong = |name, expected, found: String| Err(HeadError::Option { name, expected, found });
        if !(1..=1024).contains(&self.threads) {
            return wrong("threads", "1 to 1024", self.threads.to_string());
        }
        if self.folds < 2 {
            return wrong("folds", "2 or more", self.folds.to_string());
        }
        if let Some(c) = self.strength
            && !(1e-12..=1e12).contains(&c)
        {
            return wrong("strength", "a number between 1e-12 and 1e12", c.to_string());
        }
        if self.neighbours == Some(0) {
            return wrong("neighbours", "1 or more", "0".to_owned());
        }
        if !(1..=100_000).contains(&self.trees) {
            return wrong("trees", "1 to 100000", self.trees.to_string());
        }
        Ok(())
    }
}
