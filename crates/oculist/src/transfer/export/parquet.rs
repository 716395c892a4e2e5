//! Features with names, splits and labels as one Parquet file.

use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::Row;

/// Rows of a group.
const GROUP: usize = 10_000;

const SCHEMA: &str = "message features {
    required binary image (string);
    required binary split (string);
    required binary label (string);
    required group features (list) { repeated group list { required float element; } }
}";

/// The file's bytes.
pub(super) fn bytes(rows: &[Row], values: &[f32], dim: usize) -> Result<Vec<u8>, ParquetError> {
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::default()))?;
    for (rows, values) in rows.chunks(GROUP).zip(values.chunks(GROUP * dim.max(1))) {
        let mut group = file.next_row_group()?;
        let texts: [fn(&Row) -> &str; 3] = [|row| &row.image, |row| row.split, |row| &row.label];
        for text in texts {
            let column: Vec<ByteArray> = rows.iter().map(|row| ByteArray::from(text(row))).collect();
            if let Some(mut writer) = group.next_column()? {
                writer.typed::<ByteArrayType>().write_batch(&column, None, None)?;
                writer.close()?;
            }
        }
        if let Some(mut writer) = group.next_column()? {
            // The first of each row begins a list, the others go on with it.
            let repeats: Vec<i16> = (0..values.len()).map(|i| i16::from(i % dim != 0)).collect();
            let defined = vec![1_i16; values.len()];
            writer.typed::<FloatType>().write_batch(values, Some(&defined), Some(&repeats))?;
            writer.close()?;
        }
        group.close()?;
    }
    file.into_inner()
}
