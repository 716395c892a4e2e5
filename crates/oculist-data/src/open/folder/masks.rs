//! Pictures whose masks lie beside them, which look like twice as many pictures or like two classes.
//!
//! A mask is the outline of what a picture shows: `1_mask.png` beside `1.png`, or a folder `masks` beside one `images`. It
//! tells nothing about the class. That a file is one cannot be known from its name alone, so that the user is asked.

use super::plan::{ClassFolder, named};
use super::tree::{Tree, may_be_an_image};
use crate::WalkedFile;
use crate::error::{Error, Result};
use std::collections::BTreeSet;

/// Folders of pictures beside folders of masks, in lower case.
const PICTURES: [&str; 9] =
    ["image", "images", "img", "imgs", "picture", "pictures", "photos", "originals", "jpegimages"];
/// Folders of masks, in lower case.
const MASKS: [&str; 11] = [
    "mask",
    "masks",
    "segmentation",
    "segmentations",
    "segmentationclass",
    "segmentationobject",
    "groundtruth",
    "ground_truth",
    "ground truth",
    "gt",
    "trimaps",
];
/// Ends of a mask's name, behind the name of its picture and a space, a line or a dot.
const ENDS: [&str; 7] = ["mask", "masks", "seg", "segmentation", "gt", "groundtruth", "matte"];
/// Masks are more than chance where they are at least this part of a class folder's files.
const PART: usize = 20;

/// Refuses a set in which pictures may have their masks beside them.
///
/// # Errors
/// [`Error::Ambiguous`] with an example and both ways to read it.
pub(super) fn check(root: &Tree, classes: &[ClassFolder<'_>]) -> Result<()> {
    let is = |names: &[&str], tree: &Tree| names.contains(&tree.name().to_lowercase().as_str());
    let trees: Vec<&Tree> = classes.iter().map(|class| class.tree).collect();
    let any = |names: &[&str], trees: &[&Tree]| trees.iter().any(|tree| is(names, tree));
    if any(&PICTURES, &trees) && any(&MASKS, &trees) {
        return Err(ambiguous(
            root,
            format!("{} hold pictures and their masks, and no classes", named(&trees)),
            "classes",
        ));
    }
    for class in classes {
        let inside = class.tree.with_images();
        if let Some(masks) = inside.iter().find(|tree| is(&MASKS, tree) && inside.len() > 1) {
            let name = masks.name();
            let text = format!(
                "{}/{name} holds masks of the pictures beside it (leave them out: --exclude {name})",
                class.tree.name()
            );
            return Err(ambiguous(root, text, "pictures of the class"));
        }
        if let Some((mask, picture, count)) = masks_among(class.tree) {
            let end = &mask[picture.rfind('.').unwrap_or(picture.len())..];
            let word = end.trim_start_matches(|c: char| !c.is_alphanumeric());
            let word: String = word.chars().take_while(|c| c.is_alphabetic()).collect();
            let text = format!(
                "{}/{mask} is the mask of {picture} ({count} such files; leave them out: --exclude '*{word}*')",
                class.tree.name()
            );
            return Err(ambiguous(root, text, "pictures of the class"));
        }
    }
    Ok(())
}

fn ambiguous(root: &Tree, masks: String, other: &str) -> Error {
    let other = format!("all are {other} (--layout classes, or --layout splits)");
    Error::Ambiguous { path: root.path.clone(), readings: vec![masks, other] }
}

/// The first file that is named like a mask of another one in its folder, that one, and how many there are; None for fewer
/// than could be chance.
fn masks_among(tree: &Tree) -> Option<(String, String, usize)> {
    let name = |file: &WalkedFile| file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let images = tree.files.iter().filter(|file| may_be_an_image(&file.path));
    let names: Vec<String> = images.map(name).collect();
    let stem = |name: &str| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
    let pictures: BTreeSet<String> = names.iter().map(|name| stem(name)).collect();
    let found: Vec<(&String, String)> = names
        .iter()
        .filter_map(|name| {
            Some((name, picture_of(&stem(name)).filter(|of| pictures.contains(*of))?.to_owned()))
        })
        .collect();
    let (mask, of) = found.first()?;
    let picture = names.iter().find(|name| stem(name) == *of)?;
    (found.len() * PART >= names.len()).then(|| ((*mask).clone(), picture.clone(), found.len()))
}

/// The stem of the picture that a mask of this stem would belong to.
fn picture_of(stem: &str) -> Option<&str> {
    // Several masks of one picture are numbered: `1_mask_2`.
    let numbered = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let stem =
        if numbered.len() < stem.len() { numbered.trim_end_matches(['_', '-', ' ', '.']) } else { stem };
    ENDS.into_iter().find_map(|end| {
        let at = stem.len().checked_sub(end.len()).filter(|at| stem.is_char_boundary(*at))?;
        let (before, last) = stem.split_at(at);
        let picture = before.trim_end_matches(['_', '-', ' ', '.']);
        (last.eq_ignore_ascii_case(end) && !picture.is_empty() && picture.len() < before.len())
            .then_some(picture)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_named_after_their_picture() {
        assert_eq!(picture_of("benign (1)_mask"), Some("benign (1)"));
        assert_eq!(picture_of("benign (1)_mask_2"), Some("benign (1)"));
        assert_eq!(picture_of("a-GT"), Some("a"));
        for other in ["mask", "_mask", "with_mask_x", "facemask", "a_1", "unmasked"] {
            assert_eq!(picture_of(other), None, "{other}");
        }
    }
}
