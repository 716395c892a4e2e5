//! Oculist's graphs trained with Burn's own tensor operations.
//!
//! A [`Network`] runs a training step of any graph of the zoo on any device that Burn has: forward with batch
//! statistics, softmax cross-entropy with label smoothing, backward through Burn's tape, and SGD with momentum. It
//! shares no code with Oculist's executor and kernels, so the two check each other, and it is the peer in the
//! comparison of speed.

mod error;
mod loss;
mod network;
mod operators;
mod optimizer;

pub use error::PeerError;
pub use loss::{cross_entropy, smoothed_targets};
pub use network::Network;
pub use optimizer::Sgd;
