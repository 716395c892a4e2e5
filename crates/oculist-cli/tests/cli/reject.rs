//! `predict --reject`: the threshold in a model's file, against SciPy and NumPy on ONNX Runtime's logits, and what is said with it.

use std::path::{Path, PathBuf};

use oculist::{Model, RejectScore};
use oculist_graph::{Op, Softmax};
use oculist_testing::python;
use serde_json::Value;

use crate::deploy::{code_of_guide, theirs};
use crate::endings::with_ending;
use crate::support::runs::{optimized, trained};
use crate::support::{Call, oculist, read, read_json, read_text, scratch};

/// The validation images of a run.
fn val_images(inputs: &Path, data: &Path) -> Vec<PathBuf> {
    let lines = read_text(inputs);
    let rows = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_val = rows.filter(|row| row[0] == "val");
    let path = |row: Value| data.join(row[2].as_str().expect("a path"));
    let images: Vec<PathBuf> = of_val.map(path).collect();
    assert!(images.len() > 10 && images.iter().all(|image| image.is_file()), "{lines}");
    images
}

fn predict(model: &Path) -> Call {
    oculist("predict").option("--model", model).args("--reject --threads 2")
}

#[test]
fn thresholds_are_those_of_scipy_on_the_logits_of_onnx_runtime() {
    if python::interpreter().is_none() {
        return;
    }
    let run = optimized();
    let dir = scratch();
    let code = dir.path().join("code.py");
    std::fs::write(&code, code_of_guide()).expect("a text");
    let images = val_images(&run.file("inputs.jsonl"), &run.data);
    let summary = read_json(&run.file("summary.json"));
    let models = summary["models"].as_array().expect("models");
    assert!(models.iter().any(|m| m["precision"] == "int8") && models.len() >= 2, "{models:?}");
    let mut thresholds = Vec::new();
    for facts in models {
        let file = run.file(facts["file"].as_str().expect("a file"));
        let found = theirs("threshold", &code, &file, &images).expect("an interpreter");
        let want = found["quantile"].as_f64().expect("a number");
        let reject = Model::read(&file).expect("a model").reject.expect("a threshold");
        let got = f64::from(reject.threshold);
        // Where our sums and theirs round differently, an int8 activation may move by a step.
        let tolerance = if facts["precision"] == "int8" { 0.1 } else { 1e-4 };
        println!("{}: ours {got}, theirs {want}", facts["name"]);
        assert!((got - want).abs() <= tolerance, "{}: ours {got}, theirs {want}", facts["name"]);
        assert_eq!((reject.score, reject.images), (RejectScore::Energy, images.len()));
        // Twin: the score one place further up the list is another.
        let scores: Vec<f64> =
            found["scores"].as_array().expect("scores").iter().filter_map(Value::as_f64).collect();
        let median = scores[scores.len() / 2];
        assert!((median - got).abs() > tolerance, "the median {median} would pass");
        // What the report says of it.
        let told = &facts["reject"];
        assert!((told["threshold"].as_f64().expect("a number") - got).abs() < 1e-6, "{told}");
        assert!(told["val_kept"].as_f64().is_some_and(|kept| kept >= 95.0), "{told}");
        assert_eq!((&told["rate"], &told["images"]), (&95.0.into(), &images.len().into()));
        let kept: Vec<f64> = told["curve"]
            .as_array()
            .expect("a curve")
            .iter()
            .map(|point| point[1].as_f64().expect("a share"))
            .collect();
        assert!(kept.len() > 5 && kept[0] == 100.0 && kept.is_sorted_by(|a, b| a >= b), "{kept:?}");
        thresholds.push(got);
    }
    assert!(thresholds.windows(2).any(|pair| (pair[0] - pair[1]).abs() > 1e-6), "each model has its own");
    assert!(read_text(&run.file("report.html")).contains("id=\"reject\""));
}

#[test]
fn none_of_these_is_said_below_the_threshold_and_not_above() {
    let dir = scratch();
    let run = trained();
    let images = val_images(&run.file("inputs.jsonl"), &run.data);
    let model = run.file("model.onnx");
    let answers = |model: &Path| -> Vec<Value> {
        let mut call = predict(model).arg("--json");
        for image in &images {
            call = call.arg(image);
        }
        call.run().ok().json().as_array().expect("a list").clone()
    };
    let none = |answers: &[Value]| answers.iter().filter(|a| a["reject"]["none_of_these"] == true).count();
    let plain = answers(&model);
    let refused = none(&plain);
    println!("{refused} of {} validation images are none", plain.len());
    assert!(20 * refused <= plain.len(), "{refused} of {}", plain.len());
    for answer in &plain {
        let reject = &answer["reject"];
        let below = reject["score"].as_f64() < reject["threshold"].as_f64();
        assert_eq!(reject["none_of_these"], below, "{answer}");
        assert_eq!(answer["top"].as_array().map(Vec::len), Some(3), "the guesses are told all the same");
    }
    // Twin: with another threshold in the file the answers are others.
    let high = dir.path().join("high.onnx");
    let mut strict = Model::read(&model).expect("a model");
    strict.reject.as_mut().expect("a threshold").threshold = 1e6;
    strict.write(&high).expect("written");
    assert_eq!(none(&answers(&high)), images.len());
    let table = predict(&high).arg(&images[0]).run().ok().stdout;
    assert!(table.contains("(none of these)") && table.contains("score "), "{table}");
    // Without the option nothing is said of it.
    let call = oculist("predict").option("--model", &high).arg(&images[0]).arg("--json");
    assert!(call.run().ok().json()[0].get("reject").is_none());
}

#[test]
fn what_has_no_threshold_says_how_to_get_one() {
    let dir = scratch();
    let (data, image) = (&trained().data, trained().data.join("class0/0.png"));
    let without = dir.path().join("without.onnx");
    let mut model = Model::read(&trained().file("model.onnx")).expect("a model");
    let reject = model.reject.take().expect("a threshold");
    model.write(&without).expect("written");
    predict(&without).arg(&image).run().fails(1, &["without.onnx", "oculist.reject.*", "--reject DATA"]);
    oculist("predict").option("--model", &without).arg(&image).run().ok();

    // `export --reject` measures the threshold of the run: same images, same model.
    let with = dir.path().join("with.onnx");
    let call = oculist("export").arg(&without).option("--reject", data).option("--output", &with);
    let outcome = call.args("--threads 2").run().ok();
    assert!(outcome.stdout.contains("none of its classes below"), "{}", outcome.stdout);
    let again = Model::read(&with).expect("a model").reject.expect("a threshold");
    assert_eq!(again, reject);
    assert!(read(&with) == read(&trained().file("model.onnx")), "the file of the run");
    predict(&with).arg(&image).run().ok();
    // The twin: with another seed other images are drawn, of which some were trained on.
    let other = dir.path().join("other.onnx");
    let call = oculist("export").arg(&without).option("--reject", data).option("--output", &other);
    call.args("--threads 2 --seed 7").run().ok();
    let drawn = Model::read(&other).expect("a model").reject.expect("a threshold");
    assert_ne!(drawn.threshold.to_bits(), reject.threshold.to_bits());
    // As it is, and in int8.
    let [same, int8] = ["same", "int8"].map(|name| dir.path().join(format!("{name}.onnx")));
    oculist("export").arg(&with).option("--output", &same).run().ok();
    assert!(read(&same) == read(&with));
    let call = oculist("export").arg(&with).option("--int8", data).option("--output", &int8);
    call.args("--calibration minmax --threads 2").run().ok();
    let quantized = Model::read(&int8).expect("a model").reject.expect("a threshold");
    assert_eq!(quantized.images, reject.images);
    assert_ne!(quantized.threshold.to_bits(), reject.threshold.to_bits());

    // Another preprocessing is another model.
    let call = predict(&with).arg(&image).args("--preprocessing unit");
    call.run().fails(1, &["with.onnx", "preprocessing", "--reject"]);
    predict(&with).arg(&image).args("--tta flip").run().fails(2, &["--reject", "--tta"]);
    // A damaged value is named.
    let mut graph = oculist_onnx::read(&with).expect("a model");
    graph.metadata.insert("oculist.reject.threshold".into(), "much".into());
    let damaged = dir.path().join("damaged.onnx");
    oculist_onnx::write_with(&graph, &damaged, oculist_onnx::ExportOptions::default()).expect("written");
    predict(&damaged).arg(&image).run().fails(1, &["damaged.onnx", "oculist.reject.threshold", "\"much\""]);
}

#[test]
fn files_that_give_probabilities_are_judged_by_them() {
    let dir = scratch();
    let [file, with] = ["softmax", "with"].map(|name| dir.path().join(format!("{name}.onnx")));
    with_ending(&trained().file("model.onnx"), Op::Softmax(Softmax::along(1)), &file);
    let call = oculist("export").arg(&file).option("--reject", &trained().data).option("--output", &with);
    call.args("--threads 2").run().ok();
    let reject = Model::read(&with).expect("a model").reject.expect("a threshold");
    assert_eq!(reject.score, RejectScore::MaxProbability);
    assert!(reject.threshold > 1.0 / 3.0 && reject.threshold <= 1.0, "{reject:?}");
    let image = trained().data.join("class0/0.png");
    let found = predict(&with).arg(&image).arg("--json").run().ok().json();
    let (score, top) = (&found[0]["reject"]["score"], &found[0]["top"][0]["confidence"]);
    assert!((score.as_f64().expect("a score") - top.as_f64().expect("a confidence")).abs() < 1e-6, "{found}");
}
