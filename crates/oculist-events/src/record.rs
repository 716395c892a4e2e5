//! Records with checksums, appended one by one.

use std::fs::File;
use std::io::{self, Write};

use prost::Message;

use crate::crc::masked;

/// Bytes of an event at most: whoever reads it must hold it whole.
pub const MAX_EVENT_BYTES: usize = 64 << 20;
/// Bytes of the length and its checksum.
const HEAD: usize = 12;
/// Bytes that stay reserved between two records.
const KEPT: usize = 64 << 10;

/// What records are appended to.
pub(crate) trait Sink {
    /// Writes at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Takes away what is beyond a length.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Flushes to the disk.
    fn sync(&mut self) -> io::Result<()>;
}

impl Sink for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Appends records to a new file; nothing ever follows half a record.
#[derive(Debug)]
pub(crate) struct Records<S> {
    sink: S,
    /// Bytes of whole records.
    length: u64,
    /// Whether half a record could not be taken away.
    torn: bool,
    record: Vec<u8>,
}

impl<S: Sink> Records<S> {
    /// Of an empty file that is opened for appending.
    pub(crate) fn new(sink: S) -> Self {
        Self { sink, length: 0, torn: false, record: Vec::new() }
    }

    /// Appends a message of at most [`MAX_EVENT_BYTES`].
    ///
    /// # Errors
    /// What the system says; the file is as it was. If not even that can be reached, every further call is an error.
    pub(crate) fn write(&mut self, message: &impl Message) -> io::Result<()> {
        if self.torn {
            return Err(io::Error::other("it ends in half a record since an earlier error"));
        }
        let length = message.encoded_len();
        if length > MAX_EVENT_BYTES {
            let problem = format!("an event of {length} bytes; at most {MAX_EVENT_BYTES} are written");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let head = (length as u64).to_le_bytes();
        self.record.extend(head);
        self.record.extend(masked(&head).to_le_bytes());
        // A vector grows as needed, so this cannot fail.
        message.encode(&mut self.record).map_err(io::Error::other)?;
        let data = masked(&self.record[HEAD..]);
        self.record.extend(data.to_le_bytes());
        let written = self.sink.append(&self.record);
        match written {
            Ok(()) => self.length += self.record.len() as u64,
            Err(_) => self.torn = self.sink.cut(self.length).is_err(),
        }
        self.record.clear();
        self.record.shrink_to(KEPT);
        written
    }

    /// Flushes to the disk.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.sink.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for some bytes.
    #[derive(Default)]
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
        stuck: bool,
    }

    impl Sink for Disk {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            let fits = bytes.len().min(self.room - self.bytes.len());
            self.bytes.extend(&bytes[..fits]);
            if fits == bytes.len() { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
        }

        fn cut(&mut self, length: u64) -> io::Result<()> {
            if self.stuck {
                return Err(io::ErrorKind::Other.into());
            }
            self.bytes.truncate(length as usize);
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_record_is_length_data_and_their_checksums() {
        let mut records = Records::new(Disk { room: 1000, ..Disk::default() });
        records.write(&"abc".to_owned()).unwrap();
        records.write(&String::new()).unwrap();
        let bytes = records.sink.bytes;
        // A string alone is a message with field 1.
        let data = b"\x0a\x03abc";
        assert_eq!(bytes[..8], 5u64.to_le_bytes());
        assert_eq!(bytes[8..12], masked(&bytes[..8]).to_le_bytes());
        assert_eq!(&bytes[12..17], data);
        assert_eq!(bytes[17..21], masked(data).to_le_bytes());
        assert_eq!(bytes[21..29], [0; 8]);
        assert_eq!(bytes.len(), 37);
    }

    #[test]
    fn half_a_record_is_taken_away() {
        let mut records = Records::new(Disk { room: 50, ..Disk::default() });
        records.write(&"abc".to_owned()).unwrap();
        let whole = records.sink.bytes.clone();
        let error = records.write(&"x".repeat(40)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(records.sink.bytes, whole);
        records.write(&"de".to_owned()).unwrap();
        assert_eq!(records.sink.bytes.len(), whole.len() + 20);
        assert!(records.sink.bytes.starts_with(&whole));
    }

    #[test]
    fn nothing_follows_half_a_record_that_cannot_be_taken_away() {
        let mut records = Records::new(Disk { room: 30, stuck: true, ..Disk::default() });
        records.write(&"abc".to_owned()).unwrap();
        records.write(&"x".repeat(40)).unwrap_err();
        records.sink.room = 1000;
        let error = records.write(&"abc".to_owned()).unwrap_err().to_string();
        assert_eq!(error, "it ends in half a record since an earlier error");
        assert_eq!(records.sink.bytes.len(), 30);
    }

    #[test]
    fn memory_and_records_are_bounded() {
        let mut records = Records::new(Disk { room: usize::MAX, ..Disk::default() });
        records.write(&"x".repeat(1 << 20)).unwrap();
        assert!(records.record.capacity() <= KEPT, "{}", records.record.capacity());
        let error = records.write(&"x".repeat(MAX_EVENT_BYTES)).unwrap_err().to_string();
        assert!(error.contains("at most 67108864 are written"), "{error}");
    }
}
