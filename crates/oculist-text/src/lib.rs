//! Text from files as a terminal may show it.
//!
//! Names of files and classes, cells of tables, strings of ONNX and JSON files can hold anything: line feeds that forge a
//! line of ours, escape sequences that steer the terminal, marks that turn the direction of writing around. Whatever
//! leaves for a terminal goes through [`visible`] or [`visible_lines`]; files and JSON keep the text as it is.

use std::borrow::Cow;
use std::fmt::Write as _;

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

    #[test]
    fn lines_stay_lines() {
        assert_eq!(visible_lines("a\nb\x07\r\n"), "a\nb\\u{7}\\r\n");
        assert!(matches!(visible_lines("a\nb\n"), Cow::Borrowed(_)));
    }
}
