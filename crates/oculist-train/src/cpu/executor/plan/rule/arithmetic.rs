//! Activations, sums and products.

use oculist_graph::{Binary, NodeId, Op, Unary};
use oculist_kernels::Activation;

use super::super::{Map, Planner, Slot, Step};
use super::Outcome;

/// The element-wise operator as the kernels know it.
pub(super) fn activation_of(op: &Op) -> Option<Activation> {
    let Op::Unary(unary) = op else { return None };
    match *unary {
        Unary::Relu => Some(Activation::Relu),
        Unary::Clip { min, max } => Some(Activation::Clip { min, max }),
        Unary::HardSwish => Some(Activation::HardSwish),
        Unary::HardSigmoid { alpha, beta } => Some(Activation::HardSigmoid { alpha, beta }),
        Unary::Sigmoid => Some(Activation::Sigmoid),
        _ => None,
    }
}

/// A function of one element.
pub(super) fn activation(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    let Some(activation) = activation_of(&node.op) else { return Ok(false) };
    let Some((_, x)) = planner.input_slot(n, 0) else { return Ok(false) };
    let y = planner.new_slot(node.output(), planner.plan.slots[x]);
    planner.plan.steps.push(Step::Activation { x, activation, y });
    Ok(true)
}

/// The sum of two values of one shape.
pub(super) fn add(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    if node.op != Op::Binary(Binary::Add) {
        return Ok(false);
    }
    let Some([a, b]) = planner.operands(n) else { return Ok(false) };
    let y = planner.new_slot(node.output(), planner.plan.slots[a]);
    planner.plan.steps.push(Step::Add { a, b, y });
    Ok(true)
}

/// The product of two values of one shape, or of a map and a gate with one number for each of its channels.
pub(super) fn mul(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    if node.op != Op::Binary(Binary::Mul) {
        return Ok(false);
    }
    let pair = match planner.operands(n) {
        Some(pair) => Some(pair),
        None => planner.gate(n),
    };
    let Some([x, gate]) = pair else { return Ok(false) };
    let y = planner.new_slot(node.output(), planner.plan.slots[x]);
    planner.plan.steps.push(Step::Gate { x, gate, y });
    Ok(true)
}

impl Planner<'_> {
    /// Both inputs of a node, lying alike; `None` if their shapes differ.
    fn operands(&mut self, n: NodeId) -> Option<[Slot; 2]> {
        let inputs = &self.graph.nodes()[n].inputs;
        if !self.meet_in_slots(n, 2) || self.graph.shape(inputs[0]) != self.graph.shape(inputs[1]) {
            return None;
        }
        let ((first, a), (second, b)) = (self.input_as_slot(n, 0)?, self.input_as_slot(n, 1)?);
        if self.plan.slots[a] == self.plan.slots[b] {
            return Some([a, b]);
        }
        // Maps of different shapes may be flattened to values of the same.
        Some([self.flat(first, a), self.flat(second, b)])
    }

    /// A map `[N, C, H, W]` and its gate `[N, C, 1, 1]`, in either order.
    fn gate(&mut self, n: NodeId) -> Option<[Slot; 2]> {
        if !self.meet_in_slots(n, 2) {
            return None;
        }
        let [a, b] = [0, 1].map(|i| self.graph.nodes()[n].inputs[i]);
        let (left, right) = (self.form(a)?, self.form(b)?);
        let fits = |map: Map, gate: Map| gate.channels == map.channels && gate.pixels() == 1;
        let both = self.graph.shape(a).rank() == 4 && self.graph.shape(b).rank() == 4;
        let (value, other) = if both && fits(left, right) {
            (a, b)
        } else if both && fits(right, left) {
            (b, a)
        } else {
            return None;
        };
        let (x, gate) = (self.slot(n, value)?, self.slot(n, other)?);
        // An image that only convolutions read is not padded.
        (self.plan.slots[x].stride == self.plan.slots[gate].stride).then_some([x, gate])
    }
}
