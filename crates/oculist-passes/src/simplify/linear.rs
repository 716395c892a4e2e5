//! Fully connected layers.

use std::collections::HashMap;

use oculist_graph::{Binary, Gemm, Node, NodeId, Op, Tensor, ValueId};

use super::rewrite::Rewrite;
use crate::Result;

/// `MatMul` with a constant matrix and `Gemm` in any form become `x * w^T + b` with a row of `w` for each output.
///
/// # What it does
/// Transposes the constant, multiplies `alpha` and `beta` into weight and bias, and takes an `Add` of a constant vector
/// behind the product in as its bias. A matrix that several nodes read is transposed once.
///
/// # Applies when
/// The first operand is a value `[N, in]` and the second a constant f32 matrix.
///
/// # Preserves
/// The function; exactly where `alpha` and `beta` are 1.
pub(super) fn recognise(rewrite: &mut Rewrite) -> Result<usize> {
    let mut found = 0;
    let mut transposed = HashMap::new();
    for id in 0..rewrite.len() {
        let node = rewrite.node(id).clone();
        found += usize::from(match &node.op {
            Op::MatMul(_) => matmul(rewrite, id, &node, &mut transposed),
            Op::Gemm(gemm) if *gemm != Gemm::LINEAR => general(rewrite, id, &node, *gemm, &mut transposed),
            Op::Binary(Binary::Add) => bias(rewrite, id, &node),
            _ => false,
        });
    }
    Ok(found)
}

/// Constants and the matrices with their axes exchanged, by what they were made of and their factor.
type Transposed = HashMap<(ValueId, u32), ValueId>;

/// The matrix `[in, out]` as `[out, in]`, times a factor.
fn rows_of(rewrite: &mut Rewrite, w: ValueId, factor: f32, transposed: &mut Transposed) -> Option<ValueId> {
    let w = rewrite.resolve(w);
    if let Some(known) = transposed.get(&(w, factor.to_bits())) {
        return Some(*known);
    }
    let tensor = rewrite.tensor(w)?;
    let (&[rows, columns], Some(values)) = (tensor.shape(), tensor.as_f32()) else { return None };
    // An operand may hold numbers that are not finite, a weight may not.
    if !values.iter().all(|v| (v * factor).is_finite()) {
        return None;
    }
    let mut out = vec![0.0; values.len()];
    for (i, row) in values.chunks_exact(columns.max(1)).enumerate() {
        for (j, &x) in row.iter().enumerate() {
            out[j * rows + i] = x * factor;
        }
    }
    let name = rewrite.graph().value(w).name.clone();
    let id = rewrite.param(&format!("{name}.rows"), Tensor::f32(&[columns, rows], out));
    transposed.insert((w, factor.to_bits()), id);
    Some(id)
}

fn is_rows(rewrite: &Rewrite, x: ValueId) -> bool {
    rewrite.shape(x).is_some_and(|s| s.rank() == 2) && rewrite.tensor(x).is_none()
}

fn matmul(rewrite: &mut Rewrite, id: NodeId, node: &Node, transposed: &mut Transposed) -> bool {
    let (Some(x), Some(w)) = (rewrite.input(node, 0), rewrite.input(node, 1)) else { return false };
    if !is_rows(rewrite, x) {
        return false;
    }
    let Some(w) = rows_of(rewrite, w, 1.0, transposed) else { return false };
    rewrite.set(id, Gemm::LINEAR, [x, w]);
    true
}

fn general(rewrite: &mut Rewrite, id: NodeId, node: &Node, gemm: Gemm, transposed: &mut Transposed) -> bool {
    let (Some(x), Some(w)) = (rewrite.input(node, 0), rewrite.input(node, 1)) else { return false };
    if gemm.trans_a || !is_rows(rewrite, x) || rewrite.floats(w).is_none() {
        return false;
    }
    let bias = match rewrite.input(node, 2) {
        None => None,
        Some(b) => {
            // A bias for each output: a vector, or one row.
            let outputs = rewrite.shape(node.output()).and_then(|s| s.get(1));
            let Some(tensor) = rewrite.tensor(b) else { return false };
            let (Some(values), true) =
                (tensor.as_f32(), outputs == Some(tensor.len()) && tensor.shape().last() == outputs.as_ref())
            else {
                return false;
            };
            if gemm.beta == 1.0 && tensor.shape().len() == 1 {
                Some(b)
            } else {
                let values: Vec<f32> = values.iter().map(|v| v * gemm.beta).collect();
                let name = rewrite.graph().value(b).name.clone();
                Some(rewrite.param(&format!("{name}.vector"), Tensor::f32(&[values.len()], values)))
            }
        }
    };
    let weight = if !gemm.trans_b {
        rows_of(rewrite, w, gemm.alpha, transposed)
    } else if gemm.alpha == 1.0 {
        Some(w)
    } else {
        let scaled = rewrite.tensor(w).and_then(|t| {
            let values = t.as_f32()?.iter().map(|v| v * gemm.alpha).collect();
            Some(Tensor::f32(t.shape(), values))
        });
        let name = rewrite.graph().value(w).name.clone();
        scaled.map(|tensor| rewrite.param(&format!("{name}.scaled"), tensor))
    };
    let Some(weight) = weight else { return false };
    rewrite.set(id, Gemm::LINEAR, vec![Some(x), Some(weight), bias]);
    true
}

/// An addition of a constant vector behind a layer without bias, which nothing else reads.
fn bias(rewrite: &mut Rewrite, id: NodeId, node: &Node) -> bool {
    for (x, b) in [(0, 1), (1, 0)] {
        let (Some(x), Some(b)) = (rewrite.input(node, x), rewrite.input(node, b)) else { return false };
        let Some(layer) = rewrite.only_producer(x) else { continue };
        let layer = rewrite.node(layer).clone();
        if layer.op != Op::Gemm(Gemm::LINEAR) || layer.inputs.len() != 2 {
            continue;
        }
        let outputs = rewrite.shape(node.output()).and_then(|s| s.get(1));
        let Some(tensor) = rewrite.tensor(b) else { continue };
        if tensor.as_f32().is_none()
            || outputs != Some(tensor.len())
            || tensor.shape().last() != outputs.as_ref()
        {
            continue;
        }
        let b = if tensor.shape().len() == 1 {
            b
        } else {
            let Ok(vector) = tensor.reshaped(vec![tensor.len()]) else { continue };
            let name = rewrite.graph().value(b).name.clone();
            rewrite.param(&format!("{name}.vector"), vector)
        };
        // The addition's node becomes the layer: its output keeps its name.
        rewrite.set(id, Gemm::LINEAR, vec![rewrite.input(&layer, 0), rewrite.input(&layer, 1), Some(b)]);
        return true;
    }
    false
}
