//! The label of a sample: a member `.cls` or `.json`.

use super::index::Member;
use crate::error::shortened;
use crate::location::Shard;
use serde_json::Value;

/// Keys of a JSON member that hold the label, in order of preference.
const JSON_LABELS: [&str; 3] = ["label", "cls", "class"];
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

/// A number or a name in one line of text.
///
/// # Errors
/// What was expected and what was found.
pub(super) fn of_text(shard: &Shard, member: &Member) -> Result<String, String> {
    let wrong = |found: &str| format!("expected a class number or name in one line of text, found {found}");
    let bytes = read(shard, member)?;
    let text = str::from_utf8(&bytes).map_err(|_| wrong("bytes"))?;
    match text.trim() {
        "" => Err(wrong("nothing")),
        text if text.contains('\n') => Err(wrong("several lines")),
        text => Ok(canonical(text)),
    }
}

/// `007` and `7` are the same number.
fn canonical(text: &str) -> String {
    let number = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
    number.map_or_else(|| text.to_owned(), |number| number.to_string())
}

/// The label of a JSON member; None if it has no key for one.
///
/// # Errors
/// What was expected and what was found.
pub(super) fn of_json(shard: &Shard, member: &Member) -> Result<Option<String>, String> {
    let value: Value = serde_json::from_slice(&read(shard, member)?)
        .map_err(|err| format!("expected JSON, found {}", shortened(&err.to_string())))?;
    let Some(label) = JSON_LABELS.iter().find_map(|key| value.get(key)) else { return Ok(None) };
    match label {
        Value::String(text) if !text.trim().is_empty() => Ok(Some(canonical(text.trim()))),
        Value::Number(number) if number.is_u64() || number.is_i64() => Ok(Some(number.to_string())),
        other => Err(format!(
            "expected one label, a whole number or text, as classification needs, found {}",
            shortened(&other.to_string())
        )),
    }
}
