//! ShuffleNetV2, 0.5x and 1x.
//!
//! A 3x3 stem with pooling, three stages of blocks, a 1x1 convolution to 1024 channels, global average pooling and a linear
//! classifier. A block of stride 1 splits the channels, sends one half through 1x1, 3x3 depthwise and 1x1 convolutions, puts both
//! halves together and shuffles the channels (even ones first); one of stride 2 sends all channels through two branches.
//!
//! **Small images** (shorter side up to 64 pixels): the stem has stride 1 and no pooling.
//!
//! # Source
//! Ma, Zhang, Zheng, Sun: ShuffleNet V2, 2018 (arXiv 1807.11164); layer names from torchvision's
//! `models/shufflenetv2.py`.

use oculist_graph::{Conv, Graph, GraphError, ValueId};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Net, Norm, scaled};
use crate::options::BuildOptions;

const fn entry(
    name: &'static str,
    aliases: &'static [&'static str],
    description: &'static str,
    (params, macs): (u64, u64),
    build: fn(&BuildOptions) -> Result<Graph, GraphError>,
) -> ArchitectureInfo {
    ArchitectureInfo {
        name,
        aliases,
        family: Family::ShuffleNetV2,
        description,
        paper: "Ma et al., ShuffleNet V2, arXiv 1807.11164",
        year: 2018,
        input_sizes: &[32, 64, 96, 128, 224],
        native_input: (3, 224, 224),
        native_classes: 1000,
        params,
        macs,
        build,
    }
}

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 2] = [
    entry(
        "shufflenet_v2_x0_5",
        &["shufflenetv2_x0.5"],
        "half of the channels pass each block untouched; the narrowest",
        (1_366_792, 40_476_448),
        |o| build("shufflenet_v2_x0_5", [48, 96, 192], o),
    ),
    entry(
        "shufflenet_v2_x1_0",
        &["shufflenet_v2", "shufflenetv2_x1"],
        "half of the channels pass each block untouched",
        (2_278_604, 144_907_992),
        |o| build("shufflenet_v2_x1_0", [116, 232, 464], o),
    ),
];

/// Blocks of each stage.
const BLOCKS: [usize; 3] = [4, 8, 4];

fn build(name: &str, channels: [usize; 3], options: &BuildOptions) -> Result<Graph, GraphError> {
    let (mut net, x) = Net::new(name, options, Norm::DEFAULT);
    let small = options.small_stem();
    let stem = Conv::square(3, if small { 1 } else { 2 }, 1);
    let mut x = net.conv_norm_relu(("conv1", ".0", ".1"), x, scaled(24, options), stem);
    if !small {
        x = net.max_pool("maxpool", x, 3, 2, 1);
    }
    for (stage, (channels, blocks)) in channels.into_iter().zip(BLOCKS).enumerate() {
        let half = scaled(channels, options) / 2;
        for i in 0..blocks {
            x = block(&mut net, &format!("stage{}.{i}", stage + 2), x, half, i == 0);
        }
    }
    x = net.conv_norm_relu(("conv5", ".0", ".1"), x, scaled(1024, options), Conv::square(1, 1, 0));
    let y = net.global_pool(x);
    let y = net.dropout("dropout", y, options, 0.0);
    let y = net.linear("fc", y, options.num_classes);
    net.finish(y)
}

fn block(net: &mut Net, name: &str, x: ValueId, half: usize, halves_map: bool) -> ValueId {
    let stride = if halves_map { 2 } else { 1 };
    let (c_in, _, _) = net.chw(x);
    let (kept, worked) = if halves_map {
        let branch = format!("{name}.branch1");
        let y = depthwise(net, &branch, (0, 1), x, stride);
        let y = net.conv(&format!("{branch}.2"), y, half, Conv::square(1, 1, 0), false);
        let y = net.batch_norm(&format!("{branch}.3"), y);
        (net.relu(&format!("{branch}.4"), y), x)
    } else {
        let kept = net.slice(&format!("{name}.kept"), x, 1, 0, c_in / 2);
        (kept, net.slice(&format!("{name}.worked"), x, 1, c_in / 2, c_in))
    };
    let branch = format!("{name}.branch2");
    let y = net.conv(&format!("{branch}.0"), worked, half, Conv::square(1, 1, 0), false);
    let y = net.batch_norm(&format!("{branch}.1"), y);
    let y = net.relu(&format!("{branch}.2"), y);
    let y = depthwise(net, &branch, (3, 4), y, stride);
    let y = net.conv(&format!("{branch}.5"), y, half, Conv::square(1, 1, 0), false);
    let y = net.batch_norm(&format!("{branch}.6"), y);
    let y = net.relu(&format!("{branch}.7"), y);
    let y = net.concat(&format!("{name}.concat"), &[kept, y]);
    shuffle(net, &format!("{name}.shuffle"), y)
}

fn depthwise(net: &mut Net, name: &str, (conv, norm): (u8, u8), x: ValueId, stride: usize) -> ValueId {
    let (channels, _, _) = net.chw(x);
    let op = Conv::square(3, stride, 1).with_groups(channels);
    let y = net.conv(&format!("{name}.{conv}"), x, channels, op, false);
    net.batch_norm(&format!("{name}.{norm}"), y)
}

/// Channel `i` of the first half and of the second become `2 i` and `2 i + 1`.
fn shuffle(net: &mut Net, name: &str, x: ValueId) -> ValueId {
    let (c, h, w) = net.chw(x);
    let [c, h, w] = [c, h, w].map(|n| n as i64);
    let y = net.reshape(&format!("{name}.halves"), x, &[0, 2, c / 2, h, w]);
    let y = net.transpose(&format!("{name}.mixed"), y, &[0, 2, 1, 3, 4]);
    net.reshape(name, y, &[0, c, h, w])
}
