//! What must hold for any bytes that somebody gives us.
//!
//! A target takes bytes and panics only if the project is at fault: no bytes may make it panic, overflow, hang or take
//! memory that it was not allowed. `fuzz/` calls the targets from libFuzzer (`docs/fuzzing.md` says how); the test of this
//! crate replays the files in `fuzz/corpus` and `fuzz/regressions` and makes some more by chance.
#![forbid(unsafe_code)]

mod bytes;
mod graph;
mod jpeg;
mod mutate;
mod onnx;
mod operators;
mod stages;
mod weights;

pub use graph::graph;
pub use jpeg::jpeg;
pub use mutate::Mutator;
pub use onnx::onnx;
pub use weights::weights;
