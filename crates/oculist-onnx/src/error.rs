//! The error of this crate.

use std::path::PathBuf;
use std::{fmt, io};

use oculist_graph::{DataType, GraphError};
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
    /// The model is written in an opset that is not read.
    #[error("the model uses opset {found}, supported are {} to {}", supported.start(), supported.end())]
    Opset {
        /// The model's opset.
        found: i64,
        /// Those that are read.
        supported: std::ops::RangeInclusive<i64>,
    },
    /// The model as a whole cannot be used: inputs, outputs, names.
    #[error("{problem}")]
    Model {
        /// What was expected and what was found.
        problem: String,
    },
    /// A node has an operator that cannot be read.
    #[error("node `{node}`: the operator {op} is not supported: {reason}")]
    Operator {
        /// Name of the node.
        node: String,
        /// Its operator, with the domain if it is not ONNX's own.
        op: String,
        /// Why not.
        reason: Unsupported,
    },
    /// A value has a type that a graph cannot hold.
    #[error("{owner}: the type {found} is not supported; supported are tensors of {}", element_types())]
    ElementType {
        /// What has the type: an input, a tensor or an output of a node, with its name.
        owner: String,
        /// The type that was found.
        found: String,
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

/// Why an operator cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Unsupported {
    /// Branches and loops.
    ControlFlow,
    /// Recurrent layers.
    Recurrent,
    /// Sequences of tensors.
    Sequence,
    /// Values that may be absent.
    Optional,
    /// Texts.
    Text,
    /// Random numbers.
    Random,
    /// Gradients and optimisers.
    Training,
    /// Encoded images.
    ImageFile,
    /// Trees, support vector machines and other classical models.
    Classical,
    /// A domain that is not ONNX's own and not among the few that are read.
    Domain,
    /// No operator of that name is known.
    Unknown,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ControlFlow => "it is control flow, and only an `If` with a constant condition is read",
            Self::Recurrent => "it is a recurrent layer",
            Self::Sequence => "it works on sequences of tensors",
            Self::Optional => "it works on optional values",
            Self::Text => "it works on texts",
            Self::Random => "it makes random numbers",
            Self::Training => "it belongs to training",
            Self::ImageFile => "it decodes image files",
            Self::Classical => "it is a classical model (trees, support vectors and the like)",
            Self::Domain => "supported domains are ai.onnx, ai.onnx.ml and com.microsoft",
            Self::Unknown => "no operator of this name is known",
        })
    }
}

fn element_types() -> String {
    DataType::ALL.iter().map(|t| t.name()).collect::<Vec<_>>().join(", ")
}
