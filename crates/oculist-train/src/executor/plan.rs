//! Planning: a graph becomes a list of steps over buffers in the kernels' layout.
//!
//! Fusion happens here: a `BatchNormalization` takes the residual `Add` and the activation that follow it into one
//! step, and a fully connected layer becomes a convolution whose kernel covers the map, so that `Flatten` is only
//! another name for its input. Whatever else reads a flattened value gets it in the graph's order ([`Planner::flat`]).

mod bindings;

use oculist_graph::{AveragePool, BatchNormalization, Binary, Concat, DequantizeLinear, Dropout, Flatten, Gemm, GlobalPool, Graph, Identity, MaxPool, Node, NodeId, Op, Pool, QuantizeLinear, Softmax, Unary, ValueId};
use oculist_kernels::{Activation, Context, Conv2d, ConvPlan, Pooling, Rows, channel_stride};

use crate::error::TrainError;
use crate::params::{ParamLayout, ParamSet};

/// How a value lies in memory: `[batch, height, width, stride]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Map {
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) stride: usize,
}

impl Map {
    pub(crate) fn padded(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, height, width, stride: channel_stride(channels) }
    }

    /// Pixels of one image; this and the lengths are `usize::MAX` where they would be larger.
    pub(crate) fn pixels(&self) -> usize {
        self.height.saturating_mul(self.width)
    }

    pub(crate) fn len(&self, batch: usize) -> usize {
        batch.saturating_mul(self.pixels()).saturating_mul(self.stride)
    }

    pub(crate) fn rows(&self, batch: usize) -> Rows {
        Rows::new(batch.saturating_mul(self.pixels()), self.channels)
    }
}

/// Index of a buffer of activations; values that only rename another one share its buffer.
pub(crate) type Slot = usize;

/// One step of the plan. Parameters and statistics are indices into their sets.
#[derive(Debug)]
pub(crate) enum Step {
    Conv {
        x: Slot,
        weights: usize,
        bias: Option<usize>,
        plan: Box<ConvPlan>,
        y: Slot,
    },
    /// `y = activation(batch_norm(x) + residual)`.
    Norm {
        x: Slot,
        gamma: usize,
        beta: usize,
        running_mean: usize,
        running_var: usize,
        epsilon: f32,
        momentum: f32,
        /// Which saved batch statistics belong to it.
        saved: usize,
        residual: Option<Slot>,
        activation: Activation,
        y: Slot,
    },
    Activation {
        x: Slot,
        activation: Activation,
        y: Slot,
    },
    Add {
        a: Slot,
        b: Slot,
        y: Slot,
    },
    /// `y[n, h, w, c] = x[n, h, w, c] * gate[n, c]`, or `* gate[n, h, w, c]` if the gate has as many pixels as `x`.
    Gate {
        x: Slot,
        gate: Slot,
        y: Slot,
    },
    /// `y[n, c * pixels + p] = x[n, p, c]`.
    Flatten {
        x: Slot,
        y: Slot,
    },
    Concat {
        /// Inputs with the channel at which each begins.
        inputs: Vec<(Slot, usize)>,
        y: Slot,
    },
    MaxPool {
        x: Slot,
        pool: Pooling,
        /// Which saved table of maxima belongs to it.
        saved: usize,
        y: Slot,
    },
    AveragePool {
        x: Slot,
        pool: Pooling,
        count_include_pad: bool,
        y: Slot,
    },
    GlobalAveragePool {
        x: Slot,
        y: Slot,
    },
    Dropout {
        x: Slot,
        ratio: f32,
        /// Distinguishes the dropout layers of one network.
        key: u64,
        y: Slot,
    },
    PadChannels {
        x: Slot,
        before: usize,
        y: Slot,
    },
}

impl Step {
    /// The slots it reads.
    pub(crate) fn inputs(&self) -> Vec<Slot> {
        match self {
            Self::Norm { x, residual, .. } => std::iter::once(*x).chain(*residual).collect(),
            Self::Add { a, b, .. } => vec![*a, *b],
            Self::Gate { x, gate, .. } => vec![*x, *gate],
            Self::Concat { inputs, .. } => inputs.iter().map(|(slot, _)| *slot).collect(),
            Self::Conv { x, .. }
            | Self::Activation { x, .. }
            | Self::Flatten { x, .. }
            | Self::MaxPool { x, .. }
            | Self::AveragePool { x, .. }
            | Self::GlobalAveragePool { x, .. }
            | Self::Dropout { x, .. }
            | Self::PadChannels { x, .. } => vec![*x],
        }
    }

    /// The slot it writes.
    pub(crate) fn output(&self) -> Slot {
        match self {
            Self::Conv { y, .. }
            | Self::Norm { y, .. }
            | Self::Activation { y, .. }
            | Self::Add { y, .. }
            | Self::Gate { y, .. }
            | Self::Flatten { y, .. }
            | Self::Concat { y, .. }
            | Self::MaxPool { y, .. }
            | Self::AveragePool { y, .. }
            | Self::GlobalAveragePool { y, .. }
            | Self::Dropout { y, .. }
            | Self::PadChannels { y, .. } => *y,
        }
    }
}

/// The planned graph.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) slots: Vec<Map>,
    pub(crate) input: Slot,
    pub(crate) output: Slot,
    pub(crate) weights: ParamSet,
    pub(crate) stats: ParamSet,
    /// Number of batch-norm steps.
    pub(crate) norms: usize,
    /// Number of max-pool steps.
    pub(crate) max_pools: usize,
    /// f32 of scratch that the largest convolution needs.
    pub(crate) scratch: usize,
}

/// The element-wise operator as the kernels know it.
pub(crate) fn activation_of(op: &Op) -> Option<Activation> {
    Some(match op {
        Op::Unary(Unary::Relu) => Activation::Relu,
        Op::Unary(Unary::Clip { min, max }) => Activation::Clip { min: *min, max: *max },
        Op::Unary(Unary::HardSwish) => Activation::HardSwish,
        Op::Unary(Unary::HardSigmoid { alpha, beta }) => Activation::HardSigmoid { alpha: *alpha, beta: *beta },
        Op::Unary(Unary::Sigmoid) => Activation::Sigmoid,
        _ => return None,
    })
}

/// The window as the kernels know it.
fn pool_of(pool: &Pool, map: Map, batch: usize) -> Pooling {
    Pooling {
        batch,
        height: map.height,
        width: map.width,
        channels: map.channels,
        kernel: pool.kernel,
        stride: pool.stride,
        padding: pool.padding,
    }
}

struct Planner<'a> {
    ctx: &'a Context,
    graph: &'a Graph,
    batch: usize,
    consumers: Vec<Vec<NodeId>>,
    slot_of: Vec<Option<Slot>>,
    done: Vec<bool>,
    plan: Plan,
}

impl Plan {
    pub(crate) fn new(ctx: &Context, graph: &Graph, batch: usize) -> Result<Self, TrainError> {
        let (input, output) = match (graph.inputs(), graph.outputs()) {
            ([input], [output]) => (*input, *output),
            (i, o) => {
                return Err(TrainError::Graph(oculist_graph::GraphError::Structure {
                    graph: graph.name().to_owned(),
                    problem: format!(
                        "training takes one input and one output, found {} and {}",
                        i.len(),
                        o.len()
                    ),
                }));
            }
        };
        graph.check_operations()?;
        let mut planner = Planner {
            ctx,
            graph,
            batch,
            consumers: graph.consumers(),
            slot_of: vec![None; graph.values().len()],
            done: vec![false; graph.nodes().len()],
            plan: Self {
                steps: Vec::new(),
                slots: Vec::new(),
                input: 0,
                output: 0,
                weights: ParamSet::default(),
                stats: ParamSet::default(),
                norms: 0,
                max_pools: 0,
                scratch: 0,
            },
        };
        planner.input(input);
        for n in 0..graph.nodes().len() {
            if !planner.done[n] {
                planner.node(n)?;
            }
        }
        planner.plan.output = planner.output(output)?;
        Ok(planner.plan)
    }
}

impl Planner<'_> {
    /// The image stays dense when only ordinary convolutions read it: padding one channel to sixteen would
    /// multiply the work of the first layer.
    fn input(&mut self, input: ValueId) {
        let (c, h, w) = self.graph.shape(input).chw().unwrap_or((0, 0, 0));
        let readers = &self.consumers[input.index()];
        let dense = readers.iter().all(|&n| {
            let node = &self.graph.nodes()[n];
            // A weight that others read too must lie as they want it.
            let own = || self.consumers[node.inputs[1].index()].iter().all(|other| readers.contains(other));
            matches!(&node.op, Op::Conv(conv) if conv.groups == 1) && own()
        });
        let mut map = Map::padded(c, h, w);
        if dense {
            map.stride = c;
        }
        let slot = self.new_slot(input, map);
        self.plan.input = slot;
    }

    fn node(&mut self, n: NodeId) -> Result<(), TrainError> {
        let graph = self.graph;
        let node = &graph.nodes()[n];
        let fail = |problem: &str| Err(unsupported(node, problem.to_owned()));
        if matches!(node.op, Op::QuantizeLinear(_) | Op::DequantizeLinear(_)) {
            return fail("quantised graphs are not trained; train the f32 model");
        }
        let first = node.inputs[0];
        let Some(mut x) = self.slot_of[first.index()] else {
            return fail("its first input is a constant");
        };
        let mut map = self.plan.slots[x];
        match &node.op {
            Op::Conv(conv) => {
                let c_out = graph.shape(node.output()).channels().unwrap_or(0);
                let conv = Conv2d {
                    batch: self.batch,
                    height: map.height,
                    width: map.width,
                    c_in: map.channels,
                    c_out,
                    kernel: conv.kernel,
                    stride: conv.stride,
                    padding: conv.padding,
                    dilation: conv.dilation,
                    groups: conv.groups,
                    x_stride: map.stride,
                };
                self.conv(n, x, conv)?;
            }
            Op::Gemm(Gemm::LINEAR) => {
                let conv = Conv2d {
                    batch: self.batch,
                    height: map.height,
                    width: map.width,
                    c_in: map.channels,
                    c_out: graph.shape(node.output()).channels().unwrap_or(0),
                    kernel: [map.height, map.width],
                    stride: [1; 2],
                    padding: [0; 4],
                    dilation: [1; 2],
                    groups: 1,
                    x_stride: map.stride,
                };
                self.conv(n, x, conv)?;
            }
            Op::BatchNormalization(BatchNormalization { epsilon, momentum, .. }) => {
                x = self.flat(first, x);
                self.norm(n, x, self.plan.slots[x], *epsilon, *momentum)?;
            }
            op if op.is_activation() => {
                let Some(activation) = activation_of(op) else {
                    return fail("no kernel for this activation");
                };
                let y = self.new_slot(node.output(), map);
                self.plan.steps.push(Step::Activation { x, activation, y });
            }
            Op::Binary(Binary::Add) | Op::Binary(Binary::Mul) => {
                let second = node.inputs[1];
                let Some(mut b) = self.slot_of[second.index()] else {
                    return fail("its second input is a constant");
                };
                let gated = graph.shape(first) != graph.shape(second);
                if !gated && map != self.plan.slots[b] {
                    // Maps of different shapes may be flattened to values of the same.
                    x = self.flat(first, x);
                    b = self.flat(second, b);
                    map = self.plan.slots[x];
                }
                let y = self.new_slot(node.output(), map);
                self.plan.steps.push(match node.op {
                    Op::Binary(Binary::Add) => Step::Add { a: x, b, y },
                    _ => Step::Gate { x, gate: b, y },
                });
            }
            Op::Concat(Concat::CHANNELS) => {
                let mut inputs = Vec::new();
                let mut channels = 0;
                for &input in &node.inputs {
                    let Some(slot) = self.slot_of[input.index()] else {
                        return fail("one of its inputs is a constant");
                    };
                    let slot = self.flat(input, slot);
                    inputs.push((slot, channels));
                    map = self.plan.slots[slot];
                    channels += map.channels;
                }
                let y = self.new_slot(node.output(), Map::padded(channels, map.height, map.width));
                self.plan.steps.push(Step::Concat { inputs, y });
            }
            Op::MaxPool(pool) => {
                let pool = pool_of(pool, map, self.batch);
                pool.check().or_else(|e| fail(&e.to_string()))?;
                let y = self
                    .new_slot(node.output(), Map::padded(map.channels, pool.out_height(), pool.out_width()));
                let saved = self.plan.max_pools;
                self.plan.max_pools += 1;
                self.plan.steps.push(Step::MaxPool { x, pool, saved, y });
            }
            Op::AveragePool(AveragePool { pool, count_include_pad }) => {
                let pool = pool_of(pool, map, self.batch);
                pool.check().or_else(|e| fail(&e.to_string()))?;
                let y = self
                    .new_slot(node.output(), Map::padded(map.channels, pool.out_height(), pool.out_width()));
                let count_include_pad = *count_include_pad;
                self.plan.steps.push(Step::AveragePool { x, pool, count_include_pad, y });
            }
            Op::GlobalPool(GlobalPool::Average) => {
                let y = self.new_slot(node.output(), Map::padded(map.channels, 1, 1));
                self.plan.steps.push(Step::GlobalAveragePool { x, y });
            }
            Op::Flatten(Flatten::IMAGES) | Op::Identity(Identity) => self.slot_of[node.output().index()] = Some(x),
            Op::Dropout(Dropout { ratio }) => {
                if !(0.0..1.0).contains(ratio) {
                    return fail("expected a ratio in 0..1");
                }
                let y = self.new_slot(node.output(), map);
                self.plan.steps.push(Step::Dropout { x, ratio: *ratio, key: n as u64, y });
            }
            Op::PadChannels { before, after } => {
                let channels = before + map.channels + after;
                let y = self.new_slot(node.output(), Map::padded(channels, map.height, map.width));
                self.plan.steps.push(Step::PadChannels { x, before: *before, y });
            }
            Op::Softmax(Softmax::along(1)) => return fail("the loss takes logits; end the network before the softmax"),
            _ => return fail("no rule for this operator"),
        }
        Ok(())
    }

    fn conv(&mut self, n: NodeId, x: Slot, conv: Conv2d) -> Result<(), TrainError> {
        let node = &self.graph.nodes()[n];
        let plan = ConvPlan::new(self.ctx, conv).map_err(|e| unsupported(node, e.to_string()))?;
        self.plan.scratch = self.plan.scratch.max(plan.scratch_len());
        let weights = self.weight(n, 1, ParamLayout::Weights(Box::new(conv)), true)?;
        let bias = match node.inputs.len() {
            3 => Some(self.weight(n, 2, ParamLayout::Channels(conv.c_out), false)?),
            _ => None,
        };
        let y = self.new_slot(node.output(), Map::padded(conv.c_out, conv.out_height(), conv.out_width()));
        self.plan.steps.push(Step::Conv { x, weights, bias, plan: Box::new(plan), y });
        Ok(())
    }

    fn norm(&mut self, n: NodeId, x: Slot, map: Map, epsilon: f32, momentum: f32) -> Result<(), TrainError> {
        let node = &self.graph.nodes()[n];
        if map.stride != channel_stride(map.channels) {
            return Err(unsupported(node, "normalising the image itself is not supported".into()));
        }
        let vector = ParamLayout::Channels(map.channels);
        let gamma = self.weight(n, 1, vector.clone(), false)?;
        let beta = self.weight(n, 2, vector.clone(), false)?;
        let running_mean = self.statistic(n, 3, vector.clone())?;
        let running_var = self.statistic(n, 4, vector)?;
        if running_mean == running_var {
            return Err(unsupported(node, "its running mean and variance are one parameter".into()));
        }
        let mut output = node.output();
        let mut residual = None;
        // The residual addition, if its other operand is known already.
        if let Some(next) = self.only_consumer(output)
            && self.graph.nodes()[next].op == Op::Binary(Binary::Add)
        {
            let add = &self.graph.nodes()[next];
            let other = if add.inputs[0] == output { add.inputs[1] } else { add.inputs[0] };
            // What is normalised cannot be the residual as well: both gradients would be written at once.
            if other != output
                && let Some(slot) = self.slot_of[other.index()].map(|slot| self.flat(other, slot))
                && slot != x
                && self.plan.slots[slot] == map
            {
                residual = Some(slot);
                output = add.output();
                self.done[next] = true;
            }
        }
        let mut activation = Activation::Identity;
        if let Some(next) = self.only_consumer(output)
            && let Some(found) = activation_of(&self.graph.nodes()[next].op)
            // The derivative is taken from the output, or from the normalised input when there is no residual.
            && (residual.is_none() || matches!(found, Activation::Relu | Activation::Clip { .. }))
        {
            activation = found;
            output = self.graph.nodes()[next].output();
            self.done[next] = true;
        }
        let y = self.new_slot(output, map);
        let saved = self.plan.norms;
        self.plan.norms += 1;
        self.plan.steps.push(Step::Norm {
            x,
            gamma,
            beta,
            running_mean,
            running_var,
            epsilon,
            momentum,
            saved,
            residual,
            activation,
            y,
        });
        Ok(())
    }

    fn new_slot(&mut self, value: ValueId, map: Map) -> Slot {
        self.plan.slots.push(map);
        let slot = self.plan.slots.len() - 1;
        self.slot_of[value.index()] = Some(slot);
        slot
    }
}

fn unsupported(node: &Node, problem: String) -> TrainError {
    TrainError::Unsupported { node: node.name.clone(), op: node.op.name(), problem }
}
