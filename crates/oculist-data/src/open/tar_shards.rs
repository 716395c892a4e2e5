//! WebDataset: tar files whose members `key.jpg` and `key.cls` (or `key.json`) make a sample.
//!
//! The headers are read once; an image's bytes are read from the tar where it lies, when it is asked for.
//!
//! # Source
//! The WebDataset format: members of a sample share the part of their path before the first dot of the base
//! name and follow each other. Here they need not be adjacent, but a key occurs once in a shard; keys with dots see
//! [`pair`].

mod index;
mod label;
mod pair;

use super::assemble::{
    ClassNames, Collected, Named, classes_file, file_name, files_ending_in, lost, note, splits_of,
};
use super::numbered::{check_parts, in_split_folders};
use crate::error::{Error, Result};
use crate::location::Shard;
use crate::manifest::is_image_name;
use crate::scan::Candidate;
use crate::{Dataset, Exclude, OpenOptions, Skipped, Split};
use index::Member;
use pair::Sample;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Up to this many shards are kept open.
const MAX_OPEN: usize = 128;

/// One tar file, a folder of them, or shards by a pattern.
pub(super) fn open(
    root: &Path,
    shards: &[PathBuf],
    splits: &[Split],
    options: &OpenOptions,
) -> Result<Dataset> {
    let mut samples = Vec::new();
    let mut skipped: Vec<Skipped> = check_parts(root, shards, options)?.into_iter().collect();
    for (path, &split) in shards.iter().zip(splits) {
        let file = oculist_files::open(path).map_err(Error::io(path))?;
        let members = index::index(path, &file, &mut skipped)?;
        let members = leave_out(path, members, &options.left_out, &mut skipped);
        let kept = shards.len() <= MAX_OPEN;
        let shard = Arc::new(Shard { path: path.clone(), file: kept.then_some(file) });
        samples.extend(
            pair::pair(&shard, members, options.task, &mut skipped).into_iter().map(|sample| (split, sample)),
        );
    }
    let folder = if root.is_dir() { root } else { root.parent().unwrap_or(Path::new("")) };
    // Numbers have names where a file gives them.
    let labels = || samples.iter().flat_map(|(_, sample)| &sample.labels);
    let numbers = labels().filter(|label| label.parse::<u32>().is_ok()).count();
    let names = if numbers * 2 > labels().count() { classes_file(folder)? } else { None };
    let mut classes = ClassNames::default();
    for name in names.iter().flatten() {
        classes.intern(name);
    }
    let mut named = Vec::with_capacity(samples.len());
    for (split, Sample { location, labels }) in samples {
        let class_of = |label: &String| {
            let name = match (&names, label.parse::<usize>()) {
                (Some(names), Ok(number)) => names.get(number),
                (Some(names), Err(_)) => names.iter().find(|name| *name == label),
                (None, _) => Some(label),
            };
            let name = name.ok_or_else(|| {
                let classes = names.as_ref().map_or(0, Vec::len);
                format!(
                    "expected a label below {classes}, as classes.txt names {classes} classes, found {label}"
                )
            })?;
            Ok(classes.intern(name))
        };
        match labels.iter().map(class_of).collect::<Result<Vec<u32>, String>>() {
            Ok(classes) => {
                let candidate = Candidate::claimed(location);
                named.push(Named { candidate, split, classes: classes.into() });
            }
            Err(reason) => skipped.push(lost(location.display_path(), reason)),
        }
    }
    let ordered = names.is_some();
    Collected::look_at(root, named, classes.names, ordered, skipped, options)?.into_dataset(options)
}

/// The members without those that the user leaves out; the label of an image that is left out goes with it.
fn leave_out(
    path: &Path,
    members: Vec<Member>,
    exclude: &Exclude,
    skipped: &mut Vec<Skipped>,
) -> Vec<Member> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut keys: BTreeSet<String> = BTreeSet::new();
    let mut kept = Vec::with_capacity(members.len());
    for member in members {
        match exclude.of_name(Path::new(&member.name)) {
            Some(pattern) => {
                if is_image_name(&member.name) {
                    *counts.entry(pattern).or_default() += 1;
                    keys.extend(Path::new(&member.name).with_extension("").to_str().map(str::to_owned));
                }
            }
            None => kept.push(member),
        }
    }
    let is_label = |name: &str| {
        let (stem, end) = name.rsplit_once('.').unwrap_or((name, ""));
        matches!(end.to_ascii_lowercase().as_str(), "cls" | "json") && keys.contains(stem)
    };
    kept.retain(|member| !is_label(&member.name));
    for (pattern, count) in counts {
        skipped.push(note(path, format!("{count} images left out by --exclude {pattern}")));
    }
    kept
}

/// All `*.tar` in a folder, with the split that each name begins with, or those in its folders of splits.
pub(super) fn open_folder(folder: &Path, options: &OpenOptions) -> Result<Dataset> {
    let shards = files_ending_in(folder, ".tar", &options.left_out)?;
    if shards.is_empty() {
        let found = in_split_folders(folder, ".tar", &options.left_out)?;
        let (shards, splits): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        return open(folder, &shards, &splits, options);
    }
    let splits = splits_of(folder, &shards)?;
    open(folder, &shards, &splits, options)
}

/// True if the folder itself holds tar files, or its folders of splits hold nothing else.
pub(super) fn is_tar_folder(folder: &Path, exclude: &Exclude) -> bool {
    files_ending_in(folder, ".tar", exclude).is_ok_and(|files| !files.is_empty())
        || in_split_folders(folder, ".tar", exclude).is_ok_and(|files| !files.is_empty())
}

/// The shards of a pattern such as `train-{000..009}.tar`; None if it is none.
///
/// # Errors
/// A pattern whose range is none; a shard that is not there.
pub(super) fn expand(path: &Path) -> Result<Option<Vec<PathBuf>>> {
    let name = file_name(path);
    let Some((before, (range, after))) =
        name.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    else {
        return Ok(None);
    };
    if !after.to_ascii_lowercase().ends_with(".tar") {
        return Ok(None);
    }
    let wrong = || Error::Layout {
        path: path.into(),
        expected: "one range of numbers in braces, as in {000..009}".into(),
        found: format!("{{{range}}}{after}"),
    };
    let (first, last) = range.split_once("..").ok_or_else(wrong)?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(first) || !digits(last) || after.contains('{') {
        return Err(wrong());
    }
    let (low, high): (u32, u32) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
    let width = first.len();
    // No one has a million shards; the range is not expanded before that is clear.
    if low > high || high - low >= 1_000_000 {
        return Err(wrong());
    }
    let shards: Vec<PathBuf> =
        (low..=high).map(|i| path.with_file_name(format!("{before}{i:0width$}{after}"))).collect();
    match shards.iter().find(|shard| !shard.is_file()) {
        Some(shard) => Err(Error::Missing { path: shard.clone() }),
        None => Ok(Some(shards)),
    }
}
