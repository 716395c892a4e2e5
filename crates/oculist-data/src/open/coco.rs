//! COCO annotations as a classification data set.
//!
//! Where images have one label, each box is cut out, and its category is the class. Where they have several, images stay
//! whole, and show the categories that are annotated in them ([`presence`]).
//!
//! The loader decodes an image for every one of its boxes; its cache holds the boxes, not the images. Where the boxes are
//! compared with each other, each image is decoded once.
//!
//! Boxes refer to the pixels as they are stored, without the EXIF orientation: that is the grid of the tools that read
//! COCO with Pillow or OpenCV's mask code. Only where the width and height that the list gives are those of the upright
//! image and not those of the stored one, boxes refer to the upright image. The crop itself stands upright either way,
//! as every image here does.

mod crops;
mod lists;
mod presence;

pub(super) use lists::is_coco_folder;

use super::assemble::{ClassNames, Collected, Drawn, Entry, check_skipped, lost, note};
use crate::coco::{Coco, CocoAnnotation, read_boxes};
use crate::decode::swaps_sides;
use crate::error::{Error, Result};
use crate::scan::scan_pictures;
use crate::store::FileStore;
use crate::{Dataset, OpenOptions, Purpose, Skipped, Split, Task, stratified_parts};
use crops::{Crop, CropStore, orientation_of_grid, pixels_of, turned};
use lists::{BESIDE_IMAGES, Files, Lists, annotation_files, leave_out, names_of};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    skipped: Vec<Skipped>,
    options: &OpenOptions,
) -> Result<Dataset> {
    match options.task {
        Task::SingleLabel => open_boxes(root, lists, skipped, options),
        Task::MultiLabel => presence::open(root, lists, skipped, options),
    }
}

/// The classes that an annotation file declares, in the order of their ids, by id.
fn classes_of(coco: &Coco, classes: &mut ClassNames) -> BTreeMap<u64, u32> {
    let mut categories: Vec<_> = coco.categories.iter().collect();
    categories.sort_by_key(|category| category.id);
    categories.iter().map(|category| (category.id, classes.intern(&category.name))).collect()
}

fn open_boxes(
    root: &Path,
    lists: &[(PathBuf, Split)],
    mut skipped: Vec<Skipped>,
    options: &OpenOptions,
) -> Result<Dataset> {
    let mut classes = ClassNames::default();
    let (mut files, mut boxes) = (Files::default(), Vec::new());
    for (list, (path, split)) in lists.iter().enumerate() {
        let mut coco = read_boxes(path)?;
        leave_out(path, &mut coco, &options.left_out, &mut skipped);
        let class_of = classes_of(&coco, &mut classes);
        let used = useful(path, &coco, &mut skipped);
        let wanted = used.iter().map(|a| a.image_id).collect();
        let index = files.add(path, &coco, &wanted, *split, options, &mut skipped)?;
        let mut seen = BTreeSet::new();
        let mut repeated = 0;
        for annotation in used {
            let (file, declared) = index[&annotation.image_id];
            let (id, class, bbox) = (annotation.id, class_of[&annotation.category_id], annotation.bbox);
            if files.splits[file] != *split {
                let found = format!("one of {} and {split}", files.splits[file]);
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
    let Files { candidates: files, splits: mut file_splits, .. } = files;
    let given = boxes_by_split(&boxes, &file_splits);
    if options.purpose == Purpose::Train {
        draw_by_image(&mut file_splits, &boxes, classes.names.len(), options);
    }
    let now = boxes_by_split(&boxes, &file_splits);
    let mut usable = Vec::new();
    let mut places = Vec::with_capacity(files.len());
    for found in scan_pictures(&files, options) {
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
        entries.push(Entry { split: file_splits[file], classes: class.into(), item });
    }
    check_skipped(root, &skipped, crops.len(), options)?;
    // Boxes are never drawn one by one, as the rule for other sources would do with an empty split.
    if options.purpose == Purpose::Train
        && let Some(split) = Split::ALL
            .into_iter()
            .find(|split| !entries.is_empty() && !file_splits.contains(split) && !options.may_lack(*split))
    {
        return Err(Error::EmptySplit { path: root.into(), split, images: files.len() });
    }
    let store = Arc::new(CropStore { files: FileStore::new(usable, options.max_pixels), crops });
    let class_names = classes.names;
    let failed = BTreeMap::new();
    let collected =
        Collected { root: root.into(), class_names, ordered: true, entries, skipped, failed, store };
    // Whole pictures were drawn, with all of their boxes.
    let drawn = Drawn::new(given, now).map(|drawn| Drawn { is_free: false, ..drawn });
    Ok(Dataset { drawn, ..collected.into_dataset(options)? })
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
