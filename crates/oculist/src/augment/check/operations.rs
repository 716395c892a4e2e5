//! The operations that are checked if no pipeline is named, each at a usual strength.

use oculist_augment::{Op, Step};

/// Each operation as in a file. Crops keep the part of the image that they show; resizing, composition and policies are
/// made of others and left out.
const USUAL: &[&str] = &[
    r#"{"op": "horizontal_flip"}"#,
    r#"{"op": "vertical_flip"}"#,
    r#"{"op": "transpose"}"#,
    r#"{"op": "quarter_turns"}"#,
    r#"{"op": "rotate", "degrees": 15}"#,
    r#"{"op": "scale", "min": 0.8, "max": 1.2}"#,
    r#"{"op": "translate", "x": 0.125, "y": 0.125}"#,
    r#"{"op": "shear", "x": 15, "y": 15}"#,
    r#"{"op": "shift_scale_rotate", "shift": 0.0625, "scale": [0.9, 1.1], "degrees": 10}"#,
    r#"{"op": "affine", "degrees": 10, "translate": [0.1, 0.1], "scale": [0.9, 1.1], "shear": [5, 5]}"#,
    r#"{"op": "perspective", "distortion": 0.2}"#,
    r#"{"op": "elastic", "alpha": 20, "sigma": 5}"#,
    r#"{"op": "grid_distortion", "steps": 5, "limit": 0.3}"#,
    r#"{"op": "brightness", "factor": [0.7, 1.3]}"#,
    r#"{"op": "contrast", "factor": [0.7, 1.3]}"#,
    r#"{"op": "saturation", "factor": [0.5, 1.5]}"#,
    r#"{"op": "hue", "turn": [-0.1, 0.1]}"#,
    r#"{"op": "gamma", "gamma": [0.7, 1.4]}"#,
    r#"{"op": "color_jitter", "brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.03}"#,
    r#"{"op": "color_temperature", "kelvin": [4000, 9000]}"#,
    r#"{"op": "rgb_shift", "limit": [20, 20, 20]}"#,
    r#"{"op": "channel_shuffle"}"#,
    r#"{"op": "channel_drop"}"#,
    r#"{"op": "to_grey"}"#,
    r#"{"op": "invert"}"#,
    r#"{"op": "posterize", "bits": [4, 6]}"#,
    r#"{"op": "solarize", "threshold": [128, 192]}"#,
    r#"{"op": "equalize"}"#,
    r#"{"op": "auto_contrast"}"#,
    r#"{"op": "clahe", "clip": [1, 4]}"#,
    r#"{"op": "lighting", "std": 0.1}"#,
    r#"{"op": "sharpness", "factor": [0.5, 2]}"#,
    r#"{"op": "gaussian_blur", "sigma": [0.3, 1]}"#,
    r#"{"op": "motion_blur", "radius": [1, 3]}"#,
    r#"{"op": "defocus_blur", "radius": [0.5, 1.5]}"#,
    r#"{"op": "downscale", "factor": [0.5, 0.9]}"#,
    r#"{"op": "jpeg_compression", "quality": [40, 90]}"#,
    r#"{"op": "gaussian_noise", "std": [0.01, 0.08]}"#,
    r#"{"op": "speckle_noise", "std": [0.05, 0.2]}"#,
    r#"{"op": "shot_noise", "photons": [50, 500]}"#,
    r#"{"op": "impulse_noise", "amount": [0.01, 0.05]}"#,
    r#"{"op": "fog", "density": [0.2, 0.7]}"#,
    r#"{"op": "rain", "drops": [0.5, 2], "length": 4, "opacity": 0.5}"#,
    r#"{"op": "corrupt", "severity": [1, 3]}"#,
    r#"{"op": "random_erasing"}"#,
    r#"{"op": "cutout", "size": 0.5}"#,
    r#"{"op": "coarse_dropout", "holes": [1, 5], "width": [0.05, 0.2], "height": [0.05, 0.2]}"#,
    r#"{"op": "grid_dropout", "ratio": 0.4, "cell": [0.1, 0.3]}"#,
];

/// The usual operations, each applied to every image.
///
/// # Errors
/// None in practice: a test reads the list.
pub(super) fn usual() -> Result<Vec<Step>, String> {
    let read = |text: &&str| {
        let op: Op = serde_json::from_str(text).map_err(|e| format!("{text}: {e}"))?;
        op.validate().map_err(|e| format!("{text}: {e}"))?;
        Ok(Step { probability: 1.0, op })
    };
    USUAL.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_listed_once_or_left_out_for_a_reason() {
        let cut_or_resized =
            ["pad", "random_crop", "center_crop", "random_resized_crop", "resize", "resize_shorter"];
        let made_of_others = ["sequence", "one_of", "some_of"];
        let policies = ["trivial_augment_wide", "rand_augment", "auto_augment", "aug_mix", "three_augment"];
        let left_out: Vec<&str> =
            [&cut_or_resized[..], &made_of_others, &policies].into_iter().flatten().copied().collect();
        let listed: Vec<&str> = usual().unwrap().iter().map(|step| step.op.name()).collect();
        for name in Op::NAMES {
            let n = listed.iter().filter(|l| *l == name).count();
            assert_eq!(n, usize::from(!left_out.contains(name)), "{name}");
        }
    }
}
