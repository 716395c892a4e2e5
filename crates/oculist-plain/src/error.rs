//! The error of this crate.

use oculist_graph::GraphError;
use oculist_kernels::KernelError;
use thiserror::Error;

/// Why a node could not be computed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlainError {
    /// The inputs do not fit the operator, or it does not compute what is asked.
    #[error("{op}: {problem}")]
    Operator {
        /// Operator name.
        op: &'static str,
        /// What was expected and what was found.
        problem: String,
    },
    /// A node of a graph.
    #[error("node `{node}`: {source}")]
    Node {
        /// Name of the node.
        node: String,
        /// What went wrong.
        #[source]
        source: Box<PlainError>,
    },
    /// The graph's inputs do not fit what was given.
    #[error("graph `{graph}`: {problem}")]
    Inputs {
        /// Name of the graph.
        graph: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// The result does not fit into memory.
    #[error(transparent)]
    Memory(#[from] KernelError),
    /// A tensor's data do not fit its shape.
    #[error(transparent)]
    Graph(#[from] GraphError),
}
