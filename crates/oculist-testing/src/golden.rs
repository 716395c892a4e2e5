//! Golden files: answers of libraries too heavy to run in every test, kept in the repository's `golden/`.

use std::path::{Path, PathBuf};

pub use serde_json::Value;

/// The path of a file in the repository's `golden/` folder.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden").join(name)
}

/// Reads and parses `golden/NAME`.
///
/// # Panics
/// If the file is missing or is no JSON; the message says how to make it again.
pub fn load(name: &str) -> Value {
    let path = path(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("golden/{name}: {e}; `cargo xtask golden` makes the golden files"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("golden/{name} is no JSON: {e}"))
}

/// A JSON array of numbers as f32.
///
/// # Panics
/// If `value` is no array of numbers.
pub fn floats(value: &Value) -> Vec<f32> {
    let array = value.as_array().unwrap_or_else(|| panic!("expected an array of numbers, found {value}"));
    array
        .iter()
        .map(|v| v.as_f64().unwrap_or_else(|| panic!("expected a number, found {v}")) as f32)
        .collect()
}

/// A JSON array of non-negative integers, such as a shape.
///
/// # Panics
/// If `value` is no array of non-negative integers.
pub fn shape(value: &Value) -> Vec<usize> {
    let array = value.as_array().unwrap_or_else(|| panic!("expected a shape, found {value}"));
    array
        .iter()
        .map(|v| v.as_u64().unwrap_or_else(|| panic!("expected a dimension, found {v}")) as usize)
        .collect()
}

/// The largest absolute difference between `got` and `want`.
///
/// # Panics
/// If the lengths differ or a value is not finite, which no tolerance may excuse.
pub fn max_abs_difference(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len(), "number of values");
    got.iter().zip(want).enumerate().fold(0.0, |worst: f32, (i, (&g, &w))| {
        assert!(g.is_finite() && w.is_finite(), "element {i}: got {g}, want {w}");
        worst.max((g - w).abs())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_hold_the_published_parameter_counts() {
        let golden = load("architectures.json");
        let count = |name: &str| {
            let models = golden["models"].as_array().unwrap();
            models.iter().find(|m| m["name"] == name).unwrap()["parameters"].as_u64().unwrap()
        };
        // He et al. 2015 (0.27 M, 0.85 M), torchvision's model pages.
        assert_eq!(count("cifar_resnet20_a_3x32") / 1000, 269);
        assert_eq!(count("cifar_resnet56_a_3x32") / 1000, 853);
        assert_eq!(count("resnet18"), 11_689_512);
        assert_eq!(count("mobilenet_v2"), 3_504_872);
    }

    #[test]
    fn every_case_has_its_logits() {
        for model in load("architectures.json")["models"].as_array().unwrap() {
            for case in model["cases"].as_array().unwrap() {
                let batch = shape(&case["input_shape"])[0];
                let logits = floats(&case["logits"]);
                assert_eq!(logits.len() % batch, 0, "{}", model["name"]);
                assert!(logits.iter().any(|v| v.abs() > 0.1), "{}", model["name"]);
            }
        }
    }

    #[test]
    #[should_panic(expected = "cargo xtask golden")]
    fn a_missing_file_says_how_to_make_it() {
        load("missing.json");
    }

    #[test]
    #[should_panic(expected = "element 1")]
    fn a_value_that_is_not_finite_is_never_close() {
        max_abs_difference(&[0.0, f32::NAN], &[0.0, 0.0]);
    }

    #[test]
    fn the_difference_is_the_largest_one() {
        assert_eq!(max_abs_difference(&[1.0, 2.0, 3.0], &[1.0, 1.5, 2.75]), 0.5);
    }
}
