//! Layer normalisation that exporters write in several nodes.

use oculist_graph::{Binary, DataType, LayerNormalization, Node, Op, ReduceKind, Unary, ValueId};

use super::activation::{before, with_scalar};
use super::rewrite::Rewrite;
use crate::Result;

/// `(x - mean) / sqrt(mean((x - mean)^2) + epsilon) * gamma + beta` over the last axis becomes `LayerNormalization`.
///
/// # What it does
/// Changes the addition of beta; or the product with gamma where nothing is added.
///
/// # Applies when
/// The values are f32, gamma and beta constant vectors of the last axis, and the square is a product with itself or a power
/// of 2.
///
/// # Preserves
/// The function, up to rounding.
///
/// # Source
/// Ba, Kiros and Hinton 2016, "Layer Normalization".
pub(super) fn recognise(rewrite: &mut Rewrite) -> Result<usize> {
    let mut found = 0;
    for id in 0..rewrite.len() {
        let node = rewrite.node(id).clone();
        let change = match node.op {
            Op::Binary(Binary::Add) => with_beta(rewrite, &node),
            Op::Binary(Binary::Mul) => scaled(rewrite, &node),
            _ => None,
        };
        if let Some((x, gamma, beta, epsilon)) = change
            && rewrite.same_shape(x, node.output())
        {
            let op = LayerNormalization { axis: -1, epsilon, stash: DataType::F32 };
            rewrite.set(id, op, vec![Some(x), Some(gamma), beta]);
            found += 1;
        }
    }
    Ok(found)
}

type Found = (ValueId, ValueId, Option<ValueId>, f32);

/// The operand of a node that is a constant vector of the last axis, and the other.
fn with_vector(rewrite: &Rewrite, node: &Node) -> Option<(ValueId, ValueId)> {
    let (a, b) = (rewrite.input(node, 0)?, rewrite.input(node, 1)?);
    let last = rewrite.shape(node.output())?.dims().last()?.size()?;
    let is_vector =
        |v: ValueId| rewrite.tensor(v).is_some_and(|t| t.dtype() == DataType::F32 && t.shape() == [last]);
    [(a, b), (b, a)].into_iter().find(|&(_, v)| is_vector(v))
}

fn with_beta(rewrite: &Rewrite, node: &Node) -> Option<Found> {
    let (product, beta) = with_vector(rewrite, node)?;
    let product = rewrite.only_producer(product).map(|p| rewrite.node(p))?;
    // The walk has found the product already, if the rest is there.
    if let Op::LayerNormalization(norm) = &product.op {
        let plain = norm.axis == -1 && product.inputs.len() == 2;
        return plain.then_some((product.inputs[0], product.inputs[1], Some(beta), norm.epsilon));
    }
    None
}

fn scaled(rewrite: &Rewrite, node: &Node) -> Option<Found> {
    let (normalised, gamma) = with_vector(rewrite, node)?;
    let (x, epsilon) = normalised_of(rewrite, normalised)?;
    Some((x, gamma, None, epsilon))
}

/// `x` and epsilon of a value that is `x`, centred and divided by its deviation.
fn normalised_of(rewrite: &Rewrite, value: ValueId) -> Option<(ValueId, f32)> {
    let node = before(rewrite, value, |op| matches!(op, Op::Binary(Binary::Div | Binary::Mul)))?;
    let (centred, deviation) = if let Op::Binary(Binary::Div) = node.op {
        let sqrt = before(rewrite, rewrite.input(node, 1)?, |op| matches!(op, Op::Unary(Unary::Sqrt)))?;
        (rewrite.input(node, 0)?, rewrite.input(sqrt, 0)?)
    } else {
        let of = |v: ValueId| {
            let reciprocal = before(rewrite, v, |op| matches!(op, Op::Unary(Unary::Reciprocal)))?;
            let sqrt =
                before(rewrite, rewrite.input(reciprocal, 0)?, |op| matches!(op, Op::Unary(Unary::Sqrt)))?;
            rewrite.input(sqrt, 0)
        };
        let (a, b) = (rewrite.input(node, 0)?, rewrite.input(node, 1)?);
        of(b).map(|d| (a, d)).or_else(|| of(a).map(|d| (b, d)))?
    };
    let add = before(rewrite, deviation, |op| matches!(op, Op::Binary(Binary::Add)))?;
    let (variance, epsilon) = with_scalar(rewrite, add)?;
    let squared = mean_of(rewrite, variance)?;
    let is_square = match before(rewrite, squared, |op| matches!(op, Op::Binary(Binary::Pow | Binary::Mul)))?
    {
        node if matches!(node.op, Op::Binary(Binary::Pow)) => {
            let exponent = rewrite.tensor(rewrite.input(node, 1)?)?.to_f32s();
            rewrite.input(node, 0) == Some(centred) && exponent == [2.0]
        }
        node => rewrite.input(node, 0) == Some(centred) && rewrite.input(node, 1) == Some(centred),
    };
    let sub = before(rewrite, centred, |op| matches!(op, Op::Binary(Binary::Sub)))?;
    let x = rewrite.input(sub, 0)?;
    let mean = mean_of(rewrite, rewrite.input(sub, 1)?)?;
    (is_square && mean == x).then_some((x, epsilon))
}

/// What a value is the mean of, over the last axis, which is kept.
fn mean_of(rewrite: &Rewrite, value: ValueId) -> Option<ValueId> {
    let node =
        before(rewrite, value, |op| matches!(op, Op::Reduce(r) if r.kind == ReduceKind::Mean && r.keepdims))?;
    let x = rewrite.input(node, 0)?;
    let rank = i64::try_from(rewrite.shape(x)?.rank()).ok()?;
    let axes = rewrite.ints(node, 1)?;
    (axes == [-1] || axes == [rank - 1]).then_some(x)
}
