//! Every architecture at every supported size: it builds, checks, and its maps have the documented sizes.

use oculist_graph::{Graph, Op, Shape};
use oculist_zoo::{BuildOptions, Family, architectures, build};

const INPUTS: [(usize, usize, usize); 9] = [
    (1, 28, 28),
    (3, 32, 32),
    (3, 64, 64),
    (3, 65, 65),
    (3, 75, 100),
    (3, 96, 96),
    (3, 128, 128),
    (3, 224, 224),
    (4, 300, 33),
];

fn make(name: &str, classes: usize, input: (usize, usize, usize)) -> Graph {
    build(name, &BuildOptions::new(classes, input)).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn every_architecture_builds_at_every_size() {
    for info in architectures() {
        // Inception's published layers need 75 pixels.
        let fits = |input: &&(usize, usize, usize)| info.name != "inception_v3" || input.1.min(input.2) != 65;
        for input in INPUTS.iter().filter(fits).copied() {
            for classes in [2, 10] {
                let graph = make(info.name, classes, input);
                assert_eq!(graph.name(), info.name);
                assert_eq!(graph.input_chw(), Some(input));
                assert_eq!(graph.inputs().len(), 1);
                assert_eq!(graph.value(graph.inputs()[0]).name, "input");
                assert_eq!(graph.outputs().len(), 1);
                assert_eq!(graph.shape(graph.outputs()[0]), &Shape::nc(classes), "{} {input:?}", info.name);
            }
        }
    }
}

#[test]
fn the_catalogue_states_what_the_graphs_cost() {
    for info in architectures() {
        let cost = make(info.name, info.native_classes, info.native_input).cost();
        assert_eq!((cost.params, cost.macs), (info.params, info.macs), "{}", info.name);
        assert!(!info.description.is_empty() && !info.paper.is_empty() && info.year > 2000);
        assert!(info.input_sizes.is_sorted());
    }
}

#[test]
fn cifar_resnets_have_the_published_counts() {
    // Table 6 of the paper, in millions.
    for (name, millions) in
        [("resnet20", 0.27), ("resnet32", 0.46), ("resnet44", 0.66), ("resnet56", 0.85), ("resnet110", 1.7)]
    {
        let params = make(name, 10, (3, 32, 32)).cost().params as f64 / 1e6;
        assert!((params - millions).abs() < if millions > 1.0 { 0.05 } else { 0.005 }, "{name}: {params}");
    }
}

/// Height and width of the map in front of the head.
fn last_map(graph: &Graph) -> (usize, usize) {
    let head = graph
        .nodes()
        .iter()
        .find(|n| n.name == "avgpool" || n.name == "flatten")
        .unwrap_or_else(|| panic!("{} has no head", graph.name()));
    let (_, h, w) = graph.shape(head.inputs[0]).chw().unwrap();
    (h, w)
}

#[test]
fn the_last_map_has_the_documented_size() {
    // Side of the last map at inputs of 28, 32, 64, 96, 128 and 224 pixels.
    let sizes = [28, 32, 64, 96, 128, 224];
    let table: [(&str, [usize; 6]); 23] = [
        ("resnet20", [7, 8, 16, 24, 32, 56]),
        ("resnet18", [4, 4, 8, 3, 4, 7]),
        ("resnet50", [4, 4, 8, 3, 4, 7]),
        ("mobilenet_v2", [4, 4, 4, 3, 4, 7]),
        ("mobilenet_v3_small", [4, 4, 4, 3, 4, 7]),
        ("mobilenet_v3_large", [4, 4, 4, 3, 4, 7]),
        ("efficientnet_lite0", [4, 4, 4, 3, 4, 7]),
        ("tf_efficientnet_lite4", [4, 4, 4, 3, 4, 7]),
        ("vgg16_bn", [1, 1, 2, 3, 4, 7]),
        ("vgg16", [1, 1, 2, 3, 4, 7]),
        ("densenet121", [3, 4, 8, 3, 4, 7]),
        ("densenet_bc_100", [7, 8, 16, 24, 32, 56]),
        ("googlenet", [4, 4, 8, 3, 4, 7]),
        ("inception_v3", [4, 4, 8, 1, 2, 5]),
        ("mobilenet_v1", [4, 4, 4, 3, 4, 7]),
        ("efficientnet_b0", [4, 4, 4, 3, 4, 7]),
        ("shufflenet_v2_x1_0", [4, 4, 8, 3, 4, 7]),
        ("squeezenet1_1", [3, 4, 8, 5, 7, 13]),
        ("regnet_y_400mf", [4, 4, 4, 3, 4, 7]),
        ("repvgg_a0", [4, 4, 4, 3, 4, 7]),
        ("mobileone_s0", [4, 4, 4, 3, 4, 7]),
        ("convnext_tiny", [1, 2, 4, 3, 4, 7]),
        ("alexnet", [1, 2, 4, 2, 3, 6]),
    ];
    for (name, want) in table {
        for (size, want) in sizes.into_iter().zip(want) {
            assert_eq!(last_map(&make(name, 10, (3, size, size))), (want, want), "{name} at {size}");
        }
    }
    assert_eq!(last_map(&make("resnet18", 10, (3, 75, 100))), (3, 4));
    assert_eq!(last_map(&make("resnet20", 10, (3, 75, 101))), (19, 26));
}

#[test]
fn vgg_takes_the_wide_head_only_on_a_map_that_pools_to_7x7() {
    let wide = |size| make("vgg11", 10, (3, size, size)).find("classifier.6.weight").is_some();
    assert_eq!([32, 64, 128, 224, 256, 288, 448].map(wide), [false, false, false, true, true, false, true]);
    // At 256x256 the last map is 8x8, which adaptive pooling covers with windows of 2 at distance 1.
    let graph = make("vgg11", 10, (3, 256, 256));
    let pool = graph.nodes().iter().find(|n| n.name == "avgpool").unwrap();
    assert!(
        matches!(&pool.op, Op::AveragePool(op) if op.window.kernel == [2, 2] && op.window.stride == [1, 1])
    );
    assert_eq!(graph.shape(pool.output()), &Shape::nchw(512, 7, 7));
}

#[test]
fn vgg_drops_the_poolings_that_find_no_pixels() {
    let pools = |size| {
        let graph = make("vgg11", 10, (3, size, size));
        graph.nodes().iter().filter(|n| matches!(n.op, Op::MaxPool(_))).count()
    };
    assert_eq!([8, 28, 32, 224].map(pools), [3, 4, 5, 5]);
}

#[test]
fn alexnet_averages_large_maps_to_six() {
    let weight = |size| {
        let graph = make("alexnet", 10, (3, size, size));
        graph.param(graph.find("classifier.1.weight").unwrap()).unwrap().shape()[1]
    };
    // Last maps of 6, 7 (windows of 2 at distance 1), 8 (no plain pooling: global) and 12 (windows of 2).
    assert_eq!([224, 256, 288, 420].map(weight), [256 * 36, 256 * 36, 256, 256 * 36]);
}

#[test]
fn the_number_of_channels_at_the_input_changes_the_first_convolution_only() {
    // Airbench has a filter for each number of a patch.
    let others = [Family::Vgg, Family::RepVgg, Family::MobileOne, Family::Airbench];
    for info in architectures().iter().filter(|a| !others.contains(&a.family)) {
        let (grey, colour) = (make(info.name, 10, (1, 64, 64)), make(info.name, 10, (3, 64, 64)));
        let differing: Vec<&str> = grey
            .params()
            .zip(colour.params())
            .filter(|(a, b)| a.2.shape() != b.2.shape())
            .map(|(a, _)| a.1.name.as_str())
            .collect();
        assert_eq!(differing.len(), 1, "{}: {differing:?}", info.name);
        let first = [
            "conv1.weight",
            "features.0.weight",
            "features.0.0.weight",
            "features.conv0.weight",
            "conv1.conv.weight",
            "Conv2d_1a_3x3.conv.weight",
            "conv_stem.weight",
            "conv1.0.weight",
            "stem.0.weight",
            "patch_embed.proj.weight",
        ];
        assert!(first.contains(&differing[0]), "{}: {differing:?}", info.name);
    }
}
