//! Lists of labels that lie beside pictures in no class folders: the error about the folder names them.

use super::assemble::file_name;
use crate::Error;
use crate::manifest::{is_manifest, read_manifest};
use std::path::{Path, PathBuf};

/// How many lists are looked at.
const LOOKED_AT: usize = 5;

/// The error about a folder without classes, with the list that may have them.
pub(super) fn hinted(folder: &Path, error: Error) -> Error {
    let without_classes = matches!(
        error,
        Error::NoClasses { .. } | Error::OneClass { .. } | Error::EmptyClass { .. } | Error::Unsorted { .. }
    );
    if !without_classes {
        return error;
    }
    let mut folders = vec![folder.to_path_buf()];
    folders.extend(entries(folder).into_iter().filter(|path| path.is_dir()));
    let lists = folders.iter().flat_map(|folder| entries(folder));
    let lists: Vec<PathBuf> =
        lists.filter(|path| is_manifest(path) && path.is_file()).take(LOOKED_AT).collect();
    let looked_at: Vec<(u8, String)> = lists.iter().map(|list| advice(folder, list)).collect();
    match looked_at.into_iter().min_by_key(|(rank, _)| *rank) {
        Some((_, hint)) => error.with_hint(hint),
        None => error,
    }
}

/// What can be done with a list: 0 for one that can be given as it is, 1 for one whose files lie elsewhere, 2 for one that is
/// not understood; and that in words.
fn advice(folder: &Path, list: &Path) -> (u8, String) {
    let shown = list.display();
    let manifest = match read_manifest(list) {
        Ok(manifest) => manifest,
        Err(error) => return (2, format!("a list lies there, but cannot be read as one of labels: {error}")),
    };
    let Some(row) = manifest.rows.first() else {
        return (2, format!("the list {shown} lies there, but no row of it has a file and a label"));
    };
    let base = list.parent().unwrap_or(folder);
    if manifest.rows.iter().any(|row| base.join(&row.file_name).is_file()) {
        return (
            0,
            format!(
                "the list {shown} lies there and names images with labels: give it instead of the folder"
            ),
        );
    }
    let within = entries(base).into_iter().find(|inner| inner.join(&row.file_name).is_file());
    let text = match within {
        Some(inner) => format!(
            "its names are relative to its own folder, so that {0} must be written {1}/{0}, or the list moved into {1}",
            row.file_name,
            file_name(&inner)
        ),
        None => format!("it names {}, which is not there as seen from its folder", row.file_name),
    };
    (
        1,
        format!(
            "the list {shown} lies there with labels, but {text}; then give the list instead of the folder"
        ),
    )
}

/// What lies in a folder, sorted, without hidden names.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(found) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = found.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| !file_name(path).starts_with('.'));
    paths.sort();
    paths
}
