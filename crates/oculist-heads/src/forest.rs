//! A forest of extremely randomised trees on bootstrap samples.
//!
//! A node tries `sqrt(dim)` features that vary in it, each at one random place between its least and largest value, and takes the
//! split with the least Gini impurity, until the rows of a node are of one class. `p` is the mean of the trees' shares;
//! the scores are `s log((p + a / classes) / (1 + a))` with `a = 0.01`, so that they are finite, and the factor `s` with
//! which their softmax gives the best probabilities for the rows that a tree's sample left out.
//!
//! # Source
//! Geurts, Ernst and Wehenkel, "Extremely Randomized Trees", 2006; samples and what they leave out from Breiman, "Random
//! Forests", 2001.

mod grow;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use oculist_graph::{AfterVotes, Branch, TreeEnsembleClassifier, Trees, Vote};

use crate::calibrate;
use crate::error::HeadError;
use crate::fit::Task;
use crate::fitted::{Fitted, Model};
use crate::kind::HeadKind;
use crate::logistic::largest;
use crate::parallel;
use crate::rows::Rows;

/// The share of a vote that all classes have.
const SHARED: f32 = 0.01;

/// A forest, and the factor of its scores.
#[derive(Debug, Clone)]
pub(crate) struct Forest {
    pub(crate) ensemble: Arc<TreeEnsembleClassifier>,
    pub(crate) factor: f32,
}

/// Learns a forest.
pub(crate) fn fit(task: &Task) -> Result<Fitted, HeadError> {
    let (n, d, classes) = (task.rows.len(), task.rows.dim(), task.classes);
    let count = task.options.trees;
    // A tree has fewer than two nodes a row, and a vote or two a leaf.
    task.check_memory("a forest", &[&[count, n, 24], &[n, classes, 2], &[task.options.threads, d, 2]])?;
    let grown = parallel::map(count, task.options.threads, |tree| {
        if task.stop.load(Ordering::Relaxed) {
            return Err(HeadError::Stopped);
        }
        Ok(grow::grow(task, tree as u64))
    });
    let grown: Vec<grow::Tree> = grown.into_iter().collect::<Result<_, _>>()?;
    let mut sums = vec![0.0f32; n * classes];
    let mut left_out = vec![0usize; n];
    for tree in &grown {
        for row in tree.left_out.iter().map(|&r| r as usize) {
            left_out[row] += 1;
            for vote in tree.leaf(task.rows.row(row)) {
                sums[row * classes + vote.class as usize] += vote.weight;
            }
        }
    }
    let (mut scores, mut labels) = (Vec::new(), Vec::new());
    for (row, sums) in sums.chunks_exact(classes).enumerate().filter(|&(row, _)| left_out[row] > 0) {
        scores.extend(sums.iter().map(|s| logarithm(s / left_out[row] as f32, classes)));
        labels.push(task.present[task.labels[row] as usize] as u32);
    }
    let of_left_out = if labels.is_empty() {
        None
    } else {
        let right =
            scores.chunks_exact(classes).zip(&labels).filter(|(s, l)| largest(s) == **l as usize).count();
        Some((right as f64 / labels.len() as f64, calibrate::factor(&scores, &labels, classes)?))
    };
    let cv_accuracy = of_left_out.map(|(accuracy, _)| accuracy);
    let chosen = match cv_accuracy {
        Some(accuracy) => {
            format!("{count} trees, {:.1}% of rows that their samples left out", 100.0 * accuracy)
        }
        None => format!("{count} trees"),
    };
    let factor = of_left_out.map_or(1.0, |(_, factor)| factor);
    let forest = Forest { ensemble: Arc::new(ensemble(grown, classes)?), factor: factor as f32 };
    Ok(Fitted {
        kind: HeadKind::Forest,
        dim: d,
        classes,
        chosen,
        cv_accuracy,
        calibration: factor,
        model: Model::Forest(forest),
    })
}

/// The trees as one operator, whose scores are the means of their shares.
fn ensemble(grown: Vec<grow::Tree>, classes: usize) -> Result<TreeEnsembleClassifier, HeadError> {
    let share = 1.0 / grown.len() as f32;
    let node = |(branch, votes): (Branch, Vec<Vote>)| {
        let weighted = votes.into_iter().map(|v| Vote { weight: v.weight * share, ..v });
        let mut votes: Vec<Vote> = weighted.collect();
        // Runtimes want votes for both of two classes.
        if classes == 2 && votes.len() == 1 {
            votes.push(Vote { class: 1 - votes[0].class, weight: 0.0 });
            votes.sort_unstable_by_key(|v| v.class);
        }
        (branch, votes)
    };
    let trees = grown.into_iter().map(|tree| tree.nodes.into_iter().map(node).collect()).collect();
    let labels = (0..classes as i64).collect();
    Trees::new(trees)
        .and_then(|trees| TreeEnsembleClassifier::new(trees, labels, Vec::new(), AfterVotes::Nothing))
        .map_err(|_| HeadError::Range { what: "a forest" })
}

/// The logarithm of a share that all classes have some of.
fn logarithm(share: f32, classes: usize) -> f32 {
    let [factor, added] = smoothing(classes);
    (share * factor + added).ln()
}

/// What shares are multiplied by, and what is added.
pub(crate) fn smoothing(classes: usize) -> [f32; 2] {
    [1.0 / (1.0 + SHARED), SHARED / (1.0 + SHARED) / classes as f32]
}

impl Forest {
    /// Scores of rows, `[rows, classes]`.
    pub(crate) fn scores(&self, rows: Rows, classes: usize) -> Vec<f32> {
        let mut scores = vec![0.0f32; rows.len() * classes];
        for (row, scores) in rows.values().chunks_exact(rows.dim()).zip(scores.chunks_exact_mut(classes)) {
            for tree in 0..self.ensemble.trees().len() {
                for vote in self.ensemble.trees().leaf(tree, row) {
                    scores[vote.class as usize] += vote.weight;
                }
            }
            for s in &mut *scores {
                *s = self.factor * logarithm(*s, classes);
            }
        }
        scores
    }
}
