//! The error of this crate.

use oculist_kernels::KernelError;
use thiserror::Error;

/// Why nothing can be learned or estimated from what was given.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HeadError {
    /// The values are no rows of the dimension.
    #[error("expected rows of {dim} features, found {values} values")]
    Shape {
        /// Number of values.
        values: usize,
        /// Features of a row.
        dim: usize,
    },
    /// There is not one label for each row.
    #[error("expected a label for each of {rows} rows, found {labels}")]
    Labels {
        /// Number of rows.
        rows: usize,
        /// Number of labels.
        labels: usize,
    },
    /// A label names no class.
    #[error("row {row}: expected a label below {classes}, found {label}")]
    Label {
        /// The row, from 0.
        row: usize,
        /// Its label.
        label: u32,
        /// Number of classes.
        classes: usize,
    },
    /// A feature is NaN or infinite.
    #[error("row {row}: feature {feature} is {value}, expected a finite number")]
    NotFinite {
        /// The row, from 0.
        row: usize,
        /// The feature, from 0.
        feature: usize,
        /// What was found.
        value: f32,
    },
    /// Fewer than two classes occur.
    #[error("expected rows of at least two classes, found {found}")]
    Classes {
        /// How many classes occur.
        found: usize,
    },
    /// An option or an argument is out of range.
    #[error("{name}: expected {expected}, found {found}")]
    Option {
        /// Its name.
        name: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// More memory would be needed than may be taken.
    #[error(
        "{what} of {rows} rows, {dim} features and {classes} classes: {needed} bytes needed, {limit} allowed \
         (--max-memory sets another)"
    )]
    Memory {
        /// What would be computed.
        what: &'static str,
        /// Number of rows.
        rows: usize,
        /// Features of a row.
        dim: usize,
        /// Number of classes.
        classes: usize,
        /// Bytes that it needs, `usize::MAX` where they cannot be counted.
        needed: usize,
        /// Bytes that it may take.
        limit: usize,
    },
    /// The numbers of the problem leave the range of floats.
    #[error("{what}: the features are too large or too unequal for the computation")]
    Range {
        /// What was being computed.
        what: &'static str,
    },
    /// It was asked to stop.
    #[error("stopped")]
    Stopped,
    /// A kernel cannot be run.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}
