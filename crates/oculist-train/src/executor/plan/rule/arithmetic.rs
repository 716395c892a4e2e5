//! Activations, sums and products.

use oculist_graph::{Binary, NodeId, Op, Unary};
use oculist_kernels::Activation;

use super::super::{Planner, Slot, Step};
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
    let Some([x, gate]) = planner.operands(n).or_else(|| planner.gate(n)) else { return Ok(false) };
    let y = planner.new_slot(node.output(), planner.plan.slots[x]);
    planner.plan.steps.push(Step::Gate { x, gate, y });
    Ok(true)
}

impl Planner<'_> {
    /// Both inputs of a node, lying alike; `None` if their shapes differ.
    fn operands(&mut self, n: NodeId) -> Option<[Slot; 2]> {
        let ((first, a), (second, b)) = (self.input_slot(n, 0)?, self.input_slot(n, 1)?);
        if self.graph.shape(first) != self.graph.shape(second) {
            return None;
        }
        if self.plan.slots[a] == self.plan.slots[b] {
            return Some([a, b]);
        }
        // Maps of different shapes may be flattened to values of the same.
        Some([self.flat(first, a), self.flat(second, b)])
    }

    /// A map `[N, C, H, W]` and its gate `[N, C, 1, 1]`, in either order.
    fn gate(&self, n: NodeId) -> Option<[Slot; 2]> {
        let (a, b) = (self.input_slot(n, 0)?, self.input_slot(n, 1)?);
        for ((value, x), (other, gate)) in [(a, b), (b, a)] {
            let (shape, of_gate) = (self.graph.shape(value), self.graph.shape(other));
            let (map, gates) = (self.plan.slots[x], self.plan.slots[gate]);
            if shape.rank() == 4
                && of_gate.rank() == 4
                && gates.channels == map.channels
                && gates.stride == map.stride
                && gates.pixels() == 1
            {
                return Some([x, gate]);
            }
        }
        None
    }
}
