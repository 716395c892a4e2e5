//! Every operator and every fusion in floats.

use oculist_graph::{
    AveragePool, Binary, Concat, Conv, Dropout, Flatten, GlobalPool, Identity, Op, Plane, Softmax, Unary,
};

use super::{check, context, error, graph, images, planned, reference};
use crate::Isa;

#[test]
fn conv_with_everything_fused() {
    check(&graph(3, 9, 7, |b, x| {
        let y = b.conv("a", x, 20, Conv::square(3, 1, 1), false);
        let y = b.batch_norm("a_norm", y, 1e-5, 0.9);
        let a = b.relu("a_relu", y);
        let y = b.conv("b", a, 20, Conv::square(3, 1, 1), true);
        let y = b.batch_norm("b_norm", y, 1e-5, 0.9);
        let y = b.add("sum", y, a);
        b.op("act", Op::Unary(Unary::HardSwish), &[y])
    }));
}

#[test]
fn residual_block_with_shortcut_convolution() {
    check(&graph(16, 8, 8, |b, x| {
        let y = b.conv("a", x, 33, Conv::square(3, 2, 1), false);
        let y = b.batch_norm("a_norm", y, 1e-5, 0.9);
        let y = b.relu("a_relu", y);
        let y = b.conv("b", y, 33, Conv::square(3, 1, 1), false);
        let y = b.batch_norm("b_norm", y, 1e-5, 0.9);
        let s = b.conv("s", x, 33, Conv::square(1, 2, 0), false);
        let s = b.batch_norm("s_norm", s, 1e-5, 0.9);
        let y = b.add("sum", y, s);
        let y = b.relu("relu", y);
        let y = b.op("pool", Op::GlobalPool(GlobalPool::Average), &[y]);
        let y = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[y]);
        b.linear("fc", y, 10)
    }));
}

#[test]
fn geometry_of_convolutions() {
    for (c_in, conv) in [
        (
            1,
            Conv::plane(Plane { kernel: [5, 3], stride: [2, 1], padding: [2, 0, 1, 2], dilation: [1, 2] }, 1),
        ),
        (6, Conv::square(3, 1, 1).with_groups(2)),
        (6, Conv::square(3, 2, 1).with_groups(6)),
        (18, Conv::square(5, 1, 2).with_groups(18)),
        (18, Conv::square(1, 1, 0)),
    ] {
        check(&graph(c_in, 11, 10, |b, x| {
            let y = b.conv("a", x, 18, conv, true);
            b.op("clip", Op::Unary(Unary::Clip { min: -0.5, max: 0.75 }), &[y])
        }));
    }
}

#[test]
fn flatten_of_a_map_into_linear_layers() {
    check(&graph(5, 4, 3, |b, x| {
        let y = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[x]);
        let y = b.op("drop", Op::Dropout(Dropout { ratio: 0.5 }), &[y]);
        let y = b.linear("fc1", y, 19);
        let y = b.relu("relu", y);
        let y = b.op("drop2", Op::Dropout(Dropout { ratio: 0.5 }), &[y]);
        let y = b.linear("fc2", y, 7);
        b.op("softmax", Op::Softmax(Softmax::along(1)), &[y])
    }));
    // A flattened map that something other than a linear layer reads must be put in order.
    check(&graph(5, 4, 3, |b, x| {
        let f = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[x]);
        let y = b.linear("fc", f, 60);
        let y = b.add("sum", f, y);
        b.op("concat", Op::Concat(Concat::CHANNELS), &[y, f])
    }));
}

#[test]
fn squeeze_and_excitation() {
    check(&graph(3, 8, 9, |b, x| {
        let x = b.conv("a", x, 24, Conv::square(3, 2, 1), true);
        let x = b.op("swish", Op::Unary(Unary::HardSwish), &[x]);
        let g = b.op("pool", Op::GlobalPool(GlobalPool::Average), &[x]);
        let g = b.conv("r", g, 8, Conv::square(1, 1, 0), true);
        let g = b.relu("relu", g);
        let g = b.conv("e", g, 24, Conv::square(1, 1, 0), true);
        let g = b.op("gate", Op::Unary(Unary::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 }), &[g]);
        b.op("scale", Op::Binary(Binary::Mul), &[x, g])
    }));
}

#[test]
fn operators_that_nothing_takes_in() {
    check(&graph(10, 6, 5, |b, x| {
        let n = b.batch_norm("norm", x, 1e-3, 0.9);
        let s = b.op("sigmoid", Op::Unary(Unary::Sigmoid), &[n]);
        let h = b.op("hard", Op::Unary(Unary::HardSigmoid { alpha: 0.2, beta: 0.5 }), &[n]);
        let m = b.op("mul", Op::Binary(Binary::Mul), &[s, h]);
        let a = b.add("sum", m, x);
        let r = b.relu("relu", a);
        let t = b.add("twice", r, r);
        let p = b.pad_channels("pad", t, 3, 9);
        let c = b.op("concat", Op::Concat(Concat::CHANNELS), &[p, x, h]);
        b.op("identity", Op::Identity(Identity), &[c])
    }));
}

#[test]
fn pooling() {
    for count_include_pad in [true, false] {
        check(&graph(17, 9, 8, |b, x| {
            let m = b.max_pool("max", x, 3, 2, 1);
            let plane = Plane { kernel: [3, 2], stride: [2, 2], padding: [1, 0, 1, 0], dilation: [1; 2] };
            let a = AveragePool { window: plane.into(), ceil_mode: false, count_include_pad };
            let a = b.op("avg", a, &[x]);
            b.op("concat", Op::Concat(Concat::CHANNELS), &[m, a])
        }));
    }
}

#[test]
fn a_wrong_weight_is_noticed() {
    let build = |bias: f32| {
        let mut g = graph(4, 6, 6, |b, x| b.conv("a", x, 5, Conv::square(3, 1, 1), true));
        let id = g.find("a.bias").unwrap();
        g.param_mut(id).unwrap().as_f32_mut().unwrap()[4] += bias;
        g
    };
    let good = build(0.0);
    let images = images(&good, 2);
    let want = reference(&good, &images);
    let got = planned(&build(1e-3), &images, 2, context(1, Isa::detect()));
    assert!(error(&got, want.output(0).data()) > 1e-4);
    assert!(error(&vec![0.0; got.len()], want.output(0).data()) > 0.9);
}
