//! SqueezeNet 1.0 and 1.1.
//!
//! Eight fire modules (1x1 convolution to few channels, then 1x1 beside 3x3 to many), maximum poolings between them, a 1x1
//! convolution to the classes, ReLU, global average pooling. No normalisation, no linear layer. Version 1.1 pools earlier and has a
//! smaller stem: 2.4 times less work at the same accuracy.
//!
//! **Small images** (shorter side up to 64 pixels): the stem is 3x3 with stride 1, and a pooling is left out where the map
//! has become smaller than its window. [`crate::Head`] does not apply, since the average stands behind the classifier.
//!
//! # Source
//! Iandola et al.: SqueezeNet, 2016 (arXiv 1602.07360); layer names from torchvision's `models/squeezenet.py`.

use oculist_graph::{Conv, Graph, GraphError, ValueId};

use crate::catalog::{ArchitectureInfo, Family};
use crate::layers::{Net, Norm, scaled};
use crate::options::BuildOptions;

const fn entry(
    name: &'static str,
    description: &'static str,
    (params, macs): (u64, u64),
    build: fn(&BuildOptions) -> Result<Graph, GraphError>,
) -> ArchitectureInfo {
    ArchitectureInfo {
        name,
        aliases: &[],
        family: Family::SqueezeNet,
        description,
        paper: "Iandola et al., SqueezeNet, arXiv 1602.07360",
        year: 2016,
        input_sizes: &[32, 64, 128, 224],
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
        "squeezenet1_0",
        "fire modules without normalisation; the published one",
        (1_248_424, 818_924_576),
        |o| build("squeezenet1_0", (96, 7), &[2, 6, 11], o),
    ),
    entry("squeezenet1_1", "the same with less work; 1.2 million weights", (1_235_496, 349_151_936), |o| {
        build("squeezenet1_1", (64, 3), &[2, 5, 8], o)
    }),
];

/// Channels of the fire modules: squeezed, and of each of the two windows.
const FIRES: [(usize, usize); 8] =
    [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)];

fn build(
    name: &str,
    (stem, kernel): (usize, usize),
    pools: &[usize],
    options: &BuildOptions,
) -> Result<Graph, GraphError> {
    let (mut net, x) = Net::new(name, options, Norm::DEFAULT);
    let small = options.small_stem();
    let conv = if small { Conv::square(3, 1, 1) } else { Conv::square(kernel, 2, 0) };
    let mut x = net.conv("features.0", x, scaled(stem, options), conv, true);
    x = net.relu("features.1", x);
    let mut fires = FIRES.into_iter();
    for index in 2.. {
        let name = format!("features.{index}");
        if pools.contains(&index) {
            let (_, h, w) = net.chw(x);
            if !small || h.min(w) >= 3 {
                x = net.max_pool_ceil(&name, x, 3, 2);
            }
        } else if let Some((squeezed, expanded)) = fires.next() {
            x = fire(&mut net, &name, x, scaled(squeezed, options), scaled(expanded, options));
        } else {
            break;
        }
    }
    let x = net.dropout("classifier.0", x, options, 0.5);
    let x = net.conv("classifier.1", x, options.num_classes, Conv::square(1, 1, 0), true);
    let x = net.relu("classifier.2", x);
    let logits = net.average(x);
    net.finish(logits)
}

fn fire(net: &mut Net, name: &str, x: ValueId, squeezed: usize, expanded: usize) -> ValueId {
    let y = net.conv(&format!("{name}.squeeze"), x, squeezed, Conv::square(1, 1, 0), true);
    let y = net.relu(&format!("{name}.squeeze_activation"), y);
    let parts = [("expand1x1", 1), ("expand3x3", 3)].map(|(part, kernel)| {
        let conv = Conv::square(kernel, 1, kernel / 2);
        let z = net.conv(&format!("{name}.{part}"), y, expanded, conv, true);
        net.relu(&format!("{name}.{part}_activation"), z)
    });
    net.concat(&format!("{name}.concat"), &parts)
}
