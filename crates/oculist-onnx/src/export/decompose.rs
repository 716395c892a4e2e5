//! Operators that the file's opset does not have, written in several that it has.
//!
//! Reading puts together what exporters wrote in several nodes: a GELU, a layer normalisation, a HardSwish. Those operators
//! are newer than most files. So that a file keeps its opset, and `--opset` can ask for an old one, they are taken apart again
//! where they are too new, in the form in which PyTorch's exporter writes them and other tools look for them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use oculist_graph::op::axis;
use oculist_graph::{
    Binary, Cast, DataType, Dim, Graph, GroupNormalization, InstanceNormalization, LayerNormalization, Node,
    Op, Reduce, ReduceKind, Reshape, RmsNormalization, ShapeOf, Slice, Tensor, TensorData, Unary, ValueId,
};

use super::int;
use super::names::Names;
use super::opset::needed;
use crate::error::OnnxError;

/// The graph with what is newer than the file taken apart; the graph itself if nothing is, or nothing of it can be.
///
/// The opset is the one that is asked for, or the graph's, raised to what the other nodes need.
pub(super) fn decompose(graph: &Graph, asked: Option<i64>) -> Result<Cow<'_, Graph>, OnnxError> {
    let wanted = asked.unwrap_or_else(|| graph.opset());
    if !graph.nodes().iter().any(|node| parts_need(graph, node).is_some() && !has(graph, node, wanted)) {
        return Ok(Cow::Borrowed(graph));
    }
    let names = Names::new(graph);
    let mut opset = wanted;
    let written = graph.nodes().iter().filter(|node| !names.is_left_out(node));
    for node in written.filter(|node| !has(graph, node, wanted)) {
        let least = match parts_need(graph, node) {
            Some(least) => least,
            None if asked.is_none() => needed(graph, node).0,
            None => wanted,
        };
        opset = opset.max(least);
    }
    let taken: BTreeSet<String> = graph
        .values()
        .iter()
        .map(|value| value.name.clone())
        .chain(graph.nodes().iter().map(|node| node.name.clone()))
        .collect();
    let mut parts = Parts { graph: graph.clone(), nodes: Vec::new(), taken, numbers: BTreeMap::new() };
    for node in graph.nodes() {
        if has(graph, node, opset) || parts_need(graph, node).is_none() {
            parts.nodes.push(node.clone());
            continue;
        }
        parts.node(node)?;
    }
    let Parts { mut graph, nodes, .. } = parts;
    let mut edit = graph.edit();
    edit.replace_nodes(nodes);
    edit.finish()?;
    graph.check()?;
    Ok(Cow::Owned(graph))
}

/// Whether an opset has a node in its form.
fn has(graph: &Graph, node: &Node, opset: i64) -> bool {
    // Since 21 its gamma and beta have one element a channel.
    let gone = matches!(&node.op, Op::GroupNormalization(norm) if norm.per_group && opset >= 21);
    needed(graph, node).0 <= opset && !gone
}

/// The opset that the parts of a node need; `None` if it is not taken apart.
pub(super) fn parts_need(graph: &Graph, node: &Node) -> Option<i64> {
    let dtype = |i: usize| node.inputs.get(i).map(|v| graph.value(v).dtype);
    let stash = match &node.op {
        Op::Unary(Unary::Gelu { .. } | Unary::HardSwish | Unary::Mish | Unary::Swish { .. }) => None,
        Op::ShapeOf(ShapeOf { start, end }) => return (*start != 0 || end.is_some()).then_some(7),
        // Where nothing is 0, both mean the same.
        Op::Reshape(Reshape { allow_zero: true }) => {
            let target = node.inputs.get(1).and_then(|v| graph.param(v)).and_then(Tensor::as_i64)?;
            return (!target.contains(&0)).then_some(7);
        }
        Op::LayerNormalization(norm) => Some(norm.stash),
        Op::RmsNormalization(norm) => Some(norm.stash),
        // Its parts compute in the input's type.
        Op::GroupNormalization(norm) if dtype(0) == Some(norm.stash) => Some(norm.stash),
        _ => return None,
    };
    // Gamma and beta are broadcast to `x` and must not stretch it, as far as sizes tell.
    let x = graph.shape(*node.inputs.slots().first()?.as_ref()?);
    let fits = |v: ValueId| {
        let shape = graph.shape(v);
        let behind = x.dims().get(x.rank().saturating_sub(shape.rank())..).unwrap_or_default();
        let open = |d: &Dim| *d == Dim::Unknown;
        shape.rank() <= x.rank()
            && shape.dims().iter().zip(behind).all(|(d, of_x)| d.size() == Some(1) || d == of_x || open(of_x))
    };
    let per_channel = matches!(node.op, Op::GroupNormalization(_));
    if stash.is_some() && !per_channel && !node.inputs.slots()[1..].iter().flatten().all(|&v| fits(v)) {
        return None;
    }
    let types = [stash, dtype(0), dtype(1)];
    let least = match node.op {
        Op::Unary(Unary::Gelu { tanh: false }) => 9,
        _ => 7,
    };
    Some(if types.contains(&Some(DataType::BF16)) { 13 } else { least })
}

/// A graph whose nodes are being written anew.
struct Parts {
    graph: Graph,
    nodes: Vec<Node>,
    taken: BTreeSet<String>,
    /// Constants of one number, by type and bits.
    numbers: BTreeMap<(i64, u64), ValueId>,
}

impl Parts {
    /// The stem, or the stem with the first number that makes it a new name.
    fn fresh(&mut self, stem: &str) -> String {
        let mut name = stem.to_owned();
        let mut number = 1;
        while !self.taken.insert(name.clone()) {
            number += 1;
            name = format!("{stem}_{number}");
        }
        name
    }

    /// A node within `of`, with a value of its own.
    fn part(
        &mut self,
        of: &Node,
        what: &str,
        op: impl Into<Op>,
        inputs: impl IntoIterator<Item = ValueId>,
    ) -> ValueId {
        let name = self.fresh(&format!("{}/{what}", of.name));
        let output = self.graph.add_activation(&name);
        let inputs: Vec<ValueId> = inputs.into_iter().collect();
        self.nodes.push(Node { name, op: op.into(), inputs: inputs.into(), outputs: vec![output] });
        output
    }

    /// A node within `of` that gives its output `i`; the first output's has its name.
    fn end(
        &mut self,
        of: &Node,
        i: usize,
        op: impl Into<Op>,
        inputs: impl IntoIterator<Item = ValueId>,
    ) -> ValueId {
        let name = if i == 0 { of.name.clone() } else { self.fresh(&format!("{}/output_{i}", of.name)) };
        let inputs: Vec<ValueId> = inputs.into_iter().collect();
        let output = of.outputs[i];
        self.nodes.push(Node { name, op: op.into(), inputs: inputs.into(), outputs: vec![output] });
        output
    }

    fn dtype(&self, value: ValueId) -> DataType {
        self.graph.value(value).dtype
    }

    /// A constant of one number.
    fn number(&mut self, dtype: DataType, value: f64) -> Result<ValueId, OnnxError> {
        let key = (dtype.code(), value.to_bits());
        if let Some(&id) = self.numbers.get(&key) {
            return Ok(id);
        }
        let name = self.fresh(&format!("number_{value}"));
        let id = self.graph.add_param(name, Tensor::new(Vec::new(), floats(dtype, &[value]))?);
        self.numbers.insert(key, id);
        Ok(id)
    }

    fn node(&mut self, node: &Node) -> Result<(), OnnxError> {
        match &node.op {
            Op::Unary(Unary::Gelu { tanh }) => self.gelu(node, *tanh),
            Op::Unary(Unary::HardSwish) => {
                let gate = Unary::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 };
                self.gated(node, "HardSigmoid", gate, node.inputs[0]);
                Ok(())
            }
            Op::Unary(Unary::Mish) => {
                let softplus = self.part(node, "Softplus", Unary::Softplus, [node.inputs[0]]);
                self.gated(node, "Tanh", Unary::Tanh, softplus);
                Ok(())
            }
            Op::Unary(Unary::Swish { alpha }) => {
                let mut x = node.inputs[0];
                if *alpha != 1.0 {
                    let alpha = self.number(self.dtype(x), f64::from(*alpha))?;
                    x = self.part(node, "Mul", Binary::Mul, [x, alpha]);
                }
                self.gated(node, "Sigmoid", Unary::Sigmoid, x);
                Ok(())
            }
            Op::ShapeOf(ShapeOf { start, end }) => {
                let whole = self.part(node, "Shape", ShapeOf { start: 0, end: None }, [node.inputs[0]]);
                let starts = self.list(node, vec![*start])?;
                let ends = self.list(node, vec![end.unwrap_or(i64::MAX)])?;
                let axes = self.list(node, vec![0])?;
                self.end(node, 0, Slice, [whole, starts, ends, axes]);
                Ok(())
            }
            Op::Reshape(_) => {
                self.end(node, 0, Reshape { allow_zero: false }, [node.inputs[0], node.inputs[1]]);
                Ok(())
            }
            Op::LayerNormalization(norm) => self.layer_norm(node, *norm),
            Op::RmsNormalization(norm) => self.rms_norm(node, *norm),
            Op::GroupNormalization(norm) => self.group_norm(node, *norm),
            // Nothing else is taken apart ([`parts_need`]).
            _ => {
                self.nodes.push(node.clone());
                Ok(())
            }
        }
    }

    /// `x * gate(inner)`.
    fn gated(&mut self, node: &Node, what: &str, gate: Unary, inner: ValueId) {
        let gate = self.part(node, what, gate, [inner]);
        self.end(node, 0, Binary::Mul, [node.inputs[0], gate]);
    }

    /// `x * (1 + erf(x / sqrt(2))) / 2`, or `x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2`.
    fn gelu(&mut self, node: &Node, tanh: bool) -> Result<(), OnnxError> {
        let x = node.inputs[0];
        let dtype = self.dtype(x);
        let gate = if tanh {
            let square = self.part(node, "Mul", Binary::Mul, [x, x]);
            let cube = self.part(node, "Mul", Binary::Mul, [square, x]);
            let factor = self.number(dtype, 0.044_715)?;
            let scaled = self.part(node, "Mul", Binary::Mul, [cube, factor]);
            let sum = self.part(node, "Add", Binary::Add, [x, scaled]);
            let factor = self.number(dtype, (2.0 / std::f64::consts::PI).sqrt())?;
            let inner = self.part(node, "Mul", Binary::Mul, [sum, factor]);
            self.part(node, "Tanh", Unary::Tanh, [inner])
        } else {
            let root = self.number(dtype, std::f64::consts::SQRT_2)?;
            let inner = self.part(node, "Div", Binary::Div, [x, root]);
            self.part(node, "Erf", Unary::Erf, [inner])
        };
        let (one, half) = (self.number(dtype, 1.0)?, self.number(dtype, 0.5)?);
        let gate = self.part(node, "Add", Binary::Add, [gate, one]);
        let product = self.part(node, "Mul", Binary::Mul, [x, gate]);
        self.end(node, 0, Binary::Mul, [product, half]);
        Ok(())
    }

    /// The axes from `first` on, counted from the back.
    fn axes(&mut self, node: &Node, first: i64) -> Result<ValueId, OnnxError> {
        let rank = self.graph.shape(node.inputs[0]).rank();
        let first = axis(first, rank).map_err(|problem| node.error(problem))?;
        let axes: Vec<i64> = (first..rank).map(|a| int(a) - int(rank)).collect();
        let name = self.fresh(&format!("{}/axes", node.name));
        let tensor = Tensor::new(vec![axes.len()], TensorData::I64(axes))?;
        Ok(self.graph.add_param(name, tensor))
    }

    /// A value in another element type.
    fn cast(&mut self, node: &Node, value: ValueId, from: DataType, to: DataType) -> ValueId {
        if from == to { value } else { self.part(node, "Cast", Cast { to }, [value]) }
    }

    /// `sqrt(mean(x^2) + epsilon)` in a type.
    fn deviation(
        &mut self,
        node: &Node,
        x: ValueId,
        axes: ValueId,
        epsilon: f32,
        dtype: DataType,
    ) -> Result<ValueId, OnnxError> {
        let (two, epsilon) = (self.number(dtype, 2.0)?, self.number(dtype, f64::from(epsilon))?);
        let square = self.part(node, "Pow", Binary::Pow, [x, two]);
        let mean = self.part(node, "ReduceMean", MEAN, [square, axes]);
        let sum = self.part(node, "Add", Binary::Add, [mean, epsilon]);
        Ok(self.part(node, "Sqrt", Unary::Sqrt, [sum]))
    }

    fn layer_norm(&mut self, node: &Node, norm: LayerNormalization) -> Result<(), OnnxError> {
        let (own, stash) = (self.dtype(node.inputs[0]), norm.stash);
        let axes = self.axes(node, norm.axis)?;
        let x = self.cast(node, node.inputs[0], own, stash);
        let mean = if node.outputs.len() > 1 {
            self.end(node, 1, MEAN, [x, axes])
        } else {
            self.part(node, "ReduceMean", MEAN, [x, axes])
        };
        let centred = self.part(node, "Sub", Binary::Sub, [x, mean]);
        let deviation = self.deviation(node, centred, axes, norm.epsilon, stash)?;
        if node.outputs.len() > 2 {
            self.end(node, 2, Unary::Reciprocal, [deviation]);
        }
        let normal = self.part(node, "Div", Binary::Div, [centred, deviation]);
        let normal = self.cast(node, normal, stash, own);
        let gamma = node.inputs[1];
        match node.inputs.get(2) {
            None => self.end(node, 0, Binary::Mul, [normal, gamma]),
            Some(beta) => {
                let scaled = self.part(node, "Mul", Binary::Mul, [normal, gamma]);
                self.end(node, 0, Binary::Add, [scaled, beta])
            }
        };
        Ok(())
    }

    fn rms_norm(&mut self, node: &Node, norm: RmsNormalization) -> Result<(), OnnxError> {
        let gamma = node.inputs[1];
        let axes = self.axes(node, norm.axis)?;
        let x = self.cast(node, node.inputs[0], self.dtype(node.inputs[0]), norm.stash);
        let deviation = self.deviation(node, x, axes, norm.epsilon, norm.stash)?;
        let normal = self.part(node, "Div", Binary::Div, [x, deviation]);
        let normal = self.cast(node, normal, norm.stash, self.dtype(gamma));
        self.end(node, 0, Binary::Mul, [normal, gamma]);
        Ok(())
    }

    /// The instance normalisation of `[N, groups, everything else]`, which each group's gamma and beta follow, or each
    /// channel's in the shape of the input.
    fn group_norm(&mut self, node: &Node, norm: GroupNormalization) -> Result<(), OnnxError> {
        let (x, gamma, beta) = (node.inputs[0], node.inputs[1], node.inputs[2]);
        let (dtype, rank) = (self.dtype(x), self.graph.shape(x).rank());
        let reshape = Reshape { allow_zero: false };
        let grouped = self.list(node, vec![0, int(norm.groups), -1])?;
        let grouped = self.part(node, "Reshape", reshape, [x, grouped]);
        let whole = ShapeOf { start: 0, end: None };
        let shape = self.part(node, "Shape", whole, [x]);
        let (scale, shift) = if norm.per_group {
            (gamma, beta)
        } else {
            let mut constant = |what: &str, value: f64| {
                let name = self.fresh(&format!("{}/{what}", node.name));
                let tensor = Tensor::new(vec![norm.groups], floats(dtype, &vec![value; norm.groups]))?;
                Ok::<_, OnnxError>(self.graph.add_param(name, tensor))
            };
            (constant("ones", 1.0)?, constant("zeros", 0.0)?)
        };
        let op = InstanceNormalization { epsilon: norm.epsilon };
        let normal = self.part(node, "InstanceNormalization", op, [grouped, scale, shift]);
        if norm.per_group {
            self.end(node, 0, reshape, [normal, shape]);
            return Ok(());
        }
        let normal = self.part(node, "Reshape", reshape, [normal, shape]);
        let mut dims = vec![1; rank.saturating_sub(1)];
        dims[0] = -1;
        let dims = self.list(node, dims)?;
        let gamma = self.part(node, "Reshape", reshape, [gamma, dims]);
        let beta = self.part(node, "Reshape", reshape, [beta, dims]);
        let scaled = self.part(node, "Mul", Binary::Mul, [normal, gamma]);
        self.end(node, 0, Binary::Add, [scaled, beta]);
        Ok(())
    }

    /// A constant list of integers.
    fn list(&mut self, node: &Node, list: Vec<i64>) -> Result<ValueId, OnnxError> {
        let name = self.fresh(&format!("{}/shape", node.name));
        Ok(self.graph.add_param(name, Tensor::new(vec![list.len()], TensorData::I64(list))?))
    }
}

const MEAN: Reduce = Reduce { kind: ReduceKind::Mean, keepdims: true, noop_with_empty_axes: false };

/// Numbers in a floating-point type, rounded to it.
#[expect(clippy::as_conversions, reason = "rounding to a narrower type is what is meant")]
pub(super) fn floats(dtype: DataType, values: &[f64]) -> TensorData {
    match dtype {
        DataType::F64 => TensorData::F64(values.to_vec()),
        DataType::F16 => TensorData::F16(values.iter().map(|&v| half::f16::from_f64(v)).collect()),
        DataType::BF16 => TensorData::BF16(values.iter().map(|&v| half::bf16::from_f64(v)).collect()),
        _ => TensorData::F32(values.iter().map(|&v| v as f32).collect()),
    }
}
