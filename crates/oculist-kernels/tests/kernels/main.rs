//! The f32 kernels against naive f64 loops, on every instruction set of the machine.
//!
//! Set `OCULIST_REQUIRE_ISA=avx512` (or `avx2`) to make the absence of an instruction set a failure.

mod block;
mod conv;
mod elementwise;
mod gradients;
mod matmul;
mod norm;
mod pooling;
mod portable;
mod pytorch;
mod set_norm;
mod sizes;
mod softmax;
mod threads;
mod transformer;
mod transposed;

use oculist_kernels::{Context, Isa, channel_stride, nchw_to_nhwc, nhwc_to_nchw};

/// A context for each instruction set, with two threads.
pub(crate) fn contexts() -> Vec<Context> {
    Isa::available().into_iter().map(|isa| Context::with_isa(2, isa).unwrap()).collect()
}

/// A context for each instruction set with one thread and with two.
pub(crate) fn isa_and_thread_contexts() -> Vec<Context> {
    let isas = Isa::available();
    isas.iter().flat_map(|isa| [1, 2].map(|threads| Context::with_isa(threads, *isa).unwrap())).collect()
}

#[test]
fn required_instruction_sets_are_there() {
    if let Ok(required) = std::env::var("OCULIST_REQUIRE_ISA") {
        for name in required.split(',') {
            assert!(Isa::available().iter().any(|isa| isa.name() == name), "{name} is not available");
        }
    }
}

#[test]
fn unavailable_instruction_sets_are_refused() {
    for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512] {
        assert_eq!(Context::with_isa(1, isa).is_ok(), isa.is_available());
    }
}

/// NCHW to padded NHWC.
pub(crate) fn to_nhwc(ctx: &Context, batch: usize, channels: usize, nchw: &[f32]) -> Vec<f32> {
    let pixels = nchw.len() / (batch * channels);
    let stride = channel_stride(channels);
    let mut y = vec![f32::NAN; batch * pixels * stride];
    nchw_to_nhwc(ctx, batch, channels, pixels, stride, nchw, &mut y);
    y
}

/// Padded NHWC to NCHW, after a look at the padding, which must be 0.
pub(crate) fn to_nchw(ctx: &Context, batch: usize, channels: usize, nhwc: &[f32]) -> Vec<f32> {
    let stride = channel_stride(channels);
    for (row, pixel) in nhwc.chunks_exact(stride).enumerate() {
        assert!(pixel[channels..].iter().all(|v| *v == 0.0), "padding of row {row} is not 0: {pixel:?}");
    }
    let pixels = nhwc.len() / (batch * stride);
    let mut y = vec![f32::NAN; batch * channels * pixels];
    nhwc_to_nchw(ctx, batch, channels, pixels, stride, nhwc, &mut y);
    y
}
