//! Folders that hold the same folders, as the parts of a cross-validation or of several photographers do.
//!
//! `fold1/{cat,dog}` and `fold2/{cat,dog}` may be two classes or two parts of one set; the names cannot tell, so that the
//! user is asked.

use super::masks::is_masks;
use super::plan::{listed, named_below};
use super::tree::Tree;
use crate::Split;
use crate::error::{Error, Result};
use crate::split_name::{says_nothing, split_name};
use std::collections::BTreeMap;

/// Refuses folders that may be classes as well as parts.
///
/// # Errors
/// [`Error::Ambiguous`] with both readings and what chooses them.
pub(super) fn check(root: &Tree, folders: &[&Tree]) -> Result<()> {
    // Masks beside pictures are another question.
    if folders.iter().any(|tree| is_masks(&tree.name())) {
        return Ok(());
    }
    let Some(inner) = shared(folders) else { return Ok(()) };
    let (outer, inner) = (named_below(root, folders), listed(&inner));
    // Where splits lie between the classes and what they share, there is no flag for it.
    let flat = folders.iter().all(|tree| tree.path.parent() == Some(&root.path));
    let parts = if flat {
        format!("{outer} are parts of one data set whose classes are {inner} (--layout inner)")
    } else {
        format!("{outer} have the classes {inner} (give the one folder to train on instead)")
    };
    let classes = "the outer folders are the classes (--layout classes)".to_owned();
    Err(Error::Ambiguous { path: root.path.clone(), readings: vec![parts, classes] })
}

/// Refuses folders beside those of splits that are called like a split, too, and hold the same classes.
///
/// # Errors
/// As [`check`].
pub(super) fn check_beside(root: &Tree, splits: &[(Split, &Tree)], others: &[&Tree]) -> Result<()> {
    for (_, split) in splits {
        for other in others.iter().filter(|other| split_name(&other.name()).is_some()) {
            let Some(inner) = shared(&[split, other]) else { continue };
            let (split, other) = (split.name(), other.name());
            let left_out = format!("{other} is not read (--layout splits, or --exclude {other})");
            let split_too = format!(
                "{other} is a split as {split} is, with the classes {} (call it train, val or test; or all are parts of one \
                 data set: --layout inner)",
                listed(&inner)
            );
            return Err(Error::Ambiguous { path: root.path.clone(), readings: vec![left_out, split_too] });
        }
    }
    Ok(())
}

/// The names of folders with images that several of the folders hold, if all hold nothing but folders and if these are
/// more than the others. Numbers and words that say nothing are no classes.
fn shared(folders: &[&Tree]) -> Option<Vec<String>> {
    if folders.len() < 2 || folders.iter().any(|tree| tree.own_images() > 0 || tree.with_images().is_empty())
    {
        return None;
    }
    let mut holders: BTreeMap<String, usize> = BTreeMap::new();
    for tree in folders {
        for inner in tree.with_images() {
            *holders.entry(inner.name()).or_default() += 1;
        }
    }
    let all = holders.len();
    let several = |(name, count): &(String, usize)| {
        *count > 1 && !says_nothing(name) && split_name(name).is_none_or(|name| !name.rest.is_empty())
    };
    let found: Vec<String> = holders.into_iter().filter(several).map(|(name, _)| name).collect();
    (found.len() > 1 && found.len() * 2 > all).then_some(found)
}
