//! Small graphs in which every operator stands behind every other one.
//!
//! Two pieces follow each other behind a convolution, the image itself or a flattened map, and a fully connected layer
//! makes three logits of the result. What holds for all of these holds for any pair of neighbours in a real network.

use oculist_graph::{
    AveragePool, BatchNormalization, Binary, Concat, Conv, Dropout, Flatten, GlobalPool, Graph, GraphBuilder,
    Identity, Op, Tensor, Unary, ValueId,
};

use crate::reference::Noise;

/// Where the two pieces begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Behind a convolution.
    Map,
    /// At the image.
    Image,
    /// Behind a convolution and a `Flatten`.
    Flat,
}

/// A part of a network that takes one value and gives one; the names are those of [`PIECES`].
type Piece = fn(&mut GraphBuilder, &str, ValueId) -> ValueId;

/// Every operator that is computed from the image, alone or as it is used.
pub const PIECES: [(&str, For, Piece); 36] = [
    ("conv", For::Maps, |b, n, x| b.conv(n, x, 5, Conv::square(3, 1, 1), true)),
    ("depthwise", For::Maps, |b, n, x| {
        let c = b.chw(x).0;
        b.conv(n, x, c, Conv::square(3, 1, 1).with_groups(c), false)
    }),
    ("grouped", For::EvenMaps, |b, n, x| b.conv(n, x, 6, Conv::square(1, 1, 0).with_groups(2), false)),
    ("shared conv", For::Maps, |b, n, x| {
        let c = b.chw(x).0;
        let weight = b.param(&format!("{n}.weight"), Tensor::filled(&[c, c, 1, 1], 0.0));
        let op = Op::Conv(Conv::square(1, 1, 0));
        let y = b.op(&format!("{n}.first"), op.clone(), &[x, weight]);
        b.op(n, op, &[y, weight])
    }),
    ("batch norm", For::All, |b, n, x| b.batch_norm(n, x, 1e-2, 0.9)),
    ("batch norm of one parameter", For::All, |b, n, x| {
        let c = b.chw(x).0;
        let both = b.param(&format!("{n}.weight"), Tensor::filled(&[c], 1.0));
        let mean = b.param(&format!("{n}.running_mean"), Tensor::filled(&[c], 0.0));
        let var = b.param(&format!("{n}.running_var"), Tensor::filled(&[c], 1.0));
        b.op(
            n,
            Op::BatchNormalization(BatchNormalization { epsilon: 1e-2, momentum: 0.9, training: false }),
            &[x, both, both, mean, var],
        )
    }),
    ("residual batch norm", For::All, |b, n, x| {
        let y = b.batch_norm(&format!("{n}.norm"), x, 1e-2, 0.9);
        b.add(n, y, x)
    }),
    ("residual of two norms", For::All, |b, n, x| {
        let first = b.batch_norm(&format!("{n}.first"), x, 1e-2, 0.9);
        let second = b.batch_norm(&format!("{n}.second"), x, 1e-2, 0.9);
        let y = b.add(&format!("{n}.add"), second, first);
        b.relu(n, y)
    }),
    ("relu", For::All, |b, n, x| b.relu(n, x)),
    ("clip", For::All, |b, n, x| b.op(n, Op::Unary(Unary::Clip { min: -0.4, max: 0.9 }), &[x])),
    ("clip above zero", For::All, |b, n, x| b.op(n, Op::Unary(Unary::Clip { min: 0.1, max: 2.0 }), &[x])),
    ("hard sigmoid", For::All, |b, n, x| {
        b.op(n, Op::Unary(Unary::HardSigmoid { alpha: 0.2, beta: 0.5 }), &[x])
    }),
    ("hard swish", For::All, |b, n, x| b.op(n, Op::Unary(Unary::HardSwish), &[x])),
    ("sigmoid", For::All, |b, n, x| b.op(n, Op::Unary(Unary::Sigmoid), &[x])),
    ("silu", For::All, |b, n, x| {
        let gate = b.op(&format!("{n}.sigmoid"), Op::Unary(Unary::Sigmoid), &[x]);
        b.op(n, Op::Binary(Binary::Mul), &[x, gate])
    }),
    ("square", For::All, |b, n, x| b.op(n, Op::Binary(Binary::Mul), &[x, x])),
    ("double", For::All, |b, n, x| b.add(n, x, x)),
    ("gate", For::Maps, |b, n, x| {
        let c = b.chw(x).0;
        let gate = b.op(&format!("{n}.pool"), Op::GlobalPool(GlobalPool::Average), &[x]);
        let gate = b.conv(&format!("{n}.squeeze"), gate, c, Conv::square(1, 1, 0), true);
        let gate = b.op(&format!("{n}.sigmoid"), Op::Unary(Unary::Sigmoid), &[gate]);
        b.op(n, Op::Binary(Binary::Mul), &[x, gate])
    }),
    ("residual conv", For::Maps, |b, n, x| {
        let c = b.chw(x).0;
        let y = b.conv(&format!("{n}.conv"), x, c, Conv::square(1, 1, 0), true);
        b.add(n, y, x)
    }),
    ("concat with itself", For::All, |b, n, x| b.op(n, Op::Concat(Concat::CHANNELS), &[x, x])),
    ("concat", For::All, |b, n, x| {
        let y = b.op(&format!("{n}.sigmoid"), Op::Unary(Unary::Sigmoid), &[x]);
        b.op(n, Op::Concat(Concat::CHANNELS), &[y, x])
    }),
    ("max pool", For::Maps, |b, n, x| b.max_pool(n, x, 3, 1, 1)),
    ("average pool", For::Maps, |b, n, x| average(b, n, x, false)),
    ("average pool with its padding", For::Maps, |b, n, x| average(b, n, x, true)),
    ("global average pool", For::Maps, |b, n, x| b.op(n, Op::GlobalPool(GlobalPool::Average), &[x])),
    ("flatten", For::Maps, |b, n, x| b.op(n, Op::Flatten(Flatten::IMAGES), &[x])),
    ("concat of flattened maps", For::Maps, |b, n, x| {
        let smaller = b.max_pool(&format!("{n}.pool"), x, 2, 2, 1);
        let (x, y) = (row(b, n, "first", x), row(b, n, "second", smaller));
        b.op(n, Op::Concat(Concat::CHANNELS), &[x, y])
    }),
    ("sum of flattened maps", For::WholeMaps, |b, n, x| {
        let (x, y) = rows_of_two_maps(b, n, x);
        b.add(n, x, y)
    }),
    ("product of flattened maps", For::WholeMaps, |b, n, x| {
        let (x, y) = rows_of_two_maps(b, n, x);
        b.op(n, Op::Binary(Binary::Mul), &[x, y])
    }),
    ("dropout of nothing", For::All, |b, n, x| b.op(n, Op::Dropout(Dropout { ratio: 0.0 }), &[x])),
    ("pad channels", For::Maps, |b, n, x| b.pad_channels(n, x, 1, 2)),
    ("identity", For::All, |b, n, x| b.op(n, Op::Identity(Identity), &[x])),
    ("linear", For::Rows, |b, n, x| b.linear(n, x, 7)),
    ("residual linear", For::Rows, |b, n, x| {
        let y = as_wide(b, n, x);
        b.add(n, x, y)
    }),
    ("product with a linear layer", For::Rows, |b, n, x| {
        let y = as_wide(b, n, x);
        b.op(n, Op::Binary(Binary::Mul), &[y, x])
    }),
    ("concat with a linear layer", For::Rows, |b, n, x| {
        let y = as_wide(b, n, x);
        b.op(n, Op::Concat(Concat::CHANNELS), &[x, y])
    }),
];

/// Which values a piece takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// `[N, C, H, W]` and `[N, C]`.
    All,
    /// `[N, C, H, W]`.
    Maps,
    /// `[N, C, H, W]` with an even number of channels.
    EvenMaps,
    /// `[N, C, H, W]` with the height and width of the image.
    WholeMaps,
    /// `[N, C]`.
    Rows,
}

/// Height and width of the images.
const SIZE: (usize, usize) = (4, 3);

fn average(b: &mut GraphBuilder, name: &str, x: ValueId, count_include_pad: bool) -> ValueId {
    b.op(name, AveragePool::square(3, 1, 1, count_include_pad), &[x])
}

fn row(b: &mut GraphBuilder, name: &str, which: &str, x: ValueId) -> ValueId {
    b.op(&format!("{name}.{which}_row"), Op::Flatten(Flatten::IMAGES), &[x])
}

/// Two rows of as many features that are maps of different shapes in memory.
fn rows_of_two_maps(b: &mut GraphBuilder, name: &str, x: ValueId) -> (ValueId, ValueId) {
    let c = b.chw(x).0;
    let other = b.conv(&format!("{name}.conv"), x, 3 * c, Conv::square(1, 2, 0), false);
    (row(b, name, "first", x), row(b, name, "second", other))
}

/// A fully connected layer with as many outputs as inputs.
fn as_wide(b: &mut GraphBuilder, name: &str, x: ValueId) -> ValueId {
    let features = b.chw(x).0;
    b.linear(&format!("{name}.linear"), x, features)
}

/// The graph of two pieces, named after them and filled with numbers; `None` where one does not take what it gets.
///
/// # Panics
/// If a piece builds an invalid graph: that is a mistake in this module.
pub fn pair(start: Start, first: usize, second: usize) -> Option<Graph> {
    let name = format!("{start:?}, {}, {}", PIECES[first].0, PIECES[second].0);
    let mut b = GraphBuilder::new(name);
    let image = b.input("image", 2, SIZE.0, SIZE.1);
    let mut x = match start {
        Start::Image => image,
        _ => b.conv("stem", image, 4, Conv::square(3, 1, 1), true),
    };
    // The builder knows shapes, not ranks.
    let mut flat = start == Start::Flat;
    if flat {
        x = b.op("to_row", Op::Flatten(Flatten::IMAGES), &[x]);
    }
    for (position, piece) in ["first", "second"].into_iter().zip([first, second]) {
        let (name, takes, build) = PIECES[piece];
        let fits = match takes {
            For::All => true,
            For::Maps => !flat,
            For::EvenMaps => !flat && b.chw(x).0.is_multiple_of(2),
            For::WholeMaps => !flat && (b.chw(x).1, b.chw(x).2) == SIZE,
            For::Rows => flat,
        };
        if !fits {
            return None;
        }
        x = build(&mut b, position, x);
        flat |= name.contains("flatten");
    }
    if !flat {
        x = b.op("flat", Op::Flatten(Flatten::IMAGES), &[x]);
    }
    let logits = b.linear("logits", x, 3);
    Some(fill(b.finish(logits).unwrap_or_else(|e| panic!("{e}"))))
}

/// All pairs that fit.
pub fn pairs() -> Vec<Graph> {
    let n = PIECES.len();
    [Start::Map, Start::Image, Start::Flat]
        .into_iter()
        .flat_map(|start| (0..n * n).filter_map(move |i| pair(start, i / n, i % n)))
        .collect()
}

/// Numbers for every parameter: weights of unit gain, scales and variances around one.
pub fn fill(mut graph: Graph) -> Graph {
    let mut noise = Noise::new(7);
    let floats =
        graph.params().filter(|(_, _, t)| t.as_f32().is_some() && !t.shape().is_empty() && !t.is_empty());
    let params: Vec<_> = floats.map(|(id, value, t)| (id, value.name.clone(), t.shape().to_vec())).collect();
    for (id, name, shape) in params {
        let n: usize = shape.iter().product();
        let per_output = (n / shape[0]).max(1);
        let numbers = noise.vector(n);
        let data = numbers.into_iter().map(|x| match shape.len() {
            1 if name.ends_with("running_var") || name.ends_with("weight") => 1.0 + 0.4 * x,
            1 => 0.3 * x,
            _ => 1.7 * x / (per_output as f32).sqrt(),
        });
        graph.set_param(id, Tensor::f32(&shape, data.collect()));
    }
    graph
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_stands_behind_every_other_that_it_can() {
        let graphs = pairs();
        assert!(graphs.len() > 1200, "{}", graphs.len());
        for graph in &graphs {
            graph.check().unwrap();
        }
        // Two pieces that need different ranks cannot follow each other without a flatten between.
        assert!(pair(Start::Map, 0, PIECES.len() - 1).is_none());
    }
}
