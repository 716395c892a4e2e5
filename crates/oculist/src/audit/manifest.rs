//! Manifests: lists of images with label and split, in CSV or JSON Lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use oculist_data::{ManifestRow, Split, is_manifest, label_field, name_field, read_manifest};
use serde::Serialize;

use super::absolute;
use crate::error::OculistError;
use crate::progress::Watch;

/// A row of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) path: PathBuf,
    pub(super) label: String,
    pub(super) split: Split,
}

/// How a manifest is written, by the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Csv,
    JsonLines,
}

impl Form {
    /// The form of the file that a manifest is written to.
    ///
    /// # Errors
    /// [`OculistError::Output`] for a name that would not be read as a manifest.
    pub(super) fn of(path: &Path) -> Result<Self, OculistError> {
        let end = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match end.as_str() {
            "csv" => Ok(Self::Csv),
            _ if is_manifest(path) => Ok(Self::JsonLines),
            _ => Err(OculistError::Output {
                path: path.into(),
                problem: "expected a manifest named *.csv, *.jsonl or *.ndjson".into(),
            }),
        }
    }
}

/// A row in JSON Lines.
#[derive(Serialize)]
struct Line<'a> {
    file_name: &'a str,
    label: &'a str,
    split: &'a str,
}

/// The manifest as text: `file_name`, `label` and `split`.
///
/// File names are relative to the manifest's folder where they lie below it, with `/` between folders, and absolute
/// elsewhere.
///
/// # Errors
/// [`OculistError::Image`] for a name that is not Unicode, and for a class without a name.
pub(super) fn to_text(rows: &[Row], manifest: &Path, form: Form) -> Result<String, OculistError> {
    let folder = manifest.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let folder = absolute(folder);
    let mut folders: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    let mut text = String::new();
    if form == Form::Csv {
        text.push_str("file_name,label,split\n");
    }
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
        match form {
            Form::Csv => {
                let (name, label) = (name_field(&name), label_field(&row.label));
                let _ = writeln!(text, "{},{},{}", quoted(&name), quoted(&label), row.split);
            }
            Form::JsonLines => {
                let line = Line { file_name: &name, label: &row.label, split: row.split.name() };
                text.push_str(&serde_json::to_string(&line).unwrap_or_default());
                text.push('\n');
            }
        }
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

/// Files and the one label of each, from a manifest; how it was understood is told.
///
/// # Errors
/// [`OculistError::Data`] if it cannot be read; [`OculistError::Setting`] for a name that is that of no manifest, a row that
/// does not say what it must, and one without label or with several.
pub(super) fn approved_labels(
    file: &Path,
    watch: &mut Watch<'_>,
) -> Result<Vec<(String, String)>, OculistError> {
    let wrong = |problem: String| OculistError::Setting {
        name: file.display().to_string().into(),
        problem: problem.into(),
    };
    if !is_manifest(file) {
        return Err(wrong("expected a list named *.csv, *.jsonl or *.ndjson".into()));
    }
    let manifest = read_manifest(file)?;
    if let Some(bad) = manifest.bad.first() {
        return Err(wrong(format!("line {}: {}", bad.line, bad.reason)));
    }
    for note in &manifest.notes {
        watch.note(&format!("{}: {note}", file.display()));
    }
    let one_label = |row: ManifestRow| match <[String; 1]>::try_from(row.labels) {
        Ok([label]) => Ok((row.file_name, label)),
        Err(labels) => Err(wrong(format!("line {}: expected one label, found {}", row.line, labels.len()))),
    };
    manifest.rows.into_iter().map(one_label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    fn approved(file: &Path) -> Result<Vec<(String, String)>, OculistError> {
        let stop = AtomicBool::new(false);
        approved_labels(file, &mut Watch { observer: &mut |_| {}, stop: &stop })
    }

    #[test]
    fn fields_survive_writing() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a, b");
        std::fs::create_dir(&below).unwrap();
        let row = |path: PathBuf, label: &str| Row { path, label: label.into(), split: Split::Val };
        let rows = [
            row(below.join("x\"y.png"), "one\ntwo"),
            row("/nowhere/z.png".into(), " plain "),
            row(below.join("é.png"), "é"),
        ];
        let text = to_text(&rows, &folder.path().join("m.csv"), Form::Csv).unwrap();
        let expected = "file_name,label,split\n\"a, b/x\"\"y.png\",\"one\\\ntwo\",val\n\
                        /nowhere/z.png,\\ plain\\ ,val\n\"a, b/é.png\",é,val\n";
        assert_eq!(text.replace("\"\\ plain\\ \"", "\\ plain\\ "), expected, "spaces at the ends are kept");
        let text = to_text(&rows[1..2], &folder.path().join("m.jsonl"), Form::JsonLines).unwrap();
        assert_eq!(text, "{\"file_name\":\"/nowhere/z.png\",\"label\":\" plain \",\"split\":\"val\"}\n");
    }

    /// Whatever classes and files are called, the reader of manifests gives it back from each form.
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
        for list in ["list.csv", "list.jsonl", "list.NDJSON"].map(|name| root.join(name)) {
            let text = to_text(&rows, &list, Form::of(&list).unwrap()).unwrap();
            std::fs::write(&list, &text).unwrap();
            let manifest = oculist_data::read_manifest(&list).unwrap();
            assert_eq!((manifest.rows.len(), manifest.bad.len()), (rows.len(), 0));
            for ((row, read), (file, label)) in rows.iter().zip(&manifest.rows).zip(approved(&list).unwrap())
            {
                assert_eq!((read.labels.as_slice(), &label), ([row.label.clone()].as_slice(), &row.label));
                assert_eq!(read.split, Some(Split::Train));
                assert_eq!(
                    (root.join(&read.file_name), root.join(file)),
                    (row.path.clone(), row.path.clone())
                );
            }
        }
        // A field that is merely put in quotes is not read back, nor is one form by the name of the other.
        let list = root.join("list.csv");
        std::fs::write(&list, "file_name,label,split\na.png,nuts; bolts,train\n").unwrap();
        assert_ne!(oculist_data::read_manifest(&list).unwrap().rows[0].labels, ["nuts; bolts"]);
        let text = to_text(&rows, &list, Form::JsonLines).unwrap();
        std::fs::write(&list, text).unwrap();
        assert!(oculist_data::read_manifest(&list).is_err());
        for wrong in ["list.txt", "list", "list.tsv", "list.json"] {
            let error = Form::of(&root.join(wrong)).unwrap_err().to_string();
            assert!(error.contains("*.csv, *.jsonl or *.ndjson"), "{error}");
        }
    }

    #[test]
    fn approved_labels_are_read_as_every_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m.csv");
        for text in [
            "x,label,file_name\n1,cat,a.png\n",
            "Path;Class\r\na.png;cat\r\n",
            "Image\tcategory\na.png\tcat\n",
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(approved(&file).unwrap(), [("a.png".to_owned(), "cat".to_owned())], "{text}");
        }
        let message = |text: &str| {
            std::fs::write(&file, text).unwrap();
            approved(&file).unwrap_err().to_string()
        };
        assert!(message("file_name,colour\n").contains("the columns file_name and label"));
        assert!(message("").contains("an empty file"));
        assert!(
            message("file_name,label\r\na.png,cat\r\nb.png,cat;dog\r\n")
                .contains("line 3: expected one label, found 2")
        );
        assert!(message("file_name,label\r\na.png,cat\r\n,dog\r\n").contains("line 3"));
        // A quote left open would take the rows behind it.
        let text = message("file_name,label\na.png,cat\nb.png,\"dog\nc.png,cat\n");
        assert!(text.contains("line 3: expected the quote that opens in row 2 to be closed"), "{text}");
        assert!(approved(&folder.path().join("m.txt")).unwrap_err().to_string().contains("*.csv"));
    }
}
