//! ONNX import and export.
//!
//! [`from_bytes`] and [`read`] turn an ONNX model into a [`Graph`](oculist_graph::Graph), [`to_bytes`] and [`write()`] a
//! graph into a model. Import is literal: each node of the file becomes one node, names stay, and the opset (7 to 28) is
//! remembered. A graph goes out as it came in; its opset is raised only where a node needs a newer one and cannot be written in
//! several older ones (as GELU and the normalisations can), and our own graphs are written in opset 17. Float parameters come back bit for bit, and so do the metadata. Not kept:
//!
//! - attributes of old opsets that newer ones have as inputs: they are constants in the graph, and attributes again in the
//!   file if that is of an old opset;
//! - `Constant` nodes, functions of the model and an `If` with a constant condition, which are put in place;
//! - `Dropout` nodes, which do nothing at inference, are not written;
//! - in a quantised model of ours, all names of activations, scales, zero points and Q/DQ nodes: they become one to three
//!   letters, because a small int8 model would otherwise consist of names to a noticeable part.
//!
//! What a graph cannot hold (control flow, recurrent layers, sequences, texts, 8-bit floats) is an error that names the
//! node, input or tensor: nothing is approximated.
//!
//! # Source
//! The messages of `onnx.proto` (ONNX IR version 14) and the operator specification of the ONNX project.
#![forbid(unsafe_code)]
#![deny(clippy::as_conversions)]

mod error;
mod export;
mod external;
mod file;
mod import;
mod older;
mod proto;
mod tensor;

pub use error::{OnnxError, Unsupported};
pub use file::{
    ExportOptions, Exported, export, from_bytes, read, read_metadata, tensor_from_bytes, to_bytes, write,
    write_with,
};
