//! Models of the Hugging Face Hub as local files: `hf:OWNER/NAME[@REVISION][/FILE]`.
//!
//! [`Spec::parse`] reads such a name, [`Hub::fetch`] gives the path of the file. What was fetched once lies in the cache
//! that Python's `huggingface_hub` uses too, in its layout: `models--OWNER--NAME` with `blobs` (the files, named by their
//! checksum), `snapshots/COMMIT` (links to them under their names) and `refs/REVISION` (the commit that a branch or tag
//! led to). A file appears there whole or not at all; what was loaded of it is continued.
//!
//! Environment variables are read by [`Hub::from_env`] and nowhere else.

#![forbid(unsafe_code)]

mod cache;
mod choose;
mod client;
mod download;
mod env;
mod error;
mod fetch;
mod hub;
mod spec;
mod url;

pub use error::{Elsewhere, HubError};
pub use fetch::Fetched;
pub use hub::Hub;
pub use spec::{Spec, is_commit};
