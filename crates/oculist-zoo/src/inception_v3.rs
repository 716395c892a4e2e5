//! Inception-v3.
//!
//! A stem of five convolutions, eleven blocks of five kinds (A with 5x5 and two 3x3; B and D, which halve the map; C with 7x7
//! as 1x7 and 7x1; E with 3x3 as 1x3 beside 3x1), global average pooling, dropout and a linear classifier. Average
//! poolings within blocks count the padding, as in torchvision. Batch normalisation has eps 1e-3.
//!
//! **The auxiliary classifier**, which helps training only, is not in the graph; `AuxLogits.*` of a file is left aside.
//! torchvision's weights expect pixels with a mean and deviation of 0.5 (its `transform_input`).
//!
//! **Small images.** The published form needs 75x75 pixels. With the small stem (shorter side up to 64) the first convolution
//! has stride 1, the first pooling is left out, and what had no padding has as much as keeps the map, so that 32x32 pixels
//! are 16x16 in the blocks A, 8x8 in C and 4x4 in E. Above 64 and below 75 pixels it cannot be built.
//!
//! # Source
//! Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the Inception Architecture for Computer Vision, 2015 (arXiv
//! 1512.00567); layer names from torchvision's `models/inception.py`.

mod blocks;

use oculist_graph::{Conv, Graph, GraphError, ValueId};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Net, Norm, scaled};
use crate::options::BuildOptions;
use blocks::Blocks;

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 1] = [ArchitectureInfo {
    name: "inception_v3",
    aliases: &[],
    family: Family::Inception,
    description: "eleven blocks of branches with factorised windows; without the auxiliary classifier",
    paper: "Szegedy et al., Rethinking the Inception Architecture for Computer Vision, arXiv 1512.00567",
    year: 2015,
    input_sizes: &[32, 64, 96, 128, 299],
    native_input: (3, 299, 299),
    native_classes: 1000,
    params: 23_834_568,
    macs: 5_713_216_096,
    build,
}];

fn build(options: &BuildOptions) -> Result<Graph, GraphError> {
    let (mut net, x) = Net::new("inception_v3", options, Norm::MILLI);
    let small = options.small_stem();
    // Padding of the windows of three pixels that have none in the published form.
    let pad = usize::from(small);
    let wide = |channels| scaled(channels, options);
    let stem =
        |net: &mut Net, name: &str, x: ValueId, channels, conv| basic(net, name, x, wide(channels), conv);
    let x = stem(&mut net, "Conv2d_1a_3x3", x, 32, Conv::square(3, if small { 1 } else { 2 }, pad));
    let x = stem(&mut net, "Conv2d_2a_3x3", x, 32, Conv::square(3, 1, pad));
    let mut x = stem(&mut net, "Conv2d_2b_3x3", x, 64, Conv::square(3, 1, 1));
    if !small {
        x = net.max_pool("maxpool1", x, 3, 2, 0);
    }
    let x = stem(&mut net, "Conv2d_3b_1x1", x, 80, Conv::square(1, 1, 0));
    let x = stem(&mut net, "Conv2d_4a_3x3", x, 192, Conv::square(3, 1, pad));
    let mut x = net.max_pool("maxpool2", x, 3, 2, pad);
    let mut blocks = Blocks { net: &mut net, options, pad };
    for (name, projected) in [("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)] {
        x = blocks.a(name, x, projected);
    }
    x = blocks.b("Mixed_6a", x);
    for (name, inner) in [("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)] {
        x = blocks.c(name, x, inner);
    }
    x = blocks.d("Mixed_7a", x);
    x = blocks.e("Mixed_7b", x);
    x = blocks.e("Mixed_7c", x);
    let y = net.global_pool(x);
    let y = net.dropout("dropout", y, options, 0.5);
    let y = net.linear("fc", y, options.num_classes);
    net.finish(y)
}

/// torchvision's `BasicConv2d`.
fn basic(net: &mut Net, name: &str, x: ValueId, c_out: usize, conv: Conv) -> ValueId {
    net.conv_norm_relu((name, ".conv", ".bn"), x, c_out, conv)
}
