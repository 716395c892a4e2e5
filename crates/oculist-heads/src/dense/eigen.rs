//! Eigenvalues of symmetric matrices, and vectors in the basis of eigenvectors.
//!
//! # Source
//! Golub and Van Loan, "Matrix Computations", 2013, 8.3: Householder tridiagonalisation, implicit QL steps with Wilkinson's
//! shift. The reflections and rotations are applied to the vectors alone, so that no eigenvector is ever formed.

use std::sync::atomic::{AtomicBool, Ordering};

use super::dot;
use crate::error::HeadError;

/// The eigenvalues of `a`, `[n, n]`, in no order; `vectors`, `[n, count]`, becomes `V^T` times it, in theirs.
pub(crate) fn eigen(
    mut a: Vec<f64>,
    n: usize,
    vectors: &mut [f64],
    stop: &AtomicBool,
) -> Result<Vec<f64>, HeadError> {
    let count = vectors.len() / n.max(1);
    let mut beside = vec![0.0; n];
    let (mut v, mut w) = (vec![0.0; n], vec![0.0; n]);
    for k in 0..n.saturating_sub(1) {
        if stop.load(Ordering::Relaxed) {
            return Err(HeadError::Stopped);
        }
        let column = &a[k * n + k + 1..(k + 1) * n];
        let length = dot(column, column).sqrt();
        // The last one is a number already.
        if length == 0.0 || k + 2 == n {
            beside[k + 1] = column[0];
            continue;
        }
        let alpha = if column[0] > 0.0 { -length } else { length };
        let m = n - k - 1;
        let (v, w) = (&mut v[..m], &mut w[..m]);
        v.copy_from_slice(column);
        v[0] -= alpha;
        let beta = 2.0 / dot(v, v);
        beside[k + 1] = alpha;
        for i in 0..m {
            w[i] = beta * dot(&a[(k + 1 + i) * n + k + 1..][..m], v);
        }
        let half = beta / 2.0 * dot(v, w);
        w.iter_mut().zip(&*v).for_each(|(w, v)| *w -= half * v);
        for i in 0..m {
            let row = &mut a[(k + 1 + i) * n + k + 1..][..m];
            for ((x, v_j), w_j) in row.iter_mut().zip(&*v).zip(&*w) {
                *x -= v[i] * w_j + w[i] * v_j;
            }
        }
        reflect(&mut vectors[(k + 1) * count..], count, v, beta);
    }
    let mut values: Vec<f64> = (0..n).map(|i| a[i * n + i]).collect();
    drop(a);
    ql(&mut values, &mut beside, vectors, count)?;
    Ok(values)
}

/// `(I - beta v v^T)` times rows.
fn reflect(rows: &mut [f64], count: usize, v: &[f64], beta: f64) {
    if count == 0 {
        return;
    }
    let mut sums = vec![0.0; count];
    for (row, v) in rows.chunks_exact(count).zip(v) {
        sums.iter_mut().zip(row).for_each(|(s, x)| *s += beta * v * x);
    }
    for (row, v) in rows.chunks_exact_mut(count).zip(v) {
        row.iter_mut().zip(&sums).for_each(|(x, s)| *x -= v * s);
    }
}

/// Diagonalises a tridiagonal matrix: `beside[i]` stands between `i - 1` and `i`.
fn ql(d: &mut [f64], beside: &mut [f64], vectors: &mut [f64], count: usize) -> Result<(), HeadError> {
    let n = d.len();
    beside.rotate_left(usize::from(n > 0));
    let e = beside;
    for l in 0..n {
        for round in 0.. {
            let small =
                |m: usize, d: &[f64], e: &[f64]| e[m].abs() <= f64::EPSILON * (d[m].abs() + d[m + 1].abs());
            let m = (l..n - 1).find(|&m| small(m, d, e)).unwrap_or(n - 1);
            if m == l {
                break;
            }
            if round == 60 || !d[l].is_finite() {
                return Err(HeadError::Range { what: "eigenvalues" });
            }
            let g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let r = g.hypot(1.0);
            let mut g = d[m] - d[l] + e[l] / (g + if g >= 0.0 { r } else { -r });
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut ended = false;
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                let r = f.hypot(g);
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    ended = true;
                    break;
                }
                (s, c) = (f / r, g / r);
                g = d[i + 1] - p;
                let r = (d[i] - g) * s + 2.0 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
                let (upper, lower) = vectors[i * count..].split_at_mut(count);
                for (x, y) in upper.iter_mut().zip(lower) {
                    (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                }
            }
            if !ended {
                d[l] -= p;
                e[l] = g;
                e[m] = 0.0;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::symmetric_eigen;
    use super::*;
    use crate::random::Random;

    #[test]
    fn values_and_vectors_give_the_matrix_back() {
        for n in [1, 2, 3, 10, 33] {
            let mut random = Random::new(5, n as u64);
            let mut a = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..=i {
                    a[i * n + j] = random.below(2001) as f64 / 1000.0 - 1.0;
                    a[j * n + i] = a[i * n + j];
                }
            }
            let (values, v) = symmetric_eigen(a.clone(), n, &AtomicBool::new(false)).unwrap();
            for i in 0..n {
                for j in 0..n {
                    let sum: f64 = (0..n).map(|k| values[k] * v[k * n + i] * v[k * n + j]).sum();
                    assert!((sum - a[i * n + j]).abs() < 1e-12 * n as f64, "{n}: {sum} for {}", a[i * n + j]);
                }
            }
        }
    }
}
