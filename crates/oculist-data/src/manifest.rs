//! Lists of labelled files in CSV or JSON Lines.
//!
//! ```text
//! file_name,label,split
//! images/0001.jpg,cat,train
//! images/0002.jpg,dog;puppy,test
//! ```
//!
//! `file_name` is relative to the manifest's folder. `split` (train, val or validation, test) is optional, but
//! then every row has it. Several labels are separated by `;` in CSV (`\\;` is a `;` in a label, as
//! [`label_field`](crate::label_field) writes it) and are a list in JSON Lines
//! (`{"file_name": "images/0002.jpg", "label": ["dog", "puppy"]}`). The column names are those of Hugging
//! Face's image folders; other names that people use ([`columns`]) are understood and told.
//!
//! Where images may have several labels, more forms are understood ([`several`]).
//!
//! A row that does not say what it must is no reason to refuse the others: it is listed in [`Manifest::bad`], and whoever
//! needs the rows decides how many of these are too many. What cannot be told apart into rows any more, such as a quote
//! that is never closed, is an error.

mod columns;
mod csv_rows;
mod json_lines;
mod marks;
mod quotes;
mod several;
mod swallowed;

pub(crate) use columns::is_image_name;

use crate::error::{Error, Result, shortened};
use crate::limits::{MAX_MANIFEST, MAX_ROW, MAX_SAMPLES, is_utf16, open_bounded};
use crate::{OpenOptions, Split, Task};
use several::Several;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

/// A parsed manifest. Files need not exist, and a row may have several labels or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The manifest itself.
    pub path: PathBuf,
    /// The rows in their order.
    pub rows: Vec<ManifestRow>,
    /// Rows that do not say what they must, in their order.
    pub bad: Vec<BadRow>,
    /// Names of further columns, which mean nothing here.
    pub ignored: Vec<String>,
    /// How the manifest was understood, where that was a choice.
    pub notes: Vec<String>,
    /// The classes, where the list declares them, as columns of 0 and 1 do.
    pub classes: Option<Vec<String>>,
    /// The further column whose values were asked for.
    pub(crate) wanted: Option<String>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestRow {
    /// The line it begins in, from 1.
    pub line: u64,
    /// The file, as written.
    pub file_name: String,
    /// The labels, without spaces around them.
    pub labels: Vec<String>,
    /// The split, if the manifest has splits.
    pub split: Option<Split>,
    /// The value of the column that [`read_manifest_with`] was asked for; None where it is empty.
    pub wanted: Option<String>,
}

/// A row that is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// The line it begins in, from 1.
    pub line: u64,
    /// What was expected and what was found.
    pub reason: String,
}

/// True for the names that [`read_manifest`] reads: `*.csv`, `*.jsonl`, `*.ndjson`.
pub fn is_manifest(path: &Path) -> bool {
    matches!(ending(path).as_str(), "csv" | "jsonl" | "ndjson")
}

fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}

/// Reads a manifest: CSV with a header if the name ends in `.csv`, else JSON Lines.
///
/// CSV may be separated by commas, semicolons or tabs; the header tells. Memory is bounded by the file's size, and no
/// row is longer than a mebibyte.
///
/// # Errors
/// A missing or ambiguous column, a quote that is never closed, a row or a file over its limit, UTF-16.
pub fn read_manifest(path: &Path) -> Result<Manifest> {
    read(path, None, None)
}

/// As [`read_manifest`], as the options say: with [`Task::MultiLabel`], the form in which rows name several labels is found
/// out and told in [`Manifest::notes`]; see [`LabelForm`](crate::LabelForm).
///
/// # Errors
/// As for [`read_manifest`], and where labels can be read in two ways.
pub fn read_manifest_for(path: &Path, options: &OpenOptions) -> Result<Manifest> {
    let several = (options.task == Task::MultiLabel)
        .then(|| Several { form: options.label_form, ..Several::default() });
    read(path, None, several)
}

/// As [`read_manifest`], with the values of a further column in [`ManifestRow::wanted`].
///
/// # Errors
/// As for [`read_manifest`], and a column that is not there.
pub fn read_manifest_with(path: &Path, column: &str) -> Result<Manifest> {
    read(path, Some(column), None)
}

fn read(path: &Path, wanted: Option<&str>, mut several: Option<Several>) -> Result<Manifest> {
    let (mut file, _) = open_bounded(path, MAX_MANIFEST, "a manifest")?;
    // The header lies in what a row may have at most.
    let mut start = Vec::new();
    file.by_ref().take(MAX_ROW as u64).read_to_end(&mut start).map_err(Error::io(path))?;
    if is_utf16(&start) {
        return Err(line_error(path, 1, "text in UTF-8", "UTF-16 (save the file as UTF-8)"));
    }
    if start.starts_with(b"\xef\xbb\xbf") {
        start.drain(..3);
    }
    let mut manifest = Manifest {
        path: path.into(),
        rows: Vec::new(),
        bad: Vec::new(),
        ignored: Vec::new(),
        notes: Vec::new(),
        classes: None,
        wanted: wanted.map(str::to_owned),
    };
    if ending(path) == "csv" {
        csv_rows::read(&mut manifest, several.as_mut(), &start, file)?;
    } else {
        json_lines::read(&mut manifest, several.as_mut(), Cursor::new(start).chain(file))?;
    }
    if let Some(several) = several {
        several.settle(&mut manifest)?;
    }
    // A split is a matter of all rows or of none.
    if manifest.rows.iter().any(|row| row.split.is_some()) {
        let (rows, without): (Vec<_>, Vec<_>) =
            std::mem::take(&mut manifest.rows).into_iter().partition(|row| row.split.is_some());
        manifest.rows = rows;
        let bad = |row: ManifestRow| bad_row(row.line, "a split as in the other rows", "none");
        manifest.bad.extend(without.into_iter().map(bad));
        manifest.bad.sort_by_key(|row| row.line);
    }
    Ok(manifest)
}

impl Manifest {
    /// Adds a row or the reason why it is none.
    ///
    /// # Errors
    /// More rows than a manifest may have.
    fn push(&mut self, row: std::result::Result<ManifestRow, BadRow>, labels: &mut usize) -> Result<()> {
        match row {
            Ok(row) => {
                // A row of nothing but separators has many labels.
                *labels += row.labels.len().max(1);
                self.rows.push(row);
            }
            Err(bad) => {
                *labels += 1;
                self.bad.push(bad);
            }
        }
        self.check_labels(*labels)
    }

    /// # Errors
    /// More labels than a manifest may have.
    fn check_labels(&self, labels: usize) -> Result<()> {
        if labels > MAX_SAMPLES {
            return Err(Error::Layout {
                path: self.path.clone(),
                expected: format!("a manifest of at most {MAX_SAMPLES} rows and labels"),
                found: "more".into(),
            });
        }
        Ok(())
    }
}

fn line_error(path: &Path, line: u64, expected: &str, found: impl Into<String>) -> Error {
    Error::Line { path: path.into(), line, expected: expected.into(), found: shortened(&found.into()) }
}

fn bad_row(line: u64, expected: &str, found: impl AsRef<str>) -> BadRow {
    BadRow { line, reason: format!("expected {expected}, found {}", shortened(found.as_ref())) }
}

fn split(line: u64, text: &str) -> std::result::Result<Split, BadRow> {
    Split::parse(text).ok_or_else(|| bad_row(line, "the split train, val or test", format!("\"{text}\"")))
}

fn named_file(line: u64, name: &str) -> std::result::Result<String, BadRow> {
    if name.is_empty() {
        return Err(bad_row(line, "a file name", "an empty one"));
    }
    Ok(name.to_owned())
}
