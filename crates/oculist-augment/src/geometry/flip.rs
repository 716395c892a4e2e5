//! Mirroring.

use crate::Image;

/// Mirrors left and right: `out(x, y) = in(width - 1 - x, y)`.
pub fn flip_horizontal(mut image: Image) -> Image {
    let (width, channels) = (image.width(), image.channels());
    for row in image.pixels_mut().chunks_exact_mut(width * channels) {
        match channels {
            1 => row.reverse(),
            3 => row.as_chunks_mut::<3>().0.reverse(),
            _ => row.as_chunks_mut::<4>().0.reverse(),
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_whole_pixels() {
        for channels in [1, 3, 4] {
            for width in [1, 2, 5] {
                let image =
                    Image::new(width, 3, channels, (0..width * 3 * channels).map(|i| i as u8).collect())
                        .unwrap();
                let flipped = flip_horizontal(image.clone());
                for y in 0..3 {
                    for x in 0..width {
                        assert_eq!(flipped.pixel(x, y), image.pixel(width - 1 - x, y));
                    }
                }
                assert_eq!(flip_horizontal(flipped), image);
            }
        }
    }
}
