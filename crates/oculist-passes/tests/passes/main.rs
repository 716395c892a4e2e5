//! The passes on the architectures of the zoo, and against ONNX Runtime.

mod calibration;
mod fusion;
mod idioms;
mod networks;
mod pruning;
