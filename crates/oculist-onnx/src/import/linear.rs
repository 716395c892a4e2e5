//! The fully connected layer, written as `Gemm` or as `MatMul` and `Add`.

use oculist_graph::{Op, Tensor, ValueId};

use crate::error::OnnxError;
use crate::import::Importer;
use crate::import::node::NodeContext;
use crate::import::values::Binding;

pub(super) fn gemm(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.at_most(3)?;
    for name in ["alpha", "beta"] {
        let factor = node.float(name, 1.0)?;
        if factor != 1.0 {
            return Err(node.error(format!("{name} is {factor}, supported is 1")));
        }
    }
    node.expect_int("transA", 0, 0)?;
    let transposed = node.int("transB", 0)? != 0;
    let x = importer.activation(node, 0)?;
    let w = if transposed { importer.value(node, 1)? } else { transposed_weight(importer, node)? };
    let mut inputs = vec![x, w];
    if node.input(2).is_some() {
        inputs.push(match importer.binding(node, 2)? {
            Binding::Constant(_) => bias(importer, node, 2)?,
            _ => importer.value(node, 2)?,
        });
    }
    importer.emit(node, Op::Gemm, inputs)?;
    Ok(())
}

pub(super) fn matmul(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.at_most(2)?;
    let x = importer.activation(node, 0)?;
    let w = transposed_weight(importer, node)?;
    importer.emit(node, Op::Gemm, vec![x, w])?;
    Ok(())
}

/// The sum of two activations, or the bias of the fully connected layer in front.
pub(super) fn add(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.at_most(2)?;
    let first = matches!(importer.binding(node, 0)?, Binding::Constant(_));
    let second = matches!(importer.binding(node, 1)?, Binding::Constant(_));
    if !first && !second {
        let inputs = vec![importer.activation(node, 0)?, importer.activation(node, 1)?];
        importer.emit(node, Op::Add, inputs)?;
        return Ok(());
    }
    let (x_position, bias_position) = if first { (1, 0) } else { (0, 1) };
    let x = importer.activation(node, x_position)?;
    let sole_reader = importer.uses.get(node.required(x_position)?) == Some(&1);
    let layer = importer.producers.get(&x).copied();
    let open = layer.filter(|&l| {
        let n = &importer.graph.nodes()[l];
        n.op == Op::Gemm && n.inputs.len() == 2
    });
    match open {
        Some(layer) if sole_reader => {
            let bias = bias(importer, node, bias_position)?;
            importer.graph.nodes_mut()[layer].inputs.push(bias);
            importer.alias(node, Binding::Value(x))
        }
        _ => Err(node.error(
            "a constant is added; supported are the sum of two activations and a bias behind a MatMul that \
             nothing else reads",
        )),
    }
}

/// The weight `[in, out]` of input 1 as the graph wants it: `[out, in]`.
fn transposed_weight(importer: &mut Importer, node: &NodeContext) -> Result<ValueId, OnnxError> {
    let weight = importer.constant(node, 1)?;
    let (&[rows, columns], Some(data)) = (weight.shape(), weight.as_f32()) else {
        return Err(node.error(format!(
            "expected a weight of floats with 2 dimensions, found {} of shape {:?}",
            weight.dtype().name(),
            weight.shape()
        )));
    };
    let mut transposed = Vec::with_capacity(data.len());
    for column in 0..columns {
        transposed.extend((0..rows).map(|row| data[row * columns + column]));
    }
    let tensor = Tensor::f32(&[columns, rows], transposed);
    importer.rearranged(node, 1, tensor)
}

/// A bias; `[1, out]` means the same as `[out]`.
fn bias(importer: &mut Importer, node: &NodeContext, i: usize) -> Result<ValueId, OnnxError> {
    let tensor = importer.constant(node, i)?;
    match (tensor.shape(), tensor.as_f32()) {
        (&[_], Some(_)) => importer.value(node, i),
        (&[1, out], Some(data)) => {
            let tensor = Tensor::f32(&[out], data.to_vec());
            importer.rearranged(node, i, tensor)
        }
        (shape, _) => Err(node.error(format!(
            "expected a bias of floats with 1 dimension, found {} of shape {shape:?}",
            tensor.dtype().name()
        ))),
    }
}
