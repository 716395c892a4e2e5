//! What the folders of a tree mean: splits, classes, or nothing.

use super::parts;
use super::splits::{SplitFolders, split_folders};
use super::tree::Tree;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::open::assemble::{note, unread};
use crate::split_name::{says_nothing, split_name};
use crate::{Skipped, Split};
use std::collections::BTreeSet;
use std::ffi::OsString;

/// How many names a message lists.
const NAMED: usize = 3;

/// A class folder of one split.
pub(super) struct ClassFolder<'a> {
    pub(super) split: Split,
    /// Its name by the bytes; folders of one class have the same in all splits.
    pub(super) class: OsString,
    pub(super) tree: &'a Tree,
}

/// A class folder without files.
pub(super) struct EmptyClass {
    pub(super) split: Split,
    pub(super) class: OsString,
    pub(super) note: Skipped,
}

/// The class folders, and what is worth telling.
pub(super) struct Plan<'a> {
    pub(super) classes: Vec<ClassFolder<'a>>,
    pub(super) notes: Vec<Skipped>,
    pub(super) empty: Vec<EmptyClass>,
}

/// Finds the class folders of all splits.
///
/// # Errors
/// [`Error::NoClasses`] without any; [`Error::Ambiguous`] where folders may be classes or splits.
pub(super) fn plan(root: &Tree, layout: Option<Layout>) -> Result<Plan<'_>> {
    let (mut notes, mut empty) = (Vec::new(), Vec::new());
    let root = inner(root, &mut notes);
    let folders = match layout {
        Some(Layout::Classes | Layout::Inner) => None,
        _ => split_folders(root, layout == Some(Layout::Splits))?,
    };
    let mut classes = Vec::new();
    match folders {
        None if layout == Some(Layout::Inner) => {
            for part in root.with_images() {
                tell_loose(part, &mut notes);
                classes.extend(part.with_images().into_iter().map(|tree| class_of(tree, Split::Train)));
            }
            tell_loose(root, &mut notes);
            if classes.is_empty() {
                return Err(Error::NoClasses { path: root.path.clone(), passed: Box::default() });
            }
        }
        None => {
            if layout.is_none() {
                parts::check(root, &root.with_images())?;
            }
            classes.extend(classes_in(root, Split::Train, layout, &mut notes, &mut empty)?);
        }
        Some(SplitFolders { splits, at_root, others }) => {
            if layout.is_none() {
                parts::check_beside(root, &splits, &others)?;
            }
            tell_loose(root, &mut notes);
            // Training comes first, so that its classes are known.
            for (split, folder) in splits {
                if folder.name().to_lowercase() != split.name() {
                    notes.push(note(&folder.path, format!("taken for the {split} split")));
                }
                let inside = inside_split(folder, split, &mut notes);
                // A split alone has no other whose classes would tell.
                let told = split == Split::Train || !classes.is_empty() || !at_root.is_empty();
                if let Some(flat) = flat_in(inside, split).filter(|_| told)
                    && !classes.iter().any(|class: &ClassFolder<'_>| class.class == flat.key())
                {
                    if split == Split::Train {
                        return Err(Error::NoClasses { path: flat.path.clone(), passed: Box::default() });
                    }
                    let text = format!(
                        "not read: {} files that may be images lie in no class folders there",
                        flat.images()
                    );
                    notes.push(note(&flat.path, text));
                    continue;
                }
                classes.extend(classes_in(inside, split, layout, &mut notes, &mut empty)?);
            }
            if !at_root.is_empty() {
                notes.push(note(
                    &root.path,
                    format!("{} are the classes of the train split", named(&at_root)),
                ));
            }
            classes.extend(at_root.into_iter().map(|tree| class_of(tree, Split::Train)));
            notes.extend(beside_splits(root, &others));
        }
    }
    // The order of the splits, so that the order of the images does not depend on how folders are called.
    classes.sort_by_key(|class| class.split);
    Ok(Plan { classes, notes, empty })
}

/// Folders beside the splits: those with images each, or in one line where they are many.
fn beside_splits(root: &Tree, others: &[&Tree]) -> Vec<Skipped> {
    let (with, without): (Vec<&Tree>, Vec<&Tree>) = others.iter().partition(|tree| tree.images() > 0);
    let text =
        |images: usize| format!("a folder beside the splits, not read ({images} files that may be images)");
    let mut notes: Vec<Skipped> = without.iter().map(|tree| note(&tree.path, text(0))).collect();
    if with.len() > NAMED {
        let images: usize = with.iter().map(|tree| tree.images()).sum();
        let count = with.len();
        let text = format!(
            "{count} folders beside the splits, not read ({images} files that may be images): {}",
            named(&with)
        );
        notes.push(unread(&root.path, text));
    } else {
        notes.extend(with.iter().map(|tree| unread(&tree.path, text(tree.images()))));
    }
    notes
}

fn class_of(tree: &Tree, split: Split) -> ClassFolder<'_> {
    ClassFolder { split, class: tree.key(), tree }
}

/// The folder that holds the data: an archive often unpacks to one folder in another.
fn inner<'a>(root: &'a Tree, notes: &mut Vec<Skipped>) -> &'a Tree {
    let mut at = root;
    while at.own_images() == 0
        && let [only] = &at.with_images()[..]
        && !only.with_images().is_empty()
        && only.own_images() == 0
        && !split_name(&only.name()).is_some_and(|name| name.rest.is_empty())
    {
        notes.push(note(&only.path, "read as the data set: the only folder with images there".into()));
        at = only;
    }
    at
}

/// Within a split's folder: `seg_train/seg_train/<class>` and `train/images/<class>` have one folder too many.
fn inside_split<'a>(folder: &'a Tree, split: Split, notes: &mut Vec<Skipped>) -> &'a Tree {
    let mut at = folder;
    while at.own_images() == 0
        && let [only] = &at.with_images()[..]
        && only.own_images() == 0
        && (only.key() == at.key()
            || says_nothing(&only.name())
            || split_name(&only.name()).is_some_and(|name| name.split == split))
    {
        tell_loose(at, notes);
        notes.push(note(&only.path, format!("read as the {split} split: the only folder with images there")));
        at = only;
    }
    at
}

/// The only folder in a split's folder if it is called like it or says nothing, and holds images and no class folders.
fn flat_in(folder: &Tree, split: Split) -> Option<&Tree> {
    let &[only] = &folder.with_images()[..] else { return None };
    let wraps = only.key() == folder.key()
        || says_nothing(&only.name())
        || split_name(&only.name()).is_some_and(|name| name.split == split);
    (folder.own_images() == 0 && only.with_images().is_empty() && wraps).then_some(only)
}

/// The class folders in a folder.
fn classes_in<'a>(
    folder: &'a Tree,
    split: Split,
    layout: Option<Layout>,
    notes: &mut Vec<Skipped>,
    empty: &mut Vec<EmptyClass>,
) -> Result<Vec<ClassFolder<'a>>> {
    let mut classes = Vec::new();
    if layout.is_none() && splits_within(folder) {
        parts::check(folder, &folder.folders.iter().flat_map(Tree::with_images).collect::<Vec<_>>())?;
        notes.push(note(&folder.path, "class folders that hold folders of splits are read as such".into()));
        for class in &folder.folders {
            tell_loose(class, notes);
            for part in &class.folders {
                let split = split_name(&part.name()).map_or(split, |name| name.split);
                classes.push(ClassFolder { split, class: class.key(), tree: part });
            }
        }
    } else {
        for tree in &folder.folders {
            if !tree.is_empty() {
                classes.push(class_of(tree, split));
            } else if !tree.passed_over && tree.folders.iter().all(|inner| !inner.passed_over) {
                // What was passed over in it is named already.
                let text = format!("class \"{}\" has no file in the {split} split", tree.name());
                empty.push(EmptyClass { split, class: tree.key(), note: note(&tree.path, text) });
            }
        }
        tell_nested(folder, &classes, notes);
    }
    if classes.is_empty() {
        return Err(Error::NoClasses { path: folder.path.clone(), passed: Box::default() });
    }
    tell_loose(folder, notes);
    Ok(classes)
}

/// True for `<class>/train/*` and `<class>/test/*`: every folder holds nothing but splits, and some of them two.
fn splits_within(folder: &Tree) -> bool {
    let splits = |class: &Tree| -> Option<BTreeSet<Split>> {
        let of =
            |part: &Tree| split_name(&part.name()).filter(|name| name.rest.is_empty()).map(|name| name.split);
        if class.own_images() > 0 { None } else { class.folders.iter().map(of).collect() }
    };
    let all: Option<Vec<BTreeSet<Split>>> = folder.folders.iter().map(splits).collect();
    all.is_some_and(|all| {
        all.iter().all(|splits| splits.contains(&Split::Train)) && all.iter().any(|splits| splits.len() > 1)
    })
}

/// Files beside the class folders are of no class.
fn tell_loose(folder: &Tree, notes: &mut Vec<Skipped>) {
    let names: Vec<String> = folder
        .files
        .iter()
        .map(|file| file.path.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    if !names.is_empty() {
        let what = if names.len() == 1 { "file" } else { "files" };
        let text =
            format!("{} {what} beside the folders belong to no class: {}", names.len(), listed(&names));
        let tell = if folder.own_images() > 0 { unread } else { note };
        notes.push(tell(&folder.path, text));
    }
}

/// Folders in class folders are no classes of their own.
fn tell_nested(folder: &Tree, classes: &[ClassFolder<'_>], notes: &mut Vec<Skipped>) {
    let nested: Vec<String> = classes
        .iter()
        .flat_map(|class| class.tree.with_images().into_iter().map(move |inner| (class, inner)))
        .map(|(class, inner)| format!("{}/{}", class.tree.name(), inner.name()))
        .collect();
    if !nested.is_empty() {
        let text = format!(
            "{} within class folders ({}): their images are of the outer folder's class",
            if nested.len() == 1 { "a folder".to_owned() } else { format!("{} folders", nested.len()) },
            listed(&nested)
        );
        notes.push(note(&folder.path, text));
    }
}

/// Some names, and how many more there are.
pub(in crate::open) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let mut text = names.iter().take(NAMED).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if names.len() > NAMED {
        text = format!("{text} and {} more", names.len() - NAMED);
    }
    text
}

/// The names of some folders.
pub(super) fn named(folders: &[&Tree]) -> String {
    listed(&folders.iter().map(|folder| folder.name()).collect::<Vec<_>>())
}

/// The same, with the folders that they lie in.
pub(super) fn named_below(root: &Tree, folders: &[&Tree]) -> String {
    let below = |tree: &&Tree| tree.path.strip_prefix(&root.path).unwrap_or(&tree.path).display().to_string();
    listed(&folders.iter().map(below).collect::<Vec<_>>())
}
