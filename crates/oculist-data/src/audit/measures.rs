//! What is kept of one image.

use super::grey::{area_resize, entropy, histogram, laplacian_variance, of_counts};
use super::perceptual::dct_hash;
use oculist_augment::{Image, color};

/// Side of the thumbnails that are compared.
pub const THUMBNAIL: usize = 32;
/// Sharpness is measured at no more than this longer side, so that it does not depend on the camera's resolution.
const SHARPNESS_SIDE: usize = 256;
/// A pixel has colour if its channels differ by more than this (JPEG files of grey scenes waver by 1 or 2).
const COLOR_SPREAD: u8 = 4;

/// Measures of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Measures {
    /// Width and height, pixels.
    pub size: (usize, usize),
    /// Whether any pixel has colour: channels that differ by more than 4.
    pub color: bool,
    /// 5th and 99th percentile of the grey levels (Rec. 601), 0..=1.
    pub brightness: (f64, f64),
    /// Shannon entropy of the grey levels, bits, 0..=8.
    pub entropy: f64,
    /// Variance of the Laplacian divided by the variance of the grey levels, after averaging the image down to a
    /// longer side of 256 if it is larger; `None` for a variance below 1.
    ///
    /// Dividing makes it independent of contrast. White noise has 20, a sharp photo 0.05 to 2, a photo blurred by a
    /// Gaussian of 4 pixels less than 0.01.
    pub sharpness: Option<f64>,
    /// Digest of size and pixels; equal for a grey image and the same one stored with three channels.
    pub content: u128,
    /// Perceptual hash.
    pub hash: u64,
    /// 32x32 grey levels.
    pub thumbnail: Box<[u8]>,
    /// Mean and standard deviation of the thumbnail.
    pub moments: (f64, f64),
}

impl Measures {
    /// Measures an image.
    pub fn of(image: &Image) -> Self {
        let size = (image.width(), image.height());
        let grey = color::to_grey(image.clone()).into_pixels();
        let equal_channels = image.channels() == 1
            || image.pixels().chunks_exact(image.channels()).all(|p| p[0] == p[1] && p[1] == p[2]);
        let color = image.channels() > 1
            && image
                .pixels()
                .chunks_exact(image.channels())
                .any(|p| p[0].max(p[1]).max(p[2]) - p[0].min(p[1]).min(p[2]) > COLOR_SPREAD);
        let counts = histogram(&grey);
        let brightness = |q| of_counts(&counts, grey.len(), q) / 255.0;
        let thumbnail = area_resize(&grey, size, (THUMBNAIL, THUMBNAIL));
        Self {
            size,
            color,
            brightness: (brightness(5.0), brightness(99.0)),
            entropy: entropy(&grey),
            sharpness: sharpness(&grey, size),
            content: digest(size, if equal_channels { &grey } else { image.pixels() }),
            hash: dct_hash(&thumbnail),
            moments: moments(&thumbnail),
            thumbnail: thumbnail.into_boxed_slice(),
        }
    }

    /// Pearson's correlation of the thumbnails, -1..=1; 0 if one is flat.
    pub fn correlation(&self, other: &Self) -> f64 {
        correlation((&self.thumbnail, self.moments), (&other.thumbnail, other.moments))
    }
}

/// Pearson's correlation of two thumbnails with their means and standard deviations; 0 if one is flat.
pub(crate) fn correlation(
    (a, (mean_a, std_a)): (&[u8], (f64, f64)),
    (b, (mean_b, std_b)): (&[u8], (f64, f64)),
) -> f64 {
    let sum: u64 = a.iter().zip(b).map(|(&a, &b)| u64::from(a) * u64::from(b)).sum();
    let scale = std_a * std_b;
    if scale == 0.0 {
        return 0.0;
    }
    ((sum as f64 / a.len() as f64 - mean_a * mean_b) / scale).clamp(-1.0, 1.0)
}

fn sharpness(grey: &[u8], (width, height): (usize, usize)) -> Option<f64> {
    let longer = width.max(height);
    let side = |n: usize| (n * SHARPNESS_SIDE / longer).max(1);
    let small;
    let (plane, size) = if longer > SHARPNESS_SIDE {
        small = area_resize(grey, (width, height), (side(width), side(height)));
        (&small[..], (side(width), side(height)))
    } else {
        (grey, (width, height))
    };
    let (_, std) = moments(plane);
    (std >= 1.0).then(|| laplacian_variance(plane, size) / (std * std))
}

/// Mean and standard deviation.
pub(crate) fn moments(plane: &[u8]) -> (f64, f64) {
    let n = plane.len().max(1) as f64;
    let sum: u64 = plane.iter().map(|&v| u64::from(v)).sum();
    let squares: u64 = plane.iter().map(|&v| u64::from(v) * u64::from(v)).sum();
    let mean = sum as f64 / n;
    (mean, (squares as f64 / n - mean * mean).max(0.0).sqrt())
}

/// 128 bits of size and pixels; two lanes of multiply and xor-shift over words of 8 bytes.
///
/// No defence against someone who makes collisions on purpose; by chance two of a million images collide with
/// a probability of about 1e-27.
pub(crate) fn digest((width, height): (usize, usize), pixels: &[u8]) -> u128 {
    let (mut a, mut b) = (0x243f_6a88_85a3_08d3_u64, 0x1319_8a2e_0370_7344_u64);
    let mut word = |w: u64| {
        a = (a ^ w).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        a ^= a >> 32;
        b = (b.rotate_left(29) ^ w).wrapping_mul(0xd6e8_feb8_6659_fd93);
        b ^= b >> 29;
    };
    word(width as u64);
    word(height as u64);
    word(pixels.len() as u64);
    let (words, rest) = pixels.as_chunks::<8>();
    for w in words {
        word(u64::from_le_bytes(*w));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    word(u64::from_le_bytes(last));
    u128::from(a) << 64 | u128::from(b)
}
