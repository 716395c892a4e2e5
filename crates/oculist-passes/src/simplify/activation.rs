//! Activations that exporters write in several nodes.

use oculist_graph::{Binary, Node, NodeId, Op, Unary, ValueId, Variadic};

use super::rewrite::Rewrite;
use crate::Result;

/// Decomposed `Relu`, `Clip`, `HardSigmoid`, `HardSwish` and `Mish` become one node.
///
/// # What it does
///
/// | pattern | becomes |
/// |---|---|
/// | `Max(x, 0)` | `Relu` |
/// | `Max`, `Min` of `x` and a number, `Clip` with constant bounds | `Clip` |
/// | `Relu -> Clip(min <= 0, max)`, `Clip -> Relu` | `Clip(0, max)` |
/// | `Clip(x + 3, 0, 6) / 6`, or times 1/6 | `HardSigmoid(1/6, 1/2)` |
/// | `x * HardSigmoid(1/6, 1/2)(x)`, `x * Clip(x + 3, 0, 6) / 6` | `HardSwish` |
/// | `x * tanh(softplus(x))` | `Mish` |
///
/// # Applies when
/// The values are f32 and the numbers are constants of one element.
///
/// # Preserves
/// The function, up to rounding.
pub(super) fn recognise(rewrite: &mut Rewrite) -> Result<usize> {
    let mut found = 0;
    for id in 0..rewrite.len() {
        let node = rewrite.node(id).clone();
        let f32 = node.outputs.len() == 1
            && rewrite.graph().value(node.output()).dtype == oculist_graph::DataType::F32;
        let change = if f32 { pattern(rewrite, &node) } else { None };
        if let Some((op, x)) = change
            && rewrite.same_shape(x, node.output())
        {
            rewrite.set(id, op, [x]);
            found += 1;
        }
    }
    Ok(found)
}

/// What a node is with those before it, and of which value.
fn pattern(rewrite: &Rewrite, node: &Node) -> Option<(Unary, ValueId)> {
    match &node.op {
        Op::Variadic(kind @ (Variadic::Max | Variadic::Min)) if node.inputs.len() == 2 => {
            let (x, bound) = with_scalar(rewrite, node)?;
            let clip = match kind {
                Variadic::Max if bound == 0.0 => Unary::Relu,
                Variadic::Max => Unary::Clip { min: bound, max: f32::MAX },
                _ => Unary::Clip { min: f32::MIN, max: bound },
            };
            Some(both_bounds(rewrite, clip, x))
        }
        Op::Clip(_) => {
            let bound = |i: usize, none: f32| match node.inputs.get(i) {
                None => Some(none),
                Some(v) => rewrite.scalar(v),
            };
            let clip = Unary::Clip { min: bound(1, f32::MIN)?, max: bound(2, f32::MAX)? };
            Some(both_bounds(rewrite, clip, rewrite.input(node, 0)?))
        }
        Op::Unary(op @ (Unary::Relu | Unary::Clip { .. })) => {
            let x = rewrite.input(node, 0)?;
            let (joined, from) = both_bounds(rewrite, *op, x);
            (from != x).then_some((joined, from))
        }
        Op::Binary(Binary::Div | Binary::Mul) => hard_swish(rewrite, node)
            .map(|x| (Unary::HardSwish, x))
            .or_else(|| {
                hard_sigmoid(rewrite, node).map(|x| (Unary::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 }, x))
            })
            .or_else(|| mish(rewrite, node).map(|x| (Unary::Mish, x))),
        _ => None,
    }
}

/// A clip together with one that it alone reads.
fn both_bounds(rewrite: &Rewrite, clip: Unary, x: ValueId) -> (Unary, ValueId) {
    let bounds = |op: &Unary| match *op {
        Unary::Relu => Some((0.0, f32::MAX)),
        Unary::Clip { min, max } => Some((min, max)),
        _ => None,
    };
    let alone = (clip, x);
    let Some(before) = rewrite.only_producer(x).map(|p| rewrite.node(p)) else { return alone };
    let (Op::Unary(op), Some((min, max))) = (&before.op, bounds(&clip)) else { return alone };
    let (Some((a, b)), Some(from)) = (bounds(op), rewrite.input(before, 0)) else { return alone };
    // What the first leaves, the second may cut; bounds that do not overlap give one number, which is left to run.
    let (min, max) = (min.max(a), max.min(b));
    if min > max {
        return alone;
    }
    (if (min, max) == (0.0, f32::MAX) { Unary::Relu } else { Unary::Clip { min, max } }, from)
}

/// The operand of a node that is no number, and the number.
pub(super) fn with_scalar(rewrite: &Rewrite, node: &Node) -> Option<(ValueId, f32)> {
    let (a, b) = (rewrite.input(node, 0)?, rewrite.input(node, 1)?);
    match (rewrite.scalar(a), rewrite.scalar(b)) {
        (None, Some(number)) => Some((a, number)),
        (Some(number), None) => Some((b, number)),
        _ => None,
    }
}

pub(super) fn near(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-5 * b.abs()
}

/// The node before a value, if it is what is asked for.
pub(super) fn before(rewrite: &Rewrite, value: ValueId, is: impl Fn(&Op) -> bool) -> Option<&Node> {
    let id: NodeId = rewrite.producer(value)?;
    Some(rewrite.node(id)).filter(|node| is(&node.op))
}

/// `x` of `Clip(x + 3, 0, 6)`.
fn relu6_of_shifted(rewrite: &Rewrite, value: ValueId) -> Option<ValueId> {
    let clip = before(
        rewrite,
        value,
        |op| matches!(op, Op::Unary(Unary::Clip { min, max }) if *min == 0.0 && near(*max, 6.0)),
    )?;
    let add = before(rewrite, rewrite.input(clip, 0)?, |op| matches!(op, Op::Binary(Binary::Add)))?;
    let (x, number) = with_scalar(rewrite, add)?;
    near(number, 3.0).then_some(x)
}

/// The operand of a division by a number, or of a product with its reciprocal.
fn over(rewrite: &Rewrite, node: &Node, divisor: f32) -> Option<ValueId> {
    let (x, number) = with_scalar(rewrite, node)?;
    match node.op {
        Op::Binary(Binary::Div) => (rewrite.input(node, 0) == Some(x) && near(number, divisor)).then_some(x),
        Op::Binary(Binary::Mul) => near(number, 1.0 / divisor).then_some(x),
        _ => None,
    }
}

fn hard_sigmoid(rewrite: &Rewrite, node: &Node) -> Option<ValueId> {
    relu6_of_shifted(rewrite, over(rewrite, node, 6.0)?)
}

fn hard_swish(rewrite: &Rewrite, node: &Node) -> Option<ValueId> {
    // (x * relu6(x + 3)) / 6.
    if let Some(product) = over(rewrite, node, 6.0)
        && let Some(mul) = before(rewrite, product, |op| matches!(op, Op::Binary(Binary::Mul)))
    {
        let (a, b) = (rewrite.input(mul, 0)?, rewrite.input(mul, 1)?);
        return [(a, b), (b, a)]
            .into_iter()
            .find(|&(x, gate)| relu6_of_shifted(rewrite, gate) == Some(x))
            .map(|p| p.0);
    }
    if !matches!(node.op, Op::Binary(Binary::Mul)) {
        return None;
    }
    // x * hard_sigmoid(x), which the walk has put together already.
    let (a, b) = (rewrite.input(node, 0)?, rewrite.input(node, 1)?);
    let gate_of = |gate: ValueId| {
        let is = |op: &Op| matches!(op, Op::Unary(Unary::HardSigmoid { alpha, beta }) if near(*alpha, 1.0 / 6.0) && near(*beta, 0.5));
        rewrite.input(before(rewrite, gate, is)?, 0)
    };
    [(a, b), (b, a)].into_iter().find(|&(x, gate)| gate_of(gate) == Some(x)).map(|p| p.0)
}

fn mish(rewrite: &Rewrite, node: &Node) -> Option<ValueId> {
    if !matches!(node.op, Op::Binary(Binary::Mul)) {
        return None;
    }
    let (a, b) = (rewrite.input(node, 0)?, rewrite.input(node, 1)?);
    let gate_of = |gate: ValueId| {
        let tanh = before(rewrite, gate, |op| matches!(op, Op::Unary(Unary::Tanh)))?;
        let softplus =
            before(rewrite, rewrite.input(tanh, 0)?, |op| matches!(op, Op::Unary(Unary::Softplus)))?;
        rewrite.input(softplus, 0)
    };
    [(a, b), (b, a)].into_iter().find(|&(x, gate)| gate_of(gate) == Some(x)).map(|p| p.0)
}
