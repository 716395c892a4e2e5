//! Watches the bytes of a CSV file on their way to the parser.
//!
//! The parser takes everything: a quote that is never closed makes one field of the rest of the file, whatever its size.
//! Here that is an error with the row in which the quote opens, and so is a row without end.

use crate::limits::MAX_ROW;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Fault {
    /// The line, from 1.
    pub(super) line: u64,
    pub(super) expected: String,
    pub(super) found: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: expected {}, found {}", self.line, self.expected, self.found)
    }
}

impl std::error::Error for Fault {}

#[derive(Clone, Copy, PartialEq)]
enum At {
    /// Before the first byte of a field.
    Start,
    /// In a field without quotes.
    Plain,
    /// Between the quotes of a field.
    Quoted,
    /// Behind a quote that closes the field, or is the first half of a doubled one.
    Closed,
}

/// A reader that fails where rows cannot be told apart.
pub(super) struct Watched<R> {
    inner: R,
    delimiter: u8,
    at: At,
    /// The present line, from 1.
    line: u64,
    /// The byte before this one, as CR and LF end one line together.
    last: u8,
    /// Bytes that are behind.
    bytes: u64,
    /// Where lines begin that hold something, and which lines they are; those of rows that are done are taken out.
    starts: VecDeque<(u64, u64)>,
    /// Rows that have ended; the header is the first.
    rows: u64,
    /// Bytes of the present row.
    len: usize,
    /// Line and row in which the last quote opened.
    opened: (u64, u64),
}

impl<R: Read> Watched<R> {
    /// Watches a file from its header on, which is in `line`.
    pub(super) fn new(inner: R, delimiter: u8, line: u64) -> Self {
        Self {
            inner,
            delimiter,
            at: At::Start,
            line,
            last: 0,
            bytes: 0,
            starts: VecDeque::new(),
            rows: 0,
            len: 0,
            opened: (0, 0),
        }
    }

    fn never_closed(&self, found: &str) -> Fault {
        let (line, row) = self.opened;
        let place = if row == 0 { "the header".to_owned() } else { format!("row {row}") };
        Fault { line, expected: format!("the quote that opens in {place} to be closed"), found: found.into() }
    }

    /// The line of the row for which a reader has gone on from `byte`: between that place and the row there may be the rest
    /// of a line's end, and empty lines. Places must ascend.
    pub(super) fn line_of(&mut self, byte: u64) -> u64 {
        while self.starts.front().is_some_and(|&(start, _)| start < byte) {
            self.starts.pop_front();
        }
        self.starts.front().map_or(self.line, |&(_, line)| line)
    }

    fn step(&mut self, byte: u8) -> Result<(), Fault> {
        let ends_line = byte == b'\r' || (byte == b'\n' && self.last != b'\r');
        let begins_line = self.bytes == 0 || matches!(self.last, b'\n' | b'\r');
        if begins_line && !matches!(byte, b'\n' | b'\r') {
            self.starts.push_back((self.bytes, self.line));
        }
        self.bytes += 1;
        self.last = byte;
        self.at = match (self.at, byte) {
            (At::Quoted, b'"') => At::Closed,
            (At::Closed, b'"') | (At::Quoted, _) => At::Quoted,
            (At::Start, b'"') => {
                self.opened = (self.line, self.rows);
                At::Quoted
            }
            (_, b'\n' | b'\r') => {
                self.rows += u64::from(self.len > 0);
                self.line += u64::from(ends_line);
                self.len = 0;
                self.at = At::Start;
                return Ok(());
            }
            (_, byte) if byte == self.delimiter => At::Start,
            (At::Closed, b' ' | b'\t') => At::Closed,
            // Within a line, a stray quote harms no other row.
            (At::Closed, _) if self.opened.0 < self.line => {
                let found = format!("text behind the next quote, in line {}", self.line);
                return Err(self.never_closed(&found));
            }
            _ => At::Plain,
        };
        self.line += u64::from(ends_line);
        self.len += 1;
        if self.len > MAX_ROW {
            let limit = format!("a row of at most {MAX_ROW} bytes");
            return Err(match self.at {
                At::Quoted => self.never_closed(&format!("{MAX_ROW} bytes without its end")),
                _ => Fault { line: self.line, expected: limit, found: "more".into() },
            });
        }
        Ok(())
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if n == 0 && self.at == At::Quoted && !buffer.is_empty() {
            let fault = self.never_closed("the end of the file");
            return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
        }
        for &byte in &buffer[..n] {
            self.step(byte).map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
        }
        Ok(n)
    }
}
