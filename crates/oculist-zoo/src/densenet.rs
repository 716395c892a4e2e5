//! DenseNet-121, -169 and -201, and DenseNet-BC for images of 32x32.
//!
//! Dense blocks, in which every layer (normalisation, ReLU, 1x1 convolution to four times the growth, normalisation, ReLU,
//! 3x3 convolution to `growth` channels) reads all maps before it and adds its own; between them transitions (1x1 convolution
//! to half the channels, 2x2 average pooling). A last normalisation, global average pooling, a linear classifier.
//!
//! `densenet_bc_100` is the paper's network for CIFAR with 100 layers and a growth of 12: three blocks of sixteen layers, a 3x3
//! convolution to 24 channels before them that nothing normalises. It has no large stem.
//!
//! **Small images** (shorter side up to 64 pixels): the 7x7 convolution with stride 2 becomes 3x3 with stride 1 without
//! pooling; a transition does not pool a map of one pixel.
//! **Width** scales growth and the stem.
//!
//! # Source
//! Huang, Liu, van der Maaten, Weinberger: Densely Connected Convolutional Networks, 2016 (arXiv 1608.06993); layer names
//! from torchvision's `models/densenet.py`.

use oculist_graph::{AveragePool, Conv, Graph, GraphError, Op, ValueId};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Net, Norm, scaled};
use crate::options::BuildOptions;

const fn entry(
    name: &'static str,
    aliases: &'static [&'static str],
    description: &'static str,
    (side, classes): (usize, usize),
    (params, macs): (u64, u64),
    build: fn(&BuildOptions) -> Result<Graph, GraphError>,
) -> ArchitectureInfo {
    ArchitectureInfo {
        name,
        aliases,
        family: Family::DenseNet,
        description,
        paper: "Huang et al., Densely Connected Convolutional Networks, arXiv 1608.06993",
        year: 2016,
        input_sizes: &[32, 64, 128, 224],
        native_input: (3, side, side),
        native_classes: classes,
        params,
        macs,
        build,
    }
}

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 4] = [
    entry(
        "densenet_bc_100",
        &["densenet_bc_100_12", "densenet100"],
        "three dense blocks for small images; few weights, much work for each",
        (32, 10),
        (769_162, 287_929_692),
        |o| build("densenet_bc_100", Form { layers: &[16, 16, 16], growth: 12, start: 24, small: true }, o),
    ),
    entry(
        "densenet121",
        &[],
        "58 layers that each read all before them",
        (224, 1000),
        (7_978_856, 2_834_161_664),
        |o| build("densenet121", Form { layers: &[6, 12, 24, 16], ..LARGE }, o),
    ),
    entry("densenet169", &[], "the same with 82 layers", (224, 1000), (14_149_480, 3_359_843_328), |o| {
        build("densenet169", Form { layers: &[6, 12, 32, 32], ..LARGE }, o)
    }),
    entry("densenet201", &[], "the same with 98 layers", (224, 1000), (20_013_928, 4_291_365_888), |o| {
        build("densenet201", Form { layers: &[6, 12, 48, 32], ..LARGE }, o)
    }),
];

/// What distinguishes the members of the family.
#[derive(Debug, Clone, Copy)]
struct Form {
    /// Layers in each dense block.
    layers: &'static [usize],
    /// Channels that each layer adds.
    growth: usize,
    /// Channels of the stem.
    start: usize,
    /// Whether it is the network for CIFAR.
    small: bool,
}

const LARGE: Form = Form { layers: &[], growth: 32, start: 64, small: false };

fn build(name: &str, form: Form, options: &BuildOptions) -> Result<Graph, GraphError> {
    let (mut net, x) = Net::new(name, options, Norm::DEFAULT);
    let small = form.small || options.small_stem();
    let stem = if small { Conv::square(3, 1, 1) } else { Conv::square(7, 2, 3) };
    let mut x = net.conv("features.conv0", x, scaled(form.start, options), stem, false);
    if !form.small {
        x = norm_relu(&mut net, "features.norm0", "features.relu0", x);
    }
    if !small {
        x = net.max_pool("features.pool0", x, 3, 2, 1);
    }
    let growth = scaled(form.growth, options);
    for (i, &layers) in form.layers.iter().enumerate() {
        let i = i + 1;
        let mut maps = vec![x];
        for layer in 1..=layers {
            let name = format!("features.denseblock{i}.denselayer{layer}");
            let new = dense_layer(&mut net, &name, x, growth);
            maps.push(new);
            // One concatenation of all, as published, so that the exported file reads as other exporters write it.
            x = net.concat(&format!("{name}.concat"), &maps);
        }
        if i < form.layers.len() {
            x = transition(&mut net, &format!("features.transition{i}"), x);
        }
    }
    let x = norm_relu(&mut net, "features.norm5", "features.relu", x);
    let y = net.global_pool(x);
    let y = net.dropout("dropout", y, options, 0.0);
    let y = net.linear("classifier", y, options.num_classes);
    net.finish(y)
}

fn norm_relu(net: &mut Net, norm: &str, relu: &str, x: ValueId) -> ValueId {
    let y = net.batch_norm(norm, x);
    net.relu(relu, y)
}

fn dense_layer(net: &mut Net, name: &str, x: ValueId, growth: usize) -> ValueId {
    let y = norm_relu(net, &format!("{name}.norm1"), &format!("{name}.relu1"), x);
    let y = net.conv(&format!("{name}.conv1"), y, 4 * growth, Conv::square(1, 1, 0), false);
    let y = norm_relu(net, &format!("{name}.norm2"), &format!("{name}.relu2"), y);
    net.conv(&format!("{name}.conv2"), y, growth, Conv::square(3, 1, 1), false)
}

fn transition(net: &mut Net, name: &str, x: ValueId) -> ValueId {
    let (channels, h, w) = net.chw(x);
    let y = norm_relu(net, &format!("{name}.norm"), &format!("{name}.relu"), x);
    let y = net.conv(&format!("{name}.conv"), y, channels / 2, Conv::square(1, 1, 0), false);
    if h.min(w) < 2 {
        return y;
    }
    net.op(&format!("{name}.pool"), Op::AveragePool(AveragePool::square(2, 2, 0, false)), &[y])
}
