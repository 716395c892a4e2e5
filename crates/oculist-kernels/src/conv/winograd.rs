//! Winograd's F(4x4, 3x3): four times fewer products for 3x3 kernels with stride 1.
//!
//! A tile of 4x4 outputs is `A' [ (G g G') * (B' d B) ] A` with the 6x6 input tile `d`, the 3x3 kernel `g` and a
//! product by elements; the prime transposes. Over channels, each of the 36 positions `xi` becomes a matrix
//! product. The data gradient is the same with the kernel turned and transposed, the weight gradient the exact
//! adjoint `G' [ (B' d B) * (A dy A') ] G`.
//!
//! Interpolation points 0, 1, -1, 2, -2 and infinity; the error is about ten times that of direct convolution.
//!
//! # Source
//! Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015.

mod ahead;
mod filter;
mod forward;
mod gemm;
mod input;
mod output;
mod transform;
mod weights;

use super::Conv2d;
use crate::isa::Isa;
use crate::layout::LANES;

pub(crate) use filter::{filter_len, transform_filter};
pub(crate) use forward::{Weights, run, scratch_len};
pub(crate) use weights::{run as backward_weights, scratch_len as weights_scratch_len};

/// Positions of a transformed tile.
const XI: usize = 36;
/// Outputs along a side of a tile.
const TILE: usize = 4;

/// What a gathering Winograd pass reads and writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    batch: usize,
    /// Height and width of the source.
    src: [usize; 2],
    src_stride: usize,
    /// Height and width of the destination.
    dst: [usize; 2],
    dst_stride: usize,
    /// Padding of the source at the top and left.
    padding: [usize; 2],
    /// Tiles down and across.
    grid: [usize; 2],
}

impl Shape {
    /// From `x` to `y`.
    pub(crate) fn forward(conv: &Conv2d) -> Self {
        let dst = [conv.out_height(), conv.out_width()];
        Self {
            batch: conv.batch,
            src: [conv.height, conv.width],
            src_stride: conv.x_stride,
            dst,
            dst_stride: conv.y_stride(),
            padding: [conv.padding[0], conv.padding[1]],
            grid: dst.map(|n| n.div_ceil(TILE)),
        }
    }

    /// From `dy` to `dx`.
    pub(crate) fn backward(conv: &Conv2d) -> Self {
        let dst = [conv.height, conv.width];
        Self {
            batch: conv.batch,
            src: [conv.out_height(), conv.out_width()],
            src_stride: conv.y_stride(),
            dst,
            dst_stride: conv.x_stride,
            padding: [2 - conv.padding[0], 2 - conv.padding[1]],
            grid: dst.map(|n| n.div_ceil(TILE)),
        }
    }

    fn tiles(&self) -> usize {
        self.batch * self.grid[0] * self.grid[1]
    }

    fn src_blocks(&self) -> usize {
        self.src_stride / LANES
    }

    fn dst_blocks(&self) -> usize {
        self.dst_stride / LANES
    }

    /// Image and tile coordinates of tile number `t`.
    fn tile(&self, t: usize) -> (usize, usize, usize) {
        let per_image = self.grid[0] * self.grid[1];
        let rest = t % per_image;
        (t / per_image, rest / self.grid[1], rest % self.grid[1])
    }
}

/// f32 from one tile to the next in [`Panels`].
const STEP: usize = 6 * LANES;

/// Transformed tiles in memory: `[row of positions][block][tile][column of positions][16]`.
///
/// A transform writes to six places instead of thirty-six, which spares the translation of addresses, and the
/// tiles that a product takes together still lie at a constant distance.
#[derive(Debug, Clone, Copy)]
struct Panels {
    /// f32 from one row of positions to the next.
    row: usize,
    /// f32 from one block of channels to the next.
    block: usize,
}

impl Panels {
    fn new(blocks: usize, tiles: usize) -> Self {
        // A little apart, so that the rows do not fall into the same cache sets.
        Self { row: blocks * tiles * STEP + LANES, block: tiles * STEP }
    }

    /// f32 of all positions.
    fn len(self) -> usize {
        6 * self.row
    }

    /// Where a position starts.
    #[inline(always)]
    fn xi(self, xi: usize) -> usize {
        xi / 6 * self.row + xi % 6 * LANES
    }
}

/// Tiles that the register tiles of an instruction set divide well.
fn tile_group(isa: Isa) -> usize {
    if isa == Isa::Avx512 { 28 } else { 24 }
}
