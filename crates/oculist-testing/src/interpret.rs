//! Runs a graph the slow, obvious way: one loop nest per operator, NCHW, 64-bit floats.
//!
//! The oracle for everything that executes or rewrites graphs. Each operator follows its text in the ONNX
//! specification (opset 17, inference form); nothing is fused, packed, reordered or skipped. `QuantizeLinear`
//! alone rounds its input to `f32` and divides in `f32`, because ties are decided there in every executor.
//!
//! # Source
//! Operator definitions: the ONNX operator specification, `docs/Operators.md` of the ONNX project.

mod array;
mod elementwise;
mod linear;
mod pool;
mod quantize;

pub use array::Array;

use oculist_graph::{
    BatchNormalization, Binary, Concat, DequantizeLinear, Dim, Flatten, Gemm, GlobalPool, Graph, Identity,
    Node, Op, QuantizeLinear, Softmax, SoftmaxKind, TensorData, Unary, ValueId, ValueKind,
};

/// All values of one execution.
#[derive(Debug, Clone)]
pub struct Run {
    values: Vec<Array>,
    outputs: Vec<ValueId>,
}

impl Run {
    /// Any value of the graph: input, parameter or activation.
    ///
    /// # Panics
    /// If `id` belongs to another graph.
    pub fn get(&self, id: ValueId) -> &Array {
        &self.values[id.index()]
    }

    /// The graph's output number `i`.
    ///
    /// # Panics
    /// If there are fewer outputs.
    pub fn output(&self, i: usize) -> &Array {
        self.get(self.outputs[i])
    }
}

/// Runs `graph` on `inputs`, one per graph input in the graph's order.
///
/// # Panics
/// If the number of inputs or a shape does not fit the graph (the batch size is free but must be the same
/// everywhere): this crate serves tests, where that is a mistake in the test.
pub fn run(graph: &Graph, inputs: &[Array]) -> Run {
    assert_eq!(inputs.len(), graph.inputs().len(), "graph `{}`: one array for each input", graph.name());
    let mut values: Vec<Option<Array>> = graph
        .values()
        .iter()
        .map(|value| match &value.kind {
            ValueKind::Param(tensor) => Some(Array::new(tensor.shape(), to_f64(tensor.data()))),
            _ => None,
        })
        .collect();
    for (&id, array) in graph.inputs().iter().zip(inputs) {
        assert_fits(graph, id, array);
        values[id.index()] = Some(array.clone());
    }
    for node in graph.nodes() {
        let arguments: Vec<&Array> = node
            .inputs
            .iter()
            .map(|v| {
                values[v.index()].as_ref().unwrap_or_else(|| {
                    panic!("node `{}` reads `{}` before it exists", node.name, graph.value(v).name)
                })
            })
            .collect();
        let result = evaluate(graph, node, &arguments);
        assert_fits(graph, node.output(), &result);
        values[node.output().index()] = Some(result);
    }
    let values =
        values.into_iter().map(|v| v.unwrap_or_else(|| Array::new(&[0], Vec::new()))).collect::<Vec<_>>();
    Run { values, outputs: graph.outputs().to_vec() }
}

fn evaluate(graph: &Graph, node: &Node, x: &[&Array]) -> Array {
    match &node.op {
        Op::Conv(conv) => linear::conv(conv, x[0], x[1], x.get(2).copied()),
        Op::Gemm(Gemm::LINEAR) => linear::gemm(x[0], x[1], x.get(2).copied()),
        Op::BatchNormalization(BatchNormalization { epsilon, .. }) => {
            elementwise::batch_normalization(f64::from(*epsilon), x[0], x[1], x[2], x[3], x[4])
        }
        Op::Unary(Unary::Relu) => x[0].map(|v| v.max(0.0)),
        Op::Unary(Unary::Clip { min, max }) => x[0].map(|v| v.max(f64::from(*min)).min(f64::from(*max))),
        Op::Unary(Unary::HardSigmoid { alpha, beta }) => {
            x[0].map(|v| (f64::from(*alpha) * v + f64::from(*beta)).clamp(0.0, 1.0))
        }
        Op::Unary(Unary::HardSwish) => x[0].map(|v| v * (v / 6.0 + 0.5).clamp(0.0, 1.0)),
        Op::Unary(Unary::Sigmoid) => x[0].map(|v| 1.0 / (1.0 + (-v).exp())),
        Op::Binary(Binary::Add) => elementwise::broadcast(x[0], x[1], |a, b| a + b),
        Op::Binary(Binary::Mul) => elementwise::broadcast(x[0], x[1], |a, b| a * b),
        Op::Concat(Concat::CHANNELS) => elementwise::concat(x),
        Op::MaxPool(pool) => pool::max(pool, x[0]),
        Op::AveragePool(pool) => pool::average(pool, x[0]),
        Op::GlobalPool(GlobalPool::Average) => pool::global_average(x[0]),
        Op::Flatten(Flatten::IMAGES) => {
            let n = x[0].shape()[0];
            let rest: usize = x[0].shape()[1..].iter().product();
            Array::new(&[n, rest], x[0].data().to_vec())
        }
        Op::Dropout(_) | Op::Identity(Identity) => x[0].clone(),
        Op::Softmax(Softmax { kind: SoftmaxKind::Softmax, axis: 1, .. }) if x[0].shape().len() == 2 => {
            elementwise::softmax(x[0])
        }
        Op::Softmax(Softmax { kind: SoftmaxKind::LogSoftmax, axis: 1, .. }) if x[0].shape().len() == 2 => {
            let mut out = elementwise::softmax(x[0]);
            out.data_mut().iter_mut().for_each(|v| *v = v.ln());
            out
        }
        Op::Pad(_) => {
            let (before, after) = graph.channel_padding(node).expect("channels are padded with zeros");
            elementwise::pad_channels(before, after, x[0])
        }
        Op::QuantizeLinear(QuantizeLinear { axis, .. }) => {
            let target = graph.value(node.inputs[2]).dtype;
            quantize::quantize(*axis as usize, target, x[0], x[1], x[2])
        }
        Op::DequantizeLinear(DequantizeLinear { axis, .. }) => {
            quantize::dequantize(*axis as usize, x[0], x[1], x[2])
        }
        other => panic!("the interpreter does not know {}", other.name()),
    }
}

fn assert_fits(graph: &Graph, id: ValueId, array: &Array) {
    let value = graph.value(id);
    let Some(shape) = &value.shape else { return };
    let fits = shape.rank() == array.shape().len()
        && shape.dims().iter().zip(array.shape()).all(|(dim, &size)| match dim {
            Dim::Fixed(d) => *d == size,
            Dim::Batch | Dim::Symbol(_) | Dim::Unknown => true,
        });
    assert!(fits, "value `{}`: expected shape {shape}, found {:?}", value.name, array.shape());
}

fn to_f64(data: &TensorData) -> Vec<f64> {
    match data {
        TensorData::F32(v) => v.iter().map(|&x| f64::from(x)).collect(),
        TensorData::U8(v) => v.iter().map(|&x| f64::from(x)).collect(),
        TensorData::I8(v) => v.iter().map(|&x| f64::from(x)).collect(),
        TensorData::I32(v) => v.iter().map(|&x| f64::from(x)).collect(),
        TensorData::I64(v) => v.iter().map(|&x| x as f64).collect(),
        other => panic!("the interpreter does not know {}", other.dtype().name()),
    }
}

#[cfg(test)]
mod tests;
