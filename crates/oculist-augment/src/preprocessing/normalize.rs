//! Bytes to normalised floats.

use oculist_kernels::{Isa, image};

/// `out[i] = (pixels[i] / 255 - mean[c]) / std[c]` with c = i mod channels, as one multiply-add.
///
/// # Panics
/// If the lengths differ or there are not 1 or 3 channels.
pub(super) fn normalize(pixels: &[u8], mean: &[f32], std: &[f32], out: &mut [f32]) {
    assert_eq!(pixels.len(), out.len(), "pixels and output");
    let channels = mean.len();
    assert!(matches!(channels, 1 | 3) && std.len() == channels, "channels of mean and std");
    let [mut scale, mut bias] = [[0f32; 3]; 2];
    for c in 0..channels {
        let (m, s) = (f64::from(mean[c]), f64::from(std[c]));
        let exact = 1.0 / (255.0 * s);
        // 1/255 has no exact f32; pixels that are to stay as they are do.
        let whole = exact.round();
        scale[c] = if whole >= 1.0 && (exact - whole).abs() < 1e-6 * whole { whole } else { exact } as f32;
        bias[c] = (-m / s) as f32;
    }
    image::normalize(Isa::detect(), pixels, &scale[..channels], &bias[..channels], out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_as_they_are_stay_whole_numbers() {
        let pixels: Vec<u8> = (0..=255).collect();
        for std in [1.0f32 / 255.0, 1.0 / 510.0] {
            let mut out = vec![f32::NAN; 256];
            normalize(&pixels, &[0.0], &[std], &mut out);
            let factor = (1.0 / (255.0 * std)).round();
            assert!(out.iter().zip(&pixels).all(|(o, p)| *o == factor * f32::from(*p)), "{std}");
        }
    }

    #[test]
    fn equals_the_formula() {
        let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        for channels in [1usize, 3] {
            for count in [channels, 48, 51, 48 * 5 + 3 * 7] {
                let pixels: Vec<u8> = (0..count).map(|i| (i * 37) as u8).collect();
                let mut out = vec![f32::NAN; count];
                normalize(&pixels, &mean[..channels], &std[..channels], &mut out);
                for i in 0..count {
                    let c = i % channels;
                    let want = (f64::from(pixels[i]) / 255.0 - f64::from(mean[c])) / f64::from(std[c]);
                    assert!((f64::from(out[i]) - want).abs() < 1e-6, "{} {want}", out[i]);
                }
            }
        }
    }
}
