//! Pictures whose masks lie beside them, which look like twice as many pictures or like two classes.
//!
//! A mask is the outline of what a picture shows: `1_mask.png` beside `1.png`, or a folder `masks` beside one `images`. It
//! tells nothing about the class. That a file is one cannot be known from its name alone, so that the user is asked.

use super::plan::{ClassFolder, named, named_below};
use super::tree::{Tree, may_be_an_image};
use crate::error::{Error, Result};
use crate::{Split, WalkedFile};
use std::collections::BTreeSet;

/// Folders of pictures beside folders of masks, in lower case.
const PICTURES: [&str; 9] =
    ["image", "images", "img", "imgs", "picture", "pictures", "photos", "originals", "jpegimages"];
/// Folders of masks, in lower case.
const MASKS: [&str; 18] = [
    "mask",
    "masks",
    "seg",
    "segs",
    "trimap",
    "matte",
    "mattes",
    "silhouettes",
    "annotations",
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
/// Words that stand beside these in the names of such folders.
const BESIDE_MASKS: [&str; 8] = ["binary", "class", "object", "image", "images", "img", "all", "png"];
/// Ends of a mask's name, behind the name of its picture and a space, a line or a dot.
const ENDS: [&str; 9] =
    ["mask", "masks", "seg", "segmentation", "segmentations", "annotations", "gt", "groundtruth", "matte"];
/// Masks are more than chance where they are at least this part of a class folder's files.
const PART: usize = 20;

/// Refuses a set in which pictures may have their masks beside them.
///
/// # Errors
/// [`Error::Ambiguous`] with an example and both ways to read it.
pub(super) fn check(root: &Tree, classes: &[ClassFolder<'_>]) -> Result<()> {
    let trees: Vec<&Tree> = classes.iter().map(|class| class.tree).collect();
    let any = |is: &dyn Fn(&str) -> bool| trees.iter().any(|tree| is(&tree.name()));
    if any(&is_pictures) && any(&is_masks) {
        let pictures: Vec<&Tree> = trees.iter().copied().filter(|tree| is_pictures(&tree.name())).collect();
        let masks: Vec<&Tree> = trees.iter().copied().filter(|tree| is_masks(&tree.name())).collect();
        // Pictures in class folders are a data set without the masks beside them.
        let text = if pictures.iter().all(|tree| tree.own_images() == 0 && tree.with_images().len() > 1) {
            let held = named_below(root, &masks);
            format!(
                "{held}: masks of the pictures in {} (leave them out: {})",
                named(&pictures),
                left_out(&masks)
            )
        } else {
            format!("{} hold pictures and their masks, and no classes", named_below(root, &trees))
        };
        return Err(ambiguous(root, text, "classes"));
    }
    for split in Split::ALL {
        let trees: Vec<&Tree> = classes.iter().filter(|c| c.split == split).map(|c| c.tree).collect();
        let masks = masks_beside(&trees);
        if !masks.is_empty() {
            let text = format!(
                "{}: masks of the pictures in the folders beside (leave them out: {})",
                named_below(root, &masks),
                left_out(&masks)
            );
            return Err(ambiguous(root, text, "classes"));
        }
    }
    for class in classes {
        let inside = class.tree.with_images();
        if let Some(masks) = inside.iter().find(|tree| is_masks(&tree.name()) && inside.len() > 1) {
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

/// True for a name of folders of pictures.
fn is_pictures(name: &str) -> bool {
    PICTURES.contains(&name.to_lowercase().as_str())
}

/// True for a name of folders of masks: `masks`, `binary_masks`, `GroundTruth`.
pub(super) fn is_masks(name: &str) -> bool {
    let name = name.to_lowercase();
    let mut words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).peekable();
    MASKS.contains(&name.as_str())
        || words.peek().is_some()
            && words.all(|word| MASKS.contains(&word) || BESIDE_MASKS.contains(&word))
            && MASKS.iter().any(|word| name.contains(word))
}

/// What leaves these folders out.
fn left_out(masks: &[&Tree]) -> String {
    let names: BTreeSet<String> = masks.iter().map(|tree| format!("--exclude {}", tree.name())).collect();
    names.into_iter().collect::<Vec<_>>().join(" ")
}

/// The folders among these that are called like folders of masks (`masks`, or `cat_masks` beside `cat`) and hold files called
/// like those of the others, or folders called like the others. Where masks are what the classes are about (`mask` and
/// `no_mask`), there are none.
fn masks_beside<'a>(trees: &[&'a Tree]) -> Vec<&'a Tree> {
    let names: BTreeSet<String> = trees.iter().map(|tree| tree.name()).collect();
    let of = |name: &str| picture_of(name).filter(|of| names.contains(*of)).map(str::to_owned);
    let is = |name: &str| is_masks(name) || of(name).is_some();
    let (masks, others): (Vec<&Tree>, Vec<&Tree>) = trees.iter().copied().partition(|tree| is(&tree.name()));
    let about_masks = others.iter().any(|tree| tree.name().to_lowercase().contains("mask"));
    if others.len() < 2 && others.len() != masks.len() || about_masks {
        return Vec::new();
    }
    let mut pictures = BTreeSet::new();
    for tree in &others {
        for file in tree.all_files().into_iter().filter(|file| may_be_an_image(&file.path)) {
            let stem = stem(&name_of(file)).to_owned();
            pictures.insert(format!("{}_{stem}", tree.name()));
            pictures.insert(stem);
        }
    }
    let shares = |tree: &&Tree| {
        let files = tree.all_files().into_iter().filter(|file| may_be_an_image(&file.path));
        let stems: Vec<String> = files.map(|file| stem(&name_of(file)).to_owned()).collect();
        let known = |stem: &&String| {
            pictures.contains(*stem) || picture_of(stem).is_some_and(|of| pictures.contains(of))
        };
        let folders = tree.with_images();
        stems.iter().filter(known).count() * 2 > stems.len()
            || folders.len() > 1 && folders.iter().all(|inner| names.contains(&inner.name()))
    };
    masks.into_iter().filter(shares).collect()
}

fn name_of(file: &WalkedFile) -> String {
    file.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

fn ambiguous(root: &Tree, masks: String, other: &str) -> Error {
    let other = format!("all are {other} (--layout classes, or --layout splits)");
    Error::Ambiguous { path: root.path.clone(), readings: vec![masks, other] }
}

/// The first file that is named like a mask of another one in its folder, that one, and how many there are; None for fewer
/// than could be chance.
fn masks_among(tree: &Tree) -> Option<(String, String, usize)> {
    let images = tree.files.iter().filter(|file| may_be_an_image(&file.path));
    let names: Vec<String> = images.map(name_of).collect();
    let pictures: BTreeSet<String> = names.iter().map(|name| stem(name).to_owned()).collect();
    let found: Vec<(&String, String)> = names
        .iter()
        .filter_map(|name| {
            Some((name, picture_of(stem(name)).filter(|of| pictures.contains(*of))?.to_owned()))
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
