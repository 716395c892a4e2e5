use super::*;
use crate::{BuildOptions, build};

fn values<'a>(graph: &'a Graph, name: &str) -> &'a [f32] {
    graph.param(graph.find(name).unwrap_or_else(|| panic!("no `{name}`"))).unwrap().as_f32().unwrap()
}

fn mean_and_deviation(values: &[f32]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

fn drawn(name: &str, size: usize, seed: u64) -> Graph {
    let mut graph = build(name, &BuildOptions::new(10, (3, size, size))).unwrap();
    initialize(&mut graph, seed);
    graph
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_seed_others() {
    let (a, b, c) = (drawn("resnet20", 32, 7), drawn("resnet20", 32, 7), drawn("resnet20", 32, 8));
    assert_eq!(a, b);
    assert_ne!(values(&a, "conv1.weight"), values(&c, "conv1.weight"));
    a.check().unwrap();
}

#[test]
fn weights_depend_on_the_name_and_not_on_the_rest_of_the_graph() {
    let (small, large) = (drawn("resnet20", 32, 7), drawn("resnet56", 32, 7));
    assert_eq!(values(&small, "layer1.0.conv1.weight"), values(&large, "layer1.0.conv1.weight"));
    assert_ne!(values(&small, "layer1.0.conv1.weight"), values(&small, "layer1.0.conv2.weight"));
}

#[test]
fn convolutions_are_he_normal_over_fan_out() {
    let graph = drawn("resnet18", 224, 1);
    let weight = values(&graph, "layer3.1.conv2.weight");
    let (mean, deviation) = mean_and_deviation(weight);
    let want = (2.0 / (256.0 * 9.0_f64)).sqrt();
    // 589,824 draws: four standard errors of each.
    let n = (weight.len() as f64).sqrt();
    assert!(mean.abs() < 4.0 * want / n, "{mean}");
    assert!((deviation / want - 1.0).abs() < 4.0 / (2.0_f64.sqrt() * n), "{deviation} {want}");
    let beyond = |k: f64| weight.iter().filter(|v| f64::from(v.abs()) > k * want).count() as f64;
    // Normal tails: 4.55% beyond two deviations, 0.27% beyond three.
    assert!((beyond(2.0) / (n * n) - 0.0455).abs() < 0.002);
    assert!((beyond(3.0) / (n * n) - 0.0027).abs() < 0.0005);
}

#[test]
fn the_groups_of_a_depthwise_convolution_count() {
    let graph = drawn("mobilenet_v2", 224, 1);
    let (_, deviation) = mean_and_deviation(values(&graph, "features.17.conv.1.0.weight"));
    let want = (2.0 / 9.0_f64).sqrt();
    assert!((deviation / want - 1.0).abs() < 0.03, "{deviation} {want}");
}

#[test]
fn classifiers_follow_their_family() {
    let graph = drawn("resnet18", 224, 1);
    let (_, deviation) = mean_and_deviation(values(&graph, "fc.weight"));
    let half_width = 1.0 / 512.0_f64.sqrt();
    assert!((deviation / (half_width / 3.0_f64.sqrt()) - 1.0).abs() < 0.05, "{deviation}");
    assert!(values(&graph, "fc.weight").iter().all(|v| f64::from(v.abs()) <= half_width));
    for (name, layer) in [("mobilenet_v2", "classifier.1"), ("mobilenet_v3_small", "classifier.0")] {
        let graph = drawn(name, 96, 1);
        let (_, deviation) = mean_and_deviation(values(&graph, &format!("{layer}.weight")));
        assert!((deviation / 0.01 - 1.0).abs() < 0.05, "{name}: {deviation}");
        assert!(values(&graph, &format!("{layer}.bias")).iter().all(|&v| v == 0.0));
    }
}

#[test]
fn a_network_without_normalisation_keeps_its_scale() {
    let graph = drawn("alexnet", 32, 1);
    for (name, fan_in) in [("features.3", 64 * 9), ("classifier.1", 1024)] {
        let (_, deviation) = mean_and_deviation(values(&graph, &format!("{name}.weight")));
        let want = (2.0 / f64::from(fan_in)).sqrt();
        assert!((deviation / want - 1.0).abs() < 0.02, "{name}: {deviation} {want}");
        assert!(values(&graph, &format!("{name}.bias")).iter().all(|&v| v == 0.0));
    }
    let (_, deviation) = mean_and_deviation(values(&graph, "classifier.6.weight"));
    assert!((deviation / 0.01 - 1.0).abs() < 0.02, "{deviation}");
}

#[test]
fn norms_start_as_the_identity_over_old_values() {
    let mut graph = build("resnet8", &BuildOptions::new(10, (3, 32, 32))).unwrap();
    for name in ["bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var"] {
        let id = graph.find(name).unwrap();
        graph.param_mut(id).unwrap().as_f32_mut().unwrap().fill(9.0);
    }
    initialize(&mut graph, 3);
    for (name, want) in
        [("bn1.weight", 1.0), ("bn1.bias", 0.0), ("bn1.running_mean", 0.0), ("bn1.running_var", 1.0)]
    {
        assert!(values(&graph, name).iter().all(|&v| v == want), "{name}");
    }
}

#[test]
fn zero_init_touches_the_last_gamma_of_each_block_only() {
    let cases = [
        ("resnet20", "bn2.weight", 9, "bn1.weight"),
        ("resnet18", "bn2.weight", 8, "bn1.weight"),
        ("resnet50", "bn3.weight", 16, "bn2.weight"),
    ];
    for (name, last, blocks, other) in cases {
        let mut graph = build(name, &BuildOptions::new(10, (3, 32, 32))).unwrap();
        initialize_with(&mut graph, 3, InitOptions { zero_init_residual: true, ..InitOptions::default() });
        let mut zeroed = 0;
        for (_, value, tensor) in graph.params() {
            let Some(values) = tensor.as_f32() else { continue };
            let zero = values.iter().all(|&v| v == 0.0);
            if value.name.ends_with(last) {
                assert!(zero, "{name} {}", value.name);
                zeroed += 1;
            } else if value.name.ends_with(other) || value.name.ends_with("downsample.1.weight") {
                assert!(!zero, "{name} {}", value.name);
            }
        }
        assert_eq!(zeroed, blocks, "{name}");
    }
    let mut graph = build("mobilenet_v2", &BuildOptions::new(10, (3, 224, 224))).unwrap();
    initialize_with(&mut graph, 3, InitOptions { zero_init_residual: true, ..InitOptions::default() });
    let zeroed = graph
        .params()
        .filter(|(_, v, t)| v.name.ends_with("conv.3.weight") && t.as_f32().unwrap()[0] == 0.0)
        .count();
    assert_eq!(zeroed, 10);
}

#[test]
fn transformers_begin_small_and_with_branches_switched_off() {
    let vit = drawn("vit_tiny_patch16_224", 32, 1);
    for name in ["blocks.3.attn.qkv.weight", "blocks.0.mlp.fc1.weight", "pos_embed"] {
        let (mean, deviation) = mean_and_deviation(values(&vit, name));
        assert!(mean.abs() < 1e-3 && (deviation / 0.02 - 1.0).abs() < 0.03, "{name}: {mean} {deviation}");
    }
    assert!(mean_and_deviation(values(&vit, "cls_token")).1 > 0.01);
    assert!(values(&vit, "blocks.0.mlp.fc1.bias").iter().all(|&b| b == 0.0));
    assert!(values(&vit, "norm.weight").iter().all(|&g| g == 1.0));
    let convnext = drawn("convnext_tiny", 32, 1);
    assert!(values(&convnext, "features.1.0.layer_scale").iter().all(|&s| s == 1e-6));
    assert!(mean_and_deviation(values(&convnext, "features.1.0.block.3.weight")).1 > 0.01);
}

#[test]
fn airbench_begins_as_the_identity() {
    let graph = drawn("airbench", 32, 3);
    let weight = values(&graph, "layers.1.conv1.weight");
    // 256 filters over 64 channels: 64 of them pass one channel on.
    for (o, filter) in weight.chunks(64 * 9).enumerate() {
        if o < 64 {
            let (ones, zeros) = (filter.iter().filter(|w| **w == 1.0), filter.iter().filter(|w| **w == 0.0));
            assert_eq!((ones.count(), zeros.count(), filter[o * 9 + 4]), (1, 575, 1.0), "filter {o}");
        } else {
            assert!(filter.iter().all(|w| w.abs() <= 1.0 / 24.0 && *w != 0.0), "filter {o}");
        }
    }
    // Neither the whitening nor other architectures.
    assert!(!values(&graph, "whiten.weight").contains(&1.0));
    assert!(!values(&drawn("resnet20", 32, 3), "layer1.0.conv1.weight").contains(&1.0));
}
