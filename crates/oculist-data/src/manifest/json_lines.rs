//! Manifests in JSON Lines.

use super::columns::{Column, FILE, LABEL, SPLIT, wanted_column};
use super::several::{Raw, Several};
use super::{BadRow, Manifest, ManifestRow, bad_row, line_error, named_file, split};
use crate::error::{Error, Result};
use crate::limits::MAX_ROW;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};

/// Most names of unused keys that are kept for the message about them.
const MAX_IGNORED: usize = 1000;

/// Reads all rows.
pub(super) fn read(
    manifest: &mut Manifest,
    mut several: Option<&mut Several>,
    file: impl Read,
) -> Result<()> {
    let path = manifest.path.clone();
    let wanted = manifest.wanted.clone();
    let mut known = false;
    let mut reader = BufReader::new(file);
    let (mut ignored, mut renamed) = (BTreeSet::new(), BTreeSet::new());
    let (mut text, mut line, mut labels, mut first) = (Vec::new(), 0, 0, true);
    loop {
        text.clear();
        line += 1;
        let limit = MAX_ROW as u64 + 1;
        if reader.by_ref().take(limit).read_until(b'\n', &mut text).map_err(Error::io(&path))? == 0 {
            break;
        }
        // One array with all rows is another format, and no row that is wrong.
        let array = text.trim_ascii_start().strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
        if first && array.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"{")) {
            let found = "a JSON array (write each of its objects in a line of its own)";
            return Err(line_error(&path, line, "JSON Lines, with a JSON object in each line", found));
        }
        if text.len() > MAX_ROW {
            let expected = format!("a row of at most {MAX_ROW} bytes");
            return Err(line_error(&path, line, &expected, "more"));
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        first = false;
        let row = row(&text, line, wanted.as_deref(), several.as_deref_mut(), &mut ignored, &mut renamed);
        if let (Some(several), Ok(_)) = (several.as_deref_mut(), &row) {
            several.marks.end_row(manifest)?;
        }
        manifest.push(row, &mut labels)?;
        known |= manifest.rows.last().is_some_and(|row| row.wanted.is_some());
    }
    if let (Some(name), false) = (&wanted, known) {
        return Err(line_error(&path, 1, &format!("the key {name} in some row"), "none"));
    }
    manifest.ignored = ignored.into_iter().collect();
    manifest.notes.extend(renamed);
    Ok(())
}

fn row(
    text: &[u8],
    line: u64,
    wanted: Option<&str>,
    several: Option<&mut Several>,
    ignored: &mut BTreeSet<String>,
    renamed: &mut BTreeSet<String>,
) -> Result<ManifestRow, BadRow> {
    let object = match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => object,
        Ok(other) => return Err(bad_row(line, "a JSON object", other.to_string())),
        Err(err) => return Err(bad_row(line, "a JSON object", format!("broken JSON ({err})"))),
    };
    let names: Vec<String> = object.keys().cloned().collect();
    let find = |column: &Column| {
        let expected = format!("one key for {} (or one that is called so)", column.name);
        column.find(&names).map_err(|found| bad_row(line, &expected, found))
    };
    let needed = |column: &Column| {
        let found = find(column)?;
        found.ok_or_else(|| bad_row(line, &format!("the key {}", column.name), names.join(", ")))
    };
    let file = needed(&FILE)?;
    // Where images may have several labels, each class may have a key of its own.
    let label = find(&LABEL)?;
    if label.is_none() && several.is_none() {
        let hint = if names.len() > 2 { " (or a key for each class: --task multi-label)" } else { "" };
        return Err(bad_row(line, &format!("the key {}{hint}", LABEL.name), names.join(", ")));
    }
    // Where another name happens to be that of a column of splits, only a split counts.
    let split_key = find(&SPLIT)?.filter(|&at| SPLIT.is_called(&names[at]) || is_split(&object, &names[at]));
    let Value::String(file_name) = &object[&names[file]] else {
        return Err(bad_row(line, "file_name to be text", object[&names[file]].to_string()));
    };
    let labels = match label.map(|at| &object[&names[at]]) {
        Some(Value::Array(labels)) => labels.iter().map(|label| one_label(line, label)).collect(),
        Some(Value::Null) if several.is_some() => Ok(Vec::new()),
        Some(Value::String(text)) if several.is_some() && text.trim().is_empty() => Ok(Vec::new()),
        Some(label) => one_label(line, label).map(|label| vec![label]),
        None => Ok(Vec::new()),
    }?;
    let split = match split_key.map(|at| &object[&names[at]]) {
        Some(Value::String(text)) => Some(split(line, text)?),
        Some(other) => return Err(bad_row(line, "split to be text", other.to_string())),
        None => None,
    };
    for (place, column) in [(Some(file), FILE), (label, LABEL), (split_key, SPLIT)] {
        if let Some(name) = place.map(|at| &names[at]).filter(|name| !column.is_called(name)) {
            let note = format!("the key \"{name}\" is read as {}", column.name);
            if !renamed.contains(&note) {
                renamed.insert(note);
            }
        }
    }
    for (i, name) in names.iter().enumerate() {
        let used = i == file || label == Some(i) || split_key == Some(i);
        if !used && !ignored.contains(name) && ignored.len() < MAX_IGNORED {
            ignored.insert(name.clone());
        }
    }
    // A row may lack the key, as many writers leave out what is empty.
    let wanted =
        wanted.and_then(|name| wanted_column(name, &names).ok()).and_then(|at| match &object[&names[at]] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            other => Some(other.to_string()),
        });
    let file_name = named_file(line, file_name)?;
    if let Some(several) = several {
        let further = |&at: &usize| at != file && label != Some(at) && split_key != Some(at);
        for name in (0..names.len()).filter(further).map(|at| &names[at]) {
            match &object[name] {
                Value::String(text) => several.marks.cell(name, text),
                Value::Null => several.marks.cell(name, ""),
                other => several.marks.cell(name, &other.to_string()),
            }
        }
        several.raw.push(label.map(|at| match (&object[&names[at]], &labels[..]) {
            (Value::Array(_), _) => Raw::List(labels.clone()),
            (_, labels) => Raw::Text(labels.concat()),
        }));
    }
    Ok(ManifestRow { line, file_name, labels, split, wanted })
}

fn is_split(object: &Map<String, Value>, key: &str) -> bool {
    object[key].as_str().is_some_and(|text| crate::Split::parse(text).is_some())
}

fn one_label(line: u64, label: &Value) -> Result<String, BadRow> {
    match label {
        // JSON says where a text begins and ends.
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        // Fractions are labels as they are in CSV; whether they are classes is seen when all are known.
        Value::Number(number) => Ok(number.to_string()),
        other => {
            let expected = "a label (text or a number, or a list of them)";
            Err(bad_row(line, expected, other.to_string()))
        }
    }
}
