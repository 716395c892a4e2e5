//! Manifests: CSV files of images with label and split.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use oculist_data::{Split, label_field, labels_of, name_field, name_of};

use super::absolute;
use crate::error::OculistError;

/// A row of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) path: PathBuf,
    pub(super) label: String,
    pub(super) split: Split,
}

/// The manifest as text: `file_name,label,split`.
///
/// File names are relative to the manifest's folder where they lie below it, with `/` between folders, and absolute
/// elsewhere.
///
/// # Errors
/// [`OculistError::Image`] for a name that is not Unicode, and for a class without a name.
pub(super) fn to_csv(rows: &[Row], manifest: &Path) -> Result<String, OculistError> {
    let folder = manifest.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let folder = absolute(folder);
    let mut folders: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    let mut text = String::from("file_name,label,split\n");
    for row in rows {
        // Links are followed in the folder only: a link to a file is the file that was meant.
        let parent = row.path.parent().unwrap_or_else(|| Path::new("")).to_path_buf();
        let parent = folders.entry(parent.clone()).or_insert_with(|| {
            absolute(if parent.as_os_str().is_empty() { Path::new(".") } else { &parent })
        });
        let whole = parent.join(row.path.file_name().unwrap_or_default());
        let name = whole.strip_prefix(&folder).unwrap_or(&whole);
        let name = name.to_str().ok_or_else(|| OculistError::Image {
            path: row.path.clone(),
            problem: "the name is not Unicode, which a manifest must be".into(),
        })?;
        let name = if cfg!(windows) { name.replace('\\', "/") } else { name.to_owned() };
        if row.label.is_empty() {
            let problem = "its class has no name, which a manifest cannot say".into();
            return Err(OculistError::Image { path: row.path.clone(), problem });
        }
        let (name, label) = (name_field(&name), label_field(&row.label));
        let _ = writeln!(text, "{},{},{}", quoted(&name), quoted(&label), row.split);
    }
    Ok(text)
}

/// A field of a CSV file, in quotes if it must be.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) || field.trim() != field {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// The records of a CSV file after RFC 4180, the head first; empty lines are left out.
pub(super) fn read_csv(text: &str) -> Vec<Vec<String>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut inside, mut was_quoted) = (false, false);
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '"' if inside && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if inside => inside = false,
            '"' if field.is_empty() => (inside, was_quoted) = (true, true),
            ',' if !inside => record.push(std::mem::take(&mut field)),
            '\r' if !inside && letters.peek() == Some(&'\n') => {}
            '\n' if !inside => {
                record.push(std::mem::take(&mut field));
                if record.len() > 1 || !record[0].is_empty() || was_quoted {
                    records.push(std::mem::take(&mut record));
                }
                record.clear();
                was_quoted = false;
            }
            c => field.push(c),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push(record);
    }
    records
}

/// Two columns of a CSV file, by their names in its head, with the number of each record.
///
/// # Errors
/// [`OculistError::Option`] naming the file, if a column is missing or a record is short; [`OculistError::Data`] if a quote
/// is never closed.
pub(super) fn two_columns(
    text: &str,
    file: &Path,
    columns: [&str; 2],
) -> Result<Vec<(String, String)>, OculistError> {
    let wrong = |problem: String| OculistError::Option { option: file.display().to_string(), problem };
    oculist_data::check_csv_quotes(file, text)?;
    let mut records = read_csv(text).into_iter();
    let head = records.next().unwrap_or_default();
    let find = |name: &str| {
        head.iter().position(|column| column.trim() == name).ok_or_else(|| {
            wrong(format!(
                "expected a column {name}, found {}",
                if head.is_empty() { "an empty file".into() } else { head.join(", ") }
            ))
        })
    };
    let (first, second) = (find(columns[0])?, find(columns[1])?);
    let mut rows = Vec::new();
    for (number, record) in records.enumerate() {
        match (record.get(first), record.get(second)) {
            (Some(a), Some(b)) => rows.push((field_of(columns[0], a), field_of(columns[1], b))),
            _ => {
                return Err(wrong(format!(
                    "expected {} fields in record {}, found {}",
                    head.len(),
                    number + 1,
                    record.len()
                )));
            }
        }
    }
    Ok(rows)
}

/// A cell as manifests mean it: names and labels without the spaces around them and the backslashes that keep some.
fn field_of(column: &str, cell: &str) -> String {
    match (column, &labels_of(cell)[..]) {
        ("file_name", _) => name_of(cell),
        ("label", [label]) => label.clone(),
        _ => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_survive_writing_and_reading() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a, b");
        std::fs::create_dir(&below).unwrap();
        let row = |path: PathBuf, label: &str| Row { path, label: label.into(), split: Split::Val };
        let rows = [
            row(below.join("x\"y.png"), "one\ntwo"),
            row("/nowhere/z.png".into(), " plain "),
            row(below.join("é.png"), "é"),
        ];
        let text = to_csv(&rows, &folder.path().join("m.csv")).unwrap();
        let records = read_csv(&text);
        assert_eq!(records[0], ["file_name", "label", "split"]);
        assert_eq!(records[1], ["a, b/x\"y.png", "one\ntwo", "val"]);
        assert_eq!(records[2], ["/nowhere/z.png", "\\ plain\\ ", "val"], "spaces at the ends are kept");
        assert_eq!(records[3], ["a, b/é.png", "é", "val"]);
        assert_eq!(
            read_csv("\u{feff}a,b\r\n\r\n1,\"\"\r\n\"\"\n,2"),
            [vec!["a", "b"], vec!["1", ""], vec![""], vec!["", "2"]]
        );
    }

    /// Whatever classes and files are called, the reader of manifests and that of single columns give it back.
    #[test]
    fn every_name_is_read_back() {
        const LETTERS: [char; 14] =
            ['a', '1', ';', '\\', ' ', '\t', '\n', ',', '"', '\'', '%', '\u{e9}', '\u{301}', '\u{1f600}'];
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let mut rng = oculist_augment::Rng::keyed(&[14]);
        let mut name =
            |len: usize| -> String { (0..len).map(|_| LETTERS[rng.below(LETTERS.len())]).collect() };
        let mut rows: Vec<Row> = (0..2000)
            .map(|i| Row { path: root.join(name(1 + i % 6)), label: name(1 + i % 5), split: Split::Train })
            .collect();
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        rows.dedup_by(|a, b| a.path == b.path);
        let list = root.join("list.csv");
        let text = to_csv(&rows, &list).unwrap();
        std::fs::write(&list, &text).unwrap();
        let manifest = oculist_data::read_manifest(&list).unwrap();
        assert_eq!(manifest.rows.len(), rows.len());
        let columns = two_columns(&text, &list, ["file_name", "label"]).unwrap();
        for ((row, read), (file, label)) in rows.iter().zip(&manifest.rows).zip(&columns) {
            assert_eq!((read.labels.as_slice(), label), ([row.label.clone()].as_slice(), &row.label));
            assert_eq!((root.join(&read.file_name), root.join(file)), (row.path.clone(), row.path.clone()));
        }
        // A field that is merely put in quotes is not read back.
        std::fs::write(&list, "file_name,label,split\na.png,nuts; bolts,train\n").unwrap();
        assert_ne!(oculist_data::read_manifest(&list).unwrap().rows[0].labels, ["nuts; bolts"]);
    }

    #[test]
    fn columns_are_found_by_name() {
        let found =
            two_columns("x,label,file_name\n1,cat,a.png\n", Path::new("m.csv"), ["file_name", "label"]);
        assert_eq!(found.unwrap(), [("a.png".to_owned(), "cat".to_owned())]);
        let message =
            |text| two_columns(text, Path::new("m.csv"), ["file_name", "label"]).unwrap_err().to_string();
        assert_eq!(message("file_name,class\n"), "m.csv: expected a column label, found file_name, class");
        assert_eq!(message(""), "m.csv: expected a column file_name, found an empty file");
        assert_eq!(message("file_name,label\na.png\n"), "m.csv: expected 2 fields in record 1, found 1");
        // A quote left open would take the rows behind it.
        let text = message("file_name,label\na.png,cat\nb.png,\"dog\nc.png,cat\n");
        assert!(
            text.contains("m.csv, line 3: expected the quote that opens in row 2 to be closed"),
            "{text}"
        );
    }
}
