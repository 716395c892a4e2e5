//! Data sets: reading, decoding, splitting and batching labelled images.
//!
//! [`Dataset::open`] takes the word `demo` or `fashion-mnist`, a folder of IDX files, or folders of images
//! by class, and gives three [`Subset`]s. A [`Loader`] turns a subset into a stream of [`Batch`]es: decoded,
//! augmented and normalised in worker threads, in an order that depends on nothing but the seed and the
//! epoch.
//!
//! Pixels of IDX files lie in memory as bytes. Image files are decoded when asked for, in the worker that
//! asks, so that memory is bounded by the loader's queue and not by the data set.

pub mod audit;
mod dataset;
mod decode;
mod error;
mod idx;
mod loader;
mod natural;
mod open;
mod scan;
mod split;
mod split_groups;
mod statistics;
mod store;
mod subset;
mod summary;

pub mod fixture;

pub use dataset::{Dataset, OpenOptions, Verify};
pub use decode::{DEFAULT_MAX_PIXELS, DecodeError, ImageHeader, decode_file, decode_image, read_header};
pub use error::{Error, Result};
pub use idx::{IdxImages, read_idx_images, read_idx_labels};
pub use loader::{Batch, Batches, Loader, LoaderConfig};
pub use natural::natural_cmp;
pub use scan::{SkipKind, Skipped};
pub use split::{Split, stratified_parts};
pub use split_groups::{grouped_parts, join_groups};
pub use statistics::{ChannelStatistics, channel_statistics, detect_color_mode, suggest_preprocessing};
pub use store::{ImageStore, MemoryStore};
pub use subset::Subset;
pub use summary::{SplitSummary, Summary};
