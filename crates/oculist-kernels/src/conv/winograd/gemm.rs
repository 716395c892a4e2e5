//! The matrix products of one position: tiles by input channels by output channels.

use super::transform::Tile;
use crate::layout::LANES;
use crate::simd::Simd;

/// `m[block][t][lane] = sum over inputs of v[input][t] * u[block][input][lane]`.
#[derive(Clone, Copy)]
pub(super) struct Product {
    /// `[input / 16][tile][..16..]`, tiles [`Tile::STEP`] apart.
    pub(super) v: *const f32,
    /// f32 from one block of inputs to the next.
    pub(super) v_block: usize,
    /// Blocks of inputs.
    pub(super) depth: usize,
    /// `[block][input][16]`.
    pub(super) u: *const f32,
    /// `[block][tile][..16..]`, tiles [`Tile::STEP`] apart.
    pub(super) m: *mut f32,
    /// f32 from one block of outputs to the next in `m`.
    pub(super) m_block: usize,
    /// Blocks of outputs.
    pub(super) blocks: usize,
    /// f32 from one block of outputs to the next in `u`.
    pub(super) u_block: usize,
    /// f32 from `u` to the weights of the next product, to be prefetched.
    pub(super) u_next: usize,
    /// Whether the products are added to what `m` holds.
    pub(super) accumulate: bool,
    /// Tiles to compute; up to the next multiple of the register tile are read and written.
    pub(super) tiles: usize,
}

impl Product {
    /// Computes the product.
    ///
    /// # Safety
    /// The memory has the extents that the fields say, tiles rounded up to the group of the instruction set.
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd, T: Tile>(&self, s: S) {
        let mut block = 0;
        while block < self.blocks {
            let pair = S::ROWS_2 > 0 && block + 2 <= self.blocks;
            let mut t = 0;
            while t < self.tiles {
                let left = self.tiles - t;
                // SAFETY: the caller vouches for the memory; a register tile never crosses the tile group.
                unsafe {
                    t += if S::ROWS_2 > 0 {
                        match (pair, left) {
                            (true, 1..=4) => self.tile::<S, T, 4, 2>(s, t, block),
                            (true, 5..=8) => self.tile::<S, T, 8, 2>(s, t, block),
                            (true, _) => self.tile::<S, T, 14, 2>(s, t, block),
                            (false, 1..=4) => self.tile::<S, T, 4, 1>(s, t, block),
                            (false, 5..=14) => self.tile::<S, T, 14, 1>(s, t, block),
                            (false, _) => self.tile::<S, T, 28, 1>(s, t, block),
                        }
                    } else if S::ROWS_1 >= 6 {
                        match left {
                            1..=2 => self.tile::<S, T, 2, 1>(s, t, block),
                            3..=4 => self.tile::<S, T, 4, 1>(s, t, block),
                            _ => self.tile::<S, T, 6, 1>(s, t, block),
                        }
                    } else {
                        self.tile::<S, T, 2, 1>(s, t, block)
                    };
                }
            }
            block += if pair { 2 } else { 1 };
        }
    }

    /// `MR` tiles by `NB` blocks; returns `MR`.
    #[inline(always)]
    unsafe fn tile<S: Simd, T: Tile, const MR: usize, const NB: usize>(
        &self,
        s: S,
        t: usize,
        block: usize,
    ) -> usize {
        let u_block = self.u_block;
        let mut acc = [[s.zero(); NB]; MR];
        // SAFETY: as for `run`.
        unsafe {
            let mut v = self.v.add(t * T::STEP);
            let mut u = self.u.add(block * u_block);
            for _ in 0..self.depth {
                // The rows lie too far apart for the hardware to guess the next block's.
                for r in 0..MR {
                    s.prefetch(v.wrapping_add(self.v_block + r * T::STEP));
                }
                for k in 0..LANES {
                    let mut b = [s.zero(); NB];
                    for n in 0..NB {
                        let u = u.wrapping_add(n * u_block + k * LANES);
                        s.prefetch_far(u.wrapping_add(self.u_next));
                        b[n] = s.load_ptr(u);
                    }
                    for r in 0..MR {
                        let a = s.splat(*v.add(r * T::STEP + k));
                        for n in 0..NB {
                            acc[r][n] = s.mul_add(a, b[n], acc[r][n]);
                        }
                    }
                }
                v = v.wrapping_add(self.v_block);
                u = u.wrapping_add(LANES * LANES);
            }
            for n in 0..NB {
                let m = self.m.add((block + n) * self.m_block + t * T::STEP);
                if self.accumulate {
                    for r in 0..MR {
                        acc[r][n] = s.add(acc[r][n], s.load_ptr(m.add(r * T::STEP)));
                    }
                }
                for r in 0..MR {
                    s.store_ptr(m.add(r * T::STEP), acc[r][n]);
                }
            }
        }
        MR
    }
}
