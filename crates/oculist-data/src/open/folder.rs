//! Folders of image files: `train/<class>/*` with or without `val` and `test`, or `<class>/*`.

use super::assemble::{check_skipped, fill_splits, note};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::scan::{Candidate, scan};
use crate::store::FileStore;
use crate::{Dataset, OpenOptions, Skipped, Split, Subset, natural_cmp};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use walkdir::WalkDir;

/// Names of split folders.
const TRAIN: &[&str] = Split::Train.names();
const VAL: &[&str] = Split::Val.names();
const TEST: &[&str] = Split::Test.names();

/// A class folder of one split and the files in it.
struct ClassFolder {
    split: Split,
    class: String,
    path: PathBuf,
    files: Vec<Candidate>,
}

pub(super) fn open(root: &Path, options: &OpenOptions) -> Result<Dataset> {
    let (folders, empty_folders) = class_folders(root)?;
    let class_names = class_names(root, &folders)?;
    let (paths, owners): (Vec<Candidate>, Vec<usize>) = flatten(&folders);
    let mut files = Vec::with_capacity(paths.len());
    let mut members: Vec<Vec<u32>> = folders.iter().map(|_| Vec::new()).collect();
    let mut skipped = empty_folders;
    for (found, owner) in scan(&paths, options).into_iter().zip(owners) {
        match found {
            Ok(file) => {
                members[owner].push(files.len() as u32);
                files.push(file);
            }
            Err(skip) => skipped.push(skip),
        }
    }
    check_skipped(root, &skipped, files.len(), options)?;
    for (folder, members) in folders.iter().zip(&members) {
        if members.is_empty() {
            return Err(empty(folder));
        }
    }
    let store: Arc<dyn crate::ImageStore> = Arc::new(FileStore::new(files, options.max_pixels));
    let subset = |split: Split| {
        let (mut items, mut labels) = (Vec::new(), Vec::new());
        for (folder, members) in folders.iter().zip(&members).filter(|(folder, _)| folder.split == split) {
            let label = class_names.iter().position(|name| *name == folder.class).unwrap_or_default() as u32;
            items.extend_from_slice(members);
            labels.resize(items.len(), label);
        }
        Subset::new(Arc::clone(&store), items, labels, class_names.len())
    };
    let [train, val, test] = [subset(Split::Train)?, subset(Split::Val)?, subset(Split::Test)?];
    let total = train.len();
    let [train, val, test] = fill_splits(&train, val, test, options)?;
    for (split, subset) in [(Split::Train, &train), (Split::Val, &val), (Split::Test, &test)] {
        if subset.is_empty() {
            return Err(Error::EmptySplit { path: root.into(), split, images: total });
        }
    }
    Ok(Dataset { source: root.display().to_string(), class_names, train, val, test, skipped })
}

fn flatten(folders: &[ClassFolder]) -> (Vec<Candidate>, Vec<usize>) {
    let each = folders.iter().enumerate();
    each.flat_map(|(i, folder)| folder.files.iter().map(move |file| (file.clone(), i))).unzip()
}

fn empty(folder: &ClassFolder) -> Error {
    Error::EmptyClass { path: folder.path.clone(), class: folder.class.clone(), split: folder.split }
}

/// All class folders of all splits, with their files; a folder without files is as good as none, and is told.
fn class_folders(root: &Path) -> Result<(Vec<ClassFolder>, Vec<Skipped>)> {
    let mut folders = Vec::new();
    match split_folder(root, TRAIN)? {
        Some(train) => {
            folders.extend(classes_in(&train, Split::Train)?);
            for (split, names) in [(Split::Val, VAL), (Split::Test, TEST)] {
                if let Some(path) = split_folder(root, names)? {
                    folders.extend(classes_in(&path, split)?);
                }
            }
        }
        None if split_folder(root, VAL)?.is_some() || split_folder(root, TEST)?.is_some() => {
            return Err(Error::Missing { path: root.join("train") });
        }
        None => folders.extend(classes_in(root, Split::Train)?),
    }
    let (folders, without): (Vec<_>, Vec<_>) =
        folders.into_iter().partition(|folder: &ClassFolder| !folder.files.is_empty());
    if folders.is_empty() {
        return Err(Error::NoClasses { path: root.into() });
    }
    let tell = |folder: &ClassFolder| {
        note(&folder.path, format!("class \"{}\" has no file in the {} split", folder.class, folder.split))
    };
    Ok((folders, without.iter().map(tell).collect()))
}

/// The folder of a split, in whatever case its name is written.
pub(super) fn split_folder(root: &Path, names: &[&str]) -> Result<Option<PathBuf>> {
    let mut found = Vec::new();
    for path in folders_in(root)? {
        if names.contains(&file_name(&path).to_lowercase().as_str()) {
            found.push(path);
        }
    }
    match &found[..] {
        [] | [_] => Ok(found.pop()),
        [first, second, ..] => Err(Error::Option {
            name: "the folder of a split",
            expected: "there once (train; val, valid or validation; test)",
            found: format!("{} and {}", first.display(), second.display()),
        }),
    }
}

/// The folders in a folder in natural order, without hidden ones.
fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        if path.is_dir() && !file_name(&path).starts_with('.') {
            folders.push(path);
        }
    }
    folders.sort_by(|a, b| natural_cmp(&file_name(a), &file_name(b)));
    Ok(folders)
}

/// Class names from the training split, in natural order.
fn class_names(root: &Path, folders: &[ClassFolder]) -> Result<Vec<String>> {
    let of = |split| folders.iter().filter(move |folder| folder.split == split);
    let names: Vec<String> = of(Split::Train).map(|folder| folder.class.clone()).collect();
    if let [only] = &names[..] {
        return Err(Error::OneClass { path: root.into(), class: only.clone() });
    }
    for split in [Split::Val, Split::Test] {
        if let Some(folder) = of(split).find(|folder| !names.contains(&folder.class)) {
            let (path, class) = (folder.path.clone(), folder.class.clone());
            return Err(Error::UnknownClass { path, class, split });
        }
    }
    Ok(names)
}

fn classes_in(folder: &Path, split: Split) -> Result<Vec<ClassFolder>> {
    let class_folder =
        |path: PathBuf| Ok(ClassFolder { split, class: file_name(&path), files: files_in(&path)?, path });
    let classes = folders_in(folder)?.into_iter().map(class_folder).collect::<Result<Vec<_>>>()?;
    if classes.is_empty() {
        return Err(Error::NoClasses { path: folder.into() });
    }
    Ok(classes)
}

/// All files below a class folder in natural order, without hidden ones and what file managers leave behind.
pub(super) fn files_in(folder: &Path) -> Result<Vec<Candidate>> {
    const LEFT_BEHIND: [&str; 2] = ["Thumbs.db", "desktop.ini"];
    let mut files = Vec::new();
    let walk = WalkDir::new(folder)
        .follow_links(true)
        .sort_by(|a, b| natural_cmp(&a.file_name().to_string_lossy(), &b.file_name().to_string_lossy()))
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.'));
    for entry in walk {
        let entry = match entry {
            Ok(entry) => entry,
            // A link to nowhere is an unreadable file, not the end of everything.
            Err(err) => match (err.path(), err.io_error()) {
                (Some(path), Some(io)) if io.kind() == std::io::ErrorKind::NotFound => {
                    files.push(Candidate { location: Location::File(path.into()), bytes: 0, claimed: false });
                    continue;
                }
                _ => {
                    let path = err.path().unwrap_or(folder).to_path_buf();
                    return Err(Error::Io { path, source: err.into() });
                }
            },
        };
        if entry.file_type().is_file() && !LEFT_BEHIND.contains(&&*entry.file_name().to_string_lossy()) {
            let bytes = entry.metadata().map_or(0, |meta| meta.len());
            let location = Location::File(entry.into_path());
            files.push(Candidate { location, bytes, claimed: false });
        }
    }
    Ok(files)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
