//! The model as data: a graph with ONNX operators, shapes, checks and costs.
