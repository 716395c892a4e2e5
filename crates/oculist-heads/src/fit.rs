//! Learns a head.

use std::sync::atomic::AtomicBool;

use crate::error::HeadError;
use crate::fitted::Fitted;
use crate::kind::HeadKind;
use crate::linear::Loss;
use crate::options::HeadOptions;
use crate::rows::Rows;
use crate::{forest, knn, lda, logistic};

/// Learns a head on features.
///
/// Classes without rows get scores below those of the others on all rows.
///
/// # Shapes
/// `labels` `[rows]`, each below `classes`.
///
/// # Errors
/// [`HeadError`] if labels do not fit, fewer than two classes occur, an option is out of range, more memory would be needed
/// than allowed, or `stop` was set.
pub fn fit(
    kind: HeadKind,
    rows: Rows,
    labels: &[u32],
    classes: usize,
    options: &HeadOptions,
    stop: &AtomicBool,
) -> Result<Fitted, HeadError> {
    options.check()?;
    let task = Task::new(rows, labels, classes, options, stop)?;
    match kind {
        HeadKind::Logistic => logistic::fit(&task, kind, Loss::Softmax),
        HeadKind::Svm => logistic::fit(&task, kind, Loss::SquaredHinge),
        HeadKind::Lda => lda::fit(&task),
        HeadKind::Knn => knn::fit(&task),
        HeadKind::Forest => forest::fit(&task),
    }
}

/// What is to be learned, checked.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    pub(crate) rows: Rows<'a>,
    /// `[rows]`, indices into `present`.
    pub(crate) labels: Vec<u32>,
    /// The classes that occur, in order.
    pub(crate) present: Vec<usize>,
    /// Number of classes, with those that do not occur.
    pub(crate) classes: usize,
    pub(crate) options: &'a HeadOptions,
    pub(crate) stop: &'a AtomicBool,
}

impl<'a> Task<'a> {
    /// Checks rows and labels.
    pub(crate) fn new(
        rows: Rows<'a>,
        labels: &[u32],
        classes: usize,
        options: &'a HeadOptions,
        stop: &'a AtomicBool,
    ) -> Result<Self, HeadError> {
        rows.check_labels(labels, classes)?;
        let mut present: Vec<usize> = labels.iter().map(|&l| l as usize).collect();
        present.sort_unstable();
        present.dedup();
        if present.len() < 2 {
            return Err(HeadError::Classes { found: present.len() });
        }
        let position = |l: &u32| present.binary_search(&(*l as usize)).unwrap_or(0) as u32;
        let labels = labels.iter().map(position).collect();
        Ok(Self { rows, labels, present, classes, options, stop })
    }

    /// Refuses to take more memory than allowed: `floats` counts f32.
    pub(crate) fn check_memory(&self, what: &'static str, floats: &[&[usize]]) -> Result<(), HeadError> {
        let product = |sizes: &[usize]| sizes.iter().try_fold(4usize, |n, &s| n.checked_mul(s));
        let needed = floats
            .iter()
            .try_fold(0usize, |sum, sizes| sum.checked_add(product(sizes)?))
            .unwrap_or(usize::MAX);
        let limit = self.options.max_memory;
        if needed <= limit {
            return Ok(());
        }
        let (rows, dim) = (self.rows.len(), self.rows.dim());
        Err(HeadError::Memory { what, rows, dim, classes: self.classes, needed, limit })
    }
}
