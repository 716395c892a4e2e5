//! Separable blurs in fixed point: Gaussian and box.

use super::in_place;
use super::kernel::reflect;
use crate::Image;
use crate::error::{Result, parameter};
use oculist_kernels::{Isa, image as kernels};

/// Largest kernel side.
const LARGEST_KERNEL: usize = 1023;

/// Gaussian blur with a square kernel of odd side `kernel` and standard deviation `sigma` in pixels.
///
/// A kernel of 0 is chosen from sigma (`round(6 sigma + 1)`, made odd); a sigma of 0 is chosen from the kernel
/// (`0.3 ((kernel - 1) / 2 - 1) + 0.8`). All channels are blurred, alpha too.
///
/// # Errors
/// An even kernel or one above 1023, a sigma that is negative or no number, both 0.
///
/// # Source
/// OpenCV's `GaussianBlur` for bytes with its default border, bit for bit: weights of 8 fractional bits whose rounding
/// errors are carried to the next weight, no rounding between the two passes.
pub fn gaussian_blur(image: &Image, sigma: f32, kernel: usize) -> Result<Image> {
    in_place(image, |image| gaussian_blur_in_place(image, sigma, kernel))
}

pub(crate) fn gaussian_blur_in_place(image: &mut Image, sigma: f32, kernel: usize) -> Result<()> {
    let range = "a number from 0 to 170, above 0 if the kernel is 0";
    if !(0.0..=170.0).contains(&sigma) || (sigma == 0.0 && kernel == 0) {
        return Err(parameter("gaussian_blur", "sigma", range, sigma.to_string()));
    }
    if kernel > LARGEST_KERNEL || (kernel > 0 && kernel.is_multiple_of(2)) {
        return Err(parameter("gaussian_blur", "kernel", "0 or an odd number to 1023", kernel.to_string()));
    }
    let mut sigma = f64::from(sigma);
    let side = if kernel == 0 { (sigma * 6.0 + 1.0).round_ties_even() as usize | 1 } else { kernel };
    let weights = if sigma == 0.0 && side <= 7 {
        // Fixed small kernels, in 1/256: the binomial ones, and two of the same kind.
        match side {
            1 => vec![256],
            3 => vec![128, 64],
            5 => vec![96, 64, 16],
            _ => vec![72, 56, 28, 8],
        }
    } else {
        if sigma == 0.0 {
            sigma = 0.3 * ((side - 1) as f64 * 0.5 - 1.0) + 0.8;
        }
        fixed_gaussian(sigma, side / 2)
    };
    if weights.len() > 1 {
        let (width, channels) = (image.width(), image.channels());
        kernels::blur_symmetric(Isa::detect(), image.pixels_mut(), width, channels, &weights);
    }
    Ok(())
}

/// Weights at 0..=radius in 1/256, whose sum over both sides is exactly 256.
fn fixed_gaussian(sigma: f64, radius: usize) -> Vec<u16> {
    let weight = |i: usize| (-0.5 * (i as f64 / sigma).powi(2)).exp();
    let total = 1.0 + 2.0 * (1..=radius).map(weight).sum::<f64>();
    let mut weights = vec![0u16; radius + 1];
    let (mut carried, mut sum) = (0.0, 0);
    for i in (1..=radius).rev() {
        let exact = 256.0 * weight(i) / total + carried;
        let rounded = exact.round_ties_even();
        carried = exact - rounded;
        weights[i] = rounded as u16;
        sum += rounded as u16;
    }
    weights[0] = 256 - 2 * sum;
    weights
}

/// Copies a row with `radius` mirrored pixels on both sides.
fn pad_row(row: &[u8], width: usize, channels: usize, radius: usize, padded: &mut [u8]) {
    let len = row.len();
    padded[radius * channels..][..len].copy_from_slice(row);
    for i in 0..radius {
        let left = reflect(i as isize - radius as isize, width) * channels;
        padded[i * channels..][..channels].copy_from_slice(&row[left..][..channels]);
        let right = reflect((width + i) as isize, width) * channels;
        padded[(radius + width + i) * channels..][..channels].copy_from_slice(&row[right..][..channels]);
    }
}

/// Mean over a square of odd side `kernel`, rounded to nearest; all channels, alpha too.
///
/// Sums slide along columns, and along rows too for kernels above 15, so that the cost hardly depends on the kernel.
///
/// # Errors
/// A kernel that is even or above 1023.
///
/// # Source
/// OpenCV's `blur` with its default border.
pub fn box_blur(image: &Image, kernel: usize) -> Result<Image> {
    if kernel.is_multiple_of(2) || kernel > LARGEST_KERNEL {
        return Err(parameter("box_blur", "kernel", "an odd number to 1023", kernel.to_string()));
    }
    Ok(if kernel <= 15 { small_box(image, kernel) } else { large_box(image, kernel) })
}

/// Kernels to 15: at most 15 * 15 * 255, all sums fit in 16 bits.
fn small_box(image: &Image, kernel: usize) -> Image {
    let (width, height, channels) = (image.width(), image.height(), image.channels());
    let radius = kernel / 2;
    let len = width * channels;
    let mut rows = vec![0u16; len * height];
    let mut padded = vec![0u8; len + 2 * radius * channels];
    for (y, sums) in rows.chunks_exact_mut(len).enumerate() {
        pad_row(image.row(y), width, channels, radius, &mut padded);
        for shift in 0..kernel {
            for (sum, &v) in sums.iter_mut().zip(&padded[shift * channels..]) {
                *sum += u16::from(v);
            }
        }
    }
    let row = |y: usize, shift: usize| {
        &rows[reflect((y + shift) as isize - radius as isize, height) * len..][..len]
    };
    let mut sums = vec![0u16; len];
    for shift in 0..kernel {
        for (sum, v) in sums.iter_mut().zip(row(0, shift)) {
            *sum += v;
        }
    }
    let scale = 1.0 / (kernel * kernel) as f32;
    let mut pixels = vec![0u8; len * height];
    for (y, out) in pixels.chunks_exact_mut(len).enumerate() {
        for (o, &sum) in out.iter_mut().zip(&sums) {
            // Beyond 2^23 floats are whole numbers: the addition rounds, and the mean is the lowest byte. There are no
            // ties, since the area is odd.
            *o = (f32::from(sum) * scale + 8_388_608.0).to_bits() as u8;
        }
        for ((sum, old), new) in sums.iter_mut().zip(row(y, 0)).zip(row(y, kernel)) {
            *sum = sum.wrapping_add(*new).wrapping_sub(*old);
        }
    }
    Image::from_parts(width, height, channels, pixels)
}

fn large_box(image: &Image, kernel: usize) -> Image {
    let (width, height, channels) = (image.width(), image.height(), image.channels());
    let radius = kernel / 2;
    let len = width * channels;
    let mut columns = vec![0u32; len];
    for i in 0..kernel {
        let row = image.row(reflect(i as isize - radius as isize, height));
        for (sum, &v) in columns.iter_mut().zip(row) {
            *sum += u32::from(v);
        }
    }
    let mut padded = vec![0u32; len + 2 * radius * channels];
    let scale = 1.0 / (kernel * kernel) as f64;
    let mut pixels = vec![0u8; len * height];
    for (y, out) in pixels.chunks_exact_mut(len).enumerate() {
        for (i, padded) in padded.chunks_exact_mut(channels).enumerate() {
            let from = reflect(i as isize - radius as isize, width) * channels;
            padded.copy_from_slice(&columns[from..][..channels]);
        }
        let mut sums = [0u32; 4];
        for pixel in padded.chunks_exact(channels).take(kernel) {
            for (sum, &v) in sums.iter_mut().zip(pixel) {
                *sum += v;
            }
        }
        let leaving = padded.chunks_exact(channels);
        let mut entering = padded[kernel.min(padded.len() / channels) * channels..].chunks_exact(channels);
        for (o, leaving) in out.chunks_exact_mut(channels).zip(leaving) {
            let entering = entering.next().unwrap_or(leaving);
            for ((o, sum), (&old, &new)) in o.iter_mut().zip(&mut sums).zip(leaving.iter().zip(entering)) {
                *o = (f64::from(*sum) * scale + 0.5) as u8;
                *sum = *sum + new - old;
            }
        }
        let at = |i: usize| image.row(reflect((y + i) as isize - radius as isize, height));
        for ((sum, &old), &new) in columns.iter_mut().zip(at(0)).zip(at(kernel)) {
            *sum = *sum + u32::from(new) - u32::from(old);
        }
    }
    Image::from_parts(width, height, channels, pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_and_fall() {
        for (sigma, radius) in [(0.3, 1), (1.0, 3), (2.5, 8), (6.0, 18), (170.0, 511)] {
            let weights = fixed_gaussian(sigma, radius);
            let sum: u32 = weights.iter().skip(1).map(|&w| 2 * u32::from(w)).sum();
            assert_eq!(sum + u32::from(weights[0]), 256, "sigma {sigma}");
        }
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let image = Image::filled(3, 3, 1, 9).unwrap();
        for (sigma, kernel) in [(f32::NAN, 3), (-1.0, 3), (1.0, 4), (0.0, 0), (1.0, 1025)] {
            assert!(gaussian_blur(&image, sigma, kernel).is_err(), "{sigma} {kernel}");
        }
        let err = box_blur(&image, 2).unwrap_err();
        assert_eq!(err.to_string(), "box_blur: kernel must be an odd number to 1023, found 2");
    }
}
