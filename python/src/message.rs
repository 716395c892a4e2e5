//! Texts of the library as a user of the package knows things: settings are arguments.

use oculist::{Message, Settings};

/// What a user types for a setting that the command line has as a flag without a value.
fn flag(name: &str) -> Option<&'static str> {
    match name {
        "resume" => Some("existing=\"resume\""),
        "force" => Some("existing=\"replace\""),
        _ => None,
    }
}

/// A message with settings as arguments.
pub(crate) fn shown(message: &Message) -> String {
    arguments(&message.shown(|mention| match flag(mention.name) {
        Some(argument) => argument.to_owned(),
        None if mention.has_value => format!("{}=", mention.name),
        None => mention.name.to_owned(),
    }))
}

/// Texts of the crates below the library have no mentions but options of the command line: `(--layout classes)` becomes
/// `(layout="classes")`. What is no option stays as it is.
fn arguments(text: &str) -> String {
    let text = text.replace("`oculist zoo list`", "`oculist.architectures()`");
    let mut result = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("--") {
        let (before, behind) = rest.split_at(at);
        result.push_str(before);
        let option = &behind[2..];
        let end = option.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(option.len());
        let name = option[..end].replace('-', "_");
        let alone = !result.ends_with(|c: char| c.is_alphanumeric() || "-_/".contains(c));
        rest = &option[end..];
        match flag(&name) {
            Some(argument) if alone => result.push_str(argument),
            None if alone && Settings::NAMES.contains(&name.as_str()) => {
                result.push_str(&name);
                if let Some((value, behind)) = value(rest) {
                    result.extend(["=\"", value, "\""]);
                    rest = behind;
                }
            }
            _ => {
                result.push_str("--");
                result.push_str(&option[..end]);
            }
        }
    }
    result.push_str(rest);
    result
}

/// The word behind an option that ends what is said, so that it is the option's value, and what follows it.
fn value(rest: &str) -> Option<(&str, &str)> {
    let word = rest.strip_prefix(' ')?;
    let end = word.find([' ', ')', ',', ';']).unwrap_or(word.len());
    let (word, behind) = word.split_at(end);
    (!word.is_empty() && !behind.starts_with(' ')).then(|| (word.trim_matches('\''), behind))
}
