//! COCO boxes as a classification data set: each box is cut out, and its category is the class.
//!
//! An image is decoded for every one of its boxes; the loader's cache holds the boxes, not the images.
//!
//! Boxes refer to the pixels as they are stored, without the EXIF orientation: that is the grid of the tools that read
//! COCO with Pillow or OpenCV's mask code. Only where the width and height that the list gives are those of the upright
//! image and not those of the stored one, boxes refer to the upright image. The crop itself stands upright either way,
//! as every image here does.

use super::assemble::{
    ClassNames, Collected, Entry, check_skipped, drawn, file_name, files_ending_in, lost, note,
};
use crate::coco::{Coco, CocoAnnotation, CocoImage, read_boxes};
use crate::decode::swaps_sides;
use crate::error::{Error, Result, shortened};
use crate::location::Location;
use crate::real_path::Identity;
use crate::scan::{Candidate, scan};
use crate::split_name::split_of_folder;
use crate::store::FileStore;
use crate::{Dataset, Exclude, ImageStore, OpenOptions, Purpose, Skipped, Split, stratified_parts};
use image::metadata::Orientation;
use oculist_augment::{Border, Image, geometry};
use oculist_files::Stamp;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What export tools call the annotations of the folder that they lie in.
const BESIDE_IMAGES: &str = "_annotations.coco.json";

/// The annotation files of a folder, and those that are not read.
#[derive(Default)]
struct Lists {
    by_split: Vec<(PathBuf, Split)>,
    unused: Vec<PathBuf>,
}

/// The annotation files of a folder, by split: `annotations/instances_<split>*.json` as COCO has them, or
/// `<split>/_annotations.coco.json` as export tools write them; splits have the names that folders of splits have. Without
/// any, the only `annotations/instances_*.json` or `_annotations.coco.json` is all of the data.
fn annotation_files(folder: &Path, exclude: &Exclude) -> Result<Lists> {
    let mut lists = Lists::default();
    let mut of_no_split = Vec::new();
    let annotations = folder.join("annotations");
    if annotations.is_dir() {
        for path in files_ending_in(&annotations, ".json", exclude)? {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            match stem.strip_prefix("instances_").map(split_of_folder) {
                Some(Some(split)) => lists.by_split.push((path, split)),
                Some(None) => of_no_split.push(path),
                None => lists.unused.push(path),
            }
        }
    }
    let mut in_folders = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let inner = entry.map_err(Error::io(folder))?.path();
        let path = inner.join(BESIDE_IMAGES);
        if path.is_file() && !file_name(&inner).starts_with('.') {
            in_folders.push((path, split_of_folder(&file_name(&inner))));
        }
    }
    in_folders.sort_by(|(a, first), (b, second)| first.cmp(second).then_with(|| a.cmp(b)));
    for (path, split) in in_folders {
        match split {
            // One of the two layouts counts.
            Some(split) if !lists.by_split.iter().any(|(other, _)| other.starts_with(&annotations)) => {
                lists.by_split.push((path, split));
            }
            _ => lists.unused.push(path),
        }
    }
    let here = folder.join(BESIDE_IMAGES);
    of_no_split.extend(here.is_file().then_some(here));
    if let ([], [only]) = (&lists.by_split[..], &of_no_split[..]) {
        lists.by_split.push((only.clone(), Split::Train));
    } else {
        lists.unused.extend(of_no_split);
    }
    Ok(lists)
}

/// True if the folder has annotation files in one of the two layouts.
pub(super) fn is_coco_folder(folder: &Path, exclude: &Exclude) -> bool {
    annotation_files(folder, exclude).is_ok_and(|lists| !lists.by_split.is_empty())
}

pub(super) fn open_folder(folder: &Path, options: &OpenOptions) -> Result<Dataset> {
    let Lists { by_split, unused } = annotation_files(folder, &options.left_out)?;
    let mut sorted = by_split.clone();
    sorted.sort_by_key(|(_, split)| *split);
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0].1 == pair[1].1) {
        return Err(Error::Layout {
            path: folder.into(),
            expected: format!("one annotation file for the {} split", pair[0].1),
            found: format!("{} and {}", pair[0].0.display(), pair[1].0.display()),
        });
    }
    if by_split.is_empty() {
        return Err(Error::Layout {
            path: folder.into(),
            expected: format!("annotations/instances_<split>.json or <split>/{BESIDE_IMAGES}"),
            found: match &unused[..] {
                [] => "neither".into(),
                files => format!("{} of no split (give one of these files instead)", names_of(files)),
            },
        });
    }
    let mut notes = Vec::new();
    if !unused.is_empty() {
        let reason = format!("annotation files not read: {}", names_of(&unused));
        notes.push(note(folder, reason));
    }
    open(folder, &by_split, notes, options)
}

/// The last two parts of paths, in a line of bearable length.
fn names_of(paths: &[PathBuf]) -> String {
    let short = |path: &PathBuf| {
        let folder = path.parent().map(file_name).unwrap_or_default();
        format!("{folder}/{}", file_name(path))
    };
    shortened(&paths.iter().map(short).collect::<Vec<_>>().join(", "))
}

/// One file: its splits are drawn.
pub(super) fn open_file(path: &Path, options: &OpenOptions) -> Result<Dataset> {
    open(path, &[(path.to_path_buf(), Split::Train)], Vec::new(), options)
}

/// A box of an image file, before the file is looked at.
struct ImageBox {
    id: u64,
    file: usize,
    class: u32,
    bbox: [f64; 4],
    /// The annotation file.
    list: usize,
    /// The image's width and height, as the annotation file has them.
    declared: Option<(u32, u32)>,
}

fn open(
    root: &Path,
    lists: &[(PathBuf, Split)],
    mut skipped: Vec<Skipped>,
    options: &OpenOptions,
) -> Result<Dataset> {
    let mut classes = ClassNames::default();
    let (mut files, mut file_splits, mut boxes) = (Vec::new(), Vec::new(), Vec::new());
    // An image that is named twice is one image, or its boxes would come into several splits.
    let mut identity = Identity::default();
    for (list, (path, split)) in lists.iter().enumerate() {
        let mut coco = read_boxes(path)?;
        leave_out(path, &mut coco, &options.left_out, &mut skipped);
        let mut categories: Vec<_> = coco.categories.iter().collect();
        categories.sort_by_key(|category| category.id);
        let class_of: BTreeMap<u64, u32> =
            categories.iter().map(|category| (category.id, classes.intern(&category.name))).collect();
        let used = useful(path, &coco, &mut skipped);
        let images = find_images(path, &coco, &used, options)?;
        let mut index = BTreeMap::new();
        let mut again: Option<(usize, &str)> = None;
        for (image, file) in images {
            let place = identity.earlier(&file, files.len()).inspect(|_| {
                again.get_or_insert((0, image.file_name.as_str())).0 += 1;
            });
            let place = place.unwrap_or_else(|| {
                files.push(Candidate::claimed(Location::File(file)));
                file_splits.push(*split);
                files.len() - 1
            });
            index.insert(image.id, (place, image.width.zip(image.height)));
        }
        if let Some((count, name)) = again {
            let reason =
                format!("{count} images name a file again and are one with the first, such as {name}");
            skipped.push(note(path, reason));
        }
        let mut seen = BTreeSet::new();
        let mut repeated = 0;
        for annotation in used {
            let (file, declared) = index[&annotation.image_id];
            let (id, class, bbox) = (annotation.id, class_of[&annotation.category_id], annotation.bbox);
            if file_splits[file] != *split {
                let found = format!("one of {} and {split}", file_splits[file]);
                let reason = format!("expected an image in one split, found {found}");
                skipped.push(lost(of_annotation(path, id), reason));
            } else if seen.insert((file, class, bbox.map(f64::to_bits))) {
                boxes.push(ImageBox { id, file, class, bbox, list, declared });
            } else {
                repeated += 1;
            }
        }
        if repeated > 0 {
            let reason = format!("{repeated} boxes are there again, with image and category, and count once");
            skipped.push(note(path, reason));
        }
    }
    let given = boxes_by_split(&boxes, &file_splits);
    if options.purpose == Purpose::Train {
        draw_by_image(&mut file_splits, &boxes, classes.names.len(), options);
    }
    let now = boxes_by_split(&boxes, &file_splits);
    let mut usable = Vec::new();
    let mut places = Vec::with_capacity(files.len());
    for found in scan(&files, options) {
        places.push(found.map(|file| {
            usable.push(file);
            usable.len() as u32 - 1
        }));
    }
    let mut crops = Vec::with_capacity(boxes.len());
    let mut entries = Vec::with_capacity(boxes.len());
    for ImageBox { id, file, class, bbox, list, declared } in boxes {
        let item = match &places[file] {
            Ok(place) => {
                let image = &usable[*place as usize];
                let upright = (image.width, image.height);
                let orientation = orientation_of_grid(image.orientation, upright, declared);
                let size = if swaps_sides(orientation) { (upright.1, upright.0) } else { upright };
                let Some(rect) = pixels_of(bbox, size) else {
                    let (w, h) = size;
                    let reason = format!(
                        "expected a box that touches its image, found x, y, width, height {bbox:?} in {w}x{h}"
                    );
                    skipped.push(lost(of_annotation(&lists[list].0, id), reason));
                    continue;
                };
                crops.push(Crop { file: *place, rect: turned(rect, size, orientation), id });
                Some(crops.len() as u32 - 1)
            }
            // Each box of the image is a sample that is lost.
            Err(skip) => {
                let path = format!("{}#{id}", skip.path.display());
                skipped.push(lost(path.into(), skip.reason.clone()));
                None
            }
        };
        entries.push(Entry { split: file_splits[file], class, item });
    }
    check_skipped(root, &skipped, crops.len(), options)?;
    // Boxes are never drawn one by one, as the rule for other sources would do with an empty split.
    if options.purpose == Purpose::Train
        && let Some(split) =
            Split::ALL.into_iter().find(|split| !entries.is_empty() && !file_splits.contains(split))
    {
        return Err(Error::EmptySplit { path: root.into(), split, images: files.len() });
    }
    let store = Arc::new(CropStore { files: FileStore::new(usable, options.max_pixels), crops });
    let class_names = classes.names;
    let failed = BTreeMap::new();
    let collected =
        Collected { root: root.into(), class_names, ordered: true, entries, skipped, failed, store };
    Ok(Dataset { drawn: drawn(given, now), ..collected.into_dataset(options)? })
}

/// Takes out the images that the user leaves out, with their boxes.
fn leave_out(path: &Path, coco: &mut Coco, exclude: &Exclude, skipped: &mut Vec<Skipped>) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut gone = BTreeSet::new();
    coco.images.retain(|image| {
        let Some(pattern) = exclude.of_name(Path::new(&image.file_name)) else { return true };
        *counts.entry(pattern).or_default() += 1;
        gone.insert(image.id);
        false
    });
    coco.annotations.retain(|annotation| !gone.contains(&annotation.image_id));
    for (pattern, count) in counts {
        skipped.push(note(path, format!("{count} images left out by --exclude {pattern}")));
    }
}

/// Boxes by the split of their image.
fn boxes_by_split(boxes: &[ImageBox], splits: &[Split]) -> [usize; 3] {
    let mut counts = [0; 3];
    for found in boxes {
        counts[splits[found.file] as usize] += 1;
    }
    counts
}

/// What a message calls an annotation.
fn of_annotation(list: &Path, id: u64) -> PathBuf {
    list.join(format!("annotation {id}"))
}

/// The annotations that are a single object with a box; the others are counted.
fn useful<'a>(path: &Path, coco: &'a Coco, skipped: &mut Vec<Skipped>) -> Vec<&'a CocoAnnotation> {
    let crowd = coco.annotations.iter().filter(|a| a.iscrowd).count();
    let flat = |a: &CocoAnnotation| a.bbox[2] <= 0.0 || a.bbox[3] <= 0.0;
    let empty = coco.annotations.iter().filter(|a| !a.iscrowd && flat(a)).count();
    let mut tell = |count: usize, what: &str| {
        if count > 0 {
            skipped.push(note(path, format!("{count} {what} not used")));
        }
    };
    tell(coco.unusable_entries, "entries without id or name");
    tell(crowd, "crowd boxes");
    tell(empty, "boxes without area");
    let used: Vec<_> = coco.annotations.iter().filter(|a| !a.iscrowd && !flat(a)).collect();
    let with_boxes: BTreeSet<u64> = used.iter().map(|a| a.image_id).collect();
    tell(coco.images.len() - with_boxes.len(), "images without a box");
    skipped.extend(coco.bad.iter().map(|bad| lost(of_annotation(path, bad.id), bad.reason.clone())));
    used
}

/// The files of the images that have boxes; they lie beside the annotations, in `images`, or in a folder named
/// after the annotation file's split. A file that is not there is looked for beside the annotations later.
///
/// # Errors
/// More missing files than the options allow.
fn find_images<'a>(
    path: &Path,
    coco: &'a Coco,
    used: &[&CocoAnnotation],
    options: &OpenOptions,
) -> Result<Vec<(&'a CocoImage, PathBuf)>> {
    let wanted: BTreeSet<u64> = used.iter().map(|a| a.image_id).collect();
    let folder = path.parent().unwrap_or(Path::new(""));
    let above = folder.join("..");
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let split = stem.strip_prefix("instances_").unwrap_or(&stem);
    let folders = [
        folder.to_path_buf(),
        folder.join("images"),
        above.join(split),
        above.join("images"),
        above.join("images").join(split),
    ];
    let (mut found, mut missing) = (Vec::with_capacity(wanted.len()), Vec::new());
    for image in coco.images.iter().filter(|image| wanted.contains(&image.id)) {
        let places = folders.iter().map(|folder| folder.join(&image.file_name));
        let file = places.clone().find(|file| file.is_file());
        if file.is_none() {
            missing.push(image);
        }
        found.push((image, file.unwrap_or_else(|| folder.join(&image.file_name))));
    }
    let too_many = options.strict || missing.len() as f64 > options.max_unreadable * wanted.len() as f64;
    match missing.first().filter(|_| too_many) {
        Some(image) => Err(Error::MissingFiles {
            path: path.into(),
            place: format!("image {}", image.id),
            file: image.file_name.clone().into(),
            count: missing.len(),
            total: wanted.len(),
        }),
        None => Ok(found),
    }
}

/// Draws the missing splits among whole images, so that no image has boxes in two splits.
///
/// An image counts for the rarest of its classes. A class that would be left without a training image gets its
/// first image back.
fn draw_by_image(splits: &mut [Split], boxes: &[ImageBox], classes: usize, options: &OpenOptions) {
    let has = |split| splits.contains(&split);
    let fractions = options.fractions(has(Split::Val), has(Split::Test));
    let train: Vec<usize> = (0..splits.len()).filter(|&file| splits[file] == Split::Train).collect();
    let mut counts = vec![0usize; classes];
    for found in boxes {
        counts[found.class as usize] += 1;
    }
    let mut labels: Vec<Option<u32>> = vec![None; splits.len()];
    for found in boxes {
        let label = &mut labels[found.file];
        let rarer = label.is_none_or(|class| counts[found.class as usize] < counts[class as usize]);
        if rarer {
            *label = Some(found.class);
        }
    }
    let train_labels: Vec<u32> = train.iter().map(|&file| labels[file].unwrap_or_default()).collect();
    let parts = stratified_parts(&train_labels, classes, &fractions, options.seed);
    let mut moved = vec![false; splits.len()];
    for (part, split) in parts.iter().zip([Split::Val, Split::Test]) {
        for &at in part {
            splits[train[at]] = split;
            moved[train[at]] = true;
        }
    }
    for class in 0..classes as u32 {
        let of_class = || boxes.iter().filter(|found| found.class == class);
        if of_class().all(|found| splits[found.file] != Split::Train)
            && let Some(found) = of_class().find(|found| moved[found.file])
        {
            splits[found.file] = Split::Train;
        }
    }
}

/// Left, top, right and bottom of all pixels that a box touches; None if there are none.
fn pixels_of([x, y, w, h]: [f64; 4], (width, height): (u32, u32)) -> Option<[u32; 4]> {
    let low = |v: f64| v.floor().max(0.0) as u32;
    let high = |v: f64, end: u32| (v.ceil().max(0.0) as u32).min(end);
    let [left, top, right, bottom] = [low(x), low(y), high(x + w, width), high(y + h, height)];
    (left < right && top < bottom).then_some([left, top, right, bottom])
}

/// How the grid that boxes refer to is turned to stand upright: as the stored pixels are, unless the declared size is
/// that of the upright image alone.
fn orientation_of_grid(
    stored: Orientation,
    upright: (u32, u32),
    declared: Option<(u32, u32)>,
) -> Orientation {
    let is_upright = swaps_sides(stored) && upright.0 != upright.1 && declared == Some(upright);
    if is_upright { Orientation::NoTransforms } else { stored }
}

/// Where left, top, right and bottom in a grid of this size lie once the grid stands upright.
fn turned([l, t, r, b]: [u32; 4], (width, height): (u32, u32), orientation: Orientation) -> [u32; 4] {
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

struct Crop {
    file: u32,
    rect: [u32; 4],
    /// The annotation's number.
    id: u64,
}

/// Boxes of image files.
struct CropStore {
    files: FileStore,
    crops: Vec<Crop>,
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
