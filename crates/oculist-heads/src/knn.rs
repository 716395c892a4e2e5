//! The nearest neighbours by cosine, each with a weight.
//!
//! `p_c = (k sum_{i in N} w_i [y_i = c] + 1 / classes) / (k + 1)` with `w = softmax(cosine / 0.07)` over the `k` nearest rows
//! `N`; the scores are `log p`, so that their softmax is `p`. The one vote more, which all classes share, keeps the logarithm
//! finite. `k` is chosen by leaving each row out once, or each of some thousand rows that are drawn.
//!
//! # Source
//! Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", 2018, 3.4 (weights and their
//! temperature).

use std::sync::atomic::Ordering;

use oculist_kernels::{Matmul, try_zeros};

use crate::error::HeadError;
use crate::fit::Task;
use crate::fitted::{Fitted, Model};
use crate::kind::HeadKind;
use crate::logistic::largest;
use crate::product::Products;
use crate::random::Random;
use crate::rows::Rows;

/// Numbers of neighbours that are tried.
const NEIGHBOURS: [usize; 7] = [1, 3, 5, 10, 20, 50, 100];
/// The number where nothing can be left out.
const DEFAULT: usize = 1;
/// Rows that are left out at the most.
const LEFT_OUT: usize = 4096;
/// Rows that are compared with all others at a time.
const BLOCK: usize = 128;
/// What cosines are divided by.
pub(crate) const TEMPERATURE: f32 = 0.07;
/// The length below which a row counts as this long.
pub(crate) const SHORT: f32 = 1e-12;

/// The rows that neighbours are found among.
#[derive(Debug, Clone)]
pub(crate) struct Neighbours {
    /// `[rows, dim]`, each of length 1.
    pub(crate) units: Vec<f32>,
    /// `[rows]`.
    pub(crate) labels: Vec<u32>,
    /// How many are asked.
    pub(crate) k: usize,
}

/// Learns a classifier by neighbours.
pub(crate) fn fit(task: &Task) -> Result<Fitted, HeadError> {
    let (n, d) = (task.rows.len(), task.rows.dim());
    let k = task.present.len();
    task.check_memory("nearest neighbours", &[&[2, n, d], &[BLOCK, n, 4], &[n, 2], &[n, task.classes]])?;
    let labels = task.labels.iter().map(|&l| task.present[l as usize] as u32).collect();
    let mut learned = Neighbours { units: units(task.rows)?, labels, k: DEFAULT };
    let (chosen, cv_accuracy) = if let Some(wanted) = task.options.neighbours {
        learned.k = wanted.min(n);
        (format!("k = {} as given", learned.k), None)
    } else if n == k {
        (format!("k = {DEFAULT}, since no class has two rows to leave one out"), None)
    } else {
        let tried: Vec<usize> = NEIGHBOURS.into_iter().filter(|&k| k < n).collect();
        let (best, accuracy) = choose(task, &learned, &tried)?;
        learned.k = best;
        (format!("k = {best} by leaving out, {:.1}%", 100.0 * accuracy), Some(accuracy))
    };
    let model = Model::Knn(learned);
    Ok(Fitted {
        kind: HeadKind::Knn,
        dim: d,
        classes: task.classes,
        chosen,
        cv_accuracy,
        calibration: 1.0,
        model,
    })
}

/// Rows divided by their lengths.
pub(crate) fn units(rows: Rows) -> Result<Vec<f32>, HeadError> {
    let mut units = try_zeros(rows.values().len(), "rows of length 1")?;
    units.copy_from_slice(rows.values());
    for row in units.chunks_exact_mut(rows.dim()) {
        let length = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt().max(f64::from(SHORT));
        for x in row {
            *x = (f64::from(*x) / length) as f32;
        }
    }
    Ok(units)
}

/// The share of rows whose class their `k` nearest others give.
pub(crate) fn accuracy(task: &Task, k: usize) -> Result<f64, HeadError> {
    let (n, d) = (task.rows.len(), task.rows.dim());
    task.check_memory("nearest neighbours", &[&[2, n, d], &[BLOCK, n, 4], &[n, 2], &[n, task.classes]])?;
    let labels = task.labels.iter().map(|&l| task.present[l as usize] as u32).collect();
    Ok(choose(task, &Neighbours { units: units(task.rows)?, labels, k }, &[k.min(n - 1)])?.1)
}

/// The number of neighbours with the least loss of rows that are left out, and the share of them that is right.
fn choose(task: &Task, learned: &Neighbours, tried: &[usize]) -> Result<(usize, f64), HeadError> {
    let (n, d) = (task.rows.len(), task.rows.dim());
    let mut queries: Vec<usize> = (0..n).collect();
    Random::new(task.options.seed, 1 << 40).shuffle(&mut queries);
    queries.truncate(LEFT_OUT);
    queries.sort_unstable();
    let most = tried.last().copied().unwrap_or(1);
    let mut loss = vec![0.0f64; tried.len()];
    let mut right = vec![0usize; tried.len()];
    let mut products = Products::new(task.options.threads)?;
    let mut block = try_zeros(BLOCK.min(n) * d, "rows that are compared")?;
    for some in queries.chunks(BLOCK) {
        if task.stop.load(Ordering::Relaxed) {
            return Err(HeadError::Stopped);
        }
        for (to, &i) in block.chunks_exact_mut(d).zip(some) {
            to.copy_from_slice(&learned.units[i * d..][..d]);
        }
        let nearest = learned.nearest(&mut products, &block[..some.len() * d], d, Some(some), most)?;
        for (&i, nearest) in some.iter().zip(nearest) {
            let label = learned.labels[i] as usize;
            for (t, &k) in tried.iter().enumerate() {
                let scores = learned.votes(&nearest[..k.min(nearest.len())], task.classes);
                loss[t] -= f64::from(scores[label]);
                right[t] += usize::from(largest(&scores) == label);
            }
        }
    }
    let best = (0..tried.len()).fold(0, |best, t| if loss[t] < loss[best] { t } else { best });
    Ok((tried[best], right[best] as f64 / queries.len() as f64))
}

impl Neighbours {
    /// The `k` nearest rows of each of some rows of length 1, the nearest first, with their cosines; of equal ones the first.
    /// A row that is left out is no neighbour of its own.
    pub(crate) fn nearest(
        &self,
        products: &mut Products,
        rows: &[f32],
        dim: usize,
        left_out: Option<&[usize]>,
        k: usize,
    ) -> Result<Vec<Vec<(f32, u32)>>, HeadError> {
        let (count, n) = (rows.len() / dim, self.labels.len());
        let mut cosines = try_zeros(count.saturating_mul(n), "cosines")?;
        let shape = Matmul::new(count, n, dim).transposed(false, true);
        products.run(shape, 1.0, rows, &self.units, false, &mut cosines)?;
        let nearest = cosines.chunks_exact(n).enumerate().map(|(q, cosines)| {
            let own = left_out.map(|l| l[q]);
            let mut all: Vec<(f32, u32)> = cosines
                .iter()
                .enumerate()
                .filter(|&(i, _)| Some(i) != own)
                .map(|(i, &c)| (c, i as u32))
                .collect();
            let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
            let k = k.min(all.len());
            if k < all.len() {
                all.select_nth_unstable_by(k, order);
                all.truncate(k);
            }
            all.sort_unstable_by(order);
            all
        });
        Ok(nearest.collect())
    }

    /// The logarithms of the probabilities that some neighbours give.
    pub(crate) fn votes(&self, nearest: &[(f32, u32)], classes: usize) -> Vec<f32> {
        let k = nearest.len() as f32;
        let most = nearest.first().map_or(0.0, |n| n.0);
        let weights: Vec<f32> = nearest.iter().map(|n| ((n.0 - most) / TEMPERATURE).exp()).collect();
        let sum: f32 = weights.iter().sum();
        let mut scores = vec![0.0f32; classes];
        for (w, (_, row)) in weights.iter().zip(nearest) {
            scores[self.labels[*row as usize] as usize] += w / sum;
        }
        let [factor, share] = smoothing(k, classes);
        for s in &mut scores {
            *s = (*s * factor + share).ln();
        }
        scores
    }

    /// Scores of rows, `[rows, classes]`.
    pub(crate) fn scores(&self, rows: Rows, classes: usize) -> Result<Vec<f32>, HeadError> {
        let mut products = Products::new(1)?;
        let dim = rows.dim();
        let mut scores = Vec::new();
        for some in units(rows)?.chunks(BLOCK * dim) {
            for nearest in self.nearest(&mut products, some, dim, None, self.k)? {
                scores.extend(self.votes(&nearest, classes));
            }
        }
        Ok(scores)
    }
}

/// What the share of the votes is multiplied by, and what is added to it.
pub(crate) fn smoothing(k: f32, classes: usize) -> [f32; 2] {
    [k / (k + 1.0), 1.0 / ((k + 1.0) * classes as f32)]
}
