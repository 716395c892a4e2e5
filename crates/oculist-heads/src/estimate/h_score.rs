//! The H-score.

use std::sync::atomic::AtomicBool;

use crate::dense::{cholesky, dot, gram, solve, transposed};
use crate::error::HeadError;
use crate::estimate::{centre, wide};
use crate::fit::Task;
use crate::options::HeadOptions;
use crate::rows::Rows;

/// The least that is added to a diagonal that is not positive, as a share of its mean.
const RIDGE: f64 = 1e-10;

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
    by(&task, rows.len() < rows.dim())
}

/// The H-score by the covariance of the features, or by the products of the rows.
///
/// With `S = X^T X / n` and the means `X^T e_c`, `m^T (b S + g I)^-1 m` is `e_c^T X X^T (b X X^T / n + g I)^-1 e_c`; and the trace of
/// `S` and the sum of its squares are those of `X X^T / n`.
fn by(task: &Task, products: bool) -> Result<f64, HeadError> {
    let (n, d, k) = (task.rows.len(), task.rows.dim(), task.present.len());
    let (threads, side) = (task.options.threads, if products { n } else { d });
    task.check_memory("an H-score", &[&[4, n, d], &[4, side, side], &[4, k, side]])?;
    let mut x = wide(task.rows);
    centre(&mut x, d);
    let count = n as f64;
    let mut moments = if products { gram(&x, n, threads) } else { gram(&transposed(&x, d), d, threads) };
    for c in &mut moments {
        *c /= count;
    }
    // The shrinkage of Ledoit and Wolf.
    let trace = (0..side).map(|i| moments[i * side + i]).sum::<f64>();
    let mean = trace / d as f64;
    let squares: f64 = moments.iter().map(|c| c * c).sum();
    let fourth = x.chunks_exact(d).map(|row| dot(row, row).powi(2)).sum::<f64>() / count;
    let delta = (squares - mean * trace) / d as f64;
    let beta = ((fourth - squares) / count / d as f64).min(delta);
    let shrinkage = if d > 1 && beta > 0.0 { beta / delta } else { 0.0 };
    let mut counts = vec![0.0f64; k];
    task.labels.iter().for_each(|&l| counts[l as usize] += 1.0);
    // The means, or the shares of the rows in them: less 1 / n, which centred rows do not see.
    let mut means = vec![0.0f64; k * side];
    for (row, (x, &label)) in x.chunks_exact(d).zip(&task.labels).enumerate() {
        let (mean, c) = (&mut means[label as usize * side..][..side], counts[label as usize]);
        if products {
            mean[row] = 1.0 / c;
        } else {
            mean.iter_mut().zip(x).for_each(|(m, x)| *m += x / c);
        }
    }
    drop(x);
    let mut left = means.clone();
    if products {
        for m in &mut means {
            *m -= 1.0 / count;
        }
        for (left, mean) in left.chunks_exact_mut(side).zip(means.chunks_exact(side)) {
            left.iter_mut().zip(moments.chunks_exact(side)).for_each(|(l, g)| *l = count * dot(g, mean));
        }
    }
    // Where features depend on each other the matrix has no inverse, and shrinkage may be too weak. Products of centred
    // rows have none without it.
    let mut ridge = if products && shrinkage == 0.0 { RIDGE } else { 0.0 };
    let factor = loop {
        let mut a = moments.clone();
        for (i, c) in a.iter_mut().enumerate() {
            *c *= 1.0 - shrinkage;
            if i / side == i % side {
                *c += (shrinkage + ridge) * mean;
            }
        }
        match cholesky(a, side, task.stop)? {
            Some(factor) => break factor,
            None if ridge < 1e-3 && mean > 0.0 => ridge = if ridge == 0.0 { RIDGE } else { ridge * 10.0 },
            None => return Err(HeadError::Range { what: "an H-score" }),
        }
    };
    drop(moments);
    solve(&factor, side, &mut means);
    let each = left.chunks_exact(side).zip(means.chunks_exact(side)).zip(&counts);
    Ok(each.map(|((l, s), c)| c / count * (1.0 - shrinkage) * dot(l, s)).sum())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::golden::cases;

    #[test]
    fn products_of_rows_give_what_the_covariance_does() {
        let (options, stop) = (HeadOptions::default(), AtomicBool::new(false));
        for case in cases() {
            let score = |labels: &[u32], products| {
                by(&Task::new(case.rows(), labels, case.classes, &options, &stop).unwrap(), products).unwrap()
            };
            let want = score(&case.labels, false);
            let got = score(&case.labels, true);
            assert!((got - want).abs() < 1e-9 * want, "{}: {got} for {want}", case.golden["name"]);
            let mut turned = case.labels.clone();
            turned.sort_unstable();
            assert!((score(&turned, true) - want).abs() > 1e-3);
        }
    }
}
