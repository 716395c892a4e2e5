//! Whoever deploys a model has its metadata and no Oculist: Python makes the same input from it.

use oculist_augment::{ColorMode, CropRounding, Image, Interpolation, Preprocessing, ResizeRule, Rng};
use oculist_testing::python;
use std::path::Path;

fn cases() -> Vec<(Preprocessing, Image)> {
    let statistics = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];
    let mut cases = Vec::new();
    for color in [ColorMode::Grey, ColorMode::Rgb] {
        for (width, height) in [(100, 75), (40, 90), (32, 24)] {
            let mut rng = Rng::keyed(&[width as u64]);
            let mut pixels = Vec::new();
            for i in 0..width * height * 3 {
                pixels.push((i * 255 / (width * height * 3)) as u8 / 2 + rng.below(128) as u8);
            }
            let image = Image::new(width, height, 3, pixels).unwrap();
            for preprocessing in [
                Preprocessing::exact(color, 32, 24),
                Preprocessing::photos(color, 28),
                Preprocessing { resize: ResizeRule::ShorterSide(41), ..Preprocessing::exact(color, 31, 40) },
                // 3 and 7 pixels are left over beside the crop.
                Preprocessing {
                    resize: ResizeRule::ShorterSide(39),
                    crop: CropRounding::HalfToEven,
                    ..Preprocessing::exact(color, 36, 32)
                },
                Preprocessing {
                    interpolation: Interpolation::Nearest,
                    ..Preprocessing::exact(color, width / 2, height)
                },
            ] {
                let (mean, std) = statistics[..color.channels()].iter().copied().unzip();
                cases.push((preprocessing.with_statistics(mean, std), image.clone()));
            }
        }
    }
    cases
}

/// What Python makes of each case.
fn by_python(folder: &Path) -> Option<Vec<Vec<f32>>> {
    for (i, (preprocessing, image)) in cases().iter().enumerate() {
        let case = serde_json::json!({
            "metadata": preprocessing.to_metadata(), "width": image.width(), "height": image.height(),
        });
        std::fs::write(folder.join(format!("{i}.json")), case.to_string()).unwrap();
        std::fs::write(folder.join(format!("{i}.rgb")), image.pixels()).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/preprocess.py");
    let _ = python::run_file(&script, [folder])?.expect_success();
    let read = |i: usize| {
        let bytes = std::fs::read(folder.join(format!("{i}.f32"))).unwrap();
        bytes.as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four)).collect()
    };
    Some((0..cases().len()).map(read).collect())
}

/// The largest difference in levels of 0..=255; None where the lengths differ.
fn levels(preprocessing: &Preprocessing, a: &[f32], b: &[f32]) -> Option<f32> {
    let channels = preprocessing.channels();
    let level = |(i, (x, y)): (usize, (&f32, &f32))| (x - y).abs() * preprocessing.std[i % channels] * 255.0;
    (a.len() == b.len()).then(|| a.iter().zip(b).enumerate().map(level).fold(0.0, f32::max))
}

/// Rounding between the two passes of a resize may move a value by one level.
const TOLERANCE: f32 = 1.001;

#[test]
fn python_makes_the_same_input_from_the_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let Some(wanted) = by_python(folder.path()) else { return };
    for ((preprocessing, image), want) in cases().iter().zip(&wanted) {
        let got = preprocessing.apply(image).unwrap();
        let found = levels(preprocessing, &got, want);
        assert!(found.is_some_and(|levels| levels <= TOLERANCE), "{found:?} {image:?} {preprocessing:?}");
    }
}

#[test]
fn another_preprocessing_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let Some(wanted) = by_python(folder.path()) else { return };
    for ((preprocessing, image), want) in cases().iter().zip(&wanted) {
        let off = |levels: Option<f32>| levels.is_none_or(|levels| levels > TOLERANCE);
        let mean = preprocessing.mean.iter().map(|m| m + 0.02).collect();
        let shifted = preprocessing.clone().with_statistics(mean, preprocessing.std.clone());
        assert!(off(levels(preprocessing, &shifted.apply(image).unwrap(), want)), "{shifted:?}");
        let zeros = vec![0.0; want.len()];
        assert!(off(levels(preprocessing, &zeros, want)));
    }
}
