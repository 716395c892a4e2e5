//! From graph to steps.
//!
//! Nodes are visited in topological order. A node that opens a fusable group (convolution, batch normalisation,
//! addition) looks ahead along values with a single reader and takes what it can into its epilogue; the nodes it
//! took are skipped later. Nothing is fused across a graph output or an observed value.

mod block;
mod constant;
mod conv;
mod quantized;
mod simple;
mod tail;

use oculist_graph::{BatchNormalization, Binary, Dropout, Flatten, Gemm, Graph, Identity, Node, NodeId, Op, ValueId, ValueKind};
use oculist_kernels::int8::Quant;
use oculist_kernels::{Context, KernelError, channel_stride};

use crate::error::RuntimeError;
use crate::options::{InputLayout, PlanOptions};
use crate::step::{Step, Work};
use crate::tensor::{Tensor, TensorId};

/// A value to hand out when the steps before `step` have run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tap {
    pub(crate) step: usize,
    pub(crate) value: ValueId,
    pub(crate) tensor: TensorId,
}

/// The result: tensor 0 is the caller's input.
#[derive(Debug)]
pub(crate) struct Lowered {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) steps: Vec<Step>,
    pub(crate) taps: Vec<Tap>,
    pub(crate) output: TensorId,
}

/// Where the content of a graph value can be found; all that are present mean the same.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// Floats in the kernels' layout.
    f32: Option<TensorId>,
    /// Floats without channel padding (only the image).
    dense: Option<TensorId>,
    /// Bytes and what they mean. For a value of the graph that is quantised itself: its bytes (i8 moved up by 128).
    u8: Option<(TensorId, Quant)>,
}

struct Lowering<'a> {
    graph: &'a Graph,
    options: &'a PlanOptions,
    consumers: Vec<Vec<NodeId>>,
    producers: Vec<Option<NodeId>>,
    /// Values that are the same in every run.
    constants: Vec<bool>,
    /// Values that must exist: graph outputs and observed ones.
    kept: Vec<bool>,
    observed: Vec<bool>,
    states: Vec<State>,
    /// Nodes that are lowered or fused already.
    done: Vec<bool>,
    tensors: Vec<Tensor>,
    steps: Vec<Step>,
    taps: Vec<Tap>,
    /// Bytes of the weights so far, as the algorithms read them.
    weight_bytes: usize,
}

/// Lowers a graph.
pub(crate) fn lower(graph: &Graph, options: &PlanOptions) -> Result<Lowered, RuntimeError> {
    let model = |problem: String| RuntimeError::Model { graph: graph.name().to_owned(), problem };
    let (&[input], &[output]) = (graph.inputs(), graph.outputs()) else {
        return Err(model(format!(
            "expected one input and one output, found {} and {}",
            graph.inputs().len(),
            graph.outputs().len()
        )));
    };
    let n_values = graph.values().len();
    let mut observed = vec![false; n_values];
    for value in &options.observe {
        match graph.values().get(value.index()).map(|v| &v.kind) {
            Some(ValueKind::Input | ValueKind::Activation) => observed[value.index()] = true,
            _ => {
                return Err(RuntimeError::Options(format!(
                    "value {} cannot be observed: expected an input or activation of graph `{}`",
                    value.index(),
                    graph.name()
                )));
            }
        }
    }
    let mut kept = observed.clone();
    kept[output.index()] = true;
    let mut lowering = Lowering {
        graph,
        options,
        consumers: graph.consumers(),
        producers: graph.producers(),
        constants: constant::constants(graph)?,
        weight_bytes: 0,
        kept,
        observed,
        states: vec![State::default(); n_values],
        done: vec![false; graph.nodes().len()],
        tensors: Vec::new(),
        steps: Vec::new(),
        taps: Vec::new(),
    };
    let (c, h, w) = graph.shape(input).chw().ok_or_else(|| {
        model(format!("expected an input [N, C, H, W] or [N, C], found {}", graph.shape(input)))
    })?;
    lowering.lower_input(input, c, [h, w]);
    for id in 0..graph.nodes().len() {
        if !lowering.done[id] {
            lowering.lower_node(id)?;
        }
    }
    let output_node = &lowering.node_of(output).map_or("output", |n| n.name.as_str()).to_owned();
    let output = lowering.flat_f32(output, output_node)?;
    let mut lowered =
        Lowered { tensors: lowering.tensors, steps: lowering.steps, taps: lowering.taps, output };
    block::fuse_blocks(&options.context, &mut lowered);
    Ok(lowered)
}

impl<'a> Lowering<'a> {
    fn ctx(&self) -> &'a Context {
        &self.options.context
    }

    fn node(&self, id: NodeId) -> &'a Node {
        &self.graph.nodes()[id]
    }

    fn node_of(&self, value: ValueId) -> Option<&'a Node> {
        self.producers[value.index()].map(|id| self.node(id))
    }

    fn unsupported(&self, id: NodeId, problem: impl Into<String>) -> RuntimeError {
        let node = self.node(id);
        RuntimeError::Unsupported { node: node.name.clone(), op: node.op.name(), problem: problem.into() }
    }

    fn kernel_error(&self, id: NodeId) -> impl FnOnce(KernelError) -> RuntimeError + use<> {
        let node = self.node(id).name.clone();
        move |source| RuntimeError::Kernel { node, source }
    }

    /// Refuses weights of `bytes` more if they exceed what the plan may take, before they are packed.
    fn check_weights(&self, id: NodeId, bytes: usize) -> Result<(), RuntimeError> {
        let what =
            format!("the plan of `{}` up to the weights of node `{}`", self.graph.name(), self.node(id).name);
        let needed = self.weight_bytes.saturating_add(bytes);
        self.ctx().check_memory(&what, needed).map_err(RuntimeError::Memory)
    }

    fn tensor(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        self.tensors.len() - 1
    }

    /// Adds a step with a new output tensor.
    fn step(&mut self, node: &str, work: Work, inputs: Vec<TensorId>, output: Tensor) -> TensorId {
        let output = self.tensor(output);
        self.steps.push(Step { node: node.to_owned(), inputs, output, work });
        output
    }

    /// Records where a value lies, and hands it to the observer if it is asked for.
    fn set_f32(&mut self, value: ValueId, tensor: TensorId) {
        self.states[value.index()].f32 = Some(tensor);
        self.tap(value, tensor);
    }

    fn tap(&mut self, value: ValueId, tensor: TensorId) {
        if self.observed[value.index()] {
            self.taps.push(Tap { step: self.steps.len(), value, tensor });
        }
    }

    fn lower_input(&mut self, input: ValueId, channels: usize, size: [usize; 2]) {
        let padded = channel_stride(channels) == channels;
        let given = self.tensor(Tensor::dense(channels, size));
        let dense = match self.options.input_layout {
            InputLayout::Nhwc => given,
            InputLayout::Nchw if size == [1, 1] => given,
            InputLayout::Nchw => self.step("input", Work::ToNhwc, vec![given], Tensor::dense(channels, size)),
        };
        let state = &mut self.states[input.index()];
        state.dense = Some(dense);
        state.f32 = padded.then_some(dense);
        self.tap(input, dense);
    }

    /// A value as floats in the kernels' layout; the map that a `Flatten` would flatten stays a map.
    fn f32(&mut self, value: ValueId, node: &str) -> Result<TensorId, RuntimeError> {
        let state = self.states[value.index()];
        if let Some(tensor) = state.f32 {
            return Ok(tensor);
        }
        if let Some(dense) = state.dense {
            let Tensor { channels, size, .. } = self.tensors[dense];
            let padded = self.step(node, Work::PadPixels, vec![dense], Tensor::f32(channels, size));
            self.states[value.index()].f32 = Some(padded);
            return Ok(padded);
        }
        if let Some((bytes, quant)) = state.u8 {
            let Tensor { channels, size, .. } = self.tensors[bytes];
            let floats = self.step(node, Work::Dequantize(quant), vec![bytes], Tensor::f32(channels, size));
            self.states[value.index()].f32 = Some(floats);
            return Ok(floats);
        }
        Err(RuntimeError::Model {
            graph: self.graph.name().to_owned(),
            problem: format!(
                "node `{node}` computes with the constant `{}`: expected an activation",
                self.graph.value(value).name
            ),
        })
    }

    /// Whether a value of rank 2 is still the map that its `Flatten` got.
    fn is_unflattened(&self, value: ValueId, tensor: TensorId) -> bool {
        self.graph.shape(value).rank() == 2 && self.tensors[tensor].pixels() > 1
    }

    /// A value as floats in the kernels' layout with the axes that the graph gives it.
    fn flat_f32(&mut self, value: ValueId, node: &str) -> Result<TensorId, RuntimeError> {
        let tensor = self.f32(value, node)?;
        if !self.is_unflattened(value, tensor) {
            return Ok(tensor);
        }
        let len = self.tensors[tensor].channels * self.tensors[tensor].pixels();
        let flat = self.step(node, Work::Flatten, vec![tensor], Tensor::f32(len, [1, 1]));
        self.states[value.index()].f32 = Some(flat);
        Ok(flat)
    }

    /// Computes a value now, ahead of the graph's order, so that a convolution can add it; says whether it exists.
    ///
    /// That works if it needs nothing that is being lowered, and only for a few nodes: a shortcut, not half a network.
    fn compute_early(&mut self, value: ValueId) -> Result<bool, RuntimeError> {
        const MOST: usize = 6;
        let mut nodes: Vec<NodeId> = Vec::new();
        let mut stack = vec![value];
        while let Some(v) = stack.pop() {
            if self.exists(v) || self.is_constant(v) {
                continue;
            }
            match self.producers[v.index()] {
                Some(id) if !self.done[id] && nodes.len() < MOST => {
                    nodes.push(id);
                    stack.extend(&self.node(id).inputs);
                }
                _ => return Ok(false),
            }
        }
        nodes.sort_unstable();
        for id in nodes {
            if !self.done[id] {
                self.lower_node(id)?;
            }
        }
        Ok(self.exists(value))
    }

    /// Whether a value lies in memory.
    fn exists(&self, value: ValueId) -> bool {
        let State { f32, dense, u8 } = self.states[value.index()];
        f32.is_some() || dense.is_some() || u8.is_some()
    }

    fn lower_node(&mut self, id: NodeId) -> Result<(), RuntimeError> {
        let node = self.node(id);
        self.done[id] = true;
        if self.is_constant(node.output()) || self.lower_quantized(id)? {
            return Ok(());
        }
        match &node.op {
            Op::Conv(conv) => self.lower_conv(id, conv),
            Op::Gemm(Gemm::LINEAR) => self.lower_gemm(id),
            Op::BatchNormalization(_) => self.lower_batch_norm(id),
            Op::Binary(Binary::Add) => self.lower_add(id),
            Op::Identity(Identity) | Op::Dropout(_) | Op::Flatten(Flatten::IMAGES) => self.alias(node.inputs[0], node.output()),
            _ => self.lower_simple(id),
        }
    }

    /// Lets `output` mean what `input` means.
    fn alias(&mut self, input: ValueId, output: ValueId) -> Result<(), RuntimeError> {
        self.states[output.index()] = self.states[input.index()];
        self.show(output)
    }

    /// Hands a value to the observer if it is asked for, as floats.
    fn show(&mut self, value: ValueId) -> Result<(), RuntimeError> {
        if self.observed[value.index()] {
            let tensor = match self.states[value.index()].dense {
                Some(dense) => dense,
                None => self.f32(value, &self.graph.value(value).name.clone())?,
            };
            self.tap(value, tensor);
        }
        Ok(())
    }
}
