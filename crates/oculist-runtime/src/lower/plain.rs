//! Everything that the fast kernels do not compute, on row-major tensors.

use oculist_graph::NodeId;

use super::Lowering;
use super::op::Fast;
use crate::error::RuntimeError;
use crate::rows::PlainStep;
use crate::step::{Step, Work};

impl Lowering<'_> {
    /// Says for every node how the fast kernels compute it, and where their layout is wanted.
    pub(super) fn classify(&mut self) -> Result<(), RuntimeError> {
        let nodes = 0..self.graph.nodes().len();
        self.fast = nodes.clone().map(|id| self.fast_form(id)).collect::<Result<_, _>>()?;
        for id in nodes.rev() {
            let wants = |r: &NodeId| self.fast[*r].is_some_and(|fast| !fast.is_light() || self.wanted[*r]);
            let mut readers =
                self.node(id).outputs.iter().flat_map(|v| &self.consumers[v.index()]).peekable();
            self.wanted[id] = readers.peek().is_some() && readers.all(wants);
        }
        Ok(())
    }

    /// Whether a node is better computed by the fast kernels: always if it is a layer, and otherwise if what it reads or
    /// what its readers want lies in their layout. A light node between row-major tensors is not worth two conversions.
    pub(super) fn pays(&self, id: NodeId, fast: Fast) -> bool {
        !fast.is_light()
            || self.wanted[id]
            || self.node(id).inputs.iter().any(|v| self.states[v.index()].fast().is_some())
    }

    /// A plain step.
    pub(super) fn lower_plain(&mut self, id: NodeId) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for slot in node.inputs.slots() {
            inputs.push(match slot {
                Some(value) => Some(self.rows(*value, &node.name)?),
                None => None,
            });
        }
        let outputs = node.outputs.iter().map(|&v| self.slot(v)).collect::<Vec<_>>();
        let work = Work::Plain(Box::new(PlainStep { op: node.op.clone(), inputs, outputs: outputs.clone() }));
        self.steps.push(Step { node: node.name.clone(), inputs: Vec::new(), output: None, work });
        for (&value, slot) in node.outputs.iter().zip(outputs) {
            self.states[value.index()].rows = Some(slot);
            self.show(value)?;
        }
        Ok(())
    }
}
