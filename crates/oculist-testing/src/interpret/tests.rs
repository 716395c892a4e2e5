//! Values worked out by hand; ONNX Runtime checks the same loops in the tests of `oculist-onnx`.

use oculist_graph::{
    AveragePool, Binary, Conv, DataType, GlobalPool, GraphBuilder, MaxPool, Op, Plane, QuantizeLinear,
    Tensor, Unary,
};

use super::{Array, run};

fn one_node(op: Op, c: usize, h: usize, w: usize, params: Vec<Tensor>, x: &[f64]) -> Array {
    let mut b = GraphBuilder::new("one");
    let input = b.input("input", c, h, w);
    let mut inputs = vec![input];
    for (i, tensor) in params.into_iter().enumerate() {
        inputs.push(b.param(&format!("p{i}"), tensor));
    }
    let out = b.op("node", op, &inputs);
    let graph = b.finish(out).expect("a valid graph");
    run(&graph, &[Array::new(&[x.len() / (c * h * w), c, h, w], x.to_vec())]).output(0).clone()
}

#[test]
fn convolution_with_stride_padding_and_bias() {
    let x: Vec<f64> = (1..=9).map(f64::from).collect();
    let plane = Plane { kernel: [2, 2], stride: [2, 1], padding: [1, 0, 0, 1], dilation: [1, 1] };
    let conv = Conv::plane(plane, 1);
    let w = Tensor::f32(&[1, 1, 2, 2], vec![1.0, 10.0, 100.0, 1000.0]);
    let y = one_node(Op::Conv(conv), 1, 3, 3, vec![w, Tensor::f32(&[1], vec![0.5])], &x);
    assert_eq!(y.shape(), &[1, 1, 2, 3]);
    // Row 0 of windows lies half on the top padding, its last window half on the right padding.
    let first = [1.0 * 100.0 + 2.0 * 1000.0, 2.0 * 100.0 + 3.0 * 1000.0, 3.0 * 100.0];
    let second = [
        4.0 + 5.0 * 10.0 + 7.0 * 100.0 + 8.0 * 1000.0,
        5.0 + 6.0 * 10.0 + 8.0 * 100.0 + 9.0 * 1000.0,
        6.0 + 9.0 * 100.0,
    ];
    let want: Vec<f64> = first.iter().chain(&second).map(|v| v + 0.5).collect();
    assert_eq!(y.data(), want);
}

#[test]
fn grouped_convolution_reads_its_own_channels() {
    let w = Tensor::f32(&[4, 1, 1, 1], vec![1.0, 2.0, 3.0, 4.0]);
    let y = one_node(Op::Conv(Conv::square(1, 1, 0).with_groups(2)), 2, 1, 1, vec![w], &[10.0, 100.0]);
    assert_eq!(y.data(), [10.0, 20.0, 300.0, 400.0]);
}

#[test]
fn pooling_treats_padding_by_its_rule() {
    let x = [-1.0, -2.0, -3.0, -4.0];
    let max = one_node(Op::MaxPool(MaxPool::square(2, 1, 1)), 1, 2, 2, vec![], &x);
    assert_eq!(max.data(), [-1.0, -1.0, -2.0, -1.0, -1.0, -2.0, -3.0, -3.0, -4.0]);
    let with = one_node(Op::AveragePool(AveragePool::square(2, 1, 1, true)), 1, 2, 2, vec![], &x);
    assert_eq!(with.data()[..2], [-0.25, -0.75]);
    let without = one_node(Op::AveragePool(AveragePool::square(2, 1, 1, false)), 1, 2, 2, vec![], &x);
    assert_eq!(without.data()[..2], [-1.0, -1.5]);
}

#[test]
fn quantisation_rounds_half_to_even_and_saturates() {
    let x = [0.25, 0.75, 1.25, -0.25, 100.0, -100.0];
    let params = vec![Tensor::f32(&[], vec![0.5]), Tensor::u8(&[], vec![3])];
    let q = one_node(
        Op::QuantizeLinear(QuantizeLinear { axis: 1, block: 0, dtype: DataType::U8 }),
        6,
        1,
        1,
        params,
        &x,
    );
    assert_eq!(q.data(), [3.0, 5.0, 5.0, 3.0, 203.0, 0.0]);
    let per_channel = vec![Tensor::f32(&[2], vec![1.0, 0.1]), Tensor::i8(&[2], vec![0, -1])];
    let q = one_node(
        Op::QuantizeLinear(QuantizeLinear { axis: 1, block: 0, dtype: DataType::I8 }),
        2,
        1,
        1,
        per_channel,
        &[200.0, 0.5],
    );
    assert_eq!(q.data(), [127.0, 4.0]);
}

#[test]
fn hard_swish_is_x_times_its_gate() {
    let y = one_node(Op::Unary(Unary::HardSwish), 4, 1, 1, vec![], &[-4.0, -1.0, 1.0, 5.0]);
    assert_eq!(y.data()[0], 0.0);
    assert!((y.data()[1] + 1.0 / 3.0).abs() < 1e-15);
    assert!((y.data()[2] - 2.0 / 3.0).abs() < 1e-15);
    assert_eq!(y.data()[3], 5.0);
}

#[test]
fn a_gate_is_broadcast_over_height_and_width() {
    let mut b = GraphBuilder::new("gate");
    let x = b.input("input", 2, 1, 2);
    let gate = b.op("pool", Op::GlobalPool(GlobalPool::Average), &[x]);
    let y = b.op("mul", Op::Binary(Binary::Mul), &[x, gate]);
    let graph = b.finish(y).expect("a valid graph");
    let r = run(&graph, &[Array::new(&[1, 2, 1, 2], vec![1.0, 3.0, 10.0, 30.0])]);
    assert_eq!(r.output(0).data(), [2.0, 6.0, 200.0, 600.0]);
    assert_eq!(r.get(graph.nodes()[0].output()).data(), [2.0, 20.0]);
}

#[test]
#[should_panic(expected = "value `input`: expected shape [N, 2, 1, 1], found [1, 1, 2, 1]")]
fn a_wrong_shape_is_refused() {
    let mut b = GraphBuilder::new("shape");
    let x = b.input("input", 2, 1, 1);
    let y = b.relu("relu", x);
    let graph = b.finish(y).expect("a valid graph");
    run(&graph, &[Array::zeros(&[1, 1, 2, 1])]);
}
