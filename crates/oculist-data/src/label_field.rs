//! How CSV manifests write labels and file names, so that each is read as it was written.
//!
//! A field may hold several labels, with `;` between them, and spaces around each mean nothing. A backslash takes the
//! meaning from a `;`, a space or a backslash behind it: `nuts\; bolts` is one label. Before anything else it is itself.

/// The labels of a field.
pub fn labels_of(field: &str) -> Vec<String> {
    let mut labels = Vec::new();
    let mut label = String::new();
    // Where the part ends that must stay: behind it, spaces mean nothing.
    let mut kept = 0;
    let mut letters = field.chars().peekable();
    loop {
        let letter = letters.next();
        match letter {
            None | Some(';') => {
                label.truncate(kept);
                if !label.is_empty() {
                    labels.push(std::mem::take(&mut label));
                }
                kept = 0;
                if letter.is_none() {
                    return labels;
                }
            }
            Some('\\') if letters.peek().is_some_and(|&next| is_special(next)) => {
                label.extend(letters.next());
                kept = label.len();
            }
            Some(space) if space.is_whitespace() => {
                if !label.is_empty() {
                    label.push(space);
                }
            }
            Some(other) => {
                label.push(other);
                kept = label.len();
            }
        }
    }
}

/// A label as a field, which [`labels_of`] reads as this one label. An empty label cannot be written.
pub fn label_field(label: &str) -> String {
    let mut field = String::with_capacity(label.len());
    let inner = label.trim();
    let start = label.len() - label.trim_start().len();
    for (at, letter) in label.char_indices() {
        let at_end = at < start || at >= start + inner.len();
        let next = label[at + letter.len_utf8()..].chars().next();
        let escaped = match letter {
            ';' => true,
            '\\' => next.is_none_or(is_special),
            // A line break that is meant is told from a quote that was left open.
            other => other.is_whitespace() && (at_end || is_break(other)),
        };
        if escaped {
            field.push('\\');
        }
        field.push(letter);
    }
    field
}

fn is_special(letter: char) -> bool {
    letter == ';' || letter == '\\' || letter.is_whitespace()
}

/// A file's name from a field: spaces around it mean nothing, but for a last one behind a backslash; a line break has a
/// backslash before it.
pub fn name_of(field: &str) -> String {
    let field = field.trim_start();
    let kept = field.trim_end();
    let space = field[kept.len()..].chars().next();
    let inner = |text: &str| text.replace("\\\n", "\n").replace("\\\r", "\r");
    match (kept.strip_suffix('\\'), space) {
        (Some(name), Some(space)) => format!("{}{space}", inner(name)),
        _ => inner(kept),
    }
}

/// A file's name as a field, which [`name_of`] reads as this name or as one that means the same file.
pub fn name_field(name: &str) -> String {
    let here = if name.starts_with(char::is_whitespace) { "./" } else { "" };
    let (inner, last) = match name.char_indices().next_back() {
        Some((at, last)) if last.is_whitespace() => (&name[..at], format!("\\{last}")),
        _ => (name, String::new()),
    };
    let mut field = String::from(here);
    for letter in inner.chars() {
        if is_break(letter) {
            field.push('\\');
        }
        field.push(letter);
    }
    field + &last
}

fn is_break(letter: char) -> bool {
    matches!(letter, '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use oculist_augment::Rng;

    /// Whatever a class or a file may be called comes back from a row of CSV as it was.
    #[test]
    fn every_name_is_read_as_it_was_written() {
        const LETTERS: [char; 20] = [
            'a',
            'B',
            '0',
            ';',
            '\\',
            ' ',
            '\t',
            '\n',
            '\r',
            ',',
            '"',
            '\'',
            '%',
            '#',
            '=',
            '\u{e9}',
            '\u{301}',
            '\u{a0}',
            '\u{feff}',
            '\u{1f600}',
        ];
        let mut rng = Rng::keyed(&[14]);
        for _ in 0..30_000 {
            let len = 1 + rng.below(7);
            let name: String = (0..len).map(|_| LETTERS[rng.below(LETTERS.len())]).collect();
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["file_name", "label", "several"]).unwrap();
            writer
                .write_record([name_field(&name), label_field(&name), format!("{};x", label_field(&name))])
                .unwrap();
            let bytes = writer.into_inner().unwrap();
            let mut reader = csv::Reader::from_reader(&bytes[..]);
            let record = reader.records().next().unwrap().unwrap();
            let read = name_of(&record[0]);
            assert_eq!(
                read.strip_prefix("./").filter(|_| !name.starts_with("./")).unwrap_or(&read),
                name,
                "{name:?}"
            );
            assert_eq!(labels_of(&record[1]), std::slice::from_ref(&name), "{name:?}");
            assert_eq!(labels_of(&record[2]), [name.clone(), "x".into()], "{name:?}");
        }
        // Without the backslashes, some of these would be read otherwise.
        assert_ne!(labels_of("a;b"), ["a;b"]);
        assert_ne!(labels_of(" a"), [" a"]);
    }

    #[test]
    fn fields_as_people_write_them() {
        assert_eq!(labels_of(" cat ; dog;;puppy "), ["cat", "dog", "puppy"]);
        assert_eq!(labels_of(r"nuts\; bolts"), ["nuts; bolts"]);
        assert_eq!(labels_of(r"a\b;c:\d"), [r"a\b", r"c:\d"]);
        assert_eq!(labels_of(r"\ a\ ;b"), [" a ", "b"]);
        assert!(labels_of(" ; ").is_empty() && labels_of("").is_empty());
        assert_eq!(name_of("  a b.png "), "a b.png");
        assert_eq!(name_of(r"a.png\ "), "a.png ");
        assert_eq!(name_of(r"dir\a.png"), r"dir\a.png");
    }

    #[test]
    fn plain_labels_stay_plain() {
        for plain in ["cat", "T-shirt/top", "a, \"b\"", r"a\b", "é"] {
            assert_eq!(label_field(plain), plain);
        }
        assert_eq!(label_field("nuts; bolts "), r"nuts\; bolts\ ");
        assert_eq!(label_field("one\ntwo"), "one\\\ntwo");
    }
}
