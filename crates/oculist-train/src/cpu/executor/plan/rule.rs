//! Rules: which steps a node becomes, one kind of operator a file.
//!
//! A rule makes a fast step only where all its conditions hold, and otherwise says that it does not.

mod arithmetic;
mod layer;
mod movement;
mod norm;
mod plain;
mod pool;

use oculist_graph::op::ReduceKind;
use oculist_graph::{Binary, DataType, Gemm, GlobalPool, NodeId, Op, ValueId};

use super::flow::quantised;
use super::{Map, Planner, Slot, unsupported};
use crate::cpu::params::ParamLayout;
use crate::error::TrainError;

/// Whether the rule has made the node's steps.
type Outcome = Result<bool, TrainError>;

/// Makes the steps of a node.
pub(super) type Rule = fn(&mut Planner<'_>, NodeId) -> Outcome;

/// What is asked of every node before its own rule.
pub(super) const FIRST: [Rule; 2] = [refuse, plain::known];

/// The rule of an operator; `None` if all its steps are plain, whatever the values.
#[expect(clippy::match_same_arms, reason = "a line for each file of the graph's rooms")]
pub(super) fn rule(op: &Op) -> Option<Rule> {
    match op {
        Op::Conv(_) => Some(layer::conv),
        Op::Gemm(gemm) if *gemm == Gemm::LINEAR => Some(layer::linear),
        Op::BatchNormalization(norm) if !norm.training => Some(norm::batch_norm),
        Op::Unary(_) if arithmetic::activation_of(op).is_some() => Some(arithmetic::activation),
        Op::Binary(Binary::Add) => Some(arithmetic::add),
        Op::Binary(Binary::Mul) => Some(arithmetic::mul),
        Op::MaxPool(_) => Some(pool::max),
        Op::AveragePool(_) => Some(pool::average),
        Op::GlobalPool(GlobalPool::Average) => Some(pool::global_average),
        Op::Reduce(reduce) if reduce.kind == ReduceKind::Mean => Some(pool::mean),
        Op::Concat(_) => Some(movement::concat),
        Op::Identity(_) | Op::Flatten(_) => Some(movement::rename),
        Op::Reshape(_) | Op::Squeeze(_) | Op::Unsqueeze(_) => Some(movement::rename),
        Op::Dropout(_) => Some(movement::dropout),
        Op::Pad(_) => Some(movement::pad_channels),
        Op::Gather(_) => Some(movement::pick_channels),
        // Plain steps: one line for each file of the graph's rooms.
        Op::Gemm(_) | Op::MatMul(_) | Op::FusedMatMul(_) | Op::Einsum(_) => None,
        Op::ConvTranspose(_) | Op::DeformConv(_) => None,
        Op::Attention(_) | Op::FlexAttention(_) | Op::LinearAttention(_) | Op::CausalConvWithState(_) => None,
        Op::RotaryEmbedding(_) | Op::SwiGlu(_) | Op::BiasGelu(_) => None,
        Op::FusedConv(_) | Op::FusedGemm(_) | Op::SkipLayerNormalization(_) => None,
        Op::BatchNormalization(_) | Op::InstanceNormalization(_) | Op::GroupNormalization(_) => None,
        Op::LayerNormalization(_) | Op::RmsNormalization(_) => None,
        Op::LpNormalization(_) | Op::Lrn(_) | Op::MeanVarianceNormalization(_) => None,
        Op::GlobalPool(_) | Op::LpPool(_) => None,
        Op::Unary(_) | Op::Binary(_) | Op::Softmax(_) | Op::Variadic(_) | Op::Clip(_) => None,
        Op::Where(_) | Op::Compress(_) | Op::NonZero(_) => None,
        Op::Cast(_) | Op::CastLike(_) | Op::BitCast(_) => None,
        Op::Reduce(_) | Op::ArgReduce(_) | Op::TopK(_) | Op::Unique(_) | Op::Cumulative(_) => None,
        Op::ShapeOf(_) | Op::SizeOf(_) | Op::Constant(_) | Op::ConstantOfShape(_) | Op::Range(_) => None,
        Op::Loss(_) => None,
        Op::OneHot(_) | Op::EyeLike(_) | Op::Trilu(_) | Op::ReverseSequence(_) | Op::Det(_) => None,
        Op::Slice(_) | Op::Split(_) | Op::Transpose(_) | Op::Expand(_) | Op::Tile(_) => None,
        Op::GatherElements(_) | Op::GatherND(_) | Op::ArrayFeatureExtractor(_) => None,
        Op::ScatterElements(_) | Op::ScatterND(_) | Op::TensorScatter(_) => None,
        Op::DepthToSpace(_) | Op::SpaceToDepth(_) => None,
        Op::Resize(_) | Op::GridSample(_) | Op::AffineGrid(_) | Op::CenterCropPad(_) => None,
        Op::MaxUnpool(_) | Op::Col2Im(_) | Op::RoiAlign(_) | Op::NonMaxSuppression(_) | Op::Binarizer(_) => {
            None
        }
        // Refused before.
        Op::TreeEnsembleClassifier(_) => None,
        Op::QuantizeLinear(_) | Op::DequantizeLinear(_) | Op::DynamicQuantizeLinear(_) => None,
        Op::ConvInteger(_) | Op::QLinearConv(_) | Op::IntegerMatMul(_) | Op::QLinear(_) => None,
        Op::SignalWindow(_) | Op::MelWeightMatrix(_) | Op::Dft(_) | Op::Stft(_) => None,
    }
}

/// Whether some nodes of an operator are trained by fast kernels: those whose values, weights and shapes allow it. The others
/// run on row-major tensors.
pub fn has_fast_step(op: &Op) -> bool {
    rule(op).is_some()
}

/// What is not trained wherever it stands.
fn refuse(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    let fail = |problem: &str| Err(unsupported(node, problem.to_owned()));
    if let Some(problem) = quantised(planner.graph, node) {
        return fail(&problem);
    }
    if matches!(&node.op, Op::BatchNormalization(op) if op.training) {
        return fail(
            "it takes statistics of the batch also where the network is deployed; use the inference form",
        );
    }
    if matches!(node.op, Op::Softmax(_)) && planner.graph.outputs().contains(&node.output()) {
        return fail("the loss takes logits; end the network before the softmax");
    }
    Ok(false)
}

impl Planner<'_> {
    /// How a value lies in the kernels' layout; `None` if it cannot: it must be `[batch, C, ...]` of f32. All axes behind
    /// the third are one.
    fn form(&self, value: ValueId) -> Option<Map> {
        let value = self.graph.value(value);
        let sizes = value.shape.as_ref()?.sizes()?;
        let (&[batch, channels], spatial) = sizes.split_first_chunk::<2>()?;
        let height = spatial.first().copied().unwrap_or(1);
        let width = spatial.iter().skip(1).fold(1, |n: usize, &d| n.saturating_mul(d));
        let holds = value.dtype == DataType::F32 && batch == self.batch && !sizes.contains(&0);
        holds.then(|| Map::padded(channels, height, width))
    }

    /// Input `i` of a node and its slot, if it lies in the kernels' layout.
    fn input_slot(&self, n: NodeId, i: usize) -> Option<(ValueId, Slot)> {
        let value = self.graph.nodes()[n].inputs.get(i)?;
        self.form(value)?;
        Some((value, self.slot_of[value.index()]?))
    }

    /// Input `i` of a node and its slot, brought into the kernels' layout if it can lie there.
    fn input_as_slot(&mut self, n: NodeId, i: usize) -> Option<(ValueId, Slot)> {
        let value = self.graph.nodes()[n].inputs.get(i)?;
        Some((value, self.slot(n, value)?))
    }

    /// Whether some of the first `count` inputs of a node lie in the kernels' layout and the others can be brought there.
    fn meet_in_slots(&self, n: NodeId, count: usize) -> bool {
        let inputs = &self.graph.nodes()[n].inputs;
        let values = || (0..count).map(|i| inputs.get(i));
        values().any(|v| v.is_some_and(|v| self.slot_of[v.index()].is_some()))
            && values().all(|v| v.is_some_and(|v| self.reaches_slot(v)))
    }

    /// Whether input `i` of a node is a parameter that is trained there and may lie in this layout.
    fn is_trained(&self, n: NodeId, i: usize, layout: &ParamLayout) -> bool {
        let node = &self.graph.nodes()[n];
        let Some(value) = node.inputs.get(i) else { return false };
        let f32s = self.graph.param(value).is_some_and(|t| t.dtype() == DataType::F32);
        f32s && self.graph.is_weight_at(node, i) && self.plan.weights.fits(value, layout)
    }
}
