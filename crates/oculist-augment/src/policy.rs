//! The search space of the learned and random policies, as data.
//!
//! An [`Action`] is an operation of one strength; which strengths there are is a [`Magnitude`], tabulated for
//! each policy. Definitions and numbers are torchvision's, which differ from the papers' code in places.

mod tables;

pub(crate) use tables::{
    AUG_MIX, AUTO_AUGMENT, CIFAR10, IMAGE_NET, RAND_AUGMENT, SVHN, TRIVIAL_AUGMENT_WIDE,
};

use crate::color::Adjustment;
use crate::geometry::{Affine, Border, Interpolation};
use crate::{Rng, Transform};

/// An operation of the policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
    Invert,
}

/// The strengths of an operation, from bin 0 to the last bin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Magnitude {
    /// The operation has none.
    None,
    /// From 0 to this number, evenly; the sign is random.
    Signed(f64),
    /// As `Signed`, times the image's width.
    OfWidth(f64),
    /// As `Signed`, times the image's height.
    OfHeight(f64),
    /// From the first to the second number, evenly.
    Between(f32, f32),
    /// Bits, from the first number down by the second, rounded half to even.
    Bits(f32, f32),
}

/// An operation and its strengths.
pub(crate) type Entry = (Action, Magnitude);

/// Bin `i` of `bins` evenly spaced numbers, counted from the nearer end as PyTorch's `linspace` does in f32.
fn linspace(from: f32, to: f32, bins: usize, i: usize) -> f32 {
    if bins < 2 {
        return from;
    }
    let step = (to - from) / (bins - 1) as f32;
    // Rounded once, as with fused multiply-add: a strength may lie a hair below a whole number.
    if i < bins / 2 { step.mul_add(i as f32, from) } else { step.mul_add(-((bins - 1 - i) as f32), to) }
}

impl Magnitude {
    /// The strength of one bin, without a sign.
    pub(crate) fn value(self, bin: usize, bins: usize, width: usize, height: usize) -> f32 {
        match self {
            Self::None => 0.0,
            Self::Signed(most) => linspace(0.0, most as f32, bins, bin),
            Self::OfWidth(part) => linspace(0.0, (part * width as f64) as f32, bins, bin),
            Self::OfHeight(part) => linspace(0.0, (part * height as f64) as f32, bins, bin),
            Self::Between(from, to) => linspace(from, to, bins, bin),
            Self::Bits(from, drop) => {
                let steps = (bins.max(2) - 1) as f32 / drop;
                (from - bin as f32 / steps).round_ties_even()
            }
        }
    }

    fn is_signed(self) -> bool {
        matches!(self, Self::Signed(_) | Self::OfWidth(_) | Self::OfHeight(_))
    }

    /// The strength of one bin with a random sign where it has one. Always draws once.
    pub(crate) fn draw(self, bin: usize, bins: usize, size: (usize, usize), rng: &mut Rng) -> f32 {
        let negative = rng.chance(0.5);
        let value = self.value(bin, bins, size.0, size.1);
        if self.is_signed() && negative { -value } else { value }
    }
}

/// How the geometric operations sample.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sampling {
    pub(crate) interpolation: Interpolation,
    pub(crate) border: Border,
}

impl Action {
    /// The operation at this strength on an image of this size.
    pub(crate) fn transform(self, value: f32, (width, height): (usize, usize), how: Sampling) -> Transform {
        let affine =
            |map: Affine| Transform::Affine { map, interpolation: how.interpolation, border: how.border };
        let color = |adjustment| Transform::Color { adjustments: vec![adjustment] };
        let factor = 1.0 + value;
        let degrees = value.atan().to_degrees();
        match self {
            Self::Identity => Transform::Sequence { transforms: Vec::new() },
            // Sheared about the top left corner, which is half a side away from the centre.
            Self::ShearX => affine(Affine {
                shear_x: degrees,
                shift_x: -value * height as f32 / 2.0,
                ..Affine::default()
            }),
            Self::ShearY => {
                affine(Affine { shear_y: degrees, shift_y: -value * width as f32 / 2.0, ..Affine::default() })
            }
            Self::TranslateX => affine(Affine { shift_x: value.trunc(), ..Affine::default() }),
            Self::TranslateY => affine(Affine { shift_y: value.trunc(), ..Affine::default() }),
            Self::Rotate => affine(Affine { angle: value, ..Affine::default() }),
            Self::Brightness => color(Adjustment::Brightness(factor)),
            Self::Color => color(Adjustment::Saturation(factor)),
            Self::Contrast => color(Adjustment::Contrast(factor)),
            Self::Sharpness => color(Adjustment::Sharpness(factor)),
            Self::Posterize => color(Adjustment::Posterize(value as u8)),
            Self::Solarize => color(Adjustment::Solarize(255.0 * value)),
            Self::AutoContrast => color(Adjustment::AutoContrast),
            Self::Equalize => color(Adjustment::Equalize),
            Self::Invert => color(Adjustment::Invert),
        }
    }
}

#[cfg(test)]
mod tests;
