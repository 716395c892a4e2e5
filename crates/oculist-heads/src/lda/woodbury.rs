//! Solutions for a covariance of fewer rows than features, without the matrix.

use crate::dense::{cholesky, dot, gram, solve};
use crate::error::HeadError;
use crate::fit::Task;

/// The most that the rows may outweigh the diagonal, by feature: a shrinkage below the rounding of f32 is none. The first
/// ridge is within it.
const MOST: f64 = 2e6;

/// f32 of the products, by the square of the rows.
pub(super) const SQUARES: usize = 4;

/// `(A^T A + diag(v))^-1` times each of the rows `m`, for `A` `[rows, dim]`; `None` if the diagonal is too small.
///
/// With `B = A diag(v)^-1/2` and `u = diag(v)^-1/2 m` it is `diag(v)^-1/2 (u - B^T (I + B B^T)^-1 B u)`.
///
/// # Source
/// Woodbury; Golub and Van Loan, "Matrix Computations", 2013, 2.1.4.
pub(super) fn solutions(
    task: &Task,
    a: &[f32],
    v: &[f64],
    m: &[f64],
    threads: usize,
) -> Result<Option<Vec<f64>>, HeadError> {
    let d = v.len();
    let n = a.len() / d;
    if v.iter().any(|v| !v.is_normal() || *v < 0.0) {
        return Ok(None);
    }
    let shares: Vec<f64> = v.iter().map(|v| 1.0 / v.sqrt()).collect();
    let mut b = vec![0.0f64; n * d];
    for (b, a) in b.chunks_exact_mut(d).zip(a.chunks_exact(d)) {
        b.iter_mut().zip(a).zip(&shares).for_each(|((b, &a), s)| *b = f64::from(a) * s);
    }
    let mut products = gram(&b, n, threads);
    let trace: f64 = (0..n).map(|i| products[i * n + i]).sum();
    if trace.is_nan() || trace > MOST * d as f64 {
        return Ok(None);
    }
    (0..n).for_each(|i| products[i * n + i] += 1.0);
    let Some(l) = cholesky(products, n, task.stop)? else { return Ok(None) };
    let mut solved = m.to_vec();
    let mut inner = vec![0.0f64; n];
    for u in solved.chunks_exact_mut(d) {
        u.iter_mut().zip(&shares).for_each(|(u, s)| *u *= s);
        inner.iter_mut().zip(b.chunks_exact(d)).for_each(|(i, b)| *i = dot(b, u));
        solve(&l, n, &mut inner);
        for (i, b) in inner.iter().zip(b.chunks_exact(d)) {
            u.iter_mut().zip(b).for_each(|(u, b)| *u -= i * b);
        }
        u.iter_mut().zip(&shares).for_each(|(u, s)| *u *= s);
    }
    Ok(Some(solved))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::options::HeadOptions;
    use crate::random::Random;
    use crate::rows::Rows;

    #[test]
    fn solutions_fit_the_matrix() {
        let (n, d) = (5, 30);
        let mut random = Random::new(2, 2);
        let mut number = || random.below(2001) as f64 / 1000.0 - 1.0;
        let a: Vec<f32> = (0..n * d).map(|_| number() as f32).collect();
        let m: Vec<f64> = (0..2 * d).map(|_| number()).collect();
        let (options, stop) = (HeadOptions::default(), AtomicBool::new(false));
        let task = Task::new(Rows::new(&a, d).unwrap(), &[0, 1, 0, 1, 1], 2, &options, &stop).unwrap();
        for least in [1.0, 1e-3, 1e-5] {
            let v: Vec<f64> = (0..d).map(|f| least * (1.0 + f as f64)).collect();
            let solved = solutions(&task, &a, &v, &m, 1).unwrap().unwrap();
            // What the matrix makes of a solution is the row again; of another it is not.
            let error = |solved: &[f64]| {
                let back = solved.chunks(d).flat_map(|z| {
                    let along =
                        a.chunks(d).map(|a| a.iter().zip(z).map(|(&a, z)| f64::from(a) * z).sum::<f64>());
                    let along: Vec<f64> = along.collect();
                    let (a, v) = (&a, &v);
                    let whole = move |f: usize| {
                        v[f] * z[f]
                            + along.iter().zip(a.chunks(d)).map(|(s, a)| s * f64::from(a[f])).sum::<f64>()
                    };
                    (0..d).map(whole).collect::<Vec<_>>()
                });
                back.zip(&m).map(|(b, m)| (b - m).abs()).fold(0.0, f64::max)
            };
            assert!(error(&solved) < 1e-9, "{least}: {}", error(&solved));
            let other: Vec<f64> = solved.iter().map(|z| z * 1.001).collect();
            assert!(error(&other) > 1e-5);
        }
        assert!(solutions(&task, &a, &vec![0.0; d], &m, 1).unwrap().is_none());
        assert!(solutions(&task, &a, &vec![1e-9; d], &m, 1).unwrap().is_none());
    }
}
