//! Transposes of graphs that were written in NHWC.

use oculist_graph::{Concat, Node, NodeId, Op, Transpose, ValueId};

use super::rewrite::Rewrite;
use crate::Result;

/// Moves transposes behind what works on each element, so that they meet and cancel.
///
/// # What it does
/// `f(Transpose(x))` becomes `Transpose(f(x))` for functions of one element; `f(Transpose(x), Transpose(y))` with the same
/// order becomes `Transpose(f(x, y))`, and with a constant likewise, which is turned back itself; `Concat` takes the axis that its own was
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
        let Some(Turned { order, mut inputs, constants }) = without_transposes(rewrite, &node) else {
            continue;
        };
        if !turn_back(rewrite, &node, &order, &mut inputs, &constants) {
            continue;
        }
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

/// The inputs of a node before their common transpose.
struct Turned {
    /// The order of the transpose.
    order: Vec<usize>,
    /// What the transposes read; constants are still themselves.
    inputs: Vec<Option<ValueId>>,
    /// The places of constants that have axes to exchange.
    constants: Vec<usize>,
}

fn without_transposes(rewrite: &Rewrite, node: &Node) -> Option<Turned> {
    let mut common: Option<Vec<usize>> = None;
    let (mut inputs, mut constants) = (Vec::new(), Vec::new());
    for (i, slot) in node.inputs.slots().iter().enumerate() {
        let Some(value) = slot.map(|v| rewrite.resolve(v)) else {
            inputs.push(None);
            continue;
        };
        if let Some(tensor) = rewrite.tensor(value) {
            // A number has no axes to exchange.
            if tensor.len() != 1 || tensor.shape().len() > 1 || matches!(node.op, Op::Concat(_)) {
                constants.push(i);
            }
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
    Some(Turned { order: common?, inputs, constants })
}

/// Puts constants into the order that the transposes read; missing axes in front count as 1. Says whether all could be.
fn turn_back(
    rewrite: &mut Rewrite,
    node: &Node,
    order: &[usize],
    inputs: &mut [Option<ValueId>],
    constants: &[usize],
) -> bool {
    let mut back = vec![0; order.len()];
    for (to, &from) in order.iter().enumerate() {
        back[from] = i64::try_from(to).unwrap_or(i64::MAX);
    }
    let mut turned = Vec::new();
    for &i in constants {
        let Some(tensor) = inputs[i].and_then(|v| rewrite.tensor(v)).cloned() else { return false };
        let Some(missing) = order.len().checked_sub(tensor.shape().len()) else { return false };
        let shape = [vec![1; missing], tensor.shape().to_vec()].concat();
        let Ok(whole) = tensor.reshaped(shape) else { return false };
        turned.push((i, whole));
    }
    for (i, whole) in turned {
        let whole = rewrite.param(&format!("{}.constant", node.name), whole);
        // The next pass computes it.
        inputs[i] = Some(rewrite.push(&format!("{}.turned", node.name), Transpose::new(&back), [whole]));
    }
    true
}
