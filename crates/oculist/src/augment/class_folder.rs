//! Names of folders for classes, from which the classes can be told again.
//!
//! What a file system or the reading of folders would not take as it is stands as `%` and two hexadecimal digits for each
//! byte of UTF-8, as in addresses: `T-shirt%2Ftop`. The folder `%` is the class without a name.

use oculist_data::look_alike;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Longest name of a folder in bytes; file systems take 255.
const LONGEST: usize = 200;
/// Names that Windows keeps for devices, in lower case.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];
/// Names of folders that are passed over where images are looked for.
const SYSTEMS: [&str; 3] = ["lost+found", "__macosx", "system volume information"];

/// The folder of each class, distinct also where case and the composition of letters do not matter.
pub(super) fn folder_names(classes: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let key = |name: &str| name.to_lowercase();
    // A file system may take two ways to write a letter for one.
    let alike = look_alike(classes);
    classes
        .iter()
        .enumerate()
        .map(|(number, class)| {
            let mut name = escaped(class);
            if alike[number] {
                name = escape_all(class, |c| !c.is_ascii() || needs_escape(c));
            }
            if !seen.insert(key(&name)) {
                name = escape_all(class, |_| true);
                seen.insert(key(&name));
            }
            if name.len() > LONGEST {
                // Only the manifest tells the whole name; `%~` is no escape.
                let end = (0..=LONGEST - 30).rev().find(|&at| name.is_char_boundary(at)).unwrap_or(0);
                name = format!("{}%~{number}", name[..end].trim_end_matches(['.', ' ']));
                seen.insert(key(&name));
            }
            name
        })
        .collect()
}

/// The class of a folder's name that [`folder_names`] gave; None for one that was too long.
#[cfg(test)]
fn class_of(name: &str) -> Option<String> {
    if name == "%" {
        return Some(String::new());
    }
    let mut bytes = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

fn needs_escape(c: char) -> bool {
    c.is_control() || r#"%/\:*?"<>|"#.contains(c)
}

fn escaped(class: &str) -> String {
    if class.is_empty() {
        return "%".to_owned();
    }
    let stem = class.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    let device = DEVICES.contains(&stem.trim_end_matches(|c: char| c.is_ascii_digit()));
    // Names with such a beginning are hidden, or belong to a system, and are not read as classes.
    let special = |first: char| ".@#$".contains(first) || first.is_whitespace();
    let system = SYSTEMS.iter().any(|name| class.eq_ignore_ascii_case(name));
    let last = class.chars().count() - 1;
    let mut name = String::new();
    for (i, c) in class.chars().enumerate() {
        let at_start = i == 0 && (device || system || special(c));
        let at_end = i == last && (c == '.' || c.is_whitespace());
        if needs_escape(c) || at_start || at_end { escape(c, &mut name) } else { name.push(c) }
    }
    name
}

fn escape_all(class: &str, which: impl Fn(char) -> bool) -> String {
    let mut name = String::new();
    for c in class.chars() {
        if which(c) { escape(c, &mut name) } else { name.push(c) }
    }
    name
}

fn escape(c: char, name: &mut String) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        let _ = write!(name, "%{byte:02X}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_folders_are_distinct_and_tell_the_class() {
        let classes = [
            "T-shirt/top",
            "a:b",
            "a?b",
            "A?b",
            "..",
            "",
            "%",
            "CON",
            "com1.txt",
            "a.",
            " a",
            "b ",
            "cat",
            "Cat",
            "nuts; bolts",
            "one\ntwo",
            ".hidden",
            "@eaDir",
            "lost+found",
            "caf\u{e9}",
            "cafe\u{301}",
            "console",
        ]
        .map(str::to_owned);
        let names = folder_names(&classes);
        assert_eq!(
            names[..8],
            ["T-shirt%2Ftop", "a%3Ab", "a%3Fb", "%41%3F%62", "%2E%2E", "%", "%25", "%43ON"],
            "in the order of the classes"
        );
        assert_eq!(names[21], "console");
        assert_eq!(names.iter().map(|name| class_of(name).unwrap()).collect::<Vec<_>>(), classes);
        let folder = tempfile::tempdir().unwrap();
        for name in &names {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            assert!(!name.ends_with(['.', ' ']) && !name.starts_with('.'), "{name}");
        }
        let distinct: BTreeSet<String> = names.iter().map(|name| name.to_lowercase()).collect();
        assert_eq!(distinct.len(), names.len());
        // The old way, a line for each letter that does not fit, made one of two.
        assert_ne!(names[1], names[2]);
    }

    #[test]
    fn long_names_are_cut_and_numbered() {
        let classes = ["x".repeat(300), "x".repeat(301), "\u{1f600}".repeat(100)];
        let names = folder_names(&classes);
        assert!(names.iter().all(|name| name.len() <= 255) && names[0] != names[1], "{names:?}");
        assert_eq!(class_of(&names[0]), None);
    }
}
