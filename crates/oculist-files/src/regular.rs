//! Opening files that the user names: regular files only.
//!
//! A path in a list, a folder or a flag may lead to anything. Opening a named pipe waits for its other end, and a device
//! such as `/dev/zero` never ends; so every reader of this workspace opens its files here, where whatever is no regular
//! file is an error at once. Links are followed to what they lead to.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

/// Opens a regular file for reading.
///
/// # Errors
/// What the system says; [`io::ErrorKind::IsADirectory`] for a folder and [`io::ErrorKind::InvalidInput`] for a pipe, a
/// socket or a device, in words that say what was found.
pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
    let path = path.as_ref();
    // Before opening, as that alone can change the state of a device; after it, as the name may have changed hands.
    check(&std::fs::metadata(path)?)?;
    let file = options().open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

/// Reads a regular file whole.
///
/// # Errors
/// As for [`open`].
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let mut bytes = Vec::new();
    // A file may say any size; memory that is not there is an error and no abort.
    bytes.try_reserve_exact(usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a regular file that holds text in UTF-8.
///
/// # Errors
/// As for [`open`]; [`io::ErrorKind::InvalidData`] for other bytes.
pub fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|err| {
        let at = err.utf8_error().valid_up_to();
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("expected text in UTF-8, found other bytes at {at}"),
        )
    })
}

/// What is no regular file, in words: `a folder`, `a pipe`, `a socket`, `a device`; None for a regular file.
pub fn irregular(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        return None;
    }
    if kind.is_dir() {
        return Some("a folder");
    }
    Some(special(kind))
}

#[cfg(unix)]
fn special(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_block_device() || kind.is_char_device() {
        "a device"
    } else {
        "something else"
    }
}

#[cfg(not(unix))]
fn special(_kind: FileType) -> &'static str {
    "something else"
}

fn check(meta: &Metadata) -> io::Result<()> {
    let Some(found) = irregular(meta.file_type()) else { return Ok(()) };
    let kind = if meta.is_dir() { io::ErrorKind::IsADirectory } else { io::ErrorKind::InvalidInput };
    Err(io::Error::new(kind, format!("expected a regular file, found {found}")))
}

/// Reading without waiting: should a pipe take the file's place after the first look, opening returns nevertheless.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_a_link_to_it_too() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, "é").unwrap();
        assert_eq!(read(&file).unwrap(), "é".as_bytes());
        assert_eq!(read_to_string(&file).unwrap(), "é");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("a", dir.path().join("link")).unwrap();
            assert_eq!(read_to_string(dir.path().join("link")).unwrap(), "é");
        }
        std::fs::write(&file, b"ab\xff").unwrap();
        let err = read_to_string(&file).unwrap_err();
        assert_eq!(err.to_string(), "expected text in UTF-8, found other bytes at 2");
        assert_eq!(read(dir.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        let folder = read(dir.path()).unwrap_err();
        assert_eq!(folder.kind(), io::ErrorKind::IsADirectory);
        assert_eq!(folder.to_string(), "expected a regular file, found a folder");
    }

    /// Were one of them opened as a file is, this test would not end.
    #[cfg(unix)]
    #[test]
    fn pipes_sockets_and_devices_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::os::unix::fs::symlink(&pipe, dir.path().join("link")).unwrap();
        let found = |path: &Path| read(path).unwrap_err().to_string();
        assert_eq!(found(&pipe), "expected a regular file, found a pipe");
        assert_eq!(found(&dir.path().join("link")), "expected a regular file, found a pipe");
        assert_eq!(found(&socket), "expected a regular file, found a socket");
        assert_eq!(found(Path::new("/dev/zero")), "expected a regular file, found a device");
    }
}
