//! Which nodes the fast kernels compute, and how. A file for each kind of operator.

mod binary;
mod gather;
mod layer;
mod layout;
mod norm;
mod pool;
mod quantize;
mod reduce;
mod resize;
mod rows;
mod slice;
mod softmax;
mod unary;

use oculist_graph::op::ReduceKind;
use oculist_graph::{Binary, GlobalPool, Node, NodeId, Op, Plane, SoftmaxKind, Unary, Variadic};
use oculist_kernels::Activation;
use oculist_kernels::int8::Quant;

use super::tail::ScaleShift;
use super::{Lowering, Order};
use crate::error::RuntimeError;
use crate::step::Work;
use crate::tensor::{Tensor, TensorId};

/// How the fast kernels compute a node whose values have one of their shapes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fast {
    /// A convolution over height and width with a constant weight.
    Conv { plane: Plane, groups: usize },
    /// A fully connected layer with a constant weight.
    Gemm,
    /// Batch normalisation with constant parameters.
    Norm { epsilon: f32 },
    /// A function of one element.
    Activation(Activation),
    /// Another function of one element.
    Function(Unary),
    /// A sum, difference, product or quotient of input `data` and one constant, or one for each channel.
    Affine { op: Binary, data: usize },
    /// A sum of two values of one shape.
    Add,
    /// A product of two values of one shape.
    Multiply,
    /// A product of a map (input `map`) and one factor for each image and channel.
    Gate { map: usize },
    /// A product of every row and a constant matrix.
    Linear,
    /// Layer normalisation of every row.
    RowNorm { epsilon: f32 },
    /// The elements as they lie in memory, under other axes.
    Moved(Order),
    /// One row of each image.
    Row { index: usize },
    /// Softmax over the channels.
    Softmax,
    /// The maximum over a window.
    MaxPool(Plane),
    /// The mean over a window.
    AveragePool { plane: Plane, count_include_pad: bool },
    /// The mean over height and width.
    GlobalAveragePool,
    /// Channels behind channels.
    Concat,
    /// Channels from a first one on.
    Slice { first: usize },
    /// Channels shared out among several outputs.
    Split,
    /// Every pixel of the result is one of the input.
    Resize,
    /// Every channel of the result is one of the input.
    PickChannels,
    /// Zero channels around the existing ones.
    PadChannels { before: usize, after: usize },
    /// The value itself.
    Same,
    /// The elements of a map in their order, as `[N, C]` or `[N, C, 1, 1]`.
    Flat,
    /// To bytes.
    Quantize(Quant),
    /// From bytes.
    Dequantize(Quant),
}

impl Fast {
    /// The input whose order the result has, for what works on every element or row alike.
    pub(super) fn follows(self) -> Option<usize> {
        match self {
            Self::Activation(_)
            | Self::Function(_)
            | Self::Add
            | Self::Multiply
            | Self::Softmax
            | Self::Concat
            | Self::Slice { .. }
            | Self::Split
            | Self::Same => Some(0),
            Self::Affine { data, .. } => Some(data),
            Self::Conv { .. }
            | Self::Gemm
            | Self::Linear
            | Self::Norm { .. }
            | Self::RowNorm { .. }
            | Self::Moved(_)
            | Self::Row { .. }
            | Self::PickChannels
            | Self::Gate { .. }
            | Self::MaxPool(_)
            | Self::AveragePool { .. }
            | Self::GlobalAveragePool
            | Self::Resize
            | Self::PadChannels { .. }
            | Self::Flat
            | Self::Quantize(_)
            | Self::Dequantize(_) => None,
        }
    }

    /// Whether the node takes less time than bringing its inputs into the kernels' layout is worth.
    pub(super) fn is_light(self) -> bool {
        match self {
            Self::Conv { .. }
            | Self::Gemm
            | Self::Linear
            | Self::MaxPool(_)
            | Self::AveragePool { .. }
            | Self::GlobalAveragePool => false,
            Self::Norm { .. }
            | Self::RowNorm { .. }
            | Self::Moved(_)
            | Self::Row { .. }
            | Self::Activation(_)
            | Self::Function(_)
            | Self::Affine { .. }
            | Self::Add
            | Self::Multiply
            | Self::Gate { .. }
            | Self::Softmax
            | Self::Concat
            | Self::Slice { .. }
            | Self::Split
            | Self::Resize
            | Self::PickChannels
            | Self::PadChannels { .. }
            | Self::Same
            | Self::Flat
            | Self::Quantize(_)
            | Self::Dequantize(_) => true,
        }
    }
}

/// What finds the fast form of a node, or that this one has none.
type Rule<'o> = Box<dyn Fn(&Lowering<'_>, &Node) -> Result<Option<Fast>, RuntimeError> + 'o>;

fn by<'o>(
    form: impl Fn(&Lowering<'_>, &Node) -> Result<Option<Fast>, RuntimeError> + 'o,
) -> Option<Rule<'o>> {
    Some(Box::new(form))
}

/// The rule of an operator; `None` if all its steps are plain, whatever the values.
#[expect(clippy::match_same_arms, reason = "a line for each file of the graph's rooms")]
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method itself is of one lifetime, a rule of any"
)]
fn rule(op: &Op) -> Option<Rule<'_>> {
    match op {
        Op::Conv(conv) => by(|l, node| Ok(l.fast_conv(node, conv))),
        Op::Gemm(gemm) => by(|l, node| Ok(l.fast_gemm(node, gemm))),
        Op::BatchNormalization(norm) if !norm.training => by(|l, node| Ok(l.fast_norm(node, norm))),
        Op::Unary(unary) if unary.is_of_floats() => by(|l, node| Ok(l.fast_unary(node, *unary))),
        Op::Binary(binary @ (Binary::Add | Binary::Sub | Binary::Mul | Binary::Div)) => {
            by(|l, node| Ok(l.fast_affine(node, *binary).or_else(|| l.fast_binary(node, *binary))))
        }
        Op::Softmax(softmax) if softmax.kind == SoftmaxKind::Softmax => {
            by(|l, node| Ok(l.fast_softmax(node, softmax)))
        }
        Op::MaxPool(pool) => by(|l, node| Ok(l.fast_max_pool(node, pool))),
        Op::AveragePool(pool) => by(|l, node| Ok(l.fast_average_pool(node, pool))),
        Op::GlobalPool(GlobalPool::Average) => by(|l, node| Ok(l.fast_global_pool(node))),
        Op::Concat(concat) => by(|l, node| Ok(l.fast_concat(node, *concat))),
        Op::Flatten(_) | Op::Reshape(_) | Op::Squeeze(_) | Op::Unsqueeze(_) => {
            by(|l, node| Ok(l.fast_flat(node)))
        }
        Op::Transpose(transpose) => by(|l, node| Ok(l.fast_transpose(node, transpose))),
        Op::Gather(gather) => by(|l, node| l.fast_gather(node, *gather)),
        Op::LayerNormalization(norm) => by(|l, node| Ok(l.fast_layer_norm(node, *norm))),
        // Looked for with all that belongs to it: `Lowering::find_heads`.
        Op::Attention(_) => by(|_, _| Ok(None)),
        Op::Identity(_) => by(|_, _| Ok(Some(Fast::Same))),
        // Without `training_mode`, nothing is dropped.
        Op::Dropout(_) => by(|_, node| Ok(node.inputs.get(2).is_none().then_some(Fast::Same))),
        Op::Pad(_) => by(|l, node| Ok(l.fast_pad(node))),
        Op::QuantizeLinear(_) => by(|l, node| Ok(l.quant_of(node, node.output())?.map(Fast::Quantize))),
        Op::DequantizeLinear(_) => by(|l, node| Ok(l.quant_of(node, node.inputs[0])?.map(Fast::Dequantize))),
        Op::MatMul(_) => by(|l, node| Ok(l.fast_product(node))),
        Op::Clip(_) => by(|l, node| l.fast_clip(node)),
        Op::Variadic(Variadic::Sum) => by(|l, node| Ok(l.fast_sum(node))),
        Op::Reduce(reduce) if reduce.kind == ReduceKind::Mean => by(|l, node| l.fast_reduce(node, *reduce)),
        Op::Slice(_) => by(|l, node| l.fast_slice(node)),
        Op::Split(split) => by(|l, node| Ok(l.fast_split(node, *split))),
        Op::Resize(resize) => by(|l, node| l.fast_resize(node, resize)),
        // Plain steps: one line for each file of the graph's rooms.
        Op::ConvTranspose(_) | Op::DeformConv(_) | Op::FusedMatMul(_) | Op::Einsum(_) => None,
        Op::FlexAttention(_) | Op::LinearAttention(_) | Op::CausalConvWithState(_) => None,
        Op::RotaryEmbedding(_) | Op::SwiGlu(_) | Op::BiasGelu(_) => None,
        Op::FusedConv(_) | Op::FusedGemm(_) | Op::SkipLayerNormalization(_) => None,
        Op::BatchNormalization(_) | Op::InstanceNormalization(_) | Op::GroupNormalization(_) => None,
        Op::RmsNormalization(_) => None,
        Op::LpNormalization(_) | Op::Lrn(_) | Op::MeanVarianceNormalization(_) => None,
        Op::GlobalPool(_) | Op::LpPool(_) => None,
        Op::Unary(_) | Op::Binary(_) | Op::Softmax(_) | Op::Variadic(_) => None,
        Op::Where(_) | Op::Compress(_) | Op::NonZero(_) => None,
        Op::Cast(_) | Op::CastLike(_) | Op::BitCast(_) => None,
        Op::Reduce(_) | Op::ArgReduce(_) | Op::TopK(_) | Op::Unique(_) | Op::Cumulative(_) => None,
        Op::ShapeOf(_) | Op::SizeOf(_) | Op::Constant(_) | Op::ConstantOfShape(_) | Op::Range(_) => None,
        Op::Loss(_) => None,
        Op::OneHot(_) | Op::EyeLike(_) | Op::Trilu(_) | Op::ReverseSequence(_) | Op::Det(_) => None,
        Op::Expand(_) | Op::Tile(_) => None,
        Op::GatherElements(_) | Op::GatherND(_) | Op::ArrayFeatureExtractor(_) => None,
        Op::ScatterElements(_) | Op::ScatterND(_) | Op::TensorScatter(_) => None,
        Op::DepthToSpace(_) | Op::SpaceToDepth(_) => None,
        Op::GridSample(_) | Op::AffineGrid(_) | Op::CenterCropPad(_) => None,
        Op::TreeEnsembleClassifier(_) => None,
        Op::MaxUnpool(_) | Op::Col2Im(_) | Op::RoiAlign(_) | Op::NonMaxSuppression(_) | Op::Binarizer(_) => {
            None
        }
        Op::ConvInteger(_) | Op::QLinearConv(_) | Op::IntegerMatMul(_) => None,
        Op::DynamicQuantizeLinear(_) | Op::QLinear(_) => None,
        Op::SignalWindow(_) | Op::MelWeightMatrix(_) | Op::Dft(_) | Op::Stft(_) => None,
    }
}

/// Whether some nodes of an operator are computed by a fast kernel: those whose values, constants and shapes allow it. The
/// others run on row-major tensors.
pub fn has_fast_step(op: &Op) -> bool {
    rule(op).is_some()
}

impl Lowering<'_> {
    /// How the fast kernels compute a node; `None` if they do not.
    pub(super) fn fast_form(&self, id: NodeId) -> Result<Option<Fast>, RuntimeError> {
        let node = self.node(id);
        let several = node.outputs.len() != 1 && !matches!(node.op, Op::Split(_));
        if several || node.inputs.is_empty() || self.is_constant(node.output()) {
            return Ok(None);
        }
        rule(&node.op).map_or(Ok(None), |form| form(self, node))
    }

    /// A fast step in floats; says whether there is one.
    pub(super) fn lower_fast(&mut self, id: NodeId, fast: Fast) -> Result<bool, RuntimeError> {
        let node = self.node(id);
        match fast {
            Fast::Same => return self.alias(node.inputs[0], node.output()).map(|()| true),
            Fast::Flat => return self.lower_flat(id),
            Fast::Quantize(_) | Fast::Dequantize(_) => return Ok(false),
            _ => {}
        }
        if self.form(node.output()).is_none() {
            // Bytes that are not in the kernels' layout are moved as rows.
            return Ok(false);
        }
        match fast {
            Fast::Conv { plane, groups } => self.lower_conv(id, plane, groups)?,
            Fast::Gemm => self.lower_gemm(id, false)?,
            Fast::Linear => self.lower_gemm(id, true)?,
            Fast::RowNorm { epsilon } => self.lower_layer_norm(id, epsilon)?,
            Fast::Moved(_) => self.lower_moved(id)?,
            Fast::Row { index } => {
                let x = self.f32(node.inputs[0], &node.name)?;
                let out = Tensor::f32(self.tensors[x].channels, [1, 1]);
                self.simple(id, Work::PickPixels(Box::new([index as u32])), vec![x], out)?;
            }
            Fast::Norm { epsilon } => self.lower_norm(id, epsilon)?,
            Fast::Activation(activation) => {
                let x = self.f32(node.inputs[0], &node.name)?;
                self.simple(id, Work::Activation(activation), vec![x], self.tensors[x])?;
            }
            Fast::Function(function) => {
                let x = self.f32(node.inputs[0], &node.name)?;
                self.simple(id, Work::Function(function), vec![x], self.tensors[x])?;
            }
            Fast::Affine { op, data } => {
                let ScaleShift { scale, shift } = self.constant_scale_shift(id, op, data)?;
                let x = self.flat_f32(node.inputs[data], &node.name)?;
                self.affine(id, x, None, scale, shift)?;
            }
            Fast::Add => self.lower_add(id)?,
            Fast::Multiply => {
                let (a, b) = self.same_layout(id)?;
                self.simple(id, Work::Multiply, vec![a, b], self.tensors[a])?;
            }
            Fast::Gate { map } => {
                let x = self.f32(node.inputs[map], &node.name)?;
                let gate = self.f32(node.inputs[1 - map], &node.name)?;
                self.simple(id, Work::Gate, vec![x, gate], self.tensors[x])?;
            }
            Fast::Softmax => {
                let x = self.flat_f32(node.inputs[0], &node.name)?;
                self.simple(id, Work::Softmax, vec![x], self.tensors[x])?;
            }
            Fast::MaxPool(plane) => self.lower_pool(id, &plane, Work::MaxPool(plane))?,
            Fast::AveragePool { plane, count_include_pad } => {
                self.lower_pool(id, &plane, Work::AveragePool { plane, count_include_pad })?;
            }
            Fast::GlobalAveragePool => {
                let x = self.f32(node.inputs[0], &node.name)?;
                let channels = self.tensors[x].channels;
                self.simple(id, Work::GlobalAveragePool, vec![x], Tensor::f32(channels, [1, 1]))?;
            }
            Fast::Concat => self.lower_concat(id)?,
            Fast::Slice { first } => {
                let x = self.flat_f32(node.inputs[0], &node.name)?;
                self.lower_part(id, node.output(), x, first)?;
            }
            Fast::Split => {
                let x = self.flat_f32(node.inputs[0], &node.name)?;
                let mut first = 0;
                for &output in &node.outputs {
                    self.lower_part(id, output, x, first)?;
                    first += self.form(output).map_or(0, |(channels, _)| channels);
                }
            }
            Fast::Resize => {
                let x = self.f32(node.inputs[0], &node.name)?;
                let pixels = self.nearest_pixels(id)?;
                let Tensor { channels, .. } = self.tensors[x];
                let size = self.map(node.output()).map_or([1, 1], |(_, size)| size);
                self.simple(id, Work::PickPixels(pixels), vec![x], Tensor::f32(channels, size))?;
            }
            Fast::PickChannels => {
                let x = self.flat_f32(node.inputs[0], &node.name)?;
                let picked = self.picked_channels(node)?.unwrap_or_default();
                let out = Tensor::f32(picked.len(), self.tensors[x].size);
                self.simple(id, Work::PickChannels(picked), vec![x], out)?;
            }
            Fast::PadChannels { before, after } => {
                let x = self.f32(node.inputs[0], &node.name)?;
                let Tensor { channels, size, .. } = self.tensors[x];
                let out = Tensor::f32(before + channels + after, size);
                self.simple(id, Work::PadChannels { before }, vec![x], out)?;
            }
            Fast::Same | Fast::Flat | Fast::Quantize(_) | Fast::Dequantize(_) => {}
        }
        Ok(true)
    }

    /// A step that makes the node's output and nothing else.
    fn simple(
        &mut self,
        id: NodeId,
        work: Work,
        inputs: Vec<TensorId>,
        out: Tensor,
    ) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let y = self.step(&node.name, work, inputs, out);
        self.set_f32(node.output(), y)
    }
}
