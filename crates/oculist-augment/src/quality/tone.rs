//! Brightness and contrast as the corruption benchmark defines them.

use super::{at_least, map_colors};
use crate::Image;
use crate::error::{Result, parameter};

/// Adds `amount` to the value of HSV, cut to 0..=1; hue and saturation stay.
///
/// The value V is the largest channel, so that the colour is scaled by `min(V + amount, 1) / V`; black becomes grey.
/// Alpha stays. The result is rounded to nearest.
///
/// # Errors
/// An amount outside -1..=1.
///
/// # Source
/// Hendrycks and Dietterich 2019, brightness; there values are cut after scaling, here they are rounded.
pub fn brightness(image: &Image, amount: f32) -> Result<Image> {
    at_least("brightness", "amount", amount, -1.0, 1.0)?;
    let shift = f64::from(amount) * 255.0;
    let raised = |v: u8| (f64::from(v) + shift).clamp(0.0, 255.0);
    let factors: Vec<f64> = (0..=255).map(|v| raised(v) / f64::from(v)).collect();
    let turned = |v: u8, most: u8| (f64::from(v) * factors[usize::from(most)] + 0.5) as u8;
    let black = (raised(0) + 0.5) as u8;
    let mut out = image.clone();
    for pixel in out.pixels_mut().chunks_exact_mut(image.channels()) {
        let colors = if pixel.len() == 4 { 3 } else { pixel.len() };
        let colors = &mut pixel[..colors];
        match colors.iter().copied().max() {
            Some(most) if most > 0 => colors.iter_mut().for_each(|v| *v = turned(*v, most)),
            _ => colors.fill(black),
        }
    }
    Ok(out)
}

/// Scales the distance of every value from its channel's mean: `m + factor (x - m)`.
///
/// Alpha stays. The result is rounded to nearest.
///
/// # Errors
/// A factor that is negative, above 100 or no number.
///
/// # Source
/// Hendrycks and Dietterich 2019, contrast; there values are cut after scaling, here they are rounded.
pub fn contrast(image: &Image, factor: f32) -> Result<Image> {
    if !(0.0..=100.0).contains(&factor) {
        return Err(parameter("contrast", "factor", "within 0..=100", factor.to_string()));
    }
    let channels = image.channels();
    let count = (image.width() * image.height()) as f64;
    let tables: Vec<[u8; 256]> = (0..channels)
        .map(|c| {
            let sum: u64 = image.pixels().iter().skip(c).step_by(channels).map(|&v| u64::from(v)).sum();
            let mean = sum as f64 / count;
            std::array::from_fn(|v| (mean + f64::from(factor) * (v as f64 - mean) + 0.5) as u8)
        })
        .collect();
    let colors = if channels == 4 { 3 } else { channels };
    let mut at = 0;
    Ok(map_colors(image, |v| {
        let table = &tables[at];
        at = if at + 1 == colors { 0 } else { at + 1 };
        table[usize::from(v)]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brightness_keeps_the_ratio_of_channels() {
        let image = Image::new(3, 1, 3, vec![100, 50, 0, 0, 0, 0, 255, 128, 1]).unwrap();
        assert_eq!(brightness(&image, 0.2).unwrap().pixels(), [151, 76, 0, 51, 51, 51, 255, 128, 1]);
    }

    #[test]
    fn contrast_keeps_the_mean_of_each_channel_and_alpha() {
        let image = Image::new(2, 1, 4, vec![0, 10, 100, 7, 100, 30, 200, 9]).unwrap();
        assert_eq!(contrast(&image, 0.5).unwrap().pixels(), [25, 15, 125, 7, 75, 25, 175, 9]);
        assert!(contrast(&image, f32::NAN).is_err() && brightness(&image, 1.5).is_err());
    }
}
