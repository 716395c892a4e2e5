//! The training executor: a planned graph with its parameters, activations and gradients.
//!
//! A graph is planned once for a batch size ([`Executor::new`]); every buffer is allocated then and reused in every
//! step, so that a step allocates nothing. Training keeps each activation once, for the backward pass.

mod backward;
mod forward;
mod gradients;
mod plan;
mod planned;
mod profile;
pub(super) mod rows;
mod statistics;

use std::ops::Range;
use std::sync::Arc;

use oculist_graph::Graph;
use oculist_kernels::{Buffer, Context, Rows, try_zeros};

use crate::cpu::optimizer::{Optimizer, Pace, Stride, global_norm};
use crate::cpu::params::ParamSet;
use crate::cpu::rules::Rules;
use crate::error::TrainError;
use crate::tuning::{self, Tuning};
use gradients::{GradientPlan, Wanted};
use plan::Plan;
pub use plan::has_fast_step;
pub(crate) use plan::trained_parameters;
use planned::{Planned, planned, purpose};
use rows::Rows as RowTensors;
use statistics::Moments;

/// What an executor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Forward with batch statistics, and backward.
    Train,
    /// Forward with running statistics only.
    Eval,
}

/// A planned graph that runs forward and backward.
#[derive(Debug)]
pub struct Executor {
    ctx: Arc<Context>,
    plan: Plan,
    gradients: GradientPlan,
    /// How each parameter is trained.
    rules: Rules,
    /// The epoch that the three below are for.
    epoch: usize,
    /// Factors on the learning rate of each parameter.
    factors: Vec<f32>,
    /// Whether each running statistic follows the batches.
    following: Vec<bool>,
    /// What the backward pass is run for.
    wanted: Wanted,
    /// The weights that training began with, where some are pulled towards them; else empty.
    start: Vec<f32>,
    batch: usize,
    classes: usize,
    /// Trainable parameters in the kernels' layout.
    pub(super) weights: Vec<f32>,
    /// Running means and variances.
    pub(super) stats: Vec<f32>,
    /// Gradients of the parameters, laid out as the weights.
    pub(super) grads: Vec<f32>,
    activations: Vec<Buffer>,
    gradient_buffers: Vec<Buffer>,
    /// Batch mean and inverse standard deviation of each normalisation, kept for the backward pass.
    saved_norms: Vec<SavedNorm>,
    /// Positions of the maxima of each max pooling.
    saved_maxima: Vec<Vec<u16>>,
    scratch: Buffer,
    /// A gradient that must be added to another one lands here first.
    spare: Buffer,
    /// Tensors of plain steps.
    rows: RowTensors,
    dropout_seed: u64,
    /// Collects the statistics of whole batches, while they are measured anew.
    moments: Option<Moments>,
}

#[derive(Debug, Clone, Default)]
struct SavedNorm {
    mean: Vec<f32>,
    variance: Vec<f32>,
    inv_std: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Executor {
    /// Plans `graph` for batches of exactly `batch` images and takes over its parameters.
    ///
    /// # Errors
    /// [`TrainError::Unsupported`] naming the node that has no training rule, or holds a weight of a type that is not
    /// trained or that no gradient reaches; [`TrainError::NothingToTrain`] in
    /// [`Mode::Train`] for a graph without parameters; [`TrainError::Kernel`] if the buffers need more memory than a plan
    /// may take or the system gives; [`TrainError::Graph`] for a graph of more than [`Graph::MAX_OPERATIONS`].
    pub fn new(ctx: Arc<Context>, graph: &Graph, batch: usize, mode: Mode) -> Result<Self, TrainError> {
        Self::tuned(ctx, graph, batch, mode, &tuning::PLAIN)
    }

    /// The same with rules for its parameters: gradients are computed for those alone that are trained, and normalisations
    /// with frozen statistics use these.
    ///
    /// # Errors
    /// As [`Executor::new`]; [`TrainError::Tuning`] for a rule of a parameter that is not there, or rules that leave nothing
    /// to train in the first epoch.
    pub fn tuned(
        ctx: Arc<Context>,
        graph: &Graph,
        batch: usize,
        mode: Mode,
        tuning: &Tuning,
    ) -> Result<Self, TrainError> {
        let Planned { plan, gradients, rules, .. } = planned(&ctx, graph, batch, mode, tuning)?;
        let train = mode == Mode::Train;
        let what = purpose(graph, batch, mode);
        let buffer = |len: usize| Buffer::try_zeroed(len, &what);
        let saved_norms = plan
            .steps
            .iter()
            .filter_map(|s| match s {
                plan::Step::Norm { y, .. } => {
                    let v = vec![0.0; plan.slots[*y].stride];
                    Some(SavedNorm {
                        mean: v.clone(),
                        variance: v.clone(),
                        inv_std: v.clone(),
                        scale: v.clone(),
                        shift: v,
                    })
                }
                _ => None,
            })
            .collect();
        let saved_maxima = plan
            .steps
            .iter()
            .filter_map(|s| match s {
                plan::Step::MaxPool { y, .. } => Some(vec![0; plan.slots[*y].len(batch)]),
                _ => None,
            })
            .collect();
        let largest = plan.slots.iter().map(|m| m.len(batch)).max().unwrap_or(0);
        let classes = plan.slots[plan.output].channels;
        let weights = plan.weights.pack(graph);
        let mut executor = Self {
            batch,
            classes,
            grads: try_zeros(if train { weights.len() } else { 0 }, &what)?,
            stats: plan.stats.pack(graph),
            activations: plan.slots.iter().map(|m| buffer(m.len(batch))).collect::<Result<_, _>>()?,
            gradient_buffers: gradients.lengths.iter().map(|&n| buffer(n)).collect::<Result<_, _>>()?,
            saved_norms,
            saved_maxima,
            scratch: buffer(plan.scratch)?,
            spare: buffer(if train { largest } else { 0 })?,
            rows: RowTensors::new(plan.rows.len()),
            dropout_seed: 0,
            moments: None,
            gradients,
            start: if rules.anchors() { weights.clone() } else { Vec::new() },
            weights,
            rules,
            epoch: 0,
            factors: Vec::new(),
            following: Vec::new(),
            wanted: Wanted::default(),
            plan,
            ctx,
        };
        executor.begin(0);
        Ok(executor)
    }

    /// Lets the rules of an epoch hold.
    pub fn set_epoch(&mut self, epoch: usize) {
        if epoch != self.epoch {
            self.begin(epoch);
        }
    }

    fn begin(&mut self, epoch: usize) {
        self.epoch = epoch;
        self.factors = self.rules.factors(epoch);
        self.following = self.rules.following(epoch);
        self.wanted = Wanted::new(&self.plan, self.factors.iter().map(|factor| *factor > 0.0).collect());
    }

    /// Whether a parameter is trained in some epoch.
    pub(super) fn trains(&self, parameter: usize) -> bool {
        self.rules.trains(parameter)
    }

    /// Places of the parameters that are frozen in this epoch, and of the running statistics that are.
    pub(super) fn frozen(&self) -> [Vec<Range<usize>>; 2] {
        let still = |set: &ParamSet, moves: &dyn Fn(usize) -> bool| {
            set.iter().enumerate().filter(|(i, _)| !moves(*i)).map(|(_, p)| p.range()).collect()
        };
        [
            still(&self.plan.weights, &|i| self.factors[i] > 0.0),
            still(&self.plan.stats, &|i| self.following[i]),
        ]
    }

    /// Looks whether [`Executor::new`] would refuse the graph, without taking memory for its buffers; returns their
    /// bytes.
    ///
    /// # Errors
    /// As [`Executor::new`].
    pub fn check(ctx: &Arc<Context>, graph: &Graph, batch: usize, mode: Mode) -> Result<usize, TrainError> {
        planned(ctx, graph, batch, mode, &tuning::PLAIN).map(|planned| planned.bytes)
    }

    /// The kernels' context: threads and instruction set.
    pub fn context(&self) -> &Arc<Context> {
        &self.ctx
    }

    /// Images per batch.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Number of logits per image.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Height, width and channels of the input.
    pub(super) fn input_shape(&self) -> (usize, usize, usize) {
        let map = self.plan.slots[self.plan.input];
        (map.height, map.width, map.channels)
    }

    /// Numbers from one row of logits to the next.
    pub fn logits_stride(&self) -> usize {
        self.plan.slots[self.plan.output].stride
    }

    /// The trainable parameters and their places in the flat buffers.
    pub fn params(&self) -> &ParamSet {
        &self.plan.weights
    }

    /// The running statistics and their places.
    pub fn statistics(&self) -> &ParamSet {
        &self.plan.stats
    }

    /// The gradients of the last backward pass, by parameter, in the graph's layout.
    pub fn gradient_tensors(&self) -> Vec<(oculist_graph::ValueId, oculist_graph::Tensor)> {
        self.plan.weights.iter().map(|p| (p.value, p.unpack(&self.grads[p.range()]))).collect()
    }

    /// Euclidean norm of all gradients of the last backward pass.
    pub fn gradient_norm(&self) -> f64 {
        global_norm(&self.ctx, &self.grads)
    }

    /// Updates the weights by the gradients of the last backward pass times `grad_scale`.
    pub fn update(&mut self, optimizer: &mut Optimizer, grad_scale: f32, lr: f32, weight_decay: f32) {
        let stride = Stride { lr, grad_scale, weight_decay };
        let pulls = |i: usize| self.rules.anchor(i) > 0.0;
        let pace = |i: usize| Pace { factor: self.factors[i], anchored: pulls(i) };
        for (i, p) in self.plan.weights.iter().enumerate().filter(|(i, _)| pulls(*i)) {
            let range = p.range();
            let (w, g) = (&mut self.weights[range.clone()], &mut self.grads[range.clone()]);
            let anchor = self.rules.anchor(i);
            optimizer.pull(&self.ctx, w, g, &self.start[range], anchor, self.factors[i], stride);
        }
        optimizer.update_each(&self.ctx, &self.plan.weights, &mut self.weights, &self.grads, stride, pace);
    }

    /// Writes weights and running statistics back into a graph of the same structure.
    pub fn store(&self, graph: &mut Graph) {
        self.plan.weights.unpack_into(&self.weights, graph);
        self.plan.stats.unpack_into(&self.stats, graph);
    }

    /// The logits of the last forward pass, `[batch, logits_stride]`.
    pub fn logits(&self) -> &[f32] {
        &self.activations[self.plan.output]
    }

    /// Bytes of all buffers: parameters, activations, gradients and scratch.
    pub fn bytes(&self) -> usize {
        let floats = self.weights.len() * 2
            + self.start.len()
            + self.stats.len()
            + self.scratch.len()
            + self.spare.len()
            + self.activations.iter().map(|b| b.len()).sum::<usize>()
            + self.gradient_buffers.iter().map(|b| b.len()).sum::<usize>();
        let gradients = !self.gradients.leads.is_empty();
        floats * size_of::<f32>()
            + self.plan.row_bytes(gradients)
            + self.saved_maxima.iter().map(Vec::len).sum::<usize>() * size_of::<u16>()
    }

    /// Copies images into the input, `[n, height, width, channels]` dense; missing images are zero.
    fn load(&mut self, images: &[f32]) {
        let map = self.plan.slots[self.plan.input];
        let input = &mut self.activations[self.plan.input];
        if map.stride == map.channels {
            let n = images.len().min(input.len());
            input[..n].copy_from_slice(&images[..n]);
            input[n..].fill(0.0);
        } else {
            let rows = images.len() / map.channels;
            oculist_kernels::pad_channels(&self.ctx, rows, map.channels, images, input);
            input[rows * map.stride..].fill(0.0);
        }
    }
}

/// The rows of `x` as its product with `gate` takes them: a gate of as many pixels is one of as many channels over a
/// single pixel.
fn gated_rows(x: plan::Map, gate: plan::Map, batch: usize) -> Rows {
    if gate.pixels() == x.pixels() { Rows::new(batch, x.pixels() * x.stride) } else { x.rows(batch) }
}

/// SplitMix64's output function: a well-mixed number for each state.
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Writes `x / (1 - ratio)` or zero, decided by a generator keyed by seed, layer and element.
fn dropout(seed: u64, key: u64, ratio: f32, x: &[f32], y: &mut [f32], accumulate: bool) {
    let threshold = (f64::from(ratio) * 2f64.powi(32)) as u64;
    let keep = 1.0 / (1.0 - ratio);
    let base = mix(seed ^ mix(key.wrapping_add(1)));
    for (i, (y, &x)) in y.iter_mut().zip(x).enumerate() {
        let kept = (mix(base.wrapping_add(i as u64)) >> 32) >= threshold;
        let value = if kept { x * keep } else { 0.0 };
        if accumulate {
            *y += value;
        } else {
            *y = value;
        }
    }
}
