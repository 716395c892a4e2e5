//! Changes of a graph's nodes.

use crate::error::GraphError;
use crate::graph::{Graph, Node, NodeId, ValueId};
use crate::inputs::Inputs;
use crate::mask::is_mask;
use crate::op::{Binary, Op, Role};
use crate::tensor::Tensor;

/// A graph whose nodes are being changed: what was inferred may be out of date until [`Edit::finish`].
///
/// Numbers of nodes stay what they are until then; new ones are added behind the others.
#[derive(Debug)]
pub struct Edit<'a> {
    graph: &'a mut Graph,
}

impl Edit<'_> {
    /// The graph as it is now.
    pub fn graph(&self) -> &Graph {
        self.graph
    }

    /// The values and parameters, for adding some.
    pub fn values(&mut self) -> &mut Graph {
        self.graph
    }

    /// Changes the operator of a node.
    pub fn set_op(&mut self, node: NodeId, op: impl Into<Op>) {
        self.graph.nodes[node].op = op.into();
    }

    /// Changes one input of a node; `None` leaves it out.
    pub fn set_input(&mut self, node: NodeId, i: usize, value: Option<ValueId>) {
        self.graph.nodes[node].inputs.set(i, value);
    }

    /// Changes all inputs of a node.
    pub fn set_inputs(&mut self, node: NodeId, inputs: impl Into<Inputs>) {
        self.graph.nodes[node].inputs = inputs.into();
    }

    /// Lets a node produce another value as its first output; the node that produced it must lose it.
    pub fn set_output(&mut self, node: NodeId, value: ValueId) {
        self.graph.nodes[node].outputs[0] = value;
    }

    /// Makes a constant of a value that a node computes; the node, which must compute nothing else that is read, is dropped
    /// by [`Edit::finish`].
    pub fn set_constant(&mut self, value: ValueId, tensor: Tensor) {
        self.graph.set_param(value, tensor);
    }

    /// Infers the outputs of one node again, after something of its inputs has become known.
    ///
    /// # Errors
    /// [`GraphError`] if what is known now contradicts the node.
    pub fn infer(&mut self, node: NodeId) -> Result<(), GraphError> {
        self.graph.infer_one(node)
    }

    /// Renames a node.
    pub fn rename(&mut self, node: NodeId, name: impl Into<String>) {
        self.graph.nodes[node].name = name.into();
    }

    /// Adds a node with outputs that exist already as values without producer.
    pub fn push(&mut self, node: Node) {
        self.graph.nodes.push(node);
    }

    /// Replaces all nodes.
    pub fn replace_nodes(&mut self, nodes: Vec<Node>) {
        self.graph.nodes = nodes;
    }

    /// Takes all nodes out, for [`Edit::replace_nodes`].
    pub fn take_nodes(&mut self) -> Vec<Node> {
        std::mem::take(&mut self.graph.nodes)
    }

    /// Drops what no output needs, sorts, renumbers and infers ([`Graph::tidy`]).
    ///
    /// # Errors
    /// As [`Graph::tidy`].
    pub fn finish(self) -> Result<(), GraphError> {
        self.graph.tidy()
    }
}

impl Graph {
    /// Begins a change of nodes.
    pub fn edit(&mut self) -> Edit<'_> {
        Edit { graph: self }
    }

    /// Whether input `i` of a node is trained if it is a parameter.
    ///
    /// An operand of a sum or product is, unless it is a single number (a factor of the formula), holds what is no finite
    /// number, or is a mask (`mask.rs` says how one is told from a weight).
    pub fn is_weight_at(&self, node: &Node, i: usize) -> bool {
        match node.op.role(i) {
            Role::Weight => true,
            Role::Operand => node.inputs.get(i).and_then(|v| self.param(v)).is_some_and(|t| {
                let finite = || t.as_f32().is_none_or(|v| v.iter().all(|x| x.is_finite()));
                t.len() > 1
                    && t.dtype().is_float()
                    && finite()
                    && !is_mask(t, matches!(node.op, Op::Binary(Binary::Mul)))
            }),
            Role::Data | Role::Statistic | Role::Quantization | Role::Argument => false,
        }
    }

    /// Per value, whether it is a parameter that some node reads as a weight or a statistic.
    pub fn weights(&self) -> Vec<bool> {
        let mut weights = vec![false; self.values.len()];
        for node in &self.nodes {
            for (i, slot) in node.inputs.slots().iter().enumerate() {
                if let Some(id) = slot
                    && id.index() < weights.len()
                    && self.param(*id).is_some()
                    && (self.is_weight_at(node, i) || node.op.role(i) == Role::Statistic)
                {
                    weights[id.index()] = true;
                }
            }
        }
        weights
    }

    /// Elements added before and behind the channels, if a node is a `Pad` that adds zero channels to `[N, C, H, W]`
    /// and nothing else.
    pub fn channel_padding(&self, node: &Node) -> Option<(usize, usize)> {
        let Op::Pad(pad) = &node.op else { return None };
        pad.channels(&self.given(node).ok()?)
    }
}
