//! The H-score.

use std::sync::atomic::AtomicBool;

use crate::dense::{cholesky, dot, gram, solve, transposed};
use crate::error::HeadError;
use crate::estimate::{centre, wide};
use crate::fit::Task;
use crate::options::HeadOptions;
use crate::rows::Rows;

/// The H-score with shrinkage: `tr(S_a^-1 (1 - a) S_z)`, where `S_z` is the covariance of the class means,
/// `S_a = (1 - a) S + a tr(S) / dim I` that of the features, and `a` the shrinkage of Ledoit and Wolf.
///
/// # Errors
/// As [`fit`](crate::fit()), and [`HeadError::Range`] if no feature varies.
///
/// # Source
/// Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer Learning", 2019; the shrinkage is that of
/// Ibrahim, Ponomareva and Mazumder, "Newer is not always better: Rethinking transferability metrics, their peculiarities,
/// stability and performance", 2021.
pub fn h_score(
    rows: Rows,
    labels: &[u32],
    classes: usize,
    options: &HeadOptions,
    stop: &AtomicBool,
) -> Result<f64, HeadError> {
    options.check()?;
    let task = Task::new(rows, labels, classes, options, stop)?;
    let (n, d, k) = (rows.len(), rows.dim(), task.present.len());
    task.check_memory("an H-score", &[&[4, n, d], &[2, d, d], &[2, d, d], &[4, k, d]])?;
    let mut x = wide(rows);
    centre(&mut x, d);
    let count = n as f64;
    let mut covariance = gram(&transposed(&x, d), d, options.threads);
    for c in &mut covariance {
        *c /= count;
    }
    // The shrinkage of Ledoit and Wolf.
    let trace = (0..d).map(|i| covariance[i * d + i]).sum::<f64>();
    let mean = trace / d as f64;
    let squares: f64 = covariance.iter().map(|c| c * c).sum();
    let fourth = x.chunks_exact(d).map(|row| dot(row, row).powi(2)).sum::<f64>() / count;
    let delta = (squares - mean * trace) / d as f64;
    let beta = ((fourth - squares) / count / d as f64).min(delta);
    let shrinkage = if d > 1 && beta > 0.0 { beta / delta } else { 0.0 };
    for (i, c) in covariance.iter_mut().enumerate() {
        *c *= 1.0 - shrinkage;
        if i / d == i % d {
            *c += shrinkage * mean;
        }
    }
    let mut means = vec![0.0f64; k * d];
    let mut counts = vec![0.0f64; k];
    for (row, &label) in x.chunks_exact(d).zip(&task.labels) {
        counts[label as usize] += 1.0;
        means[label as usize * d..][..d].iter_mut().zip(row).for_each(|(m, x)| *m += x);
    }
    for (mean, c) in means.chunks_exact_mut(d).zip(&counts) {
        for m in mean {
            *m /= c;
        }
    }
    // Where features depend on each other the matrix has no inverse, and shrinkage may be too weak.
    let mut ridge = 0.0;
    let factor = loop {
        let mut a = covariance.clone();
        (0..d).for_each(|i| a[i * d + i] += ridge * mean);
        match cholesky(a, d, stop)? {
            Some(factor) => break factor,
            None if ridge < 1e-3 && mean > 0.0 => ridge = if ridge == 0.0 { 1e-10 } else { ridge * 10.0 },
            None => return Err(HeadError::Range { what: "an H-score" }),
        }
    };
    let mut solved = means.clone();
    solve(&factor, d, &mut solved);
    let each = means.chunks_exact(d).zip(solved.chunks_exact(d)).zip(&counts);
    Ok(each.map(|((m, s), c)| c / count * (1.0 - shrinkage) * dot(m, s)).sum())
}
