//! Products, rotations, norms and pools.

use oculist_graph::{
    Conv, FusedActivation, FusedConv, FusedGemm, FusedMatMul, Gemm, LpPool, MeanVarianceNormalization,
    Padding, RotaryEmbedding, SkipLayerNormalization, Tensor, TensorData, Window,
};

use super::{check, floats};

#[test]
fn products_of_turned_matrices() {
    let plain = FusedMatMul {
        alpha: 0.7,
        trans_a: false,
        trans_b: false,
        trans_batch_a: false,
        trans_batch_b: false,
    };
    for (trans_a, trans_b) in [(false, false), (false, true), (true, false), (true, true)] {
        let op = FusedMatMul { trans_a, trans_b, ..plain };
        let (a, b): ([usize; 3], [usize; 3]) =
            (if trans_a { [2, 3, 4] } else { [2, 4, 3] }, if trans_b { [1, 2, 3] } else { [1, 3, 2] });
        check(op, vec![floats(1, &a), floats(2, &b)]);
        check(op, vec![floats(1, &a), floats(2, &b[1..])]);
    }
    // [m, batch, k] and [n or k, batch, k or n].
    let op = FusedMatMul { trans_batch_a: true, trans_batch_b: true, ..plain };
    check(op, vec![floats(1, &[4, 2, 3]), floats(2, &[3, 2, 5])]);
    let op = FusedMatMul { trans_b: true, trans_a: true, ..op };
    check(op, vec![floats(1, &[3, 2, 4]), floats(2, &[5, 2, 3])]);
    let deep = FusedMatMul { trans_batch_a: true, ..plain };
    check(deep, vec![floats(1, &[3, 2, 2, 2]), floats(2, &[2, 2, 2, 2])]);
}

#[test]
fn rotated_pairs() {
    let positions = |v: Vec<i64>| Some(Tensor::new(vec![2, 3], TensorData::I64(v)).unwrap());
    for interleaved in [false, true] {
        for rotated in [0, 2] {
            let op = RotaryEmbedding { interleaved, heads: 0, rotated };
            let half = if rotated == 0 { 2 } else { 1 };
            let angles = |seed| floats(seed, &[2, 3, half]);
            check(op, vec![floats(1, &[2, 2, 3, 4]), angles(2), angles(3)]);
            let op = RotaryEmbedding { heads: 2, ..op };
            check(op, vec![floats(1, &[2, 3, 8]), angles(2), angles(3)]);
            // Positions may be named twice.
            let lines = |seed| floats(seed, &[5, half]);
            check(op, vec![floats(1, &[2, 3, 8]), lines(2), lines(3), positions(vec![4, 0, 4, 2, 2, 1])]);
        }
    }
}

#[test]
fn means_and_variances_over_any_axes() {
    for axes in [vec![0, 2, 3], vec![-1], vec![1, 2]] {
        check(MeanVarianceNormalization { axes }, vec![floats(1, &[2, 3, 2, 2])]);
    }
    // Equal elements: the result is 0 and stays 0 to the first order only against the tiny number, so that no
    // difference can be measured; nothing but numbers may come back.
    let x = Tensor::new(vec![3], TensorData::F64(vec![2.0; 3])).unwrap();
    let dy = Tensor::new(vec![3], TensorData::F64(vec![1.0, 1.0, 1.0])).unwrap();
    let op = MeanVarianceNormalization { axes: vec![0] }.into();
    let ctx = oculist_kernels::Context::new(1).unwrap();
    let y = crate::evaluate(&ctx, &op, &[Some(&x)], 1).unwrap();
    let dx = crate::gradient(&ctx, &op, &[Some(&x)], &[Some(&y[0])], &[Some(&dy)], &[true]).unwrap();
    assert_eq!(dx[0].as_ref().unwrap().to_f64s(), [0.0; 3]);
}

#[test]
fn norms_of_windows() {
    for p in [1, 2, 3] {
        for ceil_mode in [false, true] {
            let op = LpPool { window: Window::square(2, 2, 0), ceil_mode, p };
            check(op, vec![floats(1, &[2, 2, 5, 5])]);
        }
        let window = Window {
            kernel: vec![3, 2],
            stride: vec![1, 2],
            padding: Padding::Explicit(vec![1, 0, 1, 1]),
            dilation: vec![2, 1],
        };
        check(LpPool { window, ceil_mode: false, p }, vec![floats(1, &[1, 2, 5, 4])]);
        let line =
            Window { kernel: vec![3], stride: vec![2], padding: Padding::SameUpper, dilation: vec![1] };
        check(LpPool { window: line, ceil_mode: false, p }, vec![floats(1, &[1, 2, 6])]);
    }
}

#[test]
fn layers_with_an_activation_behind() {
    let activations = [
        FusedActivation::Identity,
        FusedActivation::Relu,
        FusedActivation::Tanh,
        FusedActivation::Sigmoid,
        FusedActivation::LeakyRelu(0.2),
        FusedActivation::Clip(-1.0, 1.5),
        FusedActivation::HardSigmoid(0.3, 0.4),
    ];
    for activation in activations {
        let conv = Conv::square(2, 1, 0);
        let inputs = || vec![floats(1, &[1, 2, 3, 3]), floats(2, &[2, 2, 2, 2]), floats(3, &[2])];
        let mut added = inputs();
        added.push(floats(4, &[1, 2, 2, 2]));
        check(FusedConv { conv: conv.clone(), activation }, inputs());
        check(FusedConv { conv, activation }, added);
        let gemm = Gemm { alpha: 0.5, beta: 2.0, trans_a: false, trans_b: true };
        check(FusedGemm { gemm, activation }, vec![floats(1, &[2, 3]), floats(2, &[4, 3]), floats(3, &[4])]);
    }
}

#[test]
fn sums_that_are_normalised() {
    let c = |seed| floats(seed, &[4]);
    let op = SkipLayerNormalization { epsilon: 0.1, simplified: false };
    check(op, vec![floats(1, &[2, 3, 4]), floats(2, &[2, 3, 4]), c(3), c(4), c(5)]);
    check(op, vec![floats(1, &[2, 3, 4]), floats(2, &[1, 3, 4]), c(3), c(4)]);
    check(op, vec![floats(1, &[2, 3, 4]), floats(2, &[3, 4]), c(3)]);
    let op = SkipLayerNormalization { epsilon: 0.1, simplified: true };
    check(op, vec![floats(1, &[2, 3, 4]), floats(2, &[2, 3, 4]), c(3), c(4)]);
    check(op, vec![floats(1, &[2, 3, 4]), floats(2, &[2, 3, 4]), c(3)]);
}

#[test]
fn the_sum_before_the_norm_is_an_output_too() {
    let op = SkipLayerNormalization { epsilon: 0.1, simplified: true }.into();
    let [x, skip] = [1, 2].map(|seed| floats(seed, &[2, 3]).unwrap());
    let (gamma, dy) = (floats(3, &[3]).unwrap(), floats(4, &[2, 3]).unwrap());
    let ctx = oculist_kernels::Context::new(1).unwrap();
    let given = [Some(&x), Some(&skip), Some(&gamma)];
    let y = crate::evaluate(&ctx, &op, &given, 4).unwrap();
    let y: Vec<Option<&Tensor>> = y.iter().map(Some).collect();
    let of = |flows: [Option<&Tensor>; 2]| {
        let flows = [flows[0], None, None, flows[1]];
        crate::gradient(&ctx, &op, &given, &y, &flows, &[true; 3]).unwrap()
    };
    let numbers = |t: &Option<Tensor>| t.as_ref().unwrap().to_f64s();
    let (alone, both) = (of([Some(&dy), None]), of([Some(&dy), Some(&dy)]));
    // The sum passes what flows to it on to both of its terms.
    assert_eq!(of([None, Some(&dy)])[..2], [Some(dy.clone()), Some(dy.clone())]);
    for i in 0..2 {
        let want = numbers(&alone[i]).iter().zip(dy.to_f64s()).map(|(a, b)| a + b).collect::<Vec<_>>();
        assert_eq!(numbers(&both[i]), want);
    }
}
