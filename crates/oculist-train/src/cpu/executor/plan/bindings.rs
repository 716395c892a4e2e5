//! What a node reads: values in the graph's order, and parameters.

use oculist_graph::{NodeId, ValueId};

use super::{Map, Plan, Planner, Slot, Step, unsupported};
use crate::cpu::params::{ParamLayout, ParamSet};
use crate::error::TrainError;

impl Planner<'_> {
    /// The one node that reads a value which is not the output.
    pub(super) fn only_consumer(&self, value: ValueId) -> Option<NodeId> {
        match self.consumers[value.index()][..] {
            [n] if !self.graph.outputs().contains(&value) => Some(n),
            _ => None,
        }
    }

    /// The slot with a value in the graph's order: a flattened map is still a map until somebody needs it flat.
    pub(super) fn flat(&mut self, value: ValueId, x: Slot) -> Slot {
        let map = self.plan.slots[x];
        if self.graph.shape(value).rank() != 2 || map.pixels() == 1 {
            return x;
        }
        let y = self.new_slot(value, Map::padded(map.channels * map.pixels(), 1, 1));
        self.plan.steps.push(Step::Flatten { x, y });
        y
    }

    /// Input `i` of a node as a trained parameter.
    pub(super) fn weight(
        &mut self,
        n: NodeId,
        i: usize,
        layout: ParamLayout,
        decays: bool,
    ) -> Result<usize, TrainError> {
        let node = &self.graph.nodes()[n];
        self.parameter_of_one_kind(n, i, |plan| &plan.stats)?;
        self.plan.weights.add(self.graph, node.inputs[i], layout, decays).map_err(|p| unsupported(node, p))
    }

    /// A trained parameter that a plain step reads.
    pub(super) fn plain_weight(&mut self, n: NodeId, value: ValueId) -> Result<usize, TrainError> {
        let node = &self.graph.nodes()[n];
        self.value_of_one_kind(n, value, |plan| &plan.stats)?;
        self.plan.weights.add_rows(self.graph, value).map_err(|p| unsupported(node, p))
    }

    /// Input `i` of a node as a running statistic.
    pub(super) fn statistic(
        &mut self,
        n: NodeId,
        i: usize,
        layout: ParamLayout,
    ) -> Result<usize, TrainError> {
        let node = &self.graph.nodes()[n];
        self.parameter_of_one_kind(n, i, |plan| &plan.weights)?;
        self.plan.stats.add(self.graph, node.inputs[i], layout, false).map_err(|p| unsupported(node, p))
    }

    /// Refuses a parameter that is trained in one place and a running statistic in another.
    fn parameter_of_one_kind(
        &self,
        n: NodeId,
        i: usize,
        others: impl Fn(&Plan) -> &ParamSet,
    ) -> Result<(), TrainError> {
        self.value_of_one_kind(n, self.graph.nodes()[n].inputs[i], others)
    }

    fn value_of_one_kind(
        &self,
        n: NodeId,
        value: ValueId,
        others: impl Fn(&Plan) -> &ParamSet,
    ) -> Result<(), TrainError> {
        let node = &self.graph.nodes()[n];
        if !others(&self.plan).holds(value) {
            return Ok(());
        }
        let name = &self.graph.value(value).name;
        Err(unsupported(node, format!("its parameter `{name}` is trained and a running statistic at once")))
    }
}
