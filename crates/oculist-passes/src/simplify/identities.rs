//! Nodes that give what they get.

use oculist_graph::{Graph, Node, Op, Shape, ValueId};

use super::rewrite::Rewrite;
use crate::Result;

/// Removes `Identity`, casts to the same type, and moves that move nothing.
///
/// # What it does
/// Readers of such a node's output read its input instead. Of two transposes in a row that undo each other both go; two
/// others become one. `Dropout` stays: it acts while the graph is trained.
///
/// # Applies when
/// `Identity`, `Cast` and `CastLike` to the type that the value has; `Reshape`, `Flatten`, `Expand`, `Tile`, `Slice` and `Pad`
/// whose result has the shape of the input, so that nothing moves (`Slice` with steps of 1); `Concat` and `Sum` of one
/// value; `Squeeze` of no axis; `Transpose` in the order that is there. A graph output stays a node's output.
///
/// # Preserves
/// The function, exactly; the names of the outputs.
pub(super) fn remove(rewrite: &mut Rewrite) -> Result<usize> {
    let mut removed = 0;
    for id in 0..rewrite.len() {
        let node = rewrite.node(id).clone();
        let Some(input) = node.inputs.get(0) else { continue };
        if let Some((first, order)) = two_transposes(rewrite, &node) {
            if order.iter().enumerate().all(|(i, &a)| i == a) {
                removed += usize::from(rewrite.remove(id, first));
            } else {
                let order: Vec<i64> =
                    order.into_iter().map(|a| i64::try_from(a).unwrap_or(i64::MAX)).collect();
                rewrite.set(id, oculist_graph::Transpose::new(&order), [first]);
                removed += 1;
            }
        } else if gives_its_input(rewrite, &node, input) {
            removed += usize::from(rewrite.remove(id, input));
        }
    }
    Ok(removed)
}

/// The input of the first of two transposes in a row, and the order of both together.
fn two_transposes(rewrite: &Rewrite, node: &Node) -> Option<(ValueId, Vec<usize>)> {
    let Op::Transpose(second) = &node.op else { return None };
    let before = rewrite.node(rewrite.producer(node.inputs[0])?);
    let Op::Transpose(first) = &before.op else { return None };
    let x = before.inputs[0];
    let rank = rewrite.shape(x)?.rank();
    let (first, second) = (first.axes(rank).ok()?, second.axes(rank).ok()?);
    Some((rewrite.resolve(x), second.into_iter().map(|a| first[a]).collect()))
}

fn gives_its_input(rewrite: &Rewrite, node: &Node, input: ValueId) -> bool {
    let graph = rewrite.graph();
    let stays = || rewrite.same_shape(input, node.output()) && one_open_axis(graph, input);
    match &node.op {
        Op::Identity(_) => true,
        Op::Cast(_) | Op::CastLike(_) => graph.value(input).dtype == graph.value(node.output()).dtype,
        Op::Concat(_) | Op::Variadic(_) => node.inputs.len() == 1,
        Op::Reshape(_) | Op::Flatten(_) | Op::Expand(_) | Op::Tile(_) => stays(),
        Op::Squeeze(_) | Op::Unsqueeze(_) => {
            rewrite.shape(input).map(Shape::rank) == rewrite.shape(node.output()).map(Shape::rank)
        }
        Op::Slice(_) => {
            let steps = node.inputs.get(4).is_none()
                || rewrite.ints(node, 4).is_some_and(|s| s.iter().all(|&n| n == 1));
            steps && stays()
        }
        Op::Pad(_) => rewrite.ints(node, 1).is_some_and(|pads| pads.iter().all(|&n| n == 0)),
        Op::Transpose(transpose) => {
            let rank = rewrite.shape(input).map_or(0, Shape::rank);
            transpose.axes(rank).is_ok_and(|axes| axes.iter().enumerate().all(|(i, &a)| i == a))
        }
        _ => false,
    }
}

/// Whether at most one size of a value is open: of two, a reshape could exchange them.
fn one_open_axis(graph: &Graph, value: ValueId) -> bool {
    graph
        .value(value)
        .shape
        .as_ref()
        .is_some_and(|s| s.dims().iter().filter(|d| d.size().is_none()).count() <= 1)
}
