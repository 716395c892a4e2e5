//! Quality operations and corruptions: against OpenCV, Pillow and numpy live, against closed forms, and for every size.

use oculist_augment::{Corruption, Image, Result, quality};
use oculist_testing::python;
use serde_json::Value;
use std::path::Path;

struct Case {
    listed: Value,
    image: Image,
    expected: Image,
}

impl Case {
    fn apply(&self) -> Image {
        let number = |i: usize| self.listed["parameters"][i].as_f64().expect("a number") as f32;
        let image = &self.image;
        let sigma = |v: f32| if v == 0.0 { f32::INFINITY } else { v };
        let result = match self.listed["operation"].as_str().expect("text") {
            "gaussian_blur" => quality::gaussian_blur(image, number(0), number(1) as usize),
            "box_blur" => quality::box_blur(image, number(0) as usize),
            "motion_blur" => quality::motion_blur(image, number(0), sigma(number(1)), number(2)),
            "jpeg" => quality::jpeg(image, number(0) as u8),
            "" => {
                let name = self.listed["corruption"].as_str().expect("text");
                let severity = self.listed["severity"].as_u64().expect("a number") as u8;
                Corruption::from_name(name).expect("a corruption").apply(image, severity, 7)
            }
            other => panic!("{other}"),
        };
        result.expect("an image")
    }

    /// The mean squared difference in levels.
    fn error(&self, found: &Image) -> f64 {
        let pairs = found.pixels().iter().zip(self.expected.pixels());
        let squares = pairs.map(|(&a, &b)| f64::from(a.abs_diff(b)).powi(2)).sum::<f64>();
        squares / found.pixels().len() as f64
    }

    /// None if the images agree, else by how much they do not.
    fn disagreement(&self, found: &Image) -> Option<String> {
        let size = |image: &Image| (image.width(), image.height(), image.channels());
        if size(found) != size(&self.expected) {
            return Some(format!("{}: {found:?}, expected {:?}", self.listed, self.expected));
        }
        let pairs = found.pixels().iter().zip(self.expected.pixels());
        let differences: Vec<f64> = pairs.map(|(&a, &b)| f64::from(a.abs_diff(b))).collect();
        let largest = differences.iter().copied().fold(0.0, f64::max);
        let n = differences.len() as f64;
        let mean = differences.iter().sum::<f64>() / n;
        let psnr = 10.0 * (255.0 * 255.0 / self.error(found).max(1e-9)).log10();
        let limit = |key: &str| self.listed[key].as_f64().expect("a number");
        let agree = largest <= limit("tolerance") && mean <= limit("mean_tolerance") && psnr >= limit("psnr");
        (!agree).then(|| format!("{}: largest {largest}, mean {mean:.4}, {psnr:.1} dB", self.listed))
    }
}

fn cases(folder: &Path) -> Option<Vec<Case>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/quality.py");
    let listed = python::run_file(&script, [folder])?.expect_success().json();
    let cases = listed.as_array().expect("a list").iter().map(|case| {
        let number = |key: &str| case[key].as_u64().expect("a number") as usize;
        let image = |end: &str| {
            let path = folder.join(format!("{}.{end}", case["case"].as_str().expect("text")));
            let pixels = std::fs::read(path).expect("pixels");
            Image::new(number("width"), number("height"), number("channels"), pixels).expect("an image")
        };
        Case { listed: case.clone(), image: image("in"), expected: image("out") }
    });
    Some(cases.collect())
}

#[test]
fn every_operation_agrees_with_its_oracle_and_wrong_results_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let Some(cases) = cases(folder.path()) else { return };
    assert!(cases.len() > 250, "{} cases", cases.len());
    let wrong: Vec<String> = cases.iter().filter_map(|case| case.disagreement(&case.apply())).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    for case in &cases {
        // Off by 8 levels is off everywhere; so is an image that was not touched, unless nothing is to be done.
        let shifted = case.expected.pixels().iter().map(|v| v ^ 8).collect();
        let (w, h, c) = (case.expected.width(), case.expected.height(), case.expected.channels());
        let shifted = Image::new(w, h, c, shifted).unwrap();
        assert!(case.disagreement(&shifted).is_some(), "{}: off by 8", case.listed);
    }
    let touched = |case: &&Case| case.image != case.expected && case.image.width() > 30;
    let told = cases.iter().filter(touched).filter(|c| c.disagreement(&c.image).is_some()).count();
    let all = cases.iter().filter(touched).count();
    assert!(told * 100 >= all * 97, "only {told} of {all} untouched images are told apart");
}

#[test]
fn severities_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let Some(cases) = cases(folder.path()) else { return };
    for case in cases.iter().filter(|case| case.listed["severity"].as_u64() > Some(1)) {
        let severity = case.listed["severity"].as_u64().unwrap() as u8;
        let name = case.listed["corruption"].as_str().unwrap();
        let milder = Corruption::from_name(name).unwrap().apply(&case.image, severity - 1, 7).unwrap();
        // Both images of JPEG are coarse: there the right severity must at least be much nearer than its neighbour.
        let nearer = case.error(&milder) > 1.5 * case.error(&case.apply());
        assert!(
            nearer && (name == "jpeg_compression" || case.disagreement(&milder).is_some()),
            "{}",
            case.listed
        );
    }
}

/// Mean and variance of the channel values.
fn moments(image: &Image) -> (f64, f64) {
    let n = image.pixels().len() as f64;
    let mean = image.pixels().iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    (mean, image.pixels().iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n)
}

/// Whether mean and variance are the expected ones within 5 standard errors of a sample of `n` near-normal values.
fn fits(image: &Image, mean: f64, variance: f64) -> Result<(), String> {
    let n = image.pixels().len() as f64;
    let (found, spread) = moments(image);
    let near_mean = (found - mean).abs() <= 5.0 * (variance / n).sqrt() + 1e-9;
    let near_variance = (spread - variance).abs() <= 5.0 * variance * (2.0 / n).sqrt() + 0.02;
    if near_mean && near_variance { Ok(()) } else { Err(format!("{found} {spread}, not {mean} {variance}")) }
}

#[test]
fn noise_has_the_moments_of_its_definition() {
    // Rounding to whole levels adds a variance of 1/12.
    const ROUNDING: f64 = 1.0 / 12.0;
    for value in [100u8, 128, 150] {
        let image = Image::filled(256, 256, 3, value).unwrap();
        let x = f64::from(value);
        let std = 0.08f64 * 255.0;
        let noisy = quality::gaussian_noise(&image, 0.08, 3).unwrap();
        fits(&noisy, x, std * std + ROUNDING).unwrap();
        fits(&noisy, x, 1.1 * std * std + ROUNDING).unwrap_err();
        fits(&noisy, x + 1.0, std * std + ROUNDING).unwrap_err();
        let speckled = quality::speckle_noise(&image, 0.12, 3).unwrap();
        fits(&speckled, x, (0.12 * x).powi(2) + ROUNDING).unwrap();
        fits(&speckled, x, (0.13 * x).powi(2) + ROUNDING).unwrap_err();
        let shot = quality::shot_noise(&image, 200.0, 3).unwrap();
        fits(&shot, x, x * 255.0 / 200.0 + ROUNDING).unwrap();
        fits(&shot, x, x * 255.0 / 220.0 + ROUNDING).unwrap_err();
    }
    let image = Image::filled(300, 300, 3, 100).unwrap();
    let hit = quality::impulse_noise(&image, 0.09, 3).unwrap();
    let mut counts = [0; 256];
    hit.pixels().iter().for_each(|&p| counts[usize::from(p)] += 1);
    let part = |v: usize| f64::from(counts[v]) / 270_000.0;
    let error = 5.0 * (0.045f64 * 0.955 / 270_000.0).sqrt();
    assert!((part(0) - 0.045).abs() < error && (part(255) - 0.045).abs() < error);
    assert!((part(0) - 0.05).abs() > error && (part(100) - 0.91).abs() < 2.0 * error);
    // Cutting at white: the mean of min(n, 0) is -std / sqrt(2 pi).
    let white = Image::filled(256, 256, 3, 255).unwrap();
    let (mean, _) = moments(&quality::gaussian_noise(&white, 0.1, 3).unwrap());
    assert!((mean - (255.0 - 25.5 / (2.0 * std::f64::consts::PI).sqrt())).abs() < 0.15, "{mean}");
}

#[test]
fn every_corruption_takes_every_image_and_keeps_its_size() {
    for (width, height) in [(1, 1), (1, 7), (32, 32), (61, 40), (130, 70)] {
        for channels in [1, 3, 4] {
            let pixels = (0..width * height * channels).map(|i| (i * 89 % 256) as u8).collect();
            let image = Image::new(width, height, channels, pixels).unwrap();
            for corruption in Corruption::ALL {
                for severity in 1..=5 {
                    let out = corruption.apply(&image, severity, 11).unwrap();
                    let size = (out.width(), out.height(), out.channels());
                    assert_eq!(size, (width, height, channels), "{corruption} {severity}");
                    assert_eq!(
                        out,
                        corruption.apply(&image, severity, 11).unwrap(),
                        "{corruption} {severity}"
                    );
                    if width >= 32 {
                        let other = corruption.apply(&image, severity, 12).unwrap();
                        assert_eq!(out != other, corruption.is_random(), "{corruption} {severity} {image:?}");
                        assert_ne!(out, image, "{corruption} {severity} {image:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn light_noise_and_weather_leave_alpha_alone() {
    let pixels = (0..40 * 30 * 4).map(|i| (i * 89 % 251) as u8).collect();
    let image = Image::new(40, 30, 4, pixels).unwrap();
    let alpha = |image: &Image| image.pixels().iter().skip(3).step_by(4).copied().collect::<Vec<_>>();
    use Corruption as C;
    for corruption in [
        C::GaussianNoise,
        C::ShotNoise,
        C::ImpulseNoise,
        C::Snow,
        C::Frost,
        C::Fog,
        C::Brightness,
        C::Contrast,
    ] {
        assert_eq!(alpha(&corruption.apply(&image, 3, 1).unwrap()), alpha(&image), "{corruption}");
    }
    assert_ne!(alpha(&C::Pixelate.apply(&image, 3, 1).unwrap()), alpha(&image));
}
