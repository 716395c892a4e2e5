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

impl Crop {
    /// The box of its picture. A file that became smaller since it was looked at is filled up.
    fn of(&self, picture: &Image) -> Result<Image> {
        let [left, top, right, bottom] = self.rect.map(|v| v as usize);
        let (x, y) = (left as isize, top as isize);
        Ok(geometry::crop(picture, x, y, right - left, bottom - top, Border::Edge)?)
    }
}

/// Boxes of image files.
pub(super) struct CropStore {
    pub(super) files: FileStore,
    pub(super) crops: Vec<Crop>,
}

impl CropStore {
    fn crop(&self, index: usize) -> Result<&Crop> {
        self.crops.get(index).ok_or(Error::Index { index, len: self.crops.len() })
    }
}

impl ImageStore for CropStore {
    fn len(&self) -> usize {
        self.crops.len()
    }

    fn image(&self, index: usize) -> Result<Image> {
        let crop = self.crop(index)?;
        crop.of(&self.files.image(crop.file as usize)?)
    }

    fn visit(&self, indices: &[usize], each: &mut dyn FnMut(Result<Image>)) {
        let mut last: Option<(u32, Image)> = None;
        for &index in indices {
            each(self.crop(index).and_then(|crop| {
                let picture = match last.take().filter(|(file, _)| *file == crop.file) {
                    Some((_, picture)) => picture,
                    None => self.files.image(crop.file as usize)?,
                };
                let image = crop.of(&picture);
                last = Some((crop.file, picture));
                image
            }));
        }
    }

    fn is_part(&self, _index: usize) -> bool {
        true
    }

    fn picture_size(&self, index: usize) -> (usize, usize) {
        self.crops.get(index).map_or((0, 0), |crop| self.files.size(crop.file as usize))
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
        let crop = self.crop(index)?;
        self.files.encoded(crop.file as usize)
    }

    fn stamp(&self, index: usize) -> Option<Stamp> {
        self.files.stamp(self.crops.get(index)?.file as usize)
    }

    fn late_failures(&self) -> Vec<(PathBuf, String)> {
        self.files.late_failures()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{class_image, write_image};
    use crate::scan::{Candidate, scan_pictures};
    use crate::{OpenOptions, location::Location};

    #[test]
    fn boxes_that_stand_together_are_cut_from_one_decoding() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.png", "b.png"].map(|name| folder.path().join(name));
        for (class, path) in paths.iter().enumerate() {
            write_image(path, &class_image(class, 32, 3, 1)).unwrap();
        }
        let files = paths.iter().map(|path| Candidate::claimed(Location::File(path.clone())));
        let found = scan_pictures(&files.collect::<Vec<_>>(), &OpenOptions::default());
        let files: Vec<_> = found.into_iter().map(Result::unwrap).collect();
        assert!(files.iter().all(|file| file.look.is_none()), "whole pictures are not compared");
        let crop = |file, left: u32| Crop { file, rect: [left, 2, left + 10, 20], id: u64::from(left) };
        let store = CropStore {
            files: FileStore::new(files, 1 << 20),
            crops: vec![crop(0, 0), crop(0, 5), crop(1, 3), crop(0, 20)],
        };
        let one_by_one: Vec<Image> = (0..4).map(|i| store.image(i).unwrap()).collect();
        assert_eq!((store.is_part(0), store.picture_size(0), store.size(0)), (true, (32, 32), (10, 18)));
        let mut seen = Vec::new();
        store.visit(&[0, 1, 3, 2, 9], &mut |image| {
            // What is still to come of the first picture is held already.
            let _ = std::fs::remove_file(&paths[0]);
            seen.push(image);
        });
        let seen: Vec<Option<Image>> = seen.into_iter().map(Result::ok).collect();
        let want = [0, 1, 3, 2].map(|i: usize| Some(one_by_one[i].clone()));
        assert_eq!(seen[..4], want);
        assert!(seen[4].is_none(), "past the end");
        assert!(store.image(0).is_err(), "the file is gone");
    }
}
