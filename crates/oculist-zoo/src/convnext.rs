//! ConvNeXt-Tiny.
//!
//! A 4x4 convolution with stride 4, four stages of blocks (7x7 depthwise convolution, LayerNorm over channels, a linear layer to four
//! times the channels, GELU, a linear layer back, a factor for each channel, shortcut), between stages LayerNorm and a 2x2
//! convolution with stride 2, then global average pooling, LayerNorm and a linear classifier. LayerNorm has eps 1e-6.
//!
//! Stochastic depth, which drops whole blocks while training, is not in the graph. [`crate::Normalization`] does not apply.
//!
//! **Small images** (shorter side up to 64 pixels): the first convolution is 2x2 with stride 2. Less than 16 pixels a side cannot
//! be built.
//!
//! # Source
//! Liu, Mao, Wu, Feichtenhofer, Darrell, Xie: A ConvNet for the 2020s, 2022 (arXiv 2201.03545); layer names from torchvision's
//! `models/convnext.py`.

use oculist_graph::{Binary, Conv, Graph, GraphError, Op, Tensor, Unary, ValueId};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Net, Norm, scaled};
use crate::options::BuildOptions;

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 1] = [ArchitectureInfo {
    name: "convnext_tiny",
    aliases: &[],
    family: Family::ConvNext,
    description: "a residual network with the transformer's layers: 7x7 depthwise, LayerNorm, GELU",
    paper: "Liu et al., A ConvNet for the 2020s, arXiv 2201.03545",
    year: 2022,
    input_sizes: &[32, 64, 128, 224],
    native_input: (3, 224, 224),
    native_classes: 1000,
    params: 28_589_128,
    macs: 4_455_531_264,
    build,
}];

/// Channels and blocks of the stages.
const STAGES: [(usize, usize); 4] = [(96, 3), (192, 3), (384, 9), (768, 3)];

const EPSILON: f32 = 1e-6;

/// The factors of channels before training.
const LAYER_SCALE: f32 = 1e-6;

fn build(options: &BuildOptions) -> Result<Graph, GraphError> {
    let (mut net, x) = Net::new("convnext_tiny", options, Norm::DEFAULT);
    let patch = if options.small_stem() { 2 } else { 4 };
    let mut x =
        net.conv("features.0.0", x, scaled(STAGES[0].0, options), Conv::square(patch, patch, 0), true);
    x = net.layer_norm_2d("features.0.1", x, EPSILON);
    for (stage, (channels, blocks)) in STAGES.into_iter().enumerate() {
        let channels = scaled(channels, options);
        if stage > 0 {
            let name = format!("features.{}", 2 * stage);
            x = net.layer_norm_2d(&format!("{name}.0"), x, EPSILON);
            x = net.conv(&format!("{name}.1"), x, channels, Conv::square(2, 2, 0), true);
        }
        for i in 0..blocks {
            x = block(&mut net, &format!("features.{}.{i}", 2 * stage + 1), x, channels);
        }
    }
    let (channels, _, _) = net.chw(x);
    let y = net.global_pool(x);
    // The pyramid's vector is longer.
    let (length, _, _) = net.chw(y);
    let y = net.layer_norm("classifier.0", y, length.max(channels), EPSILON);
    let y = net.dropout("dropout", y, options, 0.0);
    let y = net.linear("classifier.2", y, options.num_classes);
    net.finish(y)
}

fn block(net: &mut Net, name: &str, x: ValueId, channels: usize) -> ValueId {
    // torchvision registers the factors before the layers.
    let scale = net.param(&format!("{name}.layer_scale"), Tensor::filled(&[channels, 1, 1], LAYER_SCALE));
    let depthwise = Conv::square(7, 1, 3).with_groups(channels);
    let y = net.conv(&format!("{name}.block.0"), x, channels, depthwise, true);
    let y = net.transpose(&format!("{name}.block.1"), y, &[0, 2, 3, 1]);
    let y = net.layer_norm(&format!("{name}.block.2"), y, channels, EPSILON);
    let y = net.dense(&format!("{name}.block.3"), y, channels, 4 * channels);
    let y = net.op(&format!("{name}.block.4"), Op::Unary(Unary::Gelu { tanh: false }), &[y]);
    let y = net.dense(&format!("{name}.block.5"), y, 4 * channels, channels);
    let y = net.transpose(&format!("{name}.block.6"), y, &[0, 3, 1, 2]);
    let y = net.op(&format!("{name}.scaled"), Op::Binary(Binary::Mul), &[y, scale]);
    net.add(&format!("{name}.add"), y, x)
}
