//! Lists of labelled files in CSV or JSON Lines.
//!
//! ```text
//! file_name,label,split
//! images/0001.jpg,cat,train
//! images/0002.jpg,dog;puppy,test
//! ```
//!
//! `file_name` is relative to the manifest's folder. `split` (train, val or validation, test) is optional, but
//! then every line has it. Several labels are separated by `;` in CSV (`\;` is a `;` in a label, as
//! [`label_field`](crate::label_field) writes it) and are a list in JSON Lines
//! (`{"file_name": "images/0002.jpg", "label": ["dog", "puppy"]}`). The column names are those of Hugging
//! Face's image folders.

use crate::Split;
use crate::error::{Error, Result, shortened};
use crate::label_field::{labels_of, name_of};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A parsed manifest. Files need not exist, and a row may have several labels or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The manifest itself.
    pub path: PathBuf,
    /// The rows in their order.
    pub rows: Vec<ManifestRow>,
    /// Names of further columns, which mean nothing here.
    pub ignored: Vec<String>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestRow {
    /// The line it begins in, from 1.
    pub line: u64,
    /// The file, as written.
    pub file_name: String,
    /// The labels; those of CSV without the spaces around them.
    pub labels: Vec<String>,
    /// The split, if the manifest has splits.
    pub split: Option<Split>,
}

/// True for the names that [`read_manifest`] reads: `*.csv`, `*.jsonl`, `*.ndjson`.
pub(crate) fn is_manifest(path: &Path) -> bool {
    matches!(ending(path).as_str(), "csv" | "jsonl" | "ndjson")
}

fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}

/// Reads a manifest: CSV with a header if the name ends in `.csv`, else JSON Lines.
///
/// # Errors
/// A missing column, a row with too few or too many fields, a value that is none, an unknown split, text that
/// is no UTF-8; each with its line.
pub fn read_manifest(path: &Path) -> Result<Manifest> {
    let bytes = oculist_files::read(path).map_err(Error::io(path))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut manifest = Manifest { path: path.into(), rows: Vec::new(), ignored: Vec::new() };
    let parse = if ending(path) == "csv" { read_csv } else { read_jsonl };
    parse(&mut manifest, bytes)?;
    let with_split = manifest.rows.iter().filter(|row| row.split.is_some()).count();
    if let (true, Some(row)) = (with_split > 0, manifest.rows.iter().find(|row| row.split.is_none())) {
        return Err(line_error(path, row.line, "a split as in the other rows", "none"));
    }
    Ok(manifest)
}

fn line_error(path: &Path, line: u64, expected: &str, found: impl Into<String>) -> Error {
    Error::Line { path: path.into(), line, expected: expected.into(), found: shortened(&found.into()) }
}

fn split(path: &Path, line: u64, text: &str) -> Result<Split> {
    Split::parse(text)
        .ok_or_else(|| line_error(path, line, "the split train, val or test", format!("\"{text}\"")))
}

fn read_csv(manifest: &mut Manifest, bytes: &[u8]) -> Result<()> {
    let path = manifest.path.clone();
    let broken = |err: csv::Error| match err.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => line_error(
            &path,
            pos.as_ref().map_or(0, csv::Position::line),
            &format!("{expected_len} fields as in the header"),
            len.to_string(),
        ),
        csv::ErrorKind::Utf8 { pos, .. } => {
            line_error(&path, pos.as_ref().map_or(0, csv::Position::line), "UTF-8", "other bytes")
        }
        _ => Error::Layout { path: path.clone(), expected: "CSV".into(), found: err.to_string() },
    };
    let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
    let header: Vec<String> =
        reader.headers().map_err(broken)?.iter().map(|name| name.trim().to_owned()).collect();
    let column = |name: &str| header.iter().position(|column| column == name);
    let needed = |name: &str| {
        let expected = "a header with the columns file_name and label";
        let found = if header.is_empty() { "an empty file".to_owned() } else { header.join(", ") };
        column(name).ok_or_else(|| line_error(&path, 1, expected, found))
    };
    let (file_name, label, split_column) = (needed("file_name")?, needed("label")?, column("split"));
    if let Some(twice) = (1..header.len()).find(|&i| header[..i].contains(&header[i])) {
        return Err(line_error(&path, 1, "each column once", format!("\"{}\" twice", header[twice])));
    }
    let known = [Some(file_name), Some(label), split_column];
    let others = header.iter().enumerate().filter(|(i, _)| !known.contains(&Some(*i)));
    manifest.ignored = others.map(|(_, name)| name.clone()).collect();
    for record in reader.records() {
        let record = record.map_err(broken)?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |i: usize| record.get(i).unwrap_or_default();
        manifest.rows.push(ManifestRow {
            line,
            file_name: named_file(&path, line, &name_of(field(file_name)))?,
            labels: labels_of(field(label)),
            split: split_column.map(|i| split(&path, line, field(i))).transpose()?,
        });
    }
    Ok(())
}

fn named_file(path: &Path, line: u64, name: &str) -> Result<String> {
    if name.is_empty() {
        return Err(line_error(path, line, "a file name", "an empty one"));
    }
    Ok(name.to_owned())
}

fn read_jsonl(manifest: &mut Manifest, bytes: &[u8]) -> Result<()> {
    let path = manifest.path.clone();
    let mut ignored = BTreeSet::new();
    for (i, text) in bytes.split(|&b| b == b'\n').enumerate() {
        let line = i as u64 + 1;
        if text.trim_ascii().is_empty() {
            continue;
        }
        let object = match serde_json::from_slice(text) {
            Ok(Value::Object(object)) => object,
            Ok(other) => return Err(line_error(&path, line, "a JSON object", other.to_string())),
            Err(err) => return Err(line_error(&path, line, "a JSON object", format!("broken JSON ({err})"))),
        };
        let keys = || object.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let needed = |name: &str| {
            object.get(name).ok_or_else(|| line_error(&path, line, &format!("the key {name}"), keys()))
        };
        let Value::String(file_name) = needed("file_name")? else {
            return Err(line_error(&path, line, "file_name to be text", object["file_name"].to_string()));
        };
        let labels = match needed("label")? {
            Value::Array(labels) => labels.iter().map(|label| one_label(&path, line, label)).collect(),
            label => one_label(&path, line, label).map(|label| vec![label]),
        }?;
        let split = match object.get("split") {
            Some(Value::String(text)) => Some(split(&path, line, text)?),
            Some(other) => return Err(line_error(&path, line, "split to be text", other.to_string())),
            None => None,
        };
        for key in object.keys().filter(|key| !matches!(key.as_str(), "file_name" | "label" | "split")) {
            if !ignored.contains(key) {
                ignored.insert(key.clone());
            }
        }
        let file_name = named_file(&path, line, file_name)?;
        manifest.rows.push(ManifestRow { line, file_name, labels, split });
    }
    manifest.ignored = ignored.into_iter().collect();
    Ok(())
}

fn one_label(path: &Path, line: u64, label: &Value) -> Result<String> {
    match label {
        // JSON says where a text begins and ends.
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        other => Err(line_error(
            path,
            line,
            "a label (text or a whole number, or a list of them)",
            other.to_string(),
        )),
    }
}
