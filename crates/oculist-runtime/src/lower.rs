//! From graph to steps.
//!
//! Nodes are visited in topological order. Where the fast kernels compute a node (`op.rs` says when), and it does not
//! stand alone among others that run on row-major tensors, it becomes a fast step; everything else becomes a plain one.
//! A node that opens a fusable group (convolution, batch normalisation, addition) looks ahead along values with a single
//! reader and takes what it can into its epilogue; the nodes it took are skipped later. Nothing is fused across a graph
//! output or an observed value.

mod attention;
mod block;
mod constant;
mod form;
mod op;
mod order;
mod plain;
mod quantized;
mod tail;
mod view;

use std::collections::HashMap;

use oculist_graph::{DataType, Graph, Node, NodeId, ValueId, ValueKind};
use oculist_kernels::int8::Quant;
use oculist_kernels::{Context, KernelError, channel_stride};

use crate::error::RuntimeError;
use crate::options::{InputLayout, PlanOptions};
use crate::rows::{Operand, Slot, SlotId};
use crate::step::{Step, Work};
use crate::tensor::{Tensor, TensorId};
use attention::PlannedHeads;
use constant::Constants;
use op::Fast;
pub use op::has_fast_step;
pub(crate) use order::Order;

/// A value to hand out when the steps before `step` have run.
#[derive(Debug, Clone)]
pub(crate) struct Tap {
    pub(crate) step: usize,
    pub(crate) value: ValueId,
    pub(crate) at: Place,
}

/// Where a value that leaves the plan lies.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// In the arena.
    Fast(TensorId),
    /// Row-major.
    Rows(Operand),
}

/// Where the graph's inputs go.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// One batch of images: the caller's slice, tensor 0.
    Images,
    /// Tensors of any type and shape, one slot for each.
    Rows(Vec<SlotId>),
}

/// The result.
#[derive(Debug)]
pub(crate) struct Lowered {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) steps: Vec<Step>,
    pub(crate) taps: Vec<Tap>,
    pub(crate) entry: Entry,
    /// In the order of the graph's outputs.
    pub(crate) outputs: Vec<Place>,
}

/// Where the content of a graph value can be found; all that are present mean the same.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// Floats in the kernels' layout.
    f32: Option<TensorId>,
    /// Floats without channel padding (only an image).
    dense: Option<TensorId>,
    /// Bytes and what they mean. For a value of the graph that is quantised itself: its bytes (i8 moved up by 128).
    u8: Option<(TensorId, Quant)>,
    /// A row-major tensor.
    rows: Option<SlotId>,
}

impl State {
    /// The tensor of the arena that holds the value in some form.
    fn fast(&self) -> Option<TensorId> {
        self.f32.or(self.dense).or(self.u8.map(|(tensor, _)| tensor))
    }
}

struct Lowering<'a> {
    /// The graph for the plan's batch.
    graph: &'a Graph,
    options: &'a PlanOptions,
    consumers: Vec<Vec<NodeId>>,
    producers: Vec<Option<NodeId>>,
    /// Values that are the same in every run.
    constants: Constants,
    /// Per value, which of its axes holds the channels where it lies in the kernels' layout.
    orders: Vec<Order>,
    /// Per node, how the fast kernels compute it, if they do.
    fast: Vec<Option<Fast>>,
    /// Attention that is written in several nodes, at the last of them.
    heads: HashMap<NodeId, PlannedHeads>,
    /// Per node, whether its readers want its result in the kernels' layout.
    wanted: Vec<bool>,
    /// Values that must exist: graph outputs and observed ones.
    kept: Vec<bool>,
    observed: Vec<bool>,
    states: Vec<State>,
    /// Nodes that are lowered or fused already.
    done: Vec<bool>,
    tensors: Vec<Tensor>,
    slots: Vec<Slot>,
    steps: Vec<Step>,
    taps: Vec<Tap>,
    /// Bytes of the weights so far, as the algorithms read them.
    weight_bytes: usize,
}

/// Lowers a graph whose shapes are those of the options' batch ([`Graph::with_batch`]).
pub(crate) fn lower(graph: &Graph, options: &PlanOptions) -> Result<Lowered, RuntimeError> {
    let n_values = graph.values().len();
    let mut observed = vec![false; n_values];
    for value in &options.observe {
        match graph.values().get(value.index()).map(|v| &v.kind) {
            Some(ValueKind::Input | ValueKind::Activation) => observed[value.index()] = true,
            Some(ValueKind::Param(_)) | None => {
                return Err(RuntimeError::Options(format!(
                    "value {} cannot be observed: expected an input or activation of graph `{}`",
                    value.index(),
                    graph.name()
                )));
            }
        }
    }
    let mut kept = observed.clone();
    for output in graph.outputs() {
        kept[output.index()] = true;
    }
    let mut lowering = Lowering {
        graph,
        options,
        consumers: graph.consumers(),
        producers: graph.producers(),
        constants: Constants::of(graph),
        orders: order::defaults(graph, options.batch),
        fast: Vec::new(),
        heads: HashMap::new(),
        wanted: vec![false; graph.nodes().len()],
        weight_bytes: 0,
        kept,
        observed,
        states: vec![State::default(); n_values],
        done: vec![false; graph.nodes().len()],
        tensors: Vec::new(),
        slots: Vec::new(),
        steps: Vec::new(),
        taps: Vec::new(),
    };
    lowering.classify()?;
    let entry = lowering.lower_inputs()?;
    for id in 0..graph.nodes().len() {
        if !lowering.done[id] {
            lowering.lower_node(id)?;
        }
    }
    let mut outputs = Vec::with_capacity(graph.outputs().len());
    for &output in graph.outputs() {
        outputs.push(lowering.output(output)?);
    }
    let Lowering { tensors, slots, steps, taps, .. } = lowering;
    let mut lowered = Lowered { tensors, slots, steps, taps, entry, outputs };
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
        self.steps.push(Step { node: node.to_owned(), inputs, output: Some(output), work });
        output
    }

    /// Records where a value lies, and hands it to the observer if it is asked for.
    fn set_f32(&mut self, value: ValueId, tensor: TensorId) -> Result<(), RuntimeError> {
        self.states[value.index()].f32 = Some(tensor);
        match self.orders[value.index()] {
            Order::First => self.tap(value, Place::Fast(tensor)),
            Order::Last => self.show(value)?,
        }
        Ok(())
    }

    fn tap(&mut self, value: ValueId, at: Place) {
        if self.observed[value.index()] {
            self.taps.push(Tap { step: self.steps.len(), value, at });
        }
    }

    fn lower_inputs(&mut self) -> Result<Entry, RuntimeError> {
        if let &[input] = self.graph.inputs()
            && self.graph.value(input).dtype == DataType::F32
            && let Some((channels, size)) = self.map(input)
        {
            self.lower_images(input, channels, size);
            return Ok(Entry::Images);
        }
        let mut slots = Vec::with_capacity(self.graph.inputs().len());
        for &input in self.graph.inputs() {
            let slot = self.slot(input);
            slots.push(slot);
            self.states[input.index()].rows = Some(slot);
            self.show(input)?;
        }
        Ok(Entry::Rows(slots))
    }

    fn lower_images(&mut self, input: ValueId, channels: usize, size: [usize; 2]) {
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
        self.tap(input, Place::Fast(dense));
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
        let state = &self.states[value.index()];
        state.fast().is_some() || state.rows.is_some()
    }

    fn lower_node(&mut self, id: NodeId) -> Result<(), RuntimeError> {
        self.done[id] = true;
        if self.node(id).outputs.iter().all(|&v| self.is_constant(v)) {
            return Ok(());
        }
        if let Some(heads) = self.heads.remove(&id) {
            return self.lower_heads(id, heads);
        }
        if let Some(fast) = self.fast[id]
            && self.pays(id, fast)
            && (self.lower_quantized(id, fast)? || self.lower_fast(id, fast)?)
        {
            return Ok(());
        }
        self.lower_plain(id)
    }
}
