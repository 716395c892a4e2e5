//! What a node reads: values in the graph's order, and parameters.

use oculist_graph::{GraphError, NodeId, ValueId};

use super::{Map, Plan, Planner, Slot, Step, unsupported};
use crate::error::TrainError;
use crate::params::{ParamLayout, ParamSet};

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

    /// The slot of the logits.
    pub(super) fn output(&mut self, output: ValueId) -> Result<Slot, TrainError> {
        let structure = |problem: String| {
            TrainError::Graph(GraphError::Structure { graph: self.graph.name().to_owned(), problem })
        };
        let Some(slot) = self.slot_of[output.index()] else {
            return Err(structure("its output does not depend on its input".into()));
        };
        let slot = self.flat(output, slot);
        if self.plan.slots[slot].pixels() > 1 {
            let shape = self.graph.shape(output);
            return Err(structure(format!(
                "expected a classifier, one row of logits [N, classes] for each image, found the dense output {shape}"
            )));
        }
        Ok(slot)
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
        let node = &self.graph.nodes()[n];
        let value = node.inputs[i];
        if !others(&self.plan).holds(value) {
            return Ok(());
        }
        let name = &self.graph.value(value).name;
        Err(unsupported(node, format!("its parameter `{name}` is trained and a running statistic at once")))
    }
}
