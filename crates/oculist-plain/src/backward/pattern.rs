//! Determinants, and values set by index.

use oculist_graph::{DataType, Det, OneHot, Op, Tensor};

use super::{Backward, Gradients, Reverse};
use crate::op::grid::{of_reals, reals};
use crate::op::pattern::determinant;

/// The cofactors of a matrix of `n` rows: how its determinant grows with each element. They are `det * inverse^T` where
/// there is an inverse.
fn cofactors(matrix: &[f64], n: usize) -> Vec<f64> {
    let det = determinant(&mut matrix.to_vec(), n);
    if det != 0.0
        && let Some(inverse) = inverse(matrix, n)
    {
        return (0..n * n).map(|i| det * inverse[i % n * n + i / n]).collect();
    }
    singular_cofactors(matrix.to_vec(), n)
}

/// The cofactors of a matrix without inverse: with `w` and `z` the vectors that it takes to zero from the left and the
/// right, they are `c * w * z^T`, and all zero where there are several such vectors.
///
/// Elimination with the largest pivot of all gives rows and columns in an order in which the last one of both is the rest;
/// `w` and `z` are 1 there, so that `c` is the cofactor of that element: the product of the pivots.
fn singular_cofactors(mut left: Vec<f64>, n: usize) -> Vec<f64> {
    let (mut rows, mut columns): (Vec<usize>, Vec<usize>) = ((0..n).collect(), (0..n).collect());
    let mut product = 1.0;
    for k in 0..n.saturating_sub(1) {
        let size = |i: &usize| left[rows[i / n] * n + columns[i % n]].abs();
        let places = (k..n).flat_map(|row| (k..n).map(move |column| row * n + column));
        let pivot = places.max_by(|a, b| size(a).total_cmp(&size(b))).unwrap_or(k * n + k);
        for (order, other) in [(&mut rows, pivot / n), (&mut columns, pivot % n)] {
            if other != k {
                order.swap(k, other);
                product = -product;
            }
        }
        let head = left[rows[k] * n + columns[k]];
        product *= head;
        if head == 0.0 {
            return vec![0.0; n * n];
        }
        for &row in &rows[k + 1..] {
            // The factor stays where the element was.
            let factor = left[row * n + columns[k]] / head;
            left[row * n + columns[k]] = factor;
            for &column in &columns[k + 1..] {
                left[row * n + column] -= factor * left[rows[k] * n + column];
            }
        }
    }
    let at = |i: usize, j: usize| left[rows[i] * n + columns[j]];
    let (mut w, mut z) = (vec![1.0; n], vec![1.0; n]);
    for i in (0..n.saturating_sub(1)).rev() {
        w[i] = -(i + 1..n).map(|j| at(j, i) * w[j]).sum::<f64>();
        z[i] = -(i + 1..n).map(|j| at(i, j) * z[j]).sum::<f64>() / at(i, i);
    }
    let mut cofactors = vec![0.0; n * n];
    for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
        cofactors[rows[i] * n + columns[j]] = product * w[i] * z[j];
    }
    cofactors
}

/// The inverse, by elimination with the largest pivot; `None` where it has none or numbers become too large.
fn inverse(matrix: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut left = matrix.to_vec();
    let mut right = vec![0.0; n * n];
    right.iter_mut().step_by(n + 1).for_each(|v| *v = 1.0);
    for k in 0..n {
        let size = |row: &usize| left[row * n + k].abs();
        let pivot = (k..n).max_by(|a, b| size(a).total_cmp(&size(b)))?;
        for column in 0..n {
            left.swap(k * n + column, pivot * n + column);
            right.swap(k * n + column, pivot * n + column);
        }
        let head = left[k * n + k];
        if head == 0.0 {
            return None;
        }
        for row in (0..n).filter(|&row| row != k) {
            let factor = left[row * n + k] / head;
            for column in 0..n {
                left[row * n + column] -= factor * left[k * n + column];
                right[row * n + column] -= factor * right[k * n + column];
            }
        }
        for column in 0..n {
            left[k * n + column] /= head;
            right[k * n + column] /= head;
        }
    }
    right.iter().all(|v| v.is_finite()).then_some(right)
}

impl Backward for Det {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, dy) = (reverse.input(0)?, reverse.only()?);
        let n = x.shape().last().copied().unwrap_or(0);
        reverse.call().room(DataType::F64, &[x.len(), 4])?;
        let (values, gradient) = (reals(x)?, reals(dy)?);
        reverse.first(|| {
            let parts = values.chunks_exact((n * n).max(1)).zip(&gradient);
            let dx = parts.flat_map(|(matrix, g)| cofactors(matrix, n).into_iter().map(move |c| g * c));
            of_reals(dx.collect(), x.shape().to_vec(), x.dtype())
        })
    }
}

impl Backward for OneHot {
    /// Of the two values each gets what flows to the places that hold it.
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let dy = reverse.only()?;
        let marks = Tensor::ints(vec![0, 1]);
        let given = [reverse.get(0), reverse.get(1), Some(&marks)];
        let marks = crate::evaluate(reverse.ctx, &Op::OneHot(*self), &given, 1)?;
        let marks = marks.first().and_then(Tensor::to_i64s).ok_or("no places")?;
        let gradient = reals(dy)?;
        reverse.each(|i| {
            let input = reverse.input(i)?;
            if i != 2 {
                return Ok(None);
            }
            let mut sums = vec![0.0; 2];
            for (&mark, g) in marks.iter().zip(&gradient) {
                sums[usize::from(mark == 1)] += g;
            }
            of_reals(sums, input.shape().to_vec(), input.dtype()).map(Some)
        })
    }
}
