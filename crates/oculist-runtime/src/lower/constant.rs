//! Values known when the plan is made.

use oculist_graph::{DequantizeLinear, Dropout, Graph, Identity, NodeId, Op, QuantizeLinear, Shape, Tensor, TensorData, ValueId, ValueKind};

use super::Lowering;
use crate::error::RuntimeError;

/// A constant as floats, with the scales it was quantised with if it was.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    pub(super) shape: Shape,
    pub(super) values: Vec<f32>,
}

impl Lowering<'_> {
    /// The floats of a parameter, or of one behind a `DequantizeLinear`; `None` for an activation.
    pub(super) fn constant(&self, value: ValueId) -> Option<Constant> {
        let shape = self.graph.shape(value).clone();
        if let Some(tensor) = self.graph.param(value) {
            return Some(Constant { shape, values: to_f32(tensor) });
        }
        let node = self.node_of(value)?;
        match node.op {
            Op::Identity(Identity) | Op::Dropout(_) => self.constant(node.inputs[0]),
            Op::DequantizeLinear(DequantizeLinear { axis, .. }) => {
                let x = self.constant(node.inputs[0])?.values;
                let scale = self.constant(node.inputs[1])?.values;
                let zero_point = self.constant(node.inputs[2])?.values;
                let channel = channel_of(&shape, axis, scale.len());
                let values =
                    x.iter().enumerate().map(|(i, &q)| (q - zero_point[channel(i)]) * scale[channel(i)]);
                Some(Constant { values: values.collect(), shape })
            }
            Op::QuantizeLinear(QuantizeLinear { axis, .. }) => {
                let x = self.constant(node.inputs[0])?.values;
                let scale = self.constant(node.inputs[1])?.values;
                let zero_point = self.graph.param(node.inputs[2])?;
                let (low, high) = if matches!(zero_point.data(), TensorData::I8(_)) {
                    (-128.0, 127.0)
                } else {
                    (0.0, 255.0)
                };
                let zero_point = to_f32(zero_point);
                let channel = channel_of(&shape, axis, scale.len());
                let values = x.iter().enumerate().map(|(i, &v)| {
                    let c = channel(i);
                    ((v / scale[c]).round_ties_even() + zero_point[c]).clamp(low, high)
                });
                Some(Constant { values: values.collect(), shape })
            }
            _ => None,
        }
    }

    /// The constant input `i` of a node.
    pub(super) fn constant_input(&self, id: NodeId, i: usize, what: &str) -> Result<Constant, RuntimeError> {
        let value = self.node(id).inputs[i];
        self.constant(value).ok_or_else(|| {
            let name = &self.graph.value(value).name;
            self.unsupported(id, format!("expected a constant {what}, found the activation `{name}`"))
        })
    }

    /// Whether a value is the same in every run.
    pub(super) fn is_constant(&self, value: ValueId) -> bool {
        self.constants[value.index()]
    }
}

/// Nodes in a row that may compute a constant. A quantised weight has one or two; as [`Lowering::constant`] computes a
/// constant wherever it is read, longer rows would take time and stack without a bound.
const LONGEST: usize = 8;

/// Per value, whether it is the same in every run: a parameter, or computed from such by nodes that
/// [`Lowering::constant`] knows.
pub(super) fn constants(graph: &Graph) -> Result<Vec<bool>, RuntimeError> {
    let mut depths: Vec<Option<usize>> =
        graph.values().iter().map(|v| matches!(v.kind, ValueKind::Param(_)).then_some(0)).collect();
    for node in graph.nodes() {
        let computed = matches!(
            node.op,
            Op::Identity(Identity) | Op::Dropout(_) | Op::DequantizeLinear(_) | Op::QuantizeLinear(_)
        ) && depths[node.inputs[0].index()].is_some();
        if computed {
            let deepest = node.inputs.iter().filter_map(|v| depths[v.index()]).max().unwrap_or(0);
            if deepest >= LONGEST {
                return Err(RuntimeError::Unsupported {
                    node: node.name.clone(),
                    op: node.op.name(),
                    problem: format!(
                        "expected a constant behind at most {LONGEST} nodes, found more in a row"
                    ),
                });
            }
            depths[node.output().index()] = Some(deepest + 1);
        }
    }
    Ok(depths.iter().map(Option::is_some).collect())
}

/// Maps an element index to the index of its scale.
pub(super) fn channel_of(shape: &Shape, axis: usize, scales: usize) -> impl Fn(usize) -> usize + use<> {
    let inner: usize = (axis + 1..shape.rank()).filter_map(|a| shape.get(a)).product();
    move |i| if scales == 1 { 0 } else { i / inner.max(1) % scales }
}

/// The elements as floats.
fn to_f32(tensor: &Tensor) -> Vec<f32> {
    match tensor.data() {
        TensorData::F32(v) => v.clone(),
        TensorData::U8(v) => v.iter().map(|&x| f32::from(x)).collect(),
        TensorData::I8(v) => v.iter().map(|&x| f32::from(x)).collect(),
        TensorData::I32(v) => v.iter().map(|&x| x as f32).collect(),
        TensorData::I64(v) => v.iter().map(|&x| x as f32).collect(),
    }
}
