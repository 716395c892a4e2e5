//! GoogLeNet in torchvision's form, with batch normalisation.
//!
//! A stem of three convolutions, nine inception blocks (four branches side by side: 1x1; 1x1 and 3x3; 1x1 and 3x3; 3x3
//! maximum pooling and 1x1), global average pooling, dropout and a linear classifier. As in torchvision the third branch
//! has a 3x3 convolution where the paper has 5x5. Batch normalisation has eps 1e-3.
//!
//! **The two auxiliary classifiers**, which help training only, are not in the graph; `aux1.*` and `aux2.*` of a file are left
//! aside. torchvision's weights expect pixels with a mean and deviation of 0.5 (its `transform_input`).
//!
//! **Small images** (shorter side up to 64 pixels): the 7x7 convolution with stride 2 becomes 3x3 with stride 1 without pooling, and a
//! pooling is left out where the map has become smaller than its window.
//!
//! # Source
//! Szegedy et al.: Going Deeper with Convolutions, 2014 (arXiv 1409.4842); layer names from torchvision's
//! `models/googlenet.py`.

use oculist_graph::{Conv, Graph, GraphError, ValueId};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Net, Norm, scaled};
use crate::options::BuildOptions;

/// The family's catalogue.
pub(crate) const ENTRIES: [ArchitectureInfo; 1] = [ArchitectureInfo {
    name: "googlenet",
    aliases: &["inception_v1"],
    family: Family::Inception,
    description: "nine blocks of four branches; without the auxiliary classifiers",
    paper: "Szegedy et al., Going Deeper with Convolutions, arXiv 1409.4842",
    year: 2014,
    input_sizes: &[32, 64, 128, 224],
    native_input: (3, 224, 224),
    native_classes: 1000,
    params: 6_624_904,
    macs: 1_498_376_192,
    build,
}];

/// Channels of a block: 1x1; 1x1 and 3x3; 1x1 and 3x3; behind the pooling.
type Row = [usize; 6];
/// Name and window of a pooling in front of a block.
type Pooling = Option<(&'static str, usize)>;

/// Names and channels of the blocks, table 1 of the paper; a pooling before those that say its window.
const BLOCKS: [(&str, Pooling, Row); 9] = [
    ("3a", None, [64, 96, 128, 16, 32, 32]),
    ("3b", None, [128, 128, 192, 32, 96, 64]),
    ("4a", Some(("maxpool3", 3)), [192, 96, 208, 16, 48, 64]),
    ("4b", None, [160, 112, 224, 24, 64, 64]),
    ("4c", None, [128, 128, 256, 24, 64, 64]),
    ("4d", None, [112, 144, 288, 32, 64, 64]),
    ("4e", None, [256, 160, 320, 32, 128, 128]),
    ("5a", Some(("maxpool4", 2)), [256, 160, 320, 32, 128, 128]),
    ("5b", None, [384, 192, 384, 48, 128, 128]),
];

fn build(options: &BuildOptions) -> Result<Graph, GraphError> {
    let (mut net, x) = Net::new("googlenet", options, Norm::MILLI);
    let small = options.small_stem();
    let stem = if small { Conv::square(3, 1, 1) } else { Conv::square(7, 2, 3) };
    let mut x = basic(&mut net, "conv1", x, scaled(64, options), stem);
    if !small {
        x = net.max_pool_ceil("maxpool1", x, 3, 2);
    }
    x = basic(&mut net, "conv2", x, scaled(64, options), Conv::square(1, 1, 0));
    x = basic(&mut net, "conv3", x, scaled(192, options), Conv::square(3, 1, 1));
    x = pool(&mut net, "maxpool2", x, 3);
    for (name, pooled, row) in BLOCKS {
        if let Some((name, window)) = pooled {
            x = pool(&mut net, name, x, window);
        }
        x = block(&mut net, &format!("inception{name}"), x, row.map(|c| scaled(c, options)));
    }
    let y = net.global_pool(x);
    let y = net.dropout("dropout", y, options, 0.2);
    let y = net.linear("fc", y, options.num_classes);
    net.finish(y)
}

/// Halves the map if it is at least as large as the window.
fn pool(net: &mut Net, name: &str, x: ValueId, window: usize) -> ValueId {
    let (_, h, w) = net.chw(x);
    if h.min(w) >= window { net.max_pool_ceil(name, x, window, 2) } else { x }
}

/// torchvision's `BasicConv2d`.
fn basic(net: &mut Net, name: &str, x: ValueId, c_out: usize, conv: Conv) -> ValueId {
    net.conv_norm_relu((name, ".conv", ".bn"), x, c_out, conv)
}

fn block(net: &mut Net, name: &str, x: ValueId, row: Row) -> ValueId {
    let [one, reduce3, three, reduce5, five, projected] = row;
    let (point, window) = (Conv::square(1, 1, 0), Conv::square(3, 1, 1));
    let first = basic(net, &format!("{name}.branch1"), x, one, point.clone());
    let pair = |net: &mut Net, branch: &str, reduce: usize, out: usize| {
        let y = basic(net, &format!("{name}.{branch}.0"), x, reduce, point.clone());
        basic(net, &format!("{name}.{branch}.1"), y, out, window.clone())
    };
    let second = pair(net, "branch2", reduce3, three);
    let third = pair(net, "branch3", reduce5, five);
    let pooled = net.max_pool(&format!("{name}.branch4.0"), x, 3, 1, 1);
    let fourth = basic(net, &format!("{name}.branch4.1"), pooled, projected, point.clone());
    net.concat(&format!("{name}.concat"), &[first, second, third, fourth])
}
