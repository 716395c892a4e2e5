//! Which file a path means: two spellings of one file are one file.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::path::{Path, PathBuf};

/// Finds where paths really lead, with folders and links resolved.
///
/// `a.png`, `./a.png`, `x/../a.png` and a symbolic link to `a.png` are one file. Hard links and copies are files of their
/// own: they may be changed or removed apart from each other. Paths are compared by their bytes, so that names which are
/// shown alike stay apart.
#[derive(Debug, Default)]
pub struct RealPaths {
    /// Folders as written, and where they lead: the files of a list lie in few folders.
    folders: BTreeMap<PathBuf, PathBuf>,
}

impl RealPaths {
    /// The real path of a file that exists.
    ///
    /// # Errors
    /// What the system says of a file or folder that is not there.
    pub fn of(&mut self, path: &Path) -> io::Result<PathBuf> {
        // Where case does not matter, only the system knows how a name is really written.
        let case_matters = !cfg!(any(windows, target_os = "macos"));
        let name = path.file_name().filter(|_| case_matters);
        let (Some(name), Some(folder)) = (name, path.parent()) else {
            return std::fs::canonicalize(path);
        };
        if !self.folders.contains_key(folder) {
            let written = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            self.folders.insert(folder.into(), std::fs::canonicalize(written)?);
        }
        let whole = self.folders[folder].join(name);
        if std::fs::symlink_metadata(&whole)?.is_symlink() {
            return std::fs::canonicalize(&whole);
        }
        Ok(whole)
    }
}

/// The files that a source names, each known by where it really lies.
#[derive(Debug)]
pub(crate) struct Identity<P> {
    real: RealPaths,
    first: BTreeMap<PathBuf, P>,
}

impl<P> Default for Identity<P> {
    fn default() -> Self {
        Self { real: RealPaths::default(), first: BTreeMap::new() }
    }
}

impl<P: Clone> Identity<P> {
    /// The place where the same file was named before. A file that is new gets this place; one that is not there is
    /// known by what was written.
    pub(crate) fn earlier(&mut self, path: &Path, place: P) -> Option<P> {
        let real = self.real.of(path).unwrap_or_else(|_| path.into());
        match self.first.entry(real) {
            Entry::Occupied(first) => Some(first.get().clone()),
            Entry::Vacant(new) => {
                new.insert(place);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_file_are_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir(root.join("x")).unwrap();
        std::fs::write(root.join("a.png"), "a").unwrap();
        std::fs::hard_link(root.join("a.png"), root.join("hard.png")).unwrap();
        let mut real = RealPaths::default();
        let a = real.of(&root.join("a.png")).unwrap();
        for spelling in ["./a.png", "x/../a.png", "x/.././a.png", "x//../a.png"] {
            assert_eq!(real.of(&root.join(spelling)).unwrap(), a, "{spelling}");
        }
        assert_ne!(real.of(&root.join("hard.png")).unwrap(), a, "a hard link is another file");
        assert!(real.of(&root.join("b.png")).is_err());
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("../a.png", root.join("x/link.png")).unwrap();
            std::os::unix::fs::symlink(".", root.join("here")).unwrap();
            for spelling in ["x/link.png", "here/a.png", "here/x/link.png"] {
                assert_eq!(real.of(&root.join(spelling)).unwrap(), a, "{spelling}");
            }
        }
    }
}
