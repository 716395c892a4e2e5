//! Weights in several files with an index, as `huggingface_hub` wrote them.

use std::fs;
use std::path::{Path, PathBuf};

use oculist_graph::Tensor;
use oculist_weights::{Format, read};
use serde_json::{Value, json};

use super::{error_of, file};

const INDEX: &str = "model.safetensors.index.json";

/// A copy of the folder that may be damaged.
fn copied() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(file("sharded")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let index = dir.path().join(INDEX);
    (dir, index)
}

/// Changes the index.
fn change(index: &Path, change: impl FnOnce(&mut Value)) {
    let mut json: Value = serde_json::from_slice(&fs::read(index).unwrap()).unwrap();
    change(&mut json);
    fs::write(index, json.to_string()).unwrap();
}

fn sorted(path: &Path) -> Vec<(String, Tensor)> {
    let mut tensors = read(path, None).unwrap().tensors;
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    tensors
}

#[test]
fn several_files_are_read_as_one() {
    let path = file("sharded").join(INDEX);
    let weights = read(&path, None).unwrap();
    assert_eq!((weights.format, weights.notes.len()), (Format::Safetensors, 0), "{:?}", weights.notes);
    let want = sorted(&file("plain.pth"));
    assert_eq!(sorted(&path), want);
    assert!(want.len() > 5);
    let one = read(file("sharded").join("model-00001-of-00002.safetensors"), None).unwrap();
    assert!(one.tensors.len() < want.len(), "no file holds all");
    assert!(error_of(read(&path, Some("model"))).contains("expected weights under `model`, found none"));
}

#[test]
fn a_file_that_is_not_what_the_index_says_is_refused() {
    let name = |n| format!("model-0000{n}-of-00002.safetensors");
    let (dir, index) = copied();
    fs::remove_file(dir.path().join(name(2))).unwrap();
    let text = error_of(read(&index, None));
    assert!(text.contains(&name(2)) && text.contains("cannot read"), "{text}");

    // Another part under its name.
    fs::copy(dir.path().join(name(1)), dir.path().join(name(2))).unwrap();
    let text = error_of(read(&index, None));
    assert!(text.contains(&name(2)) && text.contains("the index does not say"), "{text}");

    let (dir, index) = copied();
    change(&index, |json| {
        json["weight_map"]["more.weight"] = name(1).into();
    });
    let text = error_of(read(&index, None));
    assert!(text.contains(&name(1)) && text.contains("found no `more.weight`"), "{text}");

    let (_kept, index) = copied();
    change(&index, |json| json["metadata"]["total_size"] = 1.into());
    let notes = read(&index, None).unwrap().notes;
    assert!(notes.len() == 1 && notes[0].starts_with("the index says 1 bytes of tensors"), "{notes:?}");

    let whole = fs::read(dir.path().join(name(1))).unwrap();
    fs::write(dir.path().join(name(1)), &whole[..whole.len() - 1]).unwrap();
    let text = error_of(read(dir.path().join(INDEX), None));
    assert!(text.contains(&name(1)) && text.contains("cut short"), "{text}");
}

#[test]
fn nothing_outside_of_its_folder_is_read() {
    let (dir, _) = copied();
    let below = dir.path().join("below");
    fs::create_dir(&below).unwrap();
    let index = below.join(INDEX);
    let part = "model-00001-of-00002.safetensors";
    let absolute = dir.path().join(part).display().to_string();
    for named in [format!("../{part}"), absolute, format!("..\\{part}"), "..".into(), format!("./{part}")] {
        fs::write(&index, json!({"weight_map": {"a": named}}).to_string()).unwrap();
        let text = error_of(read(&index, None));
        assert!(text.contains("may only name files beside it"), "{named}: {text}");
    }
    // A folder, and another index, are no weights.
    fs::create_dir(below.join("folder")).unwrap();
    for named in ["folder", INDEX] {
        fs::write(&index, json!({"weight_map": {"a": named}}).to_string()).unwrap();
        assert!(read(&index, None).is_err(), "{named}");
    }
}
