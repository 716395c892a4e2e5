//! Which operations a policy draws from and how strong they are.

use super::Action::{
    self, AutoContrast, Brightness, Color, Contrast, Equalize, Identity, Invert, Posterize, Rotate,
    Sharpness, ShearX, ShearY, Solarize, TranslateX, TranslateY,
};
use super::Entry;
use super::Magnitude::{Between, Bits, None, OfHeight, OfWidth, Signed};

/// Müller and Hutter, "TrivialAugment: tuning-free yet state-of-the-art data augmentation", 2021, wide space.
pub(crate) const TRIVIAL_AUGMENT_WIDE: &[Entry] = &[
    (Identity, None),
    (ShearX, Signed(0.99)),
    (ShearY, Signed(0.99)),
    (TranslateX, Signed(32.0)),
    (TranslateY, Signed(32.0)),
    (Rotate, Signed(135.0)),
    (Brightness, Signed(0.99)),
    (Color, Signed(0.99)),
    (Contrast, Signed(0.99)),
    (Sharpness, Signed(0.99)),
    (Posterize, Bits(8.0, 6.0)),
    (Solarize, Between(1.0, 0.0)),
    (AutoContrast, None),
    (Equalize, None),
];

/// Cubuk et al., "RandAugment: practical automated data augmentation with a reduced search space", 2019.
pub(crate) const RAND_AUGMENT: &[Entry] = &[
    (Identity, None),
    (ShearX, Signed(0.3)),
    (ShearY, Signed(0.3)),
    (TranslateX, OfWidth(150.0 / 331.0)),
    (TranslateY, OfHeight(150.0 / 331.0)),
    (Rotate, Signed(30.0)),
    (Brightness, Signed(0.9)),
    (Color, Signed(0.9)),
    (Contrast, Signed(0.9)),
    (Sharpness, Signed(0.9)),
    (Posterize, Bits(8.0, 4.0)),
    (Solarize, Between(1.0, 0.0)),
    (AutoContrast, None),
    (Equalize, None),
];

/// The strengths that the AutoAugment tables below point into, ten bins.
pub(crate) const AUTO_AUGMENT: &[Entry] = &[
    (ShearX, Signed(0.3)),
    (ShearY, Signed(0.3)),
    (TranslateX, OfWidth(150.0 / 331.0)),
    (TranslateY, OfHeight(150.0 / 331.0)),
    (Rotate, Signed(30.0)),
    (Brightness, Signed(0.9)),
    (Color, Signed(0.9)),
    (Contrast, Signed(0.9)),
    (Sharpness, Signed(0.9)),
    (Posterize, Bits(8.0, 4.0)),
    (Solarize, Between(1.0, 0.0)),
    (AutoContrast, None),
    (Equalize, None),
    (Invert, None),
];

/// Hendrycks et al., "AugMix: a simple data processing method to improve robustness and uncertainty", 2019.
///
/// The last four are left out unless all operations are asked for: they are close to the corruptions that
/// robustness is measured with.
pub(crate) const AUG_MIX: &[Entry] = &[
    (ShearX, Signed(0.3)),
    (ShearY, Signed(0.3)),
    (TranslateX, OfWidth(1.0 / 3.0)),
    (TranslateY, OfHeight(1.0 / 3.0)),
    (Rotate, Signed(30.0)),
    (Posterize, Bits(4.0, 4.0)),
    (Solarize, Between(1.0, 0.0)),
    (AutoContrast, None),
    (Equalize, None),
    (Brightness, Signed(0.9)),
    (Color, Signed(0.9)),
    (Contrast, Signed(0.9)),
    (Sharpness, Signed(0.9)),
];

/// Two operations, each with its probability and the bin of its strength (0 where it has none).
pub(crate) type SubPolicy = [(Action, f32, usize); 2];

/// The policy found on CIFAR-10: Cubuk et al., "AutoAugment: learning augmentation strategies from data", 2018.
#[rustfmt::skip]
pub(crate) const CIFAR10: &[SubPolicy] = &[
    [(Invert, 0.1, 0), (Contrast, 0.2, 6)],
    [(Rotate, 0.7, 2), (TranslateX, 0.3, 9)],
    [(Sharpness, 0.8, 1), (Sharpness, 0.9, 3)],
    [(ShearY, 0.5, 8), (TranslateY, 0.7, 9)],
    [(AutoContrast, 0.5, 0), (Equalize, 0.9, 0)],
    [(ShearY, 0.2, 7), (Posterize, 0.3, 7)],
    [(Color, 0.4, 3), (Brightness, 0.6, 7)],
    [(Sharpness, 0.3, 9), (Brightness, 0.7, 9)],
    [(Equalize, 0.6, 0), (Equalize, 0.5, 0)],
    [(Contrast, 0.6, 7), (Sharpness, 0.6, 5)],
    [(Color, 0.7, 7), (TranslateX, 0.5, 8)],
    [(Equalize, 0.3, 0), (AutoContrast, 0.4, 0)],
    [(TranslateY, 0.4, 3), (Sharpness, 0.2, 6)],
    [(Brightness, 0.9, 6), (Color, 0.2, 8)],
    [(Solarize, 0.5, 2), (Invert, 0.0, 0)],
    [(Equalize, 0.2, 0), (AutoContrast, 0.6, 0)],
    [(Equalize, 0.2, 0), (Equalize, 0.6, 0)],
    [(Color, 0.9, 9), (Equalize, 0.6, 0)],
    [(AutoContrast, 0.8, 0), (Solarize, 0.2, 8)],
    [(Brightness, 0.1, 3), (Color, 0.7, 0)],
    [(Solarize, 0.4, 5), (AutoContrast, 0.9, 0)],
    [(TranslateY, 0.9, 9), (TranslateY, 0.7, 9)],
    [(AutoContrast, 0.9, 0), (Solarize, 0.8, 3)],
    [(Equalize, 0.8, 0), (Invert, 0.1, 0)],
    [(TranslateY, 0.7, 9), (AutoContrast, 0.9, 0)],
];

/// The policy found on ImageNet: Cubuk et al., "AutoAugment: learning augmentation strategies from data", 2018.
#[rustfmt::skip]
pub(crate) const IMAGE_NET: &[SubPolicy] = &[
    [(Posterize, 0.4, 8), (Rotate, 0.6, 9)],
    [(Solarize, 0.6, 5), (AutoContrast, 0.6, 0)],
    [(Equalize, 0.8, 0), (Equalize, 0.6, 0)],
    [(Posterize, 0.6, 7), (Posterize, 0.6, 6)],
    [(Equalize, 0.4, 0), (Solarize, 0.2, 4)],
    [(Equalize, 0.4, 0), (Rotate, 0.8, 8)],
    [(Solarize, 0.6, 3), (Equalize, 0.6, 0)],
    [(Posterize, 0.8, 5), (Equalize, 1.0, 0)],
    [(Rotate, 0.2, 3), (Solarize, 0.6, 8)],
    [(Equalize, 0.6, 0), (Posterize, 0.4, 6)],
    [(Rotate, 0.8, 8), (Color, 0.4, 0)],
    [(Rotate, 0.4, 9), (Equalize, 0.6, 0)],
    [(Equalize, 0.0, 0), (Equalize, 0.8, 0)],
    [(Invert, 0.6, 0), (Equalize, 1.0, 0)],
    [(Color, 0.6, 4), (Contrast, 1.0, 8)],
    [(Rotate, 0.8, 8), (Color, 1.0, 2)],
    [(Color, 0.8, 8), (Solarize, 0.8, 7)],
    [(Sharpness, 0.4, 7), (Invert, 0.6, 0)],
    [(ShearX, 0.6, 5), (Equalize, 1.0, 0)],
    [(Color, 0.4, 0), (Equalize, 0.6, 0)],
    [(Equalize, 0.4, 0), (Solarize, 0.2, 4)],
    [(Solarize, 0.6, 5), (AutoContrast, 0.6, 0)],
    [(Invert, 0.6, 0), (Equalize, 1.0, 0)],
    [(Color, 0.6, 4), (Contrast, 1.0, 8)],
    [(Equalize, 0.8, 0), (Equalize, 0.6, 0)],
];

/// The policy found on SVHN: Cubuk et al., "AutoAugment: learning augmentation strategies from data", 2018.
#[rustfmt::skip]
pub(crate) const SVHN: &[SubPolicy] = &[
    [(ShearX, 0.9, 4), (Invert, 0.2, 0)],
    [(ShearY, 0.9, 8), (Invert, 0.7, 0)],
    [(Equalize, 0.6, 0), (Solarize, 0.6, 6)],
    [(Invert, 0.9, 0), (Equalize, 0.6, 0)],
    [(Equalize, 0.6, 0), (Rotate, 0.9, 3)],
    [(ShearX, 0.9, 4), (AutoContrast, 0.8, 0)],
    [(ShearY, 0.9, 8), (Invert, 0.4, 0)],
    [(ShearY, 0.9, 5), (Solarize, 0.2, 6)],
    [(Invert, 0.9, 0), (AutoContrast, 0.8, 0)],
    [(Equalize, 0.6, 0), (Rotate, 0.9, 3)],
    [(ShearX, 0.9, 4), (Solarize, 0.3, 3)],
    [(ShearY, 0.8, 8), (Invert, 0.7, 0)],
    [(Equalize, 0.9, 0), (TranslateY, 0.6, 6)],
    [(Invert, 0.9, 0), (Equalize, 0.6, 0)],
    [(Contrast, 0.3, 3), (Rotate, 0.8, 4)],
    [(Invert, 0.8, 0), (TranslateY, 0.0, 2)],
    [(ShearY, 0.7, 6), (Solarize, 0.4, 8)],
    [(Invert, 0.6, 0), (Rotate, 0.8, 4)],
    [(ShearY, 0.3, 7), (TranslateX, 0.9, 3)],
    [(ShearX, 0.1, 6), (Invert, 0.6, 0)],
    [(Solarize, 0.7, 2), (TranslateY, 0.6, 7)],
    [(ShearY, 0.8, 4), (Invert, 0.8, 0)],
    [(ShearX, 0.7, 9), (TranslateY, 0.8, 3)],
    [(ShearY, 0.8, 5), (AutoContrast, 0.7, 0)],
    [(ShearX, 0.7, 2), (Invert, 0.1, 0)],
];
