//! Operations against Pillow, OpenCV and Python's colorsys, live.

mod every_op;
mod preprocessing;

use oculist_augment::{Image, Transform};
use oculist_testing::python;
use std::path::Path;

/// One operation on one image, and what the oracle makes of it.
struct Case {
    name: String,
    image: Image,
    transform: Transform,
    expected: Image,
    tolerance: u8,
    mean_tolerance: f64,
}

fn cases(folder: &Path) -> Option<Vec<Case>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/operations.py");
    let listed = python::run_file(&script, [folder])?.expect_success().json();
    let cases = listed.as_array().expect("a list").iter().map(|case| {
        let number = |key: &str| case[key].as_u64().expect("a number") as usize;
        let name = case["case"].as_str().expect("text");
        let image = |end: &str, width: usize, height: usize| {
            let pixels = std::fs::read(folder.join(format!("{name}.{end}"))).expect("pixels");
            Image::new(width, height, number("channels"), pixels).expect("an image")
        };
        Case {
            name: format!("{name} {}", case["transform"]),
            image: image("in", number("width"), number("height")),
            expected: image("out", number("out_width"), number("out_height")),
            transform: serde_json::from_value(case["transform"].clone()).expect("a transform"),
            tolerance: number("tolerance") as u8,
            mean_tolerance: case["mean_tolerance"].as_f64().expect("a number"),
        }
    });
    Some(cases.collect())
}

/// None if the images agree, else by how much they do not.
fn disagreement(case: &Case, found: &Image) -> Option<String> {
    let size = |image: &Image| (image.width(), image.height(), image.channels());
    if size(found) != size(&case.expected) {
        return Some(format!("{}: {found:?}, expected {:?}", case.name, case.expected));
    }
    let pairs = found.pixels().iter().zip(case.expected.pixels());
    let differences: Vec<u8> = pairs.map(|(&a, &b)| a.abs_diff(b)).collect();
    let largest = differences.iter().copied().max().unwrap_or(0);
    let mean = differences.iter().map(|&d| f64::from(d)).sum::<f64>() / differences.len() as f64;
    let agree = largest <= case.tolerance && mean <= case.mean_tolerance;
    (!agree).then(|| format!("{}: differs by {largest}, in the mean {mean:.3}", case.name))
}

#[test]
fn every_operation_agrees_with_its_oracle() {
    let folder = tempfile::tempdir().unwrap();
    let Some(cases) = cases(folder.path()) else { return };
    assert!(cases.len() > 150, "{} cases", cases.len());
    let found = cases.iter().map(|case| (case, case.transform.apply(case.image.clone()).expect("an image")));
    let wrong: Vec<String> = found.filter_map(|(case, image)| disagreement(case, &image)).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn the_size_is_told_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let Some(cases) = cases(folder.path()) else { return };
    for case in cases {
        let size = case.transform.output_size(case.image.width(), case.image.height());
        assert_eq!(size, (case.expected.width(), case.expected.height()), "{}", case.name);
    }
}

#[test]
fn a_wrong_result_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let Some(cases) = cases(folder.path()) else { return };
    for case in cases {
        let (w, h, c) = (case.expected.width(), case.expected.height(), case.expected.channels());
        // A grey far from every value in the picture's corner, so that black results are told apart too.
        let value = if case.expected.pixels()[0] < 128 { 255 } else { 0 };
        let flat = Image::filled(w, h, c, value).unwrap();
        assert!(disagreement(&case, &flat).is_some(), "{}", case.name);
        let shifted = case.expected.pixels().iter().map(|v| v ^ 8).collect();
        let shifted = Image::new(w, h, c, shifted).unwrap();
        assert!(disagreement(&case, &shifted).is_some(), "{}: off by 8", case.name);
    }
}
