//! The verbs around the main job: train, eval, predict, compress, export, bench, report, data, zoo, completions.

use std::process::Command;

use serde_json::Value;

use crate::support::data::{CLASSES, PER_CLASS};
use crate::support::runs::{copy_of_trained, optimized, optimized_idx, trained};
use crate::support::{oculist, read, read_json, read_text, scratch};

/// Accuracy of the trained model in its own summary, percent.
fn test_top1() -> f64 {
    read_json(&trained().file("summary.json"))["models"][0]["top1"].as_f64().expect("an accuracy")
}

#[test]
fn train_leaves_a_model_and_a_report() {
    let run = trained();
    for name in ["config.toml", "metrics.csv", "model.onnx", "summary.json", "report.html"] {
        assert!(run.file(name).is_file(), "{name}");
    }
    assert!(!run.file("model.int8.onnx").exists(), "training alone does not compress");
    assert!(!run.file("baseline.onnx").exists(), "one model has one name");
    let summary = read_json(&run.file("summary.json"));
    assert_eq!(summary["verb"], "train");
    assert_eq!(summary["models"].as_array().map(Vec::len), Some(1));
    assert_eq!(summary["models"][0]["file"], "model.onnx");
    assert!(
        run.outcome.stderr.contains("wrote model.onnx [")
            || run.outcome.stderr.contains("wrote model.onnx\n")
    );
    assert!(
        run.outcome.stderr.contains("classes: \"class0\", \"class1\", \"class2\""),
        "{}",
        run.outcome.stderr
    );
    assert!(test_top1() >= 80.0, "{}", summary["models"][0]);
    // Where there is no terminal, one line per epoch.
    for epoch in 1..=12 {
        assert!(run.outcome.stderr.contains(&format!("baseline epoch {epoch:>2}/12  loss ")), "{epoch}");
    }
    assert!(run.outcome.stdout.contains("Top-1"), "{}", run.outcome.stdout);
}

#[test]
fn without_test_images_all_others_are_used_and_costs_measured() {
    let dir = scratch();
    let out = dir.path().join("run");
    let call = |fraction: &str| {
        let options =
            "--arch resnet8 --width 0.25 --epochs 1 --image-size 16 --threads 2 --measure-seconds 0.01";
        let call = oculist("train").arg(&trained().data).args(options).option("--output", &out);
        call.option("--test-fraction", fraction)
    };
    let outcome = call("0").run().ok();
    let summary = read_json(&out.join("summary.json"));
    let count = |part: &str| summary["data"][part].as_u64().expect("a count");
    assert_eq!((count("train") + count("val"), count("test")), ((CLASSES * PER_CLASS) as u64, 0));
    let model = &summary["models"][0];
    assert!(
        model["top1"].is_null() && model["scores"].as_object().is_none_or(serde_json::Map::is_empty),
        "{model}"
    );
    assert!(model["val_top1"].is_number() && model["latency_ms"]["median"].is_number(), "{model}");
    assert!(
        outcome.stdout.contains("without test images") && outcome.stdout.contains("No test images"),
        "{}",
        outcome.stdout
    );
    assert!(read_text(&out.join("report.html")).contains("There are no test images"));
    assert!(!out.join("predictions.csv").exists(), "there are no answers");
    call("0.2").arg("--resume").run().fails(1, &["test_fraction: 0.0 in the run, 0.2 given"]);
    call("0").arg("--resume").run().ok();
    call("0.7").run().fails(2, &["--test-fraction", "0 to 0.5"]);
    // Twin: the usual run has all of that.
    let usual = read_json(&trained().file("summary.json"));
    assert!(usual["data"]["test"].as_u64() > Some(0) && trained().file("predictions.csv").exists());
}

#[test]
fn a_width_multiplies_the_channels() {
    let dir = scratch();
    let out = dir.path().join("wide");
    let options = "--arch resnet8 --width 2 --epochs 1 --image-size 16 --threads 2 --measure-seconds 0.01";
    oculist("train").arg(&trained().data).args(options).option("--output", &out).run().ok();
    let summary = read_json(&out.join("summary.json"));
    // Convolutions of 3x3 with batch norm, twice as wide as ResNet-8's 16, 32 and 64 channels, and the classifier.
    let layer = |c_in: u64, c_out: u64| 9 * c_in * c_out + 2 * c_out;
    let c_in = summary["input"]["channels"].as_u64().expect("channels");
    let blocks: u64 = [(32, 32), (32, 64), (64, 128)].iter().map(|&(i, o)| layer(i, o) + layer(o, o)).sum();
    let params = layer(c_in, 32) + blocks + 128 * CLASSES as u64 + CLASSES as u64;
    assert_eq!(summary["models"][0]["params"].as_u64(), Some(params));
    assert!(read_text(&out.join("settings.toml")).contains("width = 2"));
}

#[test]
fn eval_as_table_and_as_json() {
    let call = || {
        oculist("eval")
            .arg(&trained().data)
            .option("--model", trained().file("model.onnx"))
            .args("--threads 2 --split test")
    };
    let json = call().arg("--json").run().ok().json();
    assert!((json["top1"].as_f64().expect("an accuracy") - test_top1()).abs() < 1e-9, "{json}");
    assert_eq!(json["precision"], "f32");
    assert_eq!(json["per_class"].as_array().map(Vec::len), Some(CLASSES));
    let confusion: u64 = json["confusion"]
        .as_array()
        .expect("rows")
        .iter()
        .flat_map(|row| row.as_array().expect("a row"))
        .map(|n| n.as_u64().expect("a count"))
        .sum();
    assert_eq!(confusion, 18, "each test image once");
    let table = call().run().ok();
    assert!(table.stdout.contains(&format!("{:.2}%", test_top1())), "{}", table.stdout);
    assert!(table.stdout.contains("class0") && table.stdout.contains("class2"), "{}", table.stdout);
    let call = oculist("eval").arg(&trained().data).option("--model", trained().file("model.onnx"));
    let train = call.args("--threads 2 --split train --json").run().ok().json();
    assert_eq!(train["per_class"][0]["count"], (PER_CLASS * 7).div_ceil(10), "{}", train["per_class"]);
    // The same images as IDX files, plain and gzipped.
    let [plain, gzipped] = optimized_idx();
    let of = |data, model| {
        let call = oculist("eval").arg(data).option("--model", model).args("--json --threads 2");
        call.run().ok().json()["confusion"].clone()
    };
    let (a, b) = (of(&plain.data, gzipped.file("model.onnx")), of(&gzipped.data, plain.file("model.onnx")));
    assert_eq!(a, b);
}

#[test]
fn predict_files_and_folders() {
    let model = trained().file("model.onnx");
    let call = || oculist("predict").option("--model", &model);
    let json = call().arg(&trained().data).arg("--json").run().ok().json();
    let all = json.as_array().expect("predictions");
    assert_eq!(all.len(), CLASSES * PER_CLASS);
    let path = |p: &Value| p["path"].as_str().expect("a path").to_owned();
    assert!(
        path(&all[1]).ends_with("class0/1.png") && path(&all[10]).ends_with("class0/10.png"),
        "natural order"
    );
    let right =
        all.iter().filter(|p| path(p).contains(p["top"][0]["class"].as_str().expect("a class"))).count();
    assert!(right * 10 >= all.len() * 8, "{right} of {}", all.len());
    for p in all {
        let confidences: Vec<f64> = p["top"]
            .as_array()
            .expect("guesses")
            .iter()
            .map(|g| g["confidence"].as_f64().expect("one"))
            .collect();
        assert!(
            confidences.is_sorted_by(|a, b| a >= b) && (confidences.iter().sum::<f64>() - 1.0).abs() < 1e-4
        );
    }
    // A table by default, and as many classes as asked for.
    let file = trained().data.join("class1/3.png");
    let table = call().arg(&file).args("--top 1").run().ok();
    let class =
        all.iter().find(|p| path(p).ends_with("class1/3.png")).expect("the file")["top"][0]["class"].clone();
    let class = class.as_str().expect("a class");
    assert!(table.stdout.contains("class1/3.png") && table.stdout.contains(class), "{}", table.stdout);
    let json = call().arg(&file).args("--top 2 --json").run().ok().json();
    assert_eq!(json[0]["top"].as_array().map(Vec::len), Some(2));
}

#[test]
fn eval_under_corruptions() {
    let call = |args: &str| {
        let call = oculist("eval").arg(&trained().data).option("--model", trained().file("model.onnx"));
        call.args("--split train --corruptions --json").args(args).run().ok().json()["robustness"].clone()
    };
    let found = call("--threads 2");
    let rows = found["corruptions"].as_array().expect("corruptions");
    assert_eq!((rows.len(), rows[0]["corruption"].as_str()), (15, Some("gaussian_noise")));
    assert!(rows.iter().all(|row| row["severities"].as_array().map(Vec::len) == Some(5)));
    let top1 = |v: &Value| v["top1"].as_f64().expect("an accuracy");
    let mean = rows.iter().map(top1).sum::<f64>() / 15.0;
    assert!((found["mean_corruption_error"].as_f64().expect("an error") - (100.0 - mean)).abs() < 1e-9);
    // A network that is right about squares whose place is the class loses something, but not all.
    assert!(mean > 40.0 && mean < found["clean_top1"].as_f64().expect("an accuracy"), "{found}");
    // Neither threads nor the other severities change a number; another seed does (noise at the edge of a decision).
    let one = call("--threads 1 --severity 5,3");
    for (a, b) in rows.iter().zip(one["corruptions"].as_array().expect("corruptions")) {
        assert_eq!((&a["severities"][2], &a["severities"][4]), (&b["severities"][0], &b["severities"][1]));
    }
    assert_eq!(call("--threads 2 --seed 9")["seed"], 9);
    let call = || {
        let call = oculist("eval").arg(&trained().data).option("--model", trained().file("model.onnx"));
        call.args("--threads 2 --severity 1")
    };
    let table = call().arg("--corruptions").run().ok().stdout;
    assert!(
        table.contains("jpeg_compression") && table.contains("Mean error over corruptions, unnormalised: "),
        "{table}"
    );
    call().run().fails(2, &["--corruptions"]);
    call().args("--corruptions --severity 6").run().fails(2, &["1 to 5"]);
}

#[test]
fn eval_and_predict_with_test_time_augmentation() {
    let dir = scratch();
    let (model, file) = (trained().file("model.onnx"), dir.path().join("views.toml"));
    let eval = |views: &str| {
        let call = oculist("eval").arg(&trained().data).option("--model", &model).args("--json --threads 2");
        call.option("--tta", views).run()
    };
    for (views, n) in [("flip", 2), ("crops", 5), ("flip-crops", 10)] {
        let found = eval(views).ok().json();
        assert_eq!((&found["tta"]["name"], &found["tta"]["views"]), (&views.into(), &n.into()));
        assert_eq!(found["tta"]["top1_without"], found["top1"], "{found}");
        // Both calibration errors have one unit; two views move it by little.
        let error = |value: &serde_json::Value| value["ece"].as_f64().unwrap();
        assert!((error(&found["tta"]) - error(&found)).abs() < 0.2, "{found}");
    }
    // Mirrored, the squares of the left are those of the right: probability goes to the other class.
    let image = trained().data.join("class0/0.png");
    let predict = |views: Option<&str>, args: &str| {
        let mut call = oculist("predict").arg(&image).option("--model", &model).args("--json --top 3");
        if let Some(views) = views {
            call = call.option("--tta", views);
        }
        call.args(args).run().ok().json()[0]["top"].clone()
    };
    let (plain, flipped) = (predict(None, ""), predict(Some("flip"), ""));
    let of = |top: &Value, class: &str| {
        let found = top.as_array().expect("classes").iter().find(|g| g["class"] == class).expect("the class");
        found["confidence"].as_f64().expect("a probability")
    };
    assert!((of(&flipped, "class0") + of(&flipped, "class1") + of(&flipped, "class2") - 1.0).abs() < 1e-5);
    let moved = |class: &str| of(&flipped, class) - of(&plain, class);
    assert!(moved("class0") < -0.05 && moved("class2") > 0.05, "{plain} {flipped}");
    // Drawn views depend on the seed and on nothing else.
    std::fs::write(&file, "[[steps]]\nop = 'translate'\nx = 0.3\ny = 0.3\n").expect("a file");
    let name = file.to_str().expect("a name");
    let drawn = predict(Some(name), "--tta-views 4");
    assert_eq!(drawn, predict(Some(name), "--tta-views 4 --threads 1"));
    assert_ne!(drawn, predict(Some(name), "--tta-views 4 --seed 1"));
    assert_ne!(drawn, predict(Some(name), "--tta-views 5"));
    assert_eq!(eval(name).ok().json()["tta"]["views"], 8);
    std::fs::write(&file, "[[steps]]\nop = 'rotat'\n").expect("a file");
    eval(name).fails(1, &["--tta", "views.toml", "rotat"]);
    eval("mirror").fails(2, &["flip-crops"]);
}

#[test]
fn predict_with_unreadable_files() {
    let dir = scratch();
    let text = dir.path().join("text.png");
    std::fs::write(&text, "no image").expect("a file");
    let good = trained().data.join("class0/0.png");
    let call = || oculist("predict").option("--model", trained().file("model.onnx"));
    let run = |more: &str| {
        let outcome = call().arg(&good).arg(&text).args(more).run();
        // The user named it, so that it is no success.
        assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
        outcome
    };
    let outcome = run("");
    assert!(
        outcome.stdout.contains("text.png") && outcome.stdout.contains("not an image"),
        "{}",
        outcome.stdout
    );
    assert!(outcome.stderr.contains("1 of 2 files could not be read"), "{}", outcome.stderr);
    let quiet = run("--quiet").stderr;
    assert!(quiet.starts_with("error: ") && quiet.lines().count() == 1, "{quiet}");
    let json: Value = serde_json::from_str(&run("--json").stdout).expect("JSON");
    assert!(json[1]["error"].as_str().is_some_and(|e| e.contains("not an image")), "{json}");
    assert_eq!((json[1]["top"].as_array().map(Vec::len), json[0]["error"].is_null()), (Some(0), true));
    // Found in a folder, it is told and no failure.
    std::fs::copy(&good, dir.path().join("good.png")).expect("a copy");
    let outcome = call().arg(dir.path()).run().ok();
    assert!(outcome.stderr.contains("1 of 2 files could not be read"), "{}", outcome.stderr);
    std::fs::remove_file(dir.path().join("good.png")).expect("removed");
    call().arg(&good).arg(&text).arg("--strict").run().fails(1, &["text.png", "not an image"]);
    call().arg(dir.path().join("none.png")).run().fails(1, &["none.png", "No such file"]);
    std::fs::remove_file(&text).expect("removed");
    call().arg(dir.path()).run().fails(1, &["holds no files"]);
    // If none can be read, that is a failure, after the table that says why.
    std::fs::write(&text, "no image").expect("a file");
    let outcome = call().arg(&text).run();
    assert_eq!(outcome.status.code(), Some(1));
    assert!(outcome.stdout.contains("not an image") && outcome.stderr.contains("text.png could not be read"));
}

#[test]
fn compress_a_trained_model() {
    let dir = scratch();
    let run = dir.path().join("run");
    let model = trained().file("model.onnx");
    let call = oculist("compress").arg(&trained().data).option("--model", &model).option("--output", &run);
    let options =
        "--max-drop 10 --finetune-epochs 1 --batch-size 16 --threads 2 --target macs --calibration minmax";
    let outcome = call.args(options).run().ok();
    assert!(outcome.stderr.contains("Take the given model"), "{}", outcome.stderr);
    assert!(read(&run.join("baseline.onnx")) == read(&model), "the baseline is the model that was given");
    let summary = read_json(&run.join("summary.json"));
    assert_eq!((&summary["verb"], &summary["target"]), (&"compress".into(), &"macs".into()));
    let models = summary["models"].as_array().expect("models");
    assert!((models[0]["top1"].as_f64().expect("an accuracy") - test_top1()).abs() < 1e-9);
    let recommended =
        models.iter().find(|m| m["name"] == summary["recommended"]).expect("a recommended model");
    assert!(recommended["macs"].as_u64() < models[0]["macs"].as_u64(), "{recommended}");
    let history = summary["history"].as_array().expect("epochs");
    assert!(history.iter().all(|e| e["phase"] != "baseline"), "nothing was trained from the start");
}

#[test]
fn export_in_an_opset_that_is_asked_for() {
    let dir = scratch();
    let model = trained().file("model.onnx");
    let opset = |path: &std::path::Path| oculist_onnx::read(path).expect("a model").opset();
    assert_eq!(opset(&model), 17);
    let older = dir.path().join("older.onnx");
    let export = |n: &str| oculist("export").arg(&model).option("-o", &older).args("--force --opset").arg(n);
    let outcome = export("11").run().ok();
    assert!(outcome.stdout.contains("older.onnx: as it was, opset 11, "), "{}", outcome.stdout);
    assert_eq!(opset(&older), 11);
    let eval = |model: &std::path::Path| {
        let call = oculist("eval").arg(&trained().data).option("--model", model);
        call.args("--json --threads 2 --split test").run().ok().json()
    };
    assert_eq!(eval(&model)["confusion"], eval(&older)["confusion"]);
    export("6").run().fails(2, &["--opset", "7..=28"]);
    // Quantised weights have a scale for each channel, which came with opset 13; what was there stays.
    let (int8, before) = (optimized().file("model.int8.onnx"), read(&older));
    let call = oculist("export").arg(&int8).option("-o", &older).args("--force --opset 12");
    call.run().fails(1, &["DequantizeLinear", "opset 13"]);
    assert!(read(&older) == before);
}

#[test]
fn export_folded_and_int8() {
    let dir = scratch();
    let model = trained().file("model.onnx");
    let eval = |model: &std::path::Path| {
        let call = oculist("eval").arg(&trained().data).option("--model", model);
        call.args("--json --threads 2 --split test").run().ok().json()
    };
    let (folded, int8) = (dir.path().join("folded.onnx"), dir.path().join("int8.onnx"));
    let outcome = oculist("export").arg(&model).option("-o", &folded).arg("--fold").run().ok();
    assert!(
        outcome.stdout.contains("folded.onnx") && outcome.stdout.contains("folded, "),
        "{}",
        outcome.stdout
    );
    let call = oculist("export").arg(&model).option("-o", &int8).option("--int8", &trained().data);
    let outcome = call.args("--calibration entropy").run().ok();
    assert!(outcome.stdout.contains("entropy calibration on 84 images"), "{}", outcome.stdout);
    let (a, b, c) = (eval(&model), eval(&folded), eval(&int8));
    assert_eq!(a["confusion"], b["confusion"], "folding changes no answer");
    assert_eq!((&b["precision"], &c["precision"]), (&"f32".into(), &"int8".into()));
    let len = |path| read(path).len();
    assert!(len(&folded) < len(&model), "folding leaves out the statistics");
    assert!(len(&int8) * 5 < len(&model) * 2, "{} of {}", len(&int8), len(&model));
    assert!(c["top1"].as_f64() >= Some(test_top1() - 15.0), "{c}");

    // A file that is there stays unless it may be replaced.
    let before = read(&folded);
    let again = || oculist("export").arg(&model).option("-o", &folded);
    again().run().fails(1, &["folded.onnx", "exists already", "--force"]);
    assert!(read(&folded) == before);
    assert_eq!(again().args("--force --quiet").run().ok().stdout, "");
    assert!(read(&folded) == read(&model), "as it was");
    let nowhere = dir.path().join("none/x.onnx");
    oculist("export").arg(&model).option("-o", &nowhere).run().fails(1, &["x.onnx", "none does not exist"]);
    assert!(!dir.path().join("none").exists());
    again().option("-o", dir.path()).args("--force").run().fails(2, &["--output"]);
    oculist("export").arg(&model).arg("--force").option("-o", dir.path()).run().fails(1, &["found a folder"]);
}

#[test]
fn bench_as_table_json_and_plan() {
    let (f32, int8) = (optimized().file("baseline.onnx"), optimized().file("model.int8.onnx"));
    let call = || oculist("bench").arg(&f32).arg(&int8).args("--seconds 0.05 --threads 2");
    let json = call().arg("--json").run().ok().json();
    let lines = json.as_array().expect("lines");
    let of = |key: &str| lines.iter().map(|l| l[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("precision"), ["f32", "f32", "int8", "int8"]);
    assert_eq!(lines.iter().map(|l| l["latency_ms"]["batch"].clone()).collect::<Vec<_>>(), [1, 32, 1, 32]);
    for line in lines {
        let (ms, rate) = (&line["latency_ms"], &line["images_per_s"]);
        let of = |v: &Value| v["median"].as_f64().expect("a number");
        let batch = ms["batch"].as_f64().expect("a number");
        assert!(
            (of(ms) / 1e3 * of(rate) / batch - 1.0).abs() < 1e-6,
            "time and rate are one measurement: {line}"
        );
    }
    let table = call().run().ok();
    for text in ["baseline.onnx", "model.int8.onnx", "median ms", "CPU: "] {
        assert!(table.stdout.contains(text), "{text}: {}", table.stdout);
    }
    assert!(!table.stdout.contains("plan of"), "only if asked for");
    let plan = call().arg("--plan").run().ok();
    for text in ["plan of", "layer1.0.conv1", "int8 conv", "median ms"] {
        assert!(plan.stdout.contains(text), "{text}: {}", plan.stdout);
    }
}

#[test]
fn report_is_made_again() {
    let dir = scratch();
    let run = copy_of_trained(dir.path());
    let page = run.join("report.html");
    let before = read(&page);
    std::fs::remove_file(&page).expect("removed");
    let printed = oculist("report").arg(&run).arg("--print").run().ok();
    assert!(printed.stdout.contains("Top-1") && !page.exists(), "{}", printed.stdout);
    let outcome = oculist("report").arg(&run).run().ok();
    assert!(outcome.stdout.contains(&page.display().to_string()), "{}", outcome.stdout);
    assert!(read(&page) == before, "the same page, pictures included");
    assert_eq!(oculist("report").arg(&run).arg("--quiet").run().ok().stdout, "");
    // Without the pictures the numbers are still enough for a page.
    std::fs::remove_file(run.join("report-data.json")).expect("removed");
    oculist("report").arg(&run).run().ok();
    let numbers = read_text(&page);
    assert!(numbers.len() < before.len() && numbers.contains("class1"), "without pictures");
}

#[test]
fn report_of_what_is_no_finished_run() {
    let dir = scratch();
    let report = |run: &std::path::Path| oculist("report").arg(run).run();
    report(&dir.path().join("none")).fails(1, &["none", "finished run", "found nothing"]);
    report(dir.path()).fails(1, &["finished run", "no summary.json"]);
    let run = copy_of_trained(dir.path());
    std::fs::remove_file(run.join("report-data.json")).expect("removed");
    let summary = run.join("summary.json");
    std::fs::write(&summary, &read(&summary)[..100]).expect("a shorter file");
    report(&run).fails(1, &["summary.json", "not a run summary"]);
    std::fs::remove_file(&summary).expect("removed");
    report(&run).fails(1, &["not finished", "--resume"]);
}

#[test]
fn data_is_shown() {
    let table = oculist("data").args("show demo").run().ok();
    for text in ["demo", "12000 images", "10 classes", "Sneaker", "28x28", "9000"] {
        assert!(table.stdout.contains(text), "{text}: {}", table.stdout);
    }
    let call = || oculist("data").arg("show").arg(&trained().data);
    let json = call().arg("--json").run().ok().json();
    assert_eq!(json["class_names"], serde_json::json!(["class0", "class1", "class2"]));
    let images: Vec<_> =
        json["splits"].as_array().expect("splits").iter().map(|s| s["images"].clone()).collect();
    assert_eq!((images, &json["color"]), (vec![84.into(), 18.into(), 18.into()], &"rgb".into()));
    assert!(call().run().ok().stdout.contains("class2"));
}

#[test]
fn architectures_are_listed() {
    let list = oculist("zoo").arg("list").run().ok().stdout;
    let json = oculist("zoo").args("list --json").run().ok().json();
    let millions = |name: &str| {
        let entry = json.as_array().expect("a list").iter().find(|e| e["name"] == name);
        let entry = entry.unwrap_or_else(|| panic!("{name} is missing"));
        assert!(list.lines().any(|l| l.starts_with(name)), "{name}: {list}");
        format!("{:.2}", entry["params"].as_f64().expect("a number") / 1e6)
    };
    let of =
        |name: &str| json.as_array().expect("a list").iter().find(|e| e["name"] == name).expect("an entry");
    assert!(list.contains("hf:timm/resnet18.a1_in1k") && of("resnet20")["weights"] == serde_json::json!([]));
    assert_eq!(of("googlenet")["weights"][0]["name"], "googlenet-1378be20.pth");
    // The papers' and torchvision's numbers.
    assert_eq!(
        ["resnet20", "resnet18", "resnet50", "mobilenet_v2", "vgg16", "alexnet"].map(millions),
        ["0.27", "11.69", "25.56", "3.50", "138.36", "61.10"]
    );
}

#[test]
fn the_layers_of_an_architecture_are_shown() {
    let text = oculist("zoo").args("show resnet18 --image-size 32 --classes 10").run().ok().stdout;
    assert!(
        text.contains("layer4.1.conv2") && text.contains("[N, 512, 4, 4]") && text.contains("10 classes"),
        "{text}"
    );
    let json = oculist("zoo").args("show squeezenet1_1 --json").run().ok().json();
    let params: u64 = json["layers"]
        .as_array()
        .expect("layers")
        .iter()
        .map(|l| l["params"].as_u64().expect("a number"))
        .sum();
    assert_eq!((params, &json["params"]), (1_235_496, &1_235_496.into()));
    oculist("zoo").args("show resnet19").run().fails(1, &["resnet19", "resnet18"]);
}

#[test]
fn completions_and_version() {
    for (shell, text) in
        [("bash", "complete -F _oculist"), ("zsh", "#compdef oculist"), ("fish", "complete -c oculist")]
    {
        let script = oculist("completions").arg(shell).run().ok().stdout;
        assert!(script.contains(text) && script.contains("optimize"), "{shell}");
        if shell == "bash" {
            let dir = scratch();
            let file = dir.path().join("completions");
            std::fs::write(&file, script).expect("a file");
            assert!(
                Command::new("bash").arg("-n").arg(&file).status().expect("bash").success(),
                "bash reads it"
            );
        }
    }
    let version = oculist("--version").run().ok().stdout;
    assert_eq!(version.trim(), format!("oculist {}", env!("CARGO_PKG_VERSION")));
}
