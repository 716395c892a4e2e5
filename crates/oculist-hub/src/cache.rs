//! A repository's folder in the cache.
//!
//! # Source
//! The layout of `huggingface_hub` (`file_download.py`), with one folder more: `.oculist/COMMIT` is the list of the files
//! that the repository has at a commit, so that a commit is complete or not without asking.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::write_error;
use crate::spec::{check_path, is_commit};
use crate::{HubError, Spec};

/// The folder of lists, which only we read.
const LISTS: &str = ".oculist";
/// Depth to which a snapshot is looked through, and the most files of it.
const MOST_DEPTH: usize = 8;
const MOST_FILES: usize = 10_000;

/// What the cache has of a repository.
#[derive(Debug)]
pub(crate) struct Repository {
    folder: PathBuf,
    locks: PathBuf,
}

/// How a file stands in the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// As a relative link to the blob, as everybody does it.
    Link,
    /// As a file of its own on the blob's bytes: data of an ONNX model, which may not be a link out of its folder.
    File,
}

impl Repository {
    pub(crate) fn new(cache: &Path, spec: &Spec) -> Self {
        let name = format!("models--{}", spec.repository().replace('/', "--"));
        Self { folder: cache.join(&name), locks: cache.join(".locks").join(name) }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a file of a commit is or would be.
    pub(crate) fn entry(&self, commit: &str, file: &str) -> PathBuf {
        below(self.folder.join("snapshots").join(commit), file)
    }

    pub(crate) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    pub(crate) fn has(&self, commit: &str, file: &str) -> bool {
        fs::metadata(self.entry(commit, file)).is_ok_and(|meta| meta.is_file())
    }

    /// The commit that a branch or tag led to the last time.
    pub(crate) fn read_ref(&self, revision: &str) -> Result<Option<String>, HubError> {
        let text = read(below(self.folder.join("refs"), revision))?;
        Ok(text.map(|text| text.trim().to_owned()).filter(|commit| is_commit(commit)))
    }

    pub(crate) fn write_ref(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if revision == commit || self.read_ref(revision)?.as_deref() == Some(commit) {
            return Ok(());
        }
        write(below(self.folder.join("refs"), revision), commit.as_bytes())
    }

    /// All files that the repository has at a commit, if the Hub was asked before.
    pub(crate) fn list(&self, commit: &str) -> Result<Option<Vec<String>>, HubError> {
        let text = read(self.folder.join(LISTS).join(commit))?;
        Ok(text.map(|t| t.lines().filter(|l| check_path(l).is_ok()).map(str::to_owned).collect()))
    }

    pub(crate) fn write_list(&self, commit: &str, files: &[String]) -> Result<(), HubError> {
        write(self.folder.join(LISTS).join(commit), files.join("\n").as_bytes())
    }

    /// The files of a commit that are here, in order.
    pub(crate) fn present(&self, commit: &str) -> Vec<String> {
        let mut files = Vec::new();
        collect(&self.folder.join("snapshots").join(commit), "", 0, &mut files);
        files.sort();
        files
    }

    /// Lets a blob appear in the snapshot of a commit, in one step.
    pub(crate) fn link(&self, commit: &str, file: &str, etag: &str, entry: Entry) -> Result<(), HubError> {
        let place = self.entry(commit, file);
        let relative = format!("{}blobs/{etag}", "../".repeat(file.split('/').count() + 1));
        let is_there = match entry {
            Entry::Link => fs::read_link(&place).is_ok_and(|to| to == Path::new(&relative)),
            Entry::File => false,
        };
        if is_there {
            return Ok(());
        }
        make_folder(place.parent().unwrap_or(&self.folder))?;
        replace(&place, |new| match entry {
            Entry::Link => symlink(Path::new(&relative), new).or_else(|_| own_file(&self.blob(etag), new)),
            Entry::File => own_file(&self.blob(etag), new),
        })
    }

    /// Makes an entry that is a link, as Python leaves it, a file of its own. Nothing else changes.
    pub(crate) fn make_file(&self, commit: &str, file: &str) -> Result<(), HubError> {
        let place = self.entry(commit, file);
        if !fs::symlink_metadata(&place).is_ok_and(|meta| meta.is_symlink()) {
            return Ok(());
        }
        let target =
            fs::canonicalize(&place).map_err(|cause| HubError::Read { path: place.clone(), cause })?;
        replace(&place, |new| own_file(&target, new))
    }

    /// The right to load a blob: the lock that `huggingface_hub` takes too. It ends with the file.
    pub(crate) fn lock(&self, etag: &str, waiting: &mut dyn FnMut()) -> Result<File, HubError> {
        make_folder(&self.locks)?;
        let path = self.locks.join(format!("{etag}.lock"));
        refuse_strange(&path)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|cause| write_error(path.clone(), None, cause))?;
        // On a file system without locks nobody can be kept out, and nobody waits.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            waiting();
            let _ = file.lock();
        }
        Ok(file)
    }
}

/// A path of the Hub below a folder, with the system's separators.
fn below(folder: PathBuf, path: &str) -> PathBuf {
    path.split('/').fold(folder, |folder, part| folder.join(part))
}

fn collect(folder: &Path, before: &str, depth: usize, files: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{before}{name}");
        // Folders by their own kind, files by what a link leads to: no link leads around in a circle.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if depth < MOST_DEPTH {
                collect(&entry.path(), &format!("{path}/"), depth + 1, files);
            }
        } else if files.len() < MOST_FILES
            && check_path(&path).is_ok()
            && fs::metadata(entry.path()).is_ok_and(|meta| meta.is_file())
        {
            files.push(path);
        }
    }
}

/// Something else than a regular file under a name that we write is an error, a link too.
pub(crate) fn refuse_strange(path: &Path) -> Result<(), HubError> {
    let Ok(meta) = fs::symlink_metadata(path) else { return Ok(()) };
    if meta.is_file() {
        return Ok(());
    }
    let found = if meta.is_symlink() {
        "a link"
    } else {
        oculist_files::irregular(meta.file_type()).unwrap_or("another")
    };
    let cause = io::Error::other(format!("expected a regular file, found {found}"));
    Err(HubError::Write { path: path.to_owned(), cause })
}

pub(crate) fn make_folder(path: &Path) -> Result<(), HubError> {
    fs::create_dir_all(path).map_err(|cause| write_error(path.to_owned(), None, cause))
}

fn read(path: PathBuf) -> Result<Option<String>, HubError> {
    match oculist_files::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        // A branch `a` may be where a branch `a/b` is asked for, and the other way round.
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) if e.kind() == io::ErrorKind::IsADirectory => Ok(None),
        Err(cause) => Err(HubError::Read { path, cause }),
    }
}

fn write(path: PathBuf, bytes: &[u8]) -> Result<(), HubError> {
    make_folder(path.parent().unwrap_or(Path::new(".")))?;
    oculist_files::write(&path, bytes).map_err(|cause| write_error(path, None, cause))
}

/// Makes something beside its place and renames it.
fn replace(place: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), HubError> {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let short: String = name.chars().take(48).collect();
    // One name for each thread of each process; two of them may want the same file.
    let thread: String =
        format!("{:?}", std::thread::current().id()).chars().filter(char::is_ascii_digit).collect();
    let new = place.with_file_name(format!(".{short}.{}-{thread}.new", std::process::id()));
    // What a process of the same number left when it was killed.
    let _ = fs::remove_file(&new);
    make(&new).and_then(|()| fs::rename(&new, place)).map_err(|cause| {
        let _ = fs::remove_file(&new);
        write_error(place.to_owned(), None, cause)
    })?;
    // Renaming one name of a file over another of the same file leaves both.
    let _ = fs::remove_file(&new);
    Ok(())
}

/// The same bytes under another name; a copy where the file system has one name for each file.
fn own_file(blob: &Path, new: &Path) -> io::Result<()> {
    fs::hard_link(blob, new).or_else(|_| fs::copy(blob, new).map(|_| ()))
}

#[cfg(unix)]
fn symlink(to: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(to, at)
}

#[cfg(windows)]
fn symlink(to: &Path, at: &Path) -> io::Result<()> {
    // Folders of a link are parted by backslashes there.
    std::os::windows::fs::symlink_file(to.to_string_lossy().replace('/', "\\"), at)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_to: &Path, _at: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(dir: &Path) -> (Repository, String) {
        let repository = Repository::new(dir, &Spec::parse("hf:a/b").unwrap().unwrap());
        (repository, "0a".repeat(20))
    }

    #[cfg(unix)]
    #[test]
    fn entries_lead_to_blobs_from_any_depth() {
        let dir = tempfile::tempdir().unwrap();
        let (repository, commit) = made(dir.path());
        make_folder(&repository.folder().join("blobs")).unwrap();
        fs::write(repository.blob("e1"), "one").unwrap();
        fs::write(repository.blob("e2"), "two").unwrap();
        for file in ["x", "onnx/x", "a/b/c/x"] {
            repository.link(&commit, file, "e1", Entry::Link).unwrap();
            repository.link(&commit, file, "e1", Entry::Link).unwrap();
            assert_eq!(fs::read_to_string(repository.entry(&commit, file)).unwrap(), "one", "{file}");
        }
        assert_eq!(
            fs::read_link(repository.entry(&commit, "onnx/x")).unwrap(),
            Path::new("../../../blobs/e1"),
            "as Python writes it"
        );
        repository.link(&commit, "x", "e2", Entry::Link).unwrap();
        assert_eq!(fs::read_to_string(repository.entry(&commit, "x")).unwrap(), "two");
        repository.make_file(&commit, "x").unwrap();
        repository.make_file(&commit, "x").unwrap();
        repository.link(&commit, "x", "e2", Entry::File).unwrap();
        assert!(fs::symlink_metadata(repository.entry(&commit, "x")).unwrap().is_file());
        assert_eq!(fs::read_to_string(repository.entry(&commit, "x")).unwrap(), "two");
        assert_eq!(repository.present(&commit), ["a/b/c/x", "onnx/x", "x"], "and nothing unfinished");
    }

    #[test]
    fn refs_and_lists() {
        let dir = tempfile::tempdir().unwrap();
        let (repository, commit) = made(dir.path());
        assert_eq!(repository.read_ref("main").unwrap(), None);
        for revision in ["main", "refs/pr/1"] {
            repository.write_ref(revision, &commit).unwrap();
            assert_eq!(repository.read_ref(revision).unwrap().as_deref(), Some(&*commit));
        }
        assert_eq!(repository.read_ref("refs").unwrap(), None, "a folder");
        assert_eq!(repository.read_ref("main/x").unwrap(), None);
        let main = repository.folder().join("refs/main");
        assert_eq!(fs::read_to_string(&main).unwrap(), commit, "without an end of line, as Python wants it");
        fs::write(&main, "../../etc").unwrap();
        assert_eq!(repository.read_ref("main").unwrap(), None, "no commit");
        assert_eq!(repository.list(&commit).unwrap(), None);
        repository.write_list(&commit, &["a".into(), "../b".into(), "c/d".into()]).unwrap();
        assert_eq!(repository.list(&commit).unwrap().unwrap(), ["a", "c/d"]);
    }
}
