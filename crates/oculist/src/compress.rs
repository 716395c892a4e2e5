//! Compression: pruning with fine-tuning, int8 quantisation, and the search that keeps the promise.

pub(crate) mod candidate;
pub(crate) mod quantization;
pub(crate) mod search;
pub(crate) mod sensitivity;
