//! A vision transformer as exporters write it: attention and GELU in single operations.

use anyhow::Result;
use oculist_graph::op::LayerNormalization;
use oculist_graph::{
    Binary, Concat, Conv, DataType, Expand, Gather, Graph, GraphBuilder, MatMul, Plane, Reshape, ShapeOf,
    Softmax, Tensor, TensorData, Transpose, Unary, ValueId,
};

use crate::networks::CLASSES;

/// Channels, blocks, heads and the side of a patch.
const WIDTH: usize = 192;
const BLOCKS: usize = 12;
const HEADS: usize = 3;
const PATCH: usize = 16;

/// ViT-Tiny with a class token; weights are zeros that the formula fills by their names.
///
/// # Source
/// Touvron et al., "Training data-efficient image transformers & distillation through attention", 2021 (DeiT-Ti).
pub(crate) fn vit_tiny((channels, height, width): (usize, usize, usize)) -> Result<Graph> {
    let mut b = GraphBuilder::new("vit_tiny");
    let x = b.input("input", channels, height, width);
    let tokens = (height / PATCH) * (width / PATCH);
    let plane = Plane { kernel: [PATCH; 2], stride: [PATCH; 2], padding: [0; 4], dilation: [1; 2] };
    let y = b.conv("patch", x, WIDTH, Conv::plane(plane, 1), true);
    let y = reshape(&mut b, "flat", y, &[0, WIDTH, tokens]);
    let y = transpose(&mut b, "tokens", y, &[0, 2, 1]);
    // One class token for each image, whose number is read from the input's shape.
    let shape = b.op("shape", ShapeOf::ALL, &[x]);
    let first = ints(&mut b, "first", &[0]);
    let batch = b.op("batch", Gather { axis: 0 }, &[shape, first]);
    let rest = ints(&mut b, "rest", &[1, WIDTH]);
    let shape = b.op("class.shape", Concat { axis: 0 }, &[batch, rest]);
    let class = weight(&mut b, "class.bias", &[1, 1, WIDTH]);
    let class = b.op("class", Expand, &[class, shape]);
    let y = b.op("sequence", Concat { axis: 1 }, &[class, y]);
    let position = weight(&mut b, "position.bias", &[1, tokens + 1, WIDTH]);
    let mut y = b.op("embedded", Binary::Add, &[y, position]);
    for i in 0..BLOCKS {
        y = block(&mut b, &format!("block{i}"), y, tokens + 1);
    }
    let y = layer_norm(&mut b, "norm", y);
    let at = index(&mut b, "class.at", 0);
    let y = b.op("class.token", Gather { axis: 1 }, &[y, at]);
    let y = b.linear("head", y, CLASSES);
    Ok(b.finish(y)?)
}

fn block(b: &mut GraphBuilder, name: &str, x: ValueId, tokens: usize) -> ValueId {
    let named = |part: &str| format!("{name}.{part}");
    let size = WIDTH / HEADS;
    let y = layer_norm(b, &named("norm1"), x);
    let qkv = linear(b, &named("qkv"), y, WIDTH, 3 * WIDTH);
    let qkv = reshape(b, &named("split"), qkv, &[0, tokens, 3, HEADS, size]);
    let qkv = transpose(b, &named("heads"), qkv, &[2, 0, 3, 1, 4]);
    let [q, k, v] = ["q", "k", "v"].map(named);
    let part = |b: &mut GraphBuilder, name: &str, i: i64| {
        let at = index(b, &format!("{name}.at"), i);
        b.op(name, Gather { axis: 0 }, &[qkv, at])
    };
    let (q, k, v) = (part(b, &q, 0), part(b, &k, 1), part(b, &v, 2));
    let k = transpose(b, &named("keys"), k, &[0, 1, 3, 2]);
    let scores = b.op(&named("scores"), MatMul, &[q, k]);
    let factor = b.param(&named("factor"), Tensor::f32(&[], vec![1.0 / (size as f32).sqrt()]));
    let scores = b.op(&named("scaled"), Binary::Mul, &[scores, factor]);
    let scores = b.op(&named("softmax"), Softmax::along(-1), &[scores]);
    let y = b.op(&named("weighted"), MatMul, &[scores, v]);
    let y = transpose(b, &named("back"), y, &[0, 2, 1, 3]);
    let y = reshape(b, &named("joined"), y, &[0, tokens, WIDTH]);
    let y = linear(b, &named("project"), y, WIDTH, WIDTH);
    let x = b.op(&named("residual1"), Binary::Add, &[x, y]);
    let y = layer_norm(b, &named("norm2"), x);
    let y = linear(b, &named("up"), y, WIDTH, 4 * WIDTH);
    let y = gelu(b, &named("gelu"), y);
    let y = linear(b, &named("down"), y, 4 * WIDTH, WIDTH);
    b.op(&named("residual2"), Binary::Add, &[x, y])
}

/// `x * (1 + erf(x / sqrt(2))) * 0.5`.
fn gelu(b: &mut GraphBuilder, name: &str, x: ValueId) -> ValueId {
    let number = |b: &mut GraphBuilder, part: &str, v: f32| {
        b.param(&format!("{name}.{part}"), Tensor::f32(&[], vec![v]))
    };
    let (root, one, half) =
        (number(b, "root", std::f32::consts::SQRT_2), number(b, "one", 1.0), number(b, "half", 0.5));
    let y = b.op(&format!("{name}.div"), Binary::Div, &[x, root]);
    let y = b.op(&format!("{name}.erf"), Unary::Erf, &[y]);
    let y = b.op(&format!("{name}.add"), Binary::Add, &[y, one]);
    let y = b.op(&format!("{name}.mul"), Binary::Mul, &[x, y]);
    b.op(name, Binary::Mul, &[y, half])
}

fn layer_norm(b: &mut GraphBuilder, name: &str, x: ValueId) -> ValueId {
    let gamma = weight(b, &format!("{name}.weight"), &[WIDTH]);
    let beta = weight(b, &format!("{name}.bias"), &[WIDTH]);
    b.op(name, LayerNormalization { axis: -1, epsilon: 1e-6, stash: DataType::F32 }, &[x, gamma, beta])
}

fn linear(b: &mut GraphBuilder, name: &str, x: ValueId, from: usize, to: usize) -> ValueId {
    let w = weight(b, &format!("{name}.weight"), &[from, to]);
    let bias = weight(b, &format!("{name}.bias"), &[to]);
    let y = b.op(&format!("{name}.product"), MatMul, &[x, w]);
    b.op(name, Binary::Add, &[bias, y])
}

fn weight(b: &mut GraphBuilder, name: &str, shape: &[usize]) -> ValueId {
    b.param(name, Tensor::f32(shape, vec![0.0; shape.iter().product()]))
}

fn ints(b: &mut GraphBuilder, name: &str, values: &[usize]) -> ValueId {
    b.param(name, Tensor::ints(values.iter().map(|&v| v as i64).collect()))
}

fn index(b: &mut GraphBuilder, name: &str, i: i64) -> ValueId {
    let Ok(index) = Tensor::new(Vec::new(), TensorData::I64(vec![i])) else { unreachable!("one element") };
    b.param(name, index)
}

fn reshape(b: &mut GraphBuilder, name: &str, x: ValueId, to: &[usize]) -> ValueId {
    let shape = ints(b, &format!("{name}.shape"), to);
    b.op(name, Reshape { allow_zero: false }, &[x, shape])
}

fn transpose(b: &mut GraphBuilder, name: &str, x: ValueId, order: &[i64]) -> ValueId {
    b.op(name, Transpose { order: Some(order.to_vec()) }, &[x])
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_has_the_size_of_deit_tiny() {
        let graph = super::vit_tiny((3, 224, 224)).unwrap();
        let floats = graph.params().filter(|(_, _, t)| t.as_f32().is_some());
        let params: usize = floats.map(|(_, _, t)| t.len()).filter(|&n| n > 1).sum();
        // 5,717,416 with 1,000 classes.
        assert_eq!(params, 5_717_416 - 193 * (1000 - 10));
    }
}
