//! Decoding against Pillow (and OpenCV for 16 bits), live.

use oculist_augment::{Image, color};
use oculist_data::{DEFAULT_MAX_PIXELS, decode_file, read_header};
use oculist_testing::python;
use std::path::{Path, PathBuf};

/// One file and what the oracle makes of it.
struct Case {
    name: String,
    file: PathBuf,
    expected: Image,
    grey: bool,
    tolerance: u8,
}

fn cases(folder: &Path) -> Option<Vec<Case>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/decode.py");
    let listed = python::run_file(&script, [folder])?.expect_success().json();
    let cases = listed.as_array().expect("a list").iter().map(|case| {
        let text = |key: &str| case[key].as_str().expect("text");
        let number = |key: &str| case[key].as_u64().expect("a number") as usize;
        let pixels = std::fs::read(folder.join(format!("{}.rgb", text("case")))).expect("expected pixels");
        Case {
            name: text("file").to_owned(),
            file: folder.join(text("file")),
            expected: Image::new(number("width"), number("height"), 3, pixels).expect("an image"),
            grey: case["grey"].as_bool().expect("a bool"),
            tolerance: number("tolerance") as u8,
        }
    });
    Some(cases.collect())
}

/// The largest difference of any channel, or None where the sizes differ.
fn difference(a: &Image, b: &Image) -> Option<u8> {
    let same = (a.width(), a.height(), a.channels()) == (b.width(), b.height(), b.channels());
    same.then(|| a.pixels().iter().zip(b.pixels()).map(|(&x, &y)| x.abs_diff(y)).max().unwrap_or(0))
}

#[test]
fn every_format_looks_as_in_pillow() {
    let folder = tempfile::tempdir().unwrap();
    let Some(cases) = cases(folder.path()) else { return };
    assert!(cases.len() > 50, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let image = match decode_file(&case.file, DEFAULT_MAX_PIXELS) {
            Ok(image) => image,
            Err(err) => {
                wrong.push(format!("{}: {err}", case.name));
                continue;
            }
        };
        if case.grey != (image.channels() == 1) {
            wrong.push(format!("{}: {} channels", case.name, image.channels()));
        }
        match difference(&color::to_rgb(image), &case.expected) {
            Some(difference) if difference <= case.tolerance => {}
            found => wrong.push(format!("{}: differs by {found:?}, allowed {}", case.name, case.tolerance)),
        }
        let header = read_header(&std::fs::read(&case.file).unwrap(), DEFAULT_MAX_PIXELS).unwrap();
        let size = (header.width as usize, header.height as usize);
        if size != (case.expected.width(), case.expected.height()) {
            wrong.push(format!("{}: header says {size:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_picture_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let Some(cases) = cases(folder.path()) else { return };
    for case in cases {
        let (w, h) = (case.expected.width(), case.expected.height());
        let black = Image::filled(w, h, 3, 0).unwrap();
        assert!(difference(&black, &case.expected).unwrap() > case.tolerance, "{}: black", case.name);
        let flipped = oculist_augment::geometry::flip_horizontal(case.expected.clone());
        assert!(difference(&flipped, &case.expected).unwrap() > case.tolerance, "{}: mirrored", case.name);
        let inverted = case.expected.pixels().iter().map(|v| 255 - v).collect();
        let inverted = Image::new(w, h, 3, inverted).unwrap();
        assert!(difference(&inverted, &case.expected).unwrap() > case.tolerance, "{}: inverted", case.name);
    }
}
