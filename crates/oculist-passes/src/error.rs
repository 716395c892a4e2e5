//! The error of this crate.

use oculist_graph::GraphError;
use thiserror::Error;

/// Why a pass refused a graph or its options.
#[derive(Debug, Error, Clone, PartialEq)]
#[non_exhaustive]
pub enum PassError {
    /// The graph was invalid before the pass, or would be after it.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The pass does not know what to do with an operator.
    #[error("{pass}: node `{node}` ({op}): {problem}")]
    Unsupported {
        /// Name of the pass.
        pass: &'static str,
        /// Name of the node.
        node: String,
        /// Operator name.
        op: &'static str,
        /// What was expected and what was found.
        problem: String,
    },
    /// An option is out of range or names something that does not exist.
    #[error("{pass}: option `{option}`: {problem}")]
    Option {
        /// Name of the pass.
        pass: &'static str,
        /// Name of the option.
        option: &'static str,
        /// What was expected and what was found.
        problem: String,
    },
    /// Data given beside the graph (ranges, means, scores, gradients) do not fit it.
    #[error("{pass}: `{value}`: {problem}")]
    Data {
        /// Name of the pass.
        pass: &'static str,
        /// Name of the value that the data belong to.
        value: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// The cost cannot fall as far as asked with the given minimum, rounding, caps and protected nodes.
    #[error(
        "prune_channels: target {target:.4} of {what} is out of reach: minimum, rounding, caps and protected \
         nodes allow no less than {reached:.4}"
    )]
    TargetOutOfReach {
        /// `MACs` or `parameters`.
        what: &'static str,
        /// The asked fraction of the original cost.
        target: f64,
        /// The lowest fraction that could be reached.
        reached: f64,
    },
}

/// The result of a pass.
pub type Result<T> = std::result::Result<T, PassError>;
