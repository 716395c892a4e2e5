//! The kernels, in the files of the operators' rooms.

mod attention;
mod conv;
mod deform_conv;
mod depth;
mod einsum;
mod expand;
mod fused;
mod gated;
mod gather;
mod layer_norm;
mod layout;
mod linear;
mod linear_attention;
mod matmul;
mod norm;
mod pad;
mod pool;
mod quantize;
mod reshape;
mod response;
mod rotary;
mod scatter;
mod slice;
mod transpose;

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
        // Each family adds its lines here.
        _ => todo!("kernels of {}", op.name()),
    }
}
