//! EfficientNet-Lite of timm (both forms) and of efficientnet-lite-pytorch: names, costs and logits.

use oculist_graph::{Graph, Op, Tensor};
use oculist_testing::formula;
use oculist_weights::{LoadReport, Partial, classes_of, load_into};
use oculist_zoo::{BuildOptions, Stem, build, find};
use serde_json::Value;

use super::json;
use super::timm::{distance, weights};

/// Largest accepted distance of a logit, relative to the largest one. Both sides compute in f64, but epsilons are f32 in
/// the graph.
const TOLERANCE: f64 = 1e-5;

/// At this size maps of even and of odd sizes are halved.
const SIDE: usize = 46;

/// A graph of the zoo with the formula's weights under a producer's names.
fn loaded(name: &str, model: &Value, architecture: &str) -> (Graph, LoadReport) {
    let gamma = model["gamma"].as_f64().unwrap() as f32;
    let weights = weights(name, model, |name, shape| Tensor::f32(shape, formula::state(name, shape, gamma)));
    assert_eq!(classes_of(architecture, &weights).unwrap(), 5, "{name}");
    let options = BuildOptions::new(5, (3, SIDE, SIDE)).with_stem(Stem::Large);
    let mut graph = build(architecture, &options).unwrap();
    let report = load_into(&mut graph, &weights, Partial::No).unwrap();
    graph.check().unwrap();
    (graph, report)
}

/// Those of the sizes 0 to 4 whose logits are computed: the oracle takes minutes without optimisation.
const SIZES: std::ops::Range<usize> = if cfg!(debug_assertions) { 0..1 } else { 0..5 };

fn agrees(name: &str, architecture: &str) -> LoadReport {
    let model = &json("efficientnet_lite.json")[name];
    let (graph, report) = loaded(name, model, architecture);
    let apart = distance(&graph, model);
    assert!(apart < TOLERANCE, "{name}: {apart:e}");
    report
}

#[test]
fn costs_are_those_of_timms_networks() {
    let models = json("efficientnet_lite.json");
    let counted = models.as_object().unwrap().values().filter(|m| !m["cost"].is_null());
    let mut compared = 0;
    for model in counted {
        let info = find(model["ours"].as_str().unwrap()).unwrap();
        assert_eq!(model["cost"], serde_json::json!([info.params, info.macs]), "{}", info.name);
        compared += 1;
    }
    assert_eq!(compared, 10);
    // The published numbers, in millions.
    for (n, millions) in [4.7, 5.4, 6.1, 8.2, 13.0].into_iter().enumerate() {
        let params = find(&format!("tf_efficientnet_lite{n}")).unwrap().params as f64 / 1e6;
        assert!((params - millions).abs() <= 0.05, "{n}: {params}");
    }
}

#[test]
fn names_and_shapes_fit_at_every_size() {
    for (name, model) in json("efficientnet_lite.json").as_object().unwrap() {
        let (graph, report) = loaded(name, model, model["ours"].as_str().unwrap());
        assert_eq!(report.matched.len(), graph.weights().iter().filter(|&&w| w).count(), "{name}");
        assert!(report.left_over.is_empty() && report.missing.is_empty(), "{name}");
    }
}

#[test]
fn networks_of_timm_compute_the_same_in_either_form() {
    for n in SIZES {
        let name = format!("efficientnet_lite{n}");
        let report = agrees(&name, &name);
        assert!(
            report.notes.iter().any(|note| note.contains("`tf_efficientnet_lite...`")),
            "{:?}",
            report.notes
        );
        let name = format!("tf_{name}");
        assert!(agrees(&name, &name).notes.is_empty());
    }
}

#[test]
fn networks_of_the_package_compute_the_same_in_a_graph_of_either_form() {
    for n in SIZES {
        let name = format!("efficientnet-lite{n}-pytorch");
        let report = agrees(&name, &format!("efficientnet_lite{n}"));
        assert_eq!(report.producer, "efficientnet-lite-pytorch");
        assert!(report.notes.iter().any(|note| note.contains("pad like TensorFlow")), "{:?}", report.notes);
    }
    assert!(agrees("efficientnet-lite0-pytorch", "tf_efficientnet_lite0").notes.is_empty());
}

#[test]
fn the_other_form_or_a_wrong_layer_would_be_seen() {
    let models = json("efficientnet_lite.json");
    for (name, other) in
        [("efficientnet_lite0", "tf_efficientnet_lite0"), ("tf_efficientnet_lite0", "efficientnet_lite0")]
    {
        let (graph, _) = loaded(name, &models[name], other);
        let apart = distance(&graph, &models[name]);
        assert!(apart > 1000.0 * TOLERANCE, "{name}: {apart:e}");
    }
    let name = "efficientnet-lite0-pytorch";
    for change in [with_padding_in_front as fn(&mut Op) -> bool, without_bound] {
        let (mut graph, _) = loaded(name, &models[name], "efficientnet_lite0");
        let mut changed = false;
        for n in 0..graph.nodes().len() {
            let mut op = graph.nodes()[n].op.clone();
            changed |= change(&mut op);
            graph.edit().set_op(n, op);
        }
        let apart = distance(&graph, &models[name]);
        assert!(changed && apart > 100.0 * TOLERANCE, "{apart:e}");
    }
}

/// TensorFlow's odd pixel in front instead of behind.
fn with_padding_in_front(op: &mut Op) -> bool {
    let Op::Conv(conv) = op else { return false };
    let Some(mut plane) = conv.window.plane([SIDE; 2]) else { return false };
    let [top, left, bottom, right] = plane.padding;
    plane.padding = [bottom, right, top, left];
    conv.window = plane.into();
    (top, left) != (bottom, right)
}

/// ReLU instead of ReLU6.
fn without_bound(op: &mut Op) -> bool {
    let Op::Unary(oculist_graph::Unary::Clip { max, .. }) = op else { return false };
    *max = f32::MAX;
    true
}
