//! Sharpening and softening by a 3x3 filter.

use super::pixel::blend;
use crate::Image;

/// Blends the smoothed image with the image; see [`super::Adjustment::Sharpness`].
pub(super) fn sharpness(image: &mut Image, factor: f32) {
    let (width, height, channels) = (image.width(), image.height(), image.channels());
    let factor = factor.max(0.0);
    if width < 3 || height < 3 || factor == 1.0 {
        return;
    }
    let len = width * channels;
    // The row above is overwritten before it is needed: its old values are kept.
    let mut above = image.row(0).to_vec();
    let mut current = vec![0; len];
    for y in 1..height - 1 {
        current.copy_from_slice(image.row(y));
        let (out, below) = image.pixels_mut()[y * len..(y + 2) * len].split_at_mut(len);
        smooth_row(&above, &current, below, channels, factor, out);
        std::mem::swap(&mut above, &mut current);
    }
}

/// One row without its first and last pixel.
fn smooth_row(above: &[u8], current: &[u8], below: &[u8], channels: usize, factor: f32, out: &mut [u8]) {
    let (alpha, colours) = (channels == 4, out.len() - channels);
    let mut columns = vec![0u16; out.len()];
    for (sum, ((&a, &b), &c)) in columns.iter_mut().zip(above.iter().zip(current).zip(below)) {
        *sum = u16::from(a) + u16::from(b) + u16::from(c);
    }
    let (left, right) = (&columns[..colours - channels], &columns[2 * channels..]);
    let centre = &columns[channels..colours];
    let values = &current[channels..colours];
    let out = &mut out[channels..colours];
    let taps = left.iter().zip(centre).zip(right);
    for ((out, &value), ((&l, &c), &r)) in out.iter_mut().zip(values).zip(taps) {
        // Nine pixels and the middle one four times more; (n + 6) / 13 is n / 13 rounded.
        let smooth = (l + c + r + 4 * u16::from(value) + 6) / 13;
        *out = blend(f32::from(smooth), f32::from(value), factor) as u8;
    }
    if alpha {
        out.iter_mut().zip(values).skip(3).step_by(4).for_each(|(out, &value)| *out = value);
    }
}
