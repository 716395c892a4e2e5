//! Files of many parts: which are missing, and which lie in folders of splits.

use super::assemble::{file_name, files_ending_in, note};
use super::folder::may_be_an_image;
use crate::error::{Error, Result, shortened};
use crate::split_name::split_of_folder;
use crate::{Exclude, OpenOptions, Skipped, Split};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Parts that are named by their number among how many, as in `train-00000-of-00003.parquet`; no more are looked for.
const MAX_PARTS: u32 = 100_000;

/// Tells of parts that are not there, where the names of the others say how many there are.
///
/// # Errors
/// A missing part, where everything must be readable.
pub(super) fn check_parts(
    folder: &Path,
    files: &[PathBuf],
    options: &OpenOptions,
) -> Result<Option<Skipped>> {
    let mut sets: BTreeMap<(PathBuf, String, String), BTreeSet<u32>> = BTreeMap::new();
    for path in files {
        if let Some((before, number, behind)) = numbered(&file_name(path)) {
            let within = path.parent().unwrap_or(Path::new("")).to_path_buf();
            sets.entry((within, before, behind)).or_default().insert(number);
        }
    }
    let mut missing = Vec::new();
    for ((_, before, behind), numbers) in &sets {
        let Some((width, total)) = total_of(behind) else { continue };
        // Some count from 1.
        let first = u32::from(!numbers.contains(&0) && numbers.contains(&total));
        let absent = (first..first + total).filter(|number| !numbers.contains(number));
        missing.extend(absent.map(|number| format!("{before}{number:0width$}{behind}")));
    }
    let Some(example) = missing.first() else { return Ok(None) };
    let found = match missing.len() {
        1 => format!("{example} is missing"),
        n => shortened(&format!("{n} files are missing: {}", missing.join(", "))),
    };
    if options.strict {
        let expected = "as many files as their names say".into();
        return Err(Error::Layout { path: folder.into(), expected, found });
    }
    Ok(Some(note(folder, format!("{found}, as the names of the others say"))))
}

/// `train-00001-of-00003.tar` as `train-`, 1 and `-of-00003.tar`.
fn numbered(name: &str) -> Option<(String, u32, String)> {
    let of = name.rfind("-of-").or_else(|| name.rfind("_of_"))?;
    let digits = name[..of].bytes().rev().take_while(u8::is_ascii_digit).count();
    let number = name[of - digits..of].parse().ok()?;
    total_of(&name[of..])?;
    Some((name[..of - digits].to_owned(), number, name[of..].to_owned()))
}

/// The digits and the number behind `-of-`.
fn total_of(behind: &str) -> Option<(usize, u32)> {
    let behind = behind.get(4..)?;
    let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
    let total = behind[..digits].parse().ok()?;
    (1..=MAX_PARTS).contains(&total).then_some((digits, total))
}

/// The files of this ending in the folders of splits within a folder, such as `train/0.tar` and `test/0.tar`; none if
/// another folder has such files, too, or if there is anything else with them that may be data.
pub(super) fn in_split_folders(folder: &Path, end: &str, exclude: &Exclude) -> Result<Vec<(PathBuf, Split)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let inner = entry.map_err(Error::io(folder))?.path();
        let name = file_name(&inner);
        if !inner.is_dir() || name.starts_with('.') {
            continue;
        }
        let files = files_ending_in(&inner, end, exclude)?;
        if files.is_empty() {
            continue;
        }
        let Some(split) = split_of_folder(&name).filter(|_| !holds_data(&inner)) else {
            return Ok(Vec::new());
        };
        found.extend(files.into_iter().map(|file| (file, split)));
    }
    found.sort_by(|(a, first), (b, second)| {
        first.cmp(second).then_with(|| crate::natural_cmp(&a.to_string_lossy(), &b.to_string_lossy()))
    });
    Ok(found)
}

/// True for a folder with folders or with files that may be images.
fn holds_data(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return true };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .any(|path| !file_name(&path).starts_with('.') && (path.is_dir() || may_be_an_image(&path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_how_many_files_there_are() {
        let told = |names: &[&str]| {
            let files: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
            let found = check_parts(Path::new("x"), &files, &OpenOptions::default()).unwrap();
            let strict = OpenOptions { strict: true, ..OpenOptions::default() };
            assert_eq!(check_parts(Path::new("x"), &files, &strict).is_err(), found.is_some());
            found.map(|note| note.reason).unwrap_or_default()
        };
        let whole =
            ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "test-00000-of-00001.parquet"];
        assert_eq!(told(&whole), "");
        assert_eq!(told(&["a-1-of-2.tar", "a-2-of-2.tar"]), "");
        assert_eq!(told(&["one-of-us.tar", "a.tar", "7-of-99999999999.tar"]), "");
        let text = told(&["train-00000-of-00003.parquet", "train-00002-of-00003.parquet"]);
        assert!(text.starts_with("train-00001-of-00003.parquet is missing"), "{text}");
        let text = told(&["b/train-00001-of-00003.tar", "test-00000-of-00001.tar"]);
        assert!(text.starts_with("2 files are missing: train-00000-of-00003.tar, train-00002"), "{text}");
    }
}
