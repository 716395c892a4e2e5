//! The members of a tar file, by their headers.

use crate::Skipped;
use crate::error::{Error, Result};
use crate::limits::MAX_SAMPLES;
use crate::open::assemble::{lost, note};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

const BLOCK: u64 = 512;
/// Longest header with its extensions (long names, PAX records), in bytes.
const MAX_HEADER: u64 = 1 << 20;

/// A file in an archive.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// Reads headers only: between two of them there is a seek, and what is read without one is bounded.
struct Headers<'a> {
    file: &'a File,
    read: u64,
}

impl Read for Headers<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read > MAX_HEADER {
            return Err(io::Error::other(format!(
                "a header with extensions of more than {MAX_HEADER} bytes"
            )));
        }
        let n = self.file.read(buffer)?;
        self.read += n as u64;
        Ok(n)
    }
}

impl Seek for Headers<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.read = 0;
        self.file.seek(to)
    }
}

/// All regular members; the archive must be there to its end marker.
pub(super) fn index(path: &Path, mut file: &File, skipped: &mut Vec<Skipped>) -> Result<Vec<Member>> {
    let total = file.metadata().map_err(Error::io(path))?.len();
    let mut start = Vec::new();
    file.take(2).read_to_end(&mut start).and_then(|_| file.rewind()).map_err(Error::io(path))?;
    if start == [0x1f, 0x8b] {
        return Err(Error::Layout {
            path: path.into(),
            expected: "a plain tar (unpack it with gunzip first)".into(),
            found: "a gzip stream".into(),
        });
    }
    let cut = |offset, detail: String| Error::Cut { path: path.into(), offset, detail };
    let mut archive = tar::Archive::new(Headers { file, read: 0 });
    // Archives that were put one behind the other are one; by the first end marker, the others would be lost in silence.
    archive.set_ignore_zeros(true);
    let mut members = Vec::new();
    // Where the next header belongs.
    let mut end = 0;
    for entry in archive.entries_with_seek().map_err(Error::io(path))? {
        let entry = match entry {
            Ok(entry) => entry,
            Err(_) if end + BLOCK > total => return Err(cut(end, "a header is not all there".into())),
            // Archives are filled up with zeros, not always to a whole block.
            Err(_) if is_end_marker(file, end) && only_zeros(file, end) => break,
            Err(err) => {
                let marker = if is_end_marker(file, end) { " or behind the end marker there" } else { "" };
                return Err(Error::Layout {
                    path: path.into(),
                    expected: format!("a tar header at byte {end}{marker}"),
                    found: err.to_string(),
                });
            }
        };
        let name = shown(&entry.path_bytes()).trim_start_matches("./").to_owned();
        if entry.raw_header_position() != end && is_end_marker(file, end) {
            let reason =
                format!("read on behind the end marker at byte {end}, as archives put together have it");
            skipped.push(note(path, reason));
        }
        let kind = entry.header().entry_type();
        let stored =
            if kind.is_gnu_sparse() { entry.header().entry_size().unwrap_or(u64::MAX) } else { entry.size() };
        let (offset, len) = (entry.raw_file_position(), stored);
        end = offset.saturating_add(len).div_ceil(BLOCK).saturating_mul(BLOCK);
        if offset.saturating_add(len) > total {
            let detail = format!(
                "{name} has {len} bytes, but the file ends {} bytes before its end",
                offset.saturating_add(len) - total
            );
            return Err(cut(offset, detail));
        }
        if kind.is_gnu_sparse() || name.starts_with("GNUSparseFile.") || name.contains("/GNUSparseFile.") {
            let reason = "expected a member with all of its bytes, found a sparse one (not supported; tar without --sparse)";
            skipped.push(lost(path.join(name), reason));
        } else if kind.is_file() || kind.is_contiguous() {
            if members.len() >= MAX_SAMPLES {
                return Err(Error::Layout {
                    path: path.into(),
                    expected: format!("an archive of at most {MAX_SAMPLES} files"),
                    found: "more".into(),
                });
            }
            members.push(Member { name, offset, len });
        } else if !kind.is_dir() && !kind.is_pax_global_extensions() {
            skipped.push(note(&path.join(name), "a member that is no regular file".into()));
        }
    }
    if end + BLOCK > total {
        return Err(cut(end.min(total), "the end marker (blocks of zeros) is missing".into()));
    }
    Ok(members)
}

/// True if there is a block of zeros; the file's position stays.
fn is_end_marker(mut file: &File, offset: u64) -> bool {
    let mut block = [1; BLOCK as usize];
    let Ok(before) = file.stream_position() else { return false };
    let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut block));
    file.seek(SeekFrom::Start(before)).is_ok() && read.is_ok() && block == [0; BLOCK as usize]
}

/// True if there are only zeros to the end of the file, whose position moves there.
fn only_zeros(mut file: &File, offset: u64) -> bool {
    file.seek(SeekFrom::Start(offset)).is_ok()
        && io::BufReader::new(file).bytes().all(|byte| byte.is_ok_and(|byte| byte == 0))
}

/// A member's name as text; bytes that are no UTF-8 become `\xE9`, so that different names stay different.
fn shown(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(
            chunk.invalid().iter().flat_map(|byte| format!("\\x{byte:02X}").into_bytes()).map(char::from),
        );
    }
    text
}
