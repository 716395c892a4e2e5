//! What people call the folders of splits.
//!
//! `train`, `Training`, `training_set`, `train_images`, `seg_train`, `TrainImages`, `trainset`: a name is taken apart into
//! words; one of them names the split, others that say nothing (`set`, `images`, `data`, numbers) are passed over, and what
//! remains is a name that the folders of a set may have in common (`asl_alphabet_train`, `asl_alphabet_test`).

use crate::Split;

/// Words for a split, in lower case.
const WORDS: [(Split, &[&str]); 3] = [
    (Split::Train, &["train", "training", "trainval", "trn", "learn", "learning"]),
    (Split::Val, &["val", "valid", "validation", "validate", "validating", "dev", "devel", "development"]),
    (
        Split::Test,
        &[
            "test",
            "testing",
            "tests",
            "tst",
            "holdout",
            "heldout",
            "eval",
            "evaluation",
            "evaluate",
            "evaluating",
        ],
    ),
];

/// Words that say nothing about the split.
const FILLERS: [&str; 34] = [
    "set",
    "sets",
    "data",
    "dataset",
    "datasets",
    "image",
    "images",
    "img",
    "imgs",
    "picture",
    "pictures",
    "pic",
    "pics",
    "photo",
    "photos",
    "file",
    "files",
    "folder",
    "folders",
    "dir",
    "directory",
    "split",
    "splits",
    "sample",
    "samples",
    "seg",
    "part",
    "all",
    "full",
    "the",
    "of",
    "for",
    "class",
    "classes",
];

/// A folder's name that names a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SplitName {
    pub(crate) split: Split,
    /// True for words that some use for the validation split and others for the test split.
    pub(crate) evaluation: bool,
    /// The words that are neither the split nor fillers; folders of one set have them in common.
    pub(crate) rest: Vec<String>,
}

/// The split that a folder of this name holds, by the name alone: `Training`, `val_set`, `seg_test`.
pub fn split_of_folder(name: &str) -> Option<Split> {
    split_name(name).map(|name| name.split)
}

/// The split of a word, in whatever case.
pub(crate) fn split_of_word(word: &str) -> Option<Split> {
    let word = word.to_lowercase();
    WORDS.into_iter().find(|(_, words)| words.contains(&word.as_str())).map(|(split, _)| split)
}

/// Reads a folder's name; None if it names no split, or several.
pub(crate) fn split_name(name: &str) -> Option<SplitName> {
    let mut found: Option<SplitName> = None;
    let mut rest = Vec::new();
    let words = words(name);
    let mut at = 0;
    while at < words.len() {
        let word = words[at].as_str();
        let pair =
            words.get(at + 1).is_some_and(|next| matches!((word, next.as_str()), ("hold" | "held", "out")));
        at += if pair { 2 } else { 1 };
        let meaning = if pair { Some(Split::Test) } else { split_of_word(word).or_else(|| joined(word)) };
        match meaning {
            Some(split) if found.is_none() => {
                let evaluation = word.starts_with("eval");
                found = Some(SplitName { split, evaluation, rest: Vec::new() });
            }
            // `train_test` is neither; `test_set_test` is.
            Some(split) if found.as_ref().is_some_and(|name| name.split == split) => {}
            Some(_) => return None,
            None if is_filler(word) => {}
            None => rest.push(word.to_owned()),
        }
    }
    found.map(|name| SplitName { rest, ..name })
}

/// True if a folder's name says nothing, as `images` or `data`.
pub(crate) fn says_nothing(name: &str) -> bool {
    words(name).iter().all(|word| is_filler(word))
}

fn is_filler(word: &str) -> bool {
    FILLERS.contains(&word) || word.bytes().all(|b| b.is_ascii_digit())
}

/// The split in a word such as `trainset` or `imagestest`.
fn joined(word: &str) -> Option<Split> {
    let filler = |rest: Option<&str>| rest.is_some_and(|rest| FILLERS.contains(&rest));
    let fits = |name: &&'static str| filler(word.strip_prefix(*name)) || filler(word.strip_suffix(*name));
    WORDS.into_iter().find(|(_, words)| words.iter().any(fits)).map(|(split, _)| split)
}

/// Words in lower case: runs of letters or of digits, divided also where a capital follows a small letter.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut last: Option<char> = None;
    for c in name.chars() {
        if c.is_alphanumeric() {
            let begins = last.is_none_or(|last| {
                !last.is_alphanumeric()
                    || last.is_lowercase() && c.is_uppercase()
                    || last.is_ascii_digit() != c.is_ascii_digit()
            });
            if begins {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
        }
        last = Some(c);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_people_use() {
        for (split, names) in [
            (
                Split::Train,
                "train Train TRAIN Training training_set train_images training-images images_train seg_train \
                 train2017 trainset TrainImages train.1 trn train_data Train-Set Trainingsdata-train 01_train",
            ),
            (Split::Val, "val valid Validation val_set dev Dev_Set VAL validation-data valset ValImages"),
            (
                Split::Test,
                "test Testing test_set images_test holdout hold_out held-out eval Evaluation test1 testset TEST",
            ),
        ] {
            for name in names.split_whitespace() {
                assert_eq!(split_name(name).map(|found| found.split), Some(split), "{name}");
            }
        }
        for name in "best trains latest contest steam valley device cat runs evaluated-not train_test images 2017 attest \
                     devil testament"
            .split_whitespace()
        {
            assert_eq!(split_name(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_left_of_a_name() {
        let rest = |name| split_name(name).map(|found| found.rest.join(" "));
        assert_eq!(rest("asl_alphabet_train"), Some("asl alphabet".into()));
        assert_eq!(rest("train_images_2"), Some(String::new()));
        assert_eq!(rest("test tube"), Some("tube".into()));
        assert!(split_name("eval").unwrap().evaluation && !split_name("holdout").unwrap().evaluation);
        assert!(says_nothing("images") && says_nothing("Data 2") && !says_nothing("cats"));
    }
}
