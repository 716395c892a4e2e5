//! What the guide says that a deployer must do, done by its own lines of Python: pictures become the classes, probabilities and
//! thresholds that `predict` finds.

use std::path::{Path, PathBuf};

use oculist::{Model, Preprocessing};
use oculist_augment::{CropRounding, Interpolation, ResizeRule};
use oculist_testing::python;
use serde_json::Value;

use crate::support::runs::{optimized_idx, trained};
use crate::support::{oculist, scratch};

const GUIDE: &str = include_str!("../../../../docs/guide.md");
/// What the guide promises of probabilities.
const TOLERANCE: f64 = 0.005;

/// The Python of a section of the guide.
pub(crate) fn code_of_guide() -> String {
    let section = GUIDE.split("\n## ").find(|s| s.starts_with("The model files")).expect("the section");
    let blocks: Vec<&str> =
        section.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 2, "a block to prepare, a block to run");
    let body = blocks[0].lines().skip_while(|line| !line.starts_with("def ")).filter(|line| !line.is_empty());
    assert_eq!(body.count(), 12, "the guide says twelve lines");
    blocks.concat()
}

/// Runs the script beside this file; `None` without the oracle.
fn script(mode: &str, arguments: impl IntoIterator<Item = PathBuf>) -> Option<python::Outcome> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/deploy.py");
    let outcome = python::run_file(&script, [PathBuf::from(mode)].into_iter().chain(arguments))?;
    Some(outcome.expect_success())
}

/// What code finds in photos.
pub(crate) fn theirs(mode: &str, code: &Path, model: &Path, photos: &[PathBuf]) -> Option<Value> {
    let arguments = [code.to_path_buf(), model.to_path_buf()].into_iter().chain(photos.iter().cloned());
    Some(script(mode, arguments)?.json())
}

/// What `predict` finds in photos.
fn ours(model: &Path, photos: &[PathBuf]) -> Value {
    let mut call = oculist("predict").option("--model", model).args("--json --top 100 --reject --threads 2");
    for photo in photos {
        call = call.arg(photo);
    }
    call.run().ok().json()
}

/// The largest difference of probabilities and of the scores that tell foreign images, after comparing the likeliest classes.
pub(crate) fn distance(ours: &Value, theirs: &Value) -> (f64, f64, usize) {
    let (mut worst, mut score, mut other) = (0f64, 0f64, 0);
    let (ours, theirs) = (ours.as_array().expect("a list"), theirs.as_array().expect("a list"));
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        let classes = theirs["classes"].as_array().expect("classes");
        let found = theirs["probabilities"].as_array().expect("probabilities");
        let of = |name: &Value| classes.iter().position(|class| class == name).expect("a class");
        let top = ours["top"].as_array().expect("guesses");
        assert_eq!(top.len(), classes.len());
        for guess in top {
            let p = found[of(&guess["class"])].as_f64().expect("a number");
            worst = worst.max((guess["confidence"].as_f64().expect("a number") - p).abs());
        }
        let energy = theirs["energy"].as_f64().expect("a number");
        score = score.max((ours["reject"]["score"].as_f64().expect("a score") - energy).abs());
        let none = ours["reject"]["none_of_these"] == true;
        let want = if none { "none of these" } else { top[0]["class"].as_str().expect("a name") };
        let printed = theirs["printed"].as_str().expect("a line");
        other += usize::from(!printed.starts_with(want));
    }
    (worst, score, other)
}

#[test]
fn the_lines_of_the_guide_give_what_predict_says() {
    if python::interpreter().is_none() {
        return;
    }
    let dir = scratch();
    let photos_dir = dir.path().join("photos");
    std::fs::create_dir(&photos_dir).expect("a folder");
    script("make", [photos_dir.clone()]).expect("an interpreter");
    let mut photos: Vec<PathBuf> = std::fs::read_dir(&photos_dir)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    photos.sort();
    assert_eq!(photos.len(), 11);

    let code = code_of_guide();
    let (rgb, grey) = (trained().file("model.onnx"), optimized_idx()[0].file("model.onnx"));
    type Change = fn(&mut Preprocessing);
    let cases: [(&str, &Path, Change); 5] = [
        ("exact", &rgb, |_| {}),
        ("grey", &grey, |_| {}),
        ("shorter", &rgb, |p| p.resize = ResizeRule::ShorterSide(37)),
        ("torchvision", &rgb, |p| {
            (p.resize, p.crop) = (ResizeRule::ShorterSide(35), CropRounding::HalfToEven);
            p.interpolation = Interpolation::Bicubic;
        }),
        ("nearest", &grey, |p| p.interpolation = Interpolation::Nearest),
    ];
    let write = |name: &str, text: &str| {
        let path = dir.path().join(format!("{name}.py"));
        std::fs::write(&path, text).expect("a text");
        path
    };
    let plain = write("plain", &code);
    for (name, file, change) in cases {
        let mut model = Model::read(file).expect("a model");
        change(&mut model.preprocessing);
        let path = dir.path().join(format!("{name}.onnx"));
        model.write(&path).expect("written");
        let ours = ours(&path, &photos);
        let found = theirs("run", &plain, &path, &photos).expect("an interpreter");
        let (worst, score, other) = distance(&ours, &found);
        println!("{name}: probabilities differ by {worst:e}, scores by {score:e}, {other} other answers");
        assert!(worst <= TOLERANCE && score <= 0.1 && other == 0, "{name}: {worst:e}, {score:e}, {other}");

        // Twin: a resize without antialiasing (or with), or a corner instead of the middle, is told from the right one.
        let nearest = model.preprocessing.interpolation == Interpolation::Nearest;
        let other = if nearest { "Image.Resampling.BILINEAR" } else { "Image.Resampling.NEAREST" };
        let twins = [
            ("Image.Resampling[meta[\"oculist.interpolation\"].upper()]", other),
            ("start = ", "start = 0 * size if rule != \"exact\" else "),
        ];
        let crops = matches!(model.preprocessing.resize, ResizeRule::ShorterSide(_));
        for (right, wrong) in &twins[..=usize::from(crops)] {
            let text = code.replace(right, wrong);
            assert_ne!(text, code);
            let twin = write("twin", &text);
            let found = theirs("run", &twin, &path, &photos).expect("an interpreter");
            let (worst, ..) = distance(&ours, &found);
            println!("{name}, {wrong}: {worst:e}");
            assert!(worst > TOLERANCE, "{name}: `{wrong}` instead of `{right}` would pass: {worst:e}");
        }
    }
}
