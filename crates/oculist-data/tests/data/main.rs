//! What users of the crate rely on, through its public interface.

mod decoding;
mod loader;
mod sources;
