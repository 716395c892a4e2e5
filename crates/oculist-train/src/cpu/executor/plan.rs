//! Planning: a graph becomes a list of steps over buffers in the kernels' layout.
//!
//! Fusion happens here: a `BatchNormalization` takes the residual `Add` and the activation that follow it into one
//! step, and a fully connected layer becomes a convolution whose kernel covers the map, so that `Flatten` is only
//! another name for its input. Whatever else reads a flattened value gets it in the graph's order ([`Planner::flat`]).

mod bindings;
mod flow;
mod rule;
mod step;

use oculist_graph::{DataType, Graph, Node, NodeId, Op, Tensor, ValueId};
use oculist_kernels::{Context, Rows, channel_stride};

use super::rows::{Row, RowValue};
use crate::cpu::params::ParamSet;
use crate::error::TrainError;
pub(super) use flow::check;
pub(crate) use flow::trained_parameters;
pub use rule::has_fast_step;
pub(crate) use step::Step;

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

/// The planned graph.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) slots: Vec<Map>,
    /// Row-major values beside the slots.
    pub(crate) rows: Vec<RowValue>,
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

struct Planner<'a> {
    ctx: &'a Context,
    /// The graph for this batch size: its shapes are what the steps meet.
    graph: &'a Graph,
    /// The graph as it was given, for messages.
    given: &'a Graph,
    batch: usize,
    consumers: Vec<Vec<NodeId>>,
    slot_of: Vec<Option<Slot>>,
    row_of: Vec<Option<Row>>,
    /// Values that are the same in every step.
    constants: Vec<Option<Tensor>>,
    /// Parameters that some node trains.
    trained: Vec<bool>,
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
        let bound = graph.with_batch(batch)?;
        let mut planner = Planner {
            ctx,
            graph: &bound,
            given: graph,
            batch,
            consumers: graph.consumers(),
            slot_of: vec![None; graph.values().len()],
            row_of: vec![None; graph.values().len()],
            constants: vec![None; graph.values().len()],
            trained: trained_parameters(graph),
            done: vec![false; graph.nodes().len()],
            plan: Self {
                steps: Vec::new(),
                slots: Vec::new(),
                rows: Vec::new(),
                input: 0,
                output: 0,
                weights: ParamSet::default(),
                stats: ParamSet::default(),
                norms: 0,
                max_pools: 0,
                scratch: 0,
            },
        };
        planner.input(input)?;
        for n in 0..graph.nodes().len() {
            if !planner.done[n] {
                planner.node(n)?;
            }
        }
        planner.plan.output = planner.logits(output)?;
        Ok(planner.plan)
    }

    /// Bytes of the row-major values of a step, with their gradients if they are computed.
    pub(crate) fn row_bytes(&self, gradients: bool) -> usize {
        let bytes = |row: &RowValue| row.bytes.saturating_mul(if gradients && row.carries { 2 } else { 1 });
        self.rows.iter().map(bytes).fold(0, usize::saturating_add)
    }
}

impl Planner<'_> {
    /// The image stays dense when only ordinary convolutions read it: padding one channel to sixteen would
    /// multiply the work of the first layer.
    fn input(&mut self, input: ValueId) -> Result<(), TrainError> {
        let value = self.given.value(input);
        let sizes = self.graph.shape(input).chw().filter(|_| value.dtype == DataType::F32);
        let Some((c, h, w)) = sizes else {
            return Err(TrainError::Graph(oculist_graph::GraphError::Structure {
                graph: self.given.name().to_owned(),
                problem: format!(
                    "expected images, an input f32 [N, C, H, W], found `{}` of {} {}",
                    value.name,
                    value.dtype.name(),
                    self.given.shape(input)
                ),
            }));
        };
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
        Ok(())
    }

    fn node(&mut self, n: NodeId) -> Result<(), TrainError> {
        for rule in rule::FIRST.into_iter().chain(rule::rule(&self.graph.nodes()[n].op)) {
            if rule(self, n)? {
                return Ok(());
            }
        }
        self.plain(n)
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
