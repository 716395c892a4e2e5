//! Small networks that hold every kind of dependency, with weights from a formula.

use oculist_graph::{
    AveragePool, Binary, Concat, Conv, Dropout, Flatten, GlobalPool, Graph, GraphBuilder, MaxPool, Op,
    Tensor, Unary, ValueId,
};
use oculist_testing::formula;
use oculist_testing::interpret::{self, Array};

/// Fills every parameter: weights scaled by fan-in, gamma and running variance around 1, the rest small.
pub(crate) fn fill(mut graph: Graph) -> Graph {
    let params: Vec<(ValueId, String, Vec<usize>)> = graph
        .params()
        .filter(|(_, _, t)| t.as_f32().is_some())
        .map(|(id, v, t)| (id, v.name.clone(), t.shape().to_vec()))
        .collect();
    for (id, name, shape) in params {
        graph.set_param(id, Tensor::f32(&shape, formula::state(&name, &shape, 1.0)));
    }
    graph.tidy().unwrap();
    graph
}

/// Two images for the graph's input, values about -1.7 to 1.7.
pub(crate) fn images(graph: &Graph) -> Array {
    let (c, h, w) = graph.input_chw().unwrap();
    let x = formula::tensor("images", 2 * c * h * w);
    Array::new(&[2, c, h, w], x.iter().map(|&x| f64::from(x) * 1.7).collect())
}

/// The first output for [`images`].
pub(crate) fn output(graph: &Graph) -> Array {
    interpret::run(graph, &[images(graph)]).output(0).clone()
}

/// Largest absolute difference over the largest absolute value of `want`.
pub(crate) fn distance(got: &Array, want: &Array) -> f64 {
    assert_eq!(got.shape(), want.shape());
    let peak = want.data().iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let worst = got.data().iter().zip(want.data()).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
    worst / peak.max(1e-30)
}

/// Convolution, batch norm and activation.
fn cbr(b: &mut GraphBuilder, name: &str, x: ValueId, c: usize, conv: Conv, act: Option<Op>) -> ValueId {
    let x = b.conv(&format!("{name}.conv"), x, c, conv, false);
    let x = b.batch_norm(&format!("{name}.bn"), x, 1e-5, 0.9);
    match act {
        Some(op) => b.op(&format!("{name}.act"), op, &[x]),
        None => x,
    }
}

fn head(b: &mut GraphBuilder, x: ValueId) -> ValueId {
    let x = b.op("pool", Op::GlobalPool(GlobalPool::Average), &[x]);
    let x = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[x]);
    b.linear("fc", x, 5)
}

/// Residual blocks; the second halves the map and doubles the width with a padded or a projected shortcut.
pub(crate) fn residual(padded: bool) -> Graph {
    let mut b = GraphBuilder::new(if padded { "residual-a" } else { "residual-b" });
    let x = b.input("image", 3, 8, 8);
    let stem = cbr(&mut b, "stem", x, 8, Conv::square(3, 1, 1), Some(Op::Unary(Unary::Relu)));
    let y = cbr(&mut b, "b1.1", stem, 8, Conv::square(3, 1, 1), Some(Op::Unary(Unary::Relu)));
    let y = cbr(&mut b, "b1.2", y, 8, Conv::square(3, 1, 1), None);
    let y = b.add("b1.add", y, stem);
    let x = b.relu("b1.relu", y);
    let y = cbr(&mut b, "b2.1", x, 16, Conv::square(3, 2, 1), Some(Op::Unary(Unary::Relu)));
    let y = cbr(&mut b, "b2.2", y, 16, Conv::square(3, 1, 1), None);
    let shortcut = if padded {
        let s = b.op("b2.sub", Op::MaxPool(MaxPool::square(1, 2, 0)), &[x]);
        b.pad_channels("b2.pad", s, 4, 4)
    } else {
        cbr(&mut b, "b2.down", x, 16, Conv::square(1, 2, 0), None)
    };
    let y = b.add("b2.add", y, shortcut);
    let x = b.relu("b2.relu", y);
    let out = head(&mut b, x);
    fill(b.finish(out).unwrap())
}

/// Two branches side by side, as in DenseNet or Inception.
pub(crate) fn concat() -> Graph {
    let mut b = GraphBuilder::new("concat");
    let x = b.input("image", 3, 8, 8);
    let stem = cbr(&mut b, "stem", x, 8, Conv::square(3, 1, 1), Some(Op::Unary(Unary::Relu)));
    let left = cbr(&mut b, "left", stem, 4, Conv::square(3, 1, 1), Some(Op::Unary(Unary::Relu)));
    let right = b.op("right.pool", Op::AveragePool(AveragePool::square(3, 1, 1, true)), &[stem]);
    let right = cbr(&mut b, "right", right, 6, Conv::square(1, 1, 0), Some(Op::Unary(Unary::Relu)));
    let x = b.op("cat", Op::Concat(Concat::CHANNELS), &[left, stem, right]);
    let x = cbr(&mut b, "after", x, 8, Conv::square(3, 1, 1), Some(Op::Unary(Unary::Relu)));
    let out = head(&mut b, x);
    fill(b.finish(out).unwrap())
}

/// Inverted residual with depthwise convolution and squeeze-and-excitation, as in MobileNetV3.
pub(crate) fn inverted_residual() -> Graph {
    let mut b = GraphBuilder::new("inverted-residual");
    let hard_sigmoid = Op::Unary(Unary::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 });
    let x = b.input("image", 3, 8, 8);
    let stem = cbr(&mut b, "stem", x, 8, Conv::square(3, 1, 1), Some(Op::Unary(Unary::HardSwish)));
    let y = cbr(&mut b, "expand", stem, 24, Conv::square(1, 1, 0), Some(Op::Unary(Unary::HardSwish)));
    let y = cbr(
        &mut b,
        "depthwise",
        y,
        24,
        Conv::square(3, 1, 1).with_groups(24),
        Some(Op::Unary(Unary::Clip { min: 0.0, max: 6.0 })),
    );
    let s = b.op("se.pool", Op::GlobalPool(GlobalPool::Average), &[y]);
    let s = b.conv("se.fc1", s, 8, Conv::square(1, 1, 0), true);
    let s = b.relu("se.relu", s);
    let s = b.conv("se.fc2", s, 24, Conv::square(1, 1, 0), true);
    let s = b.op("se.gate", hard_sigmoid, &[s]);
    let y = b.op("se.mul", Op::Binary(Binary::Mul), &[y, s]);
    let y = cbr(&mut b, "project", y, 8, Conv::square(1, 1, 0), None);
    let x = b.add("add", y, stem);
    let out = head(&mut b, x);
    fill(b.finish(out).unwrap())
}

/// A plain network with a fully connected head on a flattened map, as VGG and AlexNet.
pub(crate) fn flatten_head() -> Graph {
    let mut b = GraphBuilder::new("flatten-head");
    let x = b.input("image", 3, 8, 8);
    let x = cbr(&mut b, "c1", x, 8, Conv::square(3, 1, 1), Some(Op::Unary(Unary::Relu)));
    let x = b.max_pool("p1", x, 2, 2, 0);
    let x = cbr(&mut b, "c2", x, 12, Conv::square(3, 1, 1), Some(Op::Unary(Unary::Relu)));
    let x = b.max_pool("p2", x, 2, 2, 0);
    let x = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[x]);
    let x = b.linear("fc1", x, 16);
    let x = b.relu("fc1.relu", x);
    let x = b.op("drop", Op::Dropout(Dropout { ratio: 0.5 }), &[x]);
    let out = b.linear("fc2", x, 5);
    fill(b.finish(out).unwrap())
}

/// A grouped convolution of `groups` groups between two dense ones.
pub(crate) fn grouped(groups: usize) -> Graph {
    let mut b = GraphBuilder::new("grouped");
    let x = b.input("image", 3, 8, 8);
    let x = cbr(&mut b, "stem", x, 16, Conv::square(3, 1, 1), Some(Op::Unary(Unary::Relu)));
    let x = cbr(
        &mut b,
        "grouped",
        x,
        32,
        Conv::square(3, 1, 1).with_groups(groups),
        Some(Op::Unary(Unary::Relu)),
    );
    let x = cbr(&mut b, "after", x, 8, Conv::square(1, 1, 0), Some(Op::Unary(Unary::Relu)));
    let out = head(&mut b, x);
    fill(b.finish(out).unwrap())
}

/// All of them.
pub(crate) fn all() -> Vec<Graph> {
    vec![
        residual(true),
        residual(false),
        concat(),
        inverted_residual(),
        flatten_head(),
        grouped(8),
        grouped(2),
    ]
}
