//! Residual networks for ImageNet: ResNet-18, -34 and -50.
//!
//! A stem, four stages of residual blocks with 64, 128, 256 and 512 channels, global average pooling, a linear
//! classifier. ResNet-18 and -34 use two 3x3 convolutions a block, ResNet-50 the bottleneck 1x1, 3x3, 1x1 with four
//! times the channels at its end; as in torchvision the 3x3 convolution carries the stride (the paper's first 1x1
//! does). Shortcuts that change the shape are 1x1 convolutions with normalisation (option B).
//!
//! **Stem.** Large: 7x7 convolution with stride 2 and 3x3 maximum pooling with stride 2. Small (shorter side up to 64
//! pixels): 3x3 convolution with stride 1, no pooling.
//!
//! # Source
//! He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2015 (arXiv 1512.03385); layer names and
//! the place of the stride from torchvision's `models/resnet.py`.

use oculist_graph::{Conv, Graph, GraphError, ValueId};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Net, Norm, scaled};
use crate::options::BuildOptions;

const PAPER: &str = "He et al., Deep Residual Learning for Image Recognition, arXiv 1512.03385";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Basic,
    Bottleneck,
}

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
        family: Family::ResNet,
        description,
        paper: PAPER,
        year: 2015,
        input_sizes: &[32, 64, 128, 224],
        native_input: (3, 224, 224),
        native_classes: 1000,
        params,
        macs,
        build,
    }
}

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 3] = [
    entry(
        "resnet18",
        &["resnet_18"],
        "eight residual blocks; trains and quantises without trouble",
        11_689_512,
        1_814_073_344,
        |o| build("resnet18", Block::Basic, [2, 2, 2, 2], o),
    ),
    entry(
        "resnet34",
        &["resnet_34"],
        "sixteen residual blocks; twice the work of resnet18",
        21_797_672,
        3_663_761_408,
        |o| build("resnet34", Block::Basic, [3, 4, 6, 3], o),
    ),
    entry(
        "resnet50",
        &["resnet_50"],
        "sixteen bottleneck blocks; the usual reference for larger photos",
        25_557_032,
        4_089_184_256,
        |o| build("resnet50", Block::Bottleneck, [3, 4, 6, 3], o),
    ),
];

fn build(name: &str, kind: Block, blocks: [usize; 4], options: &BuildOptions) -> Result<Graph, GraphError> {
    let (mut net, x) = Net::new(name, options, Norm::DEFAULT);
    let small = options.small_stem();
    let stem = if small { Conv::square(3, 1, 1) } else { Conv::square(7, 2, 3) };
    let mut x = net.conv("conv1", x, scaled(64, options), stem, false);
    x = net.batch_norm("bn1", x);
    x = net.relu("relu", x);
    if !small {
        x = net.max_pool("maxpool", x, 3, 2, 1);
    }
    for (stage, planes) in [64, 128, 256, 512].into_iter().enumerate() {
        for i in 0..blocks[stage] {
            let stride = if stage > 0 && i == 0 { 2 } else { 1 };
            let name = format!("layer{}.{i}", stage + 1);
            x = block(&mut net, &name, x, kind, scaled(planes, options), stride);
        }
    }
    let y = net.global_pool(x);
    let y = net.dropout("dropout", y, options, 0.0);
    let y = net.linear("fc", y, options.num_classes);
    net.finish(y)
}

fn block(net: &mut Net, name: &str, x: ValueId, kind: Block, planes: usize, stride: usize) -> ValueId {
    let layers = match kind {
        Block::Basic => vec![(planes, Conv::square(3, stride, 1)), (planes, Conv::square(3, 1, 1))],
        Block::Bottleneck => vec![
            (planes, Conv::square(1, 1, 0)),
            (planes, Conv::square(3, stride, 1)),
            (4 * planes, Conv::square(1, 1, 0)),
        ],
    };
    let last = layers.len();
    let mut y = x;
    for (i, (c_out, conv)) in layers.into_iter().enumerate() {
        let i = i + 1;
        y = net.conv(&format!("{name}.conv{i}"), y, c_out, conv, false);
        y = net.batch_norm(&format!("{name}.bn{i}"), y);
        if i < last {
            y = net.relu(&format!("{name}.relu{i}"), y);
        }
    }
    let (c_out, _, _) = net.chw(y);
    let shortcut = if stride > 1 || net.chw(x).0 != c_out {
        let s = net.conv(&format!("{name}.downsample.0"), x, c_out, Conv::square(1, stride, 0), false);
        net.batch_norm(&format!("{name}.downsample.1"), s)
    } else {
        x
    };
    let y = net.add(&format!("{name}.add"), y, shortcut);
    net.relu(&format!("{name}.relu{last}"), y)
}
