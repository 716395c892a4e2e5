//! The text of an annotation file on its way to the parser.
//!
//! Python writes `NaN` and `Infinity` where a number is none, which is no JSON; here they become `null`, so that one such
//! number is not the end of the file. A text without end is an error before it takes memory.

use crate::limits::{MAX_TEXT, is_utf16};
use std::io::{self, BufRead, BufReader, Read};

enum At {
    Outside,
    /// In a text of so many bytes; the next byte may be escaped.
    Text(usize, bool),
    /// In what may be a number that is none.
    Word(Vec<u8>),
}

/// A reader that gives JSON.
pub(super) struct JsonText<R> {
    inner: BufReader<R>,
    at: At,
    started: bool,
    /// What is ready to be read, and how much of it was.
    ready: Vec<u8>,
    taken: usize,
}

impl<R: Read> JsonText<R> {
    pub(super) fn new(inner: R) -> Self {
        let inner = BufReader::with_capacity(1 << 16, inner);
        Self { inner, at: At::Outside, started: false, ready: Vec::new(), taken: 0 }
    }

    fn step(&mut self, byte: u8) -> io::Result<()> {
        match &mut self.at {
            At::Text(len, escaped) => {
                *len += 1;
                if *len > MAX_TEXT {
                    return Err(io::Error::other(format!("a text of more than {MAX_TEXT} bytes")));
                }
                match (*escaped, byte) {
                    (false, b'"') => self.at = At::Outside,
                    (false, b'\\') => *escaped = true,
                    _ => *escaped = false,
                }
            }
            At::Outside => match byte {
                b'"' => self.at = At::Text(0, false),
                b'N' | b'I' | b'-' => {
                    self.at = At::Word(vec![byte]);
                    return Ok(());
                }
                _ => {}
            },
            At::Word(word) => {
                // No word that is replaced is longer.
                if byte.is_ascii_alphabetic() && word.len() < b"-Infinity".len() {
                    word.push(byte);
                    return Ok(());
                }
                self.end_word();
                return self.step(byte);
            }
        }
        self.ready.push(byte);
        Ok(())
    }

    fn end_word(&mut self) {
        if let At::Word(word) = std::mem::replace(&mut self.at, At::Outside) {
            match word.as_slice() {
                b"NaN" | b"-NaN" | b"Infinity" | b"-Infinity" => self.ready.extend(b"null"),
                other => self.ready.extend(other),
            }
        }
    }

    /// Makes more bytes ready; none are at the end.
    fn fill(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.taken = 0;
        while self.ready.is_empty() {
            let mut chunk = self.inner.fill_buf()?.to_vec();
            if chunk.is_empty() {
                self.end_word();
                return Ok(());
            }
            self.inner.consume(chunk.len());
            if !std::mem::replace(&mut self.started, true) {
                if is_utf16(&chunk) {
                    return Err(io::Error::other("text in UTF-16 (save the file as UTF-8)"));
                }
                if chunk.starts_with(b"\xef\xbb\xbf") {
                    chunk.drain(..3);
                }
            }
            for byte in chunk {
                self.step(byte)?;
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for JsonText<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.ready.len() {
            self.fill()?;
        }
        let n = buffer.len().min(self.ready.len() - self.taken);
        buffer[..n].copy_from_slice(&self.ready[self.taken..self.taken + n]);
        self.taken += n;
        Ok(n)
    }
}
