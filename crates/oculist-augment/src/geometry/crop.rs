//! Cutting out and padding.

use super::Border;
use crate::error::{Result, parameter};
use crate::image::room;
use crate::{Image, ImageRef};
use oculist_kernels::Isa;
use oculist_kernels::image::flip::reverse;
use std::ops::Range;

/// Cuts the window of `width` x `height` pixels whose top left corner is (left, top).
///
/// The window may reach outside the image or lie outside it: those pixels come from the border, so that
/// padding and cropping cost one pass.
///
/// # Errors
/// A width or height of 0.
pub fn crop<'a>(
    image: impl Into<ImageRef<'a>>,
    left: isize,
    top: isize,
    width: usize,
    height: usize,
    border: Border,
) -> Result<Image> {
    let image = image.into();
    cut(image, (left, top, width, height), border, false)
}

/// As [`crop`], mirrored left and right in the same pass.
///
/// # Errors
/// A width or height of 0.
pub fn crop_mirrored<'a>(
    image: impl Into<ImageRef<'a>>,
    left: isize,
    top: isize,
    width: usize,
    height: usize,
    border: Border,
) -> Result<Image> {
    let image = image.into();
    cut(image, (left, top, width, height), border, true)
}

fn cut(
    image: ImageRef<'_>,
    (left, top, width, height): (isize, isize, usize, usize),
    border: Border,
    mirrored: bool,
) -> Result<Image> {
    if width == 0 || height == 0 {
        return Err(parameter("crop", "width and height", "at least 1", format!("{width}x{height}")));
    }
    let channels = image.channels();
    let mut pixels = room(width, height, channels)?;
    let row_len = width * channels;
    // Columns of the window that lie inside the image are copied as one run per row.
    let inside_from = left.clamp(0, image.width() as isize);
    let inside_to = left.saturating_add_unsigned(width).clamp(inside_from, image.width() as isize);
    let run = inside_from as usize * channels..inside_to as usize * channels;
    // Where the window lies beside the image, all its columns are outside, counted as those to the left.
    let before = if run.is_empty() { width } else { (inside_from - left) as usize };
    let after = width - before - run.len() / channels;
    let outside = |columns: Range<usize>| {
        runs(columns.filter_map(|x| border.resolve(left.saturating_add_unsigned(x), image.width())), channels)
    };
    let (at_left, at_right) = (outside(0..before), outside(width - after..width));
    let isa = Isa::detect();
    let mut copy = vec![0; if mirrored { row_len } else { 0 }];
    for y in 0..height {
        let line = top.saturating_add_unsigned(y);
        let start = pixels.len();
        let Some(source_y) = border.resolve(line, image.height()) else {
            pixels.resize(start + row_len, border.fill());
            continue;
        };
        // A row that is already there in the result is copied whole.
        if line >= image.height() as isize && top <= source_y as isize {
            let there = (source_y as isize - top) as usize * row_len;
            pixels.extend_from_within(there..there + row_len);
            continue;
        }
        let row = image.row(source_y);
        let side = |pixels: &mut Vec<u8>, runs: &[Run], columns: usize| {
            if border.is_constant() {
                pixels.resize(pixels.len() + columns * channels, border.fill());
            }
            for run in runs {
                let shown = &row[run.bytes.clone()];
                if run.mirrored {
                    let from = pixels.len();
                    pixels.resize(from + shown.len(), 0);
                    reverse(isa, shown, &mut pixels[from..], channels);
                } else {
                    pixels.extend_from_slice(shown);
                }
            }
        };
        side(&mut pixels, &at_left, before);
        pixels.extend_from_slice(&row[run.clone()]);
        side(&mut pixels, &at_right, after);
        if mirrored {
            copy.copy_from_slice(&pixels[start..]);
            reverse(isa, &copy, &mut pixels[start..], channels);
        }
    }
    Ok(Image::from_parts(width, height, channels, pixels))
}

/// Neighbouring pixels of a row, shown in their order or the other way round.
struct Run {
    bytes: Range<usize>,
    mirrored: bool,
}

/// Columns that are shown one after the other, as few runs.
fn runs(columns: impl Iterator<Item = usize>, channels: usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for x in columns {
        let bytes = x * channels..(x + 1) * channels;
        match runs.last_mut() {
            Some(run) if run.bytes.end == bytes.start && !run.mirrored => run.bytes.end = bytes.end,
            Some(run) if run.bytes.start == bytes.end && (run.mirrored || run.bytes.len() == channels) => {
                (run.bytes.start, run.mirrored) = (bytes.start, true);
            }
            _ => runs.push(Run { bytes, mirrored: false }),
        }
    }
    runs
}

/// Cuts the middle window of `width` x `height`; the odd pixel stays at the right and the bottom.
///
/// Where the image is smaller than the window, the border fills up.
///
/// # Errors
/// A width or height of 0.
pub fn center_crop<'a>(
    image: impl Into<ImageRef<'a>>,
    width: usize,
    height: usize,
    border: Border,
) -> Result<Image> {
    let image = image.into();
    let offset = |have: usize, want: usize| (have as isize - want as isize).div_euclid(2);
    crop(image, offset(image.width(), width), offset(image.height(), height), width, height, border)
}

/// Adds pixels on the four sides.
///
/// # Errors
/// A padded size that does not fit in memory's address range.
pub fn pad<'a>(
    image: impl Into<ImageRef<'a>>,
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
    border: Border,
) -> Result<Image> {
    let image = image.into();
    let total = |a: usize, b: usize, c: usize| a.checked_add(b)?.checked_add(c).filter(|&n| n < 1 << 31);
    match (total(left, image.width(), right), total(top, image.height(), bottom)) {
        (Some(width), Some(height)) => crop(image, -(left as isize), -(top as isize), width, height, border),
        _ => Err(parameter(
            "pad",
            "padding",
            "small enough for sides below 2^31",
            format!("{left}, {top}, {right}, {bottom}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(width: usize, height: usize, channels: usize) -> Image {
        Image::new(width, height, channels, (0..width * height * channels).map(|i| i as u8).collect())
            .unwrap()
    }

    #[test]
    fn crop_equals_the_definition() {
        for channels in [1, 3, 4] {
            let image = numbered(4, 3, channels);
            for border in
                [Border::Constant(77), Border::Edge, Border::Reflect, Border::Symmetric, Border::Wrap]
            {
                for left in -6..6 {
                    for top in -5..5 {
                        let out = crop(&image, left, top, 5, 4, border).unwrap();
                        let mirrored = crop_mirrored(&image, left, top, 5, 4, border).unwrap();
                        assert_eq!(mirrored, super::super::flip_horizontal(out.clone()));
                        for y in 0..4 {
                            for x in 0..5 {
                                let sx = border.resolve(left + x as isize, 4);
                                let sy = border.resolve(top + y as isize, 3);
                                let fill = vec![77; channels];
                                let want = match (sx, sy) {
                                    (Some(sx), Some(sy)) => image.pixel(sx, sy),
                                    _ => &fill,
                                };
                                assert_eq!(out.pixel(x, y), want, "{border:?} {left} {top} {x} {y}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn padding_surrounds_the_image() {
        let image = numbered(2, 1, 1);
        let out = pad(&image, 1, 1, 2, 0, Border::Constant(9)).unwrap();
        assert_eq!((out.width(), out.height()), (5, 2));
        assert_eq!(out.pixels(), [9, 9, 9, 9, 9, 9, 0, 1, 9, 9]);
        assert!(pad(&image, usize::MAX, 0, 2, 0, Border::Edge).is_err());
    }

    #[test]
    fn the_centre_is_the_centre() {
        let image = numbered(5, 1, 1);
        assert_eq!(center_crop(&image, 3, 1, Border::Edge).unwrap().pixels(), [1, 2, 3]);
        assert_eq!(center_crop(&image, 2, 1, Border::Edge).unwrap().pixels(), [1, 2]);
        assert_eq!(center_crop(&image, 7, 1, Border::Constant(8)).unwrap().pixels(), [8, 0, 1, 2, 3, 4, 8]);
        assert!(center_crop(&image, 0, 1, Border::Edge).is_err());
    }
}
