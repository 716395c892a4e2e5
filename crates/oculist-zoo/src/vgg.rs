//! VGG-11, -13, -16 and -19, with batch normalisation (`_bn`) and without.
//!
//! Five groups of 3x3 convolutions (with bias, as in torchvision), each group followed by a 2x2 maximum pooling,
//! then three fully connected layers. Without normalisation, as published, training wants a small rate: 0.01, and less for
//! the deep ones.
//!
//! **Small images.** A pooling is left out where the map has become smaller than its window (at 28x28 the last one).
//! **Head.** Where the last map is 7x7 (224x224), or where PyTorch's adaptive pooling to 7x7 is a plain average
//! pooling (448x448, 256x256), the head is torchvision's: two hidden layers with 4096 units. Everywhere else, and
//! always with [`crate::Stem::Small`], it is global average pooling and one linear layer (`classifier`), as is usual for
//! CIFAR: 119 million weights on a map of one pixel would serve nothing.
//!
//! # Source
//! Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, 2014
//! (arXiv 1409.1556); batch normalisation and layer names from torchvision's `models/vgg.py`.

use oculist_graph::{Conv, Flatten, Graph, GraphError, Op, ValueId};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Net, Norm, scaled};
use crate::options::{BuildOptions, Stem};

const PAPER: &str = "Simonyan, Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, arXiv 1409.1556";

const fn entry(
    name: &'static str,
    aliases: &'static [&'static str],
    description: &'static str,
    params: u64,
    macs: u64,
    build: fn(&BuildOptions) -> Result<Graph, GraphError>,
) -> ArchitectureInfo {
    ArchitectureInfo {
        name,
        aliases,
        family: Family::Vgg,
        description,
        paper: PAPER,
        year: 2014,
        input_sizes: &[32, 64, 224],
        native_input: (3, 224, 224),
        native_classes: 1000,
        params,
        macs,
        build,
    }
}

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 8] = [
    entry(
        "vgg11",
        &[],
        "eight convolutions in a plain chain, no normalisation",
        132_863_336,
        7_609_090_048,
        |o| build("vgg11", [1, 1, 2, 2, 2], false, o),
    ),
    entry(
        "vgg13",
        &[],
        "ten convolutions in a plain chain, no normalisation",
        133_047_848,
        11_308_466_176,
        |o| build("vgg13", [2, 2, 2, 2, 2], false, o),
    ),
    entry(
        "vgg16",
        &[],
        "thirteen convolutions in a plain chain, as published",
        138_357_544,
        15_470_264_320,
        |o| build("vgg16", [2, 2, 3, 3, 3], false, o),
    ),
    entry(
        "vgg19",
        &[],
        "sixteen convolutions in a plain chain, as published",
        143_667_240,
        19_632_062_464,
        |o| build("vgg19", [2, 2, 4, 4, 4], false, o),
    ),
    entry(
        "vgg11_bn",
        &[],
        "eight convolutions in a plain chain; large, simple to prune",
        132_868_840,
        7_609_090_048,
        |o| build("vgg11_bn", [1, 1, 2, 2, 2], true, o),
    ),
    entry("vgg13_bn", &[], "ten convolutions in a plain chain", 133_053_736, 11_308_466_176, |o| {
        build("vgg13_bn", [2, 2, 2, 2, 2], true, o)
    }),
    entry(
        "vgg16_bn",
        &[],
        "thirteen convolutions in a plain chain; the classic feature extractor",
        138_365_992,
        15_470_264_320,
        |o| build("vgg16_bn", [2, 2, 3, 3, 3], true, o),
    ),
    entry("vgg19_bn", &[], "sixteen convolutions in a plain chain", 143_678_248, 19_632_062_464, |o| {
        build("vgg19_bn", [2, 2, 4, 4, 4], true, o)
    }),
];

fn build(
    name: &str,
    convs: [usize; 5],
    normalised: bool,
    options: &BuildOptions,
) -> Result<Graph, GraphError> {
    let (mut net, mut x) = Net::new(name, options, Norm::DEFAULT);
    let mut index = 0;
    for (group, channels) in [64, 128, 256, 512, 512].into_iter().enumerate() {
        for _ in 0..convs[group] {
            let c_out = scaled(channels, options);
            x = net.conv(&format!("features.{index}"), x, c_out, Conv::square(3, 1, 1), true);
            index += 1;
            if normalised {
                x = net.batch_norm(&format!("features.{index}"), x);
                index += 1;
            }
            x = net.relu(&format!("features.{index}"), x);
            index += 1;
        }
        x = net.max_pool_while_possible(&format!("features.{index}"), x, 2, 2);
        index += 1;
    }
    let pooled = if options.stem == Stem::Small { None } else { net.adaptive_average_pool("avgpool", x, 7) };
    let logits = if let Some(x) = pooled {
        wide_head(&mut net, x, options)
    } else {
        let y = net.global_pool(x);
        let y = net.dropout("dropout", y, options, 0.0);
        net.linear("classifier", y, options.num_classes)
    };
    net.finish(logits)
}

fn wide_head(net: &mut Net, x: ValueId, options: &BuildOptions) -> ValueId {
    let hidden = scaled(4096, options);
    let mut y = net.op("flatten", Op::Flatten(Flatten::IMAGES), &[x]);
    for i in [0, 3] {
        y = net.linear(&format!("classifier.{i}"), y, hidden);
        y = net.relu(&format!("classifier.{}", i + 1), y);
        y = net.dropout(&format!("classifier.{}", i + 2), y, options, 0.5);
    }
    net.linear("classifier.6", y, options.num_classes)
}
