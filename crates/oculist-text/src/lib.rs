//! Text from files as a terminal may show it.
//!
//! Names of files and classes, cells of tables, strings of ONNX and JSON files can hold anything: line feeds that forge a
//! line of ours, escape sequences that steer the terminal, marks that turn the direction of writing around. Whatever
//! leaves for a terminal goes through [`visible`] or [`visible_lines`]; files and JSON keep the text as it is.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What stands around the name of a setting in a text of Oculist that is yet to be shown. They are for private use; texts from
/// files may hold them too, and then they are escaped.
pub const MARKS: [char; 2] = ['\u{f0000}', '\u{f0001}'];

/// Whether a character is shown as an escape: it steers a terminal, turns the direction of writing around, ends a line, or
/// cannot be seen at all.
///
/// The joiners U+200C and U+200D and the marks that choose a form (U+FE00 to U+FE0F) are letters' own in several scripts
/// and in emoji, and stay.
///
/// # Source
/// Unicode 16, `Bidi_Control` and general categories Cc, Zl and Zp; of `Default_Ignorable_Code_Point` the invisible spaces,
/// fillers, operators and tags.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || MARKS.contains(&c)
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' // direction
            | '\u{2028}' | '\u{2029}' // ends of lines and paragraphs
            | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' // not to be seen
            | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text on one line, with what is hidden as escapes: `\n`, `\t`, `\r`, else `\u{202e}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden)
}

/// A text of several lines, each made [`visible`]; its line feeds stay. For what was laid out here from visible parts.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_hidden(c))
}

/// The name of a class, in such a way that two names are never shown alike: what is hidden as escapes, as are spaces other
/// than the common one; a backslash that would be taken for the beginning of an escape is doubled; a name that begins or ends
/// with a space, or stands in quotes itself, stands in quotes.
///
/// The result may go through [`visible`] once more, which leaves it as it is; to `name` it would be another name.
///
/// ```
/// assert_eq!(oculist_text::name("a\nb"), r"a\nb");
/// assert_eq!(oculist_text::name(r"a\nb"), r"a\\nb");
/// assert_eq!(oculist_text::name("cat "), "\"cat \"");
/// ```
pub fn name(text: &str) -> Cow<'_, str> {
    quoted(name_without_quotes(text, |_| false), text)
}

/// A [`name`] in which everything that is not ASCII is an escape, for names that Unicode makes look alike.
pub fn name_in_ascii(text: &str) -> Cow<'_, str> {
    quoted(name_without_quotes(text, |c| !c.is_ascii()), text)
}

/// Puts quotes around what would be mistaken for another name without.
fn quoted<'a>(shown: Cow<'a, str>, text: &str) -> Cow<'a, str> {
    let in_quotes = text.starts_with('"') && text.ends_with('"');
    let space_at_end = text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
    if text.is_empty() || in_quotes || space_at_end { Cow::Owned(format!("\"{shown}\"")) } else { shown }
}

fn name_without_quotes(text: &str, more: impl Fn(char) -> bool) -> Cow<'_, str> {
    let hidden = |c: char| is_hidden(c) || (c.is_whitespace() && c != ' ') || more(c);
    if !text.contains('\\') {
        return escaped(text, hidden);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for (at, c) in text.char_indices() {
        let behind = &text[at + c.len_utf8()..];
        let begins_an_escape = behind.starts_with(['n', 'r', 't', '\\'])
            || behind.starts_with("u{")
            || behind.starts_with(hidden);
        if c == '\\' && begins_an_escape {
            shown.push_str("\\\\");
        } else {
            shown.push_str(&escaped(c.encode_utf8(&mut [0; 4]), hidden));
        }
    }
    Cow::Owned(shown)
}

fn escaped(text: &str, hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            c if !hidden(c) => shown.push(c),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped() {
        assert_eq!(visible("a\x1b[31mred\u{9b}0m"), "a\\u{1b}[31mred\\u{9b}0m");
        assert_eq!(visible("a\r\nerror: b\tc\u{7f}"), "a\\r\\nerror: b\\tc\\u{7f}");
        for c in ('\u{202a}'..='\u{202e}')
            .chain('\u{2066}'..='\u{2069}')
            .chain(['\u{200e}', '\u{200f}', '\u{61c}'])
        {
            let text = format!("cat{c}gpj.exe");
            assert_eq!(visible(&text), format!("cat\\u{{{:x}}}gpj.exe", u32::from(c)));
        }
        assert_eq!(visible("x\u{200b}y\u{feff}\u{2028}"), "x\\u{200b}y\\u{feff}\\u{2028}");
    }

    #[test]
    fn plain_text_of_any_script_stays_as_it_is() {
        for text in [
            "",
            "T-shirt/top",
            "C:\\photos",
            "Ärger",
            "日本 猫",
            "עברית",
            "می\u{200c}خواهم",
            "👩\u{200d}🔬❤\u{fe0f}",
        ] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    /// Reads what [`name`] shows.
    fn read_back(shown: &str) -> String {
        let inner = shown.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let mut rest = if shown.len() > 1 { inner.unwrap_or(shown) } else { shown };
        let mut text = String::new();
        while let Some(c) = rest.chars().next() {
            let escapes = [("\\\\", '\\'), ("\\n", '\n'), ("\\r", '\r'), ("\\t", '\t')];
            if let Some((escape, meant)) = escapes.iter().find(|(escape, _)| rest.starts_with(escape)) {
                text.push(*meant);
                rest = &rest[escape.len()..];
            } else if let Some(code) = rest.strip_prefix("\\u{") {
                let (digits, behind) = code.split_once('}').unwrap();
                text.push(char::from_u32(u32::from_str_radix(digits, 16).unwrap()).unwrap());
                rest = behind;
            } else {
                text.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        text
    }

    #[test]
    fn two_names_are_never_shown_alike() {
        const LETTERS: [char; 14] =
            ['a', 'n', 'u', '{', '}', '9', ' ', '"', '\\', '\n', '\t', '\u{9b}', '\u{a0}', '\u{e9}'];
        let mut names = vec![String::new()];
        let mut start = 0;
        for _ in 0..4 {
            let end = names.len();
            for at in start..end {
                names.extend(LETTERS.map(|letter| format!("{}{letter}", names[at])));
            }
            start = end;
        }
        for text in &names {
            let shown = name(text);
            assert_eq!(read_back(&shown), *text, "{shown}");
            assert_eq!(visible(&shown), shown);
            assert_eq!(read_back(&name_in_ascii(text)), *text);
        }
        // The twin: what only makes names visible does not tell these apart.
        assert_eq!(visible("a\nb"), visible("a\\nb"));
        assert_ne!(name("a\nb"), name("a\\nb"));
    }

    #[test]
    fn names_as_people_give_them_stay_as_they_are() {
        for text in ["cat", "T-shirt/top", "C:\\photos", "a \"b\"", "\u{e9}t\u{e9}", "\u{732b} 1", "\\xE9"] {
            assert!(matches!(name(text), Cow::Borrowed(_)) || text.contains('\\'));
            assert_eq!(name(text), text);
        }
        assert_eq!([name(" cat"), name("cat\u{a0}")], ["\" cat\"", "\"cat\\u{a0}\""]);
        assert_eq!(name(""), "\"\"");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(visible_lines("a\nb\x07\r\n"), "a\nb\\u{7}\\r\n");
        assert!(matches!(visible_lines("a\nb\n"), Cow::Borrowed(_)));
    }
}
