//! The error of this crate.

use std::io;
use std::path::PathBuf;

use oculist_graph::GraphError;
use thiserror::Error;

/// Why a model could not be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The file could not be read.
    #[error("cannot read `{}`: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file could not be written.
    #[error("cannot write `{}`: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file was read, but its content is no model that can be used.
    #[error("`{}`: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        problem: Box<OnnxError>,
    },
    /// The bytes are no ONNX model, or not all of one.
    #[error("this is not an ONNX model, or it is cut short: {problem}")]
    NotOnnx {
        /// What was expected and what was found.
        problem: String,
    },
    /// The model as a whole cannot be used: opset, inputs, outputs, names.
    #[error("{problem}")]
    Model {
        /// What was expected and what was found.
        problem: String,
    },
    /// A node has an operator that the graph does not know.
    #[error("node `{node}`: the operator {op} is not supported; supported are {supported}")]
    Operator {
        /// Name of the node.
        node: String,
        /// Its operator, with the domain if it is not ONNX's own.
        op: String,
        /// The operators that can be read.
        supported: String,
    },
    /// A node has a known operator in a form that the graph does not know.
    #[error("node `{node}` ({op}): {problem}")]
    Node {
        /// Name of the node.
        node: String,
        /// Its operator.
        op: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A stored tensor cannot be used.
    #[error("tensor `{tensor}`: {problem}")]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// The graph is not valid: shapes that do not fit, values that are not finite.
    #[error(transparent)]
    Graph(#[from] GraphError),
}
