//! The memory layout that all f32 kernels share.
//!
//! Activations lie in NHWC order with the channels padded by zeros up to a multiple of [`LANES`]; element
//! `(n, h, w, c)` of a tensor with `C` channels lies at `((n * H + h) * W + w) * channel_stride(C) + c`. Every
//! kernel keeps the padded lanes at zero, so that no kernel needs a tail loop over channels.

/// f32 lanes of one channel block: one AVX-512 register, two AVX2 registers.
pub const LANES: usize = 16;

/// Number of f32 from one pixel to the next for a tensor with `channels` channels.
pub const fn channel_stride(channels: usize) -> usize {
    channels.div_ceil(LANES) * LANES
}

/// A tensor seen as a matrix of pixels by channels: `rows = N * H * W`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// Number of pixels of all images.
    pub rows: usize,
    /// Number of channels without padding.
    pub channels: usize,
}

impl Rows {
    /// Describes `rows` pixels of `channels` channels.
    pub const fn new(rows: usize, channels: usize) -> Self {
        Self { rows, channels }
    }

    /// Channel stride in f32.
    pub const fn stride(&self) -> usize {
        channel_stride(self.channels)
    }

    /// Number of f32, padding included.
    pub const fn len(&self) -> usize {
        self.rows * self.stride()
    }

    /// Whether there is no element at all.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Splits a slice into whole blocks of [`LANES`].
pub(crate) fn blocks(x: &[f32]) -> &[[f32; LANES]] {
    let (blocks, rest) = x.as_chunks::<LANES>();
    debug_assert!(rest.is_empty(), "length {} is no multiple of {LANES}", x.len());
    blocks
}

/// Splits a mutable slice into whole blocks of [`LANES`].
pub(crate) fn blocks_mut(x: &mut [f32]) -> &mut [[f32; LANES]] {
    let (blocks, rest) = x.as_chunks_mut::<LANES>();
    debug_assert!(rest.is_empty(), "the length is no multiple of {LANES}");
    blocks
}
