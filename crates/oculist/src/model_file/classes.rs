//! Class names as users and other tools write them.

use std::collections::BTreeMap;
use std::path::Path;

/// Class names from `a,b,c` or a file.
///
/// # Errors
/// In words: a file that cannot be read or holds no names.
pub(crate) fn given(text: &str) -> Result<Vec<String>, String> {
    let path = Path::new(text);
    if !path.is_file() {
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        if names.len() < 2 {
            return Err(format!(
                "expected names with commas between them, or a file of names; found `{text}`"
            ));
        }
        return checked(names);
    }
    let content = super::foreign::small_text(path).map_err(|e| format!("{text}: {e}"))?;
    of_text(&content).and_then(checked).map_err(|problem| format!("{text}: {problem}"))
}

/// The names of a file: a JSON list, a JSON object of numbers and names, or one name a line.
fn of_text(content: &str) -> Result<Vec<String>, String> {
    let trimmed = content.trim();
    if trimmed.starts_with('[') {
        return serde_json::from_str(trimmed).map_err(|e| format!("expected a JSON list of names: {e}"));
    }
    if trimmed.starts_with('{') {
        let map: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(trimmed).map_err(|e| format!("expected a JSON object of names: {e}"))?;
        return of_map(&map);
    }
    Ok(trimmed.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect())
}

/// Names by number, as in `id2label`, or numbers by name, as in `label2id`.
pub(super) fn of_map(map: &serde_json::Map<String, serde_json::Value>) -> Result<Vec<String>, String> {
    let mut by_number = BTreeMap::new();
    for (key, value) in map {
        let (number, name) = match (key.parse::<usize>(), value) {
            // Of `{"0": "n01440764"}` and of Keras' `{"0": ["n01440764", "tench"]}`.
            (Ok(number), serde_json::Value::String(name)) => (number, name.clone()),
            (Ok(number), serde_json::Value::Array(list)) => match list.last().and_then(|v| v.as_str()) {
                Some(name) => (number, name.to_owned()),
                None => return Err(format!("class {key}: expected a name, found {value}")),
            },
            (_, value) => match value.as_u64().and_then(|n| usize::try_from(n).ok()) {
                Some(number) => (number, key.clone()),
                None => return Err(format!("expected names by number, found `{key}`: {value}")),
            },
        };
        if by_number.insert(number, name).is_some() {
            return Err(format!("class {number} has two names"));
        }
    }
    in_order(by_number)
}

fn in_order(by_number: BTreeMap<usize, String>) -> Result<Vec<String>, String> {
    match by_number.keys().enumerate().find(|(i, number)| i != *number) {
        Some((missing, _)) => Err(format!("class {missing} has no name")),
        None => Ok(by_number.into_values().collect()),
    }
}

/// The names of a Python dictionary `{0: 'cat', 1: "dog's"}`, as Ultralytics writes it.
///
/// # Errors
/// In words, where it is another text.
pub(super) fn of_python(text: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("expected a dictionary such as {{0: 'cat', 1: 'dog'}}, found {text:?}");
    let mut rest = text.trim().strip_prefix('{').and_then(|t| t.strip_suffix('}')).ok_or_else(wrong)?.trim();
    let mut by_number = BTreeMap::new();
    while !rest.is_empty() {
        let (number, after) = rest.split_once(':').ok_or_else(wrong)?;
        let number: usize = number.trim().parse().map_err(|_| wrong())?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '\'' | '"')).ok_or_else(wrong)?;
        let (mut name, mut end, mut escaped) = (String::new(), None, false);
        for (i, c) in after.char_indices().skip(1) {
            if escaped {
                name.push(c);
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == quote {
                end = Some(i + 1);
                break;
            } else {
                name.push(c);
            }
        }
        let after = after[end.ok_or_else(wrong)?..].trim_start();
        by_number.insert(number, name);
        rest = match after.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if after.is_empty() => after,
            None => return Err(wrong()),
        };
    }
    in_order(by_number)
}

fn checked(names: Vec<String>) -> Result<Vec<String>, String> {
    if let Some(at) = names.iter().position(String::is_empty) {
        return Err(format!("class {at} has an empty name"));
    }
    if names.is_empty() {
        return Err("expected class names, found none".into());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_every_form() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            given(&path.display().to_string())
        };
        let cats = Ok(vec!["cat".to_owned(), "big dog".to_owned()]);
        assert_eq!(given("cat, big dog"), cats);
        assert_eq!(file("a.txt", "cat\r\nbig dog\n\n"), cats);
        assert_eq!(file("a.json", "[\"cat\", \"big dog\"]"), cats);
        assert_eq!(file("b.json", "{\"1\": \"big dog\", \"0\": \"cat\"}"), cats);
        assert_eq!(file("c.json", "{\"cat\": 0, \"big dog\": 1}"), cats);
        assert_eq!(file("d.json", "{\"0\": [\"n1\", \"cat\"], \"1\": [\"n2\", \"big dog\"]}"), cats);
        for (name, text, word) in [
            ("e.json", "[1]", "JSON list"),
            ("f.json", "{\"0\": \"a\", \"2\": \"b\"}", "class 1 has no name"),
            ("g.json", "{\"a\": \"b\"}", "`a`"),
            ("h.txt", "\n\n", "found none"),
            ("i.json", "{", "JSON object"),
        ] {
            let problem = file(name, text).unwrap_err();
            assert!(problem.contains(word), "{text}: {problem}");
        }
        assert!(given("nowhere.txt").unwrap_err().contains("nowhere.txt"));
        assert!(given("a,,b").unwrap_err().contains("class 1 has an empty name"));
    }

    #[test]
    fn a_python_dictionary_gives_its_names() {
        let names = |text| of_python(text);
        assert_eq!(names("{0: 'cat', 1: \"dog's\"}"), Ok(vec!["cat".into(), "dog's".into()]));
        assert_eq!(names("{0: 'it\\'s, {a}: b', }"), Ok(vec!["it's, {a}: b".into()]));
        for text in
            ["", "{", "{0 'a'}", "{0: a}", "{0: 'a", "{0: 'a' 1: 'b'}", "{1: 'a'}", "{x: 'a'}", "{0: 'a\\"]
        {
            assert!(names(text).is_err(), "{text}");
        }
    }
}
