//! Against libjpeg-turbo through Pillow and OpenCV, live.

use oculist_jpeg::{Header, Image, Request};
use oculist_kernels::Isa;
use oculist_testing::python;
use std::path::Path;

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) reduction: usize,
    pub(crate) expected: Image,
}

pub(crate) fn cases() -> Option<Vec<Case>> {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/decode.py");
    let listed = python::run_file(&script, [folder.path()])?.expect_success().json();
    Some(cases_of(&listed, folder.path()))
}

/// The cases that a script lists, with their files.
pub(crate) fn cases_of(listed: &serde_json::Value, folder: &Path) -> Vec<Case> {
    let cases = listed.as_array().expect("a list").iter().map(|case| {
        assert!(case["error"].is_null(), "{case}");
        let text = |key: &str| case[key].as_str().expect("text");
        let number = |key: &str| case[key].as_u64().expect("a number") as usize;
        let read = |key: &str| std::fs::read(folder.join(text(key))).expect("a file");
        Case {
            name: text("pixels").to_owned(),
            bytes: read("file"),
            reduction: number("reduction"),
            expected: Image {
                width: number("width"),
                height: number("height"),
                channels: number("channels"),
                pixels: read("pixels"),
            },
        }
    });
    cases.collect()
}

/// None if the images are the same, else how many values differ and by how much.
pub(crate) fn disagreement(case: &Case, found: &Image) -> Option<String> {
    if found == &case.expected {
        return None;
    }
    let size = |image: &Image| (image.width, image.height, image.channels, image.pixels.len());
    if size(found) != size(&case.expected) {
        return Some(format!("{}: {:?}, expected {:?}", case.name, size(found), size(&case.expected)));
    }
    let differences = found.pixels.iter().zip(&case.expected.pixels).map(|(a, b)| a.abs_diff(*b));
    let (count, most) = (differences.clone().filter(|d| *d > 0).count(), differences.max());
    Some(format!("{}: {count} of {} values differ, by up to {most:?}", case.name, found.pixels.len()))
}

#[test]
fn every_sample_is_that_of_libjpeg() {
    let Some(cases) = cases() else { return };
    for reduction in [1, 2, 4, 8] {
        let count = cases.iter().filter(|case| case.reduction == reduction).count();
        assert!(count > 50, "{count} cases of reduction {reduction}");
    }
    let mut wrong = Vec::new();
    for case in &cases {
        for isa in Isa::available() {
            let request = Request { isa, ..Request::whole().reduced(case.reduction) };
            match Header::parse(&case.bytes).and_then(|header| header.decode(&request)) {
                Ok(image) => wrong.extend(disagreement(case, &image).map(|text| format!("{isa} {text}"))),
                Err(err) => wrong.push(format!("{isa} {}: {err}", case.name)),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn a_wrong_sample_is_rejected() {
    let Some(cases) = cases() else { return };
    for case in cases {
        let mut image = case.expected.clone();
        let middle = image.pixels.len() / 2;
        image.pixels[middle] ^= 1;
        assert!(disagreement(&case, &image).is_some(), "{}", case.name);
    }
}
