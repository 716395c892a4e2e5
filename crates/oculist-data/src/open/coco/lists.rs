//! The annotation files of a folder, and the images that they name.

use crate::coco::{Coco, CocoImage};
use crate::error::{Error, Result, shortened};
use crate::location::Location;
use crate::open::assemble::{file_name, files_ending_in, note};
use crate::real_path::Identity;
use crate::scan::Candidate;
use crate::split_name::split_of_folder;
use crate::{Exclude, OpenOptions, Skipped, Split};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What export tools call the annotations of the folder that they lie in.
pub(super) const BESIDE_IMAGES: &str = "_annotations.coco.json";

/// The annotation files of a folder, and those that are not read.
#[derive(Default)]
pub(super) struct Lists {
    pub(super) by_split: Vec<(PathBuf, Split)>,
    pub(super) unused: Vec<PathBuf>,
}

/// The annotation files of a folder, by split: `annotations/instances_<split>*.json` as COCO has them, or
/// `<split>/_annotations.coco.json` as export tools write them; splits have the names that folders of splits have. Without
/// any, the only `annotations/instances_*.json` or `_annotations.coco.json` is all of the data.
pub(super) fn annotation_files(folder: &Path, exclude: &Exclude) -> Result<Lists> {
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
pub(in crate::open) fn is_coco_folder(folder: &Path, exclude: &Exclude) -> bool {
    annotation_files(folder, exclude).is_ok_and(|lists| !lists.by_split.is_empty())
}

/// The last two parts of paths, in a line of bearable length.
pub(super) fn names_of(paths: &[PathBuf]) -> String {
    let short = |path: &PathBuf| {
        let folder = path.parent().map(file_name).unwrap_or_default();
        format!("{folder}/{}", file_name(path))
    };
    shortened(&paths.iter().map(short).collect::<Vec<_>>().join(", "))
}

/// Takes out the images that the user leaves out, with their boxes.
pub(super) fn leave_out(path: &Path, coco: &mut Coco, exclude: &Exclude, skipped: &mut Vec<Skipped>) {
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

/// The images of all annotation files, each file once.
#[derive(Default)]
pub(super) struct Files {
    pub(super) candidates: Vec<Candidate>,
    pub(super) splits: Vec<Split>,
    /// An image that is named twice is one image, or its labels would come into several splits.
    identity: Identity<usize>,
}

/// By an image's id, the place of its file, and the width and height that the annotation file gives.
pub(super) type Index = BTreeMap<u64, (usize, Option<(u32, u32)>)>;

impl Files {
    /// Adds the wanted images of an annotation file.
    ///
    /// # Errors
    /// More missing files than the options allow.
    pub(super) fn add(
        &mut self,
        path: &Path,
        coco: &Coco,
        wanted: &BTreeSet<u64>,
        split: Split,
        options: &OpenOptions,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Index> {
        let mut index = BTreeMap::new();
        let mut again: Option<(usize, &str)> = None;
        for (image, file) in find_images(path, coco, wanted, options)? {
            let place = self.identity.earlier(&file, self.candidates.len()).inspect(|_| {
                again.get_or_insert((0, image.file_name.as_str())).0 += 1;
            });
            let place = place.unwrap_or_else(|| {
                self.candidates.push(Candidate::claimed(Location::File(file)));
                self.splits.push(split);
                self.candidates.len() - 1
            });
            index.insert(image.id, (place, image.width.zip(image.height)));
        }
        if let Some((count, name)) = again {
            let reason =
                format!("{count} images name a file again and are one with the first, such as {name}");
            skipped.push(note(path, reason));
        }
        Ok(index)
    }
}

/// The files of the wanted images; they lie beside the annotations, in `images`, or in a folder named after the annotation
/// file's split. A file that is not there is looked for beside the annotations later.
///
/// # Errors
/// More missing files than the options allow.
fn find_images<'a>(
    path: &Path,
    coco: &'a Coco,
    wanted: &BTreeSet<u64>,
    options: &OpenOptions,
) -> Result<Vec<(&'a CocoImage, PathBuf)>> {
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
