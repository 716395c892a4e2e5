//! Everything that the fast kernels do not compute, on row-major tensors.

use oculist_graph::op::axis;
use oculist_graph::{NodeId, Op, ValueId};

use super::op::Fast;
use super::{Lowering, Order};
use crate::error::RuntimeError;
use crate::rows::PlainStep;
use crate::step::{Step, Work};

impl Lowering<'_> {
    /// Says for every node how the fast kernels compute it, and where their layout is wanted.
    pub(super) fn classify(&mut self) -> Result<(), RuntimeError> {
        let nodes = 0..self.graph.nodes().len();
        for id in nodes.clone() {
            let taken = self.done[id] || self.heads.contains_key(&id);
            let mut fast = if taken { None } else { self.fast_form(id)? };
            if fast == Some(Fast::Moved(Order::First)) && self.read_as_rows(self.node(id).output()) {
                fast = None;
            }
            for &output in &self.node(id).outputs {
                self.orders[output.index()] = self.order_of(id, fast, output);
            }
            self.fast.push(fast);
            self.find_heads(id)?;
        }
        self.drop_unread();
        for id in nodes.rev() {
            let wants = |r: &NodeId| self.fast[*r].is_some_and(|fast| !fast.is_light() || self.wanted[*r]);
            let mut readers =
                self.node(id).outputs.iter().flat_map(|v| &self.consumers[v.index()]).peekable();
            self.wanted[id] = readers.peek().is_some() && readers.all(wants);
        }
        Ok(())
    }

    /// The order of a node's result: that of its input or what the step makes; elsewhere, what the readers want.
    fn order_of(&self, id: NodeId, fast: Option<Fast>, output: ValueId) -> Order {
        let node = self.node(id);
        match fast {
            Some(Fast::Moved(order)) => order,
            Some(Fast::Linear | Fast::RowNorm { .. }) => Order::Last,
            Some(fast) => {
                fast.follows().map_or(self.orders[output.index()], |i| self.orders[node.inputs[i].index()])
            }
            None => {
                if self.read_as_rows(output) {
                    Order::Last
                } else {
                    self.orders[output.index()]
                }
            }
        }
    }

    /// Whether a reader of a value works on its rows alone.
    fn read_as_rows(&self, value: ValueId) -> bool {
        let rows = |r: &NodeId| self.wants_rows(*r, value);
        self.graph.shape(value).rank() > 2 && self.consumers[value.index()].iter().any(rows)
    }

    /// Whether a node works on rows of channels alone.
    fn wants_rows(&self, id: NodeId, value: ValueId) -> bool {
        let node = self.node(id);
        let first = node.inputs.slots().first() == Some(&Some(value));
        let rank = self.graph.shape(value).rank();
        match &node.op {
            Op::LayerNormalization(norm) => first && axis(norm.axis, rank) == Ok(rank - 1),
            Op::MatMul(_) => first && node.inputs.get(1).is_some_and(|w| self.is_float_constant(w)),
            _ => false,
        }
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
