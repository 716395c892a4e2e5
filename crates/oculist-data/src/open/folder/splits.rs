//! Telling folders of splits from class folders that are called like one.
//!
//! A folder of a split holds class folders; a class folder holds images. So `test` and `best`, with images in both, are two
//! classes, and `train` with the folders `cat` and `dog` is a split whatever else lies beside it.

use super::plan::named;
use super::tree::Tree;
use crate::Split;
use crate::error::{Error, Result};
use crate::split_name::{SplitName, split_name};
use std::collections::BTreeSet;
use std::ffi::OsString;

/// What the folders of a set with splits are.
pub(super) struct SplitFolders<'a> {
    pub(super) splits: Vec<(Split, &'a Tree)>,
    /// Class folders of the training split that lie beside the folders of the other splits.
    pub(super) at_root: Vec<&'a Tree>,
    /// Folders that are neither.
    pub(super) others: Vec<&'a Tree>,
}

/// The folders of splits; None where all folders are classes.
///
/// # Errors
/// [`Error::Ambiguous`] where both is possible, unless the user said that these are splits; two folders for one split.
pub(super) fn split_folders(root: &Tree, said: bool) -> Result<Option<SplitFolders<'_>>> {
    let with_images = root.with_images();
    let named_ones: Vec<(&Tree, SplitName)> = named_like_splits(&with_images);
    // A split's folder holds folders, and more images in these than beside them.
    let shaped = |tree: &Tree| tree.images() > 2 * tree.own_images();
    let splits: Vec<(&Tree, SplitName)> =
        named_ones.iter().filter(|(tree, _)| shaped(tree)).cloned().collect();
    let is_split = |tree: &Tree| splits.iter().any(|(split, _)| std::ptr::eq(*split, tree));
    let others: Vec<&Tree> = root.folders.iter().filter(|tree| !is_split(tree) && !tree.is_empty()).collect();
    let other_images: Vec<&Tree> = others.iter().copied().filter(|tree| tree.images() > 0).collect();
    if splits.is_empty() {
        // Splits without classes in them, and nothing that would be a class beside them.
        let flat = !named_ones.is_empty() && named_ones.len() == with_images.len();
        return match (flat, said) {
            (false, false) => Ok(None),
            // Nobody wants a classifier of training and validation images, so that this is no question.
            (true, false) if with_images.len() > 1 => {
                Err(Error::Unsorted { path: root.path.clone(), folders: named(&with_images) })
            }
            _ => Err(Error::NoClasses {
                path: with_images.first().map_or(&root.path, |tree| &tree.path).clone(),
                passed: Box::default(),
            }),
        };
    }
    let inside: BTreeSet<OsString> =
        splits.iter().flat_map(|(tree, _)| tree.folders.iter().map(Tree::key)).collect();
    let has_train = splits.iter().any(|(_, name)| name.split == Split::Train);
    if !has_train && !other_images.is_empty() {
        let same = other_images.iter().filter(|tree| inside.contains(&tree.key())).count();
        if same == other_images.len() {
            let splits = assign(root, &splits)?;
            let others = others.into_iter().filter(|tree| tree.images() == 0).collect();
            return Ok(Some(SplitFolders { splits, at_root: other_images, others }));
        }
        if !said {
            // A class that is called `test` and holds folders, beside other classes.
            return if same == 0 { Ok(None) } else { Err(unclear(root, &splits, &other_images)) };
        }
    }
    if has_train && !said {
        // Classes of the splits themselves, in a folder of another name, or images to be classified, say nothing against.
        let strange: Vec<&Tree> = other_images
            .iter()
            .copied()
            .filter(|tree| tree.folders.iter().all(|f| !inside.contains(&f.key())))
            .collect();
        let nested = strange.iter().filter(|tree| shaped(tree)).count();
        if splits.len() == 1 && (strange.len() > 1 || nested > 0) {
            return Err(unclear(root, &splits, &strange));
        }
    }
    let splits = assign(root, &splits)?;
    Ok(Some(SplitFolders { splits, at_root: Vec::new(), others }))
}

/// The folders whose names are those of splits: alone, or with something that two of them have in common.
fn named_like_splits<'a>(folders: &[&'a Tree]) -> Vec<(&'a Tree, SplitName)> {
    let names: Vec<(&Tree, SplitName)> =
        folders.iter().filter_map(|tree| Some((*tree, split_name(&tree.name())?))).collect();
    let shared = |name: &SplitName| {
        names.iter().any(|(_, other)| other.rest == name.rest && other.split != name.split)
    };
    names.iter().filter(|(_, name)| name.rest.is_empty() || shared(name)).cloned().collect()
}

/// One folder for each split.
fn assign<'a>(root: &Tree, splits: &[(&'a Tree, SplitName)]) -> Result<Vec<(Split, &'a Tree)>> {
    let is = |split: Split| move |(_, name): &&(&Tree, SplitName)| name.split == split && !name.evaluation;
    let test = splits.iter().any(|entry| is(Split::Test)(&entry));
    let val = splits.iter().any(|entry| is(Split::Val)(&entry));
    let mut found: Vec<(Split, &Tree)> = Vec::new();
    for (tree, name) in splits {
        // `eval` is the split to report on, unless there is another one for that.
        let split = if name.evaluation && test && !val { Split::Val } else { name.split };
        if let Some((_, first)) = found.iter().find(|(other, _)| *other == split) {
            return Err(ambiguous(
                root,
                format!(
                    "{} is the {split} split (leave the other out: --exclude {})",
                    first.name(),
                    tree.name()
                ),
                format!("{} is (--exclude {})", tree.name(), first.name()),
            ));
        }
        found.push((split, tree));
    }
    found.sort_by_key(|(split, _)| *split);
    Ok(found)
}

fn unclear(root: &Tree, splits: &[(&Tree, SplitName)], others: &[&Tree]) -> Error {
    let folders: Vec<&Tree> = splits.iter().map(|(tree, _)| *tree).collect();
    let verb = if folders.len() == 1 { "is a split" } else { "are splits" };
    ambiguous(
        root,
        format!("{} {verb} and {} not read (--layout splits)", named(&folders), named(others)),
        format!("{} and {} are classes (--layout classes)", named(&folders), named(others)),
    )
}

fn ambiguous(root: &Tree, one: String, other: String) -> Error {
    Error::Ambiguous { path: root.path.clone(), readings: vec![one, other] }
}
