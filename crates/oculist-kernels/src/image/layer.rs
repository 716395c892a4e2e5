//! Pictures and planes of floats: light and weather, mixtures, a network's input.

use super::color::{BLOCK, luma_block, planar};
use super::lanes::{Lanes, per_isa, to_byte};

per_isa! {
    /// `x * scale[i] + offset[i] * tint[c] + 0.5`, cut to 0..=255 and truncated, for the colours of each pixel i.
    ///
    /// Grey pictures (1 channel) use the first tint.
    ///
    /// # Panics
    /// If the lengths do not fit, there are not 1, 3 or 4 channels, or the processor lacks `isa`.
    pub fn shade_colors(pixels: &mut [u8], channels: usize, scale: &[f32], offset: &[f32], tint: [f32; 3]) = shade;
    /// `keep * x + (1 - keep) * max(x, 1.5 l + 127.5) + 255 * flakes[i]`, rounded to nearest and cut to 0..=255, for the
    /// colours of each pixel i, whose luma is l.
    ///
    /// # Panics
    /// If the lengths do not fit, there are not 1, 3 or 4 channels, or the processor lacks `isa`.
    pub fn snow_colors(pixels: &mut [u8], channels: usize, flakes: &[f32], keep: f32) = snow;
    /// `sum[i] += weight * x[i]`.
    ///
    /// # Panics
    /// If the lengths differ, or the processor lacks `isa`.
    pub fn add_weighted(sum: &mut [f32], values: &[u8], weight: f32) = weighted;
    /// `x * scale[c] + bias[c]` with c = i mod the number of channels, 1 or 3, which is that of scales.
    ///
    /// # Panics
    /// If the lengths differ, there are not 1 or 3 channels, or the processor lacks `isa`.
    pub fn normalize(pixels: &[u8], scale: &[f32], bias: &[f32], out: &mut [f32]) = normalized;
}

#[inline(always)]
fn shade<L: Lanes>(
    lanes: L,
    pixels: &mut [u8],
    channels: usize,
    scale: &[f32],
    offset: &[f32],
    tint: [f32; 3],
) {
    let bytes = scale.len().checked_mul(channels);
    assert!(bytes == Some(pixels.len()) && scale.len() == offset.len(), "lengths of the layers");
    if channels == 1 {
        for ((v, s), o) in pixels.iter_mut().zip(scale).zip(offset) {
            *v = to_byte(f32::from(*v) * s + o * tint[0] + 0.5);
        }
        return;
    }
    planar(lanes, pixels, channels, |first, planes| {
        for (plane, tint) in planes.iter_mut().zip(tint) {
            for ((v, s), o) in plane.iter_mut().zip(&scale[first..]).zip(&offset[first..]) {
                *v = to_byte(f32::from(*v) * s + o * tint + 0.5);
            }
        }
    });
}

#[inline(always)]
fn snow<L: Lanes>(lanes: L, pixels: &mut [u8], channels: usize, flakes: &[f32], keep: f32) {
    assert_eq!(flakes.len().checked_mul(channels), Some(pixels.len()), "length of the flakes");
    let whiten = |v: &mut u8, luma: u8, flake: f32| {
        let (x, lit) = (f32::from(*v), f32::from(luma) * 1.5 + 127.5);
        let light = if x > lit { x } else { lit };
        *v = to_byte(keep * x + (1.0 - keep) * light + 255.0 * flake + 0.5);
    };
    if channels == 1 {
        for (v, &flake) in pixels.iter_mut().zip(flakes) {
            let luma = *v;
            whiten(v, luma, flake);
        }
        return;
    }
    planar(lanes, pixels, channels, |first, planes| {
        let mut luma = [0; BLOCK];
        luma_block(planes, &mut luma);
        for plane in planes {
            for ((v, &l), &flake) in plane.iter_mut().zip(&luma).zip(&flakes[first..]) {
                whiten(v, l, flake);
            }
        }
    });
}

#[inline(always)]
fn weighted<L: Lanes>(_: L, sum: &mut [f32], values: &[u8], weight: f32) {
    assert_eq!(sum.len(), values.len(), "lengths");
    for (sum, &v) in sum.iter_mut().zip(values) {
        *sum += weight * f32::from(v);
    }
}

/// Values handled at once: a multiple of 3, so that the channels repeat, and of 16.
const PATTERN: usize = 192;

#[inline(always)]
fn normalized<L: Lanes>(_: L, pixels: &[u8], scale: &[f32], bias: &[f32], out: &mut [f32]) {
    assert_eq!(pixels.len(), out.len(), "pixels and output");
    let channels = scale.len();
    assert!(matches!(channels, 1 | 3) && bias.len() == channels, "channels of scale and bias");
    let scale: [f32; PATTERN] = std::array::from_fn(|i| scale[i % channels]);
    let bias: [f32; PATTERN] = std::array::from_fn(|i| bias[i % channels]);
    for (out, pixels) in out.chunks_mut(PATTERN).zip(pixels.chunks(PATTERN)) {
        for ((o, &v), (s, b)) in out.iter_mut().zip(pixels).zip(scale.iter().zip(&bias)) {
            *o = f32::from(v) * s + b;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    #[test]
    fn snow_is_the_formula_and_leaves_alpha() {
        for channels in [1, 3, 4] {
            for n in [1, 63, 64, 65, 300] {
                let old: Vec<u8> = (0..n * channels).map(|i| (i * 89 % 256) as u8).collect();
                let flakes: Vec<f32> = (0..n).map(|i| (i * 37 % 11) as f32 / 40.0).collect();
                let value = |i: usize, keep: f64| {
                    let (pixel, c) = (&old[i / channels * channels..][..channels], i % channels);
                    let x = f64::from(pixel[c]);
                    if c == 3 {
                        return x;
                    }
                    let luma = if channels == 1 {
                        x
                    } else {
                        let parts = [19595.0, 38470.0, 7471.0].iter().zip(pixel);
                        (parts.map(|(w, &v)| w * f64::from(v)).sum::<f64>() / 65536.0 + 0.5).floor()
                    };
                    let light = x.max(1.5 * luma + 127.5);
                    keep * x + (1.0 - keep) * light + 255.0 * f64::from(flakes[i / channels])
                };
                for isa in Isa::available() {
                    let mut got = old.clone();
                    snow_colors(isa, &mut got, channels, &flakes, 0.7);
                    let far = |keep| {
                        let off = |(i, &v): (usize, &u8)| (f64::from(v) - value(i, keep).min(255.0)).abs();
                        got.iter().enumerate().map(off).fold(0.0, f64::max)
                    };
                    assert!(far(0.7) < 0.501, "{isa} {n}x{channels}: {}", far(0.7));
                    assert!(n < 63 || far(0.65) > 0.501, "the twin: another weight is told apart");
                }
            }
        }
    }
}
