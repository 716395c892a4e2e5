//! Solves `A z = v` for a symmetric positive definite matrix by its Cholesky factor, in blocks and in f32.
//!
//! What it gives is only a first guess for the minimiser, so that f32 is enough.
//!
//! # Source
//! Golub and Van Loan, "Matrix Computations", 2013, 4.2.

use oculist_kernels::{Matmul, try_zeros};

use crate::error::HeadError;
use crate::product::Products;

/// Rows of a block.
const BLOCK: usize = 64;

/// `L` of `A = L L^T`.
#[derive(Debug)]
pub(crate) struct Factor {
    /// `[dim, dim]`, of which the blocks on and above the diagonal are not read.
    lower: Vec<f32>,
    dim: usize,
    /// The inverses of the blocks on the diagonal, each `[size, size]`.
    inverses: Vec<Vec<f32>>,
}

impl Factor {
    /// The most features for which a factor is worth its time.
    pub(crate) const MAX_DIM: usize = 4096;

    /// Factors `a + ridge * I`, where `a` is `[dim, dim]`; `None` if it is not positive definite in f32.
    ///
    /// # Errors
    /// [`HeadError::Kernel`] if there is no memory.
    pub(crate) fn new(
        products: &mut Products,
        a: &[f32],
        ridge: f32,
        dim: usize,
    ) -> Result<Option<Self>, HeadError> {
        let mut lower = try_zeros(dim * dim, "a Cholesky factor")?;
        let mut panel = try_zeros(dim * BLOCK, "a Cholesky factor")?;
        let mut inverses = Vec::new();
        for start in (0..dim).step_by(BLOCK) {
            let size = BLOCK.min(dim - start);
            let rows = dim - start;
            for (i, row) in panel.chunks_exact_mut(size).take(rows).enumerate() {
                row.copy_from_slice(&a[(start + i) * dim + start..][..size]);
                if i < size {
                    row[i] += ridge;
                }
            }
            if start > 0 {
                let shape = Matmul {
                    a_stride: dim,
                    b_stride: dim,
                    ..Matmul::new(rows, size, start).transposed(false, true)
                };
                let done = &lower[start * dim..];
                products.run(shape, -1.0, done, done, true, &mut panel[..rows * size])?;
            }
            let Some(inverse) = invert_block(&panel[..size * size], size) else { return Ok(None) };
            if rows > size {
                let shape = Matmul::new(rows - size, size, size).transposed(false, true);
                let shape = Matmul { c_stride: dim, ..shape };
                let below = &mut lower[(start + size) * dim + start..];
                products.run(shape, 1.0, &panel[size * size..rows * size], &inverse, false, below)?;
            }
            inverses.push(inverse);
        }
        Ok(Some(Self { lower, dim, inverses }))
    }

    /// Replaces each of the rows `v`, `[rows, dim]`, by the solution for it.
    ///
    /// # Errors
    /// [`HeadError::Kernel`] if there is no memory.
    pub(crate) fn solve(&self, products: &mut Products, v: &mut [f32]) -> Result<(), HeadError> {
        let dim = self.dim;
        let rows = v.len() / dim;
        let mut part = try_zeros(rows * BLOCK, "a triangular solution")?;
        let mut product = try_zeros(rows * BLOCK, "a triangular solution")?;
        for forward in [true, false] {
            let blocks = self.inverses.len();
            for step in 0..blocks {
                let block = if forward { step } else { blocks - 1 - step };
                let (start, inverse) = (block * BLOCK, &self.inverses[block]);
                let size = BLOCK.min(dim - start);
                let part = &mut part[..rows * size];
                for (part, v) in part.chunks_exact_mut(size).zip(v.chunks_exact(dim)) {
                    part.copy_from_slice(&v[start..start + size]);
                }
                // What the blocks that are done contribute.
                if forward && start > 0 {
                    let shape = Matmul::new(rows, size, start).transposed(false, true);
                    let shape = Matmul { a_stride: dim, b_stride: dim, ..shape };
                    products.run(shape, -1.0, v, &self.lower[start * dim..], true, part)?;
                } else if !forward && start + size < dim {
                    let behind = start + size;
                    let shape = Matmul::new(rows, size, dim - behind);
                    let shape = Matmul { a_stride: dim, b_stride: dim, ..shape };
                    let lower = &self.lower[behind * dim + start..];
                    products.run(shape, -1.0, &v[behind..], lower, true, part)?;
                }
                let product = &mut product[..rows * size];
                let shape = Matmul::new(rows, size, size).transposed(false, forward);
                products.run(shape, 1.0, part, inverse, false, product)?;
                for (product, v) in product.chunks_exact(size).zip(v.chunks_exact_mut(dim)) {
                    v[start..start + size].copy_from_slice(product);
                }
            }
        }
        Ok(())
    }
}

/// The inverse of the Cholesky factor of a small matrix, computed in f64.
fn invert_block(a: &[f32], n: usize) -> Option<Vec<f32>> {
    let mut l = vec![0.0f64; n * n];
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|p| l[i * n + p] * l[j * n + p]).sum();
            let rest = f64::from(a[i * n + j]) - sum;
            if i == j {
                if rest.is_nan() || rest <= 0.0 {
                    return None;
                }
                l[i * n + i] = rest.sqrt();
            } else {
                l[i * n + j] = rest / l[j * n + j];
            }
        }
    }
    let mut inverse = vec![0.0f64; n * n];
    for column in 0..n {
        for i in column..n {
            let unit = f64::from(u8::from(i == column));
            let sum: f64 = (column..i).map(|p| l[i * n + p] * inverse[p * n + column]).sum();
            inverse[i * n + column] = (unit - sum) / l[i * n + i];
        }
    }
    Some(inverse.into_iter().map(|x| x as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn solutions_fit_at_every_number_of_blocks() {
        let mut products = Products::new(1).unwrap();
        for dim in [1, 5, 63, 64, 65, 150] {
            let mut random = Random::new(1, dim as u64);
            let mut number = || random.below(2001) as f32 / 1000.0 - 1.0;
            let b: Vec<f32> = (0..dim * dim).map(|_| number()).collect();
            let a: Vec<f32> = (0..dim * dim)
                .map(|i| (0..dim).map(|p| b[i / dim * dim + p] * b[i % dim * dim + p]).sum())
                .collect();
            let ridge = dim as f32 * 0.2;
            let factor = Factor::new(&mut products, &a, ridge, dim).unwrap().unwrap();
            let v: Vec<f32> = (0..3 * dim).map(|_| number()).collect();
            let mut z = v.clone();
            factor.solve(&mut products, &mut z).unwrap();
            for (z, v) in z.chunks(dim).zip(v.chunks(dim)) {
                for i in 0..dim {
                    let sum: f32 = (0..dim).map(|j| a[i * dim + j] * z[j]).sum::<f32>() + ridge * z[i];
                    assert!((sum - v[i]).abs() < 1e-3, "{dim}: {sum} for {}", v[i]);
                }
            }
        }
        assert!(Factor::new(&mut products, &[-1.0], 0.5, 1).unwrap().is_none());
    }
}
