//! An ONNX model as a graph.
//!
//! Import is literal: a node of the file becomes a node of the graph, and every name stays. Only what the graph has no
//! other form for is changed: attributes that newer opsets have as inputs become constants, `Constant` nodes become
//! parameters, and functions of the model are put in place. Simplification is the business of passes.

mod attributes;
mod dims;
mod inline;
mod node;
mod refuse;

use std::collections::{HashMap, HashSet};

use oculist_graph::{DataType, Graph, Tensor, ValueId};

use crate::error::OnnxError;
use crate::external::Beside;
use crate::proto::{GraphProto, ModelProto, OperatorSetIdProto, TensorProto, ValueInfoProto};
use crate::tensor::{element_type, from_proto, raw_bytes};
use inline::Inliner;

/// The opsets that are read.
pub(crate) const OPSETS: std::ops::RangeInclusive<i64> = 7..=28;

/// Translates a decoded model and checks the result.
pub(crate) fn graph(model: ModelProto, beside: Option<Beside>) -> Result<Graph, OnnxError> {
    let opset = opset(&model)?;
    let mut proto =
        model.graph.ok_or_else(|| OnnxError::NotOnnx { problem: "it has no graph".to_owned() })?;
    if let Some(sparse) = proto.sparse_initializer.first() {
        let name = sparse.values.as_ref().and_then(|t| t.name.as_deref()).unwrap_or_default();
        return Err(OnnxError::ElementType {
            owner: format!("tensor `{name}`"),
            found: "sparse tensor".to_owned(),
        });
    }
    let initializers = std::mem::take(&mut proto.initializer);
    let mut inliner = Inliner::new(model.functions, &proto, &initializers);
    let nodes = std::mem::take(&mut proto.node);
    inliner.run(nodes, opset)?;
    let Inliner { steps, initializers: of_branches, .. } = inliner;
    let mut importer = Importer::new(&proto, beside);
    importer.graph.set_opset(opset);
    for tensor in initializers.into_iter().chain(of_branches) {
        importer.initializer(&tensor)?;
    }
    importer.inputs(&proto)?;
    for output in &proto.output {
        dims::check_output(output)?;
    }
    importer.nodes(&steps)?;
    importer.outputs(&proto)?;
    let mut graph = importer.graph;
    for entry in model.metadata_props {
        graph.metadata.insert(entry.key.unwrap_or_default(), entry.value.unwrap_or_default());
    }
    graph.tidy()?;
    graph.check()?;
    Ok(graph)
}

/// The opset of the default domain.
fn default_opset(imports: &[OperatorSetIdProto]) -> Option<i64> {
    imports
        .iter()
        .find(|entry| inline::domain(entry.domain.as_deref()).is_empty())
        .and_then(|entry| entry.version)
}

fn opset(model: &ModelProto) -> Result<i64, OnnxError> {
    let version = match default_opset(&model.opset_import) {
        Some(version) => version,
        // A model that only uses other domains need not name it.
        None if !model.opset_import.is_empty() => Graph::OPSET,
        None => {
            return Err(OnnxError::NotOnnx { problem: "it names no opset of the default domain".to_owned() });
        }
    };
    if OPSETS.contains(&version) {
        Ok(version)
    } else {
        Err(OnnxError::Opset { found: version, supported: OPSETS })
    }
}

/// Names of the values of the model's own graph, initialisers aside.
fn names(graph: &GraphProto) -> impl Iterator<Item = &str> {
    let outputs = graph.node.iter().flat_map(|node| node.output.iter().map(String::as_str));
    outputs.chain(graph.input.iter().chain(&graph.output).filter_map(|value| value.name.as_deref()))
}

/// The state while nodes are translated.
struct Importer {
    graph: Graph,
    values: HashMap<String, ValueId>,
    /// Names of values that nobody else may get, and of nodes.
    taken: HashSet<String>,
    node_names: HashSet<String>,
    /// How far the search for a free name has come, by stem.
    numbers: HashMap<String, usize>,
    /// Element types that the file declares for values.
    declared: HashMap<String, DataType>,
    /// Constants that attributes of older opsets became, by what they hold.
    made_up: HashMap<(DataType, Vec<usize>, Vec<u8>), ValueId>,
    /// Where tensors lie that are not in the model.
    beside: Option<Beside>,
}

impl Importer {
    fn new(proto: &GraphProto, beside: Option<Beside>) -> Self {
        let declared = |value: &ValueInfoProto| {
            let code = value.r#type.as_ref()?.tensor_type.as_ref()?.elem_type?;
            Some((value.name.clone()?, element_type(code)?))
        };
        Self {
            graph: Graph::new(proto.name.clone().unwrap_or_default()),
            values: HashMap::new(),
            taken: HashSet::new(),
            node_names: HashSet::new(),
            numbers: HashMap::new(),
            declared: proto.value_info.iter().filter_map(declared).collect(),
            made_up: HashMap::new(),
            beside,
        }
    }

    fn bind(&mut self, name: &str, id: ValueId) -> Result<(), OnnxError> {
        if name.is_empty() {
            // In a node's list of inputs, no name means no input.
            let problem = "an input, initialiser or constant has no name".to_owned();
            return Err(OnnxError::Model { problem });
        }
        self.taken.insert(name.to_owned());
        if self.values.insert(name.to_owned(), id).is_some() {
            return Err(OnnxError::Model { problem: format!("two values are named `{name}`") });
        }
        Ok(())
    }

    fn initializer(&mut self, proto: &TensorProto) -> Result<(), OnnxError> {
        let name = proto.name.as_deref().unwrap_or_default();
        let tensor = from_proto(name, proto, self.beside.as_ref())?;
        let id = self.graph.add_param(name, tensor);
        self.bind(name, id)
    }

    fn inputs(&mut self, proto: &GraphProto) -> Result<(), OnnxError> {
        let mut inputs = Vec::new();
        for input in &proto.input {
            // Old models list their initialisers among the inputs.
            let constant = input.name.as_ref().is_some_and(|name| self.values.contains_key(name));
            if !constant {
                inputs.push(dims::declared(input)?);
            }
        }
        dims::add(&mut self.graph, &inputs);
        for id in self.graph.inputs().to_vec() {
            let name = self.graph.value(id).name.clone();
            self.bind(&name, id)?;
        }
        Ok(())
    }

    fn outputs(&mut self, proto: &GraphProto) -> Result<(), OnnxError> {
        let error = |problem: String| OnnxError::Model { problem };
        if proto.output.is_empty() {
            return Err(error("the model has no output".to_owned()));
        }
        let mut outputs = Vec::new();
        for output in &proto.output {
            let name = output.name.as_deref().unwrap_or_default();
            let id = self
                .values
                .get(name)
                .ok_or_else(|| error(format!("nothing produces the output `{name}`")))?;
            outputs.push(*id);
        }
        self.graph.set_outputs(outputs);
        Ok(())
    }

    /// The parameter that holds a constant made up for a node; equal ones are one.
    fn made_up(&mut self, node: &str, what: &str, tensor: Tensor) -> ValueId {
        let key = (tensor.dtype(), tensor.shape().to_vec(), raw_bytes(tensor.data()));
        if let Some(&known) = self.made_up.get(&key) {
            return known;
        }
        let name = free(&mut self.taken, &mut self.numbers, &format!("{node}.{what}"));
        let id = self.graph.add_param(name, tensor);
        self.made_up.insert(key, id);
        id
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

#[cfg(test)]
mod tests;
