//! Files of PyTorch and safetensors against what they themselves find in them.

use oculist_weights::{Format, Weights, read, read_bytes};
use serde_json::Value;

use super::{error_of, file, json};

/// What differs between weights and what is expected of them; nothing if all is as it should be.
fn differences(weights: &Weights, case: &Value, states: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let text = |key: &str| case[key].as_str().map(str::to_owned);
    if weights.key != text("key") || Some(weights.prefix.clone()) != text("prefix") {
        wrong.push(format!("key {:?}, prefix {:?}", weights.key, weights.prefix));
    }
    let skipped: Vec<&str> = case["skipped"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    if weights.skipped != skipped {
        wrong.push(format!("skipped {:?}", weights.skipped));
    }
    let expected = states[case["state"].as_u64().unwrap() as usize].as_object().unwrap();
    if weights.tensors.len() != expected.len() {
        wrong.push(format!("{} tensors", weights.tensors.len()));
    }
    for (name, expected) in expected {
        let Some(tensor) = weights.get(name) else {
            wrong.push(format!("{name} is missing"));
            continue;
        };
        let shape: Vec<u64> = tensor.shape().iter().map(|&d| d as u64).collect();
        let found = serde_json::json!({
            "dtype": tensor.dtype().name(), "shape": shape, "values": tensor.to_f64s(),
        });
        if found != *expected {
            wrong.push(format!("{name} is {found}, expected {expected}"));
        }
    }
    wrong
}

fn cases() -> Vec<(String, Value)> {
    let all = json("expected.json");
    let files = all["files"].as_object().unwrap().iter();
    files
        .flat_map(|(name, cases)| cases.as_array().unwrap().iter().map(|c| (name.clone(), c.clone())))
        .collect()
}

#[test]
fn every_file_is_read_as_its_own_library_reads_it() {
    let states = &json("expected.json")["states"];
    let cases = cases();
    assert!(cases.len() >= 19, "{}", cases.len());
    for (name, case) in cases {
        let weights = read(file(&name), case["choose"].as_str()).unwrap();
        assert_eq!(differences(&weights, &case, states), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_wrong_value_name_shape_or_type_would_be_seen() {
    let states = &json("expected.json")["states"];
    for (name, case) in cases() {
        let weights = read(file(&name), case["choose"].as_str()).unwrap();
        let index = case["state"].as_u64().unwrap() as usize;
        let first = weights.tensors.iter().find(|(_, t)| !t.is_empty()).unwrap().0.clone();
        let change = |key: &str, value: Value| {
            let mut states = states.clone();
            states[index][&first][key] = value;
            differences(&weights, &case, &states)
        };
        let mut values = states[index][&first]["values"].clone();
        let last = values.as_array_mut().unwrap().last_mut().unwrap();
        *last = Value::from(last.as_f64().unwrap() + 0.125);
        assert_eq!(change("values", values).len(), 1, "{name}");
        assert_eq!(change("dtype", "u4".into()).len(), 1, "{name}");
        assert_eq!(change("shape", serde_json::json!([99])).len(), 1, "{name}");
        let mut fewer = states.clone();
        fewer[index].as_object_mut().unwrap().remove(&first);
        assert_eq!(differences(&weights, &case, &fewer).len(), 1, "{name}");
    }
}

#[test]
fn the_order_of_the_file_is_kept() {
    for name in ["plain.pth", "plain_legacy.pth"] {
        let weights = read(file(name), None).unwrap();
        let names: Vec<&str> = weights.tensors.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "conv1.weight",
                "bn1.weight",
                "bn1.bias",
                "bn1.running_mean",
                "bn1.running_var",
                "bn1.num_batches_tracked",
                "fc.weight",
                "fc.bias"
            ]
        );
    }
    let format = |name: &str| read(file(name), None).unwrap().format;
    assert_eq!(format("plain.pth"), Format::TorchArchive);
    assert_eq!(format("plain_legacy.pth"), Format::TorchLegacy);
    assert_eq!(format("types.safetensors"), Format::Safetensors);
}

#[test]
fn notes_say_where_the_weights_were_and_what_was_skipped() {
    let notes = |name: &str| read(file(name), None).unwrap().notes;
    assert_eq!(notes("nested.pth"), ["read the weights under `state_dict`", "took `module.` off all names"]);
    assert_eq!(notes("arrays.pth"), ["skipped what is no tensor: `version` (a number), `note` (a text)"]);
    assert_eq!(
        notes("quantized.pth"),
        ["skipped what is no tensor: `fc.weight` (an object of `torch._utils._rebuild_qtensor`)"]
    );
}

#[test]
fn what_is_not_read_is_refused_by_its_name() {
    for (name, words) in [
        ("module.pth", &["`__main__.Tiny`", "torch.save(model.state_dict()"][..]),
        ("module_legacy.pth", &["`__main__.Bare`", "torch.save(model.state_dict()"]),
        ("module_nested.pth", &["`torch.nn.modules.container.Sequential`"]),
        ("script.pt", &["TorchScript", "torch.jit.load"]),
        ("complex.pth", &["`fc.weight`", "torch.ComplexFloatStorage"]),
        ("float8.pth", &["`fc.weight`", "torch.float8_e4m3fn"]),
        ("float8.safetensors", &["`fc.weight`", "F8_E5M2"]),
        ("no_tensors.pth", &["`epoch`, `names`", "state dict"]),
        ("old.tar.pth", &["tar archive", "0.1.10"]),
    ] {
        let text = error_of(read(file(name), None));
        assert!(text.contains(name), "{text}");
        for word in words {
            assert!(text.contains(word), "{name}: {text}");
        }
    }
}

#[test]
fn of_several_sets_of_weights_one_must_be_chosen() {
    let path = file("several.pth");
    let text = error_of(read(&path, None));
    assert!(
        text.ends_with(
            "it holds several sets of weights: `model`, `model_ema`; choose one of them with --state-dict"
        ),
        "{text}"
    );
    let text = error_of(read(&path, Some("ema")));
    assert!(text.ends_with("expected weights under `ema`, found `model`, `model_ema`"), "{text}");
    // A part of a path is enough where it is clear.
    assert_eq!(read(file("deep.pth"), Some("model")).unwrap().key.unwrap(), "checkpoint.model");
    let text = error_of(read(file("plain.pth"), Some("model")));
    assert!(text.ends_with("expected weights under `model`, found none"), "{text}");
    let text = error_of(read(file("types.safetensors"), Some("model")));
    assert!(text.ends_with("expected weights under `model`, found none"), "{text}");
}

#[test]
fn numbers_of_a_big_endian_machine_are_refused() {
    let mut bytes = std::fs::read(file("plain.pth")).unwrap();
    let at = bytes.windows(6).position(|w| w == b"little").unwrap();
    bytes[at..at + 6].copy_from_slice(b"big   ");
    let text = error_of(read_bytes(&bytes, "big.pth", None));
    assert!(text.contains("found `big   `"), "{text}");

    let mut bytes = std::fs::read(file("plain_legacy.pth")).unwrap();
    let at = bytes.windows(13).position(|w| w == b"little_endian").unwrap();
    let truth = at + bytes[at..].iter().position(|&b| b == 0x88).unwrap();
    bytes[truth] = 0x89;
    let text = error_of(read_bytes(&bytes, "big.th", None));
    assert!(text.contains("big-endian"), "{text}");
}

#[test]
fn what_is_no_file_of_weights_is_told_apart() {
    for (bytes, word) in [
        (&b""[..], "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b"\x89PNG\r\n\x1a\n", "found neither"),
        (b"\x80\x04K\x01.", "a pickle of something else (a number)"),
        (b"PK\x05\x06", "zip archive"),
        (b"{\"weight_map\": {}}", "by its path"),
    ] {
        let text = error_of(read_bytes(bytes, "x.pth", None));
        assert!(text.starts_with("`x.pth`: ") && text.contains(word), "{text}");
    }
    let text = error_of(read(file("nowhere.pth"), None));
    assert!(text.starts_with("cannot read `") && text.contains("nowhere.pth"), "{text}");
    assert!(error_of(read(file(""), None)).contains("found a folder"));
}
