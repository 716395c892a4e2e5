//! Values whose channels come last: the tokens of transformers, and maps in NHWC.

use oculist_graph::op::{Attention, LayerNormalization};
use oculist_graph::{
    Binary, Concat, Conv, DataType, Gather, Graph, GraphBuilder, MatMul, Plane, Reshape, ShapeOf, Slice,
    Softmax, Split, Tensor, TensorData, Transpose, Unary, ValueId,
};
use oculist_testing::formula;

use super::graph;
use super::mixed::{check_against_plain, kinds, options};
use crate::Plan;

fn ints(b: &mut GraphBuilder, name: &str, values: &[i64]) -> ValueId {
    b.param(name, Tensor::ints(values.to_vec()))
}

fn scalar(b: &mut GraphBuilder, name: &str, value: f32) -> ValueId {
    b.param(name, Tensor::f32(&[], vec![value]))
}

fn values(b: &mut GraphBuilder, name: &str, shape: &[usize], scale: f32) -> ValueId {
    let values = formula::tensor(name, shape.iter().product());
    b.param(name, Tensor::f32(shape, values.into_iter().map(|v| v * scale).collect()))
}

fn reshape(b: &mut GraphBuilder, name: &str, x: ValueId, to: &[i64]) -> ValueId {
    let shape = ints(b, &format!("{name}.shape"), to);
    b.op(name, Reshape { allow_zero: false }, &[x, shape])
}

fn transpose(b: &mut GraphBuilder, name: &str, x: ValueId, order: &[i64]) -> ValueId {
    b.op(name, Transpose { order: Some(order.to_vec()) }, &[x])
}

/// A fully connected layer on every row, as exporters write it.
fn linear(b: &mut GraphBuilder, name: &str, x: ValueId, from: usize, to: usize) -> ValueId {
    let w = values(b, &format!("{name}.w"), &[from, to], 0.4);
    let y = b.op(&format!("{name}.product"), MatMul, &[x, w]);
    let bias = values(b, &format!("{name}.b"), &[to], 0.1);
    b.op(name, Binary::Add, &[bias, y])
}

fn layer_norm(b: &mut GraphBuilder, name: &str, x: ValueId, channels: usize) -> ValueId {
    let gamma = values(b, &format!("{name}.gamma"), &[channels], 1.0);
    let beta = values(b, &format!("{name}.beta"), &[channels], 0.2);
    b.op(name, LayerNormalization { axis: -1, epsilon: 1e-6, stash: DataType::F32 }, &[x, gamma, beta])
}

/// 4 x 4 patches of an 8 x 12 image as `[N, 6, channels]`.
fn patches(b: &mut GraphBuilder, x: ValueId, channels: usize) -> ValueId {
    let plane = Plane { kernel: [4; 2], stride: [4; 2], padding: [0; 4], dilation: [1; 2] };
    let y = b.conv("patch", x, channels, Conv::plane(plane, 1), true);
    let y = reshape(b, "flat", y, &[0, channels as i64, -1]);
    transpose(b, "tokens", y, &[0, 2, 1])
}

/// How the scores of an attention are scaled and masked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scores {
    Product,
    Quotient,
    Both,
    Masked,
    MaskedThenScaled,
}

/// Attention as exporters write it, on `[N, 6, channels]`: one product for queries, keys and values, cut by `Gather`.
fn attention(b: &mut GraphBuilder, x: ValueId, channels: usize, heads: usize, scores: Scores) -> ValueId {
    let size = channels / heads;
    let qkv = linear(b, "qkv", x, channels, 3 * channels);
    let qkv = reshape(b, "split", qkv, &[0, 6, 3, heads as i64, size as i64]);
    let qkv = transpose(b, "heads", qkv, &[2, 0, 3, 1, 4]);
    let mut parts = [qkv; 3];
    for (i, part) in parts.iter_mut().enumerate() {
        let at = b.param(&format!("at{i}"), Tensor::new(vec![], TensorData::I64(vec![i as i64])).unwrap());
        *part = b.op(&format!("part{i}"), Gather { axis: 0 }, &[qkv, at]);
    }
    let [mut q, k, v] = parts;
    let mut k = transpose(b, "keys", k, &[0, 1, 3, 2]);
    if scores == Scores::Both {
        let root = scalar(b, "root", 0.6);
        q = b.op("q.scaled", Binary::Mul, &[q, root]);
        k = b.op("k.scaled", Binary::Mul, &[root, k]);
    }
    let mut s = b.op("scores", MatMul, &[q, k]);
    let factor = scalar(b, "factor", if scores == Scores::Quotient { 2.5 } else { 0.4 });
    let mask = values(b, "mask", &[1, heads, 6, 6], 2.0);
    match scores {
        Scores::Product => s = b.op("scaled", Binary::Mul, &[s, factor]),
        Scores::Quotient => s = b.op("scaled", Binary::Div, &[s, factor]),
        Scores::Both => {}
        Scores::Masked => {
            s = b.op("scaled", Binary::Mul, &[s, factor]);
            s = b.op("masked", Binary::Add, &[s, mask]);
        }
        Scores::MaskedThenScaled => {
            s = b.op("masked", Binary::Add, &[s, mask]);
            s = b.op("scaled", Binary::Mul, &[s, factor]);
        }
    }
    let s = b.op("softmax", Softmax::along(-1), &[s]);
    let y = b.op("weighted", MatMul, &[s, v]);
    let y = transpose(b, "back", y, &[0, 2, 1, 3]);
    reshape(b, "joined", y, &[0, 6, channels as i64])
}

/// One block of a vision transformer and its classifier.
fn block(b: &mut GraphBuilder, x: ValueId, channels: usize, heads: usize, scores: Scores) -> ValueId {
    let x = patches(b, x, channels);
    let y = layer_norm(b, "norm1", x, channels);
    let y = attention(b, y, channels, heads, scores);
    let y = linear(b, "project", y, channels, channels);
    let x = b.op("residual1", Binary::Add, &[x, y]);
    let y = layer_norm(b, "norm2", x, channels);
    let y = linear(b, "up", y, channels, 4 * channels);
    let y = b.op("gelu", Unary::Gelu { tanh: false }, &[y]);
    let y = linear(b, "down", y, 4 * channels, channels);
    let x = b.op("residual2", Binary::Add, &[x, y]);
    let token = b.param("token", Tensor::new(vec![], TensorData::I64(vec![-2])).unwrap());
    let y = b.op("class", Gather { axis: 1 }, &[x, token]);
    b.linear("head", y, 5)
}

#[test]
fn a_transformer_runs_without_plain_steps() {
    for scores in [Scores::Product, Scores::Quotient, Scores::Both, Scores::Masked] {
        let kinds = check_against_plain(&graph(3, 8, 12, |b, x| block(b, x, 32, 2, scores)), 2);
        let want = [
            "to NHWC",
            "conv",
            "layer norm",
            "conv",
            "attention",
            "conv",
            "layer norm",
            "conv",
            "function",
            "conv",
            "pick pixels",
            "conv",
        ];
        assert_eq!(kinds, want, "{scores:?}");
    }
}

#[test]
fn attention_that_the_kernel_does_not_know_runs_plain() {
    // Rows with gaps, heads whose result has gaps, and a mask that is scaled.
    for (channels, scores) in [(24, Scores::Product), (20, Scores::Masked), (32, Scores::MaskedThenScaled)] {
        let kinds = check_against_plain(&graph(3, 8, 12, |b, x| block(b, x, channels, 2, scores)), 3);
        assert!(
            !kinds.contains(&"attention") && kinds.contains(&"layer norm"),
            "{channels} {scores:?} {kinds:?}"
        );
    }
}

#[test]
fn scores_that_are_read_elsewhere_stay() {
    let g = graph(3, 8, 12, |b, x| {
        let x = patches(b, x, 32);
        let y = attention(b, x, 32, 2, Scores::Product);
        let y = reshape(b, "logits", y, &[0, 192]);
        // The keys once more, for somebody else.
        let keys = b.op("keys.more", Unary::Tanh, &[x]);
        let keys = reshape(b, "keys.flat", keys, &[0, 192]);
        b.op("sum", Binary::Add, &[y, keys])
    });
    assert!(check_against_plain(&g, 2).contains(&"attention"));
}

#[test]
fn queries_keys_and_values_of_products_of_their_own() {
    let g = graph(3, 8, 12, |b, x| {
        let x = patches(b, x, 48);
        let mut parts = [x; 3];
        for (part, name) in parts.iter_mut().zip(["q", "k", "v"]) {
            let y = linear(b, name, x, 48, 48);
            let y = reshape(b, &format!("{name}.heads"), y, &[0, 6, 3, 16]);
            *part = transpose(b, &format!("{name}.order"), y, &[0, 2, 1, 3]);
        }
        let [q, k, v] = parts;
        let k = transpose(b, "kt", k, &[0, 1, 3, 2]);
        let s = b.op("scores", MatMul, &[q, k]);
        let s = b.op("softmax", Softmax::along(3), &[s]);
        let s = b.op("dropout", oculist_graph::op::Identity, &[s]);
        let y = b.op("weighted", MatMul, &[s, v]);
        let y = transpose(b, "back", y, &[0, 2, 1, 3]);
        // Rows of all images in one axis, as some exporters write it.
        let y = reshape(b, "rows", y, &[-1, 48]);
        let y = linear(b, "project", y, 48, 32);
        reshape(b, "images", y, &[-1, 6, 32])
    });
    let kinds = check_against_plain(&g, 3);
    assert!(kinds.contains(&"attention") && !kinds.contains(&"plain"), "{kinds:?}");
}

#[test]
fn attention_as_an_operator() {
    let op = |heads: usize, kv_heads: usize, causal: bool, scale: Option<f32>| Attention {
        heads: Some(heads),
        kv_heads: Some(kv_heads),
        causal,
        scale,
        ..Attention::PLAIN
    };
    // Heads of 16: several for each key, causal, a scale.
    for op in [op(2, 2, false, None), op(4, 2, true, None), op(4, 1, false, Some(0.3))] {
        let g = graph(3, 8, 12, |b, x| {
            let x = patches(b, x, 32);
            let q = linear(b, "q", x, 32, 16 * op.heads.unwrap());
            let k = linear(b, "k", x, 32, 16 * op.kv_heads.unwrap());
            let v = linear(b, "v", x, 32, 16 * op.kv_heads.unwrap());
            let y = b.op("attention", op, &[q, k, v]);
            layer_norm(b, "norm", y, 16 * op.heads.unwrap())
        });
        let kinds = check_against_plain(&g, 2);
        assert!(kinds.contains(&"attention") && !kinds.contains(&"plain"), "{kinds:?}");
    }
}

#[test]
fn a_map_that_the_network_keeps_in_nhwc() {
    // ConvNeXt's block: layer normalisation and two products between transposes that move nothing.
    let g = graph(20, 6, 5, |b, x| {
        let y = b.conv("depthwise", x, 20, Conv { groups: 20, ..Conv::square(3, 1, 1) }, true);
        let y = transpose(b, "nhwc", y, &[0, 2, 3, 1]);
        let y = layer_norm(b, "norm", y, 20);
        let y = linear(b, "up", y, 20, 40);
        let y = b.op("gelu", Unary::Gelu { tanh: true }, &[y]);
        let y = linear(b, "down", y, 40, 20);
        let gamma = values(b, "scale", &[20], 1.0);
        let y = b.op("scaled", Binary::Mul, &[y, gamma]);
        let y = transpose(b, "nchw", y, &[0, 3, 1, 2]);
        b.op("residual", Binary::Add, &[x, y])
    });
    let kinds = check_against_plain(&g, 3);
    assert_eq!(kinds.iter().filter(|k| k.contains("plain") || k.contains("rows")).count(), 0, "{kinds:?}");
}

#[test]
fn windows_are_rows_of_more_samples() {
    // As in Swin: 2 x 2 windows of 6 x 4 tokens; cutting them moves elements, what is computed on them does not.
    let g = graph(16, 6, 4, |b, x| {
        let y = transpose(b, "nhwc", x, &[0, 2, 3, 1]);
        let y = reshape(b, "cut", y, &[-1, 3, 2, 2, 2, 16]);
        let y = transpose(b, "together", y, &[0, 1, 3, 2, 4, 5]);
        let y = reshape(b, "windows", y, &[-1, 4, 16]);
        let y = layer_norm(b, "norm", y, 16);
        let y = linear(b, "product", y, 16, 48);
        let y = b.op("relu", Unary::Relu, &[y]);
        let y = linear(b, "less", y, 48, 16);
        let y = reshape(b, "apart", y, &[-1, 3, 2, 2, 2, 16]);
        let y = transpose(b, "order", y, &[0, 1, 3, 2, 4, 5]);
        let y = reshape(b, "map", y, &[-1, 6, 4, 16]);
        transpose(b, "nchw", y, &[0, 3, 1, 2])
    });
    let kinds = check_against_plain(&g, 2);
    let conv = kinds.iter().position(|k| *k == "conv").expect("a product in the layout");
    assert_eq!(kinds[conv - 1..=conv + 1], ["layer norm", "conv", "conv"], "{kinds:?}");
}

#[test]
fn channels_in_the_last_axis_are_cut_and_joined() {
    let g = graph(3, 8, 12, |b, x| {
        let x = patches(b, x, 40);
        let x = linear(b, "wide", x, 40, 40);
        let parts = b.op("parts", Split { axis: -1, parts: Some(1) }, &[x]);
        let from = ints(b, "from", &[8]);
        let to = ints(b, "to", &[28]);
        let axes = ints(b, "axes", &[2]);
        let y = b.op("slice", Slice, &[x, from, to, axes]);
        let s = b.op("softmax", Softmax::along(-1), &[y]);
        let y = b.op("joined", Concat { axis: 2 }, &[y, s, parts]);
        linear(b, "out", y, 80, 7)
    });
    let kinds = check_against_plain(&g, 3);
    assert!(!kinds.contains(&"plain"), "{kinds:?}");
}

#[test]
fn rows_of_few_channels() {
    let g = graph(3, 8, 12, |b, x| {
        let y = reshape(b, "pixels", x, &[0, 3, 96]);
        let y = transpose(b, "rows", y, &[0, 2, 1]);
        let y = linear(b, "a", y, 3, 5);
        let y = layer_norm(b, "norm", y, 5);
        linear(b, "b", y, 5, 2)
    });
    let kinds = check_against_plain(&g, 2);
    assert!(!kinds.contains(&"plain"), "{kinds:?}");
}

#[test]
fn rank_four_with_heads_is_no_map() {
    // `[N, T, heads, size]` is taken for a map as long as nothing is known; joining its last axes must not move anything.
    let g = graph(3, 8, 12, |b, x| {
        let x = patches(b, x, 32);
        let y = reshape(b, "heads", x, &[0, 6, 2, 16]);
        let y = b.op("tanh", Unary::Tanh, &[y]);
        let y = transpose(b, "order", y, &[0, 2, 1, 3]);
        let y = b.op("abs", Unary::Abs, &[y]);
        let y = transpose(b, "back", y, &[0, 2, 1, 3]);
        let y = reshape(b, "joined", y, &[0, 6, 32]);
        linear(b, "out", y, 32, 16)
    });
    check_against_plain(&g, 2);
}

#[test]
fn tokens_are_observed_in_the_graphs_order() {
    let g = graph(3, 8, 12, |b, x| block(b, x, 32, 2, Scores::Product));
    let value =
        |name: &str| g.nodes().iter().find(|n| n.name == name).map(oculist_graph::Node::output).unwrap();
    let seen = [value("tokens"), value("qkv"), value("joined"), value("residual1")];
    let images = formula::tensor("input", 2 * 3 * 8 * 12);
    let mut marked = g.clone();
    marked.set_outputs(seen.to_vec());
    let input = Tensor::f32(&[2, 3, 8, 12], images.clone());
    let want = oculist_plain::run(&super::context(1, crate::Isa::detect()), &marked, vec![input]).unwrap();
    let options = options(2).with_observed(seen.to_vec());
    let mut plan = Plan::new(&g, &options).unwrap();
    assert!(kinds(&plan).contains(&"attention"));
    let mut logits = vec![0.0; 2 * plan.output_len()];
    let mut count = 0;
    plan.run_observed(&images, &mut logits, &mut |observed| {
        let i = seen.iter().position(|v| *v == observed.value).unwrap();
        let want: Vec<f64> = want[i].as_f32().unwrap().iter().map(|&v| f64::from(v)).collect();
        let got: Vec<f32> = observed.pixels().flatten().copied().collect();
        assert!(super::error(&got, &want) < 2e-5, "{}", g.value(seen[i]).name);
        count += 1;
    })
    .unwrap();
    assert_eq!(count, 4);
}

#[test]
fn the_batch_is_read_from_the_shape() {
    // As exporters write it: the first size of the shape in front of two constants; 24 channels leave gaps between rows.
    let g: Graph = graph(3, 8, 8, |b, x| {
        let plane = Plane { kernel: [4; 2], stride: [4; 2], padding: [0; 4], dilation: [1; 2] };
        let y = b.conv("patch", x, 24, Conv::plane(plane, 1), true);
        let shape = b.op("shape", ShapeOf::ALL, &[y]);
        let first = ints(b, "first", &[0]);
        let batch = b.op("batch", Gather { axis: 0 }, &[shape, first]);
        let rest = ints(b, "rest", &[24, -1]);
        let shape = b.op("sizes", Concat { axis: 0 }, &[batch, rest]);
        let y = b.op("flat", Reshape { allow_zero: false }, &[y, shape]);
        let y = transpose(b, "tokens", y, &[0, 2, 1]);
        let w = values(b, "q", &[24, 24], 1.0);
        let q = b.op("query", MatMul, &[y, w]);
        let k = transpose(b, "keys", y, &[0, 2, 1]);
        let a = b.op("scores", MatMul, &[q, k]);
        let a = b.op("softmax", Softmax::along(-1), &[a]);
        let z = b.op("values", MatMul, &[a, y]);
        let y = b.op("residual", Binary::Add, &[y, z]);

        reshape(b, "logits", y, &[0, 96])
    });
    let kinds = check_against_plain(&g, 2);
    // Neither shape arithmetic nor the way to tokens is a step.
    assert_eq!(kinds[..3], ["to NHWC", "conv", "conv"], "{kinds:?}");
}

/// Whether a graph that reshapes an image agrees with the plain kernels.
fn check_image(c: usize, h: usize, w: usize, build: impl FnOnce(&mut GraphBuilder, ValueId) -> ValueId) {
    check_against_plain(&graph(c, h, w, build), 2);
}

#[test]
fn windows_see_the_height_and_width_of_the_graph() {
    check_image(3, 8, 8, |b, x| {
        let y = reshape(b, "other", x, &[0, 3, 4, 16]);
        b.conv("conv", y, 10, Conv::square(3, 1, 1), true)
    });
    check_image(20, 8, 8, |b, x| {
        let y = reshape(b, "other", x, &[0, 20, 4, 16]);
        b.max_pool("pool", y, 2, 2, 0)
    });
    check_image(3, 8, 8, |b, x| {
        let y = linear(b, "rows", x, 8, 1);
        let y = transpose(b, "map", y, &[0, 3, 1, 2]);
        b.conv("conv", y, 3, Conv::square(3, 1, 1), true)
    });
    // Tokens back to a map: behind attention, and behind rows that were plain.
    check_image(3, 8, 12, |b, x| {
        let y = patches(b, x, 32);
        let y = attention(b, y, 32, 2, Scores::Product);
        let y = transpose(b, "channels", y, &[0, 2, 1]);
        let y = reshape(b, "map", y, &[0, 32, 2, 3]);
        b.conv("conv", y, 16, Conv::square(3, 1, 1), true)
    });
    check_image(3, 8, 12, |b, x| {
        let y = patches(b, x, 16);
        let position = values(b, "position", &[1, 6, 16], 1.0);
        let y = b.op("placed", Binary::Add, &[y, position]);
        let y = layer_norm(b, "norm", y, 16);
        let y = transpose(b, "channels", y, &[0, 2, 1]);
        let y = reshape(b, "map", y, &[0, 16, 2, 3]);
        b.max_pool("pool", y, 2, 1, 0)
    });
}

#[test]
fn what_was_flattened_is_put_in_order_before_it_becomes_rows() {
    for norm in [false, true] {
        check_image(3, 8, 8, |b, x| {
            let y = b.op("flat", oculist_graph::Flatten::IMAGES, &[x]);
            let y = reshape(b, "rows", y, &[0, 1, 192]);
            if norm { layer_norm(b, "norm", y, 192) } else { linear(b, "linear", y, 192, 10) }
        });
    }
    check_image(3, 8, 8, |b, x| {
        let y = reshape(b, "pixel", x, &[0, 192, 1, 1]);
        b.conv("conv", y, 10, Conv::square(1, 1, 0), true)
    });
    check_image(3, 8, 8, |b, x| {
        let y = b.conv("conv", x, 16, Conv::square(3, 1, 1), true);
        let y = b.relu("relu", y);
        let y = reshape(b, "pixel", y, &[0, 1024, 1, 1]);
        let bias = values(b, "bias", &[1, 1024, 1, 1], 1.0);
        b.op("sum", Binary::Add, &[y, bias])
    });
}
