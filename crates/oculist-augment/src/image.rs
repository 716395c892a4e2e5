//! The image type: bytes, rows of pixels of interleaved channels.

use crate::error::{Error, Result};

/// An 8-bit image in HWC order: 1 channel (grey), 3 (RGB) or 4 (RGBA), at least 1x1 pixels.
///
/// Pixel (x, y), channel c lies at `(y * width + x) * channels + c`.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    channels: usize,
    pixels: Vec<u8>,
}

impl Image {
    /// Wraps pixels in HWC order.
    ///
    /// # Errors
    /// A side of 0, channels other than 1, 3 or 4, or a byte count that does not fit the size.
    pub fn new(width: usize, height: usize, channels: usize, pixels: Vec<u8>) -> Result<Self> {
        check(width, height, channels, pixels.len())?;
        Ok(Self { width, height, channels, pixels })
    }

    /// For pixels whose number is right by construction.
    pub(crate) fn from_parts(width: usize, height: usize, channels: usize, pixels: Vec<u8>) -> Self {
        debug_assert_eq!(pixels.len(), width * height * channels);
        debug_assert!(width > 0 && height > 0 && matches!(channels, 1 | 3 | 4));
        Self { width, height, channels, pixels }
    }

    /// An image of one value everywhere.
    ///
    /// # Errors
    /// As for [`Image::new`].
    pub fn filled(width: usize, height: usize, channels: usize, value: u8) -> Result<Self> {
        let len = width.saturating_mul(height).saturating_mul(channels);
        Self::new(width, height, channels, vec![value; len])
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Number of channels: 1, 3 or 4.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// All bytes, HWC.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// All bytes, HWC, for changing them in place.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// Gives the bytes away.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// The channels of pixel (x, y).
    ///
    /// # Panics
    /// If the pixel lies outside the image.
    pub fn pixel(&self, x: usize, y: usize) -> &[u8] {
        assert!(x < self.width && y < self.height, "pixel ({x}, {y}) of {self:?}");
        let start = (y * self.width + x) * self.channels;
        &self.pixels[start..start + self.channels]
    }

    /// Row y as bytes.
    pub(crate) fn row(&self, y: usize) -> &[u8] {
        let len = self.width * self.channels;
        &self.pixels[y * len..(y + 1) * len]
    }
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image({}x{}x{})", self.width, self.height, self.channels)
    }
}

/// An image whose bytes lie somewhere else, as in [`Image`]: what only reads an image takes it where it is.
#[derive(Clone, Copy)]
pub struct ImageRef<'a> {
    width: usize,
    height: usize,
    channels: usize,
    pixels: &'a [u8],
}

impl<'a> ImageRef<'a> {
    /// Bytes in HWC order as an image.
    ///
    /// # Errors
    /// As for [`Image::new`].
    pub fn new(width: usize, height: usize, channels: usize, pixels: &'a [u8]) -> Result<Self> {
        check(width, height, channels, pixels.len())?;
        Ok(Self { width, height, channels, pixels })
    }

    /// Width in pixels.
    pub fn width(self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(self) -> usize {
        self.height
    }

    /// Number of channels: 1, 3 or 4.
    pub fn channels(self) -> usize {
        self.channels
    }

    /// All bytes, HWC.
    pub fn pixels(self) -> &'a [u8] {
        self.pixels
    }

    /// An image with bytes of its own.
    pub fn to_image(self) -> Image {
        Image::from_parts(self.width, self.height, self.channels, self.pixels.to_vec())
    }

    /// Row y as bytes.
    pub(crate) fn row(self, y: usize) -> &'a [u8] {
        let len = self.width * self.channels;
        &self.pixels[y * len..(y + 1) * len]
    }
}

impl<'a> From<&'a Image> for ImageRef<'a> {
    fn from(image: &'a Image) -> Self {
        let Image { width, height, channels, pixels } = image;
        Self { width: *width, height: *height, channels: *channels, pixels }
    }
}

impl std::fmt::Debug for ImageRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ImageRef({}x{}x{})", self.width, self.height, self.channels)
    }
}

/// No image of a size that a pipeline says has more bytes, 4 GiB: such a size is a mistake, and a system that promises more
/// memory than it has would only find out when it ends the process.
const MOST_BYTES: u64 = 1 << 32;

/// An empty vector with room for the bytes of an image whose size a pipeline says. An allocation that fails otherwise ends
/// the process.
///
/// # Errors
/// [`Error::TooLarge`] above [`MOST_BYTES`]; [`Error::NoMemory`] if the system does not give so much.
pub(crate) fn room(width: usize, height: usize, channels: usize) -> Result<Vec<u8>> {
    let bytes = width.saturating_mul(height).saturating_mul(channels);
    if bytes as u64 > MOST_BYTES {
        return Err(Error::TooLarge { width, height, channels });
    }
    let mut pixels = Vec::new();
    pixels.try_reserve_exact(bytes).map_err(|_| Error::NoMemory { width, height, channels })?;
    Ok(pixels)
}

/// As [`room`], filled with zeros.
///
/// # Errors
/// As [`room`].
pub(crate) fn zeros(width: usize, height: usize, channels: usize) -> Result<Vec<u8>> {
    let mut pixels = room(width, height, channels)?;
    pixels.resize(width * height * channels, 0);
    Ok(pixels)
}

/// Whether so many bytes are an image of this size.
fn check(width: usize, height: usize, channels: usize, found: usize) -> Result<()> {
    if !matches!(channels, 1 | 3 | 4) {
        return Err(Error::Channels { found: channels });
    }
    if width == 0 || height == 0 {
        return Err(Error::EmptyImage { width, height });
    }
    let expected = width.saturating_mul(height).saturating_mul(channels);
    if found != expected {
        return Err(Error::PixelCount { width, height, channels, expected, found });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_sizes_are_errors() {
        let err = Image::new(2, 2, 3, vec![0; 11]).unwrap_err();
        assert_eq!(err.to_string(), "image of 2x2 with 3 channels needs 12 bytes, found 11");
        assert!(matches!(Image::new(0, 2, 3, vec![]), Err(Error::EmptyImage { .. })));
        assert!(matches!(Image::new(1, 1, 2, vec![0, 0]), Err(Error::Channels { found: 2 })));
        assert!(Image::new(usize::MAX, usize::MAX, 4, vec![]).is_err());
        assert!(ImageRef::new(2, 2, 3, &[0; 11]).is_err());
        let image = Image::new(2, 2, 3, (0..12).collect()).unwrap();
        assert_eq!(ImageRef::from(&image).to_image(), image);
    }

    #[test]
    fn what_no_memory_would_hold_is_an_error() {
        // A little too much, more than an address space, more than a vector may hold, more than a number of bytes can be.
        for side in [37_838, 1 << 24, (1 << 31) - 1, 1 << 40] {
            assert_eq!(room(side, side, 3), Err(Error::TooLarge { width: side, height: side, channels: 3 }));
            assert!(zeros(side, side, 4).is_err(), "{side}");
        }
        let text = room(1 << 24, 1 << 24, 1).unwrap_err().to_string();
        assert_eq!(
            text,
            "an image of 16777216x16777216 with 1 channels has more than the 4 GiB that one may have"
        );
        assert_eq!(zeros(3, 2, 4).unwrap(), [0; 24], "twin: what fits");
    }

    #[test]
    fn pixels_lie_in_hwc_order() {
        let image = Image::new(2, 2, 3, (0..12).collect()).unwrap();
        assert_eq!(image.pixel(1, 0), [3, 4, 5]);
        assert_eq!(image.pixel(0, 1), [6, 7, 8]);
    }
}
