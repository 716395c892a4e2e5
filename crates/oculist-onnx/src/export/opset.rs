//! The opset that a graph is written in.

use oculist_graph::op::Split;
use oculist_graph::{DataType, Dropout, Graph, Node, Op, Softmax, Unary};

use super::decompose::parts_need;
use super::names::Names;
use crate::error::OnnxError;
use crate::older;

/// The opset of a written model, and why it is newer than the graph's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) opset: i64,
    pub(super) raised: Option<String>,
}

/// The least opset that has the node in this form, with what needs it.
pub(super) fn needed(graph: &Graph, node: &Node) -> (i64, String) {
    let mut least =
        (if node.op.domain().is_empty() { node.op.since() } else { 1 }, node.op.name().to_owned());
    let mut at_least = |opset: i64, what: String| {
        if opset > least.0 {
            least = (opset, what);
        }
    };
    let computed = |i: usize| node.inputs.get(i).is_some_and(|v| graph.param(v).is_none());
    // From the oldest opset on, every input that was an attribute must be a constant.
    if node.op.domain().is_empty() {
        for moved in older::attributes(node.op.name(), *crate::import::OPSETS.start()) {
            if computed(moved.input) {
                at_least(moved.since, format!("{} with a computed `{}`", node.op.name(), moved.attribute));
            }
        }
    }
    // Older opsets know no such numbers.
    let values = node.inputs.iter().chain(node.outputs.iter().copied());
    if values.into_iter().any(|v| graph.value(v).dtype == DataType::BF16) {
        at_least(13, format!("{} of bfloat16", node.op.name()));
    }
    match &node.op {
        Op::Clip(_) => {
            let floats = |i: usize| {
                node.inputs.get(i).is_none_or(|v| graph.param(v).is_some_and(|t| t.dtype().is_float()))
            };
            if !(floats(1) && floats(2) && graph.value(node.inputs[0]).dtype.is_float()) {
                at_least(11, "Clip with bounds that are no constant floats".to_owned());
            }
        }
        Op::Dropout(Dropout { .. }) if node.inputs.len() > 1 => {
            at_least(12, "Dropout with inputs that say how".to_owned());
        }
        Op::Softmax(Softmax { axis, flatten: false, .. }) => {
            let rank = i64::try_from(graph.shape(node.inputs[0]).rank()).unwrap_or(i64::MAX);
            if *axis != -1 && *axis != rank - 1 {
                at_least(13, format!("{} along an axis that is not the last", node.op.name()));
            }
        }
        Op::Gemm(_) if node.inputs.get(2).is_none() => at_least(11, "Gemm without a bias".to_owned()),
        Op::Variadic(_) => {
            let mut shapes = node.inputs.iter().map(|input| graph.shape(input));
            let first = shapes.next();
            if shapes.any(|shape| Some(shape) != first) {
                at_least(8, format!("{} of shapes that differ", node.op.name()));
            }
        }
        Op::Unary(Unary::Clip { .. }) if !is_f32(graph, node) => at_least(6, "Clip".to_owned()),
        // Before, the parts had to be equal; a size that is not known is taken to be so.
        Op::Split(Split { axis, parts: Some(parts) }) => {
            let shape = graph.shape(node.inputs[0]);
            let size = oculist_graph::op::axis(*axis, shape.rank()).ok().and_then(|a| shape.get(a));
            if size.is_some_and(|size| size % parts.max(&1) != 0) {
                at_least(18, "Split into parts that are not equal".to_owned());
            }
        }
        _ => {}
    }
    least
}

fn is_f32(graph: &Graph, node: &Node) -> bool {
    graph.value(node.inputs[0]).dtype == DataType::F32
}

/// The graph's opset, or the one that is asked for; raised to what the nodes need unless one was asked for.
///
/// # Errors
/// A node that the asked opset does not have.
pub(super) fn choose(graph: &Graph, names: &Names, asked: Option<i64>) -> Result<Chosen, OnnxError> {
    let supported = crate::import::OPSETS;
    if let Some(found) = asked.filter(|opset| !supported.contains(opset)) {
        return Err(OnnxError::Opset { found, supported });
    }
    let wanted = asked.unwrap_or_else(|| graph.opset());
    let mut chosen = Chosen { opset: wanted, raised: None };
    for node in graph.nodes().iter().filter(|node| !names.is_left_out(node)) {
        let (least, what) = needed(graph, node);
        // What would have been taken apart asks for no more than its parts.
        let least = parts_need(graph, node).map_or(least, |parts| parts.min(least));
        if least <= chosen.opset {
            continue;
        }
        let reason = format!("{what} needs opset {least}");
        if asked.is_some() {
            let problem = format!("{reason}, the model is to be written in {wanted}");
            return Err(node.error(problem).into());
        }
        chosen = Chosen { opset: least, raised: Some(format!("node `{}`: {reason}", node.name)) };
    }
    Ok(chosen)
}

/// The least IR version that goes with an opset; initialisers need not be inputs from 4 on.
pub(super) fn ir_version(opset: i64) -> i64 {
    match opset {
        ..=9 => 4,
        10 => 5,
        11 => 6,
        12..=14 => 7,
        15..=18 => 8,
        19 | 20 => 9,
        21 | 22 => 10,
        23 => 11,
        24 => 12,
        25..=27 => 13,
        28.. => 14,
    }
}
