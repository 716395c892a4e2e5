//! The kernels, in the files of the operators' rooms.

pub(crate) mod attention;
mod binarizer;
mod binary;
mod cast;
mod choose;
mod clip;
pub(crate) mod conv;
mod crop;
mod cumulative;
pub(crate) mod deform_conv;
mod depth;
mod einsum;
mod expand;
mod fused;
mod gated;
pub(crate) mod gather;
mod generate;
pub(crate) mod grid;
mod integer;
mod layer_norm;
mod layout;
mod linear;
mod linear_attention;
mod loss;
pub(crate) mod matmul;
mod norm;
mod order;
mod pad;
pub(crate) mod pattern;
mod pool;
mod qlinear;
mod quantize;
mod reduce;
pub(crate) mod regions;
mod reshape;
mod resize;
pub(crate) mod response;
pub(crate) mod rotary;
mod scatter;
mod shape_of;
pub(crate) mod signal;
mod slice;
mod softmax;
mod transpose;
mod tree_ensemble;
pub(crate) mod unary;
mod unpool;
mod variadic;

use oculist_graph::Op;

use crate::call::Forward;

/// The kernel of an operator.
pub(crate) fn kernel(op: &Op) -> &dyn Forward {
    match op {
        // layout.rs, pad.rs, quantize.rs
        Op::Concat(op) => op,
        Op::Identity(op) => op,
        Op::Flatten(op) => op,
        // conv.rs, deform_conv.rs, linear.rs, matmul.rs, einsum.rs
        Op::Conv(op) => op,
        Op::ConvTranspose(op) => op,
        Op::DeformConv(op) => op,
        Op::Gemm(op) => op,
        Op::MatMul(op) => op,
        Op::FusedMatMul(op) => op,
        Op::Einsum(op) => op,
        // fused.rs
        Op::FusedConv(op) => op,
        Op::FusedGemm(op) => op,
        // attention.rs, rotary.rs, linear_attention.rs, gated.rs
        Op::Attention(op) => op,
        Op::FlexAttention(op) => op,
        Op::RotaryEmbedding(op) => op,
        Op::LinearAttention(op) => op,
        Op::CausalConvWithState(op) => op,
        Op::SwiGlu(op) => op,
        Op::BiasGelu(op) => op,
        // norm.rs, layer_norm.rs, response.rs
        Op::BatchNormalization(op) => op,
        Op::InstanceNormalization(op) => op,
        Op::GroupNormalization(op) => op,
        Op::LayerNormalization(op) => op,
        Op::RmsNormalization(op) => op,
        Op::SkipLayerNormalization(op) => op,
        Op::LpNormalization(op) => op,
        Op::Lrn(op) => op,
        Op::MeanVarianceNormalization(op) => op,
        // pool.rs
        Op::MaxPool(op) => op,
        Op::AveragePool(op) => op,
        Op::GlobalPool(op) => op,
        Op::LpPool(op) => op,
        Op::Dropout(op) => op,
        Op::Pad(op) => op,
        Op::QuantizeLinear(op) => op,
        Op::DequantizeLinear(op) => op,
        // unary.rs, binary.rs, softmax.rs
        Op::Unary(op) => op,
        Op::Binary(op) => op,
        Op::Softmax(op) => op,
        Op::Loss(op) => op,
        // clip.rs, variadic.rs, choose.rs, cast.rs
        Op::Clip(op) => op,
        Op::Variadic(op) => op,
        Op::Where(op) => op,
        Op::Compress(op) => op,
        Op::NonZero(op) => op,
        Op::Cast(op) => op,
        Op::CastLike(op) => op,
        Op::BitCast(op) => op,
        // reduce.rs, order.rs, cumulative.rs
        Op::Reduce(op) => op,
        Op::ArgReduce(op) => op,
        Op::TopK(op) => op,
        Op::Unique(op) => op,
        Op::Cumulative(op) => op,
        // shape_of.rs, generate.rs, pattern.rs, signal.rs
        Op::ShapeOf(op) => op,
        Op::SizeOf(op) => op,
        Op::Constant(op) => op,
        Op::ConstantOfShape(op) => op,
        Op::Range(op) => op,
        Op::OneHot(op) => op,
        Op::EyeLike(op) => op,
        Op::Trilu(op) => op,
        Op::ReverseSequence(op) => op,
        Op::Det(op) => op,
        Op::SignalWindow(op) => op,
        Op::MelWeightMatrix(op) => op,
        Op::Dft(op) => op,
        Op::Stft(op) => op,
        // reshape.rs
        Op::Reshape(op) => op,
        Op::Squeeze(op) => op,
        Op::Unsqueeze(op) => op,
        // transpose.rs
        Op::Transpose(op) => op,
        // slice.rs
        Op::Slice(op) => op,
        Op::Split(op) => op,
        // gather.rs
        Op::Gather(op) => op,
        Op::GatherElements(op) => op,
        Op::GatherND(op) => op,
        Op::ArrayFeatureExtractor(op) => op,
        // scatter.rs
        Op::ScatterElements(op) => op,
        Op::ScatterND(op) => op,
        Op::TensorScatter(op) => op,
        // expand.rs
        Op::Expand(op) => op,
        Op::Tile(op) => op,
        // depth.rs
        Op::DepthToSpace(op) => op,
        Op::SpaceToDepth(op) => op,
        // resize.rs
        Op::Resize(op) => op,
        // grid.rs
        Op::GridSample(op) => op,
        Op::AffineGrid(op) => op,
        // crop.rs
        Op::CenterCropPad(op) => op,
        // unpool.rs
        Op::MaxUnpool(op) => op,
        Op::Col2Im(op) => op,
        // regions.rs
        Op::RoiAlign(op) => op,
        Op::NonMaxSuppression(op) => op,
        // binarizer.rs
        Op::Binarizer(op) => op,
        Op::TreeEnsembleClassifier(op) => op,
        // integer.rs
        Op::ConvInteger(op) => op,
        Op::QLinearConv(op) => op,
        Op::IntegerMatMul(op) => op,
        Op::DynamicQuantizeLinear(op) => op,
        // qlinear.rs
        Op::QLinear(op) => op,
    }
}
