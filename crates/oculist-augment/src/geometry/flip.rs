//! Mirroring, transposing and quarter turns: pixels move, none changes.

use crate::{Image, ImageRef};
use oculist_kernels::Isa;
use oculist_kernels::image::flip::{self, Transposition};

/// Mirrors left and right: `out(x, y) = in(width - 1 - x, y)`.
pub fn flip_horizontal(mut image: Image) -> Image {
    let (width, channels) = (image.width(), image.channels());
    let isa = Isa::detect();
    let mut copy = vec![0; width * channels];
    for row in image.pixels_mut().chunks_exact_mut(width * channels) {
        copy.copy_from_slice(row);
        flip::reverse(isa, &copy, row, channels);
    }
    image
}

/// Mirrors top and bottom: `out(x, y) = in(x, height - 1 - y)`.
pub fn flip_vertical(mut image: Image) -> Image {
    let (len, height) = (image.width() * image.channels(), image.height());
    let (top, bottom) = image.pixels_mut().split_at_mut(height / 2 * len);
    // Three copies are faster than a swap, whose loop is compiled for the oldest processors.
    let mut copy = vec![0; len];
    for (a, b) in top.chunks_exact_mut(len).zip(bottom.rchunks_exact_mut(len)) {
        copy.copy_from_slice(a);
        a.copy_from_slice(b);
        b.copy_from_slice(&copy);
    }
    image
}

/// As [`flip_horizontal`], of an image that stays as it is: one pass instead of a copy and another.
pub(crate) fn flipped_horizontal(image: ImageRef<'_>) -> Image {
    let (len, isa) = (image.width() * image.channels(), Isa::detect());
    let mut pixels = vec![0; image.pixels().len()];
    for (row, to) in image.pixels().chunks_exact(len).zip(pixels.chunks_exact_mut(len)) {
        flip::reverse(isa, row, to, image.channels());
    }
    Image::from_parts(image.width(), image.height(), image.channels(), pixels)
}

/// As [`flip_vertical`], of an image that stays as it is.
pub(crate) fn flipped_vertical(image: ImageRef<'_>) -> Image {
    let mut pixels = Vec::with_capacity(image.pixels().len());
    image
        .pixels()
        .rchunks_exact(image.width() * image.channels())
        .for_each(|row| pixels.extend_from_slice(row));
    Image::from_parts(image.width(), image.height(), image.channels(), pixels)
}

/// Swaps x and y: `out(x, y) = in(y, x)`; width and height change places.
pub fn transpose<'a>(image: impl Into<ImageRef<'a>>) -> Image {
    let image = image.into();
    transposed(image, Transposition::default())
}

fn transposed(image: ImageRef<'_>, how: Transposition) -> Image {
    let (width, height, channels) = (image.width(), image.height(), image.channels());
    let mut pixels = vec![0; image.pixels().len()];
    flip::transpose(Isa::detect(), image.pixels(), &mut pixels, (width, height), channels, how);
    Image::from_parts(height, width, channels, pixels)
}

/// Turns by `turns` quarters of a circle counter-clockwise; only `turns` mod 4 matters.
pub fn quarter_turns(image: Image, turns: u8) -> Image {
    match turns % 4 {
        0 => image,
        1 => transposed((&image).into(), Transposition { to_below: true, ..Transposition::default() }),
        2 => {
            let mut pixels = vec![0; image.pixels().len()];
            flip::reverse(Isa::detect(), image.pixels(), &mut pixels, image.channels());
            Image::from_parts(image.width(), image.height(), image.channels(), pixels)
        }
        _ => transposed((&image).into(), Transposition { from_below: true, ..Transposition::default() }),
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
