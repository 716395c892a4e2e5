//! Data sets: reading, decoding, splitting and batching labelled images.
//!
//! [`Dataset::open`] takes the word `demo` or `fashion-mnist`, or the path of a source, and gives three
//! [`Subset`]s. It tells sources from what is there:
//!
//! | source | layout |
//! |---|---|
//! | images by class | `<class>/*`, or `train/<class>/*` with `val` and `test` (`Training`, `test_set`, ...) |
//! | IDX | `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-*`, plain or `.gz`, `classes.txt` |
//! | CIFAR-10, CIFAR-100 | `data_batch_*.bin`, `test_batch.bin`, `batches.meta.txt`; `train.bin`, `test.bin`, `fine_label_names.txt` |
//! | manifest | `*.csv` or `*.jsonl` with `file_name`, `label` and perhaps `split` (or other names that people use) |
//! | WebDataset | `*.tar`, a folder of them, or `name-{000..009}.tar` with `key.jpg` and `key.cls` or `key.json` |
//! | Parquet (Hugging Face) | `*.parquet` or a folder of them with `image` (bytes, path) and `label` |
//! | COCO | `*.json`, or `annotations/instances_*.json`; boxes are cut out, categories are the classes |
//! A [`Loader`] turns a subset into a stream of [`Batch`]es: decoded,
//! augmented and normalised in worker threads, in an order that depends on nothing but the seed and the
//! epoch.
//!
//! Pixels of IDX and CIFAR files lie in memory as bytes, and encoded images of Parquet files do. Image files
//! and members of tar files are read and decoded when asked for, in the worker that asks, so that memory is
//! bounded by the loader's queue (and its cache, if it has one) and not by the data set.
//!
//! JPEG files are decoded in full size whatever the network's size is. The decoder in use, zune-jpeg, cannot
//! decode at reduced scale. The older jpeg-decoder can, but it gains next to nothing: a photo of 2048x1536 takes
//! 9.3 ms in full with zune-jpeg, and with jpeg-decoder 10.7 ms at 1/2, 8.8 ms at 1/4 and 8.3 ms at 1/8 (one
//! thread), since the entropy-coded data must be read all the same.

mod alike;
pub mod audit;
mod class_name;
mod coco;
mod dataset;
mod decode;
mod disjoint;
mod error;
mod exclude;
mod identity;
mod idx;
mod joined;
mod label_field;
mod layout;
mod limits;
mod loader;
mod location;
mod manifest;
mod natural;
mod open;
mod outputs;
mod real_path;
mod reasons;
mod scan;
mod split;
mod split_groups;
mod split_labels;
mod split_name;
mod statistics;
mod store;
mod subset;
mod summary;
mod targets;
mod task;
mod thin;
mod walk;

pub mod fixture;

pub use alike::{Alike, Duplicates, Leak, Uniform};
pub use class_name::{look_alike, path_text, told_apart};
pub use coco::{Coco, CocoAnnotation, CocoBad, CocoCategory, CocoImage, CocoMask, Rle, read_coco};
pub use dataset::{Dataset, OpenOptions, Purpose, Verify};
pub use decode::{
    DEFAULT_MAX_PIXELS, DecodeError, ImageHeader, decode_file, decode_image, decode_part, read_header,
};
pub use error::{Error, Result};
pub use exclude::Exclude;
pub use identity::{Identity, ImageIdentity, KnownDigests};
pub use idx::{IdxImages, read_idx_images, read_idx_labels};
pub use label_field::{label_field, labels_of, name_field, name_of};
pub use layout::Layout;
pub use loader::{Batch, Batches, Loader, LoaderConfig, Sampling};
pub use manifest::{
    BadRow, Manifest, ManifestRow, is_manifest, read_manifest, read_manifest_for, read_manifest_with,
};
pub use natural::{natural_cmp, natural_cmp_os};
pub use real_path::RealPaths;
pub use scan::{SkipKind, Skipped};
pub use split::{Split, stratified_parts};
pub use split_groups::{grouped_parts, join_groups};
pub use split_labels::iterative_parts;
pub use split_name::split_of_folder;
#[doc(hidden)]
pub use statistics::PixelFacts;
pub use statistics::{
    ChannelStatistics, channel_statistics, color_of, detect_color_mode, suggest_preprocessing,
};
pub use store::{ImageStore, MemoryStore};
pub use subset::Subset;
pub use summary::{SplitSummary, Summary};
pub use targets::{LabelSets, Targets};
pub use task::{LabelForm, Task};
pub use walk::{Walked, WalkedFile, walk};
