//! The memory layout that all f32 kernels share.
//!
//! Activations lie in NHWC order with the channels padded by zeros up to a multiple of [`LANES`]; element
//! `(n, h, w, c)` of a tensor with `C` channels lies at `((n * H + h) * W + w) * channel_stride(C) + c`. Every
//! kernel keeps the padded lanes at zero, so that no kernel needs a tail loop over channels.

use crate::KernelError;

/// f32 lanes of one channel block: one AVX-512 register, two AVX2 registers.
pub const LANES: usize = 16;

/// The most elements that a geometry may give to anything, its padding included: 2^45, far beyond any memory.
///
/// What kernels make of a geometry (transformed tiles, tables, a part for every thread) is a small multiple of its
/// tensors, so that below this bound no length and no offset leaves 63 bits.
pub const MAX_ELEMENTS: usize = (isize::MAX as usize) >> 18;

/// Number of f32 from one pixel to the next for a tensor with `channels` channels.
pub const fn channel_stride(channels: usize) -> usize {
    channels.div_ceil(LANES).saturating_mul(LANES)
}

/// The product of sizes; where it is larger, `usize::MAX`, which no slice has as its length.
pub(crate) const fn product(factors: &[usize]) -> usize {
    let mut product = 1usize;
    let mut i = 0;
    while i < factors.len() {
        product = product.saturating_mul(factors[i]);
        i += 1;
    }
    product
}

/// The refusal of a geometry of which some part has more than [`MAX_ELEMENTS`] elements.
pub(crate) fn check_elements(operation: &'static str, parts: &[(&str, usize)]) -> Result<(), KernelError> {
    match parts.iter().find(|(_, elements)| *elements > MAX_ELEMENTS) {
        None => Ok(()),
        Some((part, elements)) => {
            let found =
                if *elements == usize::MAX { "2^64 or more".to_owned() } else { elements.to_string() };
            let reason = format!("expected at most {MAX_ELEMENTS} elements of {part}, found {found}");
            Err(KernelError::Geometry { operation, reason })
        }
    }
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
        product(&[self.rows, self.stride()])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_has_no_length() {
        assert_eq!(product(&[3, 5, 7]), 105);
        assert_eq!(product(&[1 << 33, 1 << 31]), usize::MAX, "not the 0 that it wraps to");
        assert_eq!(product(&[1 << 40, 1 << 40, 0]), 0);
        assert_eq!(Rows::new(1 << 60, 16).len(), usize::MAX);
        assert!(channel_stride(usize::MAX) > MAX_ELEMENTS && channel_stride(17) == 32);
    }

    #[test]
    fn the_part_that_is_too_large_is_named() {
        let parts = |n| check_elements("pooling", &[("the input", 7), ("the output", n)]);
        assert_eq!(parts(MAX_ELEMENTS), Ok(()));
        let text = parts(MAX_ELEMENTS + 1).unwrap_err().to_string();
        assert!(text.starts_with("pooling: ") && text.contains("the output"), "{text}");
        assert!(parts(usize::MAX).unwrap_err().to_string().contains("2^64 or more"));
    }
}
