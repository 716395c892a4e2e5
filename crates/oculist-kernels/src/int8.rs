//! Integer kernels: u8 activations by i8 weights, accumulated exactly in i32.
//!
//! A u8 tensor stands for real numbers, `x = (q - zero_point) * scale` with one [`Quant`] per tensor; weights are
//! symmetric with one scale per output channel. Activations lie in NHWC order like the f32 ones, channels padded to
//! 16 (images with up to 4 channels: to 4). Padded lanes may hold anything: the weights there are 0.
//!
//! Results are the same on every instruction set: sums are exact, and the few float operations of requantisation
//! are done in one order and never contracted. Requantisation rounds to nearest, ties to even, as ONNX Runtime's
//! quantised operators do.
//!
//! # Source
//! Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
//! Inference", with ONNX Runtime's float multipliers instead of fixed-point ones.

mod conv;
mod copy;
mod elementwise;
mod pool;
mod simd;

pub use conv::{
    IntAlgorithm, IntBias, IntConv, IntConvPlan, IntFinish, IntResidual, IntTarget, IntThen,
    int_channel_stride,
};
pub use copy::{IntChannelCopy, int_copy_channels};
pub use elementwise::{
    int_add, int_dequantize, int_gate, int_lookup, int_multiply, int_quantize, lookup_table,
};
pub use pool::{int_average_pool, int_global_average_pool, int_max_pool};
pub use simd::IntPath;

/// Scale and zero point of a u8 tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quant {
    /// Width of a step, positive.
    pub scale: f32,
    /// The byte that means 0.
    pub zero_point: u8,
}

impl Quant {
    /// `saturate(round_half_even(x / scale) + zero_point)`.
    pub fn quantize(self, x: f32) -> u8 {
        ((x / self.scale).round_ties_even() + f32::from(self.zero_point)).clamp(0.0, 255.0) as u8
    }

    /// `(q - zero_point) * scale`.
    pub fn dequantize(self, q: u8) -> f32 {
        (f32::from(q) - f32::from(self.zero_point)) * self.scale
    }
}

#[cfg(test)]
mod tests;
