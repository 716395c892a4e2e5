//! The model as data: a graph of ONNX operators with named values and parameters.
//!
//! A [`Graph`] holds nodes in topological order, values (inputs, parameters, activations) and metadata.
//! Shapes are inferred ([`Graph::infer_shapes`]) with a symbolic batch dimension, [`Graph::check`] verifies every
//! invariant, [`Graph::dump`] prints the text form used in tests, and [`Graph::cost`] accounts for multiply-adds,
//! parameters and bytes. Semantics and axis order are ONNX's: activations NCHW, weights
//! `[c_out, c_in / groups, k_h, k_w]`. How kernels lay them out in memory is the business of the executors.

mod builder;
mod check;
mod cost;
mod dump;
mod edit;
mod error;
mod graph;
mod infer;
mod inputs;
mod mask;
pub mod op;
mod shape;
mod tensor;

pub use builder::GraphBuilder;
pub use cost::{Cost, NodeCost};
pub use edit::Edit;
pub use error::GraphError;
pub use graph::{Graph, Node, NodeId, Value, ValueId, ValueKind};
pub use inputs::Inputs;
pub use op::*;
pub use shape::{Dim, Shape};
pub use tensor::{DataType, Tensor, TensorData};
