//! Time per operation on one core: `cargo run --release -p oculist-augment --example op_speed [SIDE] [PART]`.
//!
//! Prints microseconds, the least of several rounds, for each transform whose name contains PART, on an RGB image of
//! SIDE x SIDE pixels (224). The time to copy the image is part of each, since transforms take images by value.

use oculist_augment::{Image, Rng, Transform};
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
    Ok(())
}
