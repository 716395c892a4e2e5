//! The plan's logits against timm's, with the weights under timm's names, which `oculist-weights` maps to those of the zoo.

use std::path::Path;
use std::sync::Arc;

use oculist_graph::{Graph, Op, Tensor};
use oculist_runtime::{Context, InputLayout, Plan, PlanOptions};
use oculist_testing::{formula, golden};
use oculist_weights::{Format, Partial, Weights, classes_of, load_into};
use oculist_zoo::{BuildOptions, Stem, build};
use serde_json::Value;

/// Largest accepted distance of a logit, relative to the largest one: f32 sums against the golden file's f64.
const TOLERANCE: f32 = 1e-4;

/// A network of timm, how many notes loading it makes, and a layer in the middle.
const NETWORKS: [(&str, usize, &str); 4] = [
    ("efficientnet_b0", 1, "blocks.2.1.bn2.weight"),
    ("tf_efficientnetv2_s", 1, "blocks.2.1.bn2.weight"),
    ("regnety_004", 0, "s3.b2.conv1.bn.weight"),
    ("convnext_tiny", 0, "stages.2.blocks.5.gamma"),
];

/// The networks' answers, which the script beside the file wrote.
fn answers() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../oculist-weights/tests/files/timm.json");
    serde_json::from_str(&std::fs::read_to_string(file).expect("a file")).expect("JSON")
}

/// The state dict of a network by the formula.
fn weights(name: &str, model: &Value) -> Weights {
    let gamma = model["gamma"].as_f64().expect("a number") as f32;
    let mut tensors = Vec::new();
    for entry in model["entries"].as_array().expect("a list") {
        let (key, shape) = entry.as_str().expect("a text").split_once(' ').expect("name and shape");
        let shape: Vec<usize> = shape.split(',').map(|n| n.parse().expect("a number")).collect();
        let keys: Vec<String> = match key.strip_suffix(".*") {
            None => vec![key.to_owned()],
            Some(norm) => {
                ["weight", "bias", "running_mean", "running_var"].map(|part| format!("{norm}.{part}")).into()
            }
        };
        for key in keys {
            let tensor = Tensor::f32(&shape, formula::state(&key, &shape, gamma));
            tensors.push((key, tensor));
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

/// The zoo's graph for a network.
fn graph(model: &Value) -> Graph {
    let options = BuildOptions::new(5, (3, 32, 32)).with_stem(Stem::Large);
    build(model["ours"].as_str().expect("a name"), &options).expect("an architecture")
}

/// Distance of the graph's logits from the file's, relative to the largest.
fn distance(graph: &Graph, model: &Value) -> f32 {
    let context = Arc::new(Context::new(2).expect("two threads"));
    let options = PlanOptions::new(1, context).with_input_layout(InputLayout::Nchw);
    let mut plan = Plan::new(graph, &options).expect("a plan");
    let mut logits = vec![0.0; plan.output_len()];
    plan.run(&formula::tensor("input", 3 * 32 * 32), &mut logits).expect("a run");
    let want = golden::floats(&model["logits"]);
    let scale = want.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    golden::max_abs_difference(&logits, &want) / scale
}

#[test]
fn networks_of_timm_compute_the_same_with_their_weights() {
    let answers = answers();
    for (name, notes, middle) in NETWORKS {
        let model = &answers[name];
        let mut weights = weights(name, model);
        assert_eq!(classes_of(model["ours"].as_str().expect("a name"), &weights).expect("classes"), 5);
        let mut loaded = graph(model);
        let report = load_into(&mut loaded, &weights, Partial::No).expect("weights that fit");
        assert_eq!(report.notes.len(), notes, "{name}: {:?}", report.notes);
        let apart = distance(&loaded, model);
        println!("{name}: {apart:e}");
        assert!(apart <= TOLERANCE, "{name}: {apart:e}");
        // The twin: a layer in the middle with other weights.
        let changed = weights.tensors.iter_mut().find(|(n, _)| n == middle).expect("a layer");
        let values = changed.1.to_f32s().iter().map(|v| 1.5 * v + 0.01).collect();
        changed.1 = Tensor::f32(changed.1.shape(), values);
        let mut wrong = graph(model);
        load_into(&mut wrong, &weights, Partial::No).expect("weights that fit");
        let apart = distance(&wrong, model);
        assert!(apart > 5.0 * TOLERANCE, "{name}: {apart:e} is not rejected");
    }
}

#[test]
fn the_padding_of_tensorflow_is_set_with_the_names() {
    let model = &answers()["tf_efficientnetv2_s"];
    let mut loaded = graph(model);
    load_into(&mut loaded, &weights("v2", model), Partial::No).expect("weights that fit");
    // The zoo's own graph pads evenly.
    let own: Vec<Op> = graph(model).nodes().iter().map(|node| node.op.clone()).collect();
    for (n, op) in own.into_iter().enumerate() {
        loaded.edit().set_op(n, op);
    }
    loaded.tidy().expect("a valid graph");
    let apart = distance(&loaded, model);
    assert!(apart > 100.0 * TOLERANCE, "{apart:e}");
}
