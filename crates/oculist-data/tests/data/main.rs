//! What users of the crate rely on, through its public interface.

mod bad_input;
mod decoding;
mod loader;
mod sources;
