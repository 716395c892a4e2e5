//! Rows of Parquet files that the `parquet` crate's writer made: nulls, and the encodings that pyarrow's defaults leave out.

use oculist_data::{Dataset, OpenOptions, Split, fixture};
use parquet::basic::{Compression, Encoding};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

fn png(class: usize, seed: u64) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    fixture::write_image(&path, &fixture::class_image(class, 8, 3, seed)).unwrap();
    fs::read(path).unwrap()
}

type Row = (Option<Vec<u8>>, Option<&'static str>);

fn rows(count: usize) -> Vec<Row> {
    (0..count)
        .map(|i| (Some(png(i % 2, i as u64)), Some(["the first class", "the second class"][i % 2])))
        .collect()
}

fn write(path: &Path, rows: &[Row], encoding: Option<Encoding>, version: WriterVersion) {
    let schema =
        "message m { optional group image { optional binary bytes; } optional binary label (UTF8); }";
    let mut properties =
        WriterProperties::builder().set_writer_version(version).set_compression(Compression::SNAPPY);
    if let Some(encoding) = encoding {
        properties = properties.set_dictionary_enabled(false);
        for column in [vec!["image", "bytes"], vec!["label"]] {
            let column = ColumnPath::new(column.into_iter().map(str::to_owned).collect());
            properties = properties.set_column_encoding(column, encoding);
        }
    }
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties.build())).unwrap();
    for part in rows.chunks(30) {
        let mut group = writer.next_row_group().unwrap();
        let images = part.iter().map(|(image, _)| image.clone());
        let labels = part.iter().map(|(_, label)| label.map(|label| label.as_bytes().to_vec()));
        for (most, values) in [(2i16, images.collect::<Vec<_>>()), (1, labels.collect())] {
            let levels: Vec<i16> =
                values.iter().map(|value| if value.is_some() { most } else { 0 }).collect();
            let values: Vec<ByteArray> = values.into_iter().flatten().map(ByteArray::from).collect();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
}

fn open(path: &Path) -> Result<Dataset, oculist_data::Error> {
    Dataset::open_path(path, &OpenOptions::default())
}

/// Class, and pixels, of all images.
fn held(dataset: &Dataset) -> BTreeSet<(u32, Vec<u8>)> {
    let of = |split: Split| {
        let subset = dataset.split(split);
        (0..subset.len()).map(move |i| (subset.label(i), subset.image(i).unwrap().into_pixels()))
    };
    Split::ALL.into_iter().flat_map(of).collect()
}

#[test]
fn every_encoding_of_the_writer_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let rows = rows(70);
    let wanted: BTreeSet<(u32, Vec<u8>)> =
        (0..70).map(|i| (i as u32 % 2, fixture::class_image(i % 2, 8, 3, i as u64).into_pixels())).collect();
    let encodings = [
        None,
        Some(Encoding::PLAIN),
        Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
        Some(Encoding::DELTA_BYTE_ARRAY),
    ];
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for encoding in encodings {
            write(&path, &rows, encoding, version);
            let dataset = open(&path).unwrap_or_else(|err| panic!("{encoding:?} {version:?}: {err}"));
            assert!(dataset.skipped().is_empty());
            assert!(held(&dataset) == wanted, "{encoding:?} {version:?}");
            // Another picture under a label would be seen.
            let mut other = rows.clone();
            other.swap(3, 4);
            (other[3].1, other[4].1) = (other[4].1, other[3].1);
            write(&path, &other, encoding, version);
            assert!(held(&open(&path).unwrap()) != wanted);
        }
    }
}

#[test]
fn rows_without_image_or_label_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    for encoding in [None, Some(Encoding::DELTA_BYTE_ARRAY)] {
        let mut rows = rows(80);
        rows[5].0 = None;
        rows[41].1 = None;
        rows[42].1 = Some("  ");
        rows[60] = (None, None);
        write(&path, &rows, encoding, WriterVersion::PARQUET_1_0);
        let dataset = open(&path).unwrap();
        let lost: Vec<(String, &str)> = dataset
            .left_out()
            .map(|skip| (skip.path.file_name().unwrap().to_string_lossy().into_owned(), skip.reason.as_str()))
            .collect();
        let no_image =
            "expected the image's bytes, found none (images stored by path only, outside the file)";
        let wanted = [
            ("row 5".to_owned(), no_image),
            ("row 41".to_owned(), "expected a label, found none"),
            ("row 42".to_owned(), "expected a label, found empty text"),
            ("row 60".to_owned(), no_image),
        ];
        assert_eq!(lost, wanted);
        assert_eq!((dataset.summary().images(), dataset.class_names().len()), (76, 2));
        rows[7].0 = None;
        write(&path, &rows, encoding, WriterVersion::PARQUET_1_0);
        let text = open(&path).unwrap_err().to_string();
        assert!(
            text.contains("5 of 80 images are unreadable") && text.contains("x.parquet/row 5 ("),
            "{text}"
        );
        assert!(text.contains("also 2 x expected a label (first "), "{text}");
    }
}
