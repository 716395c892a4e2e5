//! What training can change, told from the graph before anything is planned: by type, and by where gradients flow.

use oculist_graph::{DataType, Graph, Node, NodeId, Op, Role, ValueId};
use oculist_plain::{Gradient, differentiable};

use super::unsupported;
use crate::error::TrainError;

/// Where gradients flow from the outputs.
pub(super) struct Flow {
    /// Per value, whether its gradient may be other than zero.
    reaches: Vec<bool>,
    /// Per value, the node behind it at which gradients end.
    ends: Vec<Option<NodeId>>,
}

impl Flow {
    pub(super) fn new(graph: &Graph) -> Self {
        let mut flow =
            Self { reaches: vec![false; graph.values().len()], ends: vec![None; graph.values().len()] };
        for output in graph.outputs() {
            flow.reaches[output.index()] = true;
        }
        let is_float = |v: ValueId| graph.value(v).dtype.is_float();
        for (n, node) in graph.nodes().iter().enumerate().rev() {
            let leads = node.outputs.iter().any(|v| flow.reaches[v.index()] && is_float(*v));
            let through = leads && differentiable(&node.op) != Gradient::Zero;
            let end = if leads || !node.outputs.iter().any(|&v| is_float(v)) {
                // Gradients end here: it is made of steps, or gives integers that lead on.
                let read = leads || node.outputs.iter().any(|v| flow.ends[v.index()].is_some());
                read.then_some(n)
            } else {
                node.outputs.iter().find_map(|v| flow.ends[v.index()])
            };
            for (i, slot) in node.inputs.slots().iter().enumerate() {
                let Some(v) = *slot else { continue };
                let follows = !matches!(node.op.role(i), Role::Argument | Role::Quantization);
                if through && follows && is_float(v) {
                    flow.reaches[v.index()] = true;
                } else if flow.ends[v.index()].is_none() {
                    flow.ends[v.index()] = end;
                }
            }
        }
        flow
    }

    /// Whether the gradient of a value may be other than zero.
    pub(super) fn reaches(&self, value: ValueId) -> bool {
        self.reaches[value.index()]
    }
}

/// Per value, whether it is a parameter that some node trains: an operand that no gradient reaches is an argument, and
/// only f32 is trained.
fn trained(graph: &Graph, flow: &Flow) -> Vec<bool> {
    let mut trained = vec![false; graph.values().len()];
    for node in graph.nodes() {
        for (i, value) in node.inputs.slots().iter().enumerate() {
            if let Some(value) = value
                && graph.param(*value).is_some_and(|t| t.dtype() == DataType::F32)
                && graph.is_weight_at(node, i)
                && (flow.reaches(*value) || node.op.role(i) == Role::Weight)
            {
                trained[value.index()] = true;
            }
        }
    }
    trained
}

/// What is wrong with a node that reads or writes quantised values, if it does; by what it is.
pub(super) fn quantised(graph: &Graph, node: &Node) -> Option<String> {
    if !(0..node.inputs.len()).any(|i| node.op.role(i) == Role::Quantization) {
        return None;
    }
    let name = |v: ValueId| graph.value(v).name.as_str();
    let dtype = |v: ValueId| graph.value(v).dtype.name();
    let first = node.inputs.get(0)?;
    let advice = "train the f32 model that it was made from and quantise the result";
    // Weights of layers that compute with integers; those of others stand behind a DequantizeLinear.
    let weight = node
        .inputs
        .slots()
        .iter()
        .skip(1)
        .flatten()
        .copied()
        .find(|&v| graph.param(v).is_some_and(|t| t.shape().len() > 1 && !t.dtype().is_float()));
    Some(match (&node.op, weight) {
        (Op::DequantizeLinear(_), _) if graph.param(first).is_some() => format!(
            "it holds the weight `{}` as {}, which gradients cannot change; make it f32 (oculist_passes::dequantize) or {advice}",
            name(first),
            dtype(first)
        ),
        (Op::DequantizeLinear(_) | Op::QuantizeLinear(_) | Op::DynamicQuantizeLinear(_), _) => format!(
            "it quantises the activation `{}` ({}), and rounding has no gradient; take Q/DQ out (oculist_passes::dequantize) or {advice}",
            name(first),
            dtype(first)
        ),
        (_, Some(weight)) => format!(
            "it computes with integers: its weight `{}` is {}, through which no gradient flows; {advice}",
            name(weight),
            dtype(weight)
        ),
        (_, None) => format!(
            "it computes with integers: its input `{}` is {}, through which no gradient flows; {advice}",
            name(first),
            dtype(first)
        ),
    })
}

/// Per value, whether it is a parameter that training changes.
pub(crate) fn trained_parameters(graph: &Graph) -> Vec<bool> {
    trained(graph, &Flow::new(graph))
}

/// Refuses what a user would take for trained, but is not: weights of other types than f32, weights that no gradient
/// reaches, quantised values.
///
/// # Errors
/// [`TrainError::Unsupported`] naming the node, the weight and its type, and what can be done.
pub(in super::super) fn check(graph: &Graph) -> Result<(), TrainError> {
    let flow = Flow::new(graph);
    // Computed values that are the same in every step.
    let mut constant = vec![false; graph.values().len()];
    // What quantises is the reason, before what it does to weights elsewhere.
    if let Some((node, problem)) = graph.nodes().iter().find_map(|n| Some((n, quantised(graph, n)?))) {
        return Err(unsupported(node, problem));
    }
    for node in graph.nodes() {
        let mut changes = false;
        for (i, slot) in node.inputs.slots().iter().enumerate() {
            let Some(v) = *slot else { continue };
            let (name, weight) = (&graph.value(v).name, node.op.role(i) == Role::Weight);
            let Some(tensor) = graph.param(v) else {
                changes |= !constant[v.index()];
                if weight && constant[v.index()] {
                    return Err(unsupported(
                        node,
                        format!(
                            "its weight `{name}` is computed from constants, which leaves nothing to train; fold it \
                             into a parameter (oculist_passes::simplify)"
                        ),
                    ));
                }
                continue;
            };
            if !graph.is_weight_at(node, i) {
                continue;
            }
            let reached = flow.reaches(v);
            changes |= reached;
            let dtype = tensor.dtype();
            if dtype.is_float() && dtype != DataType::F32 && (reached || weight) {
                return Err(unsupported(
                    node,
                    format!(
                        "its weight `{name}` is {}, and only f32 is trained; make the model f32 \
                         (oculist_passes::single_precision)",
                        dtype.name()
                    ),
                ));
            }
            if let Some(end) = flow.ends[v.index()].filter(|_| weight && !reached) {
                return Err(unsupported(
                    &graph.nodes()[end],
                    format!(
                        "gradients end at it, so that none reaches the weight `{name}` ({}) of node `{}` ({}) in \
                         front of it; replace it while training, or keep it out of the way of what is trained",
                        dtype.name(),
                        node.name,
                        node.op.name()
                    ),
                ));
            }
        }
        for output in &node.outputs {
            constant[output.index()] = !changes;
        }
    }
    Ok(())
}
