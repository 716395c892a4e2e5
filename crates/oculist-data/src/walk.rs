//! The one walk through a folder of files: which files count, in which order, and what is passed over.
//!
//! Training, evaluation and prediction look for images by the same rules:
//!
//! - Files come in natural order, folder by folder; links are followed.
//! - Names that begin with a dot, and the index files of file managers ([`LEFT_BEHIND`]), are not looked at.
//! - Folders that systems keep beside pictures (`@eaDir`, `__MACOSX`, ...), results of this program, and what the user
//!   leaves out are passed over and named.
//! - A link to nowhere, a link back to a folder above, a pipe, a socket, a device and a folder that must not be read are
//!   passed over and named; none of them is opened.

use crate::error::{Error, Result};
use crate::exclude::Exclude;
use crate::natural_cmp_os;
use crate::outputs::{is_part, only_output_in, output_in};
use crate::scan::{SkipKind, Skipped, named_like_an_image};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// Files that file managers leave in folders of pictures, in lower case; never looked at and never named.
const LEFT_BEHIND: [&str; 4] = ["thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"];

/// Folders that systems keep beside files, in lower case: thumbnails of network drives, resource forks of archives, waste.
const KEPT_BY_SYSTEMS: [&str; 8] = [
    "@eadir",
    "@recycle",
    "@__thumb",
    "__macosx",
    "#recycle",
    "$recycle.bin",
    "system volume information",
    "lost+found",
];

/// How the reason begins for what the user leaves out.
pub(crate) const LEFT_OUT: &str = "left out by --exclude";

/// What a walk found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Walked {
    /// Regular files in natural order, whatever they hold.
    pub files: Vec<WalkedFile>,
    /// The folders that were entered, also those without files.
    pub folders: Vec<PathBuf>,
    /// Whether a file or a folder was reached through a link, so that one file may be there twice.
    pub links: bool,
    /// What was passed over, and why.
    pub skipped: Vec<Skipped>,
}

/// A file that a walk found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkedFile {
    /// The folder that was walked, and the way from there.
    pub path: PathBuf,
    /// Its length in bytes; 0 where the system does not say.
    pub bytes: u64,
}

/// Why a name in a folder is passed over.
pub(crate) enum Passed {
    /// Hidden, or left behind by a file manager: not worth a word.
    Silently,
    /// For this reason.
    Named(String),
}

/// All files below a folder.
///
/// # Errors
/// [`Error::Io`] if the folder itself cannot be read; nothing below it is an error.
pub fn walk(folder: &Path, exclude: &Exclude) -> Result<Walked> {
    std::fs::read_dir(folder).map_err(Error::io(folder))?;
    let root = std::fs::canonicalize(folder).map_err(Error::io(folder))?;
    let mut found = Walked::default();
    // Where links to folders led: each place is entered once, or links to each other's folders would never end.
    let mut entered = BTreeSet::new();
    let mut named = Vec::new();
    let mut enter = |entry: &DirEntry| {
        if entry.depth() == 0 {
            return true;
        }
        let reason = match passed_over(entry.path(), entry.file_type().is_dir(), exclude) {
            None if entry.file_type().is_dir() && entry.path_is_symlink() => {
                match std::fs::canonicalize(entry.path()) {
                    // The walk itself knows the folders from its root on, but not those above.
                    Ok(place) if root.starts_with(&place) => {
                        Some(format!("a link back to {}, which holds it", place.display()))
                    }
                    Ok(place) if !entered.insert(place.clone()) => {
                        Some(format!("a link to {}, where another link led already", place.display()))
                    }
                    _ => None,
                }
            }
            None => None,
            Some(Passed::Silently) => return false,
            Some(Passed::Named(reason)) => Some(reason),
        };
        let Some(reason) = reason else { return true };
        named.push(Skipped { path: entry.path().into(), reason, kind: SkipKind::Unused });
        false
    };
    // Folders with a result and images: whether the files of a folder are to be looked at is asked once.
    let mut mixed: BTreeMap<PathBuf, Option<&'static str>> = BTreeMap::new();
    let mut walk = WalkDir::new(folder)
        .follow_links(true)
        .sort_by(|a, b| natural_cmp_os(a.file_name(), b.file_name()))
        .into_iter()
        .filter_entry(&mut enter);
    while let Some(entry) = walk.next() {
        match entry {
            Ok(entry) if is_part(entry.path()) && entry.depth() > 0 => {
                let holder = entry.path().parent().unwrap_or(folder).to_path_buf();
                match *mixed.entry(holder).or_insert_with_key(|holder| output_in(holder)) {
                    Some(_) if entry.file_type().is_dir() => walk.skip_current_dir(),
                    Some(_) => {}
                    None => look(entry, &mut found),
                }
            }
            Ok(entry) => look(entry, &mut found),
            Err(err) => found.skipped.extend(unreachable_entry(&err, folder, exclude)),
        }
    }
    drop(walk);
    found.skipped.append(&mut named);
    for (path, what) in mixed {
        if let Some(what) = what {
            let reason = format!("holds {what} of oculist, whose files are not read as data");
            found.skipped.push(Skipped { path, reason, kind: SkipKind::Unused });
        }
    }
    found.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn look(entry: DirEntry, found: &mut Walked) {
    found.links |= entry.depth() > 0 && entry.path_is_symlink();
    if entry.file_type().is_dir() {
        if entry.depth() > 0 {
            found.folders.push(entry.into_path());
        }
        return;
    }
    let Some(kind) = oculist_files::irregular(entry.file_type()) else {
        let bytes = entry.metadata().map_or(0, |meta| meta.len());
        found.files.push(WalkedFile { path: entry.into_path(), bytes });
        return;
    };
    let path = entry.into_path();
    found.skipped.push(Skipped { kind: by_name(&path), reason: format!("{kind}, no regular file"), path });
}

/// What cannot be reached is not there for us; hidden names stay hidden.
fn unreachable_entry(err: &walkdir::Error, folder: &Path, exclude: &Exclude) -> Option<Skipped> {
    let path = err.path().unwrap_or(folder).to_path_buf();
    if path != folder && passed_over(&path, false, exclude).is_some() {
        return None;
    }
    let missing = err.io_error().is_some_and(|io| io.kind() == std::io::ErrorKind::NotFound);
    let (reason, kind) = if let Some(above) = err.loop_ancestor() {
        (format!("a link back to {}, which holds it", above.display()), SkipKind::Unused)
    } else if missing {
        // Removed since it was listed, or a link whose end is gone.
        ("a link to nothing".to_owned(), by_name(&path))
    } else {
        let reason = err.io_error().map_or_else(|| err.to_string(), ToString::to_string);
        // What a folder holds that must not be read is unknown; it may well be images.
        (format!("cannot be read: {reason}"), SkipKind::Unreadable)
    };
    Some(Skipped { path, reason, kind })
}

fn by_name(path: &Path) -> SkipKind {
    if named_like_an_image(path) { SkipKind::Unreadable } else { SkipKind::NotAnImage }
}

/// Whether a name found in a folder is passed over; None for one that counts.
pub(crate) fn passed_over(path: &Path, is_folder: bool, exclude: &Exclude) -> Option<Passed> {
    let name = path.file_name().unwrap_or(OsStr::new("")).to_string_lossy();
    let lower = name.to_lowercase();
    if name.starts_with('.') || (!is_folder && LEFT_BEHIND.contains(&lower.as_str())) {
        return Some(Passed::Silently);
    }
    if let Some(pattern) = exclude.matching(path) {
        return Some(Passed::Named(format!("{LEFT_OUT} {pattern}")));
    }
    if !is_folder {
        return None;
    }
    if KEPT_BY_SYSTEMS.contains(&lower.as_str()) {
        return Some(Passed::Named("a folder that a system keeps beside files, not read".into()));
    }
    only_output_in(path).map(|what| Passed::Named(format!("{what} of oculist, not read as data")))
}
