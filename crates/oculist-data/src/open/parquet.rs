//! Parquet in the layout of Hugging Face image data sets.
//!
//! A column `image` (or `img`) is a struct with the encoded image in `bytes` and its name in `path`; a column
//! `label` (or `labels`, `fine_label`) holds whole numbers or text. Names of the numbers are read from the
//! `ClassLabel` feature in the file's `huggingface` metadata. Pages may be compressed with snappy, gzip, brotli, zstd or
//! lz4. The encoded images are held in memory, so that
//! any order is fast; `OpenOptions::max_encoded_bytes` bounds them. A row without image or label is listed as lost.

mod bounds;
mod pages;
mod thrift;

use super::assemble::{ClassNames, Collected, Named, file_name, files_ending_in, lost, splits_of};
use super::numbered::{check_parts, in_split_folders};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::scan::Candidate;
use crate::{Dataset, Exclude, OpenOptions, Skipped, Split};
use pages::CheckedPages;
use parquet::basic::{Compression, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::types::SchemaDescriptor;
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const IMAGE: [&str; 2] = ["image", "img"];
const LABEL: [&str; 3] = ["label", "labels", "fine_label"];
/// What a row costs beside its bytes, in bytes.
const ROW_COST: u64 = 128;

/// The Parquet files of a folder, or of its subfolder `data`.
fn files_in(folder: &Path, exclude: &Exclude) -> Result<Vec<PathBuf>> {
    let files = files_ending_in(folder, ".parquet", exclude)?;
    let data = folder.join("data");
    if files.is_empty() && data.is_dir() { files_ending_in(&data, ".parquet", exclude) } else { Ok(files) }
}

/// True if the folder or its subfolder `data` holds Parquet files, or its folders of splits hold nothing else.
pub(super) fn is_parquet_folder(folder: &Path, exclude: &Exclude) -> bool {
    files_in(folder, exclude).is_ok_and(|files| !files.is_empty())
        || in_split_folders(folder, ".parquet", exclude).is_ok_and(|files| !files.is_empty())
}

/// All files of a folder, with the split that each name begins with, or those in its folders of splits.
pub(super) fn open_folder(folder: &Path, options: &OpenOptions) -> Result<Dataset> {
    let files = files_in(folder, &options.left_out)?;
    if files.is_empty() {
        let found = in_split_folders(folder, ".parquet", &options.left_out)?;
        let (files, splits): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        return open(folder, &files, &splits, options);
    }
    let splits = splits_of(folder, &files)?;
    open(folder, &files, &splits, options)
}

pub(super) fn open(
    root: &Path,
    files: &[PathBuf],
    splits: &[Split],
    options: &OpenOptions,
) -> Result<Dataset> {
    let mut tables = Vec::with_capacity(files.len());
    let mut budget = options.max_encoded_bytes;
    for path in files {
        // A reader that panics on a damaged file must not take everything down with it.
        let table = catch_unwind(AssertUnwindSafe(|| read(path, &mut budget, options)))
            .unwrap_or_else(|_| Err(layout(path, "Parquet", "data that the reader cannot go on with")))?;
        tables.push(table);
    }
    // One file may lack the metadata that its neighbours have, but they may not contradict each other.
    let mut names: Option<&Vec<String>> = None;
    for (table, path) in tables.iter().zip(files) {
        match (names, &table.names) {
            (Some(first), Some(other)) if first != other => {
                let expected = format!("the class names of {}", file_name(&files[0]));
                return Err(layout(path, &expected, &format!("others: {}", other.join(", "))));
            }
            (None, Some(found)) => names = Some(found),
            _ => {}
        }
    }
    let names = names.cloned();
    let mut classes = ClassNames::default();
    for name in names.iter().flatten() {
        classes.intern(name);
    }
    let mut named = Vec::new();
    let mut skipped: Vec<Skipped> = check_parts(root, files, options)?.into_iter().collect();
    for ((table, &split), path) in tables.into_iter().zip(splits).zip(files) {
        let source: Arc<Path> = path.as_path().into();
        for (row, sample) in table.rows.into_iter().enumerate() {
            let named_sample =
                sample.and_then(|(bytes, label)| Ok((bytes, class_name(label, names.as_deref())?)));
            match named_sample {
                Ok((bytes, class)) => {
                    let class = classes.intern(&class);
                    let location = Location::Memory { source: Arc::clone(&source), row: row as u64, bytes };
                    let candidate = Candidate::claimed(location);
                    named.push(Named { candidate, split, classes: class.into() });
                }
                Err(reason) => skipped.push(lost(path.join(format!("row {row}")), reason)),
            }
        }
    }
    let ordered = names.is_some();
    Collected::look_at(root, named, classes.names, ordered, skipped, options)?.into_dataset(options)
}

/// The class that a label stands for, or why it stands for none.
fn class_name(label: Label, names: Option<&[String]>) -> Result<String, String> {
    match (label, names) {
        (Label::Number(number), Some(names)) => {
            let name = usize::try_from(number).ok().and_then(|label| names.get(label));
            let last = names.len() - 1;
            name.cloned().ok_or_else(|| format!("expected a label from 0 to {last}, found {number}"))
        }
        (Label::Number(number), None) if number < 0 => {
            Err(format!("expected a label of at least 0, found {number} (images without labels?)"))
        }
        (Label::Number(number), None) => Ok(number.to_string()),
        (Label::Text(text), _) if text.is_empty() => Err("expected a label, found empty text".into()),
        (Label::Text(text), _) => Ok(text),
    }
}

enum Label {
    Number(i64),
    Text(String),
}

/// The encoded image and its label, or why they are not there.
type Row = Result<(Arc<[u8]>, Label), String>;

struct Table {
    rows: Vec<Row>,
    names: Option<Vec<String>>,
}

fn layout(path: &Path, expected: &str, found: &str) -> Error {
    Error::Layout { path: path.into(), expected: expected.into(), found: found.into() }
}

fn read(path: &Path, budget: &mut u64, options: &OpenOptions) -> Result<Table> {
    let broken = |err: ParquetError| layout(path, "Parquet", &err.to_string());
    let mut file = oculist_files::open(path).map_err(Error::io(path))?;
    bounds::check_footer(path, &mut file)?;
    let reader = SerializedFileReader::new(file.try_clone().map_err(Error::io(path))?).map_err(broken)?;
    let metadata = reader.metadata();
    bounds::check_rows(path, metadata)?;
    let schema = metadata.file_metadata().schema_descr();
    let (image, label) = (image_column(path, schema)?, label_column(path, schema)?);
    for column in [image, label] {
        check_codec(path, metadata, column)?;
    }
    let over_budget = || {
        let limit = options.max_encoded_bytes;
        let expected =
            format!("at most {limit} bytes of encoded images (max_encoded_bytes, --max-image-bytes)");
        layout(path, &expected, "more (WebDataset shards need no memory)")
    };
    let sizes = metadata.row_groups().iter().map(|group| group.column(image).uncompressed_size());
    let needed = sizes.fold(0u64, |sum, size| sum.saturating_add(u64::try_from(size).unwrap_or(0)));
    if needed > *budget {
        return Err(over_budget());
    }
    let mut rows: Vec<Row> = Vec::new();
    for i in 0..reader.num_row_groups() {
        let group = reader.get_row_group(i).map_err(broken)?;
        for column in [image, label] {
            bounds::check_pages(path, &mut file, group.metadata().column(column), options.max_encoded_bytes)?;
        }
        let first = rows.len();
        let ColumnReader::ByteArrayColumnReader(images) = checked_reader(&*group, image).map_err(broken)?
        else {
            return Err(layout(path, "binary image bytes", "another type"));
        };
        let mut exhausted = false;
        // What is kept is counted as it comes: rows may share a value of the file's, but not memory.
        each_value(images, &*group, image, |bytes| {
            let bytes = bytes.as_ref().map(ByteArray::data);
            let cost = ROW_COST + bytes.map_or(0, |bytes| bytes.len() as u64);
            exhausted = cost > *budget;
            if exhausted {
                return Err(ParquetError::General("over the limit".into()));
            }
            *budget -= cost;
            let none =
                || "expected the image's bytes, found none (images stored by path only, outside the file)";
            rows.push(match bytes {
                Some(bytes) => Ok((bytes.into(), Label::Number(0))),
                None => Err(none().to_owned()),
            });
            Ok(())
        })
        .map_err(|err| if exhausted { over_budget() } else { broken(err) })?;
        let labels = labels(path, &*group, label, budget)?;
        if rows.len() - first != labels.len() {
            let found = format!("{} and {}", rows.len() - first, labels.len());
            return Err(layout(path, "as many images as labels", &found));
        }
        for (row, label) in rows[first..].iter_mut().zip(labels) {
            match (&mut *row, label) {
                (Ok((_, place)), Ok(label)) => *place = label,
                (Ok(_), Err(reason)) => *row = Err(reason),
                (Err(_), _) => {}
            }
        }
    }
    let label_name = schema.column(label).path().string();
    Ok(Table { rows, names: class_names(path, metadata, &label_name)? })
}

/// Refuses a column with a compression that nothing here reads, before any of it is read.
fn check_codec(path: &Path, metadata: &ParquetMetaData, column: usize) -> Result<()> {
    let mut chunks = metadata.row_groups().iter().map(|group| group.column(column));
    match chunks.find(|chunk| matches!(chunk.compression(), Compression::LZO)) {
        Some(chunk) => Err(layout(
            path,
            "a column without compression or with snappy, gzip, brotli, zstd or lz4",
            &format!("{} in the column {}", chunk.compression(), chunk.column_path().string()),
        )),
        None => Ok(()),
    }
}

/// A reader of a column whose pages are looked at first.
fn checked_reader(
    group: &dyn RowGroupReader,
    column: usize,
) -> std::result::Result<ColumnReader, ParquetError> {
    let description = group.metadata().column(column).column_descr_ptr();
    let rows = u64::try_from(group.metadata().num_rows()).unwrap_or(0);
    let (kind, nullable) = (description.physical_type(), description.max_def_level() > 0);
    let pages = CheckedPages::new(group.get_column_page_reader(column)?, kind, nullable, rows);
    Ok(get_column_reader(description, Box::new(pages)))
}

/// Calls `take` for all values of a column of a row group; None for null.
fn each_value<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    group: &dyn RowGroupReader,
    column: usize,
    mut take: impl FnMut(Option<T::T>) -> std::result::Result<(), ParquetError>,
) -> std::result::Result<(), ParquetError> {
    let max = group.metadata().column(column).column_descr().max_def_level();
    let (mut levels, mut present) = (Vec::new(), Vec::new());
    // A value of some encodings is built anew from a long one before, so that many at once need much memory.
    let at_once = if T::get_physical_type() == Type::BYTE_ARRAY { 1 } else { 1024 };
    loop {
        levels.clear();
        present.clear();
        let (records, _, _) = reader.read_records(at_once, Some(&mut levels), None, &mut present)?;
        if records == 0 {
            return Ok(());
        }
        let mut values = present.drain(..);
        if max == 0 {
            values.try_for_each(|value| take(Some(value)))?;
        } else {
            levels.iter().try_for_each(|&level| take(if level == max { values.next() } else { None }))?;
        }
    }
}

/// The labels of a row group, or why there is none in a row.
fn labels(
    path: &Path,
    group: &dyn RowGroupReader,
    column: usize,
    budget: &mut u64,
) -> Result<Vec<Result<Label, String>>> {
    let broken = |err: ParquetError| layout(path, "Parquet", &err.to_string());
    let mut all = Vec::new();
    let none = || Err("expected a label, found none".to_owned());
    let number = |value: Option<i64>| value.map_or_else(none, |value| Ok(Label::Number(value)));
    match checked_reader(group, column).map_err(broken)? {
        ColumnReader::Int32ColumnReader(reader) => each_value(reader, group, column, |value| {
            all.push(number(value.map(i64::from)));
            Ok(())
        }),
        ColumnReader::Int64ColumnReader(reader) => each_value(reader, group, column, |value| {
            all.push(number(value));
            Ok(())
        }),
        ColumnReader::ByteArrayColumnReader(reader) => each_value(reader, group, column, |bytes| {
            let len = bytes.as_ref().map_or(0, ByteArray::len) as u64;
            *budget = budget.checked_sub(len).ok_or(ParquetError::EOF("labels of too many bytes".into()))?;
            all.push(match bytes.as_ref().map(ByteArray::as_utf8) {
                Some(Ok(text)) => Ok(Label::Text(text.trim().to_owned())),
                Some(Err(_)) => Err("expected a label in UTF-8, found other bytes".to_owned()),
                None => none(),
            });
            Ok(())
        }),
        _ => return Err(layout(path, "labels that are text or whole numbers", "another type")),
    }
    .map_err(broken)?;
    Ok(all)
}

fn columns(schema: &SchemaDescriptor) -> String {
    let all: Vec<String> = schema.columns().iter().map(|column| column.path().string()).collect();
    all.join(", ")
}

fn image_column(path: &Path, schema: &SchemaDescriptor) -> Result<usize> {
    for name in IMAGE {
        let wanted = [name, "bytes"];
        let found = schema.columns().iter().position(|column| column.path().parts() == wanted);
        if let Some(at) = found
            && schema.column(at).physical_type() == Type::BYTE_ARRAY
            && schema.column(at).max_rep_level() == 0
        {
            return Ok(at);
        }
    }
    let expected = "image bytes in a column image.bytes (or img.bytes)";
    Err(layout(path, expected, &format!("the columns {}", columns(schema))))
}

fn label_column(path: &Path, schema: &SchemaDescriptor) -> Result<usize> {
    for name in LABEL {
        let found = schema.columns().iter().position(|column| column.path().parts() == [name]);
        if let Some(at) = found.filter(|&at| schema.column(at).max_rep_level() == 0) {
            return Ok(at);
        }
        if schema.columns().iter().any(|column| column.path().parts().first().is_some_and(|p| p == name)) {
            let expected = format!("one label a row in the column {name}, as classification needs");
            return Err(layout(path, &expected, "a list or struct"));
        }
    }
    let expected = "a column label (or labels, fine_label)";
    Err(layout(path, expected, &format!("the columns {}", columns(schema))))
}

/// The names of the `ClassLabel` feature, if the file has one.
fn class_names(path: &Path, metadata: &ParquetMetaData, label: &str) -> Result<Option<Vec<String>>> {
    let entries = metadata.file_metadata().key_value_metadata();
    let entry = entries.into_iter().flatten().find(|entry| entry.key == "huggingface");
    let Some(text) = entry.and_then(|entry| entry.value.as_ref()) else { return Ok(None) };
    let info: Value = serde_json::from_str(text)
        .map_err(|err| layout(path, "JSON in the metadata huggingface", &err.to_string()))?;
    let names = &info["info"]["features"][label]["names"];
    let Some(names) = names.as_array() else { return Ok(None) };
    let names: Option<Vec<String>> = names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
    match names {
        Some(names) if !names.is_empty() => Ok(Some(names)),
        _ => Err(layout(path, "class names that are text", "others")),
    }
}
