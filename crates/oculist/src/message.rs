//! Texts that mention settings.
//!
//! A user of the library knows a setting by its name, one of the command line by its flag. So a text that is for both says
//! [`setting`]`("max_drop")` where it mentions one, and becomes a [`Message`], which shows every mention as its reader
//! knows it.
//!
//! Within a text, a mention is a name between two [`oculist_text::MARKS`] with a key that each process draws for itself:
//! what a file says cannot be taken for a mention, whatever characters are in it.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use oculist_text::MARKS;
use serde::{Serialize, Serializer};

/// What the mentions of this process begin with. No text shows it, so no result depends on it.
static KEY: LazyLock<String> = LazyLock::new(|| format!("{:016x}", RandomState::new().hash_one(0)));

/// What stands behind the name of a setting that is mentioned with a value.
const WITH_VALUE: char = '=';

/// Mentions a setting in a text that is going to be a [`Message`].
pub(crate) fn setting(name: &str) -> String {
    format!("{}{}{name}{}", MARKS[0], *KEY, MARKS[1])
}

/// Mentions a setting and its value.
pub(crate) fn set_to(name: &str, value: impl fmt::Display) -> String {
    format!("{}{}{name}{WITH_VALUE}{}{value}", MARKS[0], *KEY, MARKS[1])
}

/// A text that may mention settings. Displayed, it has them by their names.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Message {
    marked: String,
}

/// A setting that a [`Message`] mentions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mention<'a> {
    /// Its name, as it stands in a file of settings or in the options of a recipe.
    pub name: &'a str,
    /// Whether its value follows.
    pub has_value: bool,
}

impl Message {
    /// The text with each mention as `show` writes it.
    pub fn shown(&self, show: impl Fn(Mention<'_>) -> String) -> String {
        let mut text = String::with_capacity(self.marked.len());
        let mut rest = self.marked.as_str();
        while let Some(at) = rest.find(MARKS) {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            let mention = rest.strip_prefix(MARKS[0]).and_then(|rest| rest.strip_prefix(KEY.as_str()));
            if let Some((name, behind)) = mention.and_then(|mention| mention.split_once(MARKS[1])) {
                let has_value = name.ends_with(WITH_VALUE);
                text.push_str(&show(Mention { name: name.trim_end_matches(WITH_VALUE), has_value }));
                rest = behind;
            } else {
                // Not ours: a mark that came with a name or another text of the user.
                let length = MARKS[0].len_utf8();
                text.push_str(&oculist_text::visible(&rest[..length]));
                rest = &rest[length..];
            }
        }
        text.push_str(rest);
        text
    }

    /// The text with its marks, to become a part of another message.
    pub(crate) fn marked(&self) -> &str {
        &self.marked
    }
}

impl From<String> for Message {
    fn from(marked: String) -> Self {
        Self { marked }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self { marked: text.to_owned() }
    }
}

impl From<&String> for Message {
    fn from(text: &String) -> Self {
        Self { marked: text.clone() }
    }
}

impl From<&Message> for Message {
    fn from(message: &Message) -> Self {
        message.clone()
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.shown(|mention| {
            if mention.has_value { format!("{} = ", mention.name) } else { mention.name.to_owned() }
        }))
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(message: &Message) -> String {
        message.shown(|mention| format!("--{}{}", mention.name, if mention.has_value { " " } else { "" }))
    }

    #[test]
    fn a_mention_is_shown_as_its_reader_knows_it() {
        let text = format!("{}: expected {} with it", setting("repeats"), set_to("sampling", "repeated"));
        let message = Message::from(text);
        assert_eq!(message.to_string(), "repeats: expected sampling = repeated with it");
        assert_eq!(flags(&message), "--repeats: expected --sampling repeated with it");
        assert_eq!(format!("{message:?}"), "\"repeats: expected sampling = repeated with it\"");
        assert_eq!(serde_json::to_value(&message).unwrap(), message.to_string());
    }

    #[test]
    fn what_a_user_writes_is_no_mention() {
        let [open, close] = MARKS;
        let forged = [
            format!("{open}lr{close}"),
            format!("{open}0000000000000000lr{close}"),
            format!("{close}{open}"),
            format!("{open}{}{open}", setting("lr")),
        ];
        for user in forged {
            let message = Message::from(format!("{user}: see {}", setting("seed")));
            for shown in [message.to_string(), flags(&message), format!("{message:?}")] {
                assert!(!shown.contains(MARKS) && !shown.contains(KEY.as_str()), "{shown}");
                assert!(shown.contains("f0000") && shown.contains("seed"), "{shown}");
            }
        }
        // A value may hold anything, too.
        let message = Message::from(set_to("model", format!("a{close}b{open}c.onnx")));
        assert!(!flags(&message).contains(MARKS) && flags(&message).starts_with("--model a\\u{"));
    }
}
