//! What users of the crate rely on, through its public interface.

mod loader;
mod sources;
