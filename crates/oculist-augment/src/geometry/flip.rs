//! Mirroring, transposing and quarter turns: pixels move, none changes.

use crate::Image;

/// Reverses the order of the pixels in one row.
pub(super) fn reverse_row(row: &mut [u8], channels: usize) {
    match channels {
        1 => row.reverse(),
        3 => row.as_chunks_mut::<3>().0.reverse(),
        _ => row.as_chunks_mut::<4>().0.reverse(),
    }
}

/// Mirrors left and right: `out(x, y) = in(width - 1 - x, y)`.
pub fn flip_horizontal(mut image: Image) -> Image {
    let (width, channels) = (image.width(), image.channels());
    for row in image.pixels_mut().chunks_exact_mut(width * channels) {
        reverse_row(row, channels);
    }
    image
}

/// Mirrors top and bottom: `out(x, y) = in(x, height - 1 - y)`.
pub fn flip_vertical(mut image: Image) -> Image {
    let (len, height) = (image.width() * image.channels(), image.height());
    let (top, bottom) = image.pixels_mut().split_at_mut(height / 2 * len);
    for (a, b) in top.chunks_exact_mut(len).zip(bottom.rchunks_exact_mut(len)) {
        a.swap_with_slice(b);
    }
    image
}

/// Swaps x and y: `out(x, y) = in(y, x)`; width and height change places.
pub fn transpose(image: &Image) -> Image {
    match image.channels() {
        1 => transposed::<1>(image),
        3 => transposed::<3>(image),
        _ => transposed::<4>(image),
    }
}

/// Tiles of this side stay in the first cache while one is read by columns.
const TILE: usize = 16;

fn transposed<const C: usize>(image: &Image) -> Image {
    let (width, height) = (image.width(), image.height());
    let source = image.pixels().as_chunks::<C>().0;
    let mut pixels = vec![0; width * height * C];
    for (band, rows) in pixels.as_chunks_mut::<C>().0.chunks_mut(TILE * height).enumerate() {
        let left = band * TILE;
        for top in (0..height).step_by(TILE) {
            let end = height.min(top + TILE);
            for (x, row) in rows.chunks_exact_mut(height).enumerate() {
                let column = source[top * width + left + x..].iter().step_by(width);
                for (out, pixel) in row[top..end].iter_mut().zip(column) {
                    *out = *pixel;
                }
            }
        }
    }
    Image::from_parts(height, width, C, pixels)
}

/// Turns by `turns` quarters of a circle counter-clockwise; only `turns` mod 4 matters.
pub fn quarter_turns(image: Image, turns: u8) -> Image {
    match turns % 4 {
        0 => image,
        1 => flip_vertical(transpose(&image)),
        2 => {
            let mut image = image;
            let channels = image.channels();
            reverse_row(image.pixels_mut(), channels);
            image
        }
        _ => flip_horizontal(transpose(&image)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_move_as_documented() {
        for channels in [1, 3, 4] {
            for (width, height) in [(1, 1), (1, 3), (2, 3), (5, 4), (37, 17), (16, 33)] {
                let pixels = (0..width * height * channels).map(|i| (i * 11) as u8).collect();
                let image = Image::new(width, height, channels, pixels).unwrap();
                let flipped = flip_horizontal(image.clone());
                let upside_down = flip_vertical(image.clone());
                let turned = transpose(&image);
                let quarters: Vec<Image> = (0..5).map(|n| quarter_turns(image.clone(), n)).collect();
                for y in 0..height {
                    for x in 0..width {
                        let pixel = image.pixel(x, y);
                        let (right, below) = (width - 1 - x, height - 1 - y);
                        assert_eq!(flipped.pixel(right, y), pixel);
                        assert_eq!(upside_down.pixel(x, below), pixel);
                        assert_eq!(turned.pixel(y, x), pixel);
                        assert_eq!(quarters[1].pixel(y, right), pixel);
                        assert_eq!(quarters[2].pixel(right, below), pixel);
                        assert_eq!(quarters[3].pixel(below, x), pixel);
                    }
                }
                assert_eq!(quarters[4], image);
            }
        }
    }
}
