//! What the names of the file stand for.

use std::collections::{HashMap, HashSet};

use oculist_graph::{Node, Op, Shape, Tensor, TensorData, ValueId, ValueKind};

use crate::error::OnnxError;
use crate::import::Importer;
use crate::import::extents::Extent;
use crate::import::node::NodeContext;

/// What a name stands for.
#[derive(Debug, Clone)]
pub(super) enum Binding {
    /// A value of the graph.
    Value(ValueId),
    /// A constant: a position in [`Importer::constants`].
    Constant(usize),
    /// Sizes computed from a value's shape.
    Extents(Vec<Extent>),
}

/// A constant of the file. The graph gets it as a parameter when a node first reads it.
#[derive(Debug)]
pub(super) struct Constant {
    name: String,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Unused(Tensor),
    Param(ValueId),
}

impl Importer {
    /// Remembers a constant.
    pub(super) fn add_constant(&mut self, name: &str, tensor: Tensor) -> Binding {
        self.constants.push(Constant { name: name.to_owned(), content: Content::Unused(tensor) });
        Binding::Constant(self.constants.len() - 1)
    }

    /// Gives a name its meaning.
    pub(super) fn bind(&mut self, name: String, binding: Binding) -> Result<(), OnnxError> {
        if self.bindings.contains_key(&name) {
            return Err(OnnxError::Model { problem: format!("two values are named `{name}`") });
        }
        self.bindings.insert(name, binding);
        Ok(())
    }

    /// What the required input `i` stands for.
    pub(super) fn binding(&self, node: &NodeContext, i: usize) -> Result<&Binding, OnnxError> {
        let name = node.required(i)?;
        self.bindings.get(name).ok_or_else(|| {
            let later = self.taken.contains(name);
            node.error(if later {
                format!("input `{name}` is produced later, or is an output that is not supported")
            } else {
                format!("nothing produces the input `{name}`")
            })
        })
    }

    /// Input `i` as an activation.
    pub(super) fn activation(&mut self, node: &NodeContext, i: usize) -> Result<ValueId, OnnxError> {
        match self.binding(node, i)? {
            &Binding::Value(id) => Ok(id),
            Binding::Constant(_) => {
                Err(node
                    .error(format!("input {i} is a constant; supported is a value computed from the input")))
            }
            Binding::Extents(_) => Err(node.error(format!("input {i} is a shape, not an activation"))),
        }
    }

    /// Input `i` as a value of the graph, whatever it is; a constant becomes a parameter.
    pub(super) fn value(&mut self, node: &NodeContext, i: usize) -> Result<ValueId, OnnxError> {
        match self.binding(node, i)? {
            &Binding::Value(id) => Ok(id),
            &Binding::Constant(position) => self.parameter(node, position),
            Binding::Extents(_) => {
                Err(node.error(format!("input {i} is a shape, not a tensor of the model")))
            }
        }
    }

    /// Input `i` as a constant.
    pub(super) fn constant(&self, node: &NodeContext, i: usize) -> Result<&Tensor, OnnxError> {
        match self.binding(node, i)? {
            Binding::Constant(position) => Ok(self.tensor(*position)),
            _ => Err(node.error(format!("input {i} must be a constant"))),
        }
    }

    /// Input `i` as a constant single float, if it is given.
    pub(super) fn scalar(&self, node: &NodeContext, i: usize) -> Result<Option<f32>, OnnxError> {
        if node.input(i).is_none() {
            return Ok(None);
        }
        let tensor = self.constant(node, i)?;
        match tensor.as_f32() {
            Some(&[value]) if !value.is_nan() => Ok(Some(value)),
            _ => Err(node.error(format!(
                "input {i} must be one float, found {} of shape {:?}",
                tensor.dtype().name(),
                tensor.shape()
            ))),
        }
    }

    /// Input `i` as constant 64-bit integers, if it is given.
    pub(super) fn integers(&self, node: &NodeContext, i: usize) -> Result<Option<Vec<i64>>, OnnxError> {
        if node.input(i).is_none() {
            return Ok(None);
        }
        match self.constant(node, i)?.data() {
            TensorData::I64(v) => Ok(Some(v.clone())),
            TensorData::I32(v) => Ok(Some(v.iter().map(|&x| i64::from(x)).collect())),
            _ => Err(node.error(format!("input {i} must hold integers"))),
        }
    }

    /// The content of a constant.
    pub(super) fn tensor(&self, position: usize) -> &Tensor {
        match &self.constants[position].content {
            Content::Unused(tensor) => tensor,
            Content::Param(id) => match &self.graph.value(*id).kind {
                ValueKind::Param(tensor) => tensor,
                _ => unreachable!("a constant that was used is a parameter"),
            },
        }
    }

    /// A constant that replaces input `i` of a node: its parameter in another arrangement.
    pub(super) fn rearranged(
        &mut self,
        node: &NodeContext,
        i: usize,
        tensor: Tensor,
    ) -> Result<ValueId, OnnxError> {
        let &Binding::Constant(position) = self.binding(node, i)? else {
            return Err(node.error(format!("input {i} must be a constant")));
        };
        let constant = &self.constants[position];
        let name = constant.name.clone();
        // A constant with one reader keeps its name; otherwise the original may be needed under it.
        let sole =
            self.uses.get(node.required(i)?) == Some(&1) && matches!(constant.content, Content::Unused(_));
        if !sole {
            let name = self.free_value_name(&name);
            return Ok(self.graph.add_param(name, tensor));
        }
        let id = self.graph.add_param(name, tensor);
        self.constants[position].content = Content::Param(id);
        Ok(id)
    }

    fn parameter(&mut self, node: &NodeContext, position: usize) -> Result<ValueId, OnnxError> {
        let constant = &mut self.constants[position];
        match &mut constant.content {
            Content::Param(id) => Ok(*id),
            Content::Unused(tensor) => {
                if tensor.is_empty() {
                    return Err(node.error(format!("its parameter `{}` has no elements", constant.name)));
                }
                let placeholder = Tensor::f32(&[], vec![0.0]);
                let id = self.graph.add_param(constant.name.clone(), std::mem::replace(tensor, placeholder));
                constant.content = Content::Param(id);
                Ok(id)
            }
        }
    }

    /// Appends a node whose result has the name of the file's node output, and binds that name.
    pub(super) fn emit(
        &mut self,
        node: &NodeContext,
        op: Op,
        inputs: Vec<ValueId>,
    ) -> Result<ValueId, OnnxError> {
        let output = node.output()?.to_owned();
        let name = self.node_name(&node.name);
        let id = self.append(name, op, inputs, output.clone());
        self.bind(output, Binding::Value(id))?;
        Ok(id)
    }

    /// Appends a node that the file does not have, in front of the file's node.
    pub(super) fn emit_extra(
        &mut self,
        node: &NodeContext,
        suffix: &str,
        op: Op,
        inputs: Vec<ValueId>,
    ) -> ValueId {
        let name = self.free_node_name(&format!("{}.{suffix}", node.name));
        let output = self.free_value_name(&format!("{name}.out"));
        self.append(name, op, inputs, output)
    }

    /// Lets the output of a node that does nothing stand for its input.
    pub(super) fn alias(&mut self, node: &NodeContext, binding: Binding) -> Result<(), OnnxError> {
        self.bind(node.output()?.to_owned(), binding)
    }

    fn append(&mut self, name: String, op: Op, inputs: Vec<ValueId>, output: String) -> ValueId {
        let id = self.graph.add_activation(output);
        self.producers.insert(id, self.graph.nodes().len());
        self.graph.nodes_mut().push(Node { name, op, inputs, output: id });
        id
    }

    /// The shape of a value; infers the nodes so far if that has not happened yet.
    pub(super) fn shape(&mut self, id: ValueId) -> Result<Shape, OnnxError> {
        if let Some(shape) = &self.graph.value(id).shape {
            return Ok(shape.clone());
        }
        self.inferred = self.graph.infer_shapes_from(self.inferred)?;
        Ok(self.graph.shape(id).clone())
    }

    /// A name for a node that the file leaves without one.
    pub(super) fn made_up_node_name(&mut self, op: &str, position: usize) -> String {
        let mut name = format!("{op}_{position}");
        while self.nodes.contains(&name) {
            name.push('_');
        }
        name
    }

    /// The name of the file's node; a second node of the same name gets a number.
    fn node_name(&mut self, name: &str) -> String {
        if self.emitted.insert(name.to_owned()) { name.to_owned() } else { self.free_node_name(name) }
    }

    fn free_node_name(&mut self, stem: &str) -> String {
        free(&mut self.nodes, &mut self.node_numbers, stem)
    }

    /// A name for a value that the file does not have.
    pub(super) fn free_value_name(&mut self, stem: &str) -> String {
        free(&mut self.taken, &mut self.value_numbers, stem)
    }
}

/// `stem`, or with the first free number behind it; `numbers` remembers how far each stem has come.
fn free(taken: &mut HashSet<String>, numbers: &mut HashMap<String, usize>, stem: &str) -> String {
    if taken.insert(stem.to_owned()) {
        return stem.to_owned();
    }
    let number = numbers.entry(stem.to_owned()).or_insert(1);
    loop {
        *number += 1;
        let name = format!("{stem}_{number}");
        if taken.insert(name.clone()) {
            return name;
        }
    }
}
