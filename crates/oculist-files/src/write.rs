//! Writing beside a file's place, then renaming.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The end of the names of files that are being written.
const ENDING: &str = ".oculist-tmp";
/// Characters of a file's name that stand in the name of its unfinished form: a name has at most 255 bytes.
const NAME_PART: usize = 48;
/// Other names that are tried where one is taken.
const ATTEMPTS: u32 = 1000;
/// Bytes that are written to see whether a folder can be written.
const PROBE: [u8; 4096] = [0; 4096];

/// Writes a file whole or not at all: beside its place, flushed to the disk, then renamed over what was there.
///
/// The unfinished file is locked, so that [`remove_leftovers`](crate::remove_leftovers) tells it from one whose process
/// has ended.
///
/// # Errors
/// What the system says, or that something other than a regular file has the name; then nothing is left behind and what was
/// there stays.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A rename would put a file in the place of a device or a pipe.
    if let Ok(there) = fs::metadata(path)
        && !there.is_file()
    {
        let what = if there.is_dir() { "a folder" } else { "no regular file" };
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("there is {what} of this name already"),
        ));
    }
    let (temporary, mut file) = create_beside(path)?;
    let written = (|| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // The first error is the one to tell; the leftover may not even exist.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Writes a few bytes into a folder and takes them away again: the only sure way to know that it can be written.
///
/// # Errors
/// What the system says.
pub fn check_writable(folder: &Path) -> io::Result<()> {
    let (temporary, mut file) = create_beside(&folder.join("probe"))?;
    let written = file.write_all(&PROBE).and_then(|()| file.flush());
    let removed = fs::remove_file(&temporary);
    written.and(removed)
}

/// Flushes the names in a folder to the disk, where the system can open folders.
pub fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        // Some file systems refuse; there the rename is enough.
        let _ = folder.sync_all();
    }
}

/// The folder that a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// A new, locked file beside `path`, under a hidden name that no other writer uses.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "the path must end with the name of a file")
    })?;
    let folder = folder_of(path);
    for attempt in 0..ATTEMPTS {
        let candidate = folder.join(temporary_name(name, attempt));
        let file = match OpenOptions::new().write(true).create_new(true).open(&candidate) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(e) => return Err(e),
        };
        match file.try_lock() {
            // Between creation and lock another process may have taken it for a leftover and removed it.
            Ok(()) if is_at(&file, &candidate) => return Ok((candidate, file)),
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            // A file system without locks: nobody removes files there, since nobody can tell whose they are.
            Err(TryLockError::Error(_)) => return Ok((candidate, file)),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{ATTEMPTS} unfinished files are beside it")))
}

/// `.NAME.PROCESS-ATTEMPT.oculist-tmp`.
fn temporary_name(name: &OsStr, attempt: u32) -> OsString {
    let part: String = name.to_string_lossy().chars().take(NAME_PART).collect();
    format!(".{part}.{}-{attempt}{ENDING}", std::process::id()).into()
}

/// Whether a file name is one that [`temporary_name`] gives.
pub(crate) fn is_temporary(name: &OsStr) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    name.to_str()
        .and_then(|name| name.strip_prefix('.')?.strip_suffix(ENDING)?.rsplit_once('.'))
        .and_then(|(_, writer)| writer.split_once('-'))
        .is_some_and(|(process, attempt)| number(process) && number(attempt))
}

/// Whether an open file is the one that a path names now.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Whether an open file is the one that a path names now; without inodes, whether the path names one.
#[cfg(not(unix))]
pub(crate) fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_stays_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x".repeat(250));
        for text in ["one", "another"] {
            write(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        check_writable(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("taken");
        fs::create_dir(&folder).unwrap();
        assert!(write(&folder, b"x").is_err(), "a folder is no file");
        assert!(write(&dir.path().join("absent/x"), b"x").is_err());
        assert!(write(Path::new("/"), b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_our_names_are_ours() {
        for name in ["model.onnx", "a.b.c", ".hidden", "Ü", &"x".repeat(255)] {
            assert!(is_temporary(&temporary_name(OsStr::new(name), 7)), "{name}");
        }
        for name in [
            "model.onnx.12-0.oculist-tmp",
            ".model.onnx.12-0.tmp",
            ".model.onnx.oculist-tmp",
            ".model.onnx.x-0.oculist-tmp",
            ".model.onnx.12-.oculist-tmp",
            ".tmpAbCdEf",
        ] {
            assert!(!is_temporary(OsStr::new(name)), "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_written_file_is_as_readable_as_any_other() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (plain, ours) = (dir.path().join("plain"), dir.path().join("ours"));
        fs::write(&plain, "x").unwrap();
        write(&ours, b"x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }
}
