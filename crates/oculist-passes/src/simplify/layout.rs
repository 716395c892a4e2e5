//! Transposes of graphs that were written in NHWC.

use oculist_graph::{Concat, Node, NodeId, Op, Transpose, ValueId};

use super::rewrite::Rewrite;
use crate::Result;

/// Moves transposes behind what works on each element, so that they meet and cancel.
///
/// # What it does
/// `f(Transpose(x))` becomes `Transpose(f(x))` for functions of one element; `f(Transpose(x), Transpose(y))` with the same
/// order becomes `Transpose(f(x, y))`, and with a constant of one element likewise; `Concat` takes the axis that its own was
/// before. The walk is in the graph's order, so a transpose travels down a chain in one pass and ends in front of the next
/// layer, where [`super::identities`] removes it together with the one that leads back.
///
/// # Applies when
/// The node's output is no graph output.
///
/// # Preserves
/// The function, exactly.
pub(super) fn move_transposes(rewrite: &mut Rewrite) -> Result<usize> {
    let mut moved = 0;
    for id in 0..rewrite.len() {
        let node = rewrite.node(id).clone();
        if node.outputs.len() != 1 || rewrite.is_output(node.output()) {
            continue;
        }
        let elementwise = matches!(
            node.op,
            Op::Unary(_)
                | Op::Binary(_)
                | Op::Clip(_)
                | Op::Cast(_)
                | Op::Dropout(_)
                | Op::Variadic(_)
                | Op::Concat(_)
        );
        if !elementwise {
            continue;
        }
        let Some((order, inputs)) = without_transposes(rewrite, &node) else { continue };
        let op = match &node.op {
            Op::Concat(concat) => {
                let Ok(axis) = oculist_graph::axis(concat.axis, order.len()) else { continue };
                Concat { axis: i64::try_from(order[axis]).unwrap_or(i64::MAX) }.into()
            }
            op => op.clone(),
        };
        push_behind(rewrite, id, &node, op, inputs, &order);
        moved += 1;
    }
    Ok(moved)
}

/// The node works on what its transposes read; its own place takes the transpose.
fn push_behind(
    rewrite: &mut Rewrite,
    id: NodeId,
    node: &Node,
    op: Op,
    inputs: Vec<Option<ValueId>>,
    order: &[usize],
) {
    let inner = rewrite.push(&node.name, op, inputs);
    let order: Vec<i64> = order.iter().map(|&a| i64::try_from(a).unwrap_or(i64::MAX)).collect();
    rewrite.set(id, Transpose::new(&order), [inner]);
}

/// The inputs of a node before their common transpose, with its order.
fn without_transposes(rewrite: &Rewrite, node: &Node) -> Option<(Vec<usize>, Vec<Option<ValueId>>)> {
    let mut common: Option<Vec<usize>> = None;
    let mut inputs = Vec::new();
    for slot in node.inputs.slots() {
        let Some(value) = slot.map(|v| rewrite.resolve(v)) else {
            inputs.push(None);
            continue;
        };
        // A number has no axes to exchange.
        if rewrite.tensor(value).is_some_and(|t| t.len() == 1 && t.shape().len() <= 1)
            && !matches!(node.op, Op::Concat(_))
        {
            inputs.push(Some(value));
            continue;
        }
        let before = rewrite.node(rewrite.producer(value)?);
        let Op::Transpose(transpose) = &before.op else { return None };
        let rank = rewrite.shape(node.output())?.rank();
        let order = transpose.axes(rank).ok()?;
        if common.as_ref().is_some_and(|c| *c != order) {
            return None;
        }
        common = Some(order);
        inputs.push(rewrite.input(before, 0));
    }
    Some((common?, inputs))
}
