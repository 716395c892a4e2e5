//! Against torchvision: `tests/golden/policies.json`, made by the script beside it.

use super::*;
use crate::Image;
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../tests/golden/policies.json")).unwrap()
}

fn action(name: &str) -> Action {
    let all = [TRIVIAL_AUGMENT_WIDE, AUTO_AUGMENT].concat();
    let named = all.iter().find(|(action, _)| format!("{action:?}") == name);
    named.unwrap_or_else(|| panic!("no action {name}")).0
}

#[test]
fn the_spaces_and_strengths_are_torchvisions() {
    let golden = golden();
    for (name, space, bins) in [
        ("trivial_augment_wide", TRIVIAL_AUGMENT_WIDE, 31),
        ("rand_augment", RAND_AUGMENT, 31),
        ("auto_augment", AUTO_AUGMENT, 10),
        ("aug_mix", AUG_MIX, 10),
    ] {
        let theirs = golden["spaces"][name].as_object().unwrap();
        assert_eq!(theirs.len(), space.len(), "{name}");
        for (action, magnitude) in space {
            let entry = &theirs[&format!("{action:?}")];
            assert_eq!(entry["signed"], magnitude.is_signed(), "{name} {action:?}");
            for (size, strengths) in entry["strengths"].as_object().unwrap() {
                let (width, height) = size.split_once('x').unwrap();
                let (width, height) = (width.parse().unwrap(), height.parse().unwrap());
                let Some(strengths) = strengths.as_array() else {
                    assert_eq!(*magnitude, Magnitude::None);
                    continue;
                };
                for (bin, want) in strengths.iter().enumerate() {
                    let (got, want) = (magnitude.value(bin, bins, width, height), want.as_f64().unwrap());
                    let close = (f64::from(got) - want).abs() <= 1e-6 * want.abs().max(1e-3);
                    // Shifts are cut to whole pixels, so that a hair would be a whole pixel.
                    let whole = f64::from(got).trunc() == want.trunc();
                    assert!(close && whole, "{name} {action:?} {size} bin {bin}: {got} {want}");
                }
            }
        }
    }
}

#[test]
fn the_learned_policies_are_torchvisions() {
    let golden = golden();
    for (name, policy) in [("cifar10", CIFAR10), ("imagenet", IMAGE_NET), ("svhn", SVHN)] {
        let theirs = golden["policies"][name].as_array().unwrap();
        assert_eq!(theirs.len(), policy.len());
        for (pair, want) in policy.iter().zip(theirs) {
            for ((action, probability, bin), want) in pair.iter().zip(want.as_array().unwrap()) {
                assert_eq!(want[0], format!("{action:?}"), "{name}");
                assert_eq!(want[1].as_f64().unwrap() as f32, *probability, "{name}");
                assert_eq!(want[2].as_u64().unwrap_or(0), *bin as u64, "{name}");
            }
        }
    }
}

/// The part of the pixels that differ, and by how much at the most.
fn difference(image: &Image, want: &[u8]) -> (f64, u8) {
    assert_eq!(image.pixels().len(), want.len());
    let pairs = image.pixels().chunks_exact(3).zip(want.chunks_exact(3));
    let wrong = pairs.filter(|(a, b)| a != b).count();
    let most = image.pixels().iter().zip(want).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    (wrong as f64 * 3.0 / want.len() as f64, most)
}

/// Pixels of nearest-neighbour geometry whose place lies on the middle between two pixels up to rounding.
///
/// At 135 degrees both diagonals do, and half of their pixels fall to the other side.
const TIES: f64 = 0.07;

fn is_geometry(action: Action) -> bool {
    use Action::{Rotate, ShearX, ShearY, TranslateX, TranslateY};
    matches!(action, ShearX | ShearY | TranslateX | TranslateY | Rotate)
}

#[test]
fn the_operations_do_what_torchvisions_do() {
    let golden = golden();
    let (width, height) = (16, 12);
    let value = |i: usize| {
        let (x, y, c) = (i / 3 % width, i / 3 / width, i % 3);
        ((37 * x + 91 * y + 53 * c + 7 * x * y) % 256) as u8
    };
    let image = Image::new(width, height, 3, (0..width * height * 3).map(value).collect()).unwrap();
    let how = Sampling { interpolation: Interpolation::Nearest, border: Border::Constant(0) };
    let cases = golden["images"].as_array().unwrap();
    assert!(cases.len() > 80);
    let (mut exact, mut changed) = (0, 0);
    for case in cases {
        let action = action(case["operation"].as_str().unwrap());
        let strength = case["strength"].as_f64().unwrap() as f32;
        let hex = case["pixels"].as_str().unwrap();
        let want: Vec<u8> =
            (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
        let got = action.transform(strength, (width, height), how).apply(image.clone()).unwrap();
        let (part, most) = difference(&got, &want);
        let allowed = if is_geometry(action) { TIES } else { 0.0 };
        assert!(part <= allowed, "{action:?} {strength}: {part} of the pixels, by up to {most}");
        exact += usize::from(part == 0.0);
        // The twin: the untouched image is rejected wherever the operation does something.
        let (part, _) = difference(&image, &want);
        changed += usize::from(part > TIES);
    }
    assert!(exact * 10 > cases.len() * 9, "{exact} of {} are exact", cases.len());
    assert!(changed > 65, "{changed}");
}

#[test]
fn strengths_are_spread_evenly() {
    assert_eq!(linspace(0.0, 32.0, 31, 30), 32.0);
    assert!(linspace(0.0, 32.0, 31, 15) < 16.0);
    assert_eq!(linspace(1.0, 0.0, 10, 9), 0.0);
    assert_eq!(linspace(0.5, 9.0, 1, 0), 0.5);
    let bits: Vec<f32> = (0..10).map(|i| Magnitude::Bits(8.0, 4.0).value(i, 10, 1, 1)).collect();
    assert_eq!(bits, [8.0, 8.0, 7.0, 7.0, 6.0, 6.0, 5.0, 5.0, 4.0, 4.0]);
}
