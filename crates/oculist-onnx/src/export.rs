//! A graph as an ONNX model.

mod attributes;
mod decompose;
mod names;
mod node;
mod opset;

use std::collections::{BTreeMap, BTreeSet};

use oculist_graph::{Dim, Graph, Op, Tensor, ValueId, ValueKind};

use crate::error::OnnxError;
use crate::proto::{
    Dimension, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use crate::tensor::{element_code, to_proto};
use names::Names;

/// Versions of the domains beside ONNX's own: those that their operators have been in for long.
const DOMAIN_VERSIONS: [(&str, i64); 2] = [("ai.onnx.ml", 3), ("com.microsoft", 1)];

/// A model and what is to be said about it.
pub(crate) struct Made {
    pub(crate) model: ModelProto,
    pub(crate) opset: i64,
    /// Why the opset is newer than the graph's.
    pub(crate) raised: Option<String>,
}

/// Translates a graph that passes its check.
pub(crate) fn model(graph: &Graph, opset: Option<i64>) -> Result<Made, OnnxError> {
    graph.check()?;
    let older = decompose::decompose(graph, opset)?;
    let graph = older.as_ref();
    let names = Names::new(graph);
    let chosen = opset::choose(graph, &names, opset)?;
    let mut exporter = Exporter {
        graph,
        names,
        opset: chosen.opset,
        nodes: Vec::new(),
        initializers: Vec::new(),
        written: vec![false; graph.values().len()],
        constants: BTreeMap::new(),
        domains: BTreeSet::new(),
    };
    for node in graph.nodes() {
        exporter.node(node)?;
    }
    let outputs = exporter.outputs();
    let proto = GraphProto {
        node: exporter.nodes,
        // The ONNX checker wants a name.
        name: Some(if graph.name().is_empty() { "graph".to_owned() } else { graph.name().to_owned() }),
        initializer: exporter.initializers,
        input: graph.inputs().iter().map(|&v| value_info(graph, v, exporter.names.of(v))).collect(),
        output: outputs,
        ..GraphProto::default()
    };
    let own = OperatorSetIdProto { domain: None, version: Some(chosen.opset) };
    let others = DOMAIN_VERSIONS.iter().filter(|(domain, _)| exporter.domains.contains(*domain)).map(
        |&(domain, version)| OperatorSetIdProto { domain: Some(domain.to_owned()), version: Some(version) },
    );
    let model = ModelProto {
        ir_version: Some(opset::ir_version(chosen.opset)),
        producer_name: Some("oculist".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        graph: Some(proto),
        opset_import: std::iter::once(own).chain(others).collect(),
        metadata_props: graph
            .metadata
            .iter()
            .map(|(key, value)| StringStringEntryProto { key: Some(key.clone()), value: Some(value.clone()) })
            .collect(),
        functions: Vec::new(),
    };
    Ok(Made { model, opset: chosen.opset, raised: chosen.raised })
}

struct Exporter<'a> {
    graph: &'a Graph,
    names: Names,
    opset: i64,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    /// Per value, whether its initializer is written.
    written: Vec<bool>,
    /// Names of the constants that are attributes in the graph and inputs in ONNX, by what they hold.
    constants: BTreeMap<Vec<u8>, String>,
    /// Domains of the nodes beside ONNX's own.
    domains: BTreeSet<String>,
}

impl Exporter<'_> {
    fn push(&mut self, node: NodeProto) {
        if let Some(domain) = &node.domain
            && !self.domains.contains(domain)
        {
            self.domains.insert(domain.clone());
        }
        self.nodes.push(node);
    }

    /// The name of a value that a node reads; writes its initializer when it is first read.
    fn value(&mut self, id: ValueId) -> String {
        let id = self.names.source(id);
        let name = self.names.of(id).to_owned();
        if let Some(tensor) = self.graph.param(id)
            && !std::mem::replace(&mut self.written[id.index()], true)
        {
            self.initializers.push(to_proto(&name, tensor));
        }
        name
    }

    /// The name of a constant that is no value of the graph; equal ones are written once.
    fn constant(&mut self, stem: &str, tensor: &Tensor) -> String {
        let key =
            [stem.as_bytes(), tensor.dtype().name().as_bytes(), &crate::tensor::raw_bytes(tensor.data())]
                .concat();
        if let Some(name) = self.constants.get(&key) {
            return name.clone();
        }
        let name = self.names.fresh(stem);
        self.initializers.push(to_proto(&name, tensor));
        self.constants.insert(key, name.clone());
        name
    }

    /// Declares the outputs. One that is no node's own result (an input behind a dropout, the same value twice)
    /// gets an `Identity`, because ONNX wants a producer of that name.
    fn outputs(&mut self) -> Vec<ValueInfoProto> {
        let mut declared = Vec::new();
        let mut seen = BTreeSet::new();
        for &output in self.graph.outputs() {
            let source = self.names.source(output);
            let own =
                matches!(self.graph.value(source).kind, ValueKind::Activation) && !seen.contains(&source);
            let name = if own {
                seen.insert(source);
                self.names.of(source).to_owned()
            } else {
                let name = self.names.fresh_output(self.graph, output);
                let input = self.value(source);
                self.nodes.push(NodeProto {
                    input: vec![input],
                    output: vec![name.clone()],
                    op_type: Some(Op::Identity(oculist_graph::Identity).name().to_owned()),
                    ..NodeProto::default()
                });
                name
            };
            declared.push(value_info(self.graph, source, &name));
        }
        declared
    }
}

/// A size as ONNX stores it; sizes in a checked graph fit 63 bits.
fn int(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn value_info(graph: &Graph, id: ValueId, name: &str) -> ValueInfoProto {
    let symbol = |number: u32| {
        let name = usize::try_from(number).ok().and_then(|i| graph.symbols().get(i));
        name.map(|name| Dimension::Param(name.clone()))
    };
    let dim = |dim: &Dim| DimensionProto {
        value: match dim {
            Dim::Batch => Some(Dimension::Param(graph.batch_name().to_owned())),
            Dim::Fixed(size) => Some(Dimension::Value(int(*size))),
            Dim::Symbol(number) => symbol(*number),
            Dim::Unknown => None,
        },
    };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: Some(element_code(graph.value(id).dtype)),
                shape: Some(TensorShapeProto { dim: graph.shape(id).dims().iter().map(dim).collect() }),
            }),
            ..TypeProto::default()
        }),
    }
}

#[cfg(test)]
mod tests;
