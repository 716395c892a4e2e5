//! The error of this crate.

use thiserror::Error;

/// What is wrong with a graph.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GraphError {
    /// A node has inputs whose shapes or types do not fit its operator.
    #[error("node `{node}` ({op}): {problem}")]
    Node {
        /// Name of the node.
        node: String,
        /// Operator name.
        op: &'static str,
        /// What was expected and what was found.
        problem: String,
    },
    /// The graph as a whole breaks an invariant.
    #[error("graph `{graph}`: {problem}")]
    Structure {
        /// Name of the graph.
        graph: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A tensor's data do not fit its shape.
    #[error("tensor of shape {shape:?} needs {expected} elements, found {found}")]
    TensorLength {
        /// Declared shape.
        shape: Vec<usize>,
        /// Product of the shape.
        expected: usize,
        /// Number of elements given.
        found: usize,
    },
}
