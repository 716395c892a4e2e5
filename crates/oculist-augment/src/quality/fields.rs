//! Random corruptions against numpy: what each draws is drawn again here, in the same order, and given to
//! `tests/oracle/fields.py`, which computes the image from it.

use super::plane::{Plane, shown, zoom_axis};
use super::weather::frost_pattern;
use super::{Rain, Snow, Spatter, SpatterKind};
use crate::{Image, Result, Rng};
use oculist_testing::python;
use std::path::Path;

/// A corruption with its parameters.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Glass { sigma: f32, distance: usize, rounds: usize },
    Elastic { alpha: f32, sigma: f32, jitter: f32 },
    Fog { density: f32, decay: f32 },
    Frost { keep: f32, amount: f32 },
    Snow(Snow),
    Rain(Rain),
    Spatter(Spatter),
}

impl Operation {
    fn apply(self, image: &Image, seed: u64) -> Result<Image> {
        match self {
            Self::Glass { sigma, distance, rounds } => {
                super::glass_blur(image, sigma, distance, rounds, seed)
            }
            Self::Elastic { alpha, sigma, jitter } => super::elastic(image, alpha, sigma, jitter, seed),
            Self::Fog { density, decay } => super::fog(image, density, decay, seed),
            Self::Frost { keep, amount } => super::frost(image, keep, amount, seed),
            Self::Snow(snow) => super::snow(image, snow, seed),
            Self::Rain(rain) => super::rain(image, rain, seed),
            Self::Spatter(spatter) => super::spatter(image, spatter, seed),
        }
    }

    /// The same with one parameter a little off.
    fn nearby(self) -> Self {
        match self {
            Self::Glass { sigma, distance, rounds } => Self::Glass { sigma: sigma + 0.3, distance, rounds },
            Self::Elastic { alpha, sigma, jitter } => {
                Self::Elastic { alpha: 1.1 * alpha, sigma, jitter: 1.1 * jitter }
            }
            Self::Fog { density, decay } => Self::Fog { density: 1.1 * density, decay },
            Self::Frost { keep, amount } => Self::Frost { keep, amount: 1.1 * amount },
            Self::Snow(snow) => Self::Snow(Snow { sigma: 1.1 * snow.sigma, ..snow }),
            Self::Rain(rain) => Self::Rain(Rain { opacity: 1.1 * rain.opacity, ..rain }),
            Self::Spatter(spatter) => Self::Spatter(Spatter { strength: 1.1 * spatter.strength, ..spatter }),
        }
    }

    /// The script's name and parameters.
    fn listed(self) -> (&'static str, Vec<f32>) {
        match self {
            Self::Glass { sigma, distance, rounds } => {
                ("glass_blur", vec![sigma, distance as f32, rounds as f32])
            }
            Self::Elastic { alpha, sigma, jitter } => ("elastic", vec![alpha, sigma, jitter]),
            Self::Fog { density, decay } => ("fog", vec![density, decay]),
            Self::Frost { keep, amount } => ("frost", vec![keep, amount]),
            Self::Snow(Snow { mean, std, zoom, threshold, radius, sigma, keep }) => {
                ("snow", vec![mean, std, zoom, threshold, radius, sigma, keep])
            }
            Self::Rain(Rain { drops, length, slant, opacity, dim }) => {
                ("rain", vec![drops, length, slant, opacity, dim])
            }
            Self::Spatter(Spatter { mean, std, size, threshold, strength, kind }) => {
                let mud = f32::from(u8::from(kind == SpatterKind::Mud));
                ("spatter", vec![mean, std, size, threshold, strength, mud])
            }
        }
    }

    /// All that is drawn at random for an image of this size.
    fn field(self, width: usize, height: usize, seed: u64) -> Vec<f64> {
        let mut rng = Rng::keyed(&[seed]);
        let normal = |rng: Rng| Plane::normal(width, height, 0.0, 1.0, rng).values;
        let values: Vec<f32> = match self {
            Self::Glass { distance, rounds, .. } => {
                let inside = |side: usize| side - 2 * distance;
                let moves = rounds * inside(width) * inside(height);
                let shift = |rng: &mut Rng| rng.below(2 * distance) as f32 - distance as f32;
                (0..2 * moves).map(|_| shift(&mut rng)).collect()
            }
            Self::Elastic { jitter, .. } => {
                let mut values: Vec<f32> = (0..6).map(|_| rng.range(-jitter, jitter)).collect();
                for _ in 0..2 {
                    values.extend(Plane::uniform(width, height, &mut rng).values);
                }
                values
            }
            Self::Fog { .. } => {
                let side = width.max(height).next_power_of_two();
                // A step of s takes three numbers for each of its (side / s)^2 squares.
                let steps = std::iter::successors(Some(1), |n| Some(2 * n)).take_while(|&n| n < side);
                let count: usize = steps.map(|n| 3 * n * n).sum();
                (0..count).map(|_| rng.uniform()).collect()
            }
            Self::Frost { .. } => frost_pattern(width, height, seed).unwrap().values,
            Self::Snow(Snow { zoom, .. }) => {
                let angle = rng.range(-135.0, -45.0);
                // Noise is drawn where it shows; the rest of the plane is never looked at.
                let [(left, w), (top, h)] =
                    [width, height].map(|side| shown(&zoom_axis(side, f64::from(zoom))));
                let noise = Plane::normal(w, h, 0.0, 1.0, Rng::keyed(&[rng.next_u64()]));
                let mut plane = vec![0.0; width * height];
                for (y, row) in noise.values.chunks_exact(w).enumerate() {
                    plane[(top + y) * width + left..][..w].copy_from_slice(row);
                }
                [vec![angle], plane].concat()
            }
            Self::Rain(Rain { drops, .. }) => {
                let count = (drops * (width * height) as f32 / 1000.0).round() as usize;
                let ends = [(0.0, width as f32), (0.0, height as f32), (0.4, 1.0)];
                (0..count).flat_map(|_| ends.map(|(low, high)| rng.range(low, high))).collect()
            }
            Self::Spatter(_) => normal(rng),
        };
        values.into_iter().map(f64::from).collect()
    }
}

/// Colours with smooth parts, edges and noise.
fn picture(width: usize, height: usize, channels: usize) -> Image {
    let mut rng = Rng::keyed(&[width as u64, channels as u64]);
    let pixels = (0..width * height * channels).map(|i| {
        let (x, y, c) = (i / channels % width, i / channels / width, i % channels);
        let block = usize::from(x / 9 % 2 == y / 7 % 2) * 90;
        (x * (2 - c % 2) + y * c + block + rng.below(12)).min(255) as u8
    });
    Image::new(width, height, channels, pixels.collect()).unwrap()
}

fn operations() -> Vec<Operation> {
    let snow = |mean, zoom, threshold, radius, sigma, keep| {
        Operation::Snow(Snow { mean, std: 0.3, zoom, threshold, radius, sigma, keep })
    };
    let spatter = |mean, size, threshold, strength, kind| {
        Operation::Spatter(Spatter { mean, std: 0.3, size, threshold, strength, kind })
    };
    let rain = |drops, length, slant| Operation::Rain(Rain { drops, length, slant, opacity: 0.6, dim: 0.2 });
    vec![
        rain(4.0, 12.0, 10.0),
        rain(20.0, 5.0, -35.0),
        Operation::Glass { sigma: 0.7, distance: 1, rounds: 2 },
        Operation::Glass { sigma: 1.1, distance: 3, rounds: 2 },
        Operation::Glass { sigma: 0.05, distance: 2, rounds: 1 },
        Operation::Elastic { alpha: 12.2, sigma: 2.44, jitter: 4.88 },
        Operation::Elastic { alpha: 60.0, sigma: 6.0, jitter: 0.0 },
        Operation::Elastic { alpha: 0.0, sigma: 0.0, jitter: 2.56 },
        Operation::Fog { density: 1.5, decay: 2.0 },
        Operation::Fog { density: 3.0, decay: 1.4 },
        Operation::Fog { density: 0.2, decay: 3.0 },
        Operation::Frost { keep: 0.8, amount: 0.6 },
        Operation::Frost { keep: 1.0, amount: 0.2 },
        snow(0.1, 3.0, 0.5, 10.0, 4.0, 0.8),
        snow(0.55, 4.5, 0.85, 12.0, 8.0, 0.65),
        snow(0.1, 1.0, 0.6, 8.0, 3.0, 0.95),
        spatter(0.65, 4.0, 0.69, 0.6, SpatterKind::Water),
        spatter(0.65, 2.0, 0.68, 0.6, SpatterKind::Water),
        spatter(0.65, 1.0, 0.65, 1.0, SpatterKind::Mud),
        spatter(0.67, 1.5, 0.66, 2.0, SpatterKind::Mud),
    ]
}

/// The largest and the mean difference in levels.
fn difference(a: &Image, b: &Image) -> (u8, f64) {
    let each = || a.pixels().iter().zip(b.pixels()).map(|(a, b)| a.abs_diff(*b));
    (each().max().unwrap_or(0), each().map(f64::from).sum::<f64>() / a.pixels().len() as f64)
}

/// Levels may differ by one, and on the mean by this: sums in f32 round another way here and there.
const MEAN: f64 = 0.02;

/// The grey of lit snow is a whole level in Rust.
const MEAN_OF_SNOW: f64 = 0.15;

#[test]
fn given_what_is_drawn_numpy_computes_the_same_corruption_and_not_another() {
    const SEED: u64 = 77;
    let folder = tempfile::tempdir().unwrap();
    let mut cases = Vec::new();
    for operation in operations() {
        for (width, height, channels) in [(61, 40, 3), (33, 48, 1)] {
            cases.push((operation, picture(width, height, channels)));
        }
    }
    let at = |i: usize, end: &str| folder.path().join(format!("{i}.{end}"));
    let listed: Vec<String> = cases
        .iter()
        .enumerate()
        .map(|(i, (operation, image))| {
            let (width, height) = (image.width(), image.height());
            let field = operation.field(width, height, SEED);
            std::fs::write(at(i, "in"), image.pixels()).unwrap();
            let bytes: Vec<u8> = field.iter().flat_map(|v| v.to_le_bytes()).collect();
            std::fs::write(at(i, "field"), bytes).unwrap();
            let (name, parameters) = operation.listed();
            format!(
                r#"{{"case":"{i}","width":{width},"height":{height},"channels":{},"operation":"{name}","parameters":{parameters:?}}}"#,
                image.channels()
            )
        })
        .collect();
    std::fs::write(folder.path().join("cases.json"), format!("[{}]", listed.join(","))).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/fields.py");
    let Some(outcome) = python::run_file(&script, [folder.path()]) else { return };
    assert!(outcome.success, "{}", outcome.stderr);
    let mut wrong = Vec::new();
    for (i, (operation, image)) in cases.iter().enumerate() {
        let pixels = std::fs::read(at(i, "out")).unwrap();
        let expected = Image::new(image.width(), image.height(), image.channels(), pixels).unwrap();
        let mean = if matches!(operation, Operation::Snow(_)) { MEAN_OF_SNOW } else { MEAN };
        let agrees = |found: &Image| {
            let (largest, off) = difference(found, &expected);
            largest <= 1 && off <= mean
        };
        let found = operation.apply(image, SEED).unwrap();
        if !agrees(&found) {
            wrong.push(format!("{operation:?} on {image:?}: {:?}", difference(&found, &expected)));
        }
        // Another field gives another image, so does another parameter, and so does none.
        assert!(!agrees(&operation.apply(image, SEED + 1).unwrap()), "{operation:?}");
        assert!(!agrees(&operation.nearby().apply(image, SEED).unwrap()), "{operation:?} or near it");
        assert!(!agrees(image), "{operation:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
