//! The cases: names that the peers' programs know too, and what we do for them.

use super::images::Source;

/// Which table a case belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Operation,
    /// The same on 32x32 pixels.
    Small,
    Policy,
    Pipeline,
}

/// What is timed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// One operation, as JSON; drawing its parameters counts.
    Op(&'static str),
    /// A whole pipeline to the network's input, as the training loader runs it.
    Pipeline { text: &'static str, side: usize },
}

/// One line of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) group: Group,
    pub(crate) source: Source,
    /// Of the images: 3, or what [`images::read`](super::images::read) makes of them.
    pub(crate) channels: usize,
    pub(crate) work: Work,
    /// What is compared with the peers' output: a transform as JSON, the empty text for the timed operation itself,
    /// nothing where it is random.
    pub(crate) check: Option<&'static str>,
    /// Largest mean absolute difference from a peer that counts as the same, in levels of 0..=255.
    pub(crate) bound: f64,
    /// The ratio that the project has promised itself, where it has.
    pub(crate) floor: Option<f64>,
}

/// An operation on 224x224 pixels with fixed parameters.
const fn fixed(name: &'static str, op: &'static str) -> Case {
    Case { check: Some(""), ..random(name, op) }
}

/// An operation on 224x224 pixels with drawn parameters.
const fn random(name: &'static str, op: &'static str) -> Case {
    Case {
        name,
        group: Group::Operation,
        source: Source::Medium,
        channels: 3,
        work: Work::Op(op),
        check: None,
        bound: 1.0,
        floor: Some(1.0),
    }
}

/// An operation with drawn parameters, compared by this transform.
const fn drawn(name: &'static str, op: &'static str, check: &'static str) -> Case {
    Case { check: Some(check), ..random(name, op) }
}

const fn small(case: Case) -> Case {
    Case { group: Group::Small, source: Source::Small, ..case }
}

const fn photo(case: Case) -> Case {
    Case { source: Source::Photo, ..case }
}

const fn policy(case: Case) -> Case {
    Case { group: Group::Policy, ..case }
}

const fn grey(case: Case) -> Case {
    Case { channels: 1, ..case }
}

const fn rgba(case: Case) -> Case {
    Case { channels: 4, ..case }
}

const fn within(bound: f64, case: Case) -> Case {
    Case { bound, ..case }
}

const fn pipeline(name: &'static str, source: Source, side: usize, floor: f64, text: &'static str) -> Case {
    Case {
        name,
        group: Group::Pipeline,
        source,
        channels: 3,
        work: Work::Pipeline { text, side },
        check: None,
        bound: 0.0,
        floor: Some(floor),
    }
}

const CIFAR: &str = r#"{"steps": [
    {"op": "random_crop", "width": 32, "height": 32, "padding": 4},
    {"op": "horizontal_flip", "probability": 0.5},
    {"op": "rand_augment", "count": 2, "magnitude": 9}]}"#;

const IMAGENET: &str = r#"{"start": "original", "steps": [
    {"op": "random_resized_crop", "width": 224, "height": 224, "scale": [0.08, 1], "ratio": [0.75, 1.3333334]},
    {"op": "horizontal_flip", "probability": 0.5},
    {"op": "color_jitter", "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}]}"#;

const HEAVY: &str = r#"{"start": "original", "steps": [
    {"op": "random_resized_crop", "width": 224, "height": 224, "scale": [0.08, 1], "ratio": [0.75, 1.3333334]},
    {"op": "rotate", "degrees": 30},
    {"op": "color_jitter", "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
    {"op": "gaussian_blur", "sigma": [0.5, 2]},
    {"op": "random_erasing"}]}"#;

const JITTER: &str =
    r#"{"op": "color_jitter", "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}"#;
const ROTATE: &str = r#"{"op": "rotate", "degrees": 30}"#;
const TURNED: &str = r#"{"transform": "affine", "angle": 20, "scale": 1, "shift_x": 0, "shift_y": 0, "border": {"constant": 0}}"#;
const PHOTO_CROP: &str = r#"{"op": "random_resized_crop", "width": 224, "height": 224, "scale": [0.08, 1], "ratio": [0.75, 1.3333334]}"#;
const PHOTO_WINDOW: &str = r#"{"transform": "resized_crop", "window": [40, 30, 330, 280], "width": 224, "height": 224, "interpolation": "bilinear"}"#;
const PLAIN_CROP: &str = r#"{"op": "random_resized_crop", "width": 224, "height": 224, "scale": [0.08, 1], "ratio": [0.75, 1.3333334], "antialias": false}"#;
const PLAIN_WINDOW: &str = r#"{"transform": "resized_crop", "window": [40, 30, 330, 280], "width": 224, "height": 224, "interpolation": "bilinear", "antialias": false}"#;
const BLUR: &str = r#"{"op": "gaussian_blur", "sigma": [1.5, 1.5]}"#;
const RESIZE_DOWN: &str = r#"{"op": "resize", "width": 224, "height": 224}"#;
const RESIZE_PLAIN: &str = r#"{"op": "resize", "width": 224, "height": 224, "antialias": false}"#;

/// All cases, in the order of the tables.
pub(crate) const ALL: &[Case] = &[
    fixed("horizontal flip", r#"{"op": "horizontal_flip"}"#),
    fixed("vertical flip", r#"{"op": "vertical_flip"}"#),
    fixed("transpose", r#"{"op": "transpose"}"#),
    random("quarter turns", r#"{"op": "quarter_turns"}"#),
    drawn(
        "rotate, nearest",
        r#"{"op": "rotate", "degrees": 30, "interpolation": "nearest"}"#,
        r#"{"transform": "affine", "angle": 20, "scale": 1, "shift_x": 0, "shift_y": 0, "interpolation": "nearest", "border": {"constant": 0}}"#,
    ),
    drawn("rotate, bilinear", ROTATE, TURNED),
    drawn(
        "rotate, bicubic",
        r#"{"op": "rotate", "degrees": 30, "interpolation": "bicubic"}"#,
        r#"{"transform": "affine", "angle": 20, "scale": 1, "shift_x": 0, "shift_y": 0, "interpolation": "bicubic", "border": {"constant": 0}}"#,
    ),
    drawn(
        "rotate, bilinear, reflected border",
        r#"{"op": "rotate", "degrees": 30, "border": "reflect"}"#,
        r#"{"transform": "affine", "angle": 20, "scale": 1, "shift_x": 0, "shift_y": 0, "border": "reflect"}"#,
    ),
    drawn(
        "scale",
        r#"{"op": "scale", "min": 0.8, "max": 1.2}"#,
        r#"{"transform": "affine", "angle": 0, "scale": 1.2, "shift_x": 0, "shift_y": 0, "border": {"constant": 0}}"#,
    ),
    drawn(
        "translate",
        r#"{"op": "translate", "x": 0.1, "y": 0.1}"#,
        r#"{"transform": "affine", "angle": 0, "scale": 1, "shift_x": 15, "shift_y": -9, "border": {"constant": 0}}"#,
    ),
    drawn(
        "shear",
        r#"{"op": "shear", "x": 15, "y": 15}"#,
        r#"{"transform": "affine", "angle": 0, "scale": 1, "shift_x": 0, "shift_y": 0, "shear_x": 10, "border": {"constant": 0}}"#,
    ),
    drawn(
        "affine",
        r#"{"op": "affine", "degrees": 15, "translate": [0.1, 0.1], "scale": [0.9, 1.1], "shear": [10, 10]}"#,
        r#"{"transform": "affine", "angle": 12, "scale": 1.1, "shift_x": 15, "shift_y": -9, "border": {"constant": 0}}"#,
    ),
    drawn(
        "shift-scale-rotate",
        r#"{"op": "shift_scale_rotate", "shift": 0.0625, "scale": [0.9, 1.1], "degrees": 45}"#,
        r#"{"transform": "affine", "angle": 20, "scale": 1.1, "shift_x": 0, "shift_y": 0, "border": {"constant": 0}}"#,
    ),
    drawn(
        "perspective",
        r#"{"op": "perspective", "distortion": 0.3}"#,
        r#"{"transform": "perspective", "offsets": [[9, 5], [-7, 3], [-4, -8], [6, -2]], "interpolation": "bilinear", "border": {"constant": 0}}"#,
    ),
    random("elastic", r#"{"op": "elastic", "alpha": 50, "sigma": 5}"#),
    random("grid distortion", r#"{"op": "grid_distortion", "steps": 5, "limit": 0.3}"#),
    drawn(
        "random crop 192",
        r#"{"op": "random_crop", "width": 192, "height": 192}"#,
        r#"{"transform": "crop", "left": 11, "top": 7, "width": 192, "height": 192, "border": {"constant": 0}}"#,
    ),
    fixed("centre crop 192", r#"{"op": "center_crop", "width": 192, "height": 192}"#),
    photo(drawn("random resized crop, antialiased", PHOTO_CROP, PHOTO_WINDOW)),
    photo(drawn("random resized crop, not antialiased", PLAIN_CROP, PLAIN_WINDOW)),
    fixed("pad 16, constant", r#"{"op": "pad", "padding": 16}"#),
    fixed("pad 16, reflected", r#"{"op": "pad", "padding": 16, "border": "reflect"}"#),
    within(2.0, photo(fixed("resize 500x375 to 224x224, antialiased", RESIZE_DOWN))),
    photo(fixed("resize 500x375 to 224x224, not antialiased", RESIZE_PLAIN)),
    fixed("resize 224 to 320", r#"{"op": "resize", "width": 320, "height": 320}"#),
    fixed("brightness", r#"{"op": "brightness", "factor": [1.3, 1.3]}"#),
    fixed("contrast", r#"{"op": "contrast", "factor": [1.3, 1.3]}"#),
    fixed("saturation", r#"{"op": "saturation", "factor": [1.3, 1.3]}"#),
    within(2.0, fixed("hue", r#"{"op": "hue", "turn": [0.1, 0.1]}"#)),
    fixed("gamma", r#"{"op": "gamma", "gamma": [0.8, 0.8]}"#),
    fixed("colour temperature", r#"{"op": "color_temperature", "kelvin": [4000, 4000]}"#),
    random("colour jitter", JITTER),
    random("channel shuffle", r#"{"op": "channel_shuffle"}"#),
    random("channel drop", r#"{"op": "channel_drop"}"#),
    drawn(
        "rgb shift",
        r#"{"op": "rgb_shift", "limit": [20, 20, 20]}"#,
        r#"{"transform": "color", "adjustments": [{"rgb_shift": [20, -10, 5]}]}"#,
    ),
    fixed("to grey", r#"{"op": "to_grey"}"#),
    fixed("invert", r#"{"op": "invert"}"#),
    fixed("posterise", r#"{"op": "posterize", "bits": [4, 4]}"#),
    fixed("solarise", r#"{"op": "solarize", "threshold": [128, 128]}"#),
    within(2.0, fixed("equalise", r#"{"op": "equalize"}"#)),
    within(2.0, fixed("CLAHE", r#"{"op": "clahe", "clip": [4, 4]}"#)),
    fixed("auto-contrast", r#"{"op": "auto_contrast"}"#),
    fixed("sharpness", r#"{"op": "sharpness", "factor": [1.8, 1.8]}"#),
    random("PCA lighting", r#"{"op": "lighting", "std": 0.1}"#),
    fixed("gaussian blur", BLUR),
    random("motion blur", r#"{"op": "motion_blur", "radius": [3, 3]}"#),
    within(2.0, fixed("defocus", r#"{"op": "defocus_blur", "radius": [4, 4]}"#)),
    random("gaussian noise", r#"{"op": "gaussian_noise", "std": [0.1, 0.1]}"#),
    random("speckle noise", r#"{"op": "speckle_noise", "std": [0.1, 0.1]}"#),
    random("shot noise", r#"{"op": "shot_noise", "photons": [10, 10]}"#),
    random("salt and pepper", r#"{"op": "impulse_noise", "amount": [0.05, 0.05]}"#),
    within(2.0, fixed("JPEG compression", r#"{"op": "jpeg_compression", "quality": [50, 50]}"#)),
    fixed("downscale", r#"{"op": "downscale", "factor": [0.5, 0.5]}"#),
    random("fog", r#"{"op": "fog", "density": [1.5, 1.5]}"#),
    random("rain", r#"{"op": "rain", "drops": [4, 4], "length": 20, "opacity": 0.7}"#),
    random("snow", r#"{"op": "corrupt", "corruptions": ["snow"], "severity": [3, 3]}"#),
    drawn(
        "random erasing",
        r#"{"op": "random_erasing"}"#,
        r#"{"transform": "erase", "rectangles": [{"left": 30, "top": 40, "width": 90, "height": 70}], "fill": {"constant": 0}}"#,
    ),
    random(
        "coarse dropout",
        r#"{"op": "coarse_dropout", "holes": [8, 8], "width": [0.1, 0.1], "height": [0.1, 0.1]}"#,
    ),
    random(
        "grid dropout",
        r#"{"op": "grid_dropout", "ratio": 0.5, "cell": [0.142858, 0.142858], "random_offset": true}"#,
    ),
    Case {
        group: Group::Operation,
        check: Some(""),
        bound: 0.01,
        ..pipeline("normalise to f32", Source::Medium, 224, 1.0, r#"{"steps": []}"#)
    },
    grey(drawn("rotate, bilinear, grey", ROTATE, TURNED)),
    rgba(drawn("rotate, bilinear, RGBA", ROTATE, TURNED)),
    grey(photo(fixed("resize 500x375 to 224x224, grey", RESIZE_DOWN))),
    rgba(photo(fixed("resize 500x375 to 224x224, RGBA", RESIZE_DOWN))),
    grey(fixed("gaussian blur, grey", BLUR)),
    rgba(fixed("gaussian blur, RGBA", BLUR)),
    small(fixed("horizontal flip 32", r#"{"op": "horizontal_flip"}"#)),
    small(drawn("rotate, bilinear 32", ROTATE, TURNED)),
    small(random("pad 4 and crop 32", r#"{"op": "random_crop", "width": 32, "height": 32, "padding": 4}"#)),
    small(fixed("brightness 32", r#"{"op": "brightness", "factor": [1.3, 1.3]}"#)),
    small(random("colour jitter 32", JITTER)),
    within(2.0, small(fixed("equalise 32", r#"{"op": "equalize"}"#))),
    small(fixed("gaussian blur 32", BLUR)),
    small(random("random erasing 32", r#"{"op": "random_erasing"}"#)),
    policy(random("RandAugment", r#"{"op": "rand_augment", "count": 2, "magnitude": 9}"#)),
    policy(random("TrivialAugmentWide", r#"{"op": "trivial_augment_wide"}"#)),
    policy(random("AutoAugment", r#"{"op": "auto_augment", "policy": "imagenet"}"#)),
    policy(random("AugMix", r#"{"op": "aug_mix"}"#)),
    pipeline("CIFAR 32x32", Source::Small, 32, 3.0, CIFAR),
    pipeline("ImageNet from JPEG", Source::Jpeg, 224, 2.0, IMAGENET),
    pipeline("heavy 224x224", Source::Photo, 224, 3.0, HEAVY),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct() {
        let mut names: Vec<&str> = ALL.iter().map(|case| case.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
