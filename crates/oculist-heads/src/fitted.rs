//! A head that has been learned.

use crate::error::HeadError;
use crate::forest::Forest;
use crate::kind::HeadKind;
use crate::knn::Neighbours;
use crate::product::Products;
use crate::rows::Rows;
use oculist_kernels::Matmul;

/// A head that has been learned.
#[derive(Debug, Clone)]
pub struct Fitted {
    pub(crate) kind: HeadKind,
    pub(crate) dim: usize,
    pub(crate) classes: usize,
    pub(crate) chosen: String,
    pub(crate) cv_accuracy: Option<f64>,
    pub(crate) calibration: f64,
    pub(crate) model: Model,
}

/// What is computed of features.
#[derive(Debug, Clone)]
pub(crate) enum Model {
    /// `weights * x + bias`.
    Linear(Linear),
    /// The logarithms of the shares of neighbours' votes.
    Knn(Neighbours),
    /// The logarithms of the shares of trees' votes.
    Forest(Forest),
}

/// A linear function.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    /// `[classes, dim]`.
    pub(crate) weights: Vec<f32>,
    /// `[classes]`.
    pub(crate) bias: Vec<f32>,
}

impl Fitted {
    /// What was learned.
    pub fn kind(&self) -> HeadKind {
        self.kind
    }

    /// Features of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// What cross-validation chose, in words: `C = 0.1 by 5 folds, 96.2%`.
    pub fn chosen(&self) -> &str {
        &self.chosen
    }

    /// The share of held-out rows that were right with what was chosen, `0.0..=1.0`; out of bag for a forest. `None` where
    /// nothing could be held out, or nothing had to be chosen.
    pub fn cv_accuracy(&self) -> Option<f64> {
        self.cv_accuracy
    }

    /// The factor that the scores were multiplied by, so that their softmax gives probabilities: what held-out rows say of `svm`,
    /// `lda` and `forest`, otherwise 1. It is part of [`Fitted::scores`], [`Fitted::linear`] and [`Fitted::append`].
    pub fn calibration(&self) -> f64 {
        self.calibration
    }

    /// Weights `[classes, dim]` and bias `[classes]` of a linear head, for features as they are.
    pub fn linear(&self) -> Option<(&[f32], &[f32])> {
        match &self.model {
            Model::Linear(linear) => Some((&linear.weights, &linear.bias)),
            Model::Knn(_) | Model::Forest(_) => None,
        }
    }

    /// Scores of rows, whose softmax gives probabilities.
    ///
    /// # Shapes
    /// `[rows, classes]`, row-major.
    ///
    /// # Errors
    /// [`HeadError::Shape`] if the rows have another number of features, [`HeadError::Kernel`] if there is no memory.
    pub fn scores(&self, rows: Rows) -> Result<Vec<f32>, HeadError> {
        if rows.dim() != self.dim {
            return Err(HeadError::Shape { values: rows.dim(), dim: self.dim });
        }
        match &self.model {
            Model::Linear(linear) => {
                let k = self.classes;
                let mut products = Products::new(1)?;
                let mut scores =
                    oculist_kernels::try_zeros(rows.len().saturating_mul(k), "scores of a head")?;
                let shape = Matmul::new(rows.len(), k, self.dim).transposed(false, true);
                products.run(shape, 1.0, rows.values(), &linear.weights, false, &mut scores)?;
                for row in scores.chunks_exact_mut(k) {
                    row.iter_mut().zip(&linear.bias).for_each(|(s, b)| *s += b);
                }
                Ok(scores)
            }
            Model::Knn(neighbours) => neighbours.scores(rows, self.classes),
            Model::Forest(forest) => Ok(forest.scores(rows, self.classes)),
        }
    }
}
