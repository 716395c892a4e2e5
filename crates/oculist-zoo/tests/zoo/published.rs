//! Names, counts and logits against `golden/zoo/*.json`, which torchvision and timm computed from the same formula weights.

use oculist_graph::{Graph, Op, Tensor, Unary};
use oculist_testing::interpret::{Array, run};
use oculist_testing::{formula, golden};
use oculist_zoo::{BuildOptions, Stem, architectures, build, load_named};
use serde_json::Value;

/// Largest accepted distance of a logit, relative to the largest: f64 on both sides, f32 parameters.
const TOLERANCE: f32 = 1e-5;

/// Architectures whose golden values are in `architectures.json`, or in `crates/oculist-weights` (EfficientNet-Lite).
fn is_elsewhere(name: &str) -> bool {
    let elsewhere = [
        "resnet8",
        "resnet20",
        "resnet32",
        "resnet44",
        "resnet56",
        "resnet110",
        "resnet18",
        "resnet34",
        "resnet50",
        "alexnet",
        "airbench",
    ];
    elsewhere.contains(&name)
        || name.contains("efficientnet_lite")
        || name.ends_with("_bn")
        || name == "mobilenet_v2"
        || name.starts_with("mobilenet_v3")
}

fn names() -> Vec<&'static str> {
    architectures().iter().map(|a| a.name).filter(|name| !is_elsewhere(name)).collect()
}

fn model(name: &str) -> Value {
    golden::load(&format!("zoo/{name}.json"))
}

/// `NAME SHAPE` of every parameter, sorted; integers (shapes, paddings) and factors of the formula are no part of it.
fn state(graph: &Graph) -> Vec<String> {
    let weights = graph.weights();
    let params = graph.params().filter(|(id, ..)| weights[id.index()]);
    let mut entries: Vec<String> = params
        .map(|(_, v, t)| {
            let shape: Vec<String> = t.shape().iter().map(ToString::to_string).collect();
            format!("{} {}", v.name, shape.join(","))
        })
        .collect();
    entries.sort();
    entries
}

fn expected_state(model: &Value) -> Vec<String> {
    let mut entries = Vec::new();
    for entry in model["state"].as_array().unwrap() {
        let entry = entry.as_str().unwrap();
        let (name, shape) = entry.split_once(' ').unwrap();
        match name.strip_suffix(".*") {
            None => entries.push(entry.to_owned()),
            Some(norm) => {
                for part in ["weight", "bias", "running_mean", "running_var"] {
                    entries.push(format!("{norm}.{part} {shape}"));
                }
            }
        }
    }
    entries.sort();
    entries
}

#[test]
fn names_shapes_counts_and_epsilons_are_the_published_ones() {
    for name in names() {
        let model = model(name);
        let info = oculist_zoo::find(name).unwrap();
        assert_eq!(info.native_input.1 as u64, model["side"].as_u64().unwrap(), "{name}: side");
        let graph = build(name, &BuildOptions::new(info.native_classes, info.native_input)).unwrap();
        assert_eq!(state(&graph), expected_state(&model), "{name}: state dict");
        let cost = graph.cost();
        assert_eq!(cost.params, model["parameters"].as_u64().unwrap(), "{name}: parameters");
        assert_eq!(cost.macs, model["macs"].as_u64().unwrap(), "{name}: multiply-adds");
        for node in graph.nodes() {
            let epsilon = match &node.op {
                Op::BatchNormalization(norm) => norm.epsilon,
                Op::LayerNormalization(norm) => norm.epsilon,
                Op::GroupNormalization(norm) => norm.epsilon,
                Op::InstanceNormalization(norm) => norm.epsilon,
                _ => continue,
            };
            assert_eq!(epsilon, model["epsilon"].as_f64().unwrap() as f32, "{name}: {}", node.name);
        }
    }
}

/// The graph of a case with the formula's weights: the large stem, but for VGG's narrow head.
fn filled(name: &str, model: &Value, case: &Value) -> Graph {
    let shape = golden::shape(&case["input_shape"]);
    let classes = golden::floats(&case["logits"]).len() / shape[0];
    let stem = if shape[2] == 32 { Stem::Auto } else { Stem::Large };
    let options = BuildOptions::new(classes, (shape[1], shape[2], shape[3])).with_stem(stem);
    let mut graph = build(name, &options).unwrap();
    let weights = graph.weights();
    let shapes: Vec<(String, Vec<usize>)> = graph
        .params()
        .filter(|(id, ..)| weights[id.index()])
        .map(|(_, v, t)| (v.name.clone(), t.shape().to_vec()))
        .collect();
    let gamma = model["gamma"].as_f64().unwrap() as f32;
    load_named(&mut graph, |name| {
        let (_, shape) = shapes.iter().find(|(n, _)| n == name)?;
        Some(Tensor::f32(shape, formula::state(name, shape, gamma)))
    })
    .unwrap();
    graph
}

/// Distance between the graph's logits for the first image and the golden ones, relative to the largest of them.
fn distance(graph: &Graph, case: &Value) -> f32 {
    let mut shape = golden::shape(&case["input_shape"]);
    let batch = std::mem::replace(&mut shape[0], 1);
    let input = Array::from_f32(&shape, &formula::tensor("input", shape.iter().product()));
    let logits = run(graph, &[input]).output(0).to_f32();
    let mut want = golden::floats(&case["logits"]);
    want.truncate(want.len() / batch);
    let scale = want.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    golden::max_abs_difference(&logits, &want) / scale
}

/// The cheapest case with the published layers.
fn cheapest(model: &Value) -> &Value {
    model["cases"].as_array().unwrap().last().unwrap()
}

/// Those of operators that the interpreter has, one of each kind, at sizes that it manages in seconds. All architectures are compared
/// by the plans of `oculist-runtime`, at the published sizes too.
#[test]
fn logits_agree_in_the_interpreter() {
    for name in [
        "densenet_bc_100",
        "inception_v3",
        "mobilenet_v1",
        "mobileone_s0",
        "regnet_y_400mf",
        "repvgg_a0",
        "seresnet18",
    ] {
        let model = model(name);
        let case = cheapest(&model);
        let distance = distance(&filled(name, &model, case), case);
        println!("{name}: {distance:e}");
        assert!(distance <= TOLERANCE, "{name} {}: {distance:e}", case["input_shape"]);
    }
}

/// The comparison must see a network that is only slightly another one.
#[track_caller]
fn is_rejected(name: &str, change: impl Fn(&mut Op)) {
    let model = model(name);
    let case = cheapest(&model);
    let mut graph = filled(name, &model, case);
    let before = graph.clone();
    for n in 0..graph.nodes().len() {
        let mut op = graph.nodes()[n].op.clone();
        change(&mut op);
        graph.edit().set_op(n, op);
    }
    assert_ne!(graph, before, "the change met no node");
    graph.tidy().unwrap();
    let distance = distance(&graph, case);
    assert!(distance > 10.0 * TOLERANCE, "{name}: {distance:e}");
}

#[test]
fn wrong_constants_and_functions_are_rejected() {
    is_rejected("mobilenet_v1", |op| {
        if let Op::BatchNormalization(norm) = op {
            norm.epsilon = 1e-3;
        }
    });
    is_rejected("inception_v3", |op| {
        if let Op::AveragePool(pool) = op {
            pool.count_include_pad = false;
        }
    });
    is_rejected("seresnet18", |op| {
        if *op == Op::Unary(Unary::Sigmoid) {
            *op = Op::Unary(Unary::HardSigmoid { alpha: 0.2, beta: 0.5 });
        }
    });
}
