//! Prefetching what the next transform will touch.

use super::Shape;
use super::transform::Tile;
use crate::layout::LANES;
use crate::simd::Simd;

/// Memory that will be needed soon: a piece of it is prefetched with every position's product, so that the
/// transforms, which compute little, do not wait for memory.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    start: *const f32,
    /// f32 prefetched with a position.
    step: usize,
}

impl Ahead {
    pub(super) const NOTHING: Self = Self { start: std::ptr::null(), step: 0 };

    /// The rows of pixels under a range of tiles, in a tensor of some size and channel stride at `base`, and `below`
    /// rows more.
    #[inline(always)]
    pub(super) fn new<T: Tile>(
        shape: &Shape,
        tiles: (usize, usize),
        base: *const f32,
        [height, width]: [usize; 2],
        stride: usize,
        below: usize,
    ) -> Self {
        if tiles.0 >= tiles.1 {
            return Self::NOTHING;
        }
        let row = |t: usize, below: usize| {
            let (image, ti, _) = shape.tile(t);
            image * height + (ti * T::OUT + below).min(height)
        };
        let line = width * stride;
        let (from, to) = (row(tiles.0, 0) * line, row(tiles.1 - 1, T::OUT + below) * line);
        Self { start: base.wrapping_add(from), step: (to - from).div_ceil(T::XI).next_multiple_of(LANES) }
    }

    /// Prefetches the piece of a position.
    #[inline(always)]
    pub(super) fn step<S: Simd>(self, s: S, xi: usize) {
        for i in (0..self.step).step_by(LANES) {
            s.prefetch_far(self.start.wrapping_add(xi * self.step + i));
        }
    }
}
