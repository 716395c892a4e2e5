//! State dicts of torchvision and timm, by the names in `golden/zoo`, fill the zoo's graphs.

use oculist_graph::{DataType, Tensor};
use oculist_testing::golden;
use oculist_weights::{Format, Partial, Weights, classes_of, load_into, stem_of};
use oculist_zoo::{BuildOptions, build, find};

/// Zeros under the names of a golden file, each rewritten.
fn weights(name: &str, rewrite: impl Fn(&str) -> String) -> Weights {
    let model = golden::load(&format!("zoo/{name}.json"));
    let mut tensors = Vec::new();
    let mut add = |name: &str, shape: &[usize]| {
        tensors.push((rewrite(name), Tensor::zeros(DataType::F32, shape)));
    };
    for entry in model["state"].as_array().unwrap() {
        let (key, shape) = entry.as_str().unwrap().split_once(' ').unwrap();
        let shape: Vec<usize> = shape.split(',').map(|n| n.parse().unwrap()).collect();
        match key.strip_suffix(".*") {
            None => add(key, &shape),
            Some(norm) => {
                for part in ["weight", "bias", "running_mean", "running_var"] {
                    add(&format!("{norm}.{part}"), &shape);
                }
            }
        }
    }
    Weights {
        file: name.to_owned(),
        format: Format::Safetensors,
        key: None,
        prefix: String::new(),
        tensors,
        skipped: Vec::new(),
        notes: Vec::new(),
    }
}

/// Loads into the published form; the number of tensors left aside.
fn load(name: &str, weights: &Weights) -> Result<usize, String> {
    let info = find(name).unwrap();
    assert_eq!(classes_of(name, weights).unwrap(), info.native_classes, "{name}");
    assert_eq!(stem_of(weights).unwrap()[1], 3, "{name}");
    let mut graph = build(name, &BuildOptions::new(info.native_classes, info.native_input)).unwrap();
    let report = load_into(&mut graph, weights, Partial::No).map_err(|e| e.to_string())?;
    Ok(report.ignored.len())
}

#[test]
fn every_state_dict_fits_its_graph() {
    for file in std::fs::read_dir(golden::path("zoo")).unwrap() {
        let file = file.unwrap().file_name();
        let name = file.to_string_lossy().trim_end_matches(".json").to_owned();
        // The wide heads take half a gigabyte each; `timm.rs` has one.
        if name.starts_with("vgg") {
            continue;
        }
        assert_eq!(load(&name, &weights(&name, str::to_owned)), Ok(0), "{name}");
        let mut less = weights(&name, str::to_owned);
        less.tensors.remove(3);
        let error = load(&name, &less).unwrap_err();
        assert!(error.contains("does not fit"), "{name}: {error}");
    }
}

#[test]
fn auxiliary_classifiers_are_left_aside_where_they_belong() {
    for (name, key) in [("googlenet", "aux2.fc1.weight"), ("inception_v3", "AuxLogits.fc.weight")] {
        let mut weights = weights(name, str::to_owned);
        weights.tensors.push((key.into(), Tensor::zeros(DataType::F32, &[4, 4])));
        assert_eq!(load(name, &weights), Ok(1), "{name}");
    }
    let mut weights = weights("mobilenet_v1", str::to_owned);
    weights.tensors.push(("aux1.fc1.weight".into(), Tensor::zeros(DataType::F32, &[4, 4])));
    assert!(load("mobilenet_v1", &weights).is_err());
}

#[test]
fn the_densenets_that_torchvision_offers_have_older_names() {
    let old = |key: &str| {
        let key = key.replace(".norm1.", ".norm.1.").replace(".conv1.", ".conv.1.");
        key.replace(".norm2.", ".norm.2.").replace(".conv2.", ".conv.2.")
    };
    assert_eq!(load("densenet121", &weights("densenet121", old)), Ok(0));
}
