//! What is known before the graph runs is computed once.

use oculist_graph::op::{Quantization, Role};
use oculist_graph::{DataType, Item, Node, Op, Tensor, TensorData, ValueId};
use oculist_kernels::Context;

use super::rewrite::Rewrite;
use crate::{PassError, Result};

/// A constant may be as large as what it is made of, or as this many elements: a fold that makes a file larger than its
/// parts, such as an expanded scalar, is none.
const LARGEST: usize = 1 << 16;

/// Bytes that a result may take whose size only the computation tells.
const UNKNOWN: usize = 64 << 20;

/// Computes nodes whose inputs are constants, and values that inference knows.
///
/// # What it does
/// Evaluates such a node by its plain kernel and makes constants of its outputs.
///
/// # Applies when
/// Every input is a constant, and the result has no more elements than the inputs or [`LARGEST`]. Quantisation stays:
/// a weight behind `DequantizeLinear` is smaller than what it stands for, and an integer kernel reads it as it is.
///
/// # Preserves
/// The function, exactly: the kernels are those that would run.
pub(super) fn fold(rewrite: &mut Rewrite) -> Result<usize> {
    if rewrite.len() == 0 {
        return Ok(0);
    }
    let context = || Context::new(1).map_err(|e| unsupported(rewrite.node(0), e.to_string()));
    let (ctx, small) = (context()?, context()?);
    let small_memory = UNKNOWN.min(small.max_memory());
    let small = small.with_max_memory(small_memory);
    let mut folded = 0;
    // A weight must be finite.
    let mut weight = vec![false; rewrite.graph().values().len()];
    for node in rewrite.graph().nodes() {
        for (i, slot) in node.inputs.slots().iter().enumerate() {
            if let Some(v) = slot {
                weight[v.index()] |= matches!(node.op.role(i), Role::Weight | Role::Statistic);
            }
        }
    }
    for id in 0..rewrite.len() {
        // What became constant before tells shapes behind it, and these what is computed of them: "same" padding.
        if folded > 0 {
            rewrite.infer(id)?;
        }
        let fits = |tensors: &Vec<Tensor>| {
            let outputs = rewrite.node(id).outputs.iter().zip(tensors);
            outputs.into_iter().all(|(v, t)| !weight[v.index()] || is_finite(t))
        };
        let tensors = known(rewrite, id).or_else(|| computed(rewrite, [&ctx, &small], id));
        if let Some(tensors) = tensors.filter(fits) {
            let outputs: Vec<ValueId> = rewrite.node(id).outputs.clone();
            for (output, tensor) in outputs.into_iter().zip(tensors) {
                rewrite.set_constant(output, tensor);
            }
            folded += 1;
        }
    }
    Ok(folded)
}

/// The outputs of a node as inference knows them.
fn known(rewrite: &Rewrite, id: usize) -> Option<Vec<Tensor>> {
    let node = rewrite.node(id);
    let [output] = node.outputs[..] else { return None };
    let value = rewrite.graph().value(output);
    let items: Vec<i64> = value.items.as_ref()?.iter().map(|i: &Item| i.known()).collect::<Option<_>>()?;
    let shape = value.shape.as_ref()?.sizes()?;
    let data = match value.dtype {
        DataType::I64 => TensorData::I64(items),
        DataType::I32 => {
            TensorData::I32(items.iter().map(|&i| i32::try_from(i).ok()).collect::<Option<_>>()?)
        }
        DataType::Bool => TensorData::Bool(items.iter().map(|&i| i != 0).collect()),
        _ => return None,
    };
    Some(vec![Tensor::new(shape, data).ok()?])
}

/// The outputs of a node of constants; the second context is for results of unknown size.
fn computed(rewrite: &Rewrite, [ctx, small]: [&Context; 2], id: usize) -> Option<Vec<Tensor>> {
    let node = rewrite.node(id);
    let conversion = node.op.quantization() == Quantization::Conversion;
    if conversion || matches!(node.op, Op::Dropout(_)) {
        return None;
    }
    let constant = |slot: &Option<ValueId>| match slot {
        None => Some(None),
        Some(v) => rewrite.tensor(*v).map(Some),
    };
    let inputs: Vec<Option<&Tensor>> = node.inputs.slots().iter().map(constant).collect::<Option<_>>()?;
    let given: usize = inputs.iter().flatten().map(|t| t.len()).sum();
    let mut made = node.outputs.iter().map(|&v| {
        let sizes = rewrite.shape(v).and_then(oculist_graph::Shape::sizes)?;
        Some(sizes.iter().fold(1, |n: usize, &d| n.saturating_mul(d)))
    });
    let made = made.try_fold(0, |sum: usize, n| Some(sum.saturating_add(n?)));
    if made.is_some_and(|made| made > given.max(LARGEST)) {
        return None;
    }
    let ctx = if made.is_some() { ctx } else { small };
    // What cannot be computed now says so when it runs.
    oculist_plain::evaluate(ctx, &node.op, &inputs, node.outputs.len()).ok()
}

fn is_finite(tensor: &Tensor) -> bool {
    !tensor.dtype().is_float() || tensor.to_f32s().iter().all(|v| v.is_finite())
}

fn unsupported(node: &Node, problem: String) -> PassError {
    PassError::Unsupported { pass: "fold constants", node: node.name.clone(), op: node.op.name(), problem }
}
