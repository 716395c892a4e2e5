//! Rows rotated into the space that they span, where there are fewer of them than features.
//!
//! Of `X X^T = L L^T` the rows of `L` `[rows, rank]` are those of `X` in an orthonormal basis of their space, `X = L Q^T`. A
//! squared penalty is the same in every such basis, and weights that minimise it lie in that space, so that nothing is lost
//! by learning `V` `[classes, rank]` on `L`: the weights of the features are `V Q^T = (V B^-1) X_b`, where `b` are the rows that
//! brought a direction each and `B` those of `L` at them.
//!
//! # Source
//! Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2009, 18.3.5, with the factor of Cholesky in place of
//! the singular values. Sums run in f64, since the products of all rows square what the rows' rounding is.

use std::sync::atomic::{AtomicBool, Ordering};

use oculist_kernels::try_zeros;

use crate::dense::{dot, gram};
use crate::error::HeadError;
use crate::rows::Rows;
use crate::standard::Standard;

/// The share of the longest row's squared length below which what a row adds is no direction but rounding.
const RANK: f64 = 1e-10;

/// The way from rows to their own space and back.
#[derive(Debug)]
pub(crate) struct Rotation {
    /// `[rank]`: the rows that brought a direction each, as indices of all rows.
    basis: Vec<usize>,
    /// `B`, `[rank, rank]`, of which the lower half is read.
    lower: Vec<f64>,
}

impl Rotation {
    /// Whether it saves more than it takes: of 1,280 features it did with 900 rows, not with 1,200.
    pub(crate) fn pays(rows: usize, dim: usize) -> bool {
        rows < dim - dim / 4
    }

    /// The f32 that it takes for a while, beside the rows in f64.
    pub(crate) const SQUARES: usize = 5;

    /// The rotation of standardised rows in an order, and the rows in it, `[rows, rank]` with a rank of at least 1.
    ///
    /// # Errors
    /// [`HeadError::Range`] if they are not finite, [`HeadError::Kernel`] if there is no memory, [`HeadError::Stopped`].
    pub(crate) fn new(
        rows: Rows,
        standard: &Standard,
        order: &[usize],
        threads: usize,
        stop: &AtomicBool,
    ) -> Result<(Self, Vec<f32>), HeadError> {
        let (n, d) = (order.len(), rows.dim());
        let mut x: Vec<f64> = Vec::with_capacity(n * d);
        for &i in order {
            x.extend(standard.row(rows, i));
        }
        if x.iter().any(|x| !x.is_finite()) {
            return Err(HeadError::Range { what: "standardised features" });
        }
        let mut l = gram(&x, n, threads);
        drop(x);
        let places = factor(&mut l, n, stop)?;
        let rank = places.len().max(1);
        let mut rotated = try_zeros(n * rank, "rows in their own space")?;
        for (to, l) in rotated.chunks_exact_mut(rank).zip(l.chunks_exact(n)) {
            to.iter_mut().zip(&l[..places.len()]).for_each(|(to, &l)| *to = l as f32);
        }
        let lower = places.iter().flat_map(|&p| l[p * n..][..rank].iter().copied()).collect();
        let basis = places.iter().map(|&p| order[p]).collect();
        Ok((Self { basis, lower }, rotated))
    }

    /// Weights `[classes, dim]` of standardised features from those of the rotated ones, `[classes, rank]`.
    pub(crate) fn unfold(&self, rows: Rows, standard: &Standard, weights: &[f64]) -> Vec<f64> {
        let (rank, d) = (self.basis.len(), rows.dim());
        let classes = weights.len() / rank.max(1);
        let mut shares = weights.to_vec();
        for shares in shares.chunks_exact_mut(rank.max(1)).filter(|_| rank > 0) {
            for i in (0..rank).rev() {
                let row = &self.lower[i * rank..][..=i];
                shares[i] /= row[i];
                let at = shares[i];
                shares[..i].iter_mut().zip(row).for_each(|(s, l)| *s -= at * l);
            }
        }
        let mut unfolded = vec![0.0f64; classes * d];
        for (i, &row) in self.basis.iter().enumerate() {
            let x: Vec<f64> = standard.row(rows, row).collect();
            for (to, shares) in unfolded.chunks_exact_mut(d).zip(shares.chunks_exact(rank)) {
                to.iter_mut().zip(&x).for_each(|(to, x)| *to += shares[i] * x);
            }
        }
        unfolded
    }
}

/// Replaces products `[n, n]` by `L`, and gives the rows that brought its columns.
///
/// A row that lies in the space of those before it, but for rounding, brings none, and what is left of it is dropped.
fn factor(a: &mut [f64], n: usize, stop: &AtomicBool) -> Result<Vec<usize>, HeadError> {
    let least = RANK * (0..n).map(|i| a[i * n + i]).fold(0.0, f64::max);
    let mut basis: Vec<usize> = Vec::new();
    for i in 0..n {
        if stop.load(Ordering::Relaxed) {
            return Err(HeadError::Stopped);
        }
        let (above, row) = a.split_at_mut(i * n);
        let row = &mut row[..n];
        // Column `c` is no further right than the product that it comes from.
        for (c, &p) in basis.iter().enumerate() {
            let other = &above[p * n..][..n];
            row[c] = (row[p] - dot(&row[..c], &other[..c])) / other[c];
        }
        let known = basis.len();
        let rest = row[i] - dot(&row[..known], &row[..known]);
        row[known..].fill(0.0);
        if rest > least {
            row[known] = rest.sqrt();
            basis.push(i);
        }
    }
    Ok(basis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Rows of which the last two are a copy and a sum of others.
    fn dependent(n: usize, d: usize) -> Vec<f32> {
        let mut random = Random::new(9, n as u64);
        let mut values: Vec<f32> = (0..n * d).map(|_| random.below(2001) as f32 / 1000.0 - 1.0).collect();
        for f in 0..d {
            values[(n - 2) * d + f] = values[f];
            values[(n - 1) * d + f] = values[d + f] + values[2 * d + f];
        }
        values
    }

    #[test]
    fn rows_keep_their_products_and_weights_their_scores() {
        let (n, d) = (12, 40);
        let values = dependent(n, d);
        let rows = Rows::new(&values, d).unwrap();
        let standard = Standard::of(rows);
        let order: Vec<usize> = (0..n).rev().collect();
        let (rotation, rotated) = Rotation::new(rows, &standard, &order, 1, &AtomicBool::new(false)).unwrap();
        let rank = rotated.len() / n;
        // Centred rows lose a direction; so do the copy and the sum.
        assert!((9..=10).contains(&rank), "{rank}");
        let x: Vec<Vec<f64>> = order.iter().map(|&i| standard.row(rows, i).collect()).collect();
        for i in 0..n {
            for j in 0..n {
                let got: f32 = (0..rank).map(|c| rotated[i * rank + c] * rotated[j * rank + c]).sum();
                assert!((f64::from(got) - dot(&x[i], &x[j])).abs() < 1e-4);
            }
        }
        let weights: Vec<f64> = (0..2 * rank).map(|i| (i as f64).sin()).collect();
        let unfolded = rotation.unfold(rows, &standard, &weights);
        for (w, v) in unfolded.chunks(d).zip(weights.chunks(rank)) {
            for (x, z) in x.iter().zip(rotated.chunks(rank)) {
                let want: f64 = v.iter().zip(z).map(|(v, &z)| v * f64::from(z)).sum();
                assert!((dot(w, x) - want).abs() < 1e-5, "{} for {want}", dot(w, x));
            }
            // The rotation changes no length either.
            assert!((dot(w, w) - dot(v, v)).abs() < 1e-9 * dot(v, v), "{} for {}", dot(w, w), dot(v, v));
        }
    }

    #[test]
    fn rows_that_are_alike_have_no_direction() {
        let values = [2.0f32; 15];
        let rows = Rows::new(&values, 5).unwrap();
        let standard = Standard::of(rows);
        let (rotation, rotated) =
            Rotation::new(rows, &standard, &[0, 1, 2], 1, &AtomicBool::new(false)).unwrap();
        assert_eq!(rotated, [0.0; 3]);
        assert_eq!(rotation.unfold(rows, &standard, &[1.0, 1.0]).len(), 10);
    }
}
