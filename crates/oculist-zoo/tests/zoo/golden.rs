//! Names, counts and logits against `golden/architectures.json`, which torchvision (for the CIFAR networks: PyTorch)
//! computed from the same formula weights.

use oculist_graph::{BatchNormalization, GlobalPool, Graph, Op, Tensor, Unary};
use oculist_testing::interpret::{Array, run};
use oculist_testing::{formula, golden};
use oculist_zoo::{BuildOptions, build, load_named};
use serde_json::Value;

/// Largest accepted distance of a logit, relative to the largest logit. The oracle runs in f64 on both sides and the file
/// holds nine digits, so this leaves room for f32 parameters only (epsilon, slopes).
const TOLERANCE: f32 = 1e-5;

fn models() -> Vec<Value> {
    golden::load("architectures.json")["models"].as_array().expect("a list of models").clone()
}

fn model(name: &str) -> Value {
    models().into_iter().find(|m| m["name"] == name).unwrap_or_else(|| panic!("no golden `{name}`"))
}

/// The zoo's name for a golden model; `None` for option B, which the zoo does not offer.
fn zoo_name(golden: &str) -> Option<String> {
    if let Some(rest) = golden.strip_prefix("cifar_") {
        let (name, rest) = rest.split_once('_')?;
        return rest.starts_with('a').then(|| name.to_owned());
    }
    Some(golden.trim_end_matches("_small_stem").to_owned())
}

/// The zoo's graph for one case of a golden model, with zero weights.
fn graph(model: &Value, case: &Value) -> Graph {
    let name = zoo_name(model["name"].as_str().unwrap()).expect("an architecture of the zoo");
    let shape = golden::shape(&case["input_shape"]);
    let classes = golden::floats(&case["logits"]).len() / shape[0];
    build(&name, &BuildOptions::new(classes, (shape[1], shape[2], shape[3]))).unwrap()
}

/// Names and shapes of the state dict; paddings are integers and no part of it.
fn state(graph: &Graph) -> Vec<(String, Vec<usize>)> {
    let floats = graph.params().filter(|(_, _, t)| t.as_f32().is_some());
    floats.map(|(_, v, t)| (v.name.clone(), t.shape().to_vec())).collect()
}

fn fill(graph: &mut Graph, gamma: f32) {
    let shapes = state(graph);
    load_named(graph, |name| {
        let (_, shape) = shapes.iter().find(|(n, _)| n == name)?;
        Some(Tensor::f32(shape, formula::state(name, shape, gamma)))
    })
    .unwrap();
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

#[track_caller]
fn logits_agree(name: &str, case: usize) {
    let model = model(name);
    let case = &model["cases"][case];
    let mut graph = graph(&model, case);
    fill(&mut graph, model["gamma"].as_f64().unwrap() as f32);
    let distance = distance(&graph, case);
    assert!(distance <= TOLERANCE, "{name} {}: {distance:e}", case["input_shape"]);
}

#[test]
fn names_shapes_counts_and_epsilons_are_torchvisions() {
    let mut compared = 0;
    for model in models() {
        let name = model["name"].as_str().unwrap();
        if zoo_name(name).is_none() {
            continue;
        }
        let want: Vec<(String, Vec<usize>)> = model["state"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| (s[0].as_str().unwrap().to_owned(), golden::shape(&s[1])))
            .collect();
        for case in model["cases"].as_array().unwrap() {
            let graph = graph(&model, case);
            assert_eq!(state(&graph), want, "{name}: state dict");
            let cost = graph.cost();
            assert_eq!(cost.params, model["parameters"].as_u64().unwrap(), "{name}: parameters");
            assert_eq!(cost.macs, case["macs"].as_u64().unwrap(), "{name} {}: MACs", case["input_shape"]);
            for node in graph.nodes() {
                if let Op::BatchNormalization(BatchNormalization { epsilon, momentum, .. }) = node.op {
                    let eps = model["batch_norm_eps"].as_f64().unwrap();
                    assert_eq!(epsilon, eps as f32, "{name}: {}", node.name);
                    assert_eq!(momentum, if eps == 1e-3 { 0.99 } else { 0.9 }, "{name}: {}", node.name);
                }
            }
            compared += 1;
        }
    }
    // 11 torchvision networks, 6 of them at two sizes, the small stem, 6 CIFAR networks and airbench at two sizes.
    assert_eq!(compared, 11 + 6 + 1 + 12 + 2);
}

#[test]
fn logits_of_airbench() {
    logits_agree("airbench", 0);
    logits_agree("airbench", 1);
}

#[test]
fn logits_of_cifar_resnets() {
    for depth in [8, 20, 32, 44, 56, 110] {
        logits_agree(&format!("cifar_resnet{depth}_a_3x32"), 0);
        logits_agree(&format!("cifar_resnet{depth}_a_1x28"), 0);
    }
}

// The oracle manages about 0.1 billion multiply-adds a second, so each network runs at the cheapest size that passes
// through all its layers.

#[test]
fn logits_of_resnet18() {
    logits_agree("resnet18_small_stem", 0);
    logits_agree("resnet18", 1);
}

#[test]
fn logits_of_deeper_resnets() {
    for name in ["resnet34", "resnet50"] {
        logits_agree(name, 1);
    }
}

#[test]
fn logits_of_mobilenets() {
    logits_agree("mobilenet_v2", 0);
    logits_agree("mobilenet_v3_small", 0);
    logits_agree("mobilenet_v3_large", 1);
}

#[test]
fn logits_of_alexnet() {
    logits_agree("alexnet", 0);
}

/// The comparison must see a network that is only slightly another one.
#[track_caller]
fn is_rejected(name: &str, case: usize, edit: impl Fn(&mut Graph)) {
    let model = model(name);
    let case = &model["cases"][case];
    let mut graph = graph(&model, case);
    fill(&mut graph, model["gamma"].as_f64().unwrap() as f32);
    let before = graph.clone();
    edit(&mut graph);
    assert_ne!(graph, before, "the edit met no node");
    graph.tidy().unwrap();
    let distance = distance(&graph, case);
    assert!(distance > 10.0 * TOLERANCE, "{name}: {distance:e}");
}

/// Changes the operators of a graph.
fn each_op(graph: &mut Graph, change: impl Fn(&mut Op)) {
    for n in 0..graph.nodes().len() {
        let mut op = graph.nodes()[n].op.clone();
        change(&mut op);
        graph.edit().set_op(n, op);
    }
}

#[test]
fn a_wrong_shortcut_is_rejected() {
    is_rejected("cifar_resnet8_a_3x32", 0, |graph| {
        for n in 0..graph.nodes().len() {
            let node = &graph.nodes()[n];
            if let Some((before, behind)) = graph.channel_padding(node) {
                let pads = node.inputs[1];
                let all = i64::try_from(before + behind).unwrap();
                graph.set_param(pads, Tensor::ints(vec![0, 0, 0, 0, 0, all, 0, 0]));
            }
        }
    });
}

#[test]
fn a_wrong_pooling_is_rejected() {
    is_rejected("airbench", 0, |graph| {
        let last = graph.nodes().iter().rposition(|n| matches!(n.op, Op::MaxPool(_))).unwrap();
        graph.edit().set_op(last, Op::GlobalPool(GlobalPool::Average));
    });
}

#[test]
fn a_wrong_epsilon_is_rejected() {
    is_rejected("mobilenet_v3_small", 1, |graph| {
        each_op(graph, |op| {
            if let Op::BatchNormalization(BatchNormalization { epsilon, .. }) = op {
                *epsilon = 1e-5;
            }
        });
    });
}

#[test]
fn a_wrong_gate_is_rejected() {
    is_rejected("mobilenet_v3_small", 1, |graph| {
        each_op(graph, |op| {
            if let Op::Unary(Unary::HardSigmoid { alpha, .. }) = op {
                *alpha = 0.2;
            }
        });
    });
}
