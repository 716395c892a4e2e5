//! A graph while a pass rewrites it.

use oculist_graph::{Dim, Graph, Inputs, Node, NodeId, Op, Shape, Tensor, ValueId};

use crate::Result;
use crate::edit::{Names, consumer_counts};

/// A graph with what patterns ask for. A pattern changes the operator and inputs of its last node, which keeps its name
/// and output; what nobody reads then falls away at the end.
pub(super) struct Rewrite {
    graph: Graph,
    producers: Vec<Option<NodeId>>,
    /// How often each value was read before the pass: never less than it is read now.
    uses: Vec<usize>,
    is_output: Vec<bool>,
    /// What stands for each value.
    stands_for: Vec<ValueId>,
    names: Names,
    node_names: Names,
}

impl Rewrite {
    pub(super) fn new(graph: Graph) -> Self {
        let mut is_output = vec![false; graph.values().len()];
        for output in graph.outputs() {
            is_output[output.index()] = true;
        }
        Self {
            producers: graph.producers(),
            uses: consumer_counts(&graph),
            is_output,
            stands_for: graph.value_ids().collect(),
            names: Names::of(&graph),
            node_names: Names::of_nodes(&graph),
            graph,
        }
    }

    pub(super) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Number of nodes that the graph had before the pass.
    pub(super) fn len(&self) -> usize {
        self.graph.nodes().len()
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.graph.nodes()[id]
    }

    pub(super) fn shape(&self, value: ValueId) -> Option<&Shape> {
        self.graph.value(value).shape.as_ref()
    }

    /// The node that computes a value.
    pub(super) fn producer(&self, value: ValueId) -> Option<NodeId> {
        self.producers.get(self.resolve(value).index()).copied().flatten()
    }

    /// The node that computes a value, if nothing else reads it and it is no output.
    pub(super) fn only_producer(&self, value: ValueId) -> Option<NodeId> {
        let value = self.resolve(value);
        let single = self.uses.get(value.index()) == Some(&1) && !self.is_output[value.index()];
        self.producer(value).filter(|_| single)
    }

    pub(super) fn is_output(&self, value: ValueId) -> bool {
        self.is_output.get(value.index()).copied().unwrap_or(false)
    }

    /// A constant.
    pub(super) fn tensor(&self, value: ValueId) -> Option<&Tensor> {
        self.graph.param(self.resolve(value))
    }

    /// A constant f32 tensor.
    pub(super) fn floats(&self, value: ValueId) -> Option<&[f32]> {
        self.tensor(value)?.as_f32()
    }

    /// The number that all elements of a constant f32 tensor of one element are.
    pub(super) fn scalar(&self, value: ValueId) -> Option<f32> {
        match self.floats(value)? {
            [number] => Some(*number),
            _ => None,
        }
    }

    /// The integers of an argument, of a constant or as far as inference knows all of them.
    pub(super) fn ints(&self, node: &Node, i: usize) -> Option<Vec<i64>> {
        self.graph.given(node).ok()?.ints(i)
    }

    /// The other operand of a binary node, and its place, if one of them is `value`.
    pub(super) fn other(&self, node: &Node, value: ValueId) -> Option<ValueId> {
        match (self.resolve(node.inputs.get(0)?), self.resolve(node.inputs.get(1)?)) {
            (a, b) if a == value => Some(b),
            (a, b) if b == value => Some(a),
            _ => None,
        }
    }

    /// What an input is by now.
    pub(super) fn input(&self, node: &Node, i: usize) -> Option<ValueId> {
        node.inputs.get(i).map(|v| self.resolve(v))
    }

    pub(super) fn resolve(&self, mut value: ValueId) -> ValueId {
        while let Some(&next) = self.stands_for.get(value.index())
            && next != value
        {
            value = next;
        }
        value
    }

    /// Adds a constant.
    pub(super) fn param(&mut self, wish: &str, tensor: Tensor) -> ValueId {
        let name = self.names.fresh(wish);
        let id = self.graph.add_param(name, tensor);
        self.stands_for.push(id);
        id
    }

    /// Adds a node and returns its output.
    pub(super) fn push(&mut self, wish: &str, op: impl Into<Op>, inputs: impl Into<Inputs>) -> ValueId {
        let name = self.node_names.fresh(wish);
        let output = self.graph.add_activation(self.names.fresh(&format!("{name}.out")));
        self.stands_for.push(output);
        self.graph.edit().push(Node { name, op: op.into(), inputs: inputs.into(), outputs: vec![output] });
        output
    }

    /// Gives a node another operator and other inputs.
    pub(super) fn set(&mut self, node: NodeId, op: impl Into<Op>, inputs: impl Into<Inputs>) {
        let mut edit = self.graph.edit();
        edit.set_op(node, op);
        edit.set_inputs(node, inputs);
    }

    /// Gives a node another input.
    pub(super) fn set_input(&mut self, node: NodeId, i: usize, value: Option<ValueId>) {
        self.graph.edit().set_input(node, i, value);
    }

    /// Infers the outputs of a node again, after something of its inputs has become known.
    pub(super) fn infer(&mut self, node: NodeId) -> Result<()> {
        Ok(self.graph.edit().infer(node)?)
    }

    /// Makes a constant of a value that is computed.
    pub(super) fn set_constant(&mut self, value: ValueId, tensor: Tensor) {
        self.graph.edit().set_constant(value, tensor);
        self.producers[value.index()] = None;
    }

    /// Lets every reader of a node's only output read `input` instead; an output of the graph keeps its name. Says
    /// whether that is possible.
    pub(super) fn remove(&mut self, node: NodeId, input: ValueId) -> bool {
        let (input, output) = (self.resolve(input), self.node(node).output());
        if self.node(node).outputs.len() != 1 || input == output {
            return false;
        }
        if !self.is_output(output) {
            self.stands_for[output.index()] = input;
            return true;
        }
        // The output's name is part of the model's interface: its producer takes it over.
        let Some(p) = self.producer(input) else { return false };
        if self.is_output(input) || self.node(p).output() != input {
            return false;
        }
        self.stands_for[input.index()] = output;
        self.producers[output.index()] = Some(p);
        let spare = self.names.fresh(&format!("{}.removed", self.node(node).name));
        let spare = self.graph.add_activation(spare);
        self.stands_for.push(spare);
        self.graph.edit().set_output(p, output);
        self.graph.edit().set_output(node, spare);
        true
    }

    /// Whether two values have the same known shape, symbols included.
    pub(super) fn same_shape(&self, a: ValueId, b: ValueId) -> bool {
        match (self.shape(a), self.shape(b)) {
            (Some(a), Some(b)) => a == b && !a.dims().contains(&Dim::Unknown),
            _ => false,
        }
    }

    /// The rewritten graph.
    pub(super) fn finish(mut self) -> Result<Graph> {
        let stands_for = std::mem::take(&mut self.stands_for);
        self.graph.map_uses(|mut v| {
            while stands_for[v.index()] != v {
                v = stands_for[v.index()];
            }
            v
        });
        self.graph.tidy()?;
        self.graph.check()?;
        Ok(self.graph)
    }
}
