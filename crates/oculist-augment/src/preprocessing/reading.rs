//! What a training input needs of its image, told before the image is decoded.

use super::Preprocessing;
use crate::error::Result;
use crate::geometry::{self, Interpolation, Resampling};
use crate::{Image, Pipeline, ResizeRule, SampleKey, Start, Transform};

/// Left, top, width and height in whole pixels.
type Region = (usize, usize, usize, usize);

/// Left, top, width and height, between pixels.
type Window = (f64, f64, f64, f64);

/// The part of an image that a training input is made of, with all parameters drawn.
///
/// A decoder that decodes only this part saves the rest; [`Preprocessing::augment_read_into`] goes on from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Left, top, width and height of the part, in pixels of the image at 1/`reduction` of its size (sides rounded up).
    pub region: (usize, usize, usize, usize),
    /// How many times smaller the image is to be decoded: 1, 2, 4 or 8.
    pub reduction: usize,
    /// True if the part is to lie at its place in an image of the whole (reduced) size; what surrounds it is not looked at.
    pub in_place: bool,
    first: First,
    /// What is left to do.
    transforms: Vec<Transform>,
}

/// What is done to the part before the transforms.
#[derive(Debug, Clone, PartialEq)]
enum First {
    /// Nothing: they begin with the image.
    Nothing,
    /// Preprocessing.
    Prepare,
    /// A window between the part's pixels is resized to a width and a height.
    Resample { window: Window, size: (usize, usize), resampling: Resampling },
}

/// A window of the image that is resized before anything else.
#[derive(Clone, Copy)]
struct Resizing {
    /// Left, top, width and height in pixels.
    window: Window,
    /// Width and height of the result.
    size: (usize, usize),
    resampling: Resampling,
}

impl Resizing {
    /// The largest reduction that leaves the window at least as large as the result; a mean of pixels antialiases.
    fn reduction(&self) -> usize {
        if self.resampling.interpolation == Interpolation::Nearest || !self.resampling.antialias {
            return 1;
        }
        let (_, _, w, h) = self.window;
        let fits = |r: &usize| w >= (r * self.size.0) as f64 && h >= (r * self.size.1) as f64;
        [8, 4, 2].into_iter().find(fits).unwrap_or(1)
    }

    /// The window in pixels of the reduced image, and the pixels that its filter looks at.
    fn reduced(&self, reduction: usize, image: (usize, usize)) -> (Window, Region) {
        let r = reduction as f64;
        let (left, top, w, h) = self.window;
        let window = (left / r, top / r, w / r, h / r);
        let radius = match self.resampling.interpolation {
            Interpolation::Nearest => 0.0,
            Interpolation::Bilinear => 1.0,
            Interpolation::Bicubic => 2.0,
        };
        let span = |start: f64, len: f64, target: usize, side: usize| {
            // The filter is widened where the image gets smaller; one more pixel for roundings.
            let margin = radius * (len / target as f64).max(1.0) + 1.0;
            let from = (start - margin).floor().max(0.0) as usize;
            let to = ((start + len + margin).ceil() as usize).min(side.div_ceil(reduction));
            (from, to - from)
        };
        let (x, width) = span(window.0, window.2, self.size.0, image.0);
        let (y, height) = span(window.1, window.3, self.size.1, image.1);
        (window, (x, y, width, height))
    }
}

impl Preprocessing {
    /// Draws the parameters of [`augment_into`](Self::augment_into) for an image of this size, and tells the part that it
    /// needs; None where it needs the whole image.
    ///
    /// A part of this kind is known for pipelines that begin with a crop inside the image or a random resized crop, and
    /// for images that preprocessing cuts. With reduction 1 the input is bit for bit that of the whole image.
    ///
    /// With `reduce`, where the first thing that happens is resizing to at most half the size both ways, the part is
    /// wanted at 1/2, 1/4 or 1/8, never smaller than the result. Averaging blocks of pixels and then resizing differs a
    /// little from resizing alone.
    pub fn reading(
        &self,
        pipeline: &Pipeline,
        key: SampleKey,
        (width, height): (usize, usize),
        reduce: bool,
    ) -> Option<Reading> {
        if width == 0 || height == 0 {
            return None;
        }
        let (resizing, prepares, transforms) = match pipeline.start {
            Start::Original => {
                let transforms = pipeline.sample(width, height, key);
                let inside = |start: usize, len: usize, side: usize| {
                    len > 0 && start.checked_add(len).is_some_and(|end| end <= side)
                };
                let (window, size, resampling) = match *transforms.first()? {
                    Transform::ResizedCrop { window, width, height, interpolation, antialias } => {
                        (window, (width, height), Resampling { interpolation, antialias })
                    }
                    Transform::Crop { left, top, width, height, .. } if left >= 0 && top >= 0 => (
                        (left as usize, top as usize, width, height),
                        (width, height),
                        Interpolation::Nearest.into(),
                    ),
                    Transform::Resize { width: w, height: h, interpolation, antialias } => {
                        ((0, 0, width, height), (w, h), Resampling { interpolation, antialias })
                    }
                    _ => return None,
                };
                let (x, y, w, h) = window;
                if !inside(x, w, width) || !inside(y, h, height) || size.0 == 0 || size.1 == 0 {
                    return None;
                }
                if (w, h) == size {
                    let transforms = transforms[1..].to_vec();
                    let whole = (w, h) == (width, height);
                    return (!whole).then_some(Reading {
                        region: window,
                        reduction: 1,
                        in_place: false,
                        first: First::Nothing,
                        transforms,
                    });
                }
                let window = (x as f64, y as f64, w as f64, h as f64);
                (Resizing { window, size, resampling }, false, transforms)
            }
            Start::Prepared => {
                let size = (self.width, self.height);
                let window = match self.resize {
                    ResizeRule::Exact if (width, height) == size => return None,
                    ResizeRule::Exact => (0.0, 0.0, width as f64, height as f64),
                    ResizeRule::ShorterSide(side) => self.shorter_side_window((width, height), side)?,
                };
                let transforms = pipeline.sample(self.width, self.height, key);
                (Resizing { window, size, resampling: self.interpolation.into() }, true, transforms)
            }
        };
        let reduction = if reduce { resizing.reduction() } else { 1 };
        let (window, region) = resizing.reduced(reduction, (width, height));
        if reduction == 1 {
            if region == (0, 0, width, height) {
                return None;
            }
            let first = if prepares { First::Prepare } else { First::Nothing };
            return Some(Reading { region, reduction, in_place: true, first, transforms });
        }
        let (left, top) = (window.0 - region.0 as f64, window.1 - region.1 as f64);
        // Rounding must not leave the part.
        let (w, h) = (window.2.min(region.2 as f64 - left), window.3.min(region.3 as f64 - top));
        let first = First::Resample {
            window: (left, top, w, h),
            size: resizing.size,
            resampling: resizing.resampling,
        };
        let done = usize::from(!prepares);
        Some(Reading { region, reduction, in_place: false, first, transforms: transforms[done..].to_vec() })
    }

    /// As [`augment_into`](Self::augment_into), from the part of the image that `reading` asks for.
    ///
    /// # Errors
    /// As for [`augment_into`](Self::augment_into); a part of another size than the reading's may be one.
    ///
    /// # Panics
    /// If `out` has another length than [`len`](Self::len).
    pub fn augment_read_into(&self, part: Image, reading: &Reading, out: &mut [f32]) -> Result<()> {
        let image = match reading.first {
            First::Nothing => self.color.convert(part),
            First::Prepare => self.prepare(part)?,
            First::Resample { window, size: (width, height), resampling } => {
                geometry::resample(&self.color.convert(part), window, width, height, resampling)?
            }
        };
        let image = Transform::apply_all(&reading.transforms, image)?;
        let image = self.fitted(image)?;
        self.normalize_into(&image, out);
        Ok(())
    }
}
