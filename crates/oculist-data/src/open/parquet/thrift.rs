//! Just enough of Thrift's compact protocol to see how much memory a structure asks for before a reader takes it.
//!
//! # Source
//! The compact protocol's description: variable-length integers in groups of seven bits, lowest first, signed ones in
//! zigzag; a field is a byte of four bits each of (difference of its number, type); a list is a byte of (length, type).

/// Deepest nesting that is followed.
const MAX_DEPTH: u32 = 64;

const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;
const UUID: u8 = 13;

/// Walks over encoded values; None stands for data that end early or are none.
pub(super) struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walker<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes that were read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// A variable-length integer.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A signed integer.
    pub(super) fn zigzag(&mut self) -> Option<i64> {
        self.varint().map(|value| (value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Goes on by so many bytes.
    pub(super) fn forward(&mut self, count: u64) -> Option<()> {
        let end = (self.at as u64).checked_add(count).filter(|&end| end <= self.bytes.len() as u64)?;
        self.at = end as usize;
        Some(())
    }

    /// Calls `field` with the number and type of each field of a structure; it returns false where it has not read the
    /// value itself.
    pub(super) fn fields(
        &mut self,
        depth: u32,
        mut field: impl FnMut(&mut Self, i64, u8) -> Option<bool>,
    ) -> Option<()> {
        let mut number = 0i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            number = match i64::from(head >> 4) {
                0 => self.zigzag()?,
                delta => number.checked_add(delta)?,
            };
            let kind = head & 15;
            if !field(self, number, kind)? {
                self.skip(kind, depth)?;
            }
        }
    }

    /// Walks over a structure, in which no list claims more entries than there are bytes left.
    pub(super) fn check_struct(&mut self) -> Option<()> {
        self.skip(STRUCT, 0)
    }

    fn skip(&mut self, kind: u8, depth: u32) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match kind {
            1 | 2 => Some(()),
            3 => self.forward(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.forward(8),
            UUID => self.forward(16),
            BINARY => {
                let len = self.varint()?;
                self.forward(len)
            }
            LIST | SET => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                self.entries(count, |walker| walker.element(head & 15, depth + 1))
            }
            MAP => {
                let count = self.varint()?;
                if count == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                self.entries(count, |walker| {
                    walker.element(kinds >> 4, depth + 1)?;
                    walker.element(kinds & 15, depth + 1)
                })
            }
            STRUCT => self.fields(depth + 1, |_, _, _| Some(false)),
            _ => None,
        }
    }

    fn entries(&mut self, count: u64, mut entry: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if count > (self.bytes.len() - self.at) as u64 {
            return None;
        }
        (0..count).try_for_each(|_| entry(self))
    }

    /// A value within a list, where a truth value is a byte.
    fn element(&mut self, kind: u8, depth: u32) -> Option<()> {
        if matches!(kind, 1 | 2) { self.forward(1) } else { self.skip(kind, depth) }
    }
}
