//! A graph as an ONNX model.

mod attributes;
mod names;

use std::collections::{BTreeMap, BTreeSet};

use oculist_graph::{DataType, Dim, Graph, Node, Op, Tensor, TensorData, ValueId, ValueKind};

use crate::error::OnnxError;
use crate::proto::{
    Dimension, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use crate::tensor::{element_type, to_proto};
use names::Names;

/// `HardSwish` exists since 14, per-channel Q/DQ since 13; 17 is read by every runtime in use.
const OPSET: i64 = 17;
/// The IR version that belongs to opset 17.
const IR_VERSION: i64 = 8;
/// Name of the batch dimension.
const BATCH: &str = "N";

/// Translates a graph that passes its check.
pub(crate) fn model(graph: &Graph) -> Result<ModelProto, OnnxError> {
    graph.check()?;
    let mut exporter = Exporter {
        graph,
        names: Names::new(graph),
        nodes: Vec::new(),
        initializers: Vec::new(),
        written: vec![false; graph.values().len()],
        constants: BTreeMap::new(),
    };
    for node in graph.nodes() {
        exporter.node(node);
    }
    let outputs = exporter.outputs();
    let proto = GraphProto {
        node: exporter.nodes,
        // The ONNX checker wants a name.
        name: Some(if graph.name().is_empty() { "graph".to_owned() } else { graph.name().to_owned() }),
        initializer: exporter.initializers,
        input: graph.inputs().iter().map(|&v| value_info(graph, v, exporter.names.of(v))).collect(),
        output: outputs,
    };
    Ok(ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("oculist".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        graph: Some(proto),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(OPSET) }],
        metadata_props: graph
            .metadata
            .iter()
            .map(|(key, value)| StringStringEntryProto { key: Some(key.clone()), value: Some(value.clone()) })
            .collect(),
    })
}

struct Exporter<'a> {
    graph: &'a Graph,
    names: Names,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    /// Per value, whether its initializer is written.
    written: Vec<bool>,
    /// Names of the constants that are attributes in the graph and inputs in ONNX, by their elements.
    constants: BTreeMap<Vec<u8>, String>,
}

impl Exporter<'_> {
    fn node(&mut self, node: &Node) {
        if matches!(node.op, Op::Dropout { .. }) {
            return;
        }
        // A zero point that is zero is written only where it tells the type.
        let read = self.names.inputs_written(node);
        let mut inputs: Vec<String> = node.inputs[..read].iter().map(|&v| self.value(v)).collect();
        match &node.op {
            Op::Clip { min, max } => {
                // A bound that no float exceeds is none; left out, it means the same.
                let bounded = [(*min, *min > f32::MIN), (*max, *max < f32::MAX)];
                let used = bounded.iter().rposition(|&(_, bounded)| bounded).map_or(0, |last| last + 1);
                for &(bound, bounded) in &bounded[..used] {
                    inputs.push(if bounded {
                        self.constant("bound", &Tensor::f32(&[], vec![bound]))
                    } else {
                        String::new()
                    });
                }
            }
            Op::PadChannels { before, after } => {
                let mut pads = vec![0; 8];
                (pads[1], pads[5]) = (attributes::int(*before), attributes::int(*after));
                inputs.push(match Tensor::new(vec![8], TensorData::I64(pads)) {
                    Ok(tensor) => self.constant("pads", &tensor),
                    Err(_) => unreachable!("eight elements for a shape of eight"),
                });
            }
            _ => {}
        }
        let quantisation = matches!(node.op, Op::QuantizeLinear { .. } | Op::DequantizeLinear { .. });
        let scalar = quantisation && self.graph.shape(node.inputs[1]).rank() == 0;
        self.nodes.push(NodeProto {
            input: inputs,
            output: vec![self.names.of(node.output).to_owned()],
            name: Some(node.name.clone()).filter(|name| !name.is_empty() && !quantisation),
            op_type: Some(node.op.name().to_owned()),
            attribute: attributes::of(&node.op, scalar),
            domain: None,
        });
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
        let key = [stem.as_bytes(), &crate::tensor::raw_bytes(tensor.data())].concat();
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
                let name = self.names.fresh(names::OUTPUT);
                let input = self.value(source);
                self.nodes.push(NodeProto {
                    input: vec![input],
                    output: vec![name.clone()],
                    op_type: Some(Op::Identity.name().to_owned()),
                    ..NodeProto::default()
                });
                name
            };
            declared.push(value_info(self.graph, source, &name));
        }
        declared
    }
}

fn value_info(graph: &Graph, id: ValueId, name: &str) -> ValueInfoProto {
    let dim = |dim: &Dim| DimensionProto {
        value: Some(match dim {
            Dim::Batch => Dimension::Param(BATCH.to_owned()),
            Dim::Fixed(size) => Dimension::Value(attributes::int(*size)),
        }),
    };
    let dtype: DataType = graph.value(id).dtype;
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: Some(element_type(dtype).into()),
                shape: Some(TensorShapeProto { dim: graph.shape(id).dims().iter().map(dim).collect() }),
            }),
        }),
    }
}
