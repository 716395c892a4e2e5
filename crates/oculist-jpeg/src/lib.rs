//! A decoder of sequential JPEG for training: whole images, regions, and sizes of 1/2, 1/4 and 1/8.
//!
//! It decodes baseline and extended sequential Huffman files of 8 bits with one interleaved scan: grey, or luma and chroma
//! with chroma at the full or half the resolution each way. [`Header::parse`] refuses all others as
//! [`Error::Unsupported`]: they are for a decoder that knows everything. Files that end early or contradict themselves are
//! errors, as far as they are read: of a region, blocks below it are not looked at, but the end of the file is.
//!
//! Samples are those of libjpeg (accurate integer transform, triangular chroma filter, 16-bit colours), bit for bit; a
//! region is what one would cut from the whole.
//!
//! ```
//! # fn example(bytes: &[u8]) -> Result<(), oculist_jpeg::Error> {
//! use oculist_jpeg::{Header, Region, Request};
//! let header = Header::parse(bytes)?;
//! let region = Region { x: 0, y: 0, width: header.width() / 2, height: header.height() };
//! let left_half = header.decode(&Request::whole().of(region))?;
//! # Ok(()) }
//! ```
//!
//! # How it works
//!
//! 1. The entropy-coded data are copied without stuffed zeros and markers (`scan`), so that reading bits needs no checks.
//! 2. A Huffman code is looked up together with the bits that follow it; one table entry tells how far to move (`huffman`).
//! 3. Row of blocks by row of blocks: coefficients are read, those outside the region only passed over, and four blocks at
//!    a time transformed into a ring of samples; rows of pixels are made as soon as their chroma is there (`decode`).
//!
//! The pixel loops are in `oculist-kernels`, module `image`.
//!
//! # Source
//! ITU-T T.81 (JPEG), JFIF 1.02; the behaviour of libjpeg-turbo 3, from its documentation and its output.
#![forbid(unsafe_code)]

mod block;
mod decode;
mod header;
mod huffman;
mod plane;
mod scan;

pub use decode::{Image, Region, Request};
pub use header::Header;

/// Why there is no image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A kind of JPEG that is not decoded here.
    #[error("not supported here: {0}")]
    Unsupported(&'static str),
    /// The file ends too early.
    #[error("the file ends before {0}")]
    Truncated(&'static str),
    /// The file contradicts itself.
    #[error("{0}")]
    Corrupt(&'static str),
    /// The region is empty or not inside the image.
    #[error("the region is not inside the image")]
    Region,
    /// Reductions are 1, 2, 4 and 8.
    #[error("no reduction by {0}; expected 1, 2, 4 or 8")]
    Reduction(usize),
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
