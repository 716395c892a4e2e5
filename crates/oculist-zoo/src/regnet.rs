//! RegNetY-400MF.
//!
//! A 3x3 stem, four stages of bottleneck blocks (1x1, 3x3 in groups of 8 channels, squeeze-and-excitation gate, 1x1, all of one
//! width), global average pooling and a linear classifier. The gate has a quarter of the channels that its block reads.
//! Shortcuts that change the shape are 1x1 convolutions with normalisation.
//!
//! **Small images**: up to 64 pixels the stem has stride 1, up to 32 pixels the first stage too, so that the last map keeps about
//! 4x4 pixels.
//!
//! # Source
//! Radosavovic, Kosaraju, Girshick, He, Dollár: Designing Network Design Spaces, 2020 (arXiv 2003.13678); layer names from
//! torchvision's `models/regnet.py`.

use oculist_graph::{Conv, Graph, GraphError, Unary, ValueId};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Activation, Net, Norm, scaled};
use crate::options::BuildOptions;

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 1] = [ArchitectureInfo {
    name: "regnet_y_400mf",
    aliases: &["regnety_004"],
    family: Family::RegNet,
    description: "bottlenecks of one width with groups and gates, found by a rule for widths and depths",
    paper: "Radosavovic et al., Designing Network Design Spaces, arXiv 2003.13678",
    year: 2020,
    input_sizes: &[32, 64, 128, 224],
    native_input: (3, 224, 224),
    native_classes: 1000,
    params: 4_344_144,
    macs: 401_842_848,
    build,
}];

/// Channels and blocks of the stages: what the paper's rule gives for a start of 48, a slope of 27.89 and a factor of 2.09.
const STAGES: [(usize, usize); 4] = [(48, 1), (104, 3), (208, 6), (440, 6)];

/// Channels of a group.
const GROUP: usize = 8;

fn build(options: &BuildOptions) -> Result<Graph, GraphError> {
    let (mut net, x) = Net::new("regnet_y_400mf", options, Norm::DEFAULT);
    let stem = Conv::square(3, if options.small_stem() { 1 } else { 2 }, 1);
    let mut x = net.conv_norm_act("stem", x, scaled(32, options), stem, Some(Activation::Relu));
    for (stage, (channels, blocks)) in STAGES.into_iter().enumerate() {
        for i in 0..blocks {
            let stride = if i > 0 || (stage == 0 && options.tiny()) { 1 } else { 2 };
            let name = format!("trunk_output.block{0}.block{0}-{i}", stage + 1);
            x = block(&mut net, &name, x, scaled(channels, options), stride);
        }
    }
    let y = net.global_pool(x);
    let y = net.dropout("dropout", y, options, 0.0);
    let y = net.linear("fc", y, options.num_classes);
    net.finish(y)
}

fn block(net: &mut Net, name: &str, x: ValueId, c_out: usize, stride: usize) -> ValueId {
    let (c_in, _, _) = net.chw(x);
    let shortcut = if c_in != c_out || stride != 1 {
        net.conv_norm_act(&format!("{name}.proj"), x, c_out, Conv::square(1, stride, 0), None)
    } else {
        x
    };
    let relu = Some(Activation::Relu);
    let window = Conv::square(3, stride, 1).with_groups(c_out / GROUP);
    let y = net.conv_norm_act(&format!("{name}.f.a"), x, c_out, Conv::square(1, 1, 0), relu);
    let y = net.conv_norm_act(&format!("{name}.f.b"), y, c_out, window, relu);
    let squeezed = (c_in as f64 / 4.0).round_ties_even() as usize;
    let y = net.gate(&format!("{name}.f.se"), y, squeezed, Activation::Relu, Unary::Sigmoid);
    let y = net.conv_norm_act(&format!("{name}.f.c"), y, c_out, Conv::square(1, 1, 0), None);
    let y = net.add(&format!("{name}.add"), shortcut, y);
    net.relu(&format!("{name}.activation"), y)
}
