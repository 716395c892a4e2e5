//! The main job on the kinds of data sets it reads: what it leaves behind and what that says.

use std::path::Path;

use serde_json::Value;

use crate::support::data::{CLASSES, PER_CLASS};
use crate::support::runs::{Run, optimized, optimized_idx};
use crate::support::{read, read_json, read_text};

/// The files that every run of the main job leaves.
const FILES: [&str; 10] = [
    "config.toml",
    "settings.toml",
    "metrics.csv",
    "checkpoints/baseline/last.safetensors",
    "checkpoints/baseline/best.safetensors",
    "baseline.onnx",
    "model.onnx",
    "summary.json",
    "report-data.json",
    "report.html",
];

/// Everything that holds for any run of the main job.
fn check_run(run: &Run, train: usize, val: usize, test: usize) {
    for name in FILES {
        assert!(run.file(name).is_file(), "{name} is missing");
    }
    let summary = read_json(&run.file("summary.json"));
    assert_eq!(summary["seed"], 0);
    assert_eq!(summary["threads"], 2);
    assert!(!summary["cpu"].as_str().expect("a processor").is_empty());
    let command = summary["command"].as_str().expect("a command");
    assert!(command.starts_with("oculist optimize ") && command.contains("--finetune-epochs 2"), "{command}");
    let data = &summary["data"];
    assert_eq!(
        (&data["train"], &data["val"], &data["test"], &data["classes"]),
        (&train.into(), &val.into(), &test.into(), &CLASSES.into())
    );
    let models = summary["models"].as_array().expect("models");
    assert_eq!(models[0]["name"], "baseline");
    assert!(models.len() > 1, "nothing could be compressed: {}", summary["candidates"]);
    for model in models {
        check_model(model, run);
    }
    check_promise(&summary, models);
    check_metrics(&read_text(&run.file("metrics.csv")));
    check_page(&read_text(&run.file("report.html")), &summary);
    // The result on standard output names the files, the progress on standard error the stages.
    for file in ["model.onnx", "summary.json", "report.html"] {
        assert!(run.outcome.stdout.contains(&run.file(file).display().to_string()), "{}", run.outcome.stdout);
    }
    for stage in ["1. Read the data", "Train the baseline: resnet8", "Quantise", "Prune", "Measure"] {
        assert!(run.outcome.stderr.contains(stage), "{stage}: {}", run.outcome.stderr);
    }
}

/// The numbers of one model are those of its file and of a working classifier.
fn check_model(model: &Value, run: &Run) {
    let number = |key: &str| model[key].as_f64().unwrap_or_else(|| panic!("{key} of {model}"));
    let bytes = read(&run.file(model["file"].as_str().expect("a file"))).len();
    assert_eq!(model["bytes"], bytes);
    let (top1, top5) = (number("top1"), number("top5"));
    // Three classes are told apart by chance in a third of all cases.
    assert!((50.0..=100.0).contains(&top1) && top5 >= top1, "{model}");
    assert!(number("params") > 1000.0 && number("macs") > number("params"), "{model}");
    for (key, batch) in [("latency_ms", 1), ("images_per_s", 32)] {
        let spread = &model[key];
        assert_eq!(spread["batch"], batch);
        let of = |key: &str| spread[key].as_f64().unwrap_or_else(|| panic!("{key} of {spread}"));
        assert!(of("min") > 0.0 && of("min") <= of("median") && of("median") <= of("max"), "{spread}");
    }
}

/// What is recommended keeps the promise, and the chosen candidate is among those that were tried.
fn check_promise(summary: &Value, models: &[Value]) {
    assert_eq!(summary["max_drop"], 5.0);
    assert_eq!(summary["promise"]["kept"], true, "{}", summary["promise"]);
    let recommended =
        models.iter().find(|m| m["name"] == summary["recommended"]).expect("a recommended model");
    let of = |model: &Value, key: &str| model[key].as_f64().expect("a number");
    assert!(of(&models[0], "val_top1") - of(recommended, "val_top1") <= 5.0);
    assert!(of(recommended, "bytes") < of(&models[0], "bytes"));
    let candidates = summary["candidates"].as_array().expect("candidates");
    assert!(candidates.len() >= 3, "baseline, int8 and at least one pruned");
    let chosen: Vec<&Value> = candidates.iter().filter(|c| c["chosen"] == true).collect();
    assert_eq!(chosen.len(), 1, "{chosen:?}");
    assert_eq!(chosen[0]["bytes"], recommended["bytes"]);
    assert!(candidates.iter().all(|c| !c["reason"].as_str().expect("a reason").is_empty()));
}

/// One line per epoch of every phase, under a header.
fn check_metrics(text: &str) {
    let mut lines = text.lines();
    let header = lines.next().expect("a header");
    assert_eq!(header, "phase,epoch,train_loss,val_loss,val_top1,lr,images_per_s,seconds,data_wait,val");
    let rows: Vec<Vec<&str>> = lines.map(|l| l.split(',').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == 10), "{text}");
    let waits: Vec<f64> = rows.iter().map(|row| row[8].parse().expect("a number")).collect();
    assert!(waits.iter().all(|wait| (0.0..=100.0).contains(wait)), "{waits:?}");
    let baseline: Vec<&str> = rows.iter().filter(|r| r[0] == "baseline").map(|r| r[1]).collect();
    assert_eq!(baseline, ["1", "2", "3"]);
    assert!(rows.iter().any(|r| r[0].starts_with("prune-")), "{text}");
}

/// The page needs nothing but itself and shows what it must.
fn check_page(page: &str, summary: &Value) {
    assert!(page.starts_with("<!doctype html>") || page.starts_with("<!DOCTYPE html>"), "{}", &page[..60]);
    for attribute in ["src=\"", "src='", "href=\"", "href='", "url("] {
        for place in page.split(attribute).skip(1) {
            let target = &place[..place.len().min(40)];
            assert!(target.starts_with("data:") || target.starts_with('#'), "{attribute}{target}");
        }
    }
    for text in ["@import", "<iframe"] {
        assert!(!page.contains(text), "{text}");
    }
    for text in ["<svg", "data:image", "baseline", "confusion", "--finetune-epochs 2"] {
        assert!(page.to_lowercase().contains(text), "{text}");
    }
    let models = summary["models"].as_array().expect("models").iter().map(|m| &m["name"]);
    for name in models.chain(summary["data"]["class_names"].as_array().expect("names")) {
        assert!(page.contains(name.as_str().expect("a name")), "{name}");
    }
}

#[test]
fn class_folders() {
    // Two of the images cannot be read.
    let images = CLASSES * PER_CLASS - 2;
    check_run(optimized(), images - 36, 18, 18);
}

#[test]
fn idx_files_plain_and_gzipped() {
    let [plain, gzipped] = optimized_idx();
    check_run(plain, 108, 12, 30);
    check_run(gzipped, 108, 12, 30);
    for model in ["baseline.onnx", "model.onnx"] {
        assert_eq!(read(&plain.file(model)), read(&gzipped.file(model)), "the images are the same: {model}");
    }
    let photos: &Path = &optimized().file("baseline.onnx");
    assert_ne!(read(&plain.file("baseline.onnx")), read(photos), "other images give other weights");
}

#[test]
fn unreadable_images_are_skipped_counted_and_listed() {
    let run = optimized();
    let summary = read_json(&run.file("summary.json"));
    let skipped = summary["data"]["skipped"].as_array().expect("a list");
    let of = |ending: &str| {
        let found = skipped.iter().find(|s| s["path"].as_str().is_some_and(|p| p.ends_with(ending)));
        found.unwrap_or_else(|| panic!("{ending} is not among {skipped:?}"))["reason"]
            .as_str()
            .expect("a reason")
    };
    assert_eq!(skipped.len(), 2);
    assert!(!of("class1/7.png").is_empty());
    assert!(of("class2/8.png").contains("not an image"), "{}", of("class2/8.png"));
    assert!(
        run.outcome.stderr.contains("skipped: 2 unreadable images; the first: "),
        "{}",
        run.outcome.stderr
    );
    let page = read_text(&run.file("report.html"));
    assert!(page.contains("7.png") && page.contains("not an image"), "the page lists them");
}
