//! Residual networks for CIFAR: ResNet-8, -20, -32, -44, -56 and -110.
//!
//! One 3x3 convolution with 16 channels, three stages of `n` blocks with 16, 32 and 64 channels (`6n + 2` layers with
//! weights), global average pooling and a linear classifier. Where a stage halves the map and doubles the channels,
//! the shortcut has no parameters (option A of the paper): every second pixel of every second row, zero channels
//! added before and after. The subsampling is an average pooling of 1x1 with stride 2, so that the graph stays ONNX.
//!
//! There is no large stem; [`crate::Stem`] is ignored, and at 224x224 the network works on large maps. ResNet-8 is not in the
//! paper, it is its formula at `n = 1` for tests and tiny problems.
//!
//! # Source
//! He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2015, section 4.2 (arXiv 1512.03385).

use oculist_graph::{AveragePool, Conv, Graph, GraphError, Op, ValueId};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Net, Norm, scaled};
use crate::options::BuildOptions;

const PAPER: &str = "He et al., Deep Residual Learning for Image Recognition, arXiv 1512.03385, section 4.2";

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
        family: Family::CifarResNet,
        description,
        paper: PAPER,
        year: 2015,
        input_sizes: &[28, 32, 64],
        native_input: (3, 32, 32),
        native_classes: 10,
        params,
        macs,
        build,
    }
}

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 6] = [
    entry(
        "resnet8",
        &["cifar_resnet8"],
        "three residual blocks for small images; for tests and tiny problems",
        75_290,
        12_239_488,
        |o| build("resnet8", 1, o),
    ),
    entry(
        "resnet20",
        &["cifar_resnet20"],
        "nine residual blocks for small images; a strong start at 28 to 40 pixels",
        269_722,
        40_551_040,
        |o| build("resnet20", 3, o),
    ),
    entry(
        "resnet32",
        &["cifar_resnet32"],
        "fifteen residual blocks for small images",
        464_154,
        68_862_592,
        |o| build("resnet32", 5, o),
    ),
    entry("resnet44", &["cifar_resnet44"], "21 residual blocks for small images", 658_586, 97_174_144, |o| {
        build("resnet44", 7, o)
    }),
    entry(
        "resnet56",
        &["cifar_resnet56"],
        "27 residual blocks for small images",
        853_018,
        125_485_696,
        |o| build("resnet56", 9, o),
    ),
    entry(
        "resnet110",
        &["cifar_resnet110"],
        "54 residual blocks for small images; the deepest of the family here",
        1_727_962,
        252_887_680,
        |o| build("resnet110", 18, o),
    ),
];

fn build(name: &str, blocks: usize, options: &BuildOptions) -> Result<Graph, GraphError> {
    let (mut net, x) = Net::new(name, options, Norm::DEFAULT);
    let mut x = net.conv("conv1", x, scaled(16, options), Conv::square(3, 1, 1), false);
    x = net.batch_norm("bn1", x);
    x = net.relu("relu", x);
    for (stage, channels) in [16, 32, 64].into_iter().enumerate() {
        for i in 0..blocks {
            let stride = if stage > 0 && i == 0 { 2 } else { 1 };
            x = block(&mut net, &format!("layer{}.{i}", stage + 1), x, scaled(channels, options), stride);
        }
    }
    let y = net.global_pool(x);
    let y = net.dropout("dropout", y, options, 0.0);
    let y = net.linear("linear", y, options.num_classes);
    net.finish(y)
}

fn block(net: &mut Net, name: &str, x: ValueId, c_out: usize, stride: usize) -> ValueId {
    let y = net.conv(&format!("{name}.conv1"), x, c_out, Conv::square(3, stride, 1), false);
    let y = net.batch_norm(&format!("{name}.bn1"), y);
    let y = net.relu(&format!("{name}.relu1"), y);
    let y = net.conv(&format!("{name}.conv2"), y, c_out, Conv::square(3, 1, 1), false);
    let y = net.batch_norm(&format!("{name}.bn2"), y);
    let shortcut = shortcut(net, name, x, c_out, stride);
    let y = net.add(&format!("{name}.add"), y, shortcut);
    net.relu(&format!("{name}.relu2"), y)
}

fn shortcut(net: &mut Net, name: &str, mut x: ValueId, c_out: usize, stride: usize) -> ValueId {
    let (c_in, _, _) = net.chw(x);
    if stride > 1 {
        let op = Op::AveragePool(AveragePool::square(1, stride, 0, false));
        x = net.op(&format!("{name}.shortcut.subsample"), op, &[x]);
    }
    if c_in != c_out {
        let added = c_out.saturating_sub(c_in);
        x = net.pad_channels(&format!("{name}.shortcut.pad"), x, added / 2, added - added / 2);
    }
    x
}
