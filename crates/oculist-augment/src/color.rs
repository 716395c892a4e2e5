//! Operations on colours, with Pillow's arithmetic where Pillow has the operation.
//!
//! Grey images have neither saturation nor hue: those operations leave them alone. The alpha channel of
//! RGBA images is never touched.

use crate::Image;
use serde::{Deserialize, Serialize};

/// One colour operation with its parameter.
///
/// Factors: 1 changes nothing, 0 is black, flat grey or colourless; negative factors count as 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adjustment {
    /// `factor * x`.
    Brightness(f32),
    /// `m + factor * (x - m)`, m the rounded mean of the whole image in grey.
    Contrast(f32),
    /// `l + factor * (x - l)`, l the pixel in grey.
    Saturation(f32),
    /// Turns the hue in HSV space by this part of a full circle, -0.5..=0.5.
    Hue(f32),
}

/// Applies one colour operation.
///
/// # Source
/// Brightness, contrast and saturation: Pillow's `ImageEnhance` (which truncates, and so do we). Hue: HSV
/// as in Python's `colorsys`, in f32 and rounded once (Pillow's own 8-bit HSV would quantise twice).
pub fn adjust(image: Image, adjustment: Adjustment) -> Image {
    match adjustment {
        Adjustment::Brightness(factor) => with_table(image, &blend_table(0, factor)),
        Adjustment::Contrast(factor) => {
            let table = blend_table(mean_luma(&image), factor);
            with_table(image, &table)
        }
        Adjustment::Saturation(factor) => saturation(image, factor.max(0.0)),
        Adjustment::Hue(turn) => hue(image, turn),
    }
}

/// Luma of Rec. 601 in 16-bit fixed point, rounded: Pillow's `convert("L")`.
#[inline(always)]
pub(crate) fn luma(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

/// One channel of grey; alpha is dropped, a grey image stays as it is.
pub fn to_grey(image: Image) -> Image {
    let (width, height) = (image.width(), image.height());
    let pixels = match image.channels() {
        1 => return image,
        3 => image.pixels().as_chunks::<3>().0.iter().map(|&[r, g, b]| luma(r, g, b)).collect(),
        _ => image.pixels().as_chunks::<4>().0.iter().map(|&[r, g, b, _]| luma(r, g, b)).collect(),
    };
    Image::from_parts(width, height, 1, pixels)
}

/// Three channels; grey is repeated, alpha is dropped.
pub fn to_rgb(image: Image) -> Image {
    let (width, height) = (image.width(), image.height());
    let mut pixels = vec![0; width * height * 3];
    let out = pixels.as_chunks_mut::<3>().0.iter_mut();
    match image.channels() {
        3 => return image,
        1 => out.zip(image.pixels()).for_each(|(out, &v)| *out = [v; 3]),
        _ => out.zip(image.pixels().as_chunks::<4>().0).for_each(|(out, &[r, g, b, _])| *out = [r, g, b]),
    }
    Image::from_parts(width, height, 3, pixels)
}

/// `from + factor * (to - from)` in f32, cut to 0..=255 and truncated.
#[inline(always)]
fn blend(from: u8, to: u8, factor: f32) -> u8 {
    // The conversion of a float to u8 saturates, which is the cut.
    (f32::from(from) + factor * (f32::from(to) - f32::from(from))) as u8
}

fn blend_table(from: u8, factor: f32) -> [u8; 256] {
    let factor = factor.max(0.0);
    std::array::from_fn(|value| blend(from, value as u8, factor))
}

fn with_table(mut image: Image, table: &[u8; 256]) -> Image {
    if image.channels() == 4 {
        for [r, g, b, _] in image.pixels_mut().as_chunks_mut::<4>().0 {
            (*r, *g, *b) = (table[usize::from(*r)], table[usize::from(*g)], table[usize::from(*b)]);
        }
    } else {
        for value in image.pixels_mut() {
            *value = table[usize::from(*value)];
        }
    }
    image
}

/// The mean of the grey image, rounded half up.
fn mean_luma(image: &Image) -> u8 {
    let pixels = image.pixels();
    let sum: u64 = match image.channels() {
        1 => pixels.iter().map(|&v| u64::from(v)).sum(),
        3 => pixels.as_chunks::<3>().0.iter().map(|&[r, g, b]| u64::from(luma(r, g, b))).sum(),
        _ => pixels.as_chunks::<4>().0.iter().map(|&[r, g, b, _]| u64::from(luma(r, g, b))).sum(),
    };
    let count = (image.width() * image.height()) as f64;
    (sum as f64 / count + 0.5) as u8
}

/// Calls `f` on the colour channels of every pixel; grey images are left alone.
fn each_rgb(mut image: Image, f: impl Fn([u8; 3]) -> [u8; 3]) -> Image {
    match image.channels() {
        3 => image.pixels_mut().as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| *pixel = f(*pixel)),
        4 => {
            for [r, g, b, _] in image.pixels_mut().as_chunks_mut::<4>().0 {
                [*r, *g, *b] = f([*r, *g, *b]);
            }
        }
        _ => {}
    }
    image
}

fn saturation(image: Image, factor: f32) -> Image {
    each_rgb(image, |[r, g, b]| {
        let grey = luma(r, g, b);
        [blend(grey, r, factor), blend(grey, g, factor), blend(grey, b, factor)]
    })
}

fn hue(image: Image, turn: f32) -> Image {
    let turn = turn - turn.floor();
    if turn == 0.0 || !turn.is_finite() {
        return image;
    }
    let shift = turn * 6.0;
    each_rgb(image, |rgb| turn_hue(rgb, shift))
}

/// Turns the hue by `shift` sixths of a circle, 0..6.
///
/// The largest and the least channel value stay, so that saturation and value stay. With chroma = max - min
/// and h the hue in sixths, a channel is `min + chroma * clamp(|(h + k) mod 6 - 3| - 1, 0, 1)`, where k is 0
/// for red, 4 for green and 2 for blue.
fn turn_hue([r, g, b]: [u8; 3], shift: f32) -> [u8; 3] {
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    if max == min {
        return [r, g, b];
    }
    let chroma = f32::from(max - min);
    let (fr, fg, fb) = (f32::from(r), f32::from(g), f32::from(b));
    let sector = if r == max {
        (fg - fb) / chroma
    } else if g == max {
        2.0 + (fb - fr) / chroma
    } else {
        4.0 + (fr - fg) / chroma
    };
    let mut h = sector + shift;
    if h < 0.0 {
        h += 6.0;
    }
    if h >= 6.0 {
        h -= 6.0;
    }
    let channel = |offset: f32| {
        // Distance to the channel's opposite colour, in sixths; below 1 the channel is at its least.
        let mut k = h + offset;
        if k >= 6.0 {
            k -= 6.0;
        }
        let part = ((k - 3.0).abs() - 1.0).clamp(0.0, 1.0);
        (f32::from(min) + chroma * part + 0.5) as u8
    };
    [channel(0.0), channel(4.0), channel(2.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rgb(pixel: [u8; 3]) -> Image {
        Image::new(1, 1, 3, pixel.to_vec()).unwrap()
    }

    #[test]
    fn factors_of_one_change_nothing() {
        let image = Image::new(4, 4, 3, (0..48).map(|i| (i * 31) as u8).collect()).unwrap();
        for same in [
            Adjustment::Brightness(1.0),
            Adjustment::Contrast(1.0),
            Adjustment::Saturation(1.0),
            Adjustment::Hue(0.0),
            Adjustment::Hue(1.0),
        ] {
            assert_eq!(adjust(image.clone(), same), image, "{same:?}");
        }
    }

    #[test]
    fn the_named_ends_are_reached() {
        let image = Image::new(2, 1, 3, vec![200, 100, 50, 10, 20, 30]).unwrap();
        assert_eq!(adjust(image.clone(), Adjustment::Brightness(0.0)).pixels(), [0; 6]);
        assert_eq!(adjust(image.clone(), Adjustment::Brightness(2.0)).pixels(), [255, 200, 100, 20, 40, 60]);
        let flat = adjust(image.clone(), Adjustment::Contrast(0.0));
        assert!(flat.pixels().iter().all(|&v| v == flat.pixels()[0]));
        let grey = adjust(image.clone(), Adjustment::Saturation(0.0));
        assert_eq!(grey, to_rgb(to_grey(image)));
    }

    #[test]
    fn a_third_of_a_turn_swaps_channels() {
        assert_eq!(adjust(rgb([200, 100, 50]), Adjustment::Hue(1.0 / 3.0)).pixels(), [50, 200, 100]);
        assert_eq!(adjust(rgb([200, 100, 50]), Adjustment::Hue(-1.0 / 3.0)).pixels(), [100, 50, 200]);
        assert_eq!(adjust(rgb([255, 0, 0]), Adjustment::Hue(0.5)).pixels(), [0, 255, 255]);
        assert_eq!(adjust(rgb([7, 7, 7]), Adjustment::Hue(0.3)).pixels(), [7, 7, 7]);
    }

    #[test]
    fn alpha_and_grey_are_left_alone() {
        let rgba = Image::new(1, 1, 4, vec![200, 100, 50, 77]).unwrap();
        for op in [Adjustment::Brightness(0.5), Adjustment::Saturation(0.5), Adjustment::Hue(0.2)] {
            assert_eq!(adjust(rgba.clone(), op).pixels()[3], 77);
            assert_eq!(
                adjust(rgba.clone(), op).pixels()[..3],
                *adjust(to_rgb(rgba.clone()), op).pixels(),
                "{op:?}"
            );
        }
        let grey = Image::new(2, 1, 1, vec![5, 250]).unwrap();
        assert_eq!(adjust(grey.clone(), Adjustment::Saturation(0.1)), grey);
        assert_eq!(adjust(grey.clone(), Adjustment::Hue(0.1)), grey);
        assert_eq!(adjust(grey, Adjustment::Brightness(0.5)).pixels(), [2, 125]);
    }
}
