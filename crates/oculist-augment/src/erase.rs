//! Covering parts of an image.
//!
//! The alpha channel of RGBA images stays as it is.

use crate::error::{Result, parameter};
use crate::{Image, Rng};
use oculist_kernels::{Isa, image};
use serde::{Deserialize, Serialize};

/// What covers the erased pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// Every channel has this value.
    Constant(u8),
    /// Each channel's mean over the whole image, rounded.
    Mean,
    /// Values uniform in 0..=255 for each pixel and channel, from [`Rng::keyed`] of this seed.
    ///
    /// Rectangles are filled in their order, rows from the top, eight bytes (lowest first) of each number.
    Noise(u64),
}

impl Default for Fill {
    fn default() -> Self {
        Self::Constant(0)
    }
}

/// A rectangle of pixels; parts outside the image count for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rectangle {
    /// Left edge in pixels.
    pub left: usize,
    /// Top edge in pixels.
    pub top: usize,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
}

/// Fills rectangles.
///
/// # Source
/// Zhong et al., "Random erasing data augmentation", 2017; DeVries and Taylor, "Improved regularization of
/// convolutional neural networks with cutout", 2017.
pub fn erase(mut image: Image, rectangles: &[Rectangle], fill: Fill) -> Image {
    let mut cover = Cover::new(&image, fill);
    let (width, height, channels) = (image.width(), image.height(), image.channels());
    for r in rectangles {
        let (left, right) = (r.left.min(width), r.left.saturating_add(r.width).min(width));
        let rows = r.top.min(height)..r.top.saturating_add(r.height).min(height);
        for y in rows {
            let start = y * width * channels;
            cover.fill(&mut image.pixels_mut()[start + left * channels..start + right * channels]);
        }
    }
    image
}

/// The places of a grid of holes, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoleGrid {
    /// Width of a cell, at least 1.
    pub cell_width: usize,
    /// Height of a cell, at least 1.
    pub cell_height: usize,
    /// Width of the hole in each cell.
    pub hole_width: usize,
    /// Height of the hole in each cell.
    pub hole_height: usize,
    /// Where the grid starts: the first hole's left edge.
    pub left: usize,
    /// The first hole's top edge.
    pub top: usize,
}

/// Fills the upper left `hole_width` x `hole_height` pixels of each cell of a grid.
///
/// Cells are also laid out to the left of and above the first one, so that the grid covers the whole image.
///
/// # Errors
/// A cell of no pixels.
///
/// # Source
/// Chen et al., "GridMask data augmentation", 2020.
pub fn grid_dropout(mut image: Image, grid: HoleGrid, fill: Fill) -> Result<Image> {
    if grid.cell_width == 0 || grid.cell_height == 0 {
        return Err(parameter("grid_dropout", "cell", "at least 1x1 pixels", format!("{grid:?}")));
    }
    let mut cover = Cover::new(&image, fill);
    let (width, channels) = (image.width(), image.channels());
    // A cell starts where (x - left) mod cell = 0.
    let phase = |start: usize, cell: usize| (cell - start % cell) % cell;
    let (phase_x, phase_y) = (phase(grid.left, grid.cell_width), phase(grid.top, grid.cell_height));
    for (y, row) in image.pixels_mut().chunks_exact_mut(width * channels).enumerate() {
        if (y + phase_y) % grid.cell_height >= grid.hole_height {
            continue;
        }
        let mut x = 0;
        while x < width {
            let inside = (x + phase_x) % grid.cell_width;
            let next = width.min(x + grid.cell_width - inside);
            let end = next.min((x + grid.hole_width).saturating_sub(inside));
            if end > x {
                cover.fill(&mut row[x * channels..end * channels]);
            }
            x = next;
        }
    }
    Ok(image)
}

/// A fill made ready for one image.
enum Cover {
    Colour { colour: [u8; 4], channels: usize },
    Noise { rng: Rng, channels: usize },
}

impl Cover {
    fn new(image: &Image, fill: Fill) -> Self {
        let channels = image.channels();
        match fill {
            Fill::Constant(value) => Self::Colour { colour: [value; 4], channels },
            Fill::Mean => Self::Colour { colour: mean(image), channels },
            Fill::Noise(seed) => Self::Noise { rng: Rng::keyed(&[seed]), channels },
        }
    }

    fn fill(&mut self, pixels: &mut [u8]) {
        match self {
            Self::Colour { colour, channels: 1 } => pixels.fill(colour[0]),
            Self::Colour { colour: [r, g, b, _], channels: 3 } => {
                pixels.as_chunks_mut::<3>().0.fill([*r, *g, *b]);
            }
            Self::Colour { colour, .. } => {
                pixels.as_chunks_mut::<4>().0.iter_mut().for_each(|p| p[..3].copy_from_slice(&colour[..3]));
            }
            Self::Noise { rng, channels } => {
                for (i, eight) in pixels.chunks_mut(8).enumerate() {
                    let bytes = rng.next_u64().to_le_bytes();
                    for (j, (value, byte)) in eight.iter_mut().zip(bytes).enumerate() {
                        if *channels != 4 || (i * 8 + j) % 4 != 3 {
                            *value = byte;
                        }
                    }
                }
            }
        }
    }
}

/// Each colour's mean, rounded half up.
fn mean(image: &Image) -> [u8; 4] {
    let mut sums = [0u64; 4];
    if image.channels() == 1 {
        sums[0] = image.pixels().iter().map(|&v| u64::from(v)).sum();
    } else {
        sums[..3].copy_from_slice(&image::channel_sums(Isa::detect(), image.pixels(), image.channels()));
    }
    let count = (image.width() * image.height()) as u64;
    sums.map(|sum| ((sum + count / 2) / count) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_are_cut_at_the_edges() {
        let image = Image::filled(4, 3, 1, 7).unwrap();
        let r = |left, top, width, height| Rectangle { left, top, width, height };
        let out =
            erase(image.clone(), &[r(3, 1, 9, 1), r(9, 9, 9, 9), r(0, 2, 1, usize::MAX)], Fill::default());
        assert_eq!(out.pixels(), [7, 7, 7, 7, 7, 7, 7, 0, 0, 7, 7, 7]);
        assert_eq!(erase(image.clone(), &[], Fill::Mean), image);
    }

    #[test]
    fn alpha_stays_and_the_mean_is_the_mean() {
        let image = Image::new(2, 1, 4, vec![10, 20, 30, 1, 21, 40, 60, 2]).unwrap();
        let all = [Rectangle { left: 0, top: 0, width: 2, height: 1 }];
        let out = erase(image.clone(), &all, Fill::Mean);
        assert_eq!(out.pixels(), [16, 30, 45, 1, 16, 30, 45, 2]);
        let noise = erase(image.clone(), &all, Fill::Noise(3));
        assert_eq!((noise.pixels()[3], noise.pixels()[7]), (1, 2));
        assert_ne!(noise.pixels()[..3], image.pixels()[..3]);
        assert_ne!(noise, erase(image, &all, Fill::Noise(4)));
    }

    #[test]
    fn grids_equal_the_definition() {
        for (cell_width, cell_height, hole_width, hole_height, left, top) in [
            (4, 3, 2, 2, 0, 0),
            (4, 3, 2, 1, 3, 2),
            (1, 1, 1, 1, 0, 0),
            (5, 2, 7, 1, 8, 1),
            (3, 3, 0, 2, 1, 1),
        ] {
            let grid = HoleGrid { cell_width, cell_height, hole_width, hole_height, left, top };
            let image = Image::filled(13, 7, 3, 200).unwrap();
            let out = grid_dropout(image, grid, Fill::Constant(9)).unwrap();
            for y in 0..7 {
                for x in 0..13 {
                    let from = |i: isize, start: usize, cell: usize| {
                        (i - start as isize).rem_euclid(cell as isize) as usize
                    };
                    let hole =
                        from(x, left, cell_width) < hole_width && from(y, top, cell_height) < hole_height;
                    let want = if hole { [9; 3] } else { [200; 3] };
                    assert_eq!(out.pixel(x as usize, y as usize), want, "{grid:?} ({x}, {y})");
                }
            }
        }
        let none = HoleGrid { cell_width: 0, cell_height: 1, hole_width: 0, hole_height: 0, left: 0, top: 0 };
        assert!(grid_dropout(Image::filled(1, 1, 1, 0).unwrap(), none, Fill::Mean).is_err());
    }
}
