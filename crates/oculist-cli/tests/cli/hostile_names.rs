//! Names of files and classes that would steer a terminal, forge a line or turn the direction of writing around.

use std::path::Path;

use oculist_data::fixture::{class_image, write_image};

use crate::support::data::SIDE;
use crate::support::runs::trained;
use crate::support::{Outcome, oculist, read_text, scratch};

/// An escape sequence, a line of ours, a bell, and an override of the direction.
const NAME: &str = "a\x1b[31m\nerror: b\u{7}\u{202e}gpj";
/// How it is shown.
const SHOWN: &str = r"a\u{1b}[31m\nerror: b\u{7}\u{202e}gpj";

/// Asserts that nothing hostile was printed, and that the name was shown where it was printed.
#[track_caller]
fn tame(outcome: &Outcome, shown_by: &str) {
    for (stream, text) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
        let hostile =
            text.chars().find(|&c| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)));
        assert_eq!(hostile, None, "{stream}: {text}");
        assert!(!text.lines().any(|line| line.starts_with("error: b")), "{stream}: {text}");
    }
    let text = if shown_by == "stdout" { &outcome.stdout } else { &outcome.stderr };
    assert!(text.contains(SHOWN), "{shown_by}: {text}");
}

fn images(folder: &Path, count: u64) {
    std::fs::create_dir_all(folder).expect("a folder");
    for i in 0..count {
        write_image(&folder.join(format!("{i}.png")), &class_image(1, SIDE, 3, i)).expect("an image");
    }
}

#[cfg(unix)]
#[test]
fn no_verb_prints_them() {
    let dir = scratch();
    let (model, data) = (trained().file("model.onnx"), dir.path().join("photos"));
    images(&data.join(NAME), 20);
    images(&data.join("plain"), 20);
    // Not a single image: a copy, a broken file and an unknown class.
    std::fs::write(data.join(NAME).join(format!("{NAME}.png")), "no image").expect("a file");
    let image = data.join(NAME).join("0.png");

    let show = oculist("data").arg("show").arg(&data).run().ok();
    tame(&show, "stdout");
    tame(&oculist("eval").arg(&data).option("--model", &model).run(), "stderr");
    tame(&oculist("predict").arg(&image).option("--model", &model).run().ok(), "stdout");
    let missing = dir.path().join(format!("{NAME}.csv"));
    tame(&oculist("data").arg("show").arg(&missing).run(), "stderr");
    tame(&oculist("eval").arg("demo").option("--model", &missing).run(), "stderr");
    tame(&oculist("train").arg("demo").option("--config", &missing).run(), "stderr");
    tame(&oculist("eval").arg("demo").option("--model", &model).option("--split", NAME).run(), "stderr");
    tame(&oculist("eval").arg("demo").arg(format!("--{NAME}")).run(), "stderr");
    tame(&oculist(NAME).run(), "stderr");
    // What a value's parser says of it.
    for option in ["--layout", "--max-memory", "--max-image-bytes", "--cache", "--epochs", "--lr"] {
        tame(&oculist("train").arg("demo").option(option, NAME).run(), "stderr");
    }
    let out = dir.path().join(format!("out-{NAME}"));
    tame(&oculist("data").arg("check").arg(&data).option("--output", &out).run().ok(), "stdout");
    let preview =
        oculist("augment").arg("preview").arg(&data).option("--output", &out).args("--images 1 --copies 1");
    tame(&preview.run().ok(), "stdout");
    let page = read_text(&out.join("audit.html"));
    assert!(page.contains(r"\u{202e}gpj") && !page.contains('\u{202e}') && !page.contains('\u{1b}'));
    assert!(!read_text(&out.join("preview.html")).contains('\u{202e}'));
    let copy = dir.path().join(format!("{NAME}.onnx"));
    tame(&oculist("export").arg(&model).option("--output", &copy).run().ok(), "stdout");
    tame(&oculist("bench").arg(&copy).args("--seconds 0.01").run().ok(), "stdout");

    // JSON keeps the names as they are.
    let json = oculist("data").arg("show").arg(&data).arg("--json").run().ok().json();
    assert_eq!(json["class_names"][0], NAME);
    let json = oculist("predict").arg(&image).option("--model", &model).arg("--json").run().ok().json();
    assert_eq!(json[0]["path"].as_str(), image.to_str());
}

#[cfg(unix)]
#[test]
fn no_training_prints_them() {
    let dir = scratch();
    let data = dir.path().join(NAME);
    for class in ["b\u{202e}c", "plain"] {
        images(&data.join(class), 20);
    }
    let options = "--arch resnet8 --epochs 1 --image-size 16 --threads 2 --measure-seconds 0.01";
    let out = dir.path().join(format!("run-{NAME}"));
    let outcome = oculist("train").arg(&data).args(options).option("--output", &out).run().ok();
    tame(&outcome, "stdout");
    tame(&outcome, "stderr");
    let again = oculist("report").arg(&out).run().ok();
    tame(&again, "stdout");
    let page = read_text(&out.join("report.html"));
    assert!(!page.contains('\u{202e}') && !page.contains('\u{7}') && page.contains(r"b\u{202e}c"));
    // The node names of a graph are strings of its file.
    let mut graph = oculist_onnx::read(out.join("model.onnx")).expect("a graph");
    graph.set_name(NAME);
    let model = dir.path().join("named.onnx");
    oculist_onnx::write(&graph, &model).expect("a model");
    tame(&oculist("bench").arg(&model).args("--plan --seconds 0.01").run().ok(), "stdout");
}
