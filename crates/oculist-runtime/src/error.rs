//! The error of this crate.

use oculist_graph::GraphError;
use oculist_kernels::KernelError;
use oculist_plain::PlainError;
use thiserror::Error;

/// Why a graph cannot be planned or a plan cannot be run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The graph breaks an invariant.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A node asks for something that no kernel computes.
    #[error("node `{node}` ({op}): {problem}")]
    Unsupported {
        /// Name of the node.
        node: String,
        /// Operator name.
        op: &'static str,
        /// What was expected and what was found.
        problem: String,
    },
    /// A kernel refused a node's geometry.
    #[error("node `{node}`: {source}")]
    Kernel {
        /// Name of the node.
        node: String,
        /// The kernel's reason.
        source: KernelError,
    },
    /// A node cannot be computed on row-major tensors.
    #[error("node `{node}`: {source}")]
    Plain {
        /// Name of the node.
        node: String,
        /// The operator's reason.
        source: PlainError,
    },
    /// Tensors given to a run do not fit the graph, or what a node computed does not.
    #[error("graph `{graph}`: {problem}")]
    Inputs {
        /// Name of the graph.
        graph: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// Threads or instruction set cannot be had.
    #[error("cannot set up the kernels: {0}")]
    Context(KernelError),
    /// The plan would need more memory than it may take.
    #[error(transparent)]
    Memory(KernelError),
    /// The graph as a whole does not fit the runtime.
    #[error("graph `{graph}`: {problem}")]
    Model {
        /// Name of the graph.
        graph: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// An option makes no sense.
    #[error("plan options: {0}")]
    Options(String),
    /// A slice given to a run has the wrong length.
    #[error("{what}: expected {expected}, found {found} f32")]
    Length {
        /// Which slice.
        what: &'static str,
        /// What would fit.
        expected: String,
        /// Its length.
        found: usize,
    },
}
