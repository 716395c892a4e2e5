//! Planning: a graph becomes a list of steps over buffers in the kernels' layout.
//!
//! Fusion happens here: a `BatchNormalization` takes the residual `Add` and the activation that follow it into one
//! step, and a fully connected layer becomes a convolution whose kernel covers the map, so that `Flatten` is only
//! another name for its input. Whatever else reads a flattened value gets it in the graph's order ([`Planner::flat`]).

mod bindings;
mod rule;
mod step;

use oculist_graph::{Graph, Node, NodeId, Op, ValueId};
use oculist_kernels::{Context, Rows, channel_stride};

use crate::error::TrainError;
use crate::params::ParamSet;
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
        for rule in rule::RULES {
            if rule(self, n)? {
                return Ok(());
            }
        }
        let node = &self.graph.nodes()[n];
        Err(unsupported(node, "no rule for this operator with these inputs".to_owned()))
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
