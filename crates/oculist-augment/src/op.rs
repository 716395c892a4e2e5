//! An operation with ranges to draw its parameters from.

use crate::color::Adjustment;
use crate::error::{Result, parameter};
use crate::geometry::{Affine, Border, Interpolation};
use crate::{Rng, Transform};
use serde::{Deserialize, Serialize};

/// One augmentation operation with the ranges of its parameters.
///
/// No operation here changes what the image shows, so none touches the label; whether a mirrored digit is
/// still that digit is the user's to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Op {
    /// Mirrors left and right.
    HorizontalFlip,
    /// Turns about the centre by an angle uniform in `-degrees..=degrees`.
    Rotate {
        /// Largest angle in degrees, 0..=180.
        degrees: f32,
        /// What lies outside.
        #[serde(default)]
        border: Border,
    },
    /// Magnifies about the centre by a factor uniform in `min..=max`; the size stays.
    Scale {
        /// Least factor, above 0.
        min: f32,
        /// Largest factor.
        max: f32,
        /// What lies outside.
        #[serde(default)]
        border: Border,
    },
    /// Shifting, scaling and turning at once: one resampling instead of three.
    ShiftScaleRotate {
        /// Largest shift as a part of the side, both ways.
        shift: f32,
        /// Least and largest factor.
        scale: (f32, f32),
        /// Largest angle in degrees.
        degrees: f32,
        /// What lies outside.
        #[serde(default)]
        border: Border,
    },
    /// Adds `padding` pixels on all sides.
    Pad {
        /// Pixels per side.
        padding: usize,
        /// What the new pixels are.
        #[serde(default)]
        border: Border,
    },
    /// Pads by `padding` on all sides, then cuts a window at a random place.
    ///
    /// A side that is too short even after padding is centred in the window.
    RandomCrop {
        /// Width of the window.
        width: usize,
        /// Height of the window.
        height: usize,
        /// Pixels of padding per side.
        #[serde(default)]
        padding: usize,
        /// What lies outside.
        #[serde(default)]
        border: Border,
    },
    /// Cuts a window of random area and aspect ratio and resizes it.
    RandomResizedCrop {
        /// Width of the result.
        width: usize,
        /// Height of the result.
        height: usize,
        /// Least and largest part of the image's area.
        scale: (f32, f32),
        /// Least and largest width / height of the window; drawn log-uniform.
        ratio: (f32, f32),
        /// The resampling filter.
        #[serde(default)]
        interpolation: Interpolation,
    },
    /// Cuts the middle.
    CenterCrop {
        /// Width of the window.
        width: usize,
        /// Height of the window.
        height: usize,
        /// What lies outside, where the image is smaller.
        #[serde(default)]
        border: Border,
    },
    /// Resizes to exactly this size.
    Resize {
        /// Width of the result.
        width: usize,
        /// Height of the result.
        height: usize,
        /// The resampling filter.
        #[serde(default)]
        interpolation: Interpolation,
    },
    /// Brightness, contrast, saturation (factors uniform in `max(0, 1 - x)..=1 + x`) and hue (a turn
    /// uniform in `-hue..=hue`), in random order. A range of 0 leaves the operation out.
    ColorJitter {
        /// Range of brightness, at least 0.
        #[serde(default)]
        brightness: f32,
        /// Range of contrast, at least 0.
        #[serde(default)]
        contrast: f32,
        /// Range of saturation, at least 0.
        #[serde(default)]
        saturation: f32,
        /// Range of hue in full turns, 0..=0.5.
        #[serde(default)]
        hue: f32,
    },
}

impl Op {
    /// The operation's name, as in files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::HorizontalFlip => "horizontal_flip",
            Self::Rotate { .. } => "rotate",
            Self::Scale { .. } => "scale",
            Self::ShiftScaleRotate { .. } => "shift_scale_rotate",
            Self::Pad { .. } => "pad",
            Self::RandomCrop { .. } => "random_crop",
            Self::RandomResizedCrop { .. } => "random_resized_crop",
            Self::CenterCrop { .. } => "center_crop",
            Self::Resize { .. } => "resize",
            Self::ColorJitter { .. } => "color_jitter",
        }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// The first parameter outside its range, by name.
    pub fn validate(&self) -> Result<()> {
        let check = |name: &'static str, ok: bool, expected: &'static str, found: &dyn std::fmt::Debug| {
            if ok { Ok(()) } else { Err(parameter(self.name(), name, expected, format!("{found:?}"))) }
        };
        let factors = |name, (min, max): (f32, f32)| {
            let ok = min > 0.0 && min <= max && max.is_finite();
            check(name, ok, "a range min <= max of numbers above 0", &(min, max))
        };
        let angle = |d: f32| check("degrees", (0.0..=180.0).contains(&d), "within 0..=180", &d);
        let size = |w: usize, h: usize| {
            let sides = 1..=1usize << 16;
            check("size", sides.contains(&w) && sides.contains(&h), "within 1..=65536", &(w, h))
        };
        let padding = |p: usize| check("padding", p <= 1 << 16, "at most 65536", &p);
        match *self {
            Self::HorizontalFlip => Ok(()),
            Self::Rotate { degrees, .. } => angle(degrees),
            Self::Scale { min, max, .. } => factors("min, max", (min, max)),
            Self::ShiftScaleRotate { shift, scale, degrees, .. } => {
                check("shift", (0.0..=1.0).contains(&shift), "within 0..=1", &shift)?;
                factors("scale", scale)?;
                angle(degrees)
            }
            Self::Pad { padding: p, .. } => padding(p),
            Self::RandomCrop { width, height, padding: p, .. } => {
                size(width, height)?;
                padding(p)
            }
            Self::RandomResizedCrop { width, height, scale, ratio, .. } => {
                size(width, height)?;
                factors("scale", scale)?;
                check("scale", scale.1 <= 1.0, "at most 1", &scale)?;
                factors("ratio", ratio)
            }
            Self::CenterCrop { width, height, .. } | Self::Resize { width, height, .. } => {
                size(width, height)
            }
            Self::ColorJitter { brightness, contrast, saturation, hue } => {
                for (name, x) in
                    [("brightness", brightness), ("contrast", contrast), ("saturation", saturation)]
                {
                    check(name, (0.0..=100.0).contains(&x), "within 0..=100", &x)?;
                }
                check("hue", (0.0..=0.5).contains(&hue), "within 0..=0.5", &hue)
            }
        }
    }

    /// Draws the parameters for an image of this size.
    pub fn sample(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        match *self {
            Self::HorizontalFlip => Transform::HorizontalFlip,
            Self::Rotate { degrees, border } => {
                let angle = rng.range(-degrees, degrees);
                Transform::Affine { map: Affine { angle, ..Affine::default() }, border }
            }
            Self::Scale { min, max, border } => {
                let scale = rng.range(min, max);
                Transform::Affine { map: Affine { scale, ..Affine::default() }, border }
            }
            Self::ShiftScaleRotate { shift, scale, degrees, border } => {
                let angle = rng.range(-degrees, degrees);
                let scale = rng.range(scale.0, scale.1);
                let shift_x = rng.range(-shift, shift) * width as f32;
                let shift_y = rng.range(-shift, shift) * height as f32;
                Transform::Affine { map: Affine { angle, scale, shift_x, shift_y }, border }
            }
            Self::Pad { padding, border } => {
                Transform::Pad { left: padding, top: padding, right: padding, bottom: padding, border }
            }
            Self::RandomCrop { width: w, height: h, padding, border } => {
                let left = offset(width, w, padding, rng);
                let top = offset(height, h, padding, rng);
                Transform::Crop { left, top, width: w, height: h, border }
            }
            Self::RandomResizedCrop { width: w, height: h, scale, ratio, interpolation } => {
                let window = random_window(width, height, scale, ratio, rng);
                Transform::ResizedCrop { window, width: w, height: h, interpolation }
            }
            Self::CenterCrop { width: w, height: h, border } => {
                let middle = |have: usize, want: usize| (have as isize - want as isize).div_euclid(2);
                Transform::Crop {
                    left: middle(width, w),
                    top: middle(height, h),
                    width: w,
                    height: h,
                    border,
                }
            }
            Self::Resize { width, height, interpolation } => {
                Transform::Resize { width, height, interpolation }
            }
            Self::ColorJitter { brightness, contrast, saturation, hue } => {
                let mut factor = |x: f32| rng.range((1.0 - x).max(0.0), 1.0 + x);
                let all = [
                    (brightness, Adjustment::Brightness(factor(brightness))),
                    (contrast, Adjustment::Contrast(factor(contrast))),
                    (saturation, Adjustment::Saturation(factor(saturation))),
                    (hue, Adjustment::Hue(rng.range(-hue, hue))),
                ];
                let mut adjustments: Vec<_> =
                    all.into_iter().filter(|&(range, _)| range > 0.0).map(|(_, op)| op).collect();
                rng.shuffle(&mut adjustments);
                Transform::Color { adjustments }
            }
        }
    }
}

/// Where a window of `want` starts on a side of `have` pixels padded on both ends.
fn offset(have: usize, want: usize, padding: usize, rng: &mut Rng) -> isize {
    let padded = have + 2 * padding;
    if padded < want {
        // Draw all the same, so that later draws do not depend on the size.
        rng.next_u64();
        return -((want - have) as isize / 2);
    }
    rng.below(padded - want + 1) as isize - padding as isize
}

/// The window of a random resized crop: ten tries, then the largest centred window whose ratio fits.
///
/// # Source
/// Szegedy et al., "Going deeper with convolutions", as torchvision's `RandomResizedCrop` draws it.
fn random_window(
    width: usize,
    height: usize,
    scale: (f32, f32),
    ratio: (f32, f32),
    rng: &mut Rng,
) -> (usize, usize, usize, usize) {
    let area = (width * height) as f32;
    for _ in 0..10 {
        let target = area * rng.range(scale.0, scale.1);
        let aspect = rng.range(ratio.0.ln(), ratio.1.ln()).exp();
        let w = (target * aspect).sqrt().round() as usize;
        let h = (target / aspect).sqrt().round() as usize;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            let left = rng.below(width - w + 1);
            let top = rng.below(height - h + 1);
            return (left, top, w, h);
        }
    }
    let have = width as f32 / height as f32;
    let (w, h) = if have < ratio.0 {
        (width, ((width as f32 / ratio.0).round() as usize).clamp(1, height))
    } else if have > ratio.1 {
        (((height as f32 * ratio.1).round() as usize).clamp(1, width), height)
    } else {
        (width, height)
    };
    ((width - w) / 2, (height - h) / 2, w, h)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_crops_reach_every_place_and_no_other() {
        let op = Op::RandomCrop { width: 4, height: 4, padding: 1, border: Border::Edge };
        let mut seen = [[0usize; 3]; 3];
        for i in 0..900 {
            match op.sample(4, 4, &mut Rng::keyed(&[i])) {
                Transform::Crop { left, top, width: 4, height: 4, .. } => {
                    seen[(top + 1) as usize][(left + 1) as usize] += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(seen.iter().flatten().all(|&n| (60..140).contains(&n)), "{seen:?}");
    }

    #[test]
    fn a_window_larger_than_the_padded_image_is_centred() {
        let op = Op::RandomCrop { width: 9, height: 2, padding: 1, border: Border::Edge };
        match op.sample(3, 4, &mut Rng::keyed(&[1])) {
            Transform::Crop { left, top, .. } => {
                assert_eq!(left, -3);
                assert!((-1..=3).contains(&top));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn resized_crop_windows_stay_inside_and_keep_their_area() {
        for (w, h) in [(1, 1), (300, 200), (20, 400), (1000, 3)] {
            for i in 0..200 {
                let window =
                    random_window(w, h, (0.2, 1.0), (0.75, 1.0 / 0.75), &mut Rng::keyed(&[i, w as u64]));
                let (left, top, ww, wh) = window;
                assert!(ww >= 1 && wh >= 1 && left + ww <= w && top + wh <= h, "{window:?} of {w}x{h}");
                if (w, h) == (300, 200) {
                    let part = (ww * wh) as f32 / 60_000.0;
                    assert!((0.19..1.01).contains(&part), "{part}");
                }
            }
        }
    }

    #[test]
    fn bad_ranges_are_named() {
        let err = Op::Rotate { degrees: 200.0, border: Border::Edge }.validate().unwrap_err();
        assert_eq!(err.to_string(), "rotate: degrees must be within 0..=180, found 200.0");
        let bad = [
            Op::Rotate { degrees: f32::NAN, border: Border::Edge },
            Op::Scale { min: 0.0, max: 1.0, border: Border::Edge },
            Op::Scale { min: 2.0, max: 1.0, border: Border::Edge },
            Op::ShiftScaleRotate { shift: 1.5, scale: (1.0, 1.0), degrees: 0.0, border: Border::Edge },
            Op::Pad { padding: 1 << 20, border: Border::Edge },
            Op::RandomCrop { width: 0, height: 1, padding: 0, border: Border::Edge },
            Op::CenterCrop { width: 1, height: 0, border: Border::Edge },
            Op::ColorJitter { brightness: -0.1, contrast: 0.0, saturation: 0.0, hue: 0.0 },
            Op::ColorJitter { brightness: 0.0, contrast: 0.0, saturation: 0.0, hue: 0.6 },
        ];
        for op in bad {
            assert!(op.validate().is_err(), "{op:?}");
        }
    }

    #[test]
    fn jitter_leaves_out_what_has_no_range() {
        let op = Op::ColorJitter { brightness: 0.4, contrast: 0.0, saturation: 0.0, hue: 0.1 };
        for i in 0..50 {
            let Transform::Color { adjustments } = op.sample(1, 1, &mut Rng::keyed(&[i])) else { panic!() };
            assert_eq!(adjustments.len(), 2);
            for adjustment in adjustments {
                match adjustment {
                    Adjustment::Brightness(f) => assert!((0.6..=1.4).contains(&f)),
                    Adjustment::Hue(t) => assert!((-0.1..=0.1).contains(&t)),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
