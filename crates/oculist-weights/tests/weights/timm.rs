//! Names and logits of timm's networks against the zoo's graphs with their weights.

use oculist_graph::{Graph, Tensor};
use oculist_testing::formula;
use oculist_testing::interpret::{Array, run};
use oculist_weights::{Format, Partial, Weights, classes_of, load_into};
use oculist_zoo::{BuildOptions, Stem, build};
use serde_json::Value;

use super::json;

/// Largest accepted distance of a logit, relative to the largest one: both sides compute in f64 with the same weights.
const TOLERANCE: f64 = 1e-6;

/// The state dict of a network, with what `value` gives for a name and shape.
pub(super) fn weights(name: &str, model: &Value, value: impl Fn(&str, &[usize]) -> Tensor) -> Weights {
    let mut tensors = Vec::new();
    for entry in model["entries"].as_array().unwrap() {
        let (key, shape) = entry.as_str().unwrap().split_once(' ').unwrap();
        let shape: Vec<usize> = shape.split(',').map(|n| n.parse().unwrap()).collect();
        match key.strip_suffix(".*") {
            None => tensors.push((key.to_owned(), value(key, &shape))),
            Some(norm) => {
                for part in ["weight", "bias", "running_mean", "running_var"] {
                    let key = format!("{norm}.{part}");
                    tensors.push((key.clone(), value(&key, &shape)));
                }
                tensors.push((format!("{norm}.num_batches_tracked"), Tensor::ints(vec![0])));
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

fn by_formula(name: &str, shape: &[usize]) -> Tensor {
    Tensor::f32(shape, formula::state(name, shape, 1.0))
}

/// The zoo's graph for a network, at the size of the logits in the file.
fn graph(model: &Value) -> Graph {
    let options = BuildOptions::new(5, (3, 32, 32)).with_stem(Stem::Large);
    build(model["ours"].as_str().unwrap(), &options).unwrap()
}

/// Distance of the graph's logits from the file's, relative to the largest.
pub(super) fn distance(graph: &Graph, model: &Value) -> f64 {
    let (_, height, width) = graph.input_chw().unwrap();
    let shape = [1, 3, height, width];
    let input = Array::from_f32(&shape, &formula::tensor("input", shape.iter().product()));
    let logits = run(graph, &[input]).output(0).to_f32();
    let expected: Vec<f64> =
        model["logits"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
    assert_eq!(logits.len(), expected.len());
    let largest = expected.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    let apart = logits.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs());
    apart.fold(0.0, f64::max) / largest
}

/// Networks whose logits the interpreter computes; those of the others are compared by the plans of `oculist-runtime`.
const INTERPRETED: [&str; 4] =
    ["resnet18", "mobilenetv2_100", "mobilenetv3_small_100", "mobilenetv3_large_100"];

#[test]
fn networks_of_timm_compute_the_same_with_their_weights() {
    for (name, model) in json("timm.json").as_object().unwrap() {
        if !INTERPRETED.contains(&name.as_str()) {
            continue;
        }
        let weights = weights(name, model, by_formula);
        assert_eq!(classes_of(model["ours"].as_str().unwrap(), &weights).unwrap(), 5, "{name}");
        let mut graph = graph(model);
        let report = load_into(&mut graph, &weights, Partial::No).unwrap();
        assert_eq!(report.notes.len(), usize::from(name.starts_with("mobilenetv3")), "{:?}", report.notes);
        assert!(report.ignored.len() > 10, "{name}");
        let apart = distance(&graph, model);
        assert!(apart < TOLERANCE, "{name}: {apart}");
    }
}

#[test]
fn a_wrong_weight_or_epsilon_would_be_seen() {
    let models = json("timm.json");
    for name in ["mobilenetv2_100", "mobilenetv3_small_100"] {
        let model = &models[name];
        let mut weights = weights(name, model, by_formula);
        let changed = weights.tensors.iter_mut().find(|(n, _)| n == "blocks.2.1.bn2.weight").unwrap();
        let mut values = changed.1.to_f32s();
        values[3] *= 1.5;
        changed.1 = Tensor::f32(&[values.len()], values);
        let mut graph = graph(model);
        load_into(&mut graph, &weights, Partial::No).unwrap();
        assert!(distance(&graph, model) > 10.0 * TOLERANCE, "{name}");
    }
    // The graph as the zoo builds it, with torchvision's epsilon.
    let model = &models["mobilenetv3_small_100"];
    let mut graph = graph(model);
    load_into(&mut graph, &weights("v3", model, by_formula), Partial::No).unwrap();
    let is_weight = graph.weights();
    let mut fresh = self::graph(model);
    let params: Vec<_> = graph.params().map(|(id, _, t)| (id, t.clone())).collect();
    for (id, tensor) in params.into_iter().filter(|(id, _)| is_weight[id.index()]) {
        fresh.set_param(id, tensor);
    }
    assert!(distance(&fresh, model) > 10.0 * TOLERANCE);
}

#[test]
fn a_network_of_other_widths_is_refused() {
    // `efficientnetv2_rw_s` has these names as well.
    let model = &json("timm.json")["tf_efficientnetv2_s"];
    let mut weights = weights("rw", model, by_formula);
    for (name, tensor) in &mut weights.tensors {
        if name == "conv_head.weight" {
            *tensor = Tensor::filled(&[1792, 272, 1, 1], 0.5);
        }
    }
    let error = load_into(&mut graph(model), &weights, Partial::No).unwrap_err().to_string();
    let differing = "`features.7.0.weight` expected f32[1280, 256, 1, 1], found f32[1792, 272, 1, 1]";
    assert!(error.contains(differing), "{error}");
}

#[test]
fn a_vgg_of_timm_has_its_linear_layers_as_convolutions() {
    let models = json("timm.json");
    let model = &models["vgg11_bn"];
    // Zeros share their memory: the wide head has 120 million weights.
    let weights = weights("vgg11_bn", model, |_, shape| Tensor::zeros(oculist_graph::DataType::F32, shape));
    assert_eq!(classes_of("vgg11_bn", &weights).unwrap(), 5);
    let mut graph = build("vgg11_bn", &BuildOptions::new(5, (3, 224, 224))).unwrap();
    let report = load_into(&mut graph, &weights, Partial::No).unwrap();
    assert_eq!(report.producer, "timm (vgg)");
    assert_eq!(report.matched.len(), graph.weights().iter().filter(|&&w| w).count());
    graph.check().unwrap();
}
