//! Winograd's F(4x4, 3x3) and F(2x2, 3x3): 4 and 2.25 times fewer products for 3x3 kernels with stride 1.
//!
//! A tile of m x m outputs is `A' [ (G g G') * (B' d B) ] A` with the input tile `d` of m + 2 pixels a side, the 3x3
//! kernel `g` and a product by elements; the prime transposes. Over channels, each of the 36 or 16 positions `xi`
//! becomes a matrix product. The data gradient is the same with the kernel turned and transposed, the weight gradient the exact
//! adjoint `G' [ (B' d B) * (A dy A') ] G`.
//!
//! The interpolation points are 0, 1, -1 and infinity, and for 4x4 also 2 and -2. The error of 4x4 is about ten times
//! that of direct convolution, that of 2x2 about the same.
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

use transform::Tile;

pub(crate) use filter::{filter_len, transform_filter};
pub(crate) use forward::{Weights, packed_is_faster, run, scratch_len};
pub(crate) use weights::{run as backward_weights, scratch_len as weights_scratch_len};

/// Outputs along a side of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TileSize {
    /// F(2x2, 3x3).
    Two,
    /// F(4x4, 3x3).
    Four,
}

impl TileSize {
    const fn outputs(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// Positions along a side of a transformed tile.
    const fn side(self) -> usize {
        self.outputs() + 2
    }

    /// Positions of a transformed tile.
    const fn positions(self) -> usize {
        self.side() * self.side()
    }
}

/// What a gathering Winograd pass reads and writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    tile_size: TileSize,
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
    pub(crate) fn forward(tile_size: TileSize, conv: &Conv2d) -> Self {
        let dst = [conv.out_height(), conv.out_width()];
        Self {
            tile_size,
            batch: conv.batch,
            src: [conv.height, conv.width],
            src_stride: conv.x_stride,
            dst,
            dst_stride: conv.y_stride(),
            padding: [conv.padding[0], conv.padding[1]],
            grid: dst.map(|n| n.div_ceil(tile_size.outputs())),
        }
    }

    /// From `dy` to `dx`.
    pub(crate) fn backward(tile_size: TileSize, conv: &Conv2d) -> Self {
        let dst = [conv.height, conv.width];
        Self {
            tile_size,
            batch: conv.batch,
            src: [conv.out_height(), conv.out_width()],
            src_stride: conv.y_stride(),
            dst,
            dst_stride: conv.x_stride,
            padding: [2 - conv.padding[0], 2 - conv.padding[1]],
            grid: dst.map(|n| n.div_ceil(tile_size.outputs())),
        }
    }

    fn positions(&self) -> usize {
        self.tile_size.positions()
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

/// Transformed tiles in memory: `[row of positions][block][tile][column of positions][16]`.
///
/// A transform writes to as many places as a tile has rows instead of positions, which spares the translation of addresses, and the
/// tiles that a product takes together still lie at a constant distance.
#[derive(Debug, Clone, Copy)]
struct Panels {
    tile_size: TileSize,
    /// f32 from one row of positions to the next.
    row: usize,
    /// f32 from one block of channels to the next.
    block: usize,
}

impl Panels {
    fn new(tile_size: TileSize, blocks: usize, tiles: usize) -> Self {
        let step = tile_size.side() * LANES;
        // A little apart, so that the rows do not fall into the same cache sets.
        Self { tile_size, row: blocks * tiles * step + LANES, block: tiles * step }
    }

    /// f32 of all positions.
    fn len(self) -> usize {
        self.tile_size.side() * self.row
    }

    /// Where a position starts.
    #[inline(always)]
    fn xi<T: Tile>(self, xi: usize) -> usize {
        xi / T::SIDE * self.row + xi % T::SIDE * LANES
    }
}

/// Tiles that the register tiles of an instruction set divide well.
fn tile_group(isa: Isa) -> usize {
    if isa == Isa::Avx512 { 28 } else { 24 }
}
