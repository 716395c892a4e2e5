//! Stem, width, dropout, and refusals.

use oculist_graph::{Dropout, Graph, Op};
use oculist_zoo::{BuildOptions, Family, Stem, ZooError, architectures, build};

fn conv(graph: &Graph, node: &str) -> oculist_graph::Conv {
    let node = graph.nodes().iter().find(|n| n.name == node).unwrap_or_else(|| panic!("no node `{node}`"));
    if let Op::Conv(conv) = &node.op { conv.clone() } else { panic!("`{}` is no convolution", node.name) }
}

#[test]
fn the_stem_follows_the_shorter_side_unless_it_is_given() {
    let stride = |input, stem| {
        let options = BuildOptions::new(10, input).with_stem(stem);
        conv(&build("resnet18", &options).unwrap(), "conv1").window.stride[0]
    };
    assert_eq!(stride((3, 64, 200), Stem::Auto), 1);
    assert_eq!(stride((3, 65, 65), Stem::Auto), 2);
    assert_eq!(stride((3, 64, 64), Stem::Large), 2);
    assert_eq!(stride((3, 224, 224), Stem::Small), 1);
}

#[test]
fn mobilenets_keep_resolution_step_by_step() {
    // Strides of the stem and of the first block that halves the map.
    for (name, second) in [
        ("mobilenet_v2", "features.2.conv.1.0"),
        ("efficientnet_lite0", "features.2.conv.1.0"),
        ("mobilenet_v3_small", "features.1.block.0.0"),
        ("mobilenet_v3_large", "features.2.block.1.0"),
    ] {
        let strides = |size| {
            let graph = build(name, &BuildOptions::new(10, (3, size, size))).unwrap();
            [conv(&graph, "features.0.0").window.stride[0], conv(&graph, second).window.stride[0]]
        };
        assert_eq!([32, 33, 64, 65].map(strides), [[1, 1], [1, 2], [1, 2], [2, 2]], "{name}");
    }
}

#[test]
fn every_architecture_builds_narrow_and_wide() {
    for info in architectures() {
        let params = |width| {
            let options = BuildOptions::new(10, (3, 64, 64)).with_width(width);
            build(info.name, &options).unwrap_or_else(|e| panic!("{e}")).cost().params
        };
        let (narrow, own, wide) = (params(0.5), params(1.0), params(1.5));
        assert!(narrow < own && own < wide, "{}: {narrow} {own} {wide}", info.name);
    }
}

#[test]
fn width_counts_are_torchvisions() {
    // Parameters of `mobilenet_v2(width_mult=...)` at 1000 classes: the paper's table 6 and Keras' pages give 1.7 M
    // for 0.35, 2.0 M for 0.5, 2.6 M for 0.75 and 6.1 M for 1.4.
    for (width, millions) in [(0.35, 1.7), (0.5, 2.0), (0.75, 2.6), (1.4, 6.1)] {
        let options = BuildOptions::new(1000, (3, 224, 224)).with_width(width);
        let params = build("mobilenet_v2", &options).unwrap().cost().params as f64 / 1e6;
        assert!((params - millions).abs() <= 0.06, "{width}: {params}");
    }
}

#[test]
fn dropout_can_be_set_and_left_out() {
    let ratios = |name, dropout: Option<f32>| {
        let options = BuildOptions { dropout, ..BuildOptions::new(10, (3, 224, 224)) };
        let graph = build(name, &options).unwrap();
        let ratio = |op: &Op| if let Op::Dropout(Dropout { ratio }) = op { Some(*ratio) } else { None };
        graph.nodes().iter().filter_map(|n| ratio(&n.op)).collect::<Vec<_>>()
    };
    assert_eq!(ratios("vgg11", None), [0.5, 0.5]);
    assert_eq!(ratios("alexnet", None), [0.5, 0.5]);
    assert_eq!(ratios("mobilenet_v2", None), [0.2]);
    assert_eq!(ratios("mobilenet_v3_large", None), [0.2]);
    assert_eq!(
        (ratios("efficientnet_lite1", None), ratios("efficientnet_lite2", None)),
        (vec![0.2], vec![0.3])
    );
    assert!(ratios("resnet18", None).is_empty() && ratios("resnet20", None).is_empty());
    for info in architectures() {
        assert!(ratios(info.name, Some(0.0)).is_empty(), "{}", info.name);
        assert!(ratios(info.name, Some(0.3)).iter().all(|&r| r == 0.3), "{}", info.name);
        assert!(!ratios(info.name, Some(0.3)).is_empty(), "{}", info.name);
    }
}

#[test]
fn options_out_of_range_are_refused() {
    let good = BuildOptions::new(10, (3, 32, 32));
    let cases = [
        (BuildOptions::new(0, (3, 32, 32)), "option `num_classes`: expected at least 1, found 0"),
        (BuildOptions::new(10, (0, 32, 32)), "found 0x32x32"),
        (BuildOptions::new(10, (3, 0, 32)), "found 3x0x32"),
        (good.clone().with_width(0.0), "option `width`"),
        (good.clone().with_width(f64::NAN), "option `width`"),
        (good.clone().with_width(1e9), "option `width`"),
        (good.clone().with_dropout(1.0), "option `dropout`"),
        (good.with_dropout(-0.1), "option `dropout`"),
    ];
    for (options, words) in cases {
        let error = build("resnet20", &options).unwrap_err().to_string();
        assert!(error.contains(words), "expected `{words}` in: {error}");
    }
}

#[test]
fn tiny_inputs_build_or_are_refused_with_the_reason() {
    for info in architectures() {
        let built = build(info.name, &BuildOptions::new(2, (1, 1, 1)));
        // These two cut the image into patches.
        if matches!(info.family, Family::ConvNext | Family::VisionTransformer) {
            assert!(matches!(built, Err(ZooError::Build { input: (1, 1, 1), .. })), "{}", info.name);
        } else {
            built.unwrap_or_else(|e| panic!("{e}"));
        }
    }
    let error = build("inception_v3", &BuildOptions::new(2, (3, 70, 70))).unwrap_err().to_string();
    assert!(error.contains("the window reaches over 3 pixels, the padded input has only 2"), "{error}");
    let options = BuildOptions::new(2, (3, 32, 32)).with_stem(Stem::Large);
    let error = build("alexnet", &options).unwrap_err();
    assert!(matches!(error, ZooError::Build { name: "alexnet", input: (3, 32, 32), .. }));
    let text = error.to_string();
    assert!(
        text.starts_with("`alexnet` cannot be built for an input of 3x32x32: node `features.12`"),
        "{text}"
    );
}
