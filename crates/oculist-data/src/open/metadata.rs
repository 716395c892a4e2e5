//! Image folders with `metadata.csv` or `metadata.jsonl`, the `imagefolder` layout of Hugging Face.
//!
//! The metadata lie in the folder itself or in each of its split folders (`train`, `validation`, `test`) and are
//! manifests as everywhere: `file_name`, relative to the metadata's folder, and `label`. Metadata in the folder itself
//! may give the splits by a column `split`, or by the folder that each name begins with. Folders of classes mean
//! nothing then.

use super::assemble::{file_name, unread};
use super::folder::split_folders_in;
use super::listed::Listed;
use crate::error::{Error, Result};
use crate::manifest::{Manifest, ManifestRow, read_manifest_for};
use crate::{Dataset, Exclude, OpenOptions, Split, walk};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

const NAMES: [&str; 2] = ["metadata.csv", "metadata.jsonl"];

/// A metadata file, with the split of its folder.
type List = (PathBuf, Option<Split>);

/// True if the folder or one of its split folders has metadata.
pub(super) fn is_metadata_folder(folder: &Path) -> bool {
    lists(folder).map_or(true, |lists| !lists.is_empty())
}

pub(super) fn open(root: &Path, options: &OpenOptions) -> Result<Dataset> {
    let mut listed = Listed::default();
    for (path, folder_split) in lists(root)? {
        let manifest = read_manifest_for(&path, options)?;
        let splits = splits_of(&manifest, folder_split);
        listed.add(&manifest, &splits, options)?;
        let unnamed = unnamed_images(&manifest, &options.left_out)?;
        if let Some(first) = unnamed.first() {
            let count = unnamed.len();
            let reason =
                format!("{count} images beside it not named and not used, such as {}", first.display());
            listed.skipped.push(unread(&path, reason));
        }
    }
    listed.into_dataset(root, options)
}

/// The metadata of a folder: one file in it, or one in each split folder; none for other folders.
fn lists(root: &Path) -> Result<Vec<List>> {
    let mixed = |expected: &str, found: String| {
        Err(Error::Layout { path: root.into(), expected: expected.into(), found })
    };
    let own = metadata_in(root)?;
    let (mut parts, mut without): (Vec<List>, _) = (Vec::new(), None);
    for split in Split::ALL {
        for folder in split_folders_in(root, split)? {
            match (metadata_in(&folder)?, parts.last()) {
                (Some(path), Some((other, Some(last)))) if *last == split => {
                    let found = format!("{} and {}", other.display(), path.display());
                    return mixed("one folder with metadata for each split", found);
                }
                (Some(path), _) => parts.push((path, Some(split))),
                (None, _) => without = Some(folder),
            }
        }
    }
    match (own, parts.first(), without) {
        (Some(own), Some((part, _)), _) => {
            let found = format!("{} and {}", own.display(), part.display());
            mixed("metadata in the folder itself or in its split folders, not in both", found)
        }
        (None, Some((part, _)), Some(without)) => {
            let found = format!("{}, but none in {}", part.display(), without.display());
            mixed("metadata.csv or metadata.jsonl in every split folder or in none", found)
        }
        (own, ..) => Ok(own.map(|own| (own, None)).into_iter().chain(parts).collect()),
    }
}

/// The metadata file that lies directly in a folder.
fn metadata_in(folder: &Path) -> Result<Option<PathBuf>> {
    let mut found: Vec<PathBuf> =
        NAMES.map(|name| folder.join(name)).into_iter().filter(|p| p.is_file()).collect();
    if let [first, second] = &found[..] {
        return Err(Error::Layout {
            path: folder.into(),
            expected: "one metadata file".into(),
            found: format!("{} and {}", file_name(first), file_name(second)),
        });
    }
    Ok(found.pop())
}

/// The split of each row, or why it has none: a column `split` that contradicts the folder, or a name that does not begin
/// with the folder of a split where others do.
fn splits_of(manifest: &Manifest, folder: Option<Split>) -> Vec<Result<Split, String>> {
    if let Some(split) = folder {
        let of_row = |row: &ManifestRow| match row.split {
            Some(other) if other != split => Err(format!(
                "expected the split {split}, as the folder says, or no column split, found {other}"
            )),
            _ => Ok(split),
        };
        return manifest.rows.iter().map(of_row).collect();
    }
    let splits: Vec<Option<Split>> =
        manifest.rows.iter().map(|row| row.split.or_else(|| first_folder(&row.file_name))).collect();
    let none = splits.iter().all(Option::is_none);
    let of_row = |(split, row): (Option<Split>, &ManifestRow)| match split {
        Some(split) => Ok(split),
        None if none => Ok(Split::Train),
        None => Err(format!(
            "expected a file below the folder of a split (train, val or validation, test), as in other rows, found {}",
            row.file_name
        )),
    };
    splits.into_iter().zip(&manifest.rows).map(of_row).collect()
}

/// The split after which the first folder of a name is called.
fn first_folder(name: &str) -> Option<Split> {
    let mut parts = Path::new(name).components().filter(|part| *part != Component::CurDir);
    let (first, second) = (parts.next()?, parts.next());
    second.and(first.as_os_str().to_str()).and_then(Split::parse)
}

/// The files below the metadata's folder that are named like images, but not by the metadata.
fn unnamed_images(manifest: &Manifest, exclude: &Exclude) -> Result<Vec<PathBuf>> {
    let folder = manifest.path.parent().unwrap_or(Path::new(""));
    let named: BTreeSet<PathBuf> = manifest.rows.iter().map(|row| folder.join(&row.file_name)).collect();
    let paths = walk(folder, exclude)?.files.into_iter().map(|file| file.path);
    let unnamed = |path: &PathBuf| image::ImageFormat::from_path(path).is_ok() && !named.contains(path);
    Ok(paths.filter(unnamed).collect())
}
