//! Rows that lie within a field: a quote was left open and met a later quote.
//!
//! Such text is sound CSV, and where the quotes open and close in the same column, not even the number of fields tells.
//! It shows in the lines of the field. The first line is the rest of a row, the last one the beginning of another, and
//! those between are whole rows, so that the numbers of delimiters fit, and where the file and the label of these rows
//! belong there is something that may be one. A note of two lines fits neither way.

use super::csv_rows::Header;
use super::{Manifest, is_image_name};
use crate::label_field::{labels_of, name_of};
use csv::ByteRecord;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

/// A field over several lines that may hold rows; whether it does, the other rows tell.
pub(super) struct Suspect {
    /// The line in which its row begins.
    pub(super) line: u64,
    /// What a message shows of it.
    pub(super) found: String,
    /// What stands where the files and labels of rows would.
    pairs: Vec<Pair>,
}

/// What a piece of a row has for its file and its label, where it reaches so far.
#[derive(Default)]
struct Pair {
    file: Option<String>,
    label: Option<String>,
}

/// What a row of several lines is.
pub(super) enum Verdict {
    Sound,
    /// There are rows within.
    Swallowed(String),
    Suspect(Suspect),
}

/// Looks at a row.
pub(super) fn examine(record: &ByteRecord, header: &Header, line: u64) -> Verdict {
    let several = |field: &[u8]| field.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
    let columns = header.names.len();
    let fields: Vec<Cow<'_, [u8]>> = record.iter().map(without_meant_breaks).collect();
    for (at, field) in fields.iter().enumerate().filter(|(_, field)| several(field)) {
        if record.len() != columns {
            let found = format!("a row of several lines with {} fields instead of {columns}", record.len());
            return Verdict::Swallowed(found);
        }
        let lines = lines(field);
        let parts: Vec<Vec<&[u8]>> =
            lines.iter().map(|line| line.split(|&byte| byte == header.delimiter).collect()).collect();
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { continue };
        // A message shows a whole row, if there is one.
        let whole = (1..lines.len()).find(|&i| parts[i].len() == columns);
        let shown = lines[whole.unwrap_or(0)];
        // The rest of one row and the beginning of another, by the numbers of their fields.
        let ends_fit = lines.len() > 1 && first.len() == columns - at && last.len() == at + 1;
        // A file or a label has no delimiters that happen to fit.
        if ends_fit && (at == header.file || Some(at) == header.label) {
            return swallowed(shown);
        }
        let mut pieces: Vec<(usize, &Vec<&[u8]>)> = Vec::new();
        if ends_fit {
            pieces.extend([(at, first), (0, last)]);
        }
        pieces.extend(parts[1..].iter().filter(|parts| parts.len() == columns).map(|parts| (0, parts)));
        let pairs: Vec<Pair> = pieces.into_iter().map(|(from, parts)| pair(parts, from, header)).collect();
        let named = |pair: &Pair| pair.file.as_deref().is_some_and(is_image_name);
        if pairs.iter().any(named) {
            return swallowed(shown);
        }
        if !pairs.is_empty() {
            let found = String::from_utf8_lossy(shown).into_owned();
            return Verdict::Suspect(Suspect { line, found, pairs });
        }
    }
    Verdict::Sound
}

/// The field without the line breaks that a backslash marks as meant, as the names have that the program writes.
fn without_meant_breaks(field: &[u8]) -> Cow<'_, [u8]> {
    if !field.contains(&b'\\') {
        return Cow::Borrowed(field);
    }
    let mut kept = field.to_vec();
    for at in 1..kept.len() {
        if kept[at - 1] == b'\\' && matches!(kept[at], b'\n' | b'\r') {
            kept[at] = b' ';
        }
    }
    Cow::Owned(kept)
}

fn swallowed(line: &[u8]) -> Verdict {
    Verdict::Swallowed(format!("a field with the row {}", String::from_utf8_lossy(line)))
}

/// The lines of a field, without empty ones in between.
fn lines(field: &[u8]) -> Vec<&[u8]> {
    let all: Vec<&[u8]> = field.split(|byte| matches!(byte, b'\n' | b'\r')).collect();
    let last = all.len() - 1;
    let keep = |i: usize, line: &[u8]| i == 0 || i == last || !line.is_empty();
    all.into_iter().enumerate().filter(|(i, line)| keep(*i, line)).map(|(_, line)| line).collect()
}

/// The file and the label of the fields of a row from column `from` on.
fn pair(parts: &[&[u8]], from: usize, header: &Header) -> Pair {
    let part = |column: usize| {
        let text = String::from_utf8_lossy(parts.get(column.checked_sub(from)?)?).into_owned();
        Some(text.trim_matches('"').trim().to_owned())
    };
    Pair { file: part(header.file), label: header.label.and_then(part) }
}

/// The first of the suspects that holds rows, by the files and labels of the other rows.
pub(super) fn convicted(suspects: Vec<Suspect>, manifest: &Manifest) -> Option<Suspect> {
    if suspects.is_empty() {
        return None;
    }
    let lines: BTreeSet<u64> = suspects.iter().map(|suspect| suspect.line).collect();
    let (mut labels, mut folders, mut spaces) = (BTreeSet::new(), BTreeSet::new(), false);
    let mut only_image_names = true;
    for row in manifest.rows.iter().filter(|row| !lines.contains(&row.line)) {
        labels.extend(row.labels.iter().map(String::as_str));
        folders.extend(folder_of(&row.file_name));
        spaces |= row.file_name.contains(char::is_whitespace);
        only_image_names &= is_image_name(&row.file_name);
    }
    let beside = manifest.path.parent().unwrap_or(Path::new(""));
    let is_file = |text: &str| {
        let name = name_of(text);
        !name.is_empty()
            && (folder_of(&name).is_some_and(|folder| folders.contains(folder))
                || beside.join(&name).is_file())
    };
    let may_be_file = |text: &str| spaces || !text.contains(char::is_whitespace);
    let is_known = |text: &str| {
        let own = labels_of(text);
        !own.is_empty() && own.iter().all(|label| labels.contains(label.as_str()))
    };
    let is_row = |Pair { file, label }: &Pair| {
        file.as_deref().is_some_and(is_file)
            // Where all files are called like images, other text is no file, whatever stands behind it.
            || !only_image_names
                && file.as_deref().is_none_or(may_be_file)
                && label.as_deref().is_some_and(is_known)
    };
    suspects.into_iter().find(|suspect| suspect.pairs.iter().any(is_row))
}

/// What stands before the last slash of a name.
fn folder_of(name: &str) -> Option<&str> {
    name.rsplit_once('/').map(|(folder, _)| folder)
}
