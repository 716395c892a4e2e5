//! Names of classes that are names of folders: as text, told apart, and back again.

use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::Path;
use unicode_normalization::UnicodeNormalization as _;

/// A name of the system as text: what is no Unicode is written `\xE9`.
pub(crate) fn text_of(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    text
}

/// A path as text, and whether it is escaped: a path that is no Unicode has `\xNN` for each byte that is none and for each
/// backslash of its own (`\x5C`), so that the bytes can be had back; any other path is as it is.
pub fn path_text(path: &Path) -> (String, bool) {
    if let Some(text) = path.to_str() {
        return (text.to_owned(), false);
    }
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text += &chunk.valid().replace('\\', "\\x5C");
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    (text, true)
}

/// The classes of folders of these names, each once in the order of their first folder: their names as text, and the number
/// of each folder's name.
///
/// # Errors
/// Two names that are the same text, although their bytes differ.
pub(crate) fn class_names<'a>(
    folders: impl Iterator<Item = &'a OsStr>,
    root: &Path,
) -> Result<(Vec<String>, BTreeMap<OsString, u32>)> {
    let (mut names, mut index, mut texts) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    for folder in folders {
        if index.contains_key(folder) {
            continue;
        }
        let name = text_of(folder);
        if !texts.insert(name.clone()) {
            return Err(Error::Layout {
                path: root.into(),
                expected: "class folders whose names differ as text".into(),
                found: format!("two that are both written {name}"),
            });
        }
        index.insert(folder.to_owned(), names.len() as u32);
        names.push(name);
    }
    Ok((names, index))
}

/// The names as they are shown, no two alike: each as [`oculist_text::name`] shows it, and those that look like another one,
/// because Unicode has two ways to write a letter, with their code points (`e\u{301}` and `\u{e9}`).
pub fn told_apart(names: &[String]) -> Vec<String> {
    let shown = |(name, alike): (&String, bool)| {
        if alike { oculist_text::name_in_ascii(name) } else { oculist_text::name(name) }.into_owned()
    };
    names.iter().zip(look_alike(names)).map(shown).collect()
}

/// Whether each name looks like another one, because Unicode has two ways to write a letter.
pub fn look_alike(names: &[String]) -> Vec<bool> {
    let composed = |name: &String| name.nfc().collect::<String>();
    let mut seen = BTreeMap::new();
    for name in names.iter().collect::<BTreeSet<_>>() {
        *seen.entry(composed(name)).or_insert(0) += 1;
    }
    names.iter().map(|name| seen[&composed(name)] > 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_are_shown_by_their_code_points() {
        let names = ["e\u{301}t\u{e9}", "\u{e9}t\u{e9}", "\u{e9}", "cat", "cat"].map(str::to_owned);
        assert_eq!(told_apart(&names), ["e\\u{301}t\\u{e9}", "\\u{e9}t\\u{e9}", "\u{e9}", "cat", "cat"]);
    }

    #[test]
    fn names_that_differ_in_what_is_not_seen_are_shown_apart() {
        let names = ["a\nb", r"a\nb", "cat", "cat ", "e\u{301}\\n", "\u{e9}\\n"].map(str::to_owned);
        let shown = told_apart(&names);
        assert_eq!(shown[..4], [r"a\nb", r"a\\nb", "cat", "\"cat \""]);
        assert_eq!(shown[4..], [r"e\u{301}\\n", r"\u{e9}\\n"]);
    }

    #[cfg(unix)]
    #[test]
    fn paths_that_are_no_unicode_can_be_had_back() {
        use std::os::unix::ffi::OsStrExt as _;
        let of = |bytes: &[u8]| path_text(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(of(b"a\\xE9.png"), ("a\\xE9.png".into(), false));
        assert_eq!(of(b"a\xe9\\xE9.png"), ("a\\xE9\\x5CxE9.png".into(), true));
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_unicode_stay_apart() {
        use std::os::unix::ffi::OsStrExt as _;
        let folders = [&b"\xe9t\xe9"[..], b"\xe8t\xe8", b"cat", b"\xe9t\xe9"].map(OsStr::from_bytes);
        let (names, index) = class_names(folders.into_iter(), Path::new("data")).unwrap();
        assert_eq!(names, ["\\xE9t\\xE9", "\\xE8t\\xE8", "cat"]);
        assert_eq!(folders.map(|folder| index[folder]), [0, 1, 2, 0]);
        let same = [OsStr::from_bytes(b"\xe9"), OsStr::new("\\xE9")];
        let text = class_names(same.into_iter(), Path::new("data")).unwrap_err().to_string();
        assert!(text.contains("two that are both written \\xE9"), "{text}");
    }
}
