//! The networks of `golden/training_nets.py` as graphs.

use oculist_graph::{
    AveragePool, Binary, Conv, Dropout, Flatten, GlobalPool, Graph, GraphBuilder, Op, Unary, ValueId,
};

fn basic_block(b: &mut GraphBuilder, name: &str, x: ValueId, c_out: usize, stride: usize) -> ValueId {
    let c_in = b.chw(x).0;
    let y = b.conv(&format!("{name}.conv1"), x, c_out, Conv::square(3, stride, 1), false);
    let y = b.batch_norm(&format!("{name}.bn1"), y, 1e-5, 0.9);
    let y = b.relu(&format!("{name}.relu1"), y);
    let y = b.conv(&format!("{name}.conv2"), y, c_out, Conv::square(3, 1, 1), false);
    let y = b.batch_norm(&format!("{name}.bn2"), y, 1e-5, 0.9);
    let mut shortcut = x;
    if stride != 1 {
        let pool = Op::AveragePool(AveragePool::square(1, stride, 0, false));
        shortcut = b.op(&format!("{name}.subsample"), pool, &[shortcut]);
    }
    if c_in != c_out {
        let before = (c_out - c_in) / 2;
        shortcut = b.pad_channels(&format!("{name}.pad"), shortcut, before, c_out - c_in - before);
    }
    let y = b.add(&format!("{name}.add"), y, shortcut);
    b.relu(&format!("{name}.relu2"), y)
}

fn head(b: &mut GraphBuilder, x: ValueId) -> ValueId {
    let x = b.op("pool", Op::GlobalPool(GlobalPool::Average), &[x]);
    let x = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[x]);
    b.linear("fc", x, 5)
}

fn residual(b: &mut GraphBuilder, x: ValueId) -> ValueId {
    let a = b.conv("conv1", x, 10, Conv::square(3, 1, 1), false);
    let a = b.batch_norm("bn1", a, 1e-5, 0.9);
    let a = b.relu("relu1", a);
    let y = b.conv("conv2", a, 18, Conv::square(3, 2, 1), false);
    let y = b.batch_norm("bn2", y, 1e-5, 0.9);
    let s = b.conv("shortcut.0", a, 18, Conv::square(1, 2, 0), false);
    let s = b.batch_norm("shortcut.1", s, 1e-5, 0.9);
    let y = b.add("add", y, s);
    let y = b.relu("relu2", y);
    head(b, y)
}

fn padded_shortcut(b: &mut GraphBuilder, x: ValueId) -> ValueId {
    let a = b.conv("conv1", x, 6, Conv::square(3, 1, 1), false);
    let a = b.batch_norm("bn1", a, 1e-5, 0.9);
    let a = b.relu("relu1", a);
    let y = basic_block(b, "layer.0", a, 6, 1);
    let y = basic_block(b, "layer.1", y, 18, 2);
    head(b, y)
}

fn mobile(b: &mut GraphBuilder, x: ValueId) -> ValueId {
    let norm = |b: &mut GraphBuilder, name: &str, x| b.batch_norm(name, x, 1e-3, 0.99);
    let y = b.conv("expand", x, 20, Conv::square(1, 1, 0), false);
    let y = norm(b, "expand_bn", y);
    let y = b.op("hs1", Op::Unary(Unary::HardSwish), &[y]);
    let y = b.conv("depthwise", y, 20, Conv::square(5, 2, 2).with_groups(20), false);
    let y = norm(b, "depthwise_bn", y);
    let d = b.op("hs2", Op::Unary(Unary::HardSwish), &[y]);
    let g = b.op("squeeze", Op::GlobalPool(GlobalPool::Average), &[d]);
    let g = b.conv("se1", g, 8, Conv::square(1, 1, 0), true);
    let g = b.relu("se_relu", g);
    let g = b.conv("se2", g, 20, Conv::square(1, 1, 0), true);
    let g = b.op("gate", Op::Unary(Unary::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 }), &[g]);
    let y = b.op("excite", Op::Binary(Binary::Mul), &[d, g]);
    let y = b.conv("project", y, 18, Conv::square(1, 1, 0), false);
    let y = norm(b, "project_bn", y);
    head(b, y)
}

fn pooling(b: &mut GraphBuilder, x: ValueId) -> ValueId {
    let relu6 = Op::Unary(Unary::Clip { min: 0.0, max: 6.0 });
    let y = b.conv("conv1", x, 18, Conv::square(3, 1, 1), true);
    let y = b.op("relu6_1", relu6.clone(), &[y]);
    let y = b.max_pool("max", y, 3, 2, 1);
    let y = b.conv("conv2", y, 6, Conv::square(3, 1, 1), true);
    let y = b.op("relu6_2", relu6, &[y]);
    let pool = Op::AveragePool(AveragePool::square(2, 2, 0, false));
    let y = b.op("average", pool, &[y]);
    let y = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[y]);
    let y = b.op("dropout", Op::Dropout(Dropout { ratio: 0.0 }), &[y]);
    let y = b.linear("fc1", y, 20);
    let y = b.relu("relu", y);
    b.linear("fc2", y, 5)
}

/// Builds one of the networks for images of the given size.
pub(crate) fn build(name: &str, [c, h, w]: [usize; 3]) -> Graph {
    let mut b = GraphBuilder::new(name);
    let x = b.input("input", c, h, w);
    let y = match name {
        "Residual" => residual(&mut b, x),
        "PaddedShortcut" => padded_shortcut(&mut b, x),
        "Mobile" => mobile(&mut b, x),
        "Pooling" => pooling(&mut b, x),
        _ => panic!("golden/training_step.json has a network `{name}` that this test does not know"),
    };
    b.finish(y).expect("the network is valid")
}
