//! COCO annotations: boxes and masks of objects, and their categories.
//!
//! # Source
//! The COCO data format ("object detection"), and the run-length code of its mask API: runs of 0 and 1 in
//! turn, column by column, beginning with 0.

use crate::error::{Error, Result};
use serde::Deserialize;
use std::path::Path;

/// What an annotation file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Coco {
    /// The images.
    pub images: Vec<CocoImage>,
    /// The classes.
    pub categories: Vec<CocoCategory>,
    /// The objects.
    pub annotations: Vec<CocoAnnotation>,
}

/// An image that the file names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CocoImage {
    /// What annotations call it.
    pub id: u64,
    /// The file, as written.
    pub file_name: String,
    /// Width of the grid that boxes refer to, in pixels, if a whole number is given.
    #[serde(default, deserialize_with = "whole_number")]
    pub width: Option<u32>,
    /// Height of that grid.
    #[serde(default, deserialize_with = "whole_number")]
    pub height: Option<u32>,
}

/// Sizes only help with turned photos: what is no whole number is as good as none.
fn whole_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_u64().and_then(|number| u32::try_from(number).ok()))
}

/// A class.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CocoCategory {
    /// What annotations call it.
    pub id: u64,
    /// Its name.
    pub name: String,
}

/// An object in an image.
#[derive(Debug, Clone, PartialEq)]
pub struct CocoAnnotation {
    /// Its number.
    pub id: u64,
    /// The image.
    pub image_id: u64,
    /// The class.
    pub category_id: u64,
    /// Left, top, width and height in pixels; not negative in width and height, not necessarily whole, not
    /// necessarily within the image.
    pub bbox: [f64; 4],
    /// The box is around many objects that lie together.
    pub iscrowd: bool,
    /// The object's outline.
    pub mask: CocoMask,
}

/// The outline of an object.
#[derive(Debug, Clone, PartialEq)]
pub enum CocoMask {
    /// None given.
    None,
    /// Polygons of x, y in pixels, at least three points each; the object is their union.
    Polygons(Vec<Vec<[f64; 2]>>),
    /// A mask of the whole image.
    Rle(Rle),
}

/// A binary mask as runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rle {
    width: usize,
    height: usize,
    counts: Vec<u32>,
}

impl Rle {
    /// Runs of 0 and 1 in turn, column by column, beginning with 0.
    ///
    /// # Errors
    /// A text that says what is wrong: runs that do not add up to `width * height`.
    pub fn from_counts(width: usize, height: usize, counts: Vec<u32>) -> Result<Self, String> {
        let sum: u64 = counts.iter().map(|&count| u64::from(count)).sum();
        let pixels = (width as u64).saturating_mul(height as u64);
        if sum == pixels {
            Ok(Self { width, height, counts })
        } else {
            Err(format!("runs of {sum} pixels for a mask of {width}x{height}"))
        }
    }

    /// The compressed code: numbers in groups of five bits, lowest first, one printable character a group (48
    /// plus 32 if more follow); from the fourth run on, the difference to the run before the last.
    ///
    /// # Errors
    /// As for [`from_counts`](Self::from_counts), and text that is no such code.
    pub fn from_compressed(width: usize, height: usize, text: &str) -> Result<Self, String> {
        let mut counts: Vec<u32> = Vec::new();
        let mut bytes = text.bytes();
        while let Some(mut byte) = bytes.next() {
            let (mut value, mut shift) = (0i64, 0);
            loop {
                let group = match byte {
                    48..=111 => i64::from(byte - 48),
                    _ => return Err(format!("the character code {byte} in a compressed mask")),
                };
                value |= (group & 31) << shift;
                shift += 5;
                if group & 32 == 0 {
                    if group & 16 != 0 {
                        value |= -1 << shift;
                    }
                    break;
                }
                byte = bytes.next().ok_or("a compressed mask that ends within a number")?;
                if shift > 40 {
                    return Err("a number too large in a compressed mask".into());
                }
            }
            if counts.len() > 2 {
                value += i64::from(counts[counts.len() - 2]);
            }
            counts.push(u32::try_from(value).map_err(|_| format!("a run of {value} pixels"))?);
        }
        Self::from_counts(width, height, counts)
    }

    /// Width and height of the mask in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// The runs.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Pixels of the object.
    pub fn area(&self) -> u64 {
        self.counts.iter().skip(1).step_by(2).map(|&count| u64::from(count)).sum()
    }

    /// The mask row by row: 1 for the object, 0 for the rest.
    pub fn to_mask(&self) -> Vec<u8> {
        let mut mask = vec![0; self.width * self.height];
        let mut at = 0;
        for (i, &count) in self.counts.iter().enumerate() {
            let end = at + count as usize;
            if i % 2 == 1 {
                for place in at..end {
                    mask[place % self.height * self.width + place / self.height] = 1;
                }
            }
            at = end;
        }
        mask
    }
}

#[derive(Deserialize)]
struct RawFile {
    images: Vec<CocoImage>,
    annotations: Vec<RawAnnotation>,
    categories: Vec<CocoCategory>,
}

#[derive(Deserialize)]
struct RawAnnotation {
    #[serde(default)]
    id: u64,
    image_id: u64,
    category_id: u64,
    bbox: Vec<f64>,
    #[serde(default)]
    iscrowd: u8,
    #[serde(default)]
    segmentation: RawMask,
}

#[derive(Deserialize, Default)]
#[serde(untagged)]
enum RawMask {
    Polygons(Vec<Vec<f64>>),
    Rle {
        /// Height, width.
        size: [usize; 2],
        counts: RawCounts,
    },
    #[default]
    Missing,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawCounts {
    Plain(Vec<u32>),
    Compressed(String),
}

/// Reads an annotation file.
///
/// # Errors
/// JSON that has not this layout; two images or categories of one id; an annotation that names an unknown image
/// or category; a box without four finite numbers or of negative size; a broken mask.
pub fn read_coco(path: &Path) -> Result<Coco> {
    let bytes = oculist_files::read(path).map_err(Error::io(path))?;
    let wrong =
        |expected: &str, found: String| Error::Layout { path: path.into(), expected: expected.into(), found };
    let raw: RawFile = serde_json::from_slice(&bytes).map_err(|err| {
        wrong("COCO annotations (JSON with images, annotations and categories)", err.to_string())
    })?;
    let ids = |ids: Vec<u64>, what: &str| {
        let mut sorted = ids;
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(wrong(&format!("each {what} id once"), format!("{} twice", pair[0]))),
            None => Ok(sorted),
        }
    };
    let image_ids = ids(raw.images.iter().map(|image| image.id).collect(), "image")?;
    let category_ids = ids(raw.categories.iter().map(|category| category.id).collect(), "category")?;
    let mut annotations = Vec::with_capacity(raw.annotations.len());
    for annotation in raw.annotations {
        let RawAnnotation { id, image_id, category_id, bbox, iscrowd, segmentation } = annotation;
        if image_ids.binary_search(&image_id).is_err() {
            return Err(wrong(
                &format!("the image of annotation {id}"),
                format!("the unknown id {image_id}"),
            ));
        }
        if category_ids.binary_search(&category_id).is_err() {
            let found = format!("the unknown id {category_id}");
            return Err(wrong(&format!("the category of annotation {id}"), found));
        }
        let bbox = <[f64; 4]>::try_from(bbox)
            .ok()
            .filter(|b| b.iter().all(|v| v.is_finite()) && b[2] >= 0.0 && b[3] >= 0.0)
            .ok_or_else(|| {
                wrong(&format!("x, y, width and height as the bbox of annotation {id}"), "others".into())
            })?;
        let mask = mask(segmentation).map_err(|found| wrong(&format!("a mask of annotation {id}"), found))?;
        annotations.push(CocoAnnotation { id, image_id, category_id, bbox, iscrowd: iscrowd != 0, mask });
    }
    Ok(Coco { images: raw.images, categories: raw.categories, annotations })
}

fn mask(raw: RawMask) -> Result<CocoMask, String> {
    match raw {
        RawMask::Missing => Ok(CocoMask::None),
        RawMask::Polygons(polygons) if polygons.is_empty() => Ok(CocoMask::None),
        RawMask::Polygons(polygons) => {
            let points = |polygon: Vec<f64>| {
                if polygon.len() < 6 || !polygon.len().is_multiple_of(2) {
                    return Err(format!("a polygon of {} numbers", polygon.len()));
                }
                Ok(polygon.chunks_exact(2).map(|point| [point[0], point[1]]).collect())
            };
            polygons.into_iter().map(points).collect::<Result<_, _>>().map(CocoMask::Polygons)
        }
        RawMask::Rle { size: [height, width], counts: RawCounts::Plain(counts) } => {
            Rle::from_counts(width, height, counts).map(CocoMask::Rle)
        }
        RawMask::Rle { size: [height, width], counts: RawCounts::Compressed(text) } => {
            Rle::from_compressed(width, height, &text).map(CocoMask::Rle)
        }
    }
}
