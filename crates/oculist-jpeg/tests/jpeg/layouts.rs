//! A family of layouts that common encoders do not write, against libjpeg-turbo through Pillow, live.

use crate::family::layouts;
use crate::oracle::{Case, cases_of, disagreement};
use oculist_jpeg::{Header, Request};
use oculist_testing::python;
use std::path::Path;

/// The files as Pillow reads them, with the layouts' names; files that Pillow refuses are a mistake of the writer.
fn cases() -> Option<Vec<Case>> {
    let folder = tempfile::tempdir().unwrap();
    let layouts = layouts();
    for (i, (_, layout)) in layouts.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{i:04}.jpg")), layout.write()).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/layouts.py");
    let listed = python::run_file(&script, [folder.path()])?.expect_success().json();
    let mut cases = cases_of(&listed, folder.path());
    for case in &mut cases {
        let index: usize = case.name[..4].parse().unwrap();
        case.name = format!("{} / {}", layouts[index].0, case.reduction);
    }
    Some(cases)
}

#[test]
fn every_layout_is_decoded_as_by_libjpeg() {
    let Some(cases) = cases() else { return };
    for reduction in [1, 2, 4, 8] {
        let count = cases.iter().filter(|case| case.reduction == reduction).count();
        assert!(count > 300, "{count} cases of reduction {reduction}");
    }
    let mut wrong = Vec::new();
    for case in &cases {
        let request = Request::whole().reduced(case.reduction);
        match Header::parse(&case.bytes).and_then(|header| header.decode(&request)) {
            Ok(image) => wrong.extend(disagreement(case, &image)),
            Err(err) => wrong.push(format!("{}: {err}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn another_layout_s_image_is_rejected() {
    let Some(cases) = cases() else { return };
    let mut told = 0;
    for pair in cases.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        if (a.expected.width, a.expected.height) == (b.expected.width, b.expected.height) {
            assert!(disagreement(a, &b.expected).is_some(), "{}", a.name);
            told += 1;
        }
        let mut image = a.expected.clone();
        image.pixels[0] ^= 1;
        assert!(disagreement(a, &image).is_some(), "{}", a.name);
    }
    assert!(told < cases.len());
}
