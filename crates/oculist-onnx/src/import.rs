//! An ONNX model as a graph.
//!
//! Nodes are taken in the file's order. Each name of the file is bound to a value of the graph, to a constant that
//! becomes a parameter when a node reads it, or to a shape computed from the input's shape, which exporters use to
//! flatten a batch of unknown size.

mod attributes;
mod extents;
mod linear;
mod node;
mod operators;
mod pad;
mod quantize;
mod reshape;
mod values;
mod window;

use std::collections::{HashMap, HashSet};

use oculist_graph::{Dim, Graph, Shape, ValueId};

use crate::error::OnnxError;
use crate::proto::{Dimension, ElementType, GraphProto, ModelProto, NodeProto, ValueInfoProto};
use crate::tensor::{from_proto, type_name};
use node::NodeContext;
use values::{Binding, Constant};

/// The opsets whose operators have the meaning that the graph gives them.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=21;
/// No image and no layer is larger than this along one dimension.
const LARGEST_SIZE: usize = 1 << 24;

/// Translates a decoded model and checks the result.
pub(crate) fn graph(model: ModelProto) -> Result<Graph, OnnxError> {
    let opset = opset(&model)?;
    let mut proto =
        model.graph.ok_or_else(|| OnnxError::NotOnnx { problem: "it has no graph".to_owned() })?;
    let initializers = std::mem::take(&mut proto.initializer);
    let mut importer = Importer::new(&proto, opset);
    for initializer in &initializers {
        let name = initializer.name.as_deref().unwrap_or_default();
        let tensor = from_proto(name, initializer)?;
        importer.taken.insert(name.to_owned());
        let constant = importer.add_constant(name, tensor);
        importer.bind(name.to_owned(), constant)?;
    }
    drop(initializers);
    importer.inputs(&proto)?;
    for (position, node) in proto.node.iter().enumerate() {
        importer.node(position, node)?;
    }
    importer.outputs(&proto)?;
    let mut graph = importer.graph;
    for entry in model.metadata_props {
        graph.metadata.insert(entry.key.unwrap_or_default(), entry.value.unwrap_or_default());
    }
    graph.tidy()?;
    graph.check()?;
    Ok(graph)
}

fn opset(model: &ModelProto) -> Result<i64, OnnxError> {
    let own = |domain: Option<&str>| matches!(domain, None | Some("" | "ai.onnx"));
    let version = model
        .opset_import
        .iter()
        .find(|entry| own(entry.domain.as_deref()))
        .and_then(|entry| entry.version)
        .ok_or_else(|| OnnxError::NotOnnx {
            problem: "it names no opset of the default domain".to_owned(),
        })?;
    if OPSETS.contains(&version) {
        Ok(version)
    } else {
        Err(OnnxError::Model {
            problem: format!(
                "the model uses opset {version}, supported are {} to {}",
                OPSETS.start(),
                OPSETS.end()
            ),
        })
    }
}

/// The state while nodes are translated.
struct Importer {
    graph: Graph,
    opset: i64,
    bindings: HashMap<String, Binding>,
    constants: Vec<Constant>,
    /// How often nodes and outputs read a name.
    uses: HashMap<String, usize>,
    /// Names of values that exist or will exist.
    taken: HashSet<String>,
    /// Names of nodes that the file gives or that were made up.
    nodes: HashSet<String>,
    /// Names of the file's nodes that the graph already has.
    emitted: HashSet<String>,
    /// Which node of the graph computes a value.
    producers: HashMap<ValueId, usize>,
    /// How far the search for a free name of a node and of a value has come, by stem.
    node_numbers: HashMap<String, usize>,
    value_numbers: HashMap<String, usize>,
    /// Nodes of the graph whose shapes are inferred.
    inferred: usize,
    /// Whether the file fixes the batch size at 1 (the graph leaves it open).
    batch_of_one: bool,
}

impl Importer {
    fn new(proto: &GraphProto, opset: i64) -> Self {
        let mut uses = HashMap::new();
        let mut taken = HashSet::new();
        for node in &proto.node {
            for input in &node.input {
                *uses.entry(input.clone()).or_insert(0) += 1;
            }
            taken.extend(node.output.iter().cloned());
        }
        for output in &proto.output {
            *uses.entry(output.name.clone().unwrap_or_default()).or_insert(0) += 1;
        }
        taken.extend(proto.input.iter().filter_map(|input| input.name.clone()));
        Self {
            graph: Graph::new(proto.name.clone().unwrap_or_default()),
            opset,
            bindings: HashMap::new(),
            constants: Vec::new(),
            uses,
            taken,
            // Names that the file gives; made-up names must keep clear of them.
            nodes: proto.node.iter().filter_map(|node| node.name.clone()).collect(),
            emitted: HashSet::new(),
            producers: HashMap::new(),
            node_numbers: HashMap::new(),
            value_numbers: HashMap::new(),
            inferred: 0,
            batch_of_one: false,
        }
    }

    fn inputs(&mut self, proto: &GraphProto) -> Result<(), OnnxError> {
        for input in &proto.input {
            let name = input.name.clone().unwrap_or_default();
            // Old models list their initializers among the inputs.
            if matches!(self.bindings.get(&name), Some(Binding::Constant(_))) {
                continue;
            }
            let shape = self.input_shape(&name, input)?;
            let id = self.graph.add_input(name.clone(), shape);
            self.bind(name, Binding::Value(id))?;
        }
        if self.graph.inputs().is_empty() {
            return Err(OnnxError::Model { problem: "the model has no input".to_owned() });
        }
        Ok(())
    }

    fn input_shape(&mut self, name: &str, input: &ValueInfoProto) -> Result<Shape, OnnxError> {
        let error = |problem: String| OnnxError::Model { problem: format!("input `{name}`: {problem}") };
        let tensor = input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
        let tensor = tensor.ok_or_else(|| error("expected a tensor".to_owned()))?;
        let code = tensor.elem_type.unwrap_or(0);
        if code != i32::from(ElementType::Float) {
            return Err(error(format!("expected element type FLOAT, found {}", type_name(code))));
        }
        let dims = tensor.shape.as_ref().map(|shape| shape.dim.as_slice()).unwrap_or_default();
        if dims.len() != 4 && dims.len() != 2 {
            return Err(error(format!("expected [N, C, H, W] or [N, C], found {} dimensions", dims.len())));
        }
        let mut shape = Vec::with_capacity(dims.len());
        for (axis, dim) in dims.iter().enumerate() {
            shape.push(match (axis, &dim.value) {
                (0, None | Some(Dimension::Param(_))) => Dim::Batch,
                (0, Some(Dimension::Value(1))) => {
                    self.batch_of_one = true;
                    Dim::Batch
                }
                (0, Some(Dimension::Value(size))) => {
                    return Err(error(format!(
                        "the batch size is fixed at {size}; supported are a symbolic batch and a batch of 1"
                    )));
                }
                (_, Some(Dimension::Value(size))) => {
                    let fits = usize::try_from(*size).ok().filter(|s| (1..=LARGEST_SIZE).contains(s));
                    Dim::Fixed(fits.ok_or_else(|| error(format!("dimension {axis} has the size {size}")))?)
                }
                (_, None | Some(Dimension::Param(_))) => {
                    return Err(error(format!(
                        "dimension {axis} has no fixed size; only the batch may be left open"
                    )));
                }
            });
        }
        Ok(Shape::new(shape))
    }

    fn node(&mut self, position: usize, proto: &NodeProto) -> Result<(), OnnxError> {
        let name = match proto.name.as_deref() {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => self.made_up_node_name(proto.op_type.as_deref().unwrap_or("node"), position),
        };
        let mut context = NodeContext::new(name, proto);
        operators::translate(self, &mut context)
    }

    fn outputs(&mut self, proto: &GraphProto) -> Result<(), OnnxError> {
        let error = |problem: String| OnnxError::Model { problem };
        if proto.output.is_empty() {
            return Err(error("the model has no output".to_owned()));
        }
        let mut outputs: Vec<ValueId> = Vec::new();
        for output in &proto.output {
            let name = output.name.as_deref().unwrap_or_default();
            match self.bindings.get(name) {
                Some(&Binding::Value(id)) => outputs.push(id),
                Some(_) => return Err(error(format!("the output `{name}` does not depend on the input"))),
                None => return Err(error(format!("nothing produces the output `{name}`"))),
            }
        }
        self.graph.set_outputs(outputs);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
