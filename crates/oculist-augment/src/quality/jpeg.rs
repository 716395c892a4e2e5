//! Artefacts of JPEG compression.

use super::in_place;
use crate::Image;
use crate::error::{Result, parameter};
use oculist_kernels::{Isa, image as kernels};

/// Compresses as baseline JPEG at a quality of 1..=100 and decompresses again; alpha stays as it is.
///
/// Quality scales the standard tables as libjpeg does; the colour of RGB images has half the resolution (4:2:0), as
/// Pillow's default is.
///
/// # Errors
/// A quality outside 1..=100.
///
/// # Source
/// ITU-T T.81, annex K for the tables. The coefficients are quantised but not coded, which loses nothing; transforms in
/// f32 may differ from libjpeg's integer ones by a level or two.
pub fn jpeg(image: &Image, quality: u8) -> Result<Image> {
    in_place(image, |image| jpeg_in_place(image, quality))
}

pub(crate) fn jpeg_in_place(image: &mut Image, quality: u8) -> Result<()> {
    if !(1..=100).contains(&quality) {
        return Err(parameter("jpeg", "quality", "within 1..=100", quality.to_string()));
    }
    let quality = usize::from(quality);
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    let tables = [LUMA, CHROMA].map(|table| table.map(|q| ((q * percent + 50) / 100).clamp(1, 255) as u8));
    let (width, channels) = (image.width(), image.channels());
    kernels::jpeg_round_trip(Isa::detect(), image.pixels_mut(), width, channels, &tables);
    Ok(())
}

#[rustfmt::skip]
const LUMA: [usize; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61,
    12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77,
    24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
];

#[rustfmt::skip]
const CHROMA: [usize; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99,
    18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
];
