//! A CSV or JSONL manifest as a data set.

use super::assemble::{ClassNames, Collected, Named, note};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::manifest::read_manifest;
use crate::scan::Candidate;
use crate::{Dataset, OpenOptions, Split};
use std::collections::BTreeMap;
use std::path::Path;

/// Opens a manifest for classification: exactly one label a file.
pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Dataset> {
    let manifest = read_manifest(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut classes = ClassNames::default();
    let mut named = Vec::with_capacity(manifest.rows.len());
    let mut lines = BTreeMap::new();
    let mut missing = Vec::new();
    for row in &manifest.rows {
        let wrong = |expected: &str, found: String| Error::Line {
            path: path.into(),
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
        if let Some(first) = lines.insert(&row.file_name, row.line) {
            return Err(wrong("each file once", format!("{}, also in line {first}", row.file_name)));
        }
        let file = folder.join(&row.file_name);
        if !file.is_file() {
            missing.push((row.line, file));
            continue;
        }
        named.push(Named {
            candidate: Candidate::claimed(Location::File(file)),
            split: row.split.unwrap_or(Split::Train),
            class: classes.intern(label),
        });
    }
    let count = missing.len();
    if let Some((line, file)) = missing.into_iter().next() {
        let (path, place) = (path.into(), format!("line {line}"));
        return Err(Error::MissingFiles { path, place, file, count, total: manifest.rows.len() });
    }
    let mut skipped = Vec::new();
    if !manifest.ignored.is_empty() {
        skipped.push(note(path, format!("columns not used: {}", manifest.ignored.join(", "))));
    }
    Collected::look_at(path, named, classes.names, false, skipped, options)?.into_dataset(options)
}
