//! Folders that one process writes at a time.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use thiserror::Error;

use crate::clock::utc_text;
use crate::write::is_at;

/// The file in a folder whose lock is the folder's; it goes away with the lock.
pub const LOCK_FILE: &str = ".oculist-lock";

/// The file that stays in a folder that a process made or found empty and wrote a result into.
pub const RESULT_MARK: &str = ".oculist-result";

/// How often a lock is tried: whoever only asks who has a folder has its lock for an instant.
const TRIES: usize = 5;
/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Who has a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holder {
    /// Number of the process, if it could be read.
    pub process: Option<u32>,
    /// Since when, RFC 3339 in UTC.
    pub since: Option<String>,
    /// What it does there.
    pub job: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.process {
            Some(process) => write!(f, "process {process}")?,
            None => write!(f, "another process")?,
        }
        match (&self.job, &self.since) {
            (Some(job), Some(since)) => write!(f, " (oculist {job}, since {since})"),
            _ => Ok(()),
        }
    }
}

/// Why a folder is not ours.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process has it.
    #[error("it is in use by {0}")]
    Held(Holder),
    /// Something else has the lock file's name.
    #[error("{} is in the way: expected a regular file, found {found}", path.display())]
    NoFile {
        /// The name.
        path: PathBuf,
        /// What has it.
        found: &'static str,
    },
    /// The lock file cannot be made.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The right to write into a folder, for as long as this value lives.
///
/// The lock is the operating system's: it ends with the process, however that ends.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
    path: PathBuf,
    exclusive: bool,
}

impl FolderLock {
    /// Takes a folder, which must exist, for a job such as `train`.
    ///
    /// # Errors
    /// [`LockError::Held`] if another process (or another lock of this one) has it; [`LockError::Io`] if nothing can be
    /// written there.
    pub fn acquire(folder: &Path, job: &str) -> Result<Self, LockError> {
        let path = folder.join(LOCK_FILE);
        let (mut tries, mut moved) = (0, 0);
        loop {
            // A link would lock the file that it leads to, a pipe would wait for its other end.
            if let Some(found) = fs::symlink_metadata(&path).ok().and_then(|meta| strange(&meta)) {
                return Err(LockError::NoFile { path, found });
            }
            let mut file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            let exclusive = match file.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) if tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(PAUSE);
                    continue;
                }
                Err(TryLockError::WouldBlock) => return Err(LockError::Held(holder(&mut file))),
                Err(TryLockError::Error(_)) => false,
            };
            // Whoever had it removed the file with the lock: then this is the lock of a file that nobody finds.
            if exclusive && !is_at(&file, &path) {
                moved += 1;
                if moved > TRIES {
                    return Err(LockError::Held(Holder::default()));
                }
                continue;
            }
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            let since = utc_text(SystemTime::now());
            write!(file, "{}\n{since}\n{}\n", std::process::id(), job.replace('\n', " "))?;
            return Ok(Self { file, path, exclusive });
        }
    }

    /// Who has the folder, if anybody has; makes nothing.
    pub fn holder(folder: &Path) -> Option<Holder> {
        let path = folder.join(LOCK_FILE);
        if strange(&fs::symlink_metadata(&path).ok()?).is_some() {
            return None;
        }
        let mut file = crate::open(path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(holder(&mut file)),
            _ => None,
        }
    }

    /// False on a file system without locks, where nothing keeps others out.
    pub fn is_exclusive(&self) -> bool {
        self.exclusive
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Removed while it is still locked, so that nobody who has the lock loses the file.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// What is no regular file itself, in words.
fn strange(meta: &fs::Metadata) -> Option<&'static str> {
    if meta.is_symlink() { Some("a link") } else { crate::irregular(meta.file_type()) }
}

/// What the holder wrote about itself, as far as it can be read.
fn holder(file: &mut File) -> Holder {
    let mut text = String::new();
    // Some systems do not let others read a locked file; then the holder has no name.
    let _ = file.take(4096).read_to_string(&mut text);
    let mut lines = text.lines().map(str::to_owned);
    Holder {
        process: lines.next().and_then(|line| line.parse().ok()),
        since: lines.next(),
        job: lines.next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Were the link followed or the pipe opened, this test would not end or would lock another file.
    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_not_taken_for_a_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(LOCK_FILE);
        let refused = |what: &str| {
            assert_eq!(FolderLock::holder(dir.path()), None);
            let text = FolderLock::acquire(dir.path(), "train").unwrap_err().to_string();
            assert!(text.contains(LOCK_FILE) && text.ends_with(what), "{text}");
        };
        fs::write(dir.path().join("other"), "mine").unwrap();
        std::os::unix::fs::symlink("other", &path).unwrap();
        refused("found a link");
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        refused("found a pipe");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refused("found a folder");
        fs::remove_dir(&path).unwrap();
        assert!(FolderLock::acquire(dir.path(), "train").is_ok());
        assert_eq!(fs::read_to_string(dir.path().join("other")).unwrap(), "mine");
    }

    #[test]
    fn a_folder_has_one_holder_and_is_free_again_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(FolderLock::holder(dir.path()), None);
        let lock = FolderLock::acquire(dir.path(), "train").unwrap();
        assert!(lock.is_exclusive());
        let text = FolderLock::acquire(dir.path(), "optimize").unwrap_err().to_string();
        let want = format!("it is in use by process {} (oculist train, since 2", std::process::id());
        assert!(text.starts_with(&want), "{text}");
        assert_eq!(FolderLock::holder(dir.path()).unwrap().job.as_deref(), Some("train"));
        drop(lock);
        assert_eq!(FolderLock::holder(dir.path()), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "the lock file goes with the lock");
        FolderLock::acquire(dir.path(), "optimize").unwrap();
    }

    #[test]
    fn a_lock_file_without_a_process_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(LOCK_FILE), "999999999\n2020-01-01T00:00:00Z\ntrain\n").unwrap();
        assert_eq!(FolderLock::holder(dir.path()), None);
        FolderLock::acquire(dir.path(), "train").unwrap();
        assert!(matches!(FolderLock::acquire(&dir.path().join("absent"), "x"), Err(LockError::Io(_))));
    }

    #[test]
    fn of_many_only_one_gets_it() {
        let dir = tempfile::tempdir().unwrap();
        let inside = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let Ok(lock) = FolderLock::acquire(dir.path(), "x") else { continue };
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
    }
}
