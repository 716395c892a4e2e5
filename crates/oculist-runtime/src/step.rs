//! The instructions of a plan.

use oculist_graph::{DataType, Plane, Unary};
use oculist_kernels::int8::{IntConvPlan, Quant};
use oculist_kernels::{
    Activation, AttentionPlan, BlockLayer, BlockLayers, BlockPlan, ConvPlan, Epilogue, Pooling,
    PreparedWeights,
};

use crate::lower::Order;
use crate::rows::{Operand, PlainStep, SlotId};
use crate::tensor::{Tensor, TensorId};

/// One instruction. Most read tensors of the arena and write one; what they do with row-major tensors is part of the work.
#[derive(Debug)]
pub(crate) struct Step {
    /// The node it came from (the first one of a fused group).
    pub(crate) node: String,
    /// What it reads.
    pub(crate) inputs: Vec<TensorId>,
    /// What it writes, unless that is row-major.
    pub(crate) output: Option<TensorId>,
    /// How.
    pub(crate) work: Work,
}

/// A convolution in floats with everything that is fused into it.
#[derive(Debug)]
pub(crate) struct ConvStep {
    pub(crate) plan: ConvPlan,
    pub(crate) weights: PreparedWeights,
    /// Weights as they were before preparation, for a block; dropped when no block wants them.
    pub(crate) packed: Vec<f32>,
    pub(crate) bias: Option<Vec<f32>>,
    /// Whether the second input is added.
    pub(crate) residual: bool,
    pub(crate) activation: Activation,
}

impl ConvStep {
    fn layer(&self) -> BlockLayer<'_> {
        BlockLayer { weights: &self.packed, bias: self.bias.as_deref(), activation: self.activation }
    }

    pub(crate) fn epilogue<'a>(&'a self, residual: Option<&'a [f32]>) -> Epilogue<'a> {
        Epilogue { bias: self.bias.as_deref(), residual, activation: self.activation }
    }
}

/// Three convolutions of an inverted residual block in one.
#[derive(Debug)]
pub(crate) struct BlockStep {
    pub(crate) plan: BlockPlan,
    pub(crate) expand: Option<ConvStep>,
    pub(crate) depthwise: ConvStep,
    /// Has the residual, if there is one.
    pub(crate) project: ConvStep,
}

impl BlockStep {
    pub(crate) fn layers<'a>(&'a self, residual: Option<&'a [f32]>) -> BlockLayers<'a> {
        BlockLayers {
            expand: self.expand.as_ref().map(ConvStep::layer),
            depthwise: self.depthwise.layer(),
            project: self.project.layer(),
            residual,
        }
    }
}

/// `y = f(x * scale + shift + residual)`: batch normalisation and additions that no convolution took in.
#[derive(Debug)]
pub(crate) struct AffineStep {
    pub(crate) scale: Vec<f32>,
    pub(crate) shift: Vec<f32>,
    /// Whether the second input is added.
    pub(crate) residual: bool,
    pub(crate) activation: Activation,
}

/// Layer normalisation of rows.
#[derive(Debug)]
pub(crate) struct RowNormStep {
    pub(crate) epsilon: f32,
    /// As many as a row has f32.
    pub(crate) gamma: Vec<f32>,
    pub(crate) beta: Vec<f32>,
    /// Rows of the whole batch.
    pub(crate) rows: usize,
}

/// Attention of all heads; the inputs are those that hold queries, keys and values.
#[derive(Debug)]
pub(crate) struct AttentionStep {
    pub(crate) plan: AttentionPlan,
    /// What is added to the scores.
    pub(crate) mask: Option<Vec<f32>>,
    /// Sizes, for reports.
    pub(crate) label: String,
}

/// What a step computes.
#[derive(Debug)]
pub(crate) enum Work {
    /// Dense pixels to padded pixels.
    PadPixels,
    /// The caller's NCHW images to NHWC.
    ToNhwc,
    /// A map to `[N, C * H * W]` in the graph's order.
    Flatten,
    Conv(Box<ConvStep>),
    Block(Box<BlockStep>),
    Affine(Box<AffineStep>),
    Activation(Activation),
    /// A function of one element that has no kernel of its own.
    Function(Unary),
    /// Sum of two tensors, without activation.
    Add,
    /// Element-wise product.
    Multiply,
    /// Product with one factor per image and channel.
    Gate,
    Concat,
    /// Channels from a first one on.
    SliceChannels {
        first: usize,
    },
    /// Per pixel of the result, a pixel of the input; floats or bytes.
    PickPixels(Box<[u32]>),
    /// Per channel of the result, a channel of the input; floats or bytes.
    PickChannels(Box<[u32]>),
    /// Zero channels around the existing ones.
    PadChannels {
        before: usize,
    },
    MaxPool(Plane),
    AveragePool {
        plane: Plane,
        count_include_pad: bool,
    },
    GlobalAveragePool,
    Softmax,
    RowNorm(Box<RowNormStep>),
    Attention(Box<AttentionStep>),
    Quantize(Quant),
    Dequantize(Quant),
    IntConv(Box<IntConvStep>),
    /// Clamped to the two bytes: a fused ReLU starts at the zero point.
    IntAdd {
        quants: Pair,
        levels: [u8; 2],
    },
    IntMultiply(Pair),
    IntGate(Pair),
    /// One table per input that has another scale than the output.
    IntConcat(Vec<Option<Box<[u8; 256]>>>),
    IntPadChannels {
        before: usize,
        zero_point: u8,
    },
    IntMaxPool(Plane),
    IntAveragePool {
        plane: Plane,
        count_include_pad: bool,
        x: Quant,
        y: Quant,
    },
    IntGlobalAveragePool {
        x: Quant,
        y: Quant,
    },
    /// A function of one byte.
    Lookup(Box<[u8; 256]>),
    /// An operator on row-major tensors.
    Plain(Box<PlainStep>),
    /// A tensor of the arena as a row-major one. Bytes are moved down by 128 where they mean signed ones.
    ToRows {
        to: SlotId,
        dtype: DataType,
        shape: Vec<usize>,
        order: Order,
    },
    /// A row-major tensor of that shape into the arena.
    FromRows {
        from: Operand,
        shape: Vec<usize>,
        order: Order,
    },
}

/// Scales and zero points of two inputs and their result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) a: Quant,
    pub(crate) b: Quant,
    pub(crate) y: Quant,
}

/// An integer convolution; its residual, if it has one, is the second input.
#[derive(Debug)]
pub(crate) struct IntConvStep {
    pub(crate) plan: IntConvPlan,
    pub(crate) residual: bool,
    /// What is fused, for reports.
    pub(crate) fused: String,
}

impl Work {
    /// The kind of step, for reports.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::PadPixels => "pad pixels",
            Self::ToNhwc => "to NHWC",
            Self::Flatten => "flatten",
            Self::Conv(_) => "conv",
            Self::Block(_) => "inverted residual block",
            Self::Affine(_) => "scale and shift",
            Self::Activation(_) => "activation",
            Self::Function(_) => "function",
            Self::Add => "add",
            Self::Multiply => "multiply",
            Self::Gate => "gate",
            Self::Concat => "concat",
            Self::SliceChannels { .. } => "slice channels",
            Self::PickPixels(_) => "pick pixels",
            Self::PickChannels(_) => "pick channels",
            Self::PadChannels { .. } => "pad channels",
            Self::MaxPool(_) => "max pool",
            Self::AveragePool { .. } => "average pool",
            Self::GlobalAveragePool => "global average pool",
            Self::Softmax => "softmax",
            Self::RowNorm(_) => "layer norm",
            Self::Attention(_) => "attention",
            Self::Quantize(_) => "quantize",
            Self::Dequantize(_) => "dequantize",
            Self::IntConv(_) => "int8 conv",
            Self::IntAdd { .. } => "int8 add",
            Self::IntMultiply(_) => "int8 multiply",
            Self::IntGate(_) => "int8 gate",
            Self::IntConcat(_) => "int8 concat",
            Self::IntPadChannels { .. } => "int8 pad channels",
            Self::IntMaxPool(_) => "int8 max pool",
            Self::IntAveragePool { .. } => "int8 average pool",
            Self::IntGlobalAveragePool { .. } => "int8 global average pool",
            Self::Lookup(_) => "int8 table",
            Self::Plain(_) => "plain",
            Self::ToRows { .. } => "to rows",
            Self::FromRows { .. } => "from rows",
        }
    }

    /// Algorithm and fused parts, for reports.
    pub(crate) fn detail(&self) -> String {
        let fused = |residual: bool, activation: Activation| {
            let residual = if residual { " + residual" } else { "" };
            match activation {
                Activation::Identity => residual.to_owned(),
                _ => format!("{residual} + {activation:?}"),
            }
        };
        match self {
            Self::Conv(conv) => {
                let bias = if conv.bias.is_some() { " + bias" } else { "" };
                let algorithm = conv.plan.algorithms().forward.name();
                format!(
                    "{} [{algorithm}]{bias}{}",
                    conv.plan.conv().label(),
                    fused(conv.residual, conv.activation)
                )
            }
            Self::Block(block) => {
                format!(
                    "{}{}",
                    block.plan.describe(),
                    fused(block.project.residual, block.project.activation)
                )
            }
            Self::Affine(affine) => fused(affine.residual, affine.activation),
            Self::Activation(activation) => format!("{activation:?}"),
            Self::Function(function) => format!("{function:?}"),
            Self::IntConv(conv) => {
                format!("{} [{}]{}", conv.plan.conv().label(), conv.plan.algorithm(), conv.fused)
            }
            Self::Plain(plain) => plain.op.name().to_owned(),
            Self::Attention(attention) => attention.label.clone(),
            _ => String::new(),
        }
    }

    /// Whether the output may take the place of the first input.
    pub(crate) fn in_place(&self) -> bool {
        matches!(self, Self::Add)
    }

    /// Bytes of weights as the algorithms read them.
    pub(crate) fn weight_bytes(&self) -> usize {
        match self {
            Self::Conv(conv) => conv.weights.bytes(),
            Self::Block(block) => {
                let expand = block.expand.as_ref().map_or(0, |e| e.weights.bytes());
                expand + block.depthwise.weights.bytes() + block.project.weights.bytes()
            }
            Self::IntConv(conv) => conv.plan.weight_bytes(),
            Self::RowNorm(norm) => 4 * (norm.gamma.len() + norm.beta.len()),
            Self::Attention(attention) => 4 * attention.mask.as_ref().map_or(0, Vec::len),
            _ => 0,
        }
    }

    /// The slots that it reads.
    pub(crate) fn slots_read(&self) -> Vec<SlotId> {
        match self {
            Self::Plain(plain) => plain.inputs.iter().flatten().filter_map(Operand::slot).collect(),
            Self::FromRows { from, .. } => from.slot().into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// The slots that it fills.
    pub(crate) fn slots_written(&self) -> &[SlotId] {
        match self {
            Self::Plain(plain) => &plain.outputs,
            Self::ToRows { to, .. } => std::slice::from_ref(to),
            _ => &[],
        }
    }

    /// f32 of scratch for a run on `threads` threads.
    pub(crate) fn scratch_len(&self, threads: usize) -> usize {
        match self {
            Self::IntConv(conv) => conv.plan.scratch_len(threads),
            Self::Conv(conv) => conv.plan.forward_scratch_len(),
            Self::Block(block) => block.plan.scratch_len(),
            // Mean and deviation of every row.
            Self::RowNorm(norm) => norm.rows.saturating_mul(2),
            Self::Attention(attention) => attention.plan.scratch_len(),
            _ => 0,
        }
    }
}

/// A pooling window over a tensor.
pub(crate) fn pooling(plane: &Plane, batch: usize, x: &Tensor) -> Pooling {
    Pooling {
        batch,
        height: x.size[0],
        width: x.size[1],
        channels: x.channels,
        kernel: plane.kernel,
        stride: plane.stride,
        padding: plane.padding,
    }
}
