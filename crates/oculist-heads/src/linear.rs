//! The loss of a linear head with a squared penalty, as a function of its weights.
//!
//! `mean_i loss(W x_i + b, y_i) + penalty / 2 * |W|^2` over the rows that are learned from. The bias is not penalised.

use std::ops::Range;

use oculist_kernels::{Matmul, try_zeros};

use crate::error::HeadError;
use crate::linear::solve::Factor;
use crate::minimize::Function;
use crate::product::Products;

pub(crate) mod solve;

/// The loss of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Minus the logarithm of the softmax at the label.
    Softmax,
    /// `sum_k max(0, 1 - t_k f_k)^2` with `t_k` 1 at the label and -1 elsewhere.
    SquaredHinge,
}

impl Loss {
    /// About how much its second derivative by a score is.
    pub(crate) fn curvature(self, classes: usize) -> f64 {
        let share = 1.0 / classes as f64;
        match self {
            Self::Softmax => share * (1.0 - share),
            Self::SquaredHinge => 1.0,
        }
    }

    /// The loss of a row's scores, which become the derivatives.
    pub(crate) fn value(self, scores: &mut [f32], label: usize) -> f64 {
        match self {
            Self::Softmax => {
                let most = scores.iter().copied().fold(f32::MIN, f32::max);
                let at = f64::from(scores[label] - most);
                let mut sum = 0.0;
                for s in &mut *scores {
                    *s = (*s - most).exp();
                    sum += f64::from(*s);
                }
                let share = (1.0 / sum) as f32;
                for s in &mut *scores {
                    *s *= share;
                }
                scores[label] -= 1.0;
                sum.ln() - at
            }
            Self::SquaredHinge => {
                let mut loss = 0.0;
                for (k, s) in scores.iter_mut().enumerate() {
                    let sign = if k == label { 1.0 } else { -1.0 };
                    let short = (1.0 - sign * *s).max(0.0);
                    loss += f64::from(short).powi(2);
                    *s = -2.0 * sign * short;
                }
                loss
            }
        }
    }
}

/// Standardised rows and their labels, in the order of the folds.
#[derive(Debug)]
pub(crate) struct Design {
    /// `[rows, dim]`.
    pub(crate) x: Vec<f32>,
    /// `[rows]`, below `classes`.
    pub(crate) labels: Vec<u32>,
    /// Features of a row.
    pub(crate) dim: usize,
    /// The mean of the eigenvalues of the second moments: 1 for features that are not rotated.
    pub(crate) variance: f64,
    /// Number of classes, all of which occur.
    pub(crate) classes: usize,
}

impl Design {
    /// Number of parameters: weights `[classes, dim]`, then bias `[classes]`.
    pub(crate) fn parameters(&self) -> usize {
        self.classes * (self.dim + 1)
    }

    /// Scores of rows: `[range, classes]`.
    pub(crate) fn scores(
        &self,
        products: &mut Products,
        parameters: &[f32],
        range: &Range<usize>,
        scores: &mut [f32],
    ) -> Result<(), HeadError> {
        let (d, k) = (self.dim, self.classes);
        let (weights, bias) = parameters.split_at(k * d);
        let shape = Matmul::new(range.len(), k, d).transposed(false, true);
        products.run(shape, 1.0, &self.x[range.start * d..range.end * d], weights, false, scores)?;
        for row in scores.chunks_exact_mut(k) {
            row.iter_mut().zip(bias).for_each(|(s, b)| *s += b);
        }
        Ok(())
    }
}

/// The function of the parameters that learning minimises.
pub(crate) struct Penalised<'a> {
    design: &'a Design,
    products: &'a mut Products,
    loss: Loss,
    penalty: f64,
    learned: &'a [Range<usize>],
    factor: Option<&'a Factor>,
    scores: Vec<f32>,
    parameters: Vec<f32>,
    /// Of the gradient; of the preconditioner too.
    room: Vec<f32>,
}

impl<'a> Penalised<'a> {
    /// The function for rows that are learned from, at least one of them.
    ///
    /// # Errors
    /// [`HeadError::Kernel`] if there is no memory for it.
    pub(crate) fn new(
        design: &'a Design,
        products: &'a mut Products,
        loss: Loss,
        penalty: f64,
        learned: &'a [Range<usize>],
        factor: Option<&'a Factor>,
    ) -> Result<Self, HeadError> {
        let most = learned.iter().map(Range::len).max().unwrap_or(0);
        let what = "learning a head";
        Ok(Self {
            scores: try_zeros(most.saturating_mul(design.classes), what)?,
            parameters: try_zeros(design.parameters(), what)?,
            room: try_zeros(design.parameters(), what)?,
            design,
            products,
            loss,
            penalty,
            learned,
            factor,
        })
    }
}

impl Function for Penalised<'_> {
    fn value(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, HeadError> {
        let (d, k) = (self.design.dim, self.design.classes);
        self.parameters.iter_mut().zip(x).for_each(|(p, x)| *p = *x as f32);
        gradient.fill(0.0);
        let rows: usize = self.learned.iter().map(Range::len).sum();
        let share = 1.0 / rows as f64;
        let mut loss = 0.0;
        let mut adds = false;
        for range in self.learned.iter().filter(|r| !r.is_empty()) {
            let scores = &mut self.scores[..range.len() * k];
            self.design.scores(self.products, &self.parameters, range, scores)?;
            for (row, &label) in scores.chunks_exact_mut(k).zip(&self.design.labels[range.clone()]) {
                loss += self.loss.value(row, label as usize);
                gradient[k * d..].iter_mut().zip(&*row).for_each(|(g, &r)| *g += share * f64::from(r));
            }
            let shape = Matmul::new(k, d, range.len()).transposed(true, false);
            let x = &self.design.x[range.start * d..range.end * d];
            self.products.run(shape, share as f32, scores, x, adds, &mut self.room[..k * d])?;
            adds = true;
        }
        let mut squares = 0.0;
        for ((g, &sum), &w) in gradient[..k * d].iter_mut().zip(&self.room).zip(x) {
            *g = f64::from(sum) + self.penalty * w;
            squares += w * w;
        }
        Ok(loss * share + 0.5 * self.penalty * squares)
    }

    fn precondition(&mut self, gradient: &mut [f64]) -> Result<(), HeadError> {
        let (d, k) = (self.design.dim, self.design.classes);
        let curvature = self.loss.curvature(k);
        let (weights, bias) = gradient.split_at_mut(k * d);
        for g in bias {
            *g /= curvature;
        }
        match self.factor {
            None => {
                let mean = curvature * self.design.variance + self.penalty;
                for g in weights.iter_mut() {
                    *g /= mean;
                }
            }
            Some(factor) => {
                // Within the range of f32, whatever the gradient is.
                let most = weights.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
                if most > 0.0 {
                    let room = &mut self.room[..k * d];
                    room.iter_mut().zip(&*weights).for_each(|(r, g)| *r = (g / most) as f32);
                    factor.solve(self.products, room)?;
                    weights.iter_mut().zip(&*room).for_each(|(g, &r)| *g = f64::from(r) * most / curvature);
                }
            }
        }
        Ok(())
    }
}
