//! CPU kernels for convolutional networks: slices in, slices out.
//!
//! Every kernel takes a [`Context`], which holds the threads and the instruction set; nothing is global. The memory
//! layout is described in [`channel_stride`] and [`Conv2d`]. Slices of the wrong length panic; geometries that
//! make no sense are errors when a plan is made, those with more than [`MAX_ELEMENTS`] of anything among them. The length of a
//! slice is compared with a product that does not wrap, so that no geometry, checked or not, makes a kernel leave its slices.
//!
//! Transformers have dense rows instead: [`MatmulPlan`], [`AttentionPlan`], [`norm_rows`], [`softmax_rows`] and [`apply`]
//! take matrices of any width with a stride from row to row, and nothing has to be padded.
//!
//! # Threads
//!
//! Results do not depend on the number of threads, bit for bit, gradients of weights included: wherever a sum is cut
//! into parts, the parts follow from the shape alone and are added in order, and [`ConvPlan::new`] picks algorithms
//! without looking at the threads ([`ConvPlan::measured`] goes by the clock and may pick others in the next run).
//! `tests/kernels/threads.rs` compares one, two and three threads, every algorithm of a convolution on its own; the
//! integer kernels are exact, so that nothing can depend on an order. Results do differ between instruction sets and
//! between algorithms, by rounding.
//!
//! # Checking unsafe code
//!
//! `cargo xtask sanitize` runs this crate's tests under AddressSanitizer, after a program with a known fault has shown
//! that it works, with the debug assertions of this crate and of the standard library's unsafe functions. It needs a
//! nightly toolchain. Tests give every kernel slices of exactly the lengths that it asks for, so reading or writing
//! behind one is seen; what happens inside of one slice, such as one worker's part of the scratch, is not. There
//! the tests rely on scratch full of NaN, on results compared with f64, and on the same bits for any number of threads.
//!
//! Where Miri is installed the task also runs the tests with `portable` in their names under Miri, which checks
//! aliasing, alignment, uninitialised memory and data races. Between them they call every kernel with unsafe code at
//! a small size. Under Miri [`Isa::available`] holds the portable path alone, since Miri does not interpret the
//! intrinsics of the other paths; those are what AddressSanitizer is for.
#![allow(unsafe_code, reason = "SIMD and the thread pool; every block states why it is sound")]

mod activation;
mod attention;
mod buffer;
mod context;
mod conv;
mod copy;
mod elementwise;
mod error;
mod flatten;
mod function;
pub mod image;
pub mod int8;
mod isa;
mod layout;
mod matmul;
pub mod measure;
mod memory;
mod norm;
mod pool;
mod pooling;
mod rows;
mod simd;
mod softmax;

pub use activation::{Activation, activation_backward, activation_forward};
pub use attention::{Attention, AttentionPlan, AttentionStart};
pub use buffer::{Buffer, try_zeros};
pub use context::Context;
pub use conv::{
    Algorithm, Algorithms, BlockLayer, BlockLayers, BlockPlan, Conv2d, ConvPlan, Epilogue, InvertedResidual,
    Pass, PreparedWeights, TransposedConv2d, TransposedConvPlan, pack_weights, unpack_weights,
};
pub use copy::{
    ChannelCopy, copy_channels, fill_zero, nchw_to_nhwc, nhwc_to_nchw, pad_channels, pick_channels,
    pick_channels_backward, unpad_channels,
};
pub use elementwise::{add, add_assign, add_scaled, channel_scale, channel_scale_backward, scale};
pub use error::KernelError;
pub use flatten::{flatten, flatten_backward};
pub use function::{Function, apply, apply_to};
pub use isa::Isa;
pub use layout::{LANES, MAX_ELEMENTS, Rows, channel_stride};
pub use matmul::{Added, Matmul, MatmulEpilogue, MatmulPlan, MatmulStart, PackedMatrix, Right};
pub use memory::machine_memory;
pub use norm::{
    BatchNormBackward, BatchNormGradients, GroupNorm, GroupNormBackward, LayerNormBackward,
    batch_norm_backward, batch_statistics, column_sums, fixed_norm_backward, fold_scale_shift, group_norm,
    group_norm_backward, layer_norm, layer_norm_backward, scale_shift,
};
pub use pool::Pool;
pub use pooling::{
    AdaptivePooling, Pooling, adaptive_average_pool, adaptive_average_pool_backward, average_pool,
    average_pool_backward, max_pool, max_pool_backward,
};
pub use rows::{RowNorm, norm_rows, softmax_rows};
pub use softmax::{Targets, log_softmax, softmax, softmax_cross_entropy};
