//! The directory of a zip archive.
//!
//! # Source
//! PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (central header), 4.3.14 to 4.3.16 (ends of the
//! directory) and 4.5.3 (sizes of 64 bits).

/// An entry as the directory lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    /// 0 is stored, 8 deflated.
    pub(super) method: u16,
    pub(super) encrypted: bool,
    /// Where its bytes begin.
    pub(super) start: usize,
    pub(super) packed: usize,
    pub(super) size: usize,
}

/// Length of the end of the directory without its comment.
const END: usize = 22;
/// Longest comment behind it.
const COMMENT: usize = 0xffff;
/// Length of a central header without name, extra fields and comment.
const HEADER: usize = 46;
/// Length of a local header without name and extra fields.
const LOCAL: usize = 30;

/// Lists the entries of an archive.
///
/// # Errors
/// In words, what is not as the format has it.
pub(super) fn entries(bytes: &[u8]) -> Result<Vec<Listed>, String> {
    let end = find_end(bytes).ok_or("it has no end of a directory")?;
    let at = |offset: usize| end + offset;
    let mut count = u64::from(u16_at(bytes, at(10))?);
    let mut size = u64::from(u32_at(bytes, at(12))?);
    let mut start = u64::from(u32_at(bytes, at(16))?);
    if let Some(wide) = wide_end(bytes, end)? {
        (count, size, start) = wide;
    }
    let inside = |n: u64| usize::try_from(n).ok().filter(|&n| n <= end);
    let first =
        inside(start).ok_or_else(|| format!("its directory begins at {start}, behind its end at {end}"))?;
    let last = inside(size)
        .and_then(|size| first.checked_add(size))
        .filter(|&last| last <= end)
        .ok_or_else(|| format!("its directory of {size} bytes does not lie in front of its end"))?;
    let directory = &bytes[first..last];
    if count > (directory.len() / HEADER) as u64 {
        return Err(format!("its directory of {} bytes cannot list {count} entries", directory.len()));
    }
    let mut listed = Vec::new();
    let mut rest = directory;
    for _ in 0..count {
        let length = header(bytes, rest, &mut listed)?;
        rest = &rest[length..];
    }
    Ok(listed)
}

/// Reads one central header; returns its length.
fn header(bytes: &[u8], from: &[u8], listed: &mut Vec<Listed>) -> Result<usize, String> {
    if from.get(..4) != Some(b"PK\x01\x02") {
        return Err(format!("expected a header of entry {} in its directory, found none", listed.len()));
    }
    let [name, extra, comment] = [u16_at(from, 28)?, u16_at(from, 30)?, u16_at(from, 32)?].map(usize::from);
    let length = HEADER + name + extra + comment;
    let text = from.get(HEADER..HEADER + name).ok_or("its directory is cut short")?;
    let fields = from.get(HEADER + name..HEADER + name + extra).ok_or("its directory is cut short")?;
    if from.len() < length {
        return Err("its directory is cut short".into());
    }
    let name = String::from_utf8(text.to_vec()).map_err(|_| "the name of an entry is no UTF-8".to_owned())?;
    let shown = oculist_text::name(&name);
    let mut numbers = [u32_at(from, 24)?, u32_at(from, 20)?, u32_at(from, 42)?].map(u64::from);
    widen(&mut numbers, fields).map_err(|problem| format!("entry `{shown}`: {problem}"))?;
    let outside = || format!("its entry `{shown}` does not lie within the file's {} bytes", bytes.len());
    let [size, packed, offset] = numbers.map(usize::try_from);
    let (Ok(size), Ok(packed), Ok(offset)) = (size, packed, offset) else { return Err(outside()) };
    let local = bytes.get(offset..).filter(|b| b.len() >= LOCAL).ok_or_else(outside)?;
    if &local[..4] != b"PK\x03\x04" {
        return Err(format!("its entry `{shown}` has no header of its own"));
    }
    let own = LOCAL + usize::from(u16_at(local, 26)?) + usize::from(u16_at(local, 28)?);
    let start = offset.checked_add(own).ok_or_else(outside)?;
    if start.checked_add(packed).is_none_or(|end| end > bytes.len()) {
        return Err(outside());
    }
    let (method, encrypted) = (u16_at(from, 10)?, u16_at(from, 8)? & 1 != 0);
    listed.push(Listed { name, method, encrypted, start, packed, size });
    Ok(length)
}

/// Puts the numbers of 64 bits in the place of size, packed size and offset that stand for them.
fn widen(numbers: &mut [u64; 3], mut fields: &[u8]) -> Result<(), String> {
    const ABSENT: u64 = 0xffff_ffff;
    while numbers.contains(&ABSENT) {
        let (Ok(id), Ok(length)) = (u16_at(fields, 0), u16_at(fields, 2)) else {
            // A file of just that size has it.
            return Ok(());
        };
        let field = fields.get(4..4 + usize::from(length)).ok_or("its extra fields are cut short")?;
        if id == 1 {
            let mut at = 0;
            for number in numbers.iter_mut().filter(|number| **number == ABSENT) {
                *number = u64_at(field, at)?;
                at += 8;
            }
            return Ok(());
        }
        fields = &fields[4 + field.len()..];
    }
    Ok(())
}

/// Where the end of the directory begins: the last place whose comment ends with the file.
fn find_end(bytes: &[u8]) -> Option<usize> {
    let last = bytes.len().checked_sub(END)?;
    (last.saturating_sub(COMMENT)..=last).rev().find(|&at| {
        bytes[at..].starts_with(b"PK\x05\x06")
            && u16_at(bytes, at + 20).is_ok_and(|comment| at + END + usize::from(comment) == bytes.len())
    })
}

/// Number of entries, size and place of the directory in 64 bits, if the archive has them.
fn wide_end(bytes: &[u8], end: usize) -> Result<Option<(u64, u64, u64)>, String> {
    let Some(locator) = end.checked_sub(20).filter(|&at| bytes[at..].starts_with(b"PK\x06\x07")) else {
        return Ok(None);
    };
    let place = u64_at(bytes, locator + 8)?;
    let wide = usize::try_from(place).ok().filter(|&at| at < locator);
    let Some(wide) = wide.filter(|&at| bytes[at..].starts_with(b"PK\x06\x06")) else {
        return Err(format!("expected the end of a directory of 64 bits at {place}, found none"));
    };
    Ok(Some((u64_at(bytes, wide + 32)?, u64_at(bytes, wide + 40)?, u64_at(bytes, wide + 48)?)))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], String> {
    let end = at.checked_add(N).ok_or("it is cut short")?;
    bytes.get(at..end).and_then(|b| b.try_into().ok()).ok_or_else(|| "it is cut short".to_owned())
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, String> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, String> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, String> {
    array(bytes, at).map(u64::from_le_bytes)
}
