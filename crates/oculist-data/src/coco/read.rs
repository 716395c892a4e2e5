//! Reading an annotation file.

use super::json_text::JsonText;
use super::lenient::{Four, Objects, Scalar, Text};
use super::{Coco, CocoAnnotation, CocoBad, CocoCategory, CocoImage, CocoMask, Rle};
use crate::error::{Error, Result, shortened};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;

#[derive(Deserialize)]
#[serde(bound = "M: DeserializeOwned + Default")]
struct RawFile<M> {
    images: Objects<RawImage>,
    annotations: Objects<RawAnnotation<M>>,
    categories: Objects<RawCategory>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawImage {
    id: Scalar,
    file_name: Text,
    width: Scalar,
    height: Scalar,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawCategory {
    id: Scalar,
    name: Text,
}

#[derive(Deserialize, Default)]
#[serde(default, bound = "M: DeserializeOwned + Default")]
struct RawAnnotation<M> {
    id: Scalar,
    image_id: Scalar,
    category_id: Scalar,
    bbox: Four,
    iscrowd: Scalar,
    segmentation: M,
}

/// The outline as it is written.
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
    Other(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawCounts {
    Plain(Vec<u32>),
    Compressed(String),
}

/// Reads an annotation file.
///
/// Annotations that name an unknown image or category, or whose box is not four finite numbers of a size, are listed in
/// [`Coco::bad`]; a broken mask is [`CocoMask::Broken`].
///
/// # Errors
/// JSON that has not this layout; a category id with two names; a text or a list over its limit.
pub fn read_coco(path: &Path) -> Result<Coco> {
    read(path, true, |raw| match raw {
        RawMask::Missing => CocoMask::None,
        other => mask(other).unwrap_or_else(CocoMask::Broken),
    })
}

/// Reads an annotation file for its boxes; outlines are not looked at.
///
/// # Errors
/// As for [`read_coco`].
pub(crate) fn read_boxes(path: &Path) -> Result<Coco> {
    read(path, true, |_: IgnoredAny| CocoMask::None)
}

/// Reads an annotation file for the categories of each image; boxes may be missing and are then all zeros.
///
/// # Errors
/// As for [`read_coco`].
pub(crate) fn read_presence(path: &Path) -> Result<Coco> {
    read(path, false, |_: IgnoredAny| CocoMask::None)
}

fn read<M: DeserializeOwned + Default>(
    path: &Path,
    boxes: bool,
    mask: impl Fn(M) -> CocoMask,
) -> Result<Coco> {
    let file = oculist_files::open(path).map_err(Error::io(path))?;
    let wrong =
        |expected: &str, found: String| Error::Layout { path: path.into(), expected: expected.into(), found };
    let raw: RawFile<M> = serde_json::from_reader(BufReader::new(JsonText::new(file))).map_err(|err| {
        wrong("COCO annotations (JSON with images, annotations and categories)", shortened(&err.to_string()))
    })?;
    let mut unusable_entries = 0;
    let mut categories: BTreeMap<u64, String> = BTreeMap::new();
    for category in raw.categories.0 {
        let Some((id, name)) = category.and_then(|c| Some((c.id.id()?, c.name.0?))) else {
            unusable_entries += 1;
            continue;
        };
        if let Some(other) = categories.get(&id).filter(|other| **other != name) {
            return Err(wrong("each category id once", format!("{id} twice, for {other} and {name}")));
        }
        categories.insert(id, name);
    }
    let mut images: Vec<CocoImage> = Vec::new();
    // By id: the place, or nothing if two files have the id.
    let mut places: BTreeMap<u64, Option<usize>> = BTreeMap::new();
    for image in raw.images.0 {
        let Some((id, file_name, image)) =
            image.and_then(|mut image| Some((image.id.id()?, image.file_name.0.take()?, image)))
        else {
            unusable_entries += 1;
            continue;
        };
        match places.get(&id) {
            None => {
                let size = |value: Scalar| match value {
                    Scalar::Whole(value) => u32::try_from(value).ok(),
                    _ => None,
                };
                places.insert(id, Some(images.len()));
                images.push(CocoImage {
                    id,
                    file_name,
                    width: size(image.width),
                    height: size(image.height),
                });
            }
            Some(Some(at)) if images[*at].file_name == file_name => {}
            Some(_) => {
                places.insert(id, None);
            }
        }
    }
    let (mut annotations, mut bad) = (Vec::new(), Vec::new());
    for raw in raw.annotations.0 {
        let id = raw.as_ref().and_then(|raw| raw.id.id()).unwrap_or_default();
        match annotation(raw, &places, &categories, boxes, &mask) {
            Ok(annotation) => annotations.push(annotation),
            Err(reason) => bad.push(CocoBad { id, reason }),
        }
    }
    images.retain(|image| places.get(&image.id).is_some_and(Option::is_some));
    let categories = categories.into_iter().map(|(id, name)| CocoCategory { id, name }).collect();
    Ok(Coco { images, categories, annotations, bad, unusable_entries })
}

fn annotation<M>(
    raw: Option<RawAnnotation<M>>,
    images: &BTreeMap<u64, Option<usize>>,
    categories: &BTreeMap<u64, String>,
    boxes: bool,
    mask: impl Fn(M) -> CocoMask,
) -> Result<CocoAnnotation, String> {
    let raw = raw.ok_or("expected an annotation, found no object")?;
    let image_id = raw.image_id.id().ok_or("expected a number as image_id, found none")?;
    match images.get(&image_id) {
        None => return Err(format!("expected the id of an image, found the unknown id {image_id}")),
        Some(None) => {
            return Err(format!("expected the id of one image, found {image_id}, which two files have"));
        }
        Some(Some(_)) => {}
    }
    let category_id = raw.category_id.id().ok_or("expected a number as category_id, found none")?;
    if !categories.contains_key(&category_id) {
        return Err(format!("expected the id of a category, found the unknown id {category_id}"));
    }
    let bbox = raw.bbox.0.or((!boxes).then_some([0.0; 4]));
    let bbox = bbox.ok_or("expected x, y, width and height as the bbox, found others")?;
    if boxes && (bbox[2] < 0.0 || bbox[3] < 0.0) {
        return Err(format!("expected x, y, width and height as the bbox, found {bbox:?}"));
    }
    let id = raw.id.id().unwrap_or_default();
    let iscrowd = raw.iscrowd.number().is_some_and(|value| value != 0.0);
    Ok(CocoAnnotation { id, image_id, category_id, bbox, iscrowd, mask: mask(raw.segmentation) })
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
        RawMask::Other(_) => Err("neither polygons nor runs".into()),
    }
}
