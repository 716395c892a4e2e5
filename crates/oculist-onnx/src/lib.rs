//! ONNX import and export.
//!
//! [`to_bytes`] and [`write()`] turn a [`Graph`](oculist_graph::Graph) into an ONNX model of opset 17 (IR version
//! 8); [`from_bytes`] and [`read`] turn a model back into a graph. Float parameters come back bit for bit, names
//! of parameters and nodes stay, and so do the metadata. Not kept, because the file does not need them:
//!
//! - the names of activations where they clash; the output is called `logits`;
//! - `Dropout` nodes, which do nothing at inference;
//! - in a quantised model, all names of activations, scales, zero points and Q/DQ nodes: they become one to three
//!   letters, because a small int8 model would otherwise consist of names to a noticeable part.
//!
//! Models of other writers are read as far as they use the operators of the graph, or forms that mean the same
//! (opset 7 to 21: constants as nodes, `Reshape` as a flatten, `MatMul` and `Add`, `ReduceMean` over a map,
//! `auto_pad`, attributes of older opsets). Everything else is an error that names the node: nothing is
//! approximated.
//!
//! # Source
//! The messages of `onnx.proto` (ONNX IR version 8) and the operator specification of the ONNX project.
#![forbid(unsafe_code)]
#![deny(clippy::as_conversions)]

mod error;
mod file;
mod import;
mod older;
mod proto;
mod tensor;

pub use error::{OnnxError, Unsupported};
pub use file::{from_bytes, read, tensor_from_bytes};
