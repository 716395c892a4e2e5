//! Scales and shifts behind layers.

use oculist_graph::{Binary, Node, NodeId, Op, Tensor, ValueId};

use super::rewrite::Rewrite;
use crate::Result;
use crate::edit::has_weight_rows;

/// `Mul`, `Div`, `Add` and `Sub` of a constant for each channel behind a `Conv` or `Gemm` go into its weight and bias.
///
/// # What it does
/// A factor `k[o]` multiplies row `o` of the weight and the bias, a shift is added to the bias; a bias is added where there
/// was none. New constants are made, since other nodes may read the old ones.
///
/// # Applies when
/// Nothing else reads the layer's output, its weight is a constant, and the other operand is a constant f32 number or has
/// one number for each channel and 1 for every other axis.
///
/// # Preserves
/// The function, up to the rounding of the folded parameters to f32.
pub(super) fn fold(rewrite: &mut Rewrite) -> Result<usize> {
    let mut folded = 0;
    for id in 0..rewrite.len() {
        let node = rewrite.node(id).clone();
        let Op::Binary(op) = node.op else { continue };
        let Some((layer, constant)) = layer_and_constant(rewrite, &node, op) else { continue };
        let layer = rewrite.node(layer).clone();
        let Some((weight, bias)) = folded_weights(rewrite, &layer, op, &constant) else { continue };
        let mut inputs = vec![rewrite.input(&layer, 0), rewrite.input(&layer, 1), None];
        if let Some(weight) = weight {
            inputs[1] = Some(rewrite.param(&format!("{}.weight.scaled", layer.name), weight));
        }
        inputs[2] = Some(rewrite.param(&format!("{}.bias.folded", layer.name), bias));
        rewrite.set(id, layer.op, inputs);
        folded += 1;
    }
    Ok(folded)
}

/// The layer that alone feeds a node, and the node's number for each of its channels.
fn layer_and_constant(rewrite: &Rewrite, node: &Node, op: Binary) -> Option<(NodeId, Vec<f32>)> {
    let (a, b) = (rewrite.input(node, 0)?, rewrite.input(node, 1)?);
    let orders: &[(ValueId, ValueId)] = match op {
        Binary::Add | Binary::Mul => &[(a, b), (b, a)],
        Binary::Sub | Binary::Div => &[(a, b)],
        _ => return None,
    };
    orders.iter().find_map(|&(x, c)| {
        let layer = rewrite.only_producer(x)?;
        // A node that came to be a layer in this pass reads constants that the graph does not know as read yet.
        if !has_weight_rows(rewrite.graph(), rewrite.node(layer)) || !rewrite.same_shape(x, node.output()) {
            return None;
        }
        Some((layer, per_channel(rewrite, x, c)?))
    })
}

/// One number for each channel of `x` from a constant that is broadcast to it.
fn per_channel(rewrite: &Rewrite, x: ValueId, constant: ValueId) -> Option<Vec<f32>> {
    let shape = rewrite.shape(x)?;
    let channels = shape.get(1)?;
    let tensor = rewrite.tensor(constant)?;
    let values = tensor.as_f32()?;
    if let [number] = values {
        return Some(vec![*number; channels]);
    }
    // The channels are the axis before the spatial ones.
    let at = tensor.shape().len().checked_sub(shape.rank() - 1)?;
    let fits = tensor.shape().iter().enumerate().all(|(a, &d)| if a == at { d == channels } else { d == 1 });
    fits.then(|| values.to_vec())
}

/// Weight (if it changes) and bias of a layer with the constants in it.
fn folded_weights(
    rewrite: &Rewrite,
    layer: &Node,
    op: Binary,
    c: &[f32],
) -> Option<(Option<Tensor>, Tensor)> {
    let weight = rewrite.tensor(layer.inputs[1])?;
    let old: Vec<f32> = match layer.inputs.get(2) {
        Some(b) => rewrite.floats(b)?.to_vec(),
        None => vec![0.0; c.len()],
    };
    if old.len() != c.len() || weight.shape().first() != Some(&c.len()) {
        return None;
    }
    let bias = |f: &dyn Fn(f32, f32) -> f32| {
        Tensor::f32(&[c.len()], old.iter().zip(c).map(|(&b, &c)| f(b, c)).collect())
    };
    let factor = |f: &dyn Fn(f32) -> f32| -> Option<Tensor> {
        let row = (weight.len() / c.len().max(1)).max(1);
        let values = weight.as_f32()?.iter().enumerate().map(|(i, w)| w * f(c[i / row])).collect();
        Some(Tensor::f32(weight.shape(), values))
    };
    match op {
        Binary::Add => Some((None, bias(&|b, c| b + c))),
        Binary::Sub => Some((None, bias(&|b, c| b - c))),
        Binary::Mul => Some((Some(factor(&|c| c)?), bias(&|b, c| b * c))),
        Binary::Div if c.iter().all(|&c| c != 0.0) => {
            Some((Some(factor(&|c| 1.0 / c)?), bias(&|b, c| b / c)))
        }
        _ => None,
    }
}
