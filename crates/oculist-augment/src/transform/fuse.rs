//! Several transforms in fewer passes, with the very result of one after the other.

use super::Transform;
use crate::color::{Adjustment, adjust_all};
use crate::error::Result;
use crate::geometry::{self, Border, Resampling};
use crate::{Image, ImageRef};

/// A window to cut, in pixels.
#[derive(Clone, Copy)]
struct Window {
    left: isize,
    top: isize,
    width: usize,
    height: usize,
    border: Border,
}

impl Window {
    /// The window of a crop or padding of an image of this size.
    fn of(transform: &Transform, image: (usize, usize)) -> Option<Self> {
        match *transform {
            Transform::Crop { left, top, width, height, border } => {
                Some(Self { left, top, width, height, border })
            }
            Transform::Pad { left, top, right, bottom, border } => {
                let total =
                    |a: usize, b: usize, c: usize| a.checked_add(b)?.checked_add(c).filter(|&n| n < 1 << 31);
                let (width, height) = (total(left, image.0, right)?, total(top, image.1, bottom)?);
                Some(Self { left: -(left as isize), top: -(top as isize), width, height, border })
            }
            _ => None,
        }
    }

    /// This window, then `next` of the result, if `next` lies inside the result.
    fn then(self, next: Self) -> Option<Self> {
        let inside = fits(next.left, next.width, self.width) && fits(next.top, next.height, self.height);
        let left = self.left.checked_add(next.left)?;
        let top = self.top.checked_add(next.top)?;
        inside.then_some(Self { left, top, border: self.border, ..next })
    }

    /// Whether this is the whole of an image of this size.
    fn is_all(self, (width, height): (usize, usize)) -> bool {
        (self.left, self.top, self.width, self.height) == (0, 0, width, height)
    }
}

/// Whether `start..start + len` is not empty and lies in `0..side`.
fn fits(start: isize, len: usize, side: usize) -> bool {
    start >= 0 && len > 0 && (start as usize).checked_add(len).is_some_and(|end| end <= side)
}

/// An image, perhaps still where the caller keeps it.
pub(super) enum Held<'a> {
    Borrowed(ImageRef<'a>),
    Owned(Image),
}

impl Held<'_> {
    fn view(&self) -> ImageRef<'_> {
        match self {
            Self::Borrowed(image) => *image,
            Self::Owned(image) => image.into(),
        }
    }

    fn own(self) -> Image {
        match self {
            Self::Borrowed(image) => image.to_image(),
            Self::Owned(image) => image,
        }
    }

    /// The result of one transform.
    fn after(self, transform: &Transform) -> Result<Self> {
        if let Self::Borrowed(image) = self {
            match transform {
                Transform::HorizontalFlip => return Ok(Self::Owned(geometry::flipped_horizontal(image))),
                Transform::VerticalFlip => return Ok(Self::Owned(geometry::flipped_vertical(image))),
                _ => {}
            }
            if let Some(result) = transform.apply_reading(image) {
                return result.map(Self::Owned);
            }
        }
        transform.apply(self.own()).map(Self::Owned)
    }
}

/// See [`Transform::apply_all`].
pub(super) fn run(mut transforms: &[Transform], mut image: Held<'_>) -> Result<Image> {
    while let [first, rest @ ..] = transforms {
        let size = (image.view().width(), image.view().height());
        if let Some(window) = Window::of(first, size) {
            (image, transforms) = crop_run(window, rest, image)?;
            continue;
        }
        match (first, rest) {
            (Transform::Color { .. }, _) => {
                let mut adjustments = Vec::new();
                while let [Transform::Color { adjustments: next }, rest @ ..] = transforms {
                    next.iter().try_for_each(Adjustment::validate)?;
                    adjustments.extend_from_slice(next);
                    transforms = rest;
                }
                image = Held::Owned(adjust_all(image.own(), &adjustments));
                continue;
            }
            (
                &Transform::ResizedCrop { window, width, height, interpolation, antialias },
                [Transform::HorizontalFlip, after @ ..],
            ) => {
                let resampling = Resampling { interpolation, antialias };
                let mirrored =
                    geometry::resized_crop_mirrored(image.view(), window, width, height, resampling)?;
                image = Held::Owned(mirrored);
                transforms = after;
                continue;
            }
            (Transform::HorizontalFlip, [Transform::HorizontalFlip, rest @ ..])
            | (Transform::VerticalFlip, [Transform::VerticalFlip, rest @ ..])
            | (Transform::Transpose, [Transform::Transpose, rest @ ..]) => {
                transforms = rest;
                continue;
            }
            _ => image = image.after(first)?,
        }
        transforms = rest;
    }
    Ok(image.own())
}

/// A crop and what can be done along with it; gives the transforms that are left.
fn crop_run<'a, 't>(
    mut window: Window,
    mut rest: &'t [Transform],
    image: Held<'a>,
) -> Result<(Held<'a>, &'t [Transform])> {
    while let [next, after @ ..] = rest
        && let Some(both) = Window::of(next, (window.width, window.height)).and_then(|next| window.then(next))
    {
        window = both;
        rest = after;
    }
    let Window { left, top, width, height, border } = window;
    let view = image.view();
    if let [Transform::HorizontalFlip, after @ ..] = rest {
        let mirrored = geometry::crop_mirrored(view, left, top, width, height, border)?;
        return Ok((Held::Owned(mirrored), after));
    }
    if window.is_all((view.width(), view.height())) {
        return Ok((image, rest));
    }
    Ok((Held::Owned(geometry::crop(view, left, top, width, height, border)?), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Interpolation, Rng};

    /// A few transforms of each kind that fusing looks at, and some it does not.
    fn random(rng: &mut Rng, size: (usize, usize)) -> Transform {
        let border = [Border::Constant(9), Border::Edge, Border::Reflect, Border::Wrap][rng.below(4)];
        let (width, height) = (1 + rng.below(9), 1 + rng.below(9));
        match rng.below(9) {
            8 => {
                let (w, h) = (1 + rng.below(size.0), 1 + rng.below(size.1));
                let window = (rng.below(size.0 - w + 1), rng.below(size.1 - h + 1), w, h);
                let interpolation = [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic];
                let (interpolation, antialias) = (interpolation[rng.below(3)], rng.below(2) == 0);
                Transform::ResizedCrop { window, width, height, interpolation, antialias }
            }
            0 | 1 => {
                let (left, top) = (rng.below(7) as isize - 3, rng.below(7) as isize - 3);
                Transform::Crop { left, top, width, height, border }
            }
            2 => Transform::Pad { left: rng.below(3), top: rng.below(3), right: 1, bottom: 0, border },
            3 => {
                let (interpolation, antialias) = (Interpolation::Bilinear, rng.below(2) == 0);
                Transform::Resize { width, height, interpolation, antialias }
            }
            4 => Transform::HorizontalFlip,
            5 => Transform::VerticalFlip,
            6 => Transform::Color { adjustments: vec![Adjustment::Invert, Adjustment::Contrast(0.5)] },
            _ => Transform::Transpose,
        }
    }

    #[test]
    fn fewer_passes_give_the_same_image() {
        for case in 0..3000 {
            let mut rng = Rng::keyed(&[case]);
            let channels = [1, 3, 4][rng.below(3)];
            let (width, height) = (1 + rng.below(12), 1 + rng.below(12));
            let pixels = (0..width * height * channels).map(|_| rng.next_u64() as u8).collect();
            let image = Image::new(width, height, channels, pixels).unwrap();
            let mut size = (width, height);
            let mut transforms = Vec::new();
            for _ in 0..=rng.below(6) {
                let next = random(&mut rng, size);
                size = next.output_size(size.0, size.1);
                transforms.push(next);
            }
            let want = transforms.iter().try_fold(image.clone(), |image, t| t.apply(image)).unwrap();
            let there = Transform::apply_all_to(&transforms, (&image).into()).unwrap();
            assert_eq!(there, want, "{case}: {transforms:?}");
            let got = Transform::apply_all(&transforms, image).unwrap();
            assert!(got == want && got.pixels() == want.pixels(), "{case}: {transforms:?}");
        }
    }
}
