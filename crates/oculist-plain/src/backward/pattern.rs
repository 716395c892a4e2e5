//! Determinants, and values set by index.

use oculist_graph::{DataType, Det, OneHot, Op, Tensor};

use super::{Backward, Gradients, Reverse};
use crate::op::grid::{of_reals, reals};
use crate::op::pattern::determinant;

/// The cofactors of a matrix of `n` rows: how its determinant grows with each element.
///
/// They are `det * inverse^T`; where the matrix has no inverse they are the determinants of what is left without a row
/// and a column.
fn cofactors(matrix: &[f64], n: usize) -> Vec<f64> {
    let det = determinant(&mut matrix.to_vec(), n);
    if det != 0.0
        && let Some(inverse) = inverse(matrix, n)
    {
        return (0..n * n).map(|i| det * inverse[i % n * n + i / n]).collect();
    }
    let minor = |row: usize, column: usize| {
        let mut left: Vec<f64> =
            (0..n * n).filter(|i| i / n != row && i % n != column).map(|i| matrix[i]).collect();
        let sign = if (row + column).is_multiple_of(2) { 1.0 } else { -1.0 };
        // The determinant of nothing is the product of nothing.
        if n == 1 { 1.0 } else { sign * determinant(&mut left, n - 1) }
    };
    (0..n * n).map(|i| minor(i / n, i % n)).collect()
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
