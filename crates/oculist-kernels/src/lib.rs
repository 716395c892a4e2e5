//! CPU kernels for convolutional networks: slices in, slices out.
//!
//! Every kernel takes a [`Context`], which holds the threads and the instruction set; nothing is global. The memory
//! layout is described in [`channel_stride`] and [`Conv2d`]. Slices of the wrong length panic; geometries that
//! make no sense are errors when a plan is made.
#![allow(unsafe_code, reason = "SIMD and the thread pool; every block states why it is sound")]

mod activation;
mod buffer;
mod context;
mod conv;
mod copy;
mod elementwise;
mod error;
pub mod int8;
mod isa;
mod layout;
pub mod measure;
mod norm;
mod pool;
mod pooling;
mod simd;
mod softmax;

pub use activation::{Activation, activation_backward, activation_forward};
pub use buffer::Buffer;
pub use context::Context;
pub use conv::{
    Algorithm, Algorithms, BlockLayer, BlockLayers, BlockPlan, Conv2d, ConvPlan, Epilogue, InvertedResidual,
    Pass, PreparedWeights, TransposedConv2d, TransposedConvPlan, pack_weights, unpack_weights,
};
pub use copy::{
    ChannelCopy, copy_channels, fill_zero, nchw_to_nhwc, nhwc_to_nchw, pad_channels, unpad_channels,
};
pub use elementwise::{add, add_assign, add_scaled, channel_scale, channel_scale_backward, scale};
pub use error::KernelError;
pub use isa::Isa;
pub use layout::{LANES, Rows, channel_stride};
pub use norm::{
    BatchNormBackward, BatchNormGradients, GroupNorm, GroupNormBackward, LayerNormBackward,
    batch_norm_backward, batch_statistics, column_sums, fold_scale_shift, group_norm, group_norm_backward,
    layer_norm, layer_norm_backward, scale_shift,
};
pub use pool::Pool;
pub use pooling::{
    AdaptivePooling, Pooling, adaptive_average_pool, adaptive_average_pool_backward, average_pool,
    average_pool_backward, max_pool, max_pool_backward,
};
pub use softmax::{Targets, log_softmax, softmax, softmax_cross_entropy};
