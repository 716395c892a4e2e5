//! The plan's logits against torchvision's for every architecture of the zoo, at the sizes of the golden file.

use std::sync::Arc;

use oculist_graph::{BatchNormalization, Graph, Op, Tensor, ValueId};
use oculist_runtime::{Context, InputLayout, Plan, PlanOptions};
use oculist_testing::{formula, golden};
use oculist_zoo::{BuildOptions, Stem, build};
use serde_json::Value;

/// Largest accepted distance of a logit, relative to the largest one: f32 sums against the golden file's f64.
const TOLERANCE: f32 = 1e-4;

/// Logits that are right by the oracle and nothing else: the golden models whose name passes `chosen`.
fn compare(chosen: impl Fn(&str) -> bool) -> usize {
    let golden = golden::load("architectures.json");
    let mut compared = 0;
    for model in golden["models"].as_array().expect("a list of models") {
        let name = model["name"].as_str().expect("a name");
        if !chosen(name) {
            continue;
        }
        for case in model["cases"].as_array().expect("a list of cases") {
            let distance = distance(&filled(model, case), case);
            assert!(distance <= TOLERANCE, "{name} {}: {distance:e}", case["input_shape"]);
            compared += 1;
        }
    }
    compared
}

/// The zoo's graph for a case, with the formula's weights.
fn filled(model: &Value, case: &Value) -> Graph {
    let name = model["name"].as_str().expect("a name");
    // `cifar_resnet20_a_3x32` is the zoo's `resnet20`.
    let name = name.strip_prefix("cifar_").map_or(name, |n| n.split('_').next().unwrap_or(n));
    let shape = golden::shape(&case["input_shape"]);
    let classes = golden::floats(&case["logits"]).len() / shape[0];
    let options = BuildOptions::new(classes, (shape[1], shape[2], shape[3]));
    let mut graph = build(name.trim_end_matches("_small_stem"), &options).expect("an architecture");
    let gamma = model["gamma"].as_f64().expect("a number") as f32;
    // Paddings and the like are constants of the architecture.
    let floats = graph.params().filter(|(_, _, tensor)| tensor.as_f32().is_some());
    let params: Vec<(ValueId, String)> = floats.map(|(id, v, _)| (id, v.name.clone())).collect();
    for (id, name) in params {
        let shape = graph.param(id).expect("a parameter").shape().to_vec();
        let values = formula::state(&name, &shape, gamma);
        graph.set_param(id, Tensor::f32(&shape, values));
    }
    graph
}

fn distance(graph: &Graph, case: &Value) -> f32 {
    let shape = golden::shape(&case["input_shape"]);
    let context = Arc::new(Context::new(2).expect("two threads"));
    let options = PlanOptions::new(shape[0], context).with_input_layout(InputLayout::Nchw);
    let mut plan = Plan::new(graph, &options).expect("a plan");
    let mut logits = vec![0.0; shape[0] * plan.output_len()];
    plan.run(&formula::tensor("input", shape.iter().product()), &mut logits).expect("a run");
    let want = golden::floats(&case["logits"]);
    let scale = want.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    golden::max_abs_difference(&logits, &want) / scale
}

/// The graph of a case of `golden/zoo/NAME.json`; its weights are by the formula.
fn filled_of_zoo(name: &str, model: &Value, case: &Value) -> Graph {
    let shape = golden::shape(&case["input_shape"]);
    let classes = golden::floats(&case["logits"]).len() / shape[0];
    let stem = if shape[2] == 32 { Stem::Auto } else { Stem::Large };
    let options = BuildOptions::new(classes, (shape[1], shape[2], shape[3])).with_stem(stem);
    let mut graph = build(name, &options).expect("an architecture");
    let gamma = model["gamma"].as_f64().expect("a number") as f32;
    let weights = graph.weights();
    let params: Vec<(ValueId, String)> = graph
        .params()
        .filter(|(id, ..)| weights[id.index()])
        .map(|(id, v, _)| (id, v.name.clone()))
        .collect();
    for (id, name) in params {
        let shape = graph.param(id).expect("a parameter").shape().to_vec();
        let values = formula::state(&name, &shape, gamma);
        graph.set_param(id, Tensor::f32(&shape, values));
    }
    graph
}

/// The names of the golden files in `golden/zoo`.
fn zoo_names() -> Vec<String> {
    let files = std::fs::read_dir(golden::path("zoo")).expect("a folder");
    let mut names: Vec<String> = files
        .map(|f| f.expect("a file").file_name().to_string_lossy().trim_end_matches(".json").to_owned())
        .collect();
    names.sort();
    names
}

/// Every case of the architectures that torchvision's and timm's answers are kept of, the published size among them; each
/// has a twin with one weight in the middle changed, which must be seen.
#[test]
fn the_rest_of_the_zoo_at_small_and_published_sizes() {
    let (mut worst, mut failed) = (0.0_f32, Vec::new());
    for name in zoo_names() {
        let model = golden::load(&format!("zoo/{name}.json"));
        for case in model["cases"].as_array().expect("a list of cases") {
            let mut graph = filled_of_zoo(&name, &model, case);
            let found = distance(&graph, case);
            println!("{name} {}: {found:e}", case["input_shape"]);
            if found > TOLERANCE {
                failed.push(format!("{name} {}: {found:e}", case["input_shape"]));
            }
            worst = worst.max(found);
            // The twin: a layer in the middle with another weight.
            let layers: Vec<ValueId> =
                graph.nodes().iter().filter(|n| matches!(n.op, Op::Conv(_))).map(|n| n.inputs[1]).collect();
            let weight = layers[layers.len() / 2];
            let tensor = graph.param(weight).expect("a weight");
            let (shape, values) = (tensor.shape().to_vec(), tensor.to_f32s());
            graph.set_param(weight, Tensor::f32(&shape, values.iter().map(|v| 1.5 * v + 0.01).collect()));
            let wrong = distance(&graph, case);
            if wrong <= 5.0 * TOLERANCE {
                failed.push(format!("{name} {}: {wrong:e} is not rejected", case["input_shape"]));
            }
        }
    }
    println!("largest: {worst:e}");
    assert!(failed.is_empty(), "{failed:?}");
}

/// Networks of many branches after these have been made one, against what timm makes of them.
#[test]
fn merged_branches_at_small_and_published_sizes() {
    for name in ["mobileone_s0", "repvgg_a0"] {
        let model = golden::load(&format!("zoo/{name}.json"));
        for case in model["merged"].as_array().expect("a list of cases") {
            let graph = filled_of_zoo(name, &model, case);
            let mut merged = oculist_passes::reparameterize(&graph).expect("a graph");
            let count =
                |graph: &Graph, kind: &str| graph.nodes().iter().filter(|n| n.op.name() == kind).count();
            assert!(count(&graph, "Add") > 0 && count(&merged, "Add") == 0, "{name}");
            assert_eq!(count(&merged, "BatchNormalization"), 0, "{name}");
            assert_eq!(count(&merged, "Conv"), count(&merged, "Relu"), "{name}: one for each layer");
            let found = distance(&merged, case);
            assert!(found <= TOLERANCE, "{name} {}: {found:e}", case["input_shape"]);
            // The twin: one bias in the middle.
            let convs = merged.nodes().iter().filter(|n| matches!(n.op, Op::Conv(_)));
            let biases: Vec<ValueId> = convs.map(|n| n.inputs[2]).collect();
            let bias = biases[biases.len() / 2];
            let values: Vec<f32> = merged.param(bias).expect("a bias").to_f32s();
            merged.set_param(bias, Tensor::f32(&[values.len()], values.iter().map(|v| v + 0.2).collect()));
            let wrong = distance(&merged, case);
            assert!(wrong > 5.0 * TOLERANCE, "{name}: {wrong:e} is not rejected");
        }
    }
}

#[test]
fn residual_networks() {
    // Option B of the CIFAR networks is not in the zoo.
    let chosen = |name: &str| name.contains("resnet") && !name.contains("_b_");
    assert_eq!(compare(chosen), 3 * 2 + 1 + 6 * 2);
}

#[test]
fn mobile_networks() {
    assert_eq!(compare(|name| name.starts_with("mobilenet")), 3 * 2);
}

#[test]
fn chains() {
    assert_eq!(compare(|name| name.starts_with("vgg") || name == "alexnet"), 4 + 1);
}

#[test]
fn a_network_that_is_slightly_another_one_is_rejected() {
    let golden = golden::load("architectures.json");
    let models = golden["models"].as_array().expect("a list of models");
    let model = models.iter().find(|m| m["name"] == "mobilenet_v3_small").expect("a model");
    let case = &model["cases"][1];
    let mut graph = filled(model, case);
    let norms: Vec<(usize, BatchNormalization)> = graph
        .nodes()
        .iter()
        .enumerate()
        .filter_map(
            |(i, node)| if let Op::BatchNormalization(norm) = node.op { Some((i, norm)) } else { None },
        )
        .collect();
    let mut edit = graph.edit();
    for (i, norm) in norms {
        edit.set_op(i, BatchNormalization { epsilon: 1e-5, ..norm });
    }
    edit.finish().expect("a valid graph");
    let distance = distance(&graph, case);
    assert!(distance > 5.0 * TOLERANCE, "{distance:e}");
}
