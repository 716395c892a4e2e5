//! Parquet in the layout of Hugging Face image data sets.
//!
//! A column `image` (or `img`) is a struct with the encoded image in `bytes` and its name in `path`; a column
//! `label` (or `labels`, `fine_label`) holds whole numbers or text. Names of the numbers are read from the
//! `ClassLabel` feature in the file's `huggingface` metadata. Pages may be compressed with snappy, gzip, brotli, zstd or
//! lz4. The encoded images are held in memory, so that
//! any order is fast; `OpenOptions::max_encoded_bytes` bounds them.

use super::assemble::{ClassNames, Collected, Named, file_name, files_ending_in, splits_of};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::scan::Candidate;
use crate::{Dataset, OpenOptions, Split};
use parquet::basic::{Compression, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
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

/// The Parquet files of a folder, or of its subfolder `data`.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let files = files_ending_in(folder, ".parquet")?;
    let data = folder.join("data");
    if files.is_empty() && data.is_dir() { files_ending_in(&data, ".parquet") } else { Ok(files) }
}

/// True if the folder or its subfolder `data` holds Parquet files.
pub(super) fn is_parquet_folder(folder: &Path) -> bool {
    files_in(folder).is_ok_and(|files| !files.is_empty())
}

/// All files of a folder, with the split that each name begins with.
pub(super) fn open_folder(folder: &Path, options: &OpenOptions) -> Result<Dataset> {
    let files = files_in(folder)?;
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
    for ((table, &split), path) in tables.into_iter().zip(splits).zip(files) {
        let source: Arc<Path> = path.as_path().into();
        for (row, (bytes, label)) in table.rows.into_iter().enumerate() {
            let class = match (&label, &names) {
                (Label::Number(number), Some(names)) => {
                    let name = usize::try_from(*number).ok().and_then(|label| names.get(label));
                    let name = name.ok_or_else(|| {
                        let expected = format!("a label from 0 to {} in row {row}", names.len() - 1);
                        layout(path, &expected, &number.to_string())
                    })?;
                    classes.intern(name)
                }
                (Label::Number(number), None) if *number < 0 => {
                    let expected = format!("a label of at least 0 in row {row}");
                    return Err(layout(path, &expected, &format!("{number} (images without labels?)")));
                }
                (Label::Number(number), None) => classes.intern(&number.to_string()),
                (Label::Text(text), _) => classes.intern(text),
            };
            let location = Location::Memory { source: Arc::clone(&source), row: row as u64, bytes };
            named.push(Named { candidate: Candidate::claimed(location), split, class });
        }
    }
    let ordered = names.is_some();
    Collected::look_at(root, named, classes.names, ordered, Vec::new(), options)?.into_dataset(options)
}

enum Label {
    Number(i64),
    Text(String),
}

struct Table {
    rows: Vec<(Arc<[u8]>, Label)>,
    names: Option<Vec<String>>,
}

fn layout(path: &Path, expected: &str, found: &str) -> Error {
    Error::Layout { path: path.into(), expected: expected.into(), found: found.into() }
}

fn read(path: &Path, budget: &mut u64, options: &OpenOptions) -> Result<Table> {
    let broken = |err: ParquetError| layout(path, "Parquet", &err.to_string());
    let file = oculist_files::open(path).map_err(Error::io(path))?;
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    let metadata = reader.metadata();
    let schema = metadata.file_metadata().schema_descr();
    let (image, label) = (image_column(path, schema)?, label_column(path, schema)?);
    for column in [image, label] {
        check_codec(path, metadata, column)?;
    }
    let needed: u64 = metadata
        .row_groups()
        .iter()
        .map(|group| u64::try_from(group.column(image).uncompressed_size()).unwrap_or(0))
        .sum();
    if needed > *budget {
        let limit = options.max_encoded_bytes;
        let expected = format!("at most {limit} bytes of encoded images (max_encoded_bytes)");
        return Err(layout(path, &expected, "more (WebDataset shards need no memory)"));
    }
    *budget -= needed;
    let mut rows = Vec::new();
    for i in 0..reader.num_row_groups() {
        let group = reader.get_row_group(i).map_err(broken)?;
        let first = rows.len();
        let at = |index: usize| format!("row {}", first + index);
        let images = match group.get_column_reader(image).map_err(broken)? {
            ColumnReader::ByteArrayColumnReader(reader) => values(reader, &*group, image).map_err(broken)?,
            _ => return Err(layout(path, "binary image bytes", "another type")),
        };
        let labels = labels(path, &*group, label)?;
        if images.len() != labels.len() {
            let found = format!("{} and {}", images.len(), labels.len());
            return Err(layout(path, "as many images as labels", &found));
        }
        for (index, (bytes, label)) in images.into_iter().zip(labels).enumerate() {
            let Some(bytes) = bytes else {
                let expected = format!("the image's bytes in {}", at(index));
                return Err(layout(path, &expected, "none (images stored by path only, outside the file)"));
            };
            let label = label.ok_or_else(|| layout(path, &format!("a label in {}", at(index)), "none"))?;
            rows.push((bytes.data().into(), label));
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

/// All values of a column of a row group; None for null.
fn values<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    group: &dyn RowGroupReader,
    column: usize,
) -> std::result::Result<Vec<Option<T::T>>, ParquetError> {
    let max = group.metadata().column(column).column_descr().max_def_level();
    let (mut levels, mut present) = (Vec::new(), Vec::new());
    loop {
        let (records, _, _) = reader.read_records(1024, Some(&mut levels), None, &mut present)?;
        if records == 0 {
            break;
        }
    }
    if max == 0 {
        return Ok(present.into_iter().map(Some).collect());
    }
    let mut present = present.into_iter();
    Ok(levels.into_iter().map(|level| if level == max { present.next() } else { None }).collect())
}

fn labels(path: &Path, group: &dyn RowGroupReader, column: usize) -> Result<Vec<Option<Label>>> {
    let broken = |err: ParquetError| layout(path, "Parquet", &err.to_string());
    let number = |value: Option<i64>| value.map(Label::Number);
    match group.get_column_reader(column).map_err(broken)? {
        ColumnReader::Int32ColumnReader(reader) => {
            let all = values(reader, group, column).map_err(broken)?;
            Ok(all.into_iter().map(|value| number(value.map(i64::from))).collect())
        }
        ColumnReader::Int64ColumnReader(reader) => {
            Ok(values(reader, group, column).map_err(broken)?.into_iter().map(number).collect())
        }
        ColumnReader::ByteArrayColumnReader(reader) => {
            let text = |bytes: ByteArray| match bytes.as_utf8() {
                Ok(text) => Ok(Label::Text(text.trim().to_owned())),
                Err(_) => Err(layout(path, "labels that are text or whole numbers", "other bytes")),
            };
            let all = values(reader, group, column).map_err(broken)?;
            all.into_iter().map(|bytes| bytes.map(text).transpose()).collect()
        }
        _ => Err(layout(path, "labels that are text or whole numbers", "another type")),
    }
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
        if let Some(at) = found {
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
