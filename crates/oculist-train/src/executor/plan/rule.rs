//! Rules: which steps a node becomes, one kind of operator a file.
//!
//! A rule makes a fast step only where all its conditions hold, and otherwise says that it does not.

mod arithmetic;
mod layer;
mod movement;
mod norm;
mod pool;

use oculist_graph::{DataType, NodeId, Op, ValueId};

use super::{Map, Planner, Slot, unsupported};
use crate::error::TrainError;

/// Whether the rule has made the node's steps.
type Outcome = Result<bool, TrainError>;

/// All rules; the first that fits makes the steps.
pub(super) const RULES: &[fn(&mut Planner<'_>, NodeId) -> Outcome] = &[
    refuse,
    layer::conv,
    layer::linear,
    norm::batch_norm,
    arithmetic::activation,
    arithmetic::add,
    arithmetic::mul,
    pool::max,
    pool::average,
    pool::global_average,
    movement::concat,
    movement::rename,
    movement::dropout,
    movement::pad_channels,
];

/// What is not trained wherever it stands.
fn refuse(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    let fail = |problem: &str| Err(unsupported(node, problem.to_owned()));
    if matches!(node.op, Op::QuantizeLinear(_) | Op::DequantizeLinear(_)) {
        return fail("quantised graphs are not trained; train the f32 model");
    }
    if matches!(node.op, Op::Softmax(_)) && planner.graph.outputs().contains(&node.output()) {
        return fail("the loss takes logits; end the network before the softmax");
    }
    Ok(false)
}

impl Planner<'_> {
    /// How a value lies in the kernels' layout; `None` if it cannot: it must be `[N, C]` or `[N, C, H, W]` of f32.
    fn form(&self, value: ValueId) -> Option<Map> {
        let value = self.graph.value(value);
        let shape = value.shape.as_ref()?;
        let (channels, height, width) = shape.chw()?;
        let batched = shape.dims().first() == Some(&oculist_graph::Dim::Batch);
        (value.dtype == DataType::F32 && batched).then(|| Map::padded(channels, height, width))
    }

    /// The slot of input `i` of a node and its value, if it lies in the kernels' layout.
    fn input_slot(&self, n: NodeId, i: usize) -> Option<(ValueId, Slot)> {
        let value = self.graph.nodes()[n].inputs.get(i)?;
        self.form(value)?;
        Some((value, self.slot_of[value.index()]?))
    }

    /// Whether input `i` of a node is a parameter that is trained there.
    fn is_trained(&self, n: NodeId, i: usize) -> bool {
        let node = &self.graph.nodes()[n];
        let param = node.inputs.get(i).and_then(|v| self.graph.param(v));
        param.is_some_and(|t| t.dtype() == DataType::F32) && self.graph.is_weight_at(node, i)
    }
}
