//! Manifests in CSV.

use super::columns::{Column, FILE, LABEL, SPLIT, is_image_name, wanted_column};
use super::quotes::{Fault, Watched};
use super::several::{Raw, Several};
use super::swallowed::{Suspect, Verdict, convicted, examine};
use super::{BadRow, Manifest, ManifestRow, bad_row, line_error, named_file, split};
use crate::Split;
use crate::error::{Error, Result};
use crate::label_field::{labels_of, name_of};
use csv::ByteRecord;
use std::io::{Cursor, Read};
use std::path::Path;

/// What may lie between the fields, in order of preference.
const DELIMITERS: [(u8, &str); 3] = [(b',', "commas"), (b';', "semicolons"), (b'\t', "tabs")];

/// What is expected where rows lie within a field.
const CLOSED: &str = "a quote that is closed before the next row";

/// The header, understood.
pub(super) struct Header {
    pub(super) names: Vec<String>,
    pub(super) delimiter: u8,
    pub(super) file: usize,
    /// None where each class has a column.
    pub(super) label: Option<usize>,
    split: Option<usize>,
    /// The further column that was asked for.
    wanted: Option<usize>,
}

/// Reads all rows of a file that begins with `start`.
pub(super) fn read(
    manifest: &mut Manifest,
    mut several: Option<&mut Several>,
    start: &[u8],
    rest: impl Read,
) -> Result<()> {
    let path = manifest.path.clone();
    // Spreadsheets write the delimiter into a line of its own.
    let (given, skip) = declared_delimiter(start);
    let first_line = 1 + u64::from(skip > 0);
    let start = &start[skip..];
    let line = first_line + empty_lines(start);
    let header = header(&path, start, given, line, (manifest.wanted.as_deref(), several.is_some()))?;
    describe(manifest, &header, given);
    let watched = Watched::new(Cursor::new(start).chain(rest), header.delimiter, first_line);
    let mut reader =
        csv::ReaderBuilder::new().delimiter(header.delimiter).flexible(true).from_reader(watched);
    let mut record = ByteRecord::new();
    let (mut labels, mut blank, mut suspects) = (0, 0, Vec::new());
    // The first record is the header.
    while reader.read_byte_record(&mut record).map_err(|err| broken(&path, err))? {
        let line = reader.get_mut().line_of(record.position().map_or(0, csv::Position::byte));
        match examine(&record, &header, line) {
            Verdict::Sound => {}
            Verdict::Swallowed(found) => return Err(line_error(&path, line, CLOSED, found)),
            Verdict::Suspect(suspect) => suspects.push(suspect),
        }
        // Spreadsheets leave rows of nothing but delimiters behind; they name no sample.
        if record.iter().all(|field| field.trim_ascii().is_empty()) {
            blank += 1;
            continue;
        }
        let row = row(&record, &header, line);
        if let (Some(several), Ok(_)) = (several.as_deref_mut(), &row) {
            add(several, &record, &header, manifest)?;
        }
        manifest.push(row, &mut labels)?;
    }
    if let Some(Suspect { line, found, .. }) = convicted(suspects, manifest) {
        return Err(line_error(&path, line, CLOSED, format!("a field with the row {found}")));
    }
    if blank > 0 {
        manifest.notes.push(format!("{blank} rows without anything in them"));
    }
    if let Some(name) = header.split.map(|at| &header.names[at]).filter(|name| !SPLIT.is_called(name)) {
        without_split(manifest, name);
    }
    Ok(())
}

/// Adds the labels and the further columns of a row, where an image may have several labels.
fn add(several: &mut Several, record: &ByteRecord, header: &Header, manifest: &Manifest) -> Result<()> {
    let text = |i: usize| String::from_utf8_lossy(record.get(i).unwrap_or_default());
    let further = (0..header.names.len()).filter(|&i| {
        i != header.file && Some(i) != header.label && Some(i) != header.split && Some(i) != header.wanted
    });
    for i in further {
        several.marks.cell(&header.names[i], &text(i));
    }
    several.raw.push(header.label.map(|at| Raw::Text(text(at).into_owned())));
    several.marks.end_row(manifest)
}

/// Lines without anything in them before the header.
fn empty_lines(start: &[u8]) -> u64 {
    let end = start.iter().position(|byte| !matches!(byte, b'\n' | b'\r')).unwrap_or(0);
    let ends = |i: usize| start[i] == b'\r' || i == 0 || start[i - 1] != b'\r';
    (0..end).filter(|&i| ends(i)).count() as u64
}

/// The delimiter of a line `sep=;` and the bytes of that line.
fn declared_delimiter(start: &[u8]) -> (Option<u8>, usize) {
    let Some(&[delimiter @ (b',' | b';' | b'\t' | b'|'), ref rest @ ..]) = start.strip_prefix(b"sep=") else {
        return (None, 0);
    };
    let end = if rest.starts_with(b"\r\n") { 2 } else { usize::from(rest.starts_with(b"\n")) };
    if end == 0 { (None, 0) } else { (Some(delimiter), 5 + end) }
}

/// The header by whichever delimiter makes sense of it; where images may have `several` labels, it needs no column for
/// them.
fn header(
    path: &Path,
    start: &[u8],
    given: Option<u8>,
    line: u64,
    (wanted, several): (Option<&str>, bool),
) -> Result<Header> {
    let mut best: Vec<String> = Vec::new();
    let mut columns: Option<Header> = None;
    for delimiter in given.map_or(DELIMITERS.map(|(byte, _)| byte).to_vec(), |byte| vec![byte]) {
        let mut record = ByteRecord::new();
        // Quotes are watched when the rows are read; here there is no more than a row may have.
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).from_reader(start);
        reader.read_byte_record(&mut record).map_err(|err| broken(path, err))?;
        let names: Vec<String> =
            record.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        let find = |column: &Column| {
            column.find(&names).map_err(|found| {
                let expected = format!("one column for {} (or one that is called so)", column.name);
                line_error(path, line, &expected, found)
            })
        };
        // With another delimiter, too, all names are one.
        if names.len() > 1 {
            if let Some(twice) =
                (1..names.len()).find(|&i| names[..i].contains(&names[i]) && !names[i].is_empty())
            {
                let found = format!("\"{}\" twice", names[twice]);
                return Err(line_error(path, line, "each column once", found));
            }
            if let Some(file) = find(&FILE)? {
                let (label, split) = (find(&LABEL)?, find(&SPLIT)?);
                let wanted = wanted.filter(|_| label.is_some()).map(|name| wanted_column(name, &names));
                let wanted = wanted
                    .transpose()
                    .map_err(|(expected, found)| line_error(path, line, &expected, found))?;
                let header = Header { names: names.clone(), delimiter, file, label, split, wanted };
                if label.is_some() {
                    return Ok(header);
                }
                columns.get_or_insert(header);
            }
        }
        if names.len() > best.len() {
            best = names;
        }
    }
    let mut hint = "";
    if let Some(header) = columns {
        let further = header.names.len() - 1 - usize::from(header.split.is_some());
        match further {
            0 => {}
            _ if several => return Ok(header),
            1 => {}
            _ => hint = " (columns of 0 and 1 for each class are read with --task multi-label)",
        }
    }
    let mut found =
        if best.iter().all(String::is_empty) { "an empty file".to_owned() } else { best.join(", ") };
    if best.iter().any(|name| is_image_name(name)) {
        found.push_str(" (a row without a header above it?)");
    }
    found.push_str(hint);
    let expected = "a header with the columns file_name and label (file, path or image and class or category are \
                    understood too)";
    Err(line_error(path, line, expected, found))
}

/// Notes how the header was understood and what of it is not used.
fn describe(manifest: &mut Manifest, header: &Header, given: Option<u8>) {
    if let (Some((_, name)), None) =
        (DELIMITERS.iter().find(|(byte, _)| *byte == header.delimiter && *byte != b','), given)
    {
        manifest.notes.push(format!("read as a table separated by {name}"));
    }
    let used = [(Some(header.file), FILE), (header.label, LABEL), (header.split, SPLIT)];
    for (place, column) in &used {
        if let Some(name) = place.map(|at| &header.names[at]).filter(|name| !column.is_called(name)) {
            manifest.notes.push(read_as(name, column));
        }
    }
    let is_used = |i: usize| used.iter().any(|(place, _)| *place == Some(i));
    let others = header.names.iter().enumerate().filter(|(i, _)| !is_used(*i));
    manifest.ignored = others.map(|(_, name)| name.clone()).collect();
}

fn row(record: &ByteRecord, header: &Header, line: u64) -> std::result::Result<ManifestRow, BadRow> {
    let count = header.names.len();
    if record.len() != count {
        let expected = format!("{count} fields as in the header");
        return Err(bad_row(line, &expected, record.len().to_string()));
    }
    let field = |i: usize| {
        let text = std::str::from_utf8(record.get(i).unwrap_or_default());
        text.map_err(|_| bad_row(line, "UTF-8", "other bytes (Latin-1?)"))
    };
    let labels = header.label.map(|at| field(at).map(labels_of)).transpose()?.unwrap_or_default();
    let split = match header.split {
        Some(at) if SPLIT.is_called(&header.names[at]) => Some(split(line, field(at)?.trim())?),
        Some(at) => Split::parse(field(at)?),
        None => None,
    };
    let file_name = named_file(line, &name_of(field(header.file)?))?;
    let wanted = header.wanted.map(|at| Ok(field(at)?.trim().to_owned())).transpose()?;
    Ok(ManifestRow { line, file_name, labels, split, wanted: wanted.filter(|value| !value.is_empty()) })
}

/// Gives up a column of another name as the split, if most of its values are none.
fn without_split(manifest: &mut Manifest, name: &str) {
    let with_split = manifest.rows.iter().filter(|row| row.split.is_some()).count();
    if with_split * 2 < manifest.rows.len() {
        manifest.rows.iter_mut().for_each(|row| row.split = None);
        manifest.notes.retain(|note| *note != read_as(name, &SPLIT));
        manifest.ignored.push(name.to_owned());
    }
}

fn read_as(name: &str, column: &Column) -> String {
    format!("the column \"{name}\" is read as {}", column.name)
}

fn broken(path: &Path, err: csv::Error) -> Error {
    match err.into_kind() {
        csv::ErrorKind::Io(err) => fault(path, err),
        other => Error::Layout { path: path.into(), expected: "CSV".into(), found: format!("{other:?}") },
    }
}

/// An error of [`Watched`] or of the system.
fn fault(path: &Path, err: std::io::Error) -> Error {
    match err.downcast::<Fault>() {
        Ok(fault) => line_error(path, fault.line, &fault.expected, fault.found),
        Err(source) => Error::Io { path: path.into(), source },
    }
}
