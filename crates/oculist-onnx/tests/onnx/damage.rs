//! Bytes that are no model, or not quite.

use std::error::Error;
use std::fs;
use std::path::Path;

use oculist_onnx::{OnnxError, from_bytes, read, to_bytes, write};

use crate::networks;

fn small_model() -> Vec<u8> {
    to_bytes(&networks::residual_int8(1, [1, 2, 2], 4)).unwrap()
}

#[test]
fn every_shorter_piece_of_a_model_is_refused() {
    for bytes in [small_model(), to_bytes(&networks::residual(1, [1, 2, 2], 4)).unwrap()] {
        from_bytes(&bytes).unwrap();
        for length in 0..bytes.len() {
            let error = from_bytes(&bytes[..length]).expect_err("a piece passes for the whole");
            assert!(matches!(error, OnnxError::NotOnnx { .. }), "{length} of {}: {error}", bytes.len());
        }
    }
}

#[test]
fn flipped_bits_never_end_in_a_panic() {
    let bytes = small_model();
    let mut state = 20_261_124u64;
    let mut random = move || {
        // Knuth's 64-bit linear congruential generator; the high bits are good.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let mut refused = 0;
    for round in 0..20_000 {
        let mut damaged = bytes.clone();
        for _ in 0..=round % 4 {
            let at = random() % damaged.len();
            damaged[at] ^= 1 << (random() % 8);
        }
        // Some flips only change a weight or a name; what passes must be a valid graph that can be written.
        match from_bytes(&damaged) {
            Ok(graph) => {
                graph.check().expect("what was read is valid");
                to_bytes(&graph).expect("and can be written");
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!(refused > 5_000, "only {refused} of 20000 damaged models were refused");
}

#[test]
fn random_bytes_are_no_model() {
    let mut state = 7u64;
    for length in 1..3000usize {
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        from_bytes(&bytes).unwrap_err();
    }
}

/// The message of `read`, which must be complete without its sources.
fn message(path: &Path) -> String {
    let error = read(path).unwrap_err();
    assert!(error.source().is_none(), "the message would be printed twice");
    error.to_string()
}

#[test]
fn what_is_no_model_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let model = small_model();
    let png = file("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01");
    let zip = file("weights.pth", b"PK\x03\x04\0\0\0\0\0\0");
    let text = file("notes.onnx", b"this is text and no model at all\n");
    let cut = file("cut.onnx", &model[..model.len() / 2]);
    for path in [&png, &zip, &text, &cut] {
        let message = message(path);
        assert!(message.starts_with(&format!("`{}`: ", path.display())), "{message}");
        assert!(message.contains("not an ONNX model, or it is cut short"), "{message}");
    }
    let empty = file("empty.onnx", b"");
    assert!(message(&empty).ends_with("cut short: it is empty"), "{}", message(&empty));
    let directory = message(folder.path());
    assert!(directory.contains(&folder.path().display().to_string()), "{directory}");
    assert!(directory.contains("it is a folder"), "{directory}");
    let missing = message(&folder.path().join("missing.onnx"));
    assert!(missing.contains("missing.onnx") && missing.contains("No such file"), "{missing}");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let graph = networks::residual(1, [1, 1, 1], 4);
    let missing = folder.path().join("missing/model.onnx");
    let error = write(&graph, &missing).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot write `{}`", missing.display())), "{error}");
    // A folder of that name is in the way: nothing is left beside it.
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    write(&graph, &taken).unwrap_err();
    write(&graph, Path::new("/")).unwrap_err();
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["taken"]);
}
