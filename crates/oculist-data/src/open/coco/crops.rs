//! Boxes of image files as images.

use crate::ImageStore;
use crate::decode::swaps_sides;
use crate::error::{Error, Result};
use crate::store::FileStore;
use image::metadata::Orientation;
use oculist_augment::{Border, Image, geometry};
use oculist_files::Stamp;
use std::borrow::Cow;
use std::path::PathBuf;

/// Left, top, right and bottom of all pixels that a box touches; None if there are none.
pub(super) fn pixels_of([x, y, w, h]: [f64; 4], (width, height): (u32, u32)) -> Option<[u32; 4]> {
    let low = |v: f64| v.floor().max(0.0) as u32;
    let high = |v: f64, end: u32| (v.ceil().max(0.0) as u32).min(end);
    let [left, top, right, bottom] = [low(x), low(y), high(x + w, width), high(y + h, height)];
    (left < right && top < bottom).then_some([left, top, right, bottom])
}

/// How the grid that boxes refer to is turned to stand upright: as the stored pixels are, unless the declared size is
/// that of the upright image alone.
pub(super) fn orientation_of_grid(
    stored: Orientation,
    upright: (u32, u32),
    declared: Option<(u32, u32)>,
) -> Orientation {
    let is_upright = swaps_sides(stored) && upright.0 != upright.1 && declared == Some(upright);
    if is_upright { Orientation::NoTransforms } else { stored }
}

/// Where left, top, right and bottom in a grid of this size lie once the grid stands upright.
pub(super) fn turned(
    [l, t, r, b]: [u32; 4],
    (width, height): (u32, u32),
    orientation: Orientation,
) -> [u32; 4] {
    // Distances from the right and from the lower edge.
    let (from_right, from_bottom) = ((width - r, width - l), (height - b, height - t));
    match orientation {
        Orientation::NoTransforms => [l, t, r, b],
        Orientation::FlipHorizontal => [from_right.0, t, from_right.1, b],
        Orientation::FlipVertical => [l, from_bottom.0, r, from_bottom.1],
        Orientation::Rotate180 => [from_right.0, from_bottom.0, from_right.1, from_bottom.1],
        Orientation::Rotate90 => [from_bottom.0, l, from_bottom.1, r],
        Orientation::Rotate270 => [t, from_right.0, b, from_right.1],
        Orientation::Rotate90FlipH => [t, l, b, r],
        Orientation::Rotate270FlipH => [from_bottom.0, from_right.0, from_bottom.1, from_right.1],
    }
}

pub(super) struct Crop {
    pub(super) file: u32,
    pub(super) rect: [u32; 4],
    /// The annotation's number.
    pub(super) id: u64,
}

/// Boxes of image files.
pub(super) struct CropStore {
    pub(super) files: FileStore,
    pub(super) crops: Vec<Crop>,
}

impl ImageStore for CropStore {
    fn len(&self) -> usize {
        self.crops.len()
    }

    fn image(&self, index: usize) -> Result<Image> {
        let crop = self.crops.get(index).ok_or(Error::Index { index, len: self.crops.len() })?;
        let image = self.files.image(crop.file as usize)?;
        let (width, height) = self.size(index);
        let [left, top, ..] = crop.rect.map(|v| v as isize);
        // A file that became smaller since it was looked at is filled up.
        Ok(geometry::crop(&image, left, top, width, height, Border::Edge)?)
    }

    fn size(&self, index: usize) -> (usize, usize) {
        self.crops.get(index).map_or((0, 0), |crop| {
            let [left, top, right, bottom] = crop.rect.map(|v| v as usize);
            (right - left, bottom - top)
        })
    }

    fn name(&self, index: usize) -> String {
        self.crops
            .get(index)
            .map_or_else(String::new, |crop| format!("{}#{}", self.files.name(crop.file as usize), crop.id))
    }

    fn origin(&self, index: usize) -> (String, Option<[u32; 4]>) {
        self.crops
            .get(index)
            .map_or_else(Default::default, |crop| (self.files.name(crop.file as usize), Some(crop.rect)))
    }

    fn encoded(&self, index: usize) -> Result<Cow<'_, [u8]>> {
        let crop = self.crops.get(index).ok_or(Error::Index { index, len: self.crops.len() })?;
        self.files.encoded(crop.file as usize)
    }

    fn stamp(&self, index: usize) -> Option<Stamp> {
        self.files.stamp(self.crops.get(index)?.file as usize)
    }

    fn late_failures(&self) -> Vec<(PathBuf, String)> {
        self.files.late_failures()
    }
}
