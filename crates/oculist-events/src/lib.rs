//! Event files that TensorBoard reads while they grow: scalars, texts, images and hyperparameters of a run.
//!
//! An [`EventWriter`] makes one file in the folder of a run and appends a record for each call. A run that was stopped goes
//! on in a further file, whose second record tells TensorBoard which steps are written again.
//!
//! # Layout
//! A file is a sequence of records: the length of the data (u64), its masked CRC-32C (u32), the data, their masked CRC-32C
//! (u32), all little-endian. The data is one message `Event` of protobuf; the first one names the version of the format,
//! `brain.Event:2`.
//!
//! # Why these files grow
//! Everywhere else files appear whole or not at all. TensorBoard follows a run by reading on where it has stopped, in the
//! same file, so these must be appended to. What takes the place of the rename: each record has checksums and is written by
//! one call, a record that could not be written whole is taken away again, and a file that a killed process has left is
//! never written again, so that nothing can follow half a record. No result is read back from these files.
//!
//! # Source
//! `event.proto`, `summary.proto` and `tensor.proto` of TensorFlow; `api.proto` and `plugin_data.proto` of TensorBoard's
//! plugins for hyperparameters and text; `record_writer.cc` of TensorFlow.

#![forbid(unsafe_code)]

mod crc;
mod error;
mod hparams;
mod name;
mod picture;
mod proto;
mod record;
mod writer;

pub use error::EventError;
pub use hparams::{HParam, Outcome};
pub use name::Origin;
pub use record::MAX_EVENT_BYTES;
pub use writer::EventWriter;
