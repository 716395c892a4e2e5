//! Symmetric matrices in f64.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::HeadError;
use crate::parallel;

mod eigen;

pub(crate) use eigen::eigen;

/// The products of all rows with each other, `[rows, rows]`.
pub(crate) fn gram(x: &[f64], rows: usize, threads: usize) -> Vec<f64> {
    let width = x.len() / rows.max(1);
    let mut lines = parallel::map(rows, threads, |i| {
        let own = &x[i * width..][..width];
        let line: Vec<f64> = (0..=i).map(|j| dot(own, &x[j * width..][..width])).collect();
        line
    });
    let mut gram = vec![0.0; rows * rows];
    for (i, line) in lines.drain(..).enumerate() {
        for (j, product) in line.into_iter().enumerate() {
            gram[i * rows + j] = product;
            gram[j * rows + i] = product;
        }
    }
    gram
}

/// Eigenvalues and eigenvectors of a symmetric matrix, `A v = lambda v`, in no order.
///
/// # Shapes
/// `a` is `[n, n]`; there are `n` eigenvalues, and the vectors are the rows of `[n, n]`, of length 1.
///
/// # Errors
/// [`HeadError::Stopped`] once `stop` is set.
///
/// # Source
/// Golub and Van Loan, "Matrix Computations", 2013, 8.3.
pub fn symmetric_eigen(a: Vec<f64>, n: usize, stop: &AtomicBool) -> Result<(Vec<f64>, Vec<f64>), HeadError> {
    // The vectors times the identity are the vectors.
    let mut vectors: Vec<f64> = (0..n * n).map(|i| f64::from(u8::from(i / n == i % n))).collect();
    let values = eigen(a, n, &mut vectors, stop)?;
    Ok((values, vectors))
}

/// The columns of `[rows, columns]` as rows.
pub(crate) fn transposed(x: &[f64], columns: usize) -> Vec<f64> {
    (0..columns).flat_map(|c| x.iter().skip(c).step_by(columns).copied()).collect()
}

/// The sum of the singular values of `[rows, columns]`.
pub(crate) fn nuclear_norm(
    x: &[f64],
    columns: usize,
    threads: usize,
    stop: &AtomicBool,
) -> Result<f64, HeadError> {
    let rows = x.len() / columns;
    let (side, gram) = if rows <= columns {
        (rows, gram(x, rows, threads))
    } else {
        (columns, gram(&transposed(x, columns), columns, threads))
    };
    Ok(eigen(gram, side, &mut [], stop)?.into_iter().map(|s| s.max(0.0).sqrt()).sum())
}

/// The sum of products, in eight parts, so that it runs on vectors.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut parts = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a8.zip(b8) {
        for i in 0..8 {
            parts[i] += a[i] * b[i];
        }
    }
    parts.iter().sum::<f64>() + rest
}

/// `L` with `A = L L^T`, both `[n, n]`, of which only the lower halves are read and written; `None` if `A` is not
/// positive definite.
///
/// # Source
/// Golub and Van Loan, "Matrix Computations", 2013, 4.2.
pub(crate) fn cholesky(mut a: Vec<f64>, n: usize, stop: &AtomicBool) -> Result<Option<Vec<f64>>, HeadError> {
    for i in 0..n {
        if stop.load(Ordering::Relaxed) {
            return Err(HeadError::Stopped);
        }
        let (above, row) = a.split_at_mut(i * n);
        let row = &mut row[..n];
        for j in 0..i {
            let other = &above[j * n..][..n];
            row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
        }
        let rest = row[i] - dot(&row[..i], &row[..i]);
        if rest.is_nan() || rest <= 0.0 {
            return Ok(None);
        }
        row[i] = rest.sqrt();
    }
    Ok(Some(a))
}

/// Replaces each of the rows of `v`, `[rows, n]`, by the solution of `L L^T z = v`.
pub(crate) fn solve(l: &[f64], n: usize, v: &mut [f64]) {
    for v in v.chunks_exact_mut(n) {
        for i in 0..n {
            v[i] = (v[i] - dot(&l[i * n..][..i], &v[..i])) / l[i * n + i];
        }
        for i in (0..n).rev() {
            v[i] /= l[i * n + i];
            let at = v[i];
            v[..i].iter_mut().zip(&l[i * n..][..i]).for_each(|(v, l)| *v -= at * l);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn solutions_fit() {
        for n in [1, 7, 20] {
            let mut random = Random::new(3, n as u64);
            let mut number = || random.below(2001) as f64 / 1000.0 - 1.0;
            let b: Vec<f64> = (0..n * n).map(|_| number()).collect();
            let a: Vec<f64> = (0..n * n)
                .map(|i| dot(&b[i / n * n..][..n], &b[i % n * n..][..n]) + f64::from(i / n == i % n))
                .collect();
            let v: Vec<f64> = (0..2 * n).map(|_| number()).collect();
            let l = cholesky(a.clone(), n, &AtomicBool::new(false)).unwrap().unwrap();
            let mut z = v.clone();
            solve(&l, n, &mut z);
            for (i, want) in v.iter().enumerate() {
                let got = dot(&a[i % n * n..][..n], &z[i / n * n..][..n]);
                assert!((got - want).abs() < 1e-10, "{n}: {got} for {want}");
            }
        }
        assert!(cholesky(vec![-1.0], 1, &AtomicBool::new(false)).unwrap().is_none());
    }
}
