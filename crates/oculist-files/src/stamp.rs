//! What tells without reading that a file is as it was.

use std::fs::Metadata;
use std::time::SystemTime;

/// Size, times and inode of a file.
///
/// The time of change cannot be set back as the time of modification can, so that a file that was written since has
/// another stamp, whatever was done to hide it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Time of modification, nanoseconds since 1970.
    pub modified: i64,
    /// Time of change, nanoseconds since 1970.
    pub changed: i64,
    /// Number within the file system.
    pub inode: u64,
}

impl Stamp {
    /// Of a file; None where the system has no such times, or where the file changed so recently that a further change
    /// could have the same times.
    #[cfg(unix)]
    pub fn of(meta: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let nanoseconds = |s: i64, n: i64| s.checked_mul(1_000_000_000)?.checked_add(n);
        let stamp = Self {
            size: meta.size(),
            modified: nanoseconds(meta.mtime(), meta.mtime_nsec())?,
            changed: nanoseconds(meta.ctime(), meta.ctime_nsec())?,
            inode: meta.ino(),
        };
        // The coarsest clock of a file system ticks every two seconds.
        const TICK: i64 = 2_000_000_000;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos() as i64;
        (stamp.changed.checked_add(TICK)? < now).then_some(stamp)
    }

    /// None: the system has no time of change.
    #[cfg(not(unix))]
    pub fn of(_meta: &Metadata) -> Option<Self> {
        None
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_change_shows_even_if_size_and_time_are_set_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, "one").unwrap();
        assert_eq!(Stamp::of(&fs::metadata(&path).unwrap()), None, "too young to be trusted");
        std::thread::sleep(Duration::from_millis(2100));
        let meta = fs::metadata(&path).unwrap();
        let before = Stamp::of(&meta).unwrap();
        assert_eq!(Stamp::of(&fs::metadata(&path).unwrap()), Some(before));
        fs::write(&path, "two").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(meta.modified().unwrap()).unwrap();
        assert_ne!(Stamp::of(&fs::metadata(&path).unwrap()), Some(before));
    }
}
