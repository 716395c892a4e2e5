//! Weights in several files: an index beside them says which tensor is in which.
//!
//! ```json
//! {"metadata": {"total_size": 12}, "weight_map": {"fc.weight": "model-00001-of-00002.safetensors"}}
//! ```
//!
//! An index is not trusted: it names files beside it and nothing else, and each must hold exactly the tensors that the index
//! says are in it.
//!
//! # Source
//! `huggingface_hub/serialization/_torch.py`, which writes such files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::error::{WeightsError, listed};
use crate::read::{Format, parse};
use crate::torch::Found;

/// The most bytes of an index; one of a hundred thousand tensors has ten million.
const MOST_BYTES: usize = 1 << 26;
/// The most files that an index may name.
const MOST_FILES: usize = 4096;

/// Whether the bytes are JSON, and so may be an index. Files of safetensors begin with a length, then `{`.
pub(crate) fn is_index(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first() == Some(&b'{') && bytes.get(8) != Some(&b'{')
}

/// Reads all files that an index names, which lie beside it.
///
/// # Errors
/// [`WeightsError::Format`] for an index that cannot be used or whose files hold other tensors than it says; otherwise as
/// [`crate::read`], with the file.
pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<(Format, Found, Option<String>), WeightsError> {
    let Index { files, total } = Index::parse(bytes)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut all = Found { key: None, tensors: Vec::new(), skipped: Vec::new(), examples: Vec::new() };
    let mut format = Format::Safetensors;
    for (file, names) in &files {
        let path = folder.join(file);
        let bytes = oculist_files::read(&path).map_err(|cause| WeightsError::Read { path, cause })?;
        let (of_file, found) = parse(&bytes, None).map_err(|problem| problem.of_file(file))?;
        format = of_file;
        let mut held = BTreeSet::new();
        for (name, tensor) in found.tensors {
            if !names.contains(&name) {
                let name = oculist_text::name(&name).into_owned();
                let problem = format!("it holds the tensor `{name}`, which the index does not say is in it");
                return Err(WeightsError::format(problem).of_file(file));
            }
            held.insert(name.clone());
            all.tensors.push((name, tensor));
        }
        let missing: Vec<String> = names.iter().filter(|n| !held.contains(*n)).cloned().collect();
        if !missing.is_empty() {
            let problem =
                format!("expected tensors that the index says are in it, found no {}", listed(&missing));
            return Err(WeightsError::format(problem).of_file(file));
        }
        all.skipped.extend(found.skipped);
        all.examples.extend(found.examples);
    }
    let bytes = all.tensors.iter().fold(0u64, |sum, (_, t)| sum.saturating_add(t.bytes() as u64));
    let differs = total.filter(|&total| total != bytes);
    let note =
        differs.map(|total| format!("the index says {total} bytes of tensors, its files hold {bytes}"));
    Ok((format, all, note))
}

/// What an index says.
#[derive(Debug)]
struct Index {
    /// The tensors of each file.
    files: BTreeMap<String, BTreeSet<String>>,
    /// Bytes of all tensors.
    total: Option<u64>,
}

impl Index {
    fn parse(bytes: &[u8]) -> Result<Self, WeightsError> {
        if bytes.len() > MOST_BYTES {
            return Err(WeightsError::format(format!(
                "expected an index of at most {MOST_BYTES} bytes, found {}",
                bytes.len()
            )));
        }
        let other = |found: &str| {
            WeightsError::format(format!(
                "expected an index of files of weights, {{\"weight_map\": {{\"TENSOR\": \"FILE\"}}}}, found {found}"
            ))
        };
        let json: Value = serde_json::from_slice(bytes).map_err(|e| other(&format!("no JSON ({e})")))?;
        let map =
            json.get("weight_map").and_then(Value::as_object).ok_or_else(|| other("no `weight_map`"))?;
        let mut files: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (tensor, file) in map {
            let file = file.as_str().ok_or_else(|| other("a file that is no text"))?;
            if !files.contains_key(file) {
                check(file)?;
            }
            files.entry(file.to_owned()).or_default().insert(tensor.clone());
            if files.len() > MOST_FILES {
                return Err(WeightsError::format(format!("expected at most {MOST_FILES} files, found more")));
            }
        }
        if files.is_empty() {
            return Err(other("none"));
        }
        let total = json.get("metadata").and_then(|m| m.get("total_size")).and_then(Value::as_u64);
        Ok(Self { files, total })
    }
}

/// Refuses what is not the name of a file in the index's own folder.
fn check(file: &str) -> Result<(), WeightsError> {
    // A colon is a drive or a hidden stream on Windows.
    let strange = |c: char| matches!(c, '/' | '\\' | ':') || oculist_text::is_hidden(c);
    if file.is_empty() || file == "." || file == ".." || file.len() > 255 || file.contains(strange) {
        return Err(WeightsError::format(format!(
            "its index may only name files beside it, found `{}`; nothing was read",
            oculist_text::name(file)
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(json: &str) -> String {
        Index::parse(json.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn only_files_beside_it_are_named() {
        let of = |file: &str| serde_json::json!({"weight_map": {"a": file}}).to_string();
        assert!(Index::parse(of("model-00001-of-00002.safetensors").as_bytes()).is_ok());
        assert!(Index::parse(of("..a").as_bytes()).is_ok());
        let long = "a".repeat(256);
        for file in [
            "",
            ".",
            "..",
            "../a",
            "a/b",
            "/a",
            "a\\b",
            "..\\a",
            "C:a",
            "a\0",
            "a\n",
            "a\u{202e}b",
            long.as_str(),
        ] {
            let text = error(&of(file));
            assert!(text.starts_with("its index may only name files beside it"), "{file:?}: {text}");
        }
    }

    #[test]
    fn what_is_no_index_is_told() {
        for (json, words) in [
            ("{", "no JSON"),
            ("{\"weight_map\": []}", "no `weight_map`"),
            ("{\"weight_map\": {}}", "found none"),
            ("{\"weight_map\": {\"a\": 1}}", "no text"),
            (&"[".repeat(100_000), "no JSON"),
        ] {
            let text = error(json);
            assert!(text.contains(words), "{words}: {text}");
        }
        let many: serde_json::Map<_, _> =
            (0..=MOST_FILES).map(|i| (i.to_string(), Value::from(i.to_string()))).collect();
        assert!(error(&serde_json::json!({ "weight_map": many }).to_string()).contains("at most 4096 files"));
    }
}
