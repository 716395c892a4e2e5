//! Folders of image files: `train/<class>/*` with or without `val` and `test`, or `<class>/*`.
//!
//! One walk gives the tree of folders; [`plan`] says what they mean; the images are then looked at as those of every
//! other source. What people call the folders of splits is in [`crate::split_name`].

mod masks;
mod parts;
mod plan;
mod splits;
mod tree;

use super::assemble::{Collected, Named, note};
use crate::class_name::{class_names, told_apart};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::location::Location;
use crate::real_path::Identity;
use crate::reasons;
use crate::scan::Candidate;
use crate::split_name::split_name;
use crate::walk::{LEFT_OUT, passed_over};
use crate::{Dataset, Exclude, OpenOptions, Purpose, SkipKind, Skipped, Split};
use plan::{ClassFolder, EmptyClass, Plan, plan};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use tree::{Read, Tree};

pub(super) use plan::listed;
pub(super) use tree::may_be_an_image;

pub(super) fn open(root: &Path, layout: Option<Layout>, options: &OpenOptions) -> Result<Dataset> {
    let mut read = Tree::read(root, &options.left_out)?;
    let excluded: Vec<&Skipped> =
        read.skipped.iter().filter(|skip| skip.reason.starts_with(LEFT_OUT)).collect();
    let hint = excluded.first().map(|first| {
        let what = if excluded.len() == 1 { "name there" } else { "names there, the first" };
        format!("--exclude left out {} {what} {}", excluded.len(), first.path.display())
    });
    gather(&mut read.skipped);
    open_read(root, read, layout, options).map_err(|error| {
        let too_little = matches!(
            error,
            Error::NoClasses { .. }
                | Error::OneClass { .. }
                | Error::EmptyClass { .. }
                | Error::UnknownClass { .. }
                | Error::NoTraining { .. }
                | Error::EmptySplit { .. }
                | Error::Unsorted { .. }
        );
        // What is left out may be what is missing.
        match hint {
            Some(hint) if too_little => error.with_hint(hint),
            _ => error,
        }
    })
}

fn open_read(root: &Path, read: Read, layout: Option<Layout>, options: &OpenOptions) -> Result<Dataset> {
    let Read { tree, mut skipped, links } = read;
    let Plan { classes, notes, empty } = plan(&tree, layout).map_err(|err| match err {
        Error::NoClasses { path, .. } => Error::NoClasses { path, passed: reasons::passed_over(&skipped) },
        other => other,
    })?;
    skipped.extend(notes);
    // Which classes a split lacks of those that are trained on is told of all sources (`thin.rs`), with what that means.
    let told_anyway = |empty: &EmptyClass| {
        let is_trained = |class: &ClassFolder<'_>| class.split == Split::Train && class.class == empty.class;
        options.purpose == Purpose::Train && empty.split != Split::Train && classes.iter().any(is_trained)
    };
    let empty = empty.into_iter().filter(|empty| !told_anyway(empty));
    skipped.extend(empty.map(|empty| empty.note));
    if layout.is_none() {
        masks::check(&tree, &classes)?;
    }
    if options.purpose == Purpose::Train && classes.iter().all(|class| class.split != Split::Train) {
        return Err(Error::NoTraining { path: root.into(), found: classes[0].split });
    }
    let (names, index) = class_names(classes.iter().map(|class| class.class.as_os_str()), root)?;
    let mut named = Vec::new();
    let mut repeats = Repeats::default();
    for class in &classes {
        for file in class.tree.all_files() {
            // Without links there is one way to each file.
            if links && repeats.is_known(class, &file.path) {
                continue;
            }
            let location = Location::File(file.path.clone());
            let candidate = Candidate { location, bytes: file.bytes, claimed: false };
            named.push(Named { candidate, split: class.split, classes: index[&class.class].into() });
        }
    }
    skipped.extend(repeats.notes(root));
    let shown = told_apart(&names);
    // The class folder says more than the folder of all, and names that look alike say nothing.
    let told = |class: String, split: Split| {
        let at = names.iter().position(|name| *name == class).unwrap_or_default();
        let folder =
            classes.iter().find(|folder| folder.split == split && index[&folder.class] as usize == at);
        (folder.map_or_else(|| root.into(), |folder| folder.tree.path.clone()), shown[at].clone())
    };
    Collected::look_at(root, named, names.clone(), false, skipped, options)?.into_dataset(options).map_err(
        |err| match err {
            Error::EmptyClass { class, split, why, .. } => {
                let (path, class) = told(class, split);
                Error::EmptyClass { path, class, split, why }
            }
            Error::UnknownClass { class, split, .. } => {
                let (path, class) = told(class, split);
                Error::UnknownClass { path, class, split }
            }
            other => other,
        },
    )
}

/// The folders whose names are those of a split.
///
/// # Errors
/// A folder that cannot be read.
pub(super) fn split_folders_in(root: &Path, split: Split) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).map_err(Error::io(root))? {
        let path = entry.map_err(Error::io(root))?.path();
        let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
        let is = !name.starts_with('.')
            && split_name(&name).is_some_and(|n| n.rest.is_empty() && n.split == split);
        if is && path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// True if the folder has at least two class folders with files that may be images, whatever else it holds.
///
/// # Errors
/// A folder that cannot be read.
pub(super) fn class_folders(root: &Path, exclude: &Exclude) -> Result<Vec<String>> {
    let tree = Tree::read(root, exclude)?.tree;
    let Ok(found) = plan(&tree, None) else { return Ok(Vec::new()) };
    let mut names: Vec<String> =
        found.classes.iter().filter(|class| class.tree.images() > 0).map(|class| class.tree.name()).collect();
    names.sort();
    names.dedup();
    Ok(if names.len() < 2 { Vec::new() } else { names })
}

/// The only folder in a folder that holds no files that may be images, if it has one and holds folders itself or anything
/// else that is read.
pub(super) fn only_folder(root: &Path, exclude: &Exclude) -> Result<Option<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).map_err(Error::io(root))? {
        let path = entry.map_err(Error::io(root))?.path();
        let is_folder = path.is_dir();
        if passed_over(&path, is_folder, exclude).is_some() {
            continue;
        }
        if is_folder {
            found.push(path);
        } else if tree::may_be_an_image(&path) {
            return Ok(None);
        }
    }
    Ok(if found.len() == 1 { found.pop() } else { None })
}

/// Files that are reached on several ways.
#[derive(Default)]
struct Repeats {
    identity: Identity<(Split, OsString, PathBuf)>,
    /// Of one class and split: read once.
    dropped: Vec<String>,
    /// In two splits, or of two classes: read twice, as copies would be.
    twice: Vec<String>,
}

impl Repeats {
    /// True for a file that its class and split have already.
    fn is_known(&mut self, class: &ClassFolder<'_>, path: &Path) -> bool {
        let place = (class.split, class.class.clone(), path.to_path_buf());
        let Some((split, other, first)) = self.identity.earlier(path, place) else { return false };
        let pair = format!("{} is {}", path.display(), first.display());
        let same = split == class.split && other == class.class;
        if same {
            self.dropped.push(pair);
        } else {
            self.twice.push(pair);
        }
        same
    }

    fn notes(self, root: &Path) -> Vec<Skipped> {
        let mut notes = Vec::new();
        for (pairs, text) in [
            (self.dropped, "links to files that are read already, each read once"),
            (self.twice, "files are read in two splits or classes, because of links"),
        ] {
            if !pairs.is_empty() {
                notes.push(note(root, format!("{} {text}: {}", pairs.len(), listed(&pairs))));
            }
        }
        notes
    }
}

/// One line for many names that are passed over for one reason.
fn gather(skipped: &mut Vec<Skipped>) {
    const EACH: usize = 3;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for skip in skipped.iter().filter(|skip| skip.kind == SkipKind::Unused) {
        *counts.entry(skip.reason.clone()).or_default() += 1;
    }
    let mut told = BTreeSet::new();
    skipped.retain_mut(|skip| {
        let count = counts.get(&skip.reason).copied().filter(|&n| n > EACH && skip.kind == SkipKind::Unused);
        let Some(count) = count else { return true };
        let first = told.insert(skip.reason.clone());
        skip.reason = format!("{} (and {} more)", skip.reason, count - 1);
        first
    });
}
