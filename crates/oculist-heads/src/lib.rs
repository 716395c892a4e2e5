//! What is put on a frozen feature extractor: classical learners on a matrix of features, which end as nodes of a graph.
//!
//! [`fit`] learns one of the [`HeadKind`]s from feature rows and labels, and chooses its strength by cross-validation.
//! What it gives, a [`Fitted`], computes scores itself and can be appended to the graph that computes the features, so that
//! the two are one ONNX model. For all kinds the softmax of the scores gives probabilities.
//!
//! Results depend on the rows, the labels, the options and the instruction set, never on the number of threads: sums
//! are cut by shapes alone, and every random choice has a generator of its own, seeded by what it belongs to.

mod append;
mod calibrate;
mod dense;
mod error;
pub mod estimate;
mod fit;
mod fitted;
mod folds;
mod forest;
mod kind;
mod knn;
mod lda;
mod linear;
mod logistic;
mod minimize;
mod options;
mod parallel;
mod product;
mod random;
mod rotation;
mod rows;
mod standard;

pub use dense::symmetric_eigen;
pub use error::HeadError;
pub use fit::fit;
pub use fitted::Fitted;
pub use kind::{HeadKind, UnknownKind};
pub use options::HeadOptions;
pub use rows::Rows;

#[cfg(test)]
mod golden;
