//! What users of the crate rely on, through its public interface.

mod bad_formats;
mod bad_input;
mod decoding;
mod folders;
mod formats;
mod hints;
mod identity;
mod image_limits;
mod kinds;
mod left_out;
mod limits;
mod loader;
mod manifest_rows;
mod mixed_lists;
mod multi_label;
mod parquet_rows;
mod partners;
mod parts;
mod sampling;
mod sources;
