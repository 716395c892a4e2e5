//! What users of the crate rely on, through its public interface.

mod bad_formats;
mod bad_input;
mod decoding;
mod formats;
mod identity;
mod loader;
mod parts;
mod sampling;
mod sources;
