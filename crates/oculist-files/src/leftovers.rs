//! Unfinished files of processes that have ended.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::path::Path;

use crate::write::{is_at, is_temporary};

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl std::ops::AddAssign for Leftovers {
    fn add_assign(&mut self, more: Self) {
        self.files += more.files;
        self.bytes += more.bytes;
    }
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = if self.files == 1 { "file" } else { "files" };
        let megabytes = self.bytes as f64 / 1e6;
        write!(f, "removed {} unfinished {files} of an interrupted process ({megabytes:.1} MB)", self.files)
    }
}

/// Removes the unfinished files that [`write`](crate::write()) began in a folder and whose process has ended.
///
/// Only files with the names that [`write`](crate::write()) gives are touched, and none that a live process has locked.
pub fn remove_leftovers(folder: &Path) -> Leftovers {
    let mut removed = Leftovers::default();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_temporary(&entry.file_name()) && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            removed.take(&entry.path());
        }
    }
    removed
}

/// As [`remove_leftovers`], in the folder and in all below it; links are not followed.
pub fn remove_leftovers_below(folder: &Path) -> Leftovers {
    let mut removed = remove_leftovers(folder);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            removed += remove_leftovers_below(&entry.path());
        }
    }
    removed
}

impl Leftovers {
    /// Removes a file that nobody has locked. One that cannot be removed stays: it harms nobody.
    fn take(&mut self, path: &Path) {
        let Ok(file) = OpenOptions::new().write(true).open(path) else { return };
        let bytes = file.metadata().map_or(0, |meta| meta.len());
        // Removed under the lock, so that its writer, if it has only just begun, sees that it is gone. If it was renamed
        // into its place meanwhile, the name may be that of another file already.
        if file.try_lock().is_ok() && is_at(&file, path) && fs::remove_file(path).is_ok() {
            self.files += 1;
            self.bytes += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_process_left_goes_and_everything_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("below");
        fs::create_dir(&below).unwrap();
        let live = below.join(".model.onnx.17-0.oculist-tmp");
        let stay = [dir.path().join("model.onnx"), dir.path().join(".tmpAbCdEf"), live.clone()];
        let go = [dir.path().join(".model.onnx.17-0.oculist-tmp"), below.join(".last.17-3.oculist-tmp")];
        for path in stay.iter().chain(&go) {
            fs::write(path, "half").unwrap();
        }
        let writer = fs::File::open(&live).unwrap();
        writer.lock().unwrap();
        let removed = remove_leftovers_below(dir.path());
        assert_eq!(removed, Leftovers { files: 2, bytes: 8 });
        assert_eq!(removed.to_string(), "removed 2 unfinished files of an interrupted process (0.0 MB)");
        assert!(stay.iter().all(|path| path.exists()) && go.iter().all(|path| !path.exists()));
        drop(writer);
        assert_eq!(remove_leftovers(dir.path()), Leftovers::default(), "this folder only");
        assert_eq!(remove_leftovers(&below).files, 1, "its writer has ended");
        assert_eq!(remove_leftovers(Path::new("/absent")), Leftovers::default());
    }

    #[test]
    fn files_are_written_while_others_tidy_up() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..2000).for_each(|_| _ = remove_leftovers(dir.path())));
            for i in 0..100 {
                let path = dir.path().join(format!("{}", i % 3));
                crate::write(&path, format!("{i}").as_bytes()).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), format!("{i}"));
            }
        });
    }
}
