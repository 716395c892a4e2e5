//! The kernels, in the files of the operators' rooms.

mod attention;
mod conv;
mod deform_conv;
mod einsum;
mod gated;
mod layer_norm;
mod layout;
mod linear;
mod linear_attention;
mod matmul;
mod norm;
mod pool;
mod response;
mod rotary;

use oculist_graph::Op;

use crate::call::Forward;

/// The kernel of an operator.
pub(crate) fn kernel(op: &Op) -> &dyn Forward {
    match op {
        // layout.rs
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
        Op::LpNormalization(op) => op,
        Op::Lrn(op) => op,
        Op::MeanVarianceNormalization(op) => op,
        // pool.rs
        Op::MaxPool(op) => op,
        Op::AveragePool(op) => op,
        Op::GlobalPool(op) => op,
        Op::LpPool(op) => op,
        // Each family adds its lines here.
        _ => todo!("kernels of {}", op.name()),
    }
}
