//! A decoder of JPEG for training: whole images, regions, and sizes of 1/2, 1/4 and 1/8.
//!
//! It decodes baseline, extended sequential and progressive Huffman files of 8 bits, in one scan or several: grey, luma and
//! chroma, RGB, and ink with black (which it turns to RGB), with sampling factors that have whole ratios.
//! [`Header::parse`] refuses arithmetic, lossless and hierarchical coding, 12 bits and other numbers of components as
//! [`Error::Unsupported`]. Files that end early or contradict themselves are errors, as far as they are read: of a region,
//! blocks below it are not looked at, but the end of the file is.
//!
//! Samples are those of libjpeg (accurate integer transform, triangular filters for halved samples and repetition for others, 16-bit colours, estimates
//! for what a progressive file leaves open), bit for bit; a
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
//! Files of several scans go another way to the coefficients: all are gathered first (`several`, `progressive`), then the
//! same transform and pixels follow.
//!
//! The pixel loops are in `oculist-kernels`, module `image`.
//!
//! # Source
//! ITU-T T.81 (JPEG), JFIF 1.02; the behaviour of libjpeg-turbo 3, from its documentation and its output.
#![forbid(unsafe_code)]

mod block;
mod color;
mod decode;
mod frame;
mod header;
mod huffman;
mod plane;
mod progressive;
mod scan;
mod segment;
mod several;
mod smooth;
mod standard;
mod stored;

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
