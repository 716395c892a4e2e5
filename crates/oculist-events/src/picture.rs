//! What a PNG file says of itself.

use crate::proto::Image;

/// How every PNG file begins, up to the sizes: signature, length and name of the first chunk.
const START: [u8; 16] = *b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
/// Bytes of the start, the sizes, the depth and the kind of colour.
const HEAD: usize = 26;

/// A PNG file as a value, with the sizes and channels of its first chunk; None if it is no PNG file.
///
/// # Source
/// PNG specification (third edition), sections 5.2 and 11.2.1.
pub(crate) fn image(png: &[u8]) -> Option<Image> {
    let head = png.get(..HEAD).filter(|head| head.starts_with(&START))?;
    let size = |at: usize| i32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (width, height) = (size(16), size(20));
    let colorspace = match head[25] {
        0 => 1,
        4 => 2,
        // Indexed colours are shown as RGB.
        2 | 3 => 3,
        6 => 4,
        _ => return None,
    };
    (width > 0 && height > 0).then(|| Image { height, width, colorspace, encoded_image_string: png.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(width: u32, height: u32, colour: u8) -> Vec<u8> {
        [&START[..], &width.to_be_bytes(), &height.to_be_bytes(), &[8, colour]].concat()
    }

    #[test]
    fn sizes_and_channels_come_from_the_first_chunk() {
        for (colour, channels) in [(0, 1), (2, 3), (3, 3), (4, 2), (6, 4)] {
            let found = image(&head(300, 2, colour)).unwrap();
            assert_eq!((found.width, found.height, found.colorspace), (300, 2, channels));
        }
    }

    #[test]
    fn what_is_no_png_is_none() {
        let good = head(3, 2, 2);
        for cut in 0..good.len() {
            assert!(image(&good[..cut]).is_none(), "{cut} bytes");
        }
        for bad in [head(0, 2, 2), head(3, 0, 2), head(1 << 31, 2, 2), head(3, 2, 1), head(3, 2, 7)] {
            assert!(image(&bad).is_none());
        }
        assert!(image(b"\xff\xd8\xff\xe0 a JPEG file begins so").is_none());
    }
}
