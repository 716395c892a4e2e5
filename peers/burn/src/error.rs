//! The error of this crate.

use thiserror::Error;

/// Why a graph cannot be trained with Burn.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PeerError {
    /// An operator has no rule here.
    #[error("node `{node}` ({op}) cannot be trained: {problem}")]
    Unsupported {
        /// Name of the node.
        node: String,
        /// Operator name.
        op: &'static str,
        /// What was expected.
        problem: &'static str,
    },
    /// The graph has another form than one image in, one row of logits out.
    #[error("graph `{graph}`: {problem}")]
    Graph {
        /// Name of the graph.
        graph: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// Burn could not read a tensor back from the device.
    #[error("reading a tensor back: {0}")]
    Read(String),
}
