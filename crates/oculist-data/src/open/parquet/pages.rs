//! The pages of a column, looked at before their values are decoded.
//!
//! A decoder takes memory for as many values as a page or a stream in it claims to have.

use super::thrift::Walker;
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};

/// Pages that claim no more values than they can have.
pub(super) struct CheckedPages {
    inner: Box<dyn PageReader>,
    kind: Type,
    /// A value may be null, so that levels come before the values.
    nullable: bool,
    /// Values that the row group still has.
    left: u64,
}

impl CheckedPages {
    /// The pages of a column without repetition in a group of `rows` rows.
    pub(super) fn new(inner: Box<dyn PageReader>, kind: Type, nullable: bool, rows: u64) -> Self {
        Self { inner, kind, nullable, left: rows }
    }

    fn check(&mut self, page: &Page) -> Result<()> {
        let wrong = |found: String| Err(ParquetError::General(found));
        let count = u64::from(page.num_values());
        let bytes = page.buffer();
        if page.is_dictionary_page() {
            // The fewest bytes of a value.
            let each = if matches!(self.kind, Type::INT64) { 8 } else { 4 };
            if count > bytes.len() as u64 / each {
                return wrong(format!("a dictionary of {count} values in {} bytes", bytes.len()));
            }
            return Ok(());
        }
        if count > self.left {
            return wrong(format!("a page of {count} values where {} rows are left", self.left));
        }
        self.left -= count;
        let levels = match page {
            Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
                *def_levels_byte_len as usize + *rep_levels_byte_len as usize
            }
            // A length of four bytes, then the levels.
            _ if self.nullable => match bytes.first_chunk::<4>() {
                Some(len) => (u32::from_le_bytes(*len) as usize).saturating_add(4),
                None => 0,
            },
            _ => 0,
        };
        let values = bytes.get(levels..).unwrap_or_default();
        let is_sound = match page.encoding() {
            Encoding::DELTA_BINARY_PACKED | Encoding::DELTA_LENGTH_BYTE_ARRAY => {
                stream(&mut Walker::new(values), count).is_some()
            }
            Encoding::DELTA_BYTE_ARRAY => {
                let mut walker = Walker::new(values);
                stream(&mut walker, count).and_then(|()| stream(&mut walker, count)).is_some()
            }
            _ => true,
        };
        if is_sound {
            Ok(())
        } else {
            wrong(format!("a stream of other than the {count} values of its page"))
        }
    }
}

/// Walks over a stream of packed differences of at most `most` values.
///
/// # Source
/// The encoding `DELTA_BINARY_PACKED`: size of a block, small blocks in it, number of values and the first value; then
/// for each block the least difference, a byte of width for each small block, and the small blocks.
fn stream(walker: &mut Walker<'_>, most: u64) -> Option<()> {
    let (block, parts, count) = (walker.varint()?, walker.varint()?, walker.varint()?);
    walker.zigzag()?;
    if count > most || parts == 0 || block == 0 || block % parts != 0 {
        return None;
    }
    let each = block / parts;
    let mut left = count.saturating_sub(1);
    while left > 0 {
        walker.zigzag()?;
        let mut widths = Vec::new();
        for _ in 0..parts {
            widths.push(walker.byte()?);
        }
        for width in widths {
            // Small blocks behind the last value are not there.
            if left > 0 {
                walker.forward(each.checked_mul(u64::from(width))?.div_ceil(8))?;
                left = left.saturating_sub(each);
            }
        }
    }
    Some(())
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.inner.get_next_page()?;
        page.as_ref().map(|page| self.check(page)).transpose()?;
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }
}
