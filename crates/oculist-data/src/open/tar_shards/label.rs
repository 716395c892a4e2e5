//! The labels of a sample: a member `.cls` or `.json`.

use super::index::Member;
use crate::Task;
use crate::error::shortened;
use crate::location::Shard;
use serde_json::Value;

/// Keys of a JSON member that hold the label, in order of preference.
const JSON_LABELS: [&str; 3] = ["label", "cls", "class"];
/// Further keys, for images with several labels.
const JSON_LISTS: [&str; 3] = ["labels", "classes", "categories"];
/// What to say where there are several labels and one is expected.
const SEVERAL: &str = "(where images have several: --task multi-label)";
/// Largest member that is read for its label.
const MAX_LABEL_BYTES: u64 = 1 << 20;

fn read(shard: &Shard, member: &Member) -> Result<Vec<u8>, String> {
    if member.len > MAX_LABEL_BYTES {
        return Err(format!(
            "expected a label of at most {MAX_LABEL_BYTES} bytes, found {} bytes",
            member.len
        ));
    }
    shard.read(member.offset, member.len).map_err(|err| format!("the label cannot be read: {err}"))
}

/// A number or a name in one line of text; where images have several labels, one in each line, or none.
///
/// # Errors
/// What was expected and what was found.
pub(super) fn of_text(shard: &Shard, member: &Member, task: Task) -> Result<Vec<String>, String> {
    let wrong = |found: &str| format!("expected a class number or name in one line of text, found {found}");
    let bytes = read(shard, member)?;
    let text = str::from_utf8(&bytes).map_err(|_| wrong("bytes"))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    match (task, text.trim()) {
        (Task::MultiLabel, _) => Ok(lines.map(canonical).collect()),
        (Task::SingleLabel, "") => Err(wrong("nothing")),
        (Task::SingleLabel, text) if text.contains('\n') => Err(wrong(&format!("several lines {SEVERAL}"))),
        (Task::SingleLabel, text) => Ok(vec![canonical(text)]),
    }
}

/// `007` and `7` are the same number.
fn canonical(text: &str) -> String {
    let number = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
    number.map_or_else(|| text.to_owned(), |number| number.to_string())
}

/// The labels of a JSON member: one, or a list where images may have several; None if it has no key for them.
///
/// # Errors
/// What was expected and what was found.
pub(super) fn of_json(shard: &Shard, member: &Member, task: Task) -> Result<Option<Vec<String>>, String> {
    let value: Value = serde_json::from_slice(&read(shard, member)?)
        .map_err(|err| format!("expected JSON, found {}", shortened(&err.to_string())))?;
    let lists = if task == Task::MultiLabel { &JSON_LISTS[..] } else { &[] };
    let Some(label) = JSON_LABELS.iter().chain(lists).find_map(|key| value.get(key)) else { return Ok(None) };
    let labels = match (label, task) {
        (Value::Array(labels), Task::MultiLabel) => labels.iter().map(one).collect(),
        (Value::Null, Task::MultiLabel) => Ok(Vec::new()),
        (label, _) => one(label).map(|label| vec![label]),
    };
    labels.map(Some).map_err(|found| {
        let hint =
            if label.is_array() && task == Task::SingleLabel { format!(" {SEVERAL}") } else { String::new() };
        format!("expected one label, a whole number or text, as classification needs{hint}, found {found}")
    })
}

/// One label, or what is none.
fn one(label: &Value) -> Result<String, String> {
    match label {
        Value::String(text) if !text.trim().is_empty() => Ok(canonical(text.trim())),
        Value::Number(number) if number.is_u64() || number.is_i64() => Ok(number.to_string()),
        other => Err(shortened(&other.to_string())),
    }
}
