//! Time per operation on one core: `cargo run --release -p oculist-augment --example op_speed [SIDE] [PART]`.
//!
//! Prints microseconds, the least of several rounds, for each transform whose name contains PART, on an RGB image of
//! SIDE x SIDE pixels (224). The time to copy the image is part of each, since transforms take images by value.

use oculist_augment::{ColorMode, Image, Preprocessing, Rng, Transform, color, mix, quality};
use std::time::Instant;

const TRANSFORMS: &[(&str, &str)] = &[
    ("copy", r#"{"transform": "sequence", "transforms": []}"#),
    ("horizontal_flip", r#"{"transform": "horizontal_flip"}"#),
    ("vertical_flip", r#"{"transform": "vertical_flip"}"#),
    ("transpose", r#"{"transform": "transpose"}"#),
    ("quarter_turn", r#"{"transform": "quarter_turns", "turns": 1}"#),
    ("pad", r#"{"transform": "pad", "left": 8, "top": 8, "right": 8, "bottom": 8, "border": "reflect"}"#),
    (
        "rotate_nearest",
        r#"{"transform": "affine", "angle": 20, "scale": 1, "shift_x": 0, "shift_y": 0, "interpolation": "nearest", "border": {"constant": 0}}"#,
    ),
    (
        "rotate_bilinear",
        r#"{"transform": "affine", "angle": 20, "scale": 1, "shift_x": 0, "shift_y": 0, "border": {"constant": 0}}"#,
    ),
    (
        "rotate_bicubic",
        r#"{"transform": "affine", "angle": 20, "scale": 1, "shift_x": 0, "shift_y": 0, "interpolation": "bicubic", "border": {"constant": 0}}"#,
    ),
    (
        "rotate_reflect",
        r#"{"transform": "affine", "angle": 20, "scale": 1, "shift_x": 0, "shift_y": 0, "border": "reflect"}"#,
    ),
    (
        "perspective",
        r#"{"transform": "perspective", "offsets": [[9, 5], [-7, 3], [-4, -8], [6, -2]], "interpolation": "bilinear", "border": {"constant": 0}}"#,
    ),
    (
        "elastic",
        r#"{"transform": "elastic", "alpha": 50, "sigma": 5, "seed": 1, "interpolation": "bilinear", "border": "reflect"}"#,
    ),
    (
        "grid_distortion",
        r#"{"transform": "grid_distortion", "columns": [1, 0.7, 1.2], "rows": [0.8, 1], "interpolation": "bilinear"}"#,
    ),
    ("resize", r#"{"transform": "resize", "width": 160, "height": 160, "interpolation": "bilinear"}"#),
    ("brightness", r#"{"transform": "color", "adjustments": [{"brightness": 1.3}]}"#),
    ("contrast", r#"{"transform": "color", "adjustments": [{"contrast": 1.3}]}"#),
    ("saturation", r#"{"transform": "color", "adjustments": [{"saturation": 1.3}]}"#),
    ("hue", r#"{"transform": "color", "adjustments": [{"hue": 0.1}]}"#),
    (
        "color_jitter",
        r#"{"transform": "color", "adjustments": [{"brightness": 1.3}, {"contrast": 0.8}, {"saturation": 1.2}, {"hue": 0.03}]}"#,
    ),
    ("gamma", r#"{"transform": "color", "adjustments": [{"gamma": 0.8}]}"#),
    ("invert", r#"{"transform": "color", "adjustments": ["invert"]}"#),
    ("posterize", r#"{"transform": "color", "adjustments": [{"posterize": 4}]}"#),
    ("solarize", r#"{"transform": "color", "adjustments": [{"solarize": 128}]}"#),
    ("equalize", r#"{"transform": "color", "adjustments": ["equalize"]}"#),
    ("auto_contrast", r#"{"transform": "color", "adjustments": ["auto_contrast"]}"#),
    ("clahe", r#"{"transform": "color", "adjustments": [{"clahe": {"clip": 4, "columns": 8, "rows": 8}}]}"#),
    ("sharpness", r#"{"transform": "color", "adjustments": [{"sharpness": 1.8}]}"#),
    ("shuffle", r#"{"transform": "color", "adjustments": [{"shuffle": [2, 0, 1]}]}"#),
    ("rgb_shift", r#"{"transform": "color", "adjustments": [{"rgb_shift": [10, -20, 5]}]}"#),
    ("grey", r#"{"transform": "color", "adjustments": ["grey"]}"#),
    ("temperature", r#"{"transform": "color", "adjustments": [{"temperature": 4000}]}"#),
    (
        "erase",
        r#"{"transform": "erase", "rectangles": [{"left": 30, "top": 40, "width": 90, "height": 70}], "fill": "mean"}"#,
    ),
    (
        "erase_noise",
        r#"{"transform": "erase", "rectangles": [{"left": 30, "top": 40, "width": 90, "height": 70}], "fill": {"noise": 3}}"#,
    ),
    (
        "grid_dropout",
        r#"{"transform": "grid_dropout", "cell_width": 30, "cell_height": 30, "hole_width": 15, "hole_height": 15, "left": 3, "top": 3, "fill": {"constant": 0}}"#,
    ),
    (
        "drop_channels",
        r#"{"transform": "color", "adjustments": [{"drop_channels": {"dropped": [false, true, false], "fill": 9}}]}"#,
    ),
    ("lighting", r#"{"transform": "color", "adjustments": [{"lighting": [0.1, -0.2, 0.05]}]}"#),
    ("gaussian_blur_0.8", r#"{"transform": "quality", "effect": "gaussian_blur", "sigma": 0.8}"#),
    ("gaussian_blur_1.5", r#"{"transform": "quality", "effect": "gaussian_blur", "sigma": 1.5}"#),
    ("gaussian_blur_3", r#"{"transform": "quality", "effect": "gaussian_blur", "sigma": 3}"#),
    ("motion_blur_0", r#"{"transform": "quality", "effect": "motion_blur", "radius": 3, "degrees": 0}"#),
    ("motion_blur_45", r#"{"transform": "quality", "effect": "motion_blur", "radius": 3, "degrees": 45}"#),
    ("motion_blur_long", r#"{"transform": "quality", "effect": "motion_blur", "radius": 7, "degrees": 45}"#),
    ("defocus_blur_3", r#"{"transform": "quality", "effect": "defocus_blur", "radius": 3}"#),
    ("defocus_blur_5", r#"{"transform": "quality", "effect": "defocus_blur", "radius": 5}"#),
    ("gaussian_noise", r#"{"transform": "quality", "effect": "gaussian_noise", "std": 0.08, "seed": 1}"#),
    ("speckle_noise", r#"{"transform": "quality", "effect": "speckle_noise", "std": 0.1, "seed": 1}"#),
    ("shot_noise", r#"{"transform": "quality", "effect": "shot_noise", "photons": 60, "seed": 1}"#),
    ("impulse_noise", r#"{"transform": "quality", "effect": "impulse_noise", "amount": 0.04, "seed": 1}"#),
    ("jpeg_25", r#"{"transform": "quality", "effect": "jpeg", "quality": 25}"#),
    ("jpeg_75", r#"{"transform": "quality", "effect": "jpeg", "quality": 75}"#),
    ("pixelate", r#"{"transform": "quality", "effect": "pixelate", "factor": 0.5}"#),
    ("fog", r#"{"transform": "quality", "effect": "fog", "density": 1.5, "decay": 2, "seed": 1}"#),
    (
        "rain",
        r#"{"transform": "quality", "effect": "rain", "drops": 2, "length": 10, "slant": 10, "opacity": 0.6, "dim": 0.2, "seed": 1}"#,
    ),
    (
        "snow",
        r#"{"transform": "quality", "effect": "corruption", "corruption": "snow", "severity": 3, "seed": 1}"#,
    ),
    (
        "frost",
        r#"{"transform": "quality", "effect": "corruption", "corruption": "frost", "severity": 3, "seed": 1}"#,
    ),
    (
        "zoom",
        r#"{"transform": "quality", "effect": "corruption", "corruption": "zoom_blur", "severity": 3, "seed": 1}"#,
    ),
    (
        "glass",
        r#"{"transform": "quality", "effect": "corruption", "corruption": "glass_blur", "severity": 3, "seed": 1}"#,
    ),
    (
        "chains_mix",
        r#"{"transform": "mix", "original": 0.5, "chains": [[{"transform": "vertical_flip"}], [{"transform": "vertical_flip"}]], "weights": [0.25, 0.25]}"#,
    ),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let side: usize = arguments.next().map_or(Ok(224), |text| text.parse())?;
    let part = arguments.next().unwrap_or_default();
    // Smooth colours with some noise: neither the best nor the worst case for tables and branches.
    let mut rng = Rng::keyed(&[1]);
    let pixels = (0..side * side * 3).map(|i| {
        let (x, y, c) = (i / 3 % side, i / 3 / side, i % 3);
        (x * 120 / side + y * 80 / side + c * 20 + rng.below(30)) as u8
    });
    let image = Image::new(side, side, 3, pixels.collect())?;
    // Once a large block was freed, as in any program that has read a data set, the allocator no longer gives memory back
    // to the system between two images; else the pages of each result would be fetched anew, which takes longer than most
    // of the operations.
    drop(std::hint::black_box(vec![1u8; 16 << 20]));
    for (name, text) in TRANSFORMS.iter().filter(|(name, _)| name.contains(&part)) {
        let transform: Transform = serde_json::from_str(text)?;
        let mut least = f64::INFINITY;
        for _ in 0..30 {
            let repeats = 10;
            let start = Instant::now();
            for _ in 0..repeats {
                std::hint::black_box(transform.apply(std::hint::black_box(&image).clone())?);
            }
            least = least.min(start.elapsed().as_secs_f64() / f64::from(repeats));
        }
        println!("{name:20} {:8.1}", least * 1e6);
    }
    let preprocessing = Preprocessing::exact(ColorMode::Rgb, side, side);
    let mut input = vec![0.0; preprocessing.len()];
    report("normalize", &part, || preprocessing.normalize_into(&image, &mut input));
    report("to_grey", &part, || drop(color::to_grey(image.clone())));
    let box_blur = || drop(quality::box_blur(&image, 7));
    report("box_blur_7", &part, box_blur);
    report("box_blur_21", &part, || drop(quality::box_blur(&image, 21)));
    let mut batch = input.repeat(32);
    let partners: Vec<usize> = (0..32).rev().collect();
    report("mixup_batch_32", &part, || mix::mixup(&mut batch, &partners, 0.7).unwrap_or(()));
    let shape = mix::Shape { height: side, width: side, channels: 3 };
    let window = mix::cut_box(side, side, 0.5, side / 2, side / 2);
    report("cutmix_batch_32", &part, || mix::cutmix(&mut batch, shape, &partners, window).unwrap_or(()));
    Ok(())
}

/// Prints the least time of several rounds of what is no transform.
fn report(name: &str, part: &str, mut run: impl FnMut()) {
    if !name.contains(part) {
        return;
    }
    let mut least = f64::INFINITY;
    for _ in 0..20 {
        let start = Instant::now();
        run();
        least = least.min(start.elapsed().as_secs_f64());
    }
    println!("{name:20} {:8.1}", least * 1e6);
}
