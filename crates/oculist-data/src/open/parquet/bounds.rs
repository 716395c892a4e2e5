//! What a Parquet file may make its reader hold, checked before the reader takes it.
//!
//! The reader believes what pages say of themselves: it takes the memory for the declared size, and the decoders of gzip
//! and Brotli write on beyond it. So the headers of all pages of a column are walked first, and what a page gives when it
//! is unpacked is counted without being kept.

use super::layout;
use super::thrift::Walker;
use crate::error::{Error, Result};
use crate::limits::{MAX_SAMPLES, over};
use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, copy, sink};
use std::path::Path;

/// Largest footer, in bytes.
const MAX_FOOTER: u64 = 256 << 20;
/// Largest header of a page, in bytes; statistics in it may hold values.
const MAX_HEADER: u64 = 16 << 20;
/// A page may unpack to this many bytes, and to [`MAX_RATIO`] times its own beyond: labels that are all the same shrink a
/// lot, but images do not.
const FREE_BYTES: u64 = 64 << 20;
const MAX_RATIO: u64 = 1032;
/// LZ4 never unpacks to more than this many times its size.
const LZ4_RATIO: u64 = 255;

/// Checks that the lists in the footer are no longer than the footer.
pub(super) fn check_footer(path: &Path, file: &mut File) -> Result<()> {
    let io = |err| Error::Io { path: path.into(), source: err };
    let len = file.metadata().map_err(io)?.len();
    let Some(end) = len.checked_sub(8) else { return Ok(()) };
    let mut tail = [0; 4];
    file.seek(SeekFrom::Start(end)).and_then(|_| file.read_exact(&mut tail)).map_err(io)?;
    let footer = u64::from(u32::from_le_bytes(tail));
    // A footer larger than the file is told by the reader.
    let Some(start) = end.checked_sub(footer) else { return Ok(()) };
    if footer > MAX_FOOTER {
        return Err(over(path, "a Parquet footer", MAX_FOOTER, &format!("{footer} bytes")));
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start)).map_err(io)?;
    file.take(footer).read_to_end(&mut bytes).map_err(io)?;
    match Walker::new(&bytes).check_struct() {
        Some(()) => Ok(()),
        None => Err(layout(path, "Parquet", "a footer that is none")),
    }
}

/// Checks the numbers of rows in the footer.
pub(super) fn check_rows(path: &Path, metadata: &ParquetMetaData) -> Result<()> {
    let rows = metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(u64::MAX));
    let rows = rows.fold(0u64, u64::saturating_add);
    if rows > MAX_SAMPLES as u64 {
        return Err(layout(path, &format!("at most {MAX_SAMPLES} rows"), &rows.to_string()));
    }
    Ok(())
}

/// What a page says of itself.
struct PageHeader {
    /// Bytes of the header itself.
    len: u64,
    packed: u64,
    unpacked: u64,
    /// Bytes at the beginning that are never packed.
    plain: u64,
    /// The rest is packed.
    is_packed: bool,
}

/// Checks the pages of a column: none asks for more memory than `budget`, than is plausible for its size, or than it says.
pub(super) fn check_pages(
    path: &Path,
    file: &mut File,
    chunk: &ColumnChunkMetaData,
    budget: u64,
) -> Result<()> {
    let io = |err| Error::Io { path: path.into(), source: err };
    let column = chunk.column_path().string();
    let (start, len) = chunk.byte_range();
    let file_len = file.metadata().map_err(io)?.len();
    let Some(end) = start.checked_add(len).filter(|&end| end <= file_len) else {
        return Err(layout(path, "Parquet", &format!("a column {column} beyond the end of the file")));
    };
    let mut at = start;
    while at < end {
        let damaged =
            || layout(path, "Parquet", &format!("no header of a page of the column {column} at byte {at}"));
        let header = page_header(file, at, end).map_err(io)?.ok_or_else(damaged)?;
        let data = at + header.len;
        let next = data.checked_add(header.packed).filter(|&next| next <= end).ok_or_else(damaged)?;
        let plausible = header.packed.saturating_mul(MAX_RATIO).saturating_add(FREE_BYTES);
        let limit = plausible.min(budget);
        let place = format!("a page of the column {column} at byte {at}");
        if header.unpacked > limit {
            let expected = format!("{place} to unpack to at most {limit} bytes");
            return Err(layout(path, &expected, &format!("{} bytes by its header", header.unpacked)));
        }
        if header.is_packed {
            file.seek(SeekFrom::Start(data + header.plain.min(header.packed))).map_err(io)?;
            let packed = (&*file).take(header.packed.saturating_sub(header.plain));
            let declared = header.unpacked.saturating_sub(header.plain);
            if unpacks_to_more(packed, chunk.compression(), header.packed, declared) {
                let expected = format!("{place} to unpack to the {} bytes of its header", header.unpacked);
                return Err(layout(path, &expected, "more"));
            }
        }
        at = next;
    }
    Ok(())
}

/// The header at a place in the file; None if there is none.
fn page_header(file: &mut File, at: u64, end: u64) -> std::io::Result<Option<PageHeader>> {
    let mut size = 1 << 10;
    loop {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(at))?;
        let room = (end - at).min(size);
        (&*file).take(room).read_to_end(&mut bytes)?;
        let header = parse_header(&bytes);
        if header.is_some() || room < size || size >= MAX_HEADER {
            return Ok(header);
        }
        size *= 16;
    }
}

fn parse_header(bytes: &[u8]) -> Option<PageHeader> {
    let mut walker = Walker::new(bytes);
    let (mut packed, mut unpacked, mut plain, mut is_packed) = (None, None, 0u64, true);
    walker.fields(0, |walker, field, kind| {
        match (field, kind) {
            (2, 5) => unpacked = Some(u64::try_from(walker.zigzag()?).ok()?),
            (3, 5) => packed = Some(u64::try_from(walker.zigzag()?).ok()?),
            // The header of a page of version 2: lengths of the levels, and whether the rest is packed.
            (8, 12) => walker.fields(1, |walker, field, kind| {
                match (field, kind) {
                    (5 | 6, 5) => plain = plain.checked_add(u64::try_from(walker.zigzag()?).ok()?)?,
                    (7, 1 | 2) => is_packed = kind == 1,
                    _ => return Some(false),
                }
                Some(true)
            })?,
            _ => return Some(false),
        }
        Some(true)
    })?;
    Some(PageHeader { len: walker.position() as u64, packed: packed?, unpacked: unpacked?, plain, is_packed })
}

/// True if packed data give more than `declared` bytes and their decoder would keep them. The other decoders end there.
fn unpacks_to_more(mut packed: impl Read, codec: Compression, len: u64, declared: u64) -> bool {
    let beyond = |reader: &mut dyn Read| {
        // Damaged data are told by the decoder itself.
        copy(&mut reader.take(declared.saturating_add(1)), &mut sink()).is_ok_and(|found| found > declared)
    };
    match codec {
        Compression::GZIP(_) if len.saturating_mul(MAX_RATIO) > FREE_BYTES => {
            beyond(&mut flate2::read::MultiGzDecoder::new(packed))
        }
        Compression::BROTLI(_) => beyond(&mut brotli::Decompressor::new(packed, 1 << 12)),
        // The frames that some writers put in place of blocks.
        Compression::LZ4 if len.saturating_mul(LZ4_RATIO) > FREE_BYTES => {
            let mut magic = [0; 4];
            packed.read_exact(&mut magic).is_ok() && magic[3] == 0x18 && matches!(magic[2], 0x4c | 0x4d)
        }
        _ => false,
    }
}
