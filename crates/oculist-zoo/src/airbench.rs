//! The network of the fast-training records for CIFAR-10: a plain chain that learns small images in few epochs.
//!
//! A 2x2 convolution `whiten` without padding gives each pixel two channels for every number of its patch. Then come three
//! groups of two 3x3 convolutions with 64, 256 and 256 channels; the first convolution of a group is followed by a 2x2
//! maximum pooling, both by batch normalisation and ReLU. The maximum over the last map feeds a linear classifier.
//!
//! `whiten` is meant to start as the whitening of the images' patches, which only the images can tell
//! (`oculist` does it before it trains), and the 3x3 convolutions start as the identity on as many channels as they are given
//! ([`crate::InitOptions::identity`]).
//!
//! There is no large stem; [`crate::Stem`] is ignored, and at 224x224 the network works on large maps. Poolings for which
//! a small map has no room are left out, and an image of one row or column gets a window of one pixel.
//!
//! # Source
//! Jordan: 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, 2024 (arXiv 2404.00498), which goes back to David Page's and
//! tysam-code's networks. Deviations: ReLU for GELU, because it costs nothing and int8 keeps it; normalisations have a
//! gamma; the logits are not divided by 9, the classifier starts small instead.

use oculist_graph::{Conv, Flatten, Graph, GraphError, MaxPool, Op, Plane};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Net, Norm, scaled};
use crate::options::BuildOptions;

/// Name of the first convolution, which is meant to whiten patches.
pub const WHITENING: &str = "whiten";

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 1] = [ArchitectureInfo {
    name: "airbench",
    aliases: &["airbench94"],
    family: Family::Airbench,
    description: "seven convolutions in a plain chain; learns small images in few epochs",
    paper: "Jordan, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, arXiv 2404.00498",
    year: 2024,
    input_sizes: &[28, 32],
    native_input: (3, 32, 32),
    native_classes: 10,
    params: 1_972_802,
    macs: 118_147_360,
    build,
}];

fn build(options: &BuildOptions) -> Result<Graph, GraphError> {
    let (mut net, x) = Net::new("airbench", options, Norm::DEFAULT);
    let (channels, h, w) = net.chw(x);
    let side = if h.min(w) < 2 { 1 } else { 2 };
    let mut x = net.conv(WHITENING, x, 2 * 4 * channels, Conv::square(side, 1, 0), true);
    x = net.relu("relu", x);
    for (group, channels) in [64, 256, 256].into_iter().enumerate() {
        let channels = scaled(channels, options);
        let name = |part: &str| format!("layers.{group}.{part}");
        x = net.conv(&name("conv1"), x, channels, Conv::square(3, 1, 1), false);
        x = net.max_pool_while_possible(&name("pool"), x, 2, 2);
        x = net.batch_norm(&name("norm1"), x);
        x = net.relu(&name("relu1"), x);
        x = net.conv(&name("conv2"), x, channels, Conv::square(3, 1, 1), false);
        x = net.batch_norm(&name("norm2"), x);
        x = net.relu(&name("relu2"), x);
    }
    let y = if options.head == crate::Head::Average {
        let (_, h, w) = net.chw(x);
        let window = Plane { kernel: [h, w], stride: [h, w], padding: [0; 4], dilation: [1; 2] }.into();
        let y = net.op("pool", MaxPool { window, ceil_mode: false, column_major: false }, &[x]);
        net.op("flatten", Op::Flatten(Flatten::IMAGES), &[y])
    } else {
        net.global_pool(x)
    };
    let y = net.dropout("dropout", y, options, 0.0);
    let y = net.linear("head", y, options.num_classes);
    net.finish(y)
}
