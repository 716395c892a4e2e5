//! The graph: values, nodes and the edits that passes use.

use std::collections::BTreeMap;

use crate::error::GraphError;
use crate::inputs::Inputs;
use crate::op::{Item, Op};
use crate::shape::Shape;
use crate::tensor::{DataType, Tensor};

/// Names a value of one graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub(crate) usize);

impl ValueId {
    /// Position among the graph's values, for tables indexed by value.
    pub fn index(self) -> usize {
        self.0
    }
}

/// Names a node of one graph: its position in topological order. Edits invalidate it.
pub type NodeId = usize;

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueKind {
    /// Given by the caller.
    Input,
    /// A parameter or constant.
    Param(Tensor),
    /// Produced by a node.
    Activation,
}

/// A named value.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Unique name.
    pub name: String,
    /// What it is.
    pub kind: ValueKind,
    /// Element type.
    pub dtype: DataType,
    /// Shape, once inferred.
    pub shape: Option<Shape>,
    /// Elements of a small integer value that shapes are made from, as far as inference knows them.
    pub items: Option<Vec<Item>>,
}

/// An operator applied to values.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Unique name.
    pub name: String,
    /// Operator and attributes.
    pub op: Op,
    /// Inputs in ONNX order.
    pub inputs: Inputs,
    /// Outputs in ONNX order, at least one. An optional one that nobody asked for, before one that is there, is a value
    /// that nobody reads.
    pub outputs: Vec<ValueId>,
}

impl Node {
    /// The first output: the only one of most operators.
    pub fn output(&self) -> ValueId {
        self.outputs[0]
    }
}

/// A model: nodes in topological order over named values.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    pub(crate) name: String,
    pub(crate) values: Vec<Value>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) inputs: Vec<ValueId>,
    pub(crate) outputs: Vec<ValueId>,
    /// Names of symbolic dimensions: [`crate::Dim::Symbol`] indexes this list.
    pub(crate) symbols: Vec<String>,
    /// Name of the batch dimension.
    pub(crate) batch_name: String,
    /// Opset of the default domain in which the graph is written.
    pub(crate) opset: i64,
    /// Free text that travels with the model (preprocessing, class names), in key order.
    pub metadata: BTreeMap<String, String>,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            values: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            symbols: Vec::new(),
            batch_name: "N".to_owned(),
            opset: Self::OPSET,
            metadata: BTreeMap::new(),
        }
    }

    /// The opset of graphs that no file asks another for: every runtime in use reads it.
    pub const OPSET: i64 = 17;

    /// Opset of the default domain in which the graph is written, unless a node needs a newer one.
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// Sets the opset in which the graph is written.
    pub fn set_opset(&mut self, opset: i64) {
        self.opset = opset;
    }

    /// Names of the symbolic dimensions beside the batch.
    pub fn symbols(&self) -> &[String] {
        &self.symbols
    }

    /// The symbolic dimension of a name; the batch's name gives the batch.
    pub fn symbol(&mut self, name: &str) -> crate::Dim {
        if name == self.batch_name {
            return crate::Dim::Batch;
        }
        let known = self.symbols.iter().position(|s| s == name).unwrap_or_else(|| {
            self.symbols.push(name.to_owned());
            self.symbols.len() - 1
        });
        crate::Dim::Symbol(u32::try_from(known).unwrap_or(u32::MAX))
    }

    /// Name of the batch dimension.
    pub fn batch_name(&self) -> &str {
        &self.batch_name
    }

    /// Names the batch dimension.
    pub fn set_batch_name(&mut self, name: impl Into<String>) {
        self.batch_name = name.into();
    }

    /// The graph's name, usually its architecture.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Renames the graph.
    pub fn set_name(&mut self, name: impl Into<String>) {
        self.name = name.into();
    }

    /// The nodes in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The values; a [`ValueId`] indexes this slice.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The ids of all values.
    pub fn value_ids(&self) -> impl Iterator<Item = ValueId> + use<> {
        (0..self.values.len()).map(ValueId)
    }

    /// One value.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    /// The graph's inputs (without parameters).
    pub fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// The graph's outputs.
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// Replaces the list of outputs.
    pub fn set_outputs(&mut self, outputs: Vec<ValueId>) {
        self.outputs = outputs;
    }

    /// The tensor of a parameter.
    pub fn param(&self, id: ValueId) -> Option<&Tensor> {
        if let ValueKind::Param(t) = &self.values[id.0].kind { Some(t) } else { None }
    }

    /// The tensor of a parameter for writing in place (same shape).
    pub fn param_mut(&mut self, id: ValueId) -> Option<&mut Tensor> {
        if let ValueKind::Param(t) = &mut self.values[id.0].kind { Some(t) } else { None }
    }

    /// All parameters in order of creation.
    pub fn params(&self) -> impl Iterator<Item = (ValueId, &Value, &Tensor)> {
        self.values.iter().enumerate().filter_map(|(i, v)| match &v.kind {
            ValueKind::Param(t) => Some((ValueId(i), v, t)),
            _ => None,
        })
    }

    /// The value of a name.
    pub fn find(&self, name: &str) -> Option<ValueId> {
        self.values.iter().position(|v| v.name == name).map(ValueId)
    }

    /// The inferred shape of a value.
    ///
    /// # Panics
    /// If shapes were not inferred: every constructor and [`Graph::tidy`] infers them.
    pub fn shape(&self, id: ValueId) -> &Shape {
        self.values[id.0].shape.as_ref().expect("shapes are inferred when a graph is built or tidied")
    }

    /// The shape of the first input as `(channels, height, width)`.
    pub fn input_chw(&self) -> Option<(usize, usize, usize)> {
        self.values[self.inputs.first()?.0].shape.as_ref()?.chw()
    }

    /// The node that produces each value: `result[value.index()]`.
    pub fn producers(&self) -> Vec<Option<NodeId>> {
        let mut producers = vec![None; self.values.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            for output in &node.outputs {
                producers[output.0] = Some(i);
            }
        }
        producers
    }

    /// The nodes that read each value: `result[value.index()]`, in order.
    pub fn consumers(&self) -> Vec<Vec<NodeId>> {
        let mut consumers = vec![Vec::new(); self.values.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            for input in &node.inputs {
                if consumers[input.0].last() != Some(&i) {
                    consumers[input.0].push(i);
                }
            }
        }
        consumers
    }

    /// Adds an input.
    pub fn add_input(&mut self, name: impl Into<String>, shape: Shape) -> ValueId {
        let id = self.push_value(name.into(), ValueKind::Input, DataType::F32, Some(shape));
        self.inputs.push(id);
        id
    }

    /// Adds an input of any element type.
    pub fn add_typed_input(&mut self, name: impl Into<String>, dtype: DataType, shape: Shape) -> ValueId {
        let id = self.push_value(name.into(), ValueKind::Input, dtype, Some(shape));
        self.inputs.push(id);
        id
    }

    /// Gives an input another shape; what follows from it is inferred by [`Graph::tidy`].
    pub fn set_input_shape(&mut self, input: ValueId, shape: Shape) {
        self.values[input.0].shape = Some(shape);
    }

    /// Gives an input another element type; what follows from it is inferred by [`Graph::tidy`].
    pub fn set_input_type(&mut self, input: ValueId, dtype: DataType) {
        self.values[input.0].dtype = dtype;
    }

    /// Adds a parameter.
    pub fn add_param(&mut self, name: impl Into<String>, tensor: Tensor) -> ValueId {
        let shape = Shape::fixed(tensor.shape());
        let dtype = tensor.dtype();
        self.push_value(name.into(), ValueKind::Param(tensor), dtype, Some(shape))
    }

    /// Appends a node with a new output value named after it.
    pub fn add_node(
        &mut self,
        name: impl Into<String>,
        op: impl Into<Op>,
        inputs: impl Into<Inputs>,
    ) -> ValueId {
        let name = name.into();
        let output = self.add_activation(format!("{name}.out"));
        self.nodes.push(Node { name, op: op.into(), inputs: inputs.into(), outputs: vec![output] });
        output
    }

    /// Adds a value that a node will produce.
    pub fn add_activation(&mut self, name: impl Into<String>) -> ValueId {
        self.push_value(name.into(), ValueKind::Activation, DataType::F32, None)
    }

    /// Replaces a parameter's tensor; its shape may change.
    pub fn set_param(&mut self, id: ValueId, tensor: Tensor) {
        let value = &mut self.values[id.0];
        value.shape = Some(Shape::fixed(tensor.shape()));
        value.dtype = tensor.dtype();
        value.kind = ValueKind::Param(tensor);
    }

    /// Makes every reader of `old` (and the output list) read `new`. It looks at all nodes: for many values, see
    /// [`Graph::map_uses`].
    pub fn replace_uses(&mut self, old: ValueId, new: ValueId) {
        self.map_uses(|v| if v == old { new } else { v });
    }

    /// Makes every reader of a value, and the output list, read `new(value)` instead.
    pub fn map_uses(&mut self, mut new: impl FnMut(ValueId) -> ValueId) {
        for v in self.nodes.iter_mut().flat_map(|node| node.inputs.iter_mut()).chain(&mut self.outputs) {
            *v = new(*v);
        }
    }

    /// Restores the invariants after edits: drops what no output needs, sorts nodes topologically (keeping the
    /// given order where it is free), renumbers values and infers shapes. Ids from before are invalid.
    ///
    /// # Errors
    /// [`GraphError`] if there is a cycle or a value without producer (the graph is then as it was), or if shapes
    /// do not fit.
    pub fn tidy(&mut self) -> Result<(), GraphError> {
        let producers = self.producers();
        let mut needed = vec![false; self.nodes.len()];
        let mut stack: Vec<ValueId> = self.outputs.clone();
        while let Some(v) = stack.pop() {
            // What has become a constant needs its producer no more.
            if let Some(n) = producers[v.0]
                && matches!(self.values[v.0].kind, ValueKind::Activation)
                && !needed[n]
            {
                needed[n] = true;
                stack.extend(&self.nodes[n].inputs);
            }
        }
        let order = self.sorted(&producers, &needed)?;
        let mut keep: Vec<bool> = self.values.iter().map(|v| matches!(v.kind, ValueKind::Input)).collect();
        let mut produced = vec![false; self.values.len()];
        for &n in &order {
            let node = &self.nodes[n];
            for v in &node.outputs {
                produced[v.0] = true;
            }
            for v in node.inputs.iter().chain(node.outputs.iter().copied()) {
                keep[v.0] = true;
            }
        }
        for v in &self.outputs {
            if matches!(self.values[v.0].kind, ValueKind::Activation) && !produced[v.0] {
                return Err(GraphError::Structure {
                    graph: self.name.clone(),
                    problem: format!("output `{}` has no producer", self.values[v.0].name),
                });
            }
            keep[v.0] = true;
        }
        // From here on nothing fails before the graph is whole again; tensors are moved, not copied.
        let mut renumbered = vec![ValueId(usize::MAX); keep.len()];
        let mut values = Vec::new();
        for (i, value) in std::mem::take(&mut self.values).into_iter().enumerate() {
            if keep[i] {
                renumbered[i] = ValueId(values.len());
                values.push(value);
            }
        }
        self.values = values;
        let mut nodes: Vec<Option<Node>> = std::mem::take(&mut self.nodes).into_iter().map(Some).collect();
        self.nodes = order.iter().filter_map(|&n| nodes[n].take()).collect();
        let ids = self.nodes.iter_mut().flat_map(|n| n.inputs.iter_mut().chain(&mut n.outputs));
        for v in ids.chain(&mut self.outputs).chain(&mut self.inputs) {
            *v = renumbered[v.0];
        }
        self.infer_shapes()
    }

    /// The needed nodes in topological order, in the order that passes over the list give: each pass takes, from front
    /// to back, every node whose inputs have been computed. A list that is sorted already stays as it is.
    ///
    /// A node is taken in the pass of its latest producer, or in the next one where that stands behind it. So the passes
    /// need not be made: their numbers are computed along the edges (Kahn's algorithm), each node once.
    fn sorted(&self, producers: &[Option<NodeId>], needed: &[bool]) -> Result<Vec<NodeId>, GraphError> {
        let produced = |v: ValueId| matches!(self.values[v.0].kind, ValueKind::Activation);
        let mut readers = vec![Vec::new(); self.nodes.len()];
        let mut waits_for = vec![0usize; self.nodes.len()];
        for (n, node) in self.nodes.iter().enumerate().filter(|&(n, _)| needed[n]) {
            for v in node.inputs.iter().filter(|&v| produced(v)) {
                // Without a producer it waits forever.
                waits_for[n] += 1;
                if let Some(p) = producers[v.0] {
                    readers[p].push(n);
                }
            }
        }
        let mut pass = vec![0usize; self.nodes.len()];
        let mut ready: Vec<NodeId> =
            (0..self.nodes.len()).filter(|&n| needed[n] && waits_for[n] == 0).collect();
        let mut order = Vec::new();
        while let Some(n) = ready.pop() {
            order.push(n);
            for &reader in &readers[n] {
                pass[reader] = pass[reader].max(pass[n] + usize::from(n > reader));
                waits_for[reader] -= 1;
                if waits_for[reader] == 0 {
                    ready.push(reader);
                }
            }
        }
        if let Some(n) = (0..self.nodes.len()).find(|&n| needed[n] && waits_for[n] > 0) {
            return Err(GraphError::Structure {
                graph: self.name.clone(),
                problem: format!(
                    "node `{}` waits for a value that nothing produces before it (cycle or missing producer)",
                    self.nodes[n].name
                ),
            });
        }
        order.sort_unstable_by_key(|&n| (pass[n], n));
        Ok(order)
    }

    fn push_value(
        &mut self,
        name: String,
        kind: ValueKind,
        dtype: DataType,
        shape: Option<Shape>,
    ) -> ValueId {
        self.values.push(Value { name, kind, dtype, shape, items: None });
        ValueId(self.values.len() - 1)
    }
}

#[cfg(test)]
mod tests;
