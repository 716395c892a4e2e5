//! Where images come from.

use crate::DecodeError;
use crate::alike::Look;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::statistics::PixelFacts;
use image::metadata::Orientation;
use oculist_augment::{Image, Reading};
use oculist_files::Stamp;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A numbered collection of images, readable from several threads at once.
pub trait ImageStore: Send + Sync {
    /// Number of images.
    fn len(&self) -> usize;

    /// True without images.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Image i, decoded now if need be: 1 or 3 channels.
    ///
    /// # Errors
    /// [`Error::Image`] if this one image cannot be read; others if the store cannot go on.
    fn image(&self, index: usize) -> Result<Image>;

    /// The part of image i that `plan` asks for, given the image's width and height; the whole image, without a reading,
    /// where it asks for none or the store cannot decode parts.
    ///
    /// # Errors
    /// As for [`image`](Self::image).
    fn part(
        &self,
        index: usize,
        _plan: &dyn Fn(usize, usize) -> Option<Reading>,
    ) -> Result<(Image, Option<Reading>)> {
        self.image(index).map(|image| (image, None))
    }

    /// Width and height of image i, known without decoding.
    fn size(&self, index: usize) -> (usize, usize);

    /// What to call image i: a path, or a file and a number.
    fn name(&self, index: usize) -> String;

    /// The file of image i, if it is a file of its own.
    fn path(&self, _index: usize) -> Option<&Path> {
        None
    }

    /// What the stored bytes are called that image i is made of, and the box `[left, top, right, bottom]` if it is only
    /// a part of that picture: several images then share the bytes.
    fn origin(&self, index: usize) -> (String, Option<[u32; 4]>) {
        (self.name(index), None)
    }

    /// Whether image i is a part of a stored picture, as [`origin`](Self::origin) says.
    fn is_part(&self, index: usize) -> bool {
        self.origin(index).1.is_some()
    }

    /// Width and height of the stored picture that image i is, or is a part of: what has to be decoded for it.
    fn picture_size(&self, index: usize) -> (usize, usize) {
        self.size(index)
    }

    /// Hands over these images one after the other, as [`image`](Self::image) gives them. Those that are parts of one picture
    /// and stand together cost one decoding.
    fn visit(&self, indices: &[usize], each: &mut dyn FnMut(Result<Image>)) {
        for &index in indices {
            each(self.image(index));
        }
    }

    /// The stored bytes that image i is made of: encoded where they lie encoded, else its pixels.
    ///
    /// # Errors
    /// As for [`image`](Self::image), and [`Error::Io`] for a file that cannot be read.
    fn encoded(&self, index: usize) -> Result<Cow<'_, [u8]>> {
        Ok(Cow::Owned(self.image(index)?.pixels().to_vec()))
    }

    /// What tells without reading that the file of these bytes is as it was; None if nothing does.
    fn stamp(&self, _index: usize) -> Option<Stamp> {
        None
    }

    /// How image i looks, if that was noted when the data set was opened; given once.
    #[doc(hidden)]
    fn take_look(&self, _index: usize) -> Option<Box<Look>> {
        None
    }

    /// What was noted of the pixels of image i when the data set was opened.
    #[doc(hidden)]
    fn facts(&self, _index: usize) -> Option<PixelFacts> {
        None
    }

    /// True if [`image`](Self::image) only copies, so that a cache of decoded images would save nothing.
    fn is_decoded(&self) -> bool {
        false
    }

    /// Images that turned out to be unreadable after the data set was opened, with the reason.
    fn late_failures(&self) -> Vec<(PathBuf, String)> {
        Vec::new()
    }
}

/// Images of one size as bytes in memory.
pub struct MemoryStore {
    name: String,
    width: usize,
    height: usize,
    channels: usize,
    pixels: Cow<'static, [u8]>,
}

impl MemoryStore {
    /// Wraps the pixels of many images, one after the other, each HWC.
    ///
    /// # Errors
    /// A size of 0, channels other than 1 or 3, or bytes that are not a whole number of images.
    pub fn new(
        name: impl Into<String>,
        (width, height, channels): (usize, usize, usize),
        pixels: impl Into<Cow<'static, [u8]>>,
    ) -> Result<Self> {
        let (name, pixels) = (name.into(), pixels.into());
        let each = width.saturating_mul(height).saturating_mul(channels);
        if each == 0 || !matches!(channels, 1 | 3) || pixels.len() % each != 0 {
            return Err(Error::Option {
                name: "pixels in memory",
                expected: "a whole number of images of 1 or 3 channels",
                found: format!("{} bytes for {width}x{height}x{channels}", pixels.len()),
            });
        }
        Ok(Self { name, width, height, channels, pixels })
    }
}

impl ImageStore for MemoryStore {
    fn len(&self) -> usize {
        self.pixels.len() / (self.width * self.height * self.channels)
    }

    fn image(&self, index: usize) -> Result<Image> {
        let each = self.width * self.height * self.channels;
        let Some(pixels) = self.pixels.get(index * each..(index + 1) * each) else {
            return Err(Error::Index { index, len: self.len() });
        };
        Ok(Image::new(self.width, self.height, self.channels, pixels.to_vec())?)
    }

    fn size(&self, _index: usize) -> (usize, usize) {
        (self.width, self.height)
    }

    fn name(&self, index: usize) -> String {
        format!("{}[{index}]", self.name)
    }

    fn is_decoded(&self) -> bool {
        true
    }
}

/// Image files, wherever their bytes lie, decoded on demand.
pub(crate) struct FileStore {
    pub(crate) files: Vec<ImageFile>,
    pub(crate) max_pixels: u64,
    pub(crate) late: Mutex<BTreeMap<usize, String>>,
    /// What the first decoding noted, until it is asked for.
    looks: Mutex<Vec<Option<Box<Look>>>>,
}

/// One usable image file.
pub(crate) struct ImageFile {
    pub(crate) location: Location,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// How the stored pixels are turned to give this width and height.
    pub(crate) orientation: Orientation,
    /// How it looks, if it was decoded when the data set was opened.
    pub(crate) look: Option<Box<Look>>,
    /// What its pixels are like, if it was decoded then.
    pub(crate) facts: Option<Box<PixelFacts>>,
}

impl FileStore {
    pub(crate) fn new(mut files: Vec<ImageFile>, max_pixels: u64) -> Self {
        let looks = Mutex::new(files.iter_mut().map(|file| file.look.take()).collect());
        Self { files, max_pixels, late: Mutex::default(), looks }
    }

    /// Notes why a file cannot be read.
    fn failed(&self, index: usize, source: DecodeError) -> Error {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        late.entry(index).or_insert_with(|| source.to_string());
        Error::Image { path: self.files[index].location.display_path(), source }
    }
}

impl ImageStore for FileStore {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn image(&self, index: usize) -> Result<Image> {
        let file = self.files.get(index).ok_or(Error::Index { index, len: self.files.len() })?;
        file.location.decode(self.max_pixels).map_err(|source| self.failed(index, source))
    }

    fn part(
        &self,
        index: usize,
        plan: &dyn Fn(usize, usize) -> Option<Reading>,
    ) -> Result<(Image, Option<Reading>)> {
        let file = self.files.get(index).ok_or(Error::Index { index, len: self.files.len() })?;
        file.location.decode_part(self.max_pixels, plan).map_err(|source| self.failed(index, source))
    }

    fn size(&self, index: usize) -> (usize, usize) {
        self.files.get(index).map_or((0, 0), |file| (file.width as usize, file.height as usize))
    }

    fn name(&self, index: usize) -> String {
        self.files.get(index).map_or_else(String::new, |f| f.location.display_path().display().to_string())
    }

    fn path(&self, index: usize) -> Option<&Path> {
        self.files.get(index)?.location.path()
    }

    fn is_part(&self, _index: usize) -> bool {
        false
    }

    fn encoded(&self, index: usize) -> Result<Cow<'_, [u8]>> {
        let file = self.files.get(index).ok_or(Error::Index { index, len: self.files.len() })?;
        file.location.read().map_err(Error::io(file.location.display_path()))
    }

    fn stamp(&self, index: usize) -> Option<Stamp> {
        self.files.get(index)?.location.stamp()
    }

    fn take_look(&self, index: usize) -> Option<Box<Look>> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index)?.take()
    }

    fn facts(&self, index: usize) -> Option<PixelFacts> {
        self.files.get(index)?.facts.as_deref().copied()
    }

    fn late_failures(&self) -> Vec<(PathBuf, String)> {
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        late.iter().map(|(&i, reason)| (self.files[i].location.display_path(), reason.clone())).collect()
    }
}
