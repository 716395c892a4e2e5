//! A CSV or JSONL manifest as a data set.

use super::assemble::{ClassNames, Collected, Named, note};
use super::folder::listed;
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::location::Location;
use crate::manifest::{Manifest, read_manifest};
use crate::scan::Candidate;
use crate::{Dataset, OpenOptions, Skipped, Split};
use std::path::{Path, PathBuf};

/// Opens a manifest for classification; without splits, they are drawn.
pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Dataset> {
    let manifest = read_manifest(path)?;
    let splits: Vec<Split> = manifest.rows.iter().map(|row| row.split.unwrap_or(Split::Train)).collect();
    let mut listed = Listed::default();
    listed.add(&manifest, &splits)?;
    listed.into_dataset(path, options)
}

/// The files of one or more manifests: exactly one label a file.
#[derive(Default)]
pub(super) struct Listed {
    classes: ClassNames,
    named: Vec<Named>,
    /// The files so far, by where they really lie.
    identity: Identity<Place>,
    /// What is worth telling.
    pub(super) skipped: Vec<Skipped>,
}

/// Where a file is named, and as what.
#[derive(Clone)]
struct Place {
    list: PathBuf,
    line: u64,
    label: String,
    split: Split,
}

impl Listed {
    /// Adds the files of a manifest, with the split of each row.
    ///
    /// # Errors
    /// A row without label or with several; a file with two labels or in two splits, or that is not there.
    pub(super) fn add(&mut self, manifest: &Manifest, splits: &[Split]) -> Result<()> {
        let path = &manifest.path;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut repeats = Vec::new();
        let mut missing = Vec::new();
        for (row, &split) in manifest.rows.iter().zip(splits) {
            let wrong = |expected: &str, found: String| Error::Line {
                path: path.clone(),
                line: row.line,
                expected: expected.into(),
                found,
            };
            let [label] = &row.labels[..] else {
                let found = match row.labels.len() {
                    0 => "none".to_owned(),
                    n => format!("{n}: {}", row.labels.join("; ")),
                };
                return Err(wrong("exactly one label, as classification needs", found));
            };
            let file = folder.join(&row.file_name);
            let place = Place { list: path.clone(), line: row.line, label: label.clone(), split };
            if let Some(first) = self.identity.earlier(&file, place) {
                if first.label != *label || first.split != split {
                    let Place { list, line, label: other, split: first_split } = first;
                    let list = if list == *path { String::new() } else { format!(" of {}", list.display()) };
                    let found = format!(
                        "{} as {label} in {split}, but as {other} in {first_split} in line {line}{list}",
                        row.file_name
                    );
                    return Err(wrong("each file with one label and in one split", found));
                }
                repeats.push(format!("line {}", row.line));
                continue;
            }
            if !file.is_file() {
                missing.push((row.line, file));
                continue;
            }
            let candidate = Candidate::claimed(Location::File(file));
            self.named.push(Named { candidate, split, class: self.classes.intern(label) });
        }
        let count = missing.len();
        if let Some((line, file)) = missing.into_iter().next() {
            let (path, place) = (path.clone(), format!("line {line}"));
            return Err(Error::MissingFiles { path, place, file, count, total: manifest.rows.len() });
        }
        if !repeats.is_empty() {
            let text = format!("{} rows name a file that is named before, each read once: ", repeats.len());
            self.skipped.push(note(path, text + &listed(&repeats)));
        }
        if !manifest.ignored.is_empty() {
            self.skipped.push(note(path, format!("columns not used: {}", manifest.ignored.join(", "))));
        }
        Ok(())
    }

    /// Looks at every file.
    pub(super) fn into_dataset(self, root: &Path, options: &OpenOptions) -> Result<Dataset> {
        Collected::look_at(root, self.named, self.classes.names, false, self.skipped, options)?
            .into_dataset(options)
    }
}
