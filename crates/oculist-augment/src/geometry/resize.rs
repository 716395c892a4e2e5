//! Resizing as Pillow does it, and without antialiasing as OpenCV does it.

use super::Border;
use crate::error::{Error, Result, parameter};
use crate::image::zeros;
use crate::{Image, ImageRef};
use fast_image_resize as fir;
use oculist_kernels::Isa;
use oculist_kernels::image::resize::{self as kernels, Axis, Kernel};
use serde::{Deserialize, Serialize};

/// Up to here sampling rows before columns is faster; `fast_image_resize` takes columns first.
const LARGEST_REDUCTION: f64 = 3.5;

/// How new pixels are made from old ones.
///
/// In resizing, all but `Nearest` widen their filter by the reduction factor (antialiasing), which is Pillow's
/// rule and torchvision's `antialias=True`, unless [`Resampling`] says otherwise. Warps (affine, perspective, distortions)
/// do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// The nearest pixel.
    Nearest,
    /// A triangle filter.
    #[default]
    Bilinear,
    /// Cubic convolution: in resizing a = -0.5 (Catmull-Rom, as Pillow), in warps a = -0.75 (as OpenCV and
    /// PyTorch).
    Bicubic,
}

impl Interpolation {
    /// The name used in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
        }
    }

    fn algorithm(self) -> fir::ResizeAlg {
        match self {
            Self::Nearest => fir::ResizeAlg::Nearest,
            Self::Bilinear => fir::ResizeAlg::Convolution(fir::FilterType::Bilinear),
            Self::Bicubic => fir::ResizeAlg::Convolution(fir::FilterType::CatmullRom),
        }
    }
}

/// How pixels are made in resizing. An [`Interpolation`] alone antialiases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resampling {
    /// The filter.
    pub interpolation: Interpolation,
    /// Whether the filter is widened where the image gets smaller. Without, a new pixel is made of 2x2 old ones (4x4 if
    /// bicubic) whatever the sizes, which is faster, and details in between are lost or make patterns. Nothing changes where
    /// the image gets larger, or for `Nearest`.
    pub antialias: bool,
}

impl From<Interpolation> for Resampling {
    fn from(interpolation: Interpolation) -> Self {
        Self { interpolation, antialias: true }
    }
}

impl Resampling {
    /// The kernels' filter for a reduction along x; none where `fast_image_resize` is used.
    fn kernel(self, reduction: f64) -> Option<Kernel> {
        let small = !self.antialias || reduction <= LARGEST_REDUCTION;
        match self.interpolation {
            Interpolation::Bilinear if small => Some(Kernel::Triangle),
            Interpolation::Bicubic if small => Some(Kernel::Cubic),
            _ => None,
        }
    }
}

/// Antialiasing, where a file says nothing about it.
pub(crate) fn antialiased() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
pub(crate) fn is_antialiased(antialias: &bool) -> bool {
    *antialias
}

/// Resizes to exactly `width` x `height`.
///
/// # Errors
/// A width or height of 0 or above 2^31.
///
/// # Source
/// Pillow's `Image.resize`. Deviations: Pillow rounds to whole levels between its two passes, here to 1/64 level
/// ([`oculist_kernels::image::resize`]), and so cuts what cubic filters overshoot only at the end. Widths that fall to less
/// than 2/7 with antialiasing, and all nearest pixels, are the crate `fast_image_resize`'s, which rounds as Pillow does, but
/// filters columns first. Without antialiasing bilinear pixels are those of OpenCV's `INTER_LINEAR` and torchvision's
/// `antialias=False`; bicubic ones are not, whose cubic has another parameter there.
pub fn resize<'a>(
    image: impl Into<ImageRef<'a>>,
    width: usize,
    height: usize,
    resampling: impl Into<Resampling>,
) -> Result<Image> {
    let image = image.into();
    if width == image.width() && height == image.height() {
        return Ok(image.to_image());
    }
    resized_crop(image, (0, 0, image.width(), image.height()), width, height, resampling)
}

/// Cuts the window (left, top, width, height) and resizes it to `width` x `height` in one pass.
///
/// As with Pillow's `resize(box=...)`, the filter may look at pixels just outside the window.
///
/// # Errors
/// A window that is empty or not inside the image; a target side of 0 or above 2^31.
pub fn resized_crop<'a>(
    image: impl Into<ImageRef<'a>>,
    window: (usize, usize, usize, usize),
    width: usize,
    height: usize,
    resampling: impl Into<Resampling>,
) -> Result<Image> {
    let image = image.into();
    cut(image, window, (width, height), resampling.into(), false)
}

/// As [`resized_crop`], mirrored left and right in the same pass.
///
/// # Errors
/// As [`resized_crop`].
pub fn resized_crop_mirrored<'a>(
    image: impl Into<ImageRef<'a>>,
    window: (usize, usize, usize, usize),
    width: usize,
    height: usize,
    resampling: impl Into<Resampling>,
) -> Result<Image> {
    let image = image.into();
    cut(image, window, (width, height), resampling.into(), true)
}

fn cut(
    image: ImageRef<'_>,
    window: (usize, usize, usize, usize),
    size: (usize, usize),
    resampling: Resampling,
    mirrored: bool,
) -> Result<Image> {
    check_window(image, window)?;
    let (left, top, w, h) = window;
    if (w, h) == size {
        let (left, top) = (left as isize, top as isize);
        return if mirrored {
            super::crop_mirrored(image, left, top, w, h, Border::Edge)
        } else {
            super::crop(image, left, top, w, h, Border::Edge)
        };
    }
    let window = (left as f64, top as f64, w as f64, h as f64);
    sampled(image, window, size, resampling, mirrored)
}

/// As [`resized_crop`], with a window between pixels: left, top, width and height, inside the image.
pub(crate) fn resample<'a>(
    image: impl Into<ImageRef<'a>>,
    window: (f64, f64, f64, f64),
    width: usize,
    height: usize,
    resampling: impl Into<Resampling>,
) -> Result<Image> {
    let image = image.into();
    sampled(image, window, (width, height), resampling.into(), false)
}

fn sampled(
    image: ImageRef<'_>,
    window: (f64, f64, f64, f64),
    (width, height): (usize, usize),
    resampling: Resampling,
    mirrored: bool,
) -> Result<Image> {
    let sides = 1..1usize << 31;
    if !sides.contains(&width) || !sides.contains(&height) {
        return Err(parameter("resize", "width and height", "at least 1", format!("{width}x{height}")));
    }
    let channels = image.channels();
    let mut pixels = zeros(width, height, channels)?;
    let (left, top, w, h) = window;
    let Some(kernel) = resampling.kernel(w / width as f64) else {
        let out = elsewhere(image, window, (width, height, pixels), resampling.interpolation)?;
        return Ok(if mirrored { super::flip_horizontal(out) } else { out });
    };
    let columns = Axis::new(kernel, image.width(), (left, w), width, resampling.antialias);
    let columns = if mirrored { columns.mirrored() } else { columns };
    let lines = Axis::new(kernel, image.height(), (top, h), height, resampling.antialias);
    kernels::resize(Isa::detect(), image.pixels(), image.width(), channels, &columns, &lines, &mut pixels);
    Ok(Image::from_parts(width, height, channels, pixels))
}

/// The same by `fast_image_resize`, into zeros of the target's size.
fn elsewhere(
    image: ImageRef<'_>,
    (left, top, w, h): (f64, f64, f64, f64),
    (width, height, pixels): (usize, usize, Vec<u8>),
    interpolation: Interpolation,
) -> Result<Image> {
    let pixel_type = match image.channels() {
        1 => fir::PixelType::U8,
        3 => fir::PixelType::U8x3,
        4 => fir::PixelType::U8x4,
        found => return Err(Error::Channels { found }),
    };
    let failed = |err: &dyn std::fmt::Display| {
        parameter("resize", "size", "a size that can be resized", err.to_string())
    };
    let source =
        fir::images::ImageRef::new(image.width() as u32, image.height() as u32, image.pixels(), pixel_type)
            .map_err(|err| failed(&err))?;
    let mut target = fir::images::Image::from_vec_u8(width as u32, height as u32, pixels, pixel_type)
        .map_err(|err| failed(&err))?;
    let options = fir::ResizeOptions::new()
        .resize_alg(interpolation.algorithm())
        .use_alpha(false)
        .crop(left, top, w, h);
    fir::Resizer::new().resize(&source, &mut target, &options).map_err(|err| failed(&err))?;
    Ok(Image::from_parts(width, height, image.channels(), target.into_vec()))
}

fn check_window(image: ImageRef<'_>, (left, top, w, h): (usize, usize, usize, usize)) -> Result<()> {
    let inside = |start: usize, len: usize, side: usize| {
        len > 0 && start.checked_add(len).is_some_and(|end| end <= side)
    };
    if inside(left, w, image.width()) && inside(top, h, image.height()) {
        return Ok(());
    }
    let found = format!("{w}x{h} at ({left}, {top}) of {}x{}", image.width(), image.height());
    Err(parameter("resized crop", "window", "inside the image", found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_a_ramp_averages() {
        let image = Image::new(8, 1, 1, (0..8).map(|i| i * 10).collect()).unwrap();
        let out = resize(&image, 4, 1, Interpolation::Bilinear).unwrap();
        // Triangle of radius 2: weights 1/8, 3/8, 3/8, 1/8 inside; the two ends are renormalised.
        assert_eq!(out.pixels()[1..3], [25, 45]);
        assert_eq!((out.width(), out.height(), out.channels()), (4, 1, 1));
    }

    #[test]
    fn without_antialiasing_two_neighbours_are_mixed_whatever_the_size() {
        let image = Image::new(8, 1, 1, (0..8).map(|i| i * i).collect()).unwrap();
        let plain = Resampling { interpolation: Interpolation::Bilinear, antialias: false };
        // The middles of 2 new pixels lie between pixels 1 and 2 and between 5 and 6.
        assert_eq!(resize(&image, 2, 1, plain).unwrap().pixels(), [3, 31]);
        assert_ne!(resize(&image, 2, 1, Interpolation::Bilinear).unwrap().pixels(), [3, 31]);
        // Beyond the reduction from which `fast_image_resize` antialiases.
        let wide = Image::new(90, 4, 1, (0..360).map(|i| (i * 7 % 256) as u8).collect()).unwrap();
        let middle = |y: usize, x: usize| f64::from(wide.pixels()[y * 90 + x]);
        let want = (middle(1, 44) + middle(1, 45) + middle(2, 44) + middle(2, 45)) / 4.0;
        assert!((f64::from(resize(&wide, 1, 1, plain).unwrap().pixels()[0]) - want).abs() <= 0.55);
        for interpolation in [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic] {
            let plain = Resampling { interpolation, antialias: false };
            assert_eq!(
                resize(&wide, 133, 9, plain),
                resize(&wide, 133, 9, interpolation),
                "nothing gets smaller"
            );
        }
    }

    #[test]
    fn a_size_that_no_memory_would_hold_is_an_error() {
        let image = Image::new(2, 2, 3, (0..12).collect()).unwrap();
        let side = 1 << 24;
        let error = Error::TooLarge { width: side, height: side, channels: 3 };
        for interpolation in [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic] {
            assert_eq!(resize(&image, side, side, interpolation), Err(error.clone()));
        }
        assert_eq!(crate::geometry::crop(&image, 0, 0, side, side, Border::Edge), Err(error));
    }

    #[test]
    fn both_ways_agree_to_a_level() {
        let pixels = (0..90 * 60 * 3).map(|i| (i * 89 % 251) as u8).collect();
        let image = Image::new(90, 60, 3, pixels).unwrap();
        let target = |width: usize, height: usize| (width, height, vec![0; width * height * 3]);
        let far = |a: &Image, b: &Image| {
            a.pixels().iter().zip(b.pixels()).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
        };
        for (width, height) in [(30, 20), (61, 50), (120, 70)] {
            let way = |window| {
                elsewhere((&image).into(), window, target(width, height), Interpolation::Bilinear).unwrap()
            };
            let ours = resize(&image, width, height, Interpolation::Bilinear).unwrap();
            assert!(far(&ours, &way((0.0, 0.0, 90.0, 60.0))) <= 1, "{width}x{height}");
            assert!(far(&ours, &way((1.0, 0.0, 89.0, 60.0))) > 1, "a window next to it is told apart");
        }
        let reduced = resize(&image, 25, 20, Interpolation::Bilinear).unwrap();
        let window = (0.0, 0.0, 90.0, 60.0);
        assert_eq!(
            reduced,
            elsewhere((&image).into(), window, target(25, 20), Interpolation::Bilinear).unwrap()
        );
    }

    #[test]
    fn every_size_and_channel_count_works() {
        for channels in [1, 3, 4] {
            for (w, h) in [(1, 1), (1, 7), (5, 3)] {
                let image = Image::filled(w, h, channels, 130).unwrap();
                for (ow, oh) in [(1, 1), (2, 9), (17, 4)] {
                    for interpolation in
                        [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic]
                    {
                        let out = resize(&image, ow, oh, interpolation).unwrap();
                        assert_eq!(out, Image::filled(ow, oh, channels, 130).unwrap());
                    }
                }
            }
        }
    }

    #[test]
    fn windows_outside_the_image_are_refused() {
        let image = Image::filled(4, 4, 3, 0).unwrap();
        for window in [(0, 0, 5, 4), (3, 0, 2, 1), (0, 0, 0, 1), (usize::MAX, 0, 2, 2)] {
            assert!(resized_crop(&image, window, 2, 2, Interpolation::Bilinear).is_err(), "{window:?}");
        }
        assert!(resize(&image, 0, 2, Interpolation::Bilinear).is_err());
    }
}
