//! Measures against OpenCV and NumPy; issues on data sets with planted faults.

use super::*;
use crate::fixture::{class_image, write_class_folders, write_image};
use crate::{OpenOptions, SkipKind};
use oculist_augment::{Image, Rng};
use oculist_testing::python;
use serde_json::Value;
use std::path::Path;

/// What the measures of one plane are, in an order of their own.
struct Measured {
    small: Vec<u8>,
    hash: String,
    numbers: Vec<f64>,
}

impl Measured {
    fn of(grey: &[u8], size: (usize, usize)) -> Self {
        let small = area_resize(grey, size, (THUMBNAIL, THUMBNAIL));
        let mut numbers = vec![laplacian_variance(grey, size), entropy(grey)];
        numbers.extend([1.0, 5.0, 50.0, 99.0].map(|q| percentile(grey, q)));
        Self { hash: format!("{:064b}", dct_hash(&small)), small, numbers }
    }

    /// What is wrong with it.
    fn compare(&self, case: &Value, small: &[u8]) -> Vec<String> {
        let mut wrong = Vec::new();
        // A mean that lies within rounding errors of a half may go either way.
        let apart = self.small.iter().zip(small).map(|(&a, &b)| a.abs_diff(b));
        if apart.clone().max() > Some(1) || apart.map(usize::from).sum::<usize>() > 2 {
            wrong.push("thumbnail".to_owned());
        }
        if case["patterned"] == true && self.hash != case["hash"] {
            wrong.push(format!("hash {} instead of {}", self.hash, case["hash"]));
        }
        let percentiles = case["percentiles"].as_array().expect("numbers");
        let expected = [&case["laplacian"], &case["entropy"]].into_iter().chain(percentiles);
        for (i, (got, want)) in self.numbers.iter().zip(expected).enumerate() {
            let want = want.as_f64().expect("a number");
            if (got - want).abs() > 1e-9 * (1.0 + want.abs()) {
                wrong.push(format!("number {i}: {got} instead of {want}"));
            }
        }
        wrong
    }
}

#[test]
fn measures_are_those_of_opencv_and_numpy() {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/audit.py");
    let Some(outcome) = python::run_file(&script, [folder.path()]) else { return };
    let cases = outcome.expect_success().json();
    let cases = cases.as_array().expect("a list");
    assert_eq!(cases.len(), 8);
    for case in cases {
        let name = case["name"].as_str().expect("a name");
        let number = |key: &str| case[key].as_u64().expect("a number") as usize;
        let size = (number("width"), number("height"));
        let read = |end: &str| std::fs::read(folder.path().join(format!("{name}.{end}"))).expect("a plane");
        let (grey, small) = (read("grey"), read("small"));
        assert_eq!(Measured::of(&grey, size).compare(case, &small), Vec::<String>::new(), "{name}");
        // Twin: the plane upside down has the same histogram, but neither thumbnail nor hash would pass; with a few
        // pixels changed, neither the Laplacian nor the entropy.
        if case["patterned"] == true {
            let turned: Vec<u8> = grey.iter().rev().copied().collect();
            let wrong = Measured::of(&turned, size).compare(case, &small);
            assert!(wrong.len() >= 2 && wrong[0] == "thumbnail", "{name}: {wrong:?}");
            let mut changed = grey.clone();
            changed[70..90].fill(7);
            let wrong = Measured::of(&changed, size).compare(case, &small).join(", ");
            assert!(wrong.contains("number 0") && wrong.contains("number 1"), "{name}: {wrong}");
        }
    }
}

/// An image with structure at several scales, of its own for each seed.
fn scene(seed: u64, side: usize) -> Image {
    let mut rng = Rng::keyed(&[77, seed]);
    let waves: Vec<[f32; 4]> = (0..6)
        .map(|_| [rng.range(-0.3, 0.3), rng.range(-0.3, 0.3), rng.range(0.0, 6.0), rng.range(10.0, 40.0)])
        .collect();
    let mut pixels = Vec::new();
    for y in 0..side {
        for x in 0..side {
            let (x, y) = (x as f32 * 64.0 / side as f32, y as f32 * 64.0 / side as f32);
            let value: f32 = waves.iter().map(|[a, b, c, d]| d * (a * x + b * y + c).sin()).sum();
            let v = 128.0 + value + rng.range(-12.0, 12.0);
            pixels.extend([v as u8, (v * 0.9) as u8, (v * 0.7 + 20.0) as u8]);
        }
    }
    Image::new(side, side, 3, pixels).unwrap()
}

fn changed(image: &Image, f: impl Fn(u8) -> u8) -> Image {
    let pixels = image.pixels().iter().map(|&v| f(v)).collect();
    Image::new(image.width(), image.height(), image.channels(), pixels).unwrap()
}

/// One slow wave, without any detail.
fn smooth(side: usize) -> Image {
    let mut pixels = Vec::new();
    for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y as f32, x as f32))) {
        let v = 128.0 + 80.0 * (0.08 * x + 0.05 * y).sin();
        pixels.extend([v as u8, (v * 0.9) as u8, (v * 0.7 + 20.0) as u8]);
    }
    Image::new(side, side, 3, pixels).unwrap()
}

/// Two classes of 40 images in 3 splits with one fault of each kind.
fn faulty(root: &Path) {
    for (split, images) in [("train", 24), ("val", 8), ("test", 8)] {
        for class in 0..2u64 {
            let folder = root.join(split).join(format!("class{class}"));
            std::fs::create_dir_all(&folder).unwrap();
            for i in 0..images {
                let seed = class * 1000
                    + i
                    + match split {
                        "train" => 0,
                        "val" => 100,
                        _ => 200,
                    };
                write_image(&folder.join(format!("{i}.png")), &scene(seed, 64)).unwrap();
            }
        }
    }
    let at = |name: &str| root.join(name);
    let write = |name: &str, image: &Image| write_image(&at(name), image).unwrap();
    write("train/class0/dark.png", &changed(&scene(300, 64), |v| v / 8));
    write("train/class0/bright.png", &changed(&scene(301, 64), |v| 250 + v / 64));
    write("train/class0/blurred.png", &smooth(64));
    write("train/class0/empty.png", &Image::filled(64, 64, 3, 90).unwrap());
    write("train/class0/large.png", &scene(303, 256));
    let long = Image::new(128, 32, 3, scene(304, 64).into_pixels()).unwrap();
    write("train/class0/long.png", &long);
    let grey = oculist_augment::color::to_grey(scene(305, 64));
    write("train/class0/grey.png", &grey);
    std::fs::copy(at("train/class0/1.png"), at("train/class0/again.png")).unwrap();
    std::fs::copy(at("test/class1/2.png"), at("train/class0/leak.png")).unwrap();
    // Stored as another format and a little brighter: near, not exact.
    let near = changed(&scene(1003, 64), |v| v.saturating_add(3));
    image::save_buffer(at("near.jpg"), near.pixels(), 64, 64, image::ColorType::Rgb8).unwrap();
    std::fs::rename(at("near.jpg"), at("val/class1/near.png")).unwrap();
    std::fs::write(at("train/class1/broken.png"), b"no image").unwrap();
    std::fs::write(at("train/class1/notes"), b"notes").unwrap();
}

fn run(root: &Path, threads: usize) -> (Dataset, Audit) {
    let options = OpenOptions { max_unreadable: 0.5, ..OpenOptions::default() };
    let dataset = Dataset::open_path(root, &options).unwrap();
    let options = AuditOptions { threads, ..AuditOptions::default() };
    let found = audit(&dataset, &options, &mut |_, _| ControlFlow::Continue(())).unwrap().unwrap();
    (dataset, found)
}

/// `kind split/class/file < partner`, for all issues.
fn lines(root: &Path, dataset: &Dataset, audit: &Audit) -> Vec<String> {
    let short = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
    let name = |place: Place| short(dataset.split(place.split).path(place.index).unwrap());
    let line = |issue: &Issue| {
        let subject = match &issue.subject {
            Subject::Image(place) => name(*place),
            Subject::File(path) => short(path),
            Subject::Class(class) => dataset.class_names()[*class as usize].clone(),
        };
        let partner = issue.partner.map_or_else(String::new, |p| format!(" = {}", name(p)));
        format!("{} {subject}{partner}", issue.kind)
    };
    audit.issues.iter().map(line).collect()
}

#[test]
fn every_planted_fault_is_found_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    faulty(root.path());
    let (dataset, found) = run(root.path(), 2);
    let expected = [
        "unreadable train/class1/broken.png",
        "not-an-image train/class1/notes",
        "misnamed val/class1/near.png",
        "exact-duplicates-across-splits train/class0/leak.png = test/class1/2.png",
        "near-duplicates-across-splits train/class1/3.png = val/class1/near.png",
        "exact-duplicates train/class0/again.png = train/class0/1.png",
        "conflicting-labels train/class0/leak.png = test/class1/2.png",
        "blurred train/class0/blurred.png",
        "dark train/class0/dark.png",
        "bright train/class0/bright.png",
        "low-information train/class0/empty.png",
        "odd-size train/class0/large.png",
        "odd-aspect-ratio train/class0/long.png",
        "grey-among-color train/class0/grey.png",
    ];
    let mut got = lines(root.path(), &dataset, &found);
    // An empty image is grey too, and a bright one has neither colour nor many levels.
    let also = ["grey-among-color train/class0/empty.png", "grey-among-color train/class0/bright.png"];
    got.retain(|line| !also.contains(&&line[..]) && line != "low-information train/class0/bright.png");
    assert_eq!(got, expected);
    let (_, again) = run(root.path(), 1);
    assert_eq!((again.issues, again.groups), (found.issues, found.groups), "any number of threads");
    assert!(dataset.skipped().iter().any(|s| s.kind == SkipKind::NotAnImage));
}

#[test]
fn a_sound_data_set_has_no_issues() {
    let root = tempfile::tempdir().unwrap();
    write_class_folders(root.path(), "", 3, 30, 24).unwrap();
    let (dataset, found) = run(root.path(), 2);
    assert_eq!(lines(root.path(), &dataset, &found), Vec::<String>::new());
    assert_eq!(found.places.len(), 90);
    assert_eq!(found.groups, (0..90).collect::<Vec<u32>>());
}

#[test]
fn a_rare_class_is_named() {
    let root = tempfile::tempdir().unwrap();
    write_class_folders(root.path(), "", 3, 100, 16).unwrap();
    for i in 5..100 {
        std::fs::remove_file(root.path().join(format!("class2/{i}.png"))).unwrap();
    }
    let (dataset, found) = run(root.path(), 2);
    assert_eq!(lines(root.path(), &dataset, &found), ["rare-class class2"]);
}

#[test]
fn the_work_can_be_ended_and_options_have_ranges() {
    let root = tempfile::tempdir().unwrap();
    write_class_folders(root.path(), "", 2, 10, 16).unwrap();
    let dataset = Dataset::open_path(root.path(), &OpenOptions::default()).unwrap();
    let options = AuditOptions::default();
    assert!(audit(&dataset, &options, &mut |_, _| ControlFlow::Break(())).unwrap().is_none());
    let wrong = AuditOptions { hash_distance: 8, ..options };
    let err = audit(&dataset, &wrong, &mut |_, _| ControlFlow::Continue(())).unwrap_err();
    assert!(err.to_string().contains("hash_distance"), "{err}");
}

#[test]
fn a_grey_image_equals_itself_with_three_channels() {
    let grey = oculist_augment::color::to_grey(class_image(1, 20, 3, 5));
    let rgb = oculist_augment::color::to_rgb(grey.clone());
    assert_eq!(Measures::of(&grey), Measures::of(&rgb));
    let mut other = grey.clone();
    other.pixels_mut()[399] ^= 1;
    assert_ne!(Measures::of(&grey).content, Measures::of(&other).content);
}

#[test]
fn names_of_kinds_are_unique_and_read_back() {
    for kind in IssueKind::ALL {
        assert_eq!(IssueKind::from_name(kind.name()), Some(kind));
        assert!(kind.advice().ends_with('.') && !kind.unit().is_empty());
    }
    assert_eq!(IssueKind::from_name("nonsense"), None);
}
