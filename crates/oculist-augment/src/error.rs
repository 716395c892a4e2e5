//! The error type of this crate.

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with an image, a pipeline or a preprocessing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The number of bytes does not fit the declared size.
    #[error("image of {width}x{height} with {channels} channels needs {expected} bytes, found {found}")]
    PixelCount {
        /// Declared width in pixels.
        width: usize,
        /// Declared height in pixels.
        height: usize,
        /// Declared number of channels.
        channels: usize,
        /// Bytes needed.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// An image must have at least one pixel.
    #[error("image of {width}x{height} has no pixels")]
    EmptyImage {
        /// Declared width in pixels.
        width: usize,
        /// Declared height in pixels.
        height: usize,
    },
    /// An image of a size that can only be a mistake.
    #[error(
        "an image of {width}x{height} with {channels} channels has more than the 4 GiB that one may have"
    )]
    TooLarge {
        /// Its width in pixels.
        width: usize,
        /// Its height in pixels.
        height: usize,
        /// Its number of channels.
        channels: usize,
    },
    /// There is no memory for an image of this size.
    #[error("there is no memory for an image of {width}x{height} with {channels} channels")]
    NoMemory {
        /// Its width in pixels.
        width: usize,
        /// Its height in pixels.
        height: usize,
        /// Its number of channels.
        channels: usize,
    },
    /// Only 1, 3 and 4 channels are images here.
    #[error("expected an image of 1, 3 or 4 channels, found {found}")]
    Channels {
        /// Channels given.
        found: usize,
    },
    /// A parameter lies outside its range.
    #[error("{operation}: {parameter} must be {expected}, found {found}")]
    Parameter {
        /// The operation or preprocessing field group.
        operation: &'static str,
        /// The parameter's name.
        parameter: &'static str,
        /// What is allowed, in words.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// A key is missing in a model file's metadata.
    #[error("the model's metadata lacks the key \"{key}\"")]
    MissingKey {
        /// The missing key.
        key: &'static str,
    },
    /// A value in a model file's metadata cannot be understood.
    #[error("metadata \"{key}\": expected {expected}, found \"{found}\"")]
    MetadataValue {
        /// The key.
        key: &'static str,
        /// What is allowed, in words.
        expected: &'static str,
        /// What was found.
        found: String,
    },
}

/// Builds [`Error::Parameter`].
pub(crate) fn parameter(
    operation: &'static str,
    parameter: &'static str,
    expected: &'static str,
    found: impl Into<String>,
) -> Error {
    Error::Parameter { operation, parameter, expected, found: found.into() }
}
