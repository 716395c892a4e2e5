//! Rules: which steps a node becomes, one kind of operator a file.
//!
//! A rule makes a fast step only where all its conditions hold, and otherwise says that it does not.

mod arithmetic;
mod layer;
mod movement;
mod norm;
mod plain;
mod pool;

use oculist_graph::{DataType, NodeId, Op, ValueId};

use super::flow::quantised;
use super::{Map, Planner, Slot, unsupported};
use crate::error::TrainError;
use crate::params::ParamLayout;

/// Whether the rule has made the node's steps.
type Outcome = Result<bool, TrainError>;

/// All rules; the first that fits makes the steps.
pub(super) const RULES: &[fn(&mut Planner<'_>, NodeId) -> Outcome] = &[
    refuse,
    plain::known,
    layer::conv,
    layer::linear,
    norm::batch_norm,
    arithmetic::activation,
    arithmetic::add,
    arithmetic::mul,
    pool::max,
    pool::average,
    pool::global_average,
    pool::mean,
    movement::concat,
    movement::rename,
    movement::dropout,
    movement::pad_channels,
];

/// What is not trained wherever it stands.
fn refuse(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    let fail = |problem: &str| Err(unsupported(node, problem.to_owned()));
    if let Some(problem) = quantised(planner.graph, node) {
        return fail(&problem);
    }
    if matches!(&node.op, Op::BatchNormalization(op) if op.training) {
        return fail(
            "it takes statistics of the batch also where the network is deployed; use the inference form",
        );
    }
    if matches!(node.op, Op::Softmax(_)) && planner.graph.outputs().contains(&node.output()) {
        return fail("the loss takes logits; end the network before the softmax");
    }
    Ok(false)
}

impl Planner<'_> {
    /// How a value lies in the kernels' layout; `None` if it cannot: it must be `[batch, C, ...]` of f32. All axes behind
    /// the third are one.
    fn form(&self, value: ValueId) -> Option<Map> {
        let value = self.graph.value(value);
        let sizes = value.shape.as_ref()?.sizes()?;
        let (&[batch, channels], spatial) = sizes.split_first_chunk::<2>()?;
        let height = spatial.first().copied().unwrap_or(1);
        let width = spatial.iter().skip(1).fold(1, |n: usize, &d| n.saturating_mul(d));
        let holds = value.dtype == DataType::F32 && batch == self.batch && !sizes.contains(&0);
        holds.then(|| Map::padded(channels, height, width))
    }

    /// Input `i` of a node and its slot, if it lies in the kernels' layout.
    fn input_slot(&self, n: NodeId, i: usize) -> Option<(ValueId, Slot)> {
        let value = self.graph.nodes()[n].inputs.get(i)?;
        self.form(value)?;
        Some((value, self.slot_of[value.index()]?))
    }

    /// Input `i` of a node and its slot, brought into the kernels' layout if it can lie there.
    fn input_as_slot(&mut self, n: NodeId, i: usize) -> Option<(ValueId, Slot)> {
        let value = self.graph.nodes()[n].inputs.get(i)?;
        Some((value, self.slot(n, value)?))
    }

    /// Whether some of the first `count` inputs of a node lie in the kernels' layout and the others can be brought there.
    fn meet_in_slots(&self, n: NodeId, count: usize) -> bool {
        let inputs = &self.graph.nodes()[n].inputs;
        let values = || (0..count).map(|i| inputs.get(i));
        values().any(|v| v.is_some_and(|v| self.slot_of[v.index()].is_some()))
            && values().all(|v| v.is_some_and(|v| self.reaches_slot(v)))
    }

    /// Whether input `i` of a node is a parameter that is trained there and may lie in this layout.
    fn is_trained(&self, n: NodeId, i: usize, layout: &ParamLayout) -> bool {
        let node = &self.graph.nodes()[n];
        let Some(value) = node.inputs.get(i) else { return false };
        let f32s = self.graph.param(value).is_some_and(|t| t.dtype() == DataType::F32);
        f32s && self.graph.is_weight_at(node, i) && self.plan.weights.fits(value, layout)
    }
}
