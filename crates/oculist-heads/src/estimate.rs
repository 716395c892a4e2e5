//! How well features fit a task, told without training.
//!
//! Each estimate ranks sources of features for one task: the larger, the better is what can be learned on them expected to
//! be. Their numbers mean nothing across tasks. Sums run in f64, but for the cosines of neighbours
//! and the covariance of NCTI, which are f32 products.

mod h_score;
mod leep;
mod log_me;
mod ncti;

use std::sync::atomic::AtomicBool;

use crate::error::HeadError;
use crate::fit::Task;
use crate::knn;
use crate::options::HeadOptions;
use crate::rows::Rows;

pub use h_score::h_score;
pub use leep::leep;
pub use log_me::log_me;
pub use ncti::{Collapse, collapse, ncti};

/// The share of rows, `0.0..=1.0`, whose class their `k` nearest other rows by cosine give, with the votes of
/// [`HeadKind::Knn`](crate::HeadKind::Knn).
///
/// Of more than 4,096 rows, so many are drawn by the seed.
///
/// # Errors
/// As [`fit`](crate::fit()).
pub fn neighbour_accuracy(
    rows: Rows,
    labels: &[u32],
    classes: usize,
    k: usize,
    options: &HeadOptions,
    stop: &AtomicBool,
) -> Result<f64, HeadError> {
    let options = HeadOptions { neighbours: Some(k), ..options.clone() };
    options.check()?;
    knn::accuracy(&Task::new(rows, labels, classes, &options, stop)?, k)
}

/// All features in f64.
fn wide(rows: Rows) -> Vec<f64> {
    rows.values().iter().map(|&x| f64::from(x)).collect()
}

/// Takes the mean of its column from every element of `[rows, columns]`.
fn centre(x: &mut [f64], columns: usize) {
    let rows = (x.len() / columns) as f64;
    let mut means = vec![0.0; columns];
    for row in x.chunks_exact(columns) {
        means.iter_mut().zip(row).for_each(|(m, x)| *m += x / rows);
    }
    for row in x.chunks_exact_mut(columns) {
        row.iter_mut().zip(&means).for_each(|(x, m)| *x -= m);
    }
}

#[cfg(test)]
mod tests;
