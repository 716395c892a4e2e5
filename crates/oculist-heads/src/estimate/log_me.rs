//! The logarithm of the maximum evidence.

use std::f64::consts::PI;
use std::sync::atomic::AtomicBool;

use crate::dense::{eigen, gram, transposed};
use crate::error::HeadError;
use crate::estimate::wide;
use crate::fit::Task;
use crate::options::HeadOptions;
use crate::rows::Rows;

/// The share of the largest squared singular value below which one counts as 0.
const RANK: f64 = 1e-12;

/// LogME: the evidence of a linear model of each class's indicator with normal weights (precision `alpha`) and noise (precision
/// `beta`), at the precisions where it is largest, by row, and the mean over the classes that occur.
///
/// `log p(y | F) = D/2 log alpha + n/2 log beta - n/2 log(2 pi) - beta/2 |F m - y|^2 - alpha/2 |m|^2 - log det(A) / 2` with
/// `A = alpha I + beta F^T F` and `m = beta A^-1 F^T y`.
///
/// # Errors
/// As [`fit`](crate::fit()).
///
/// # Source
/// You et al., "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", 2021, with the fixed-point
/// iteration of You et al., "Ranking and Tuning Pre-trained Models", 2022 (at most 11 steps, until `alpha / beta` changes by
/// less than 0.1%). `log det A` has `log alpha` for each of the `D - rank` directions that no feature row has.
pub fn log_me(
    rows: Rows,
    labels: &[u32],
    classes: usize,
    options: &HeadOptions,
    stop: &AtomicBool,
) -> Result<f64, HeadError> {
    options.check()?;
    let task = Task::new(rows, labels, classes, options, stop)?;
    let (n, d, k) = (rows.len(), rows.dim(), task.present.len());
    let side = n.min(d);
    task.check_memory("LogME", &[&[4, n, d], &[4, side, side], &[4, side, k]])?;
    let x = wide(rows);
    let mut counts = vec![0.0f64; k];
    task.labels.iter().for_each(|&l| counts[l as usize] += 1.0);
    // In the basis of the eigenvectors of `F F^T` the indicators are what `U^T y` is; from those of `F^T F` it follows by
    // dividing by the singular values.
    let mut projected = vec![0.0f64; side * k];
    let squares = if n <= d {
        for (row, &label) in task.labels.iter().enumerate() {
            projected[row * k + label as usize] = 1.0;
        }
        eigen(gram(&x, n, options.threads), n, &mut projected, stop)?
    } else {
        for (row, &label) in x.chunks_exact(d).zip(&task.labels) {
            row.iter().enumerate().for_each(|(f, x)| projected[f * k + label as usize] += x);
        }
        eigen(gram(&transposed(&x, d), d, options.threads), d, &mut projected, stop)?
    };
    let most = squares.iter().copied().fold(0.0, f64::max);
    let kept: Vec<usize> = (0..side).filter(|&i| squares[i] > RANK * most).collect();
    let sigma: Vec<f64> = kept.iter().map(|&i| squares[i]).collect();
    let evidence = (0..k).map(|class| {
        let square = |&i: &usize| projected[i * k + class].powi(2) / if n <= d { 1.0 } else { squares[i] };
        let explained: Vec<f64> = kept.iter().map(square).collect();
        maximum(&sigma, &explained, counts[class], n as f64)
    });
    Ok(evidence.sum::<f64>() / k as f64)
}

/// The largest evidence, by row, of an indicator with `count` ones whose squared projections are `explained`.
fn maximum(sigma: &[f64], explained: &[f64], count: f64, n: f64) -> f64 {
    let rest = (count - explained.iter().sum::<f64>()).max(0.0);
    let (mut alpha, mut beta) = (1.0f64, 1.0f64);
    let mut evidence = f64::NEG_INFINITY;
    for _ in 0..11 {
        let t = alpha / beta;
        let gamma: f64 = sigma.iter().map(|s| s / (s + t)).sum();
        let weights: f64 = sigma.iter().zip(explained).map(|(s, x)| s * x / (t + s).powi(2)).sum();
        let residual =
            rest + sigma.iter().zip(explained).map(|(s, x)| x / (1.0 + s / t).powi(2)).sum::<f64>();
        alpha = gamma / (weights + 1e-5);
        beta = (n - gamma) / (residual + 1e-5);
        let determinant: f64 = sigma.iter().map(|s| (alpha + beta * s).ln()).sum();
        let free = sigma.len() as f64 * alpha.ln();
        evidence = 0.5
            * (free + n * beta.ln() - n * (2.0 * PI).ln() - beta * residual - alpha * weights - determinant)
            / n;
        if (alpha / beta - t).abs() <= 1e-3 * t {
            break;
        }
    }
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dense::dot;

    #[test]
    fn the_evidence_is_that_of_its_formula() {
        // One feature: everything is a number.
        let values = [1.0f32, 2.0, -1.0, 0.5];
        let labels = [0, 0, 1, 1];
        let options = HeadOptions::default();
        let rows = Rows::new(&values, 1).unwrap();
        let got = log_me(rows, &labels, 2, &options, &AtomicBool::new(false)).unwrap();
        let f: Vec<f64> = values.iter().map(|&v| f64::from(v)).collect();
        let mut want = 0.0;
        for class in 0..2 {
            let y: Vec<f64> = labels.iter().map(|&l| f64::from(u8::from(l == class))).collect();
            let sigma = dot(&f, &f);
            want += maximum(&[sigma], &[dot(&f, &y).powi(2) / sigma], 2.0, 4.0) / 2.0;
        }
        assert!((got - want).abs() < 1e-12, "{got} for {want}");
    }
}
