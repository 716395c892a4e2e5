//! Heads as they are used: every kind on every set, as nodes of a graph, in ONNX Runtime, and what they refuse.

mod graphs;
mod sets;
mod trees;
