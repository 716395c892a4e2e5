//! Knowledge transfer from the command line: what is carried over, what it gives, and what is refused.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use oculist::{Model, RejectScore, Split};
use oculist_data::fixture::{class_image, write_class_folders, write_image};
use oculist_testing::python;
use serde_json::Value;

use crate::deploy::{code_of_guide, distance, theirs};
use crate::support::data::SIDE;
use crate::support::runs::trained;
use crate::support::{Call, oculist, scratch};

/// `transfer` from the shared model to data, with few seconds of measuring.
fn transfer(data: &Path, output: &Path) -> Call {
    oculist("transfer")
        .arg(data)
        .option("--from", trained().file("model.onnx"))
        .args("--threads 2 --measure-seconds 0.05 --feature-cache none --batch-size 16")
        .option("--output", output)
}

/// Class folders with other names: a bright square whose place is the class.
fn named(root: &Path, names: &[(&str, usize)], channels: usize) {
    for (name, class) in names {
        std::fs::create_dir_all(root.join(name)).expect("a folder");
        for i in 0..24 {
            let image = class_image(*class, SIDE, channels, 500 + i);
            write_image(&root.join(name).join(format!("{i}.png")), &image).expect("an image");
        }
    }
}

fn summary(run: &Path) -> Value {
    let text = std::fs::read_to_string(run.join("summary.json")).expect("a summary");
    serde_json::from_str(&text).expect("JSON")
}

/// Checks that ONNX Runtime finds what `predict` finds, by the guide's own Python.
fn same_in_onnx_runtime(dir: &Path, model: &Path, photos: &[PathBuf]) {
    let code = dir.join("guide.py");
    let mut text = code_of_guide();
    let score = Model::read(model).expect("a model").reject.map(|reject| reject.score);
    if score == Some(RejectScore::MaxProbability) {
        // As the guide's table says of such a file.
        let (right, other) = ("if energy < ", "if probabilities.max() < ");
        assert!(text.contains(right) && text.contains("== \"energy\"\n"));
        text = text.replace(right, other).replace("== \"energy\"\n", "== \"max_probability\"\n");
    }
    std::fs::write(&code, text).expect("a text");
    let Some(found) = theirs("run", &code, model, photos) else { return };
    let mut call = oculist("predict").option("--model", model).args("--json --top 100 --reject --threads 2");
    for photo in photos {
        call = call.arg(photo);
    }
    let (worst, _, other) = distance(&call.run().ok().json(), &found);
    assert!(worst <= 0.005 && other == 0, "{}: {worst:e}, {other}", model.display());
}

#[test]
fn every_mode_tells_new_classes_and_runs_in_onnx_runtime() {
    let dir = scratch();
    let data = dir.path().join("data");
    named(&data, &[("left", 0), ("right", 2)], 3);
    let photos = vec![data.join("left/3.png"), data.join("right/5.png")];
    let features =
        ["logistic", "svm", "lda", "knn", "forest"].map(|head| format!("--mode features --head {head}"));
    let others = [
        "--mode features --precision int8",
        "--mode gap",
        "--mode finetune --epochs 2",
        "--mode auto --epochs 1",
    ];
    for (i, options) in features.iter().map(String::as_str).chain(others).enumerate() {
        let run = dir.path().join(format!("run{i}"));
        let outcome = transfer(&data, &run).args(options).run().ok();
        let found = summary(&run);
        let top1 = found["models"][0]["top1"].as_f64().expect("a number");
        assert!(top1 >= 85.0, "{options}: {top1}\n{}", outcome.stderr);
        assert_eq!(found["transfer"]["source"], "trained/model.onnx", "{options}");
        let page = std::fs::read_to_string(run.join("report.html")).expect("a page");
        assert!(page.contains("Knowledge transfer"), "{options}");
        let model = run.join("model.onnx");
        same_in_onnx_runtime(dir.path(), &model, &photos);
        // Whatever head stands behind them, the features are found again.
        let alike = oculist("predict").arg(&photos[0]).option("--model", &model).option("--similar", &data);
        let alike = alike.args("--top 1 --json").run().ok();
        assert!(alike.stdout.contains("3.png"), "{options}: {}", alike.stdout);
    }
}

#[test]
fn rows_are_carried_by_the_names_of_the_classes() {
    let dir = scratch();
    let source = Model::read(&trained().file("model.onnx")).expect("a model");
    assert_eq!(source.class_names, ["class0", "class1", "class2"]);
    let top1 = |run: &Path| summary(run)["models"][0]["top1"].as_f64().expect("a number");
    // A part of the classes, in another order: the same answers as before.
    let part = dir.path().join("part");
    named(&part, &[("class2", 2), ("class0", 0)], 3);
    let run = dir.path().join("part-run");
    let outcome = transfer(&part, &run).args("--mode fc --head svm --time-budget 9").run().ok();
    assert!(outcome.stderr.contains("2 of 2 classes carried over by name"), "{}", outcome.stderr);
    for line in
        ["--head has no effect: the mode fc", "--batch-size has no effect", "--time-budget has no effect"]
    {
        assert!(outcome.stderr.contains(line), "{}", outcome.stderr);
    }
    assert!(top1(&run) >= 95.0);
    let carried = Model::read(&run.join("model.onnx")).expect("a model");
    let rows = |model: &Model| {
        let last = oculist_passes::classifier(&model.graph).expect("a classifier");
        let row = |name: &str| {
            let at = model.class_names.iter().position(|class| class == name).expect("a class");
            (last.row(at).to_vec(), last.bias[at])
        };
        ["class0", "class2"].map(row)
    };
    assert_eq!(rows(&carried), rows(&source), "rows go over as they are");
    // More classes: the new one by its images.
    let more = dir.path().join("more");
    named(&more, &[("class0", 0), ("class1", 1), ("new", 2)], 3);
    let run = dir.path().join("more-run");
    let outcome = transfer(&more, &run).args("--mode fc").run().ok();
    assert!(outcome.stderr.contains("new: \"new\""), "{}", outcome.stderr);
    assert!(top1(&run) >= 80.0, "{}", top1(&run));
    // No class in common: all rows are new, which is told.
    let other = dir.path().join("other");
    named(&other, &[("up", 0), ("down", 1)], 3);
    let run = dir.path().join("other-run");
    let outcome = transfer(&other, &run).args("--mode fc").run().ok();
    assert!(outcome.stderr.contains("none of the 2 classes of the data"), "{}", outcome.stderr);
    assert!(top1(&run) >= 80.0, "{}", top1(&run));
}

#[test]
fn grey_data_get_a_grey_first_layer() {
    let dir = scratch();
    let data = dir.path().join("data");
    named(&data, &[("left", 0), ("right", 2)], 1);
    let run = dir.path().join("run");
    let outcome = transfer(&data, &run).args("--mode features").run().ok();
    assert!(outcome.stderr.contains("first layer are summed over the colours"), "{}", outcome.stderr);
    let model = Model::read(&run.join("model.onnx")).expect("a model");
    assert_eq!(model.preprocessing.channels(), 1);
    assert!(summary(&run)["models"][0]["top1"].as_f64().expect("a number") >= 85.0);
}

#[test]
fn what_cannot_be_carried_over_is_refused_in_one_line() {
    let dir = scratch();
    let data = dir.path().join("data");
    named(&data, &[("left", 0), ("right", 2)], 3);
    let run = dir.path().join("run");
    let weights = dir.path().join("weights.safetensors");
    oculist("export").arg(trained().file("model.onnx")).option("--output", &weights).run().ok();
    let from = |file: &Path| {
        let call = oculist("transfer").arg(&data).option("--from", file).option("--output", &run);
        call.args("--threads 2 --feature-cache none --preprocessing unit --image-size 32")
    };
    // Weights of another architecture.
    let text = from(&weights).args("--arch mobilenet_v2").run();
    text.fails(1, &["mobilenet_v2"]);
    // A layer that is not there.
    let call = transfer(&data, &run).args("--layer nowhere");
    call.run().fails(1, &["found `nowhere`", "it ends in", "--layer"]);
    // Both a source and a model.
    oculist("optimize")
        .arg(&data)
        .option("--from", trained().file("model.onnx"))
        .option("--model", trained().file("model.onnx"))
        .run()
        .fails(1, &["--from", "found both"]);
    oculist("transfer").arg(&data).run().fails(1, &["--from", "zoo list"]);
    let call = transfer(&data, &run).args("--mode gap --head knn");
    call.run().fails(1, &["logistic, svm or lda", "knn"]);
    // What is pruned and trained on behind the transfer, before anything is computed.
    for head in ["knn", "forest"] {
        let call = oculist("optimize").arg(&data).option("--from", trained().file("model.onnx"));
        let call = call.args("--mode features --threads 2 --feature-cache none").option("--head", head);
        let outcome = call.option("--output", &run).run();
        let text = outcome.fails(1, &["head: expected", "logistic, svm or lda", &format!("found {head}")]);
        assert!(!text.stderr.contains("features of"), "{}", text.stderr);
    }
    let recipe = dir.path().join("recipe.toml");
    let stages = "[[stage]]\nkind = \"transfer\"\nprecision = \"int8\"\n[[stage]]\nkind = \"fine-tune\"\n";
    std::fs::write(&recipe, stages).expect("a file");
    let call = oculist("optimize").arg(&data).option("--from", trained().file("model.onnx"));
    let call = call.option("--recipe", &recipe).args("--feature-cache none").option("--output", &run);
    call.run().fails(1, &["fine-tune"]);
    assert!(!run.exists(), "nothing is left behind");
}

#[test]
fn few_images_are_enough_and_one_class_is_not() {
    let dir = scratch();
    let data = dir.path().join("data");
    for (split, images) in [("train", 1), ("val", 1), ("test", 1)] {
        for (name, class) in [("left", 0), ("right", 2)] {
            for i in 0..images {
                let folder = data.join(split).join(name);
                std::fs::create_dir_all(&folder).expect("a folder");
                let image = class_image(class, SIDE, 3, 900 + i + split.len() as u64);
                write_image(&folder.join(format!("{i}.png")), &image).expect("an image");
            }
        }
    }
    for head in ["logistic", "svm", "lda", "knn", "forest"] {
        let run = dir.path().join(head);
        transfer(&data, &run).args("--mode features --duplicates ignore --head").arg(head).run().ok();
    }
}

#[test]
fn classes_that_no_measurement_has_seen_are_a_warning_of_the_report() {
    let dir = scratch();
    let (data, run) = (dir.path().join("data"), dir.path().join("run"));
    named(&data, &[("left", 0), ("right", 2)], 3);
    std::fs::create_dir(data.join("single")).expect("a folder");
    write_image(&data.join("single").join("0.png"), &class_image(1, SIDE, 3, 0)).expect("an image");
    transfer(&data, &run).args("--mode features").run().ok();
    let warnings = summary(&run)["warnings"].to_string();
    for split in ["val", "test"] {
        let text = format!("the {split} split has no image of 1 of 3 classes");
        assert!(warnings.contains(&text), "{text}: {warnings}");
    }
}

#[test]
fn test_images_that_the_source_was_trained_on_are_told() {
    let dir = scratch();
    let run = dir.path().join("run");
    // Another seed draws other splits of the same photos.
    let outcome = transfer(&trained().data, &run).args("--mode features --seed 7").run().ok();
    assert!(outcome.stderr.contains("was trained on test images of these data"), "{}", outcome.stderr);
    let same = dir.path().join("same");
    let outcome = transfer(&trained().data, &same).args("--mode features").run().ok();
    assert!(!outcome.stderr.contains("was trained on test images"), "{}", outcome.stderr);
}

#[test]
fn features_are_kept_by_content_and_give_the_same_again() {
    let dir = scratch();
    let (data, cache) = (dir.path().join("data"), dir.path().join("cache"));
    named(&data, &[("left", 0), ("right", 2)], 3);
    let models: Vec<Vec<u8>> = (0..3)
        .map(|i| {
            let run = dir.path().join(format!("run{i}"));
            let call = oculist("transfer").arg(&data).option("--from", trained().file("model.onnx"));
            let call = call.args("--mode features --threads 2 --measure-seconds 0.05");
            call.option("--feature-cache", &cache).option("--output", &run).run().ok();
            let kept: Vec<_> =
                std::fs::read_dir(&cache).expect("a folder").map(|e| e.expect("an entry").path()).collect();
            assert_eq!(kept.len(), 1);
            if i == 1 {
                // A damaged file is computed again.
                let bytes = std::fs::read(&kept[0]).expect("a file");
                std::fs::write(&kept[0], &bytes[..bytes.len() / 2]).expect("a shorter file");
            }
            std::fs::read(run.join("model.onnx")).expect("a model")
        })
        .collect();
    assert!(models[0] == models[1] && models[1] == models[2]);
}

#[test]
fn sources_are_ranked_and_the_best_is_taken() {
    let dir = scratch();
    let data = dir.path().join("data");
    named(&data, &[("left", 0), ("middle", 1), ("right", 2)], 3);
    // The same network with weights that say nothing.
    let mut noise = Model::read(&trained().file("model.onnx")).expect("a model");
    oculist_zoo::initialize(&mut noise.graph, 3);
    let other = dir.path().join("noise.onnx");
    noise.write(&other).expect("written");
    let call = oculist("transfer").arg("estimate").arg(&data).option("--from", &other);
    let call =
        call.option("--from", trained().file("model.onnx")).args("--threads 2 --json --feature-cache none");
    let found = call.run().ok().json();
    assert_eq!(found["sources"][0]["source"], "trained/model.onnx", "{found}");
    assert_eq!(found["scratch"].as_array().map(Vec::len), Some(3), "{found}");
    // A source that cannot be read is refused before any is measured; one that is named twice is one; what does nothing is told.
    let estimate = || {
        let call = oculist("transfer").arg("estimate").arg(&data).option("--from", &other);
        call.args("--threads 2 --no-scratch --feature-cache none")
    };
    let outcome =
        estimate().option("--from", dir.path().join("absent.onnx")).run().fails(1, &["absent.onnx"]);
    assert!(!outcome.stderr.contains("looked at"), "{}", outcome.stderr);
    let outcome = estimate().option("--from", &other).args("--head svm --precision int8").run().ok();
    for line in [
        "noise.onnx is named more than once: it is one source",
        "--head has no effect: every source is measured",
        "--precision has no effect: sources are compared",
    ] {
        assert!(outcome.stderr.contains(line), "{line}: {}", outcome.stderr);
    }
    // What would be done is told without a trace.
    let (run, kept) = (dir.path().join("run"), dir.path().join("kept"));
    let call = oculist("transfer")
        .arg(&data)
        .option("--from", trained().file("model.onnx"))
        .option("--from", &other);
    let call = call.option("--feature-cache", &kept).option("--output", &run).args("--threads 2 --dry-run");
    let outcome = call.args("--time-budget 30").run().ok();
    assert!(outcome.stdout.contains("what does not fit into 30 s is left out"), "{}", outcome.stdout);
    assert!(!kept.exists() && !run.exists());
    let outcome = transfer(&data, &run).option("--from", &other).args("--mode features").run().ok();
    assert!(
        outcome.stderr.contains("carried over from trained/model.onnx, which suits the data best"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn features_are_written_for_numpy_and_as_parquet() {
    let dir = scratch();
    let data = dir.path().join("data");
    write_class_folders(&data, "", 3, 20, SIDE).expect("images");
    let write = |name: &str| {
        let call = oculist("features").arg(&data).option("--from", trained().file("model.onnx"));
        let call = call.args("--threads 2 --feature-cache none").option("--output", dir.path().join(name));
        call.run().ok()
    };
    write("f.npy");
    write("f.parquet");
    let table = std::fs::read_to_string(dir.path().join("f.csv")).expect("a table");
    assert_eq!(table.lines().count(), 61);
    assert_eq!(table.lines().next(), Some("image,split,label"));
    let splits: BTreeSet<&str> = table.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!(splits, Split::ALL.iter().map(|split| split.name()).collect());
    let code = "import json, sys, numpy as np\na = np.load(sys.argv[1])\nprint(json.dumps([list(a.shape), float(a.sum())]))";
    let script = dir.path().join("read.py");
    std::fs::write(&script, code).expect("a text");
    if let Some(outcome) = python::run_file(&script, [dir.path().join("f.npy")]) {
        let found = outcome.expect_success().json();
        assert_eq!(found[0][0], 60, "{found}");
        assert!(found[1].as_f64().is_some_and(|sum| sum.is_finite() && sum != 0.0), "{found}");
    }
    let again = oculist("features").arg(&data).option("--from", trained().file("model.onnx"));
    let again = again.args("--feature-cache none").option("--output", dir.path().join("f.npy"));
    again.run().fails(1, &["exists", "--force"]);
    let call = oculist("features").arg(&data).option("--from", trained().file("model.onnx"));
    let call =
        call.args("--feature-cache none --mode gap --force").option("--output", dir.path().join("f.npy"));
    let outcome = call.run().ok();
    assert!(outcome.stderr.contains("--mode has no effect: features are written"), "{}", outcome.stderr);
}

#[test]
fn the_model_that_ships_works_at_once() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/fashion_mnist.onnx");
    assert!(std::fs::metadata(&model).expect("a file").len() <= 1_000_000);
    let found =
        oculist("eval").arg("demo").option("--model", &model).args("--json --threads 2").run().ok().json();
    assert!(found["top1"].as_f64().expect("a number") > 90.0, "{found}");
    // The demo is a part of what it was trained on.
    let dir = scratch();
    let call = oculist("transfer")
        .arg("demo")
        .option("--from", &model)
        .args("--mode fc --threads 2 --feature-cache none");
    let call = call.args("--measure-seconds 0.05").option("--output", dir.path().join("run"));
    let outcome = call.run().ok();
    assert!(outcome.stderr.contains("10 of 10 classes carried over by name"), "{}", outcome.stderr);
}

/// A safetensors file without some of its tensors.
fn without(file: &Path, to: &Path, dropped: impl Fn(&str) -> bool) -> usize {
    let bytes = std::fs::read(file).expect("weights");
    let begin = 8 + u64::from_le_bytes(bytes[..8].try_into().expect("a length")) as usize;
    let header: serde_json::Map<String, Value> = serde_json::from_slice(&bytes[8..begin]).expect("JSON");
    let (mut kept, mut data, mut left) = (serde_json::Map::new(), Vec::new(), 0);
    for (name, mut entry) in header {
        if name != "__metadata__" {
            if dropped(&name) {
                left += 1;
                continue;
            }
            let at = |i: usize| begin + entry["data_offsets"][i].as_u64().expect("an offset") as usize;
            let part = &bytes[at(0)..at(1)];
            entry["data_offsets"] = serde_json::json!([data.len(), data.len() + part.len()]);
            data.extend_from_slice(part);
        }
        kept.insert(name, entry);
    }
    let text = serde_json::to_vec(&kept).expect("JSON");
    std::fs::write(to, [&(text.len() as u64).to_le_bytes()[..], &text, &data].concat()).expect("a file");
    left
}

#[test]
fn weights_without_a_classifier_give_features() {
    let dir = scratch();
    let (weights, bare) = (dir.path().join("weights.safetensors"), dir.path().join("bare.safetensors"));
    oculist("export").arg(trained().file("model.onnx")).option("--output", &weights).run().ok();
    let is_head = |name: &str| ["fc.", "linear.", "classifier."].iter().any(|head| name.starts_with(head));
    assert_eq!(without(&weights, &bare, is_head), 2);
    let arch = Model::read(&trained().file("model.onnx")).expect("a model").arch;
    let (data, run) = (dir.path().join("data"), dir.path().join("run"));
    named(&data, &[("left", 0), ("right", 2)], 3);
    let toml = dir.path().join("unit.toml");
    std::fs::write(&toml, "based_on = \"unit\"\n").expect("a file");
    let from = |weights: &Path, run: &Path| {
        let call =
            oculist("transfer").arg(&data).option("--from", weights).option("--arch", Path::new(&arch));
        let side = SIDE.to_string();
        call.option("--preprocessing", &toml)
            .option("--image-size", Path::new(&side))
            .args("--threads 2 --measure-seconds 0.05 --feature-cache none --mode features")
            .option("--output", run)
    };
    let told = from(&bare, &run).run().ok();
    assert!(told.stderr.contains("no classifier"), "{}", told.stderr);
    // The same features as those of the whole file, whose classifier is not asked.
    let whole = dir.path().join("whole");
    from(&weights, &whole).run().ok();
    assert_eq!(summary(&run)["models"][0]["top1"], summary(&whole)["models"][0]["top1"]);
    // Nothing else may be missing, and nobody can be told anything by it.
    let less = dir.path().join("less.safetensors");
    assert!(without(&weights, &less, |name| is_head(name) || name.contains("layer1.0.conv1")) > 2);
    from(&less, &dir.path().join("other")).run().fails(1, &["less.safetensors", "layer1.0.conv1"]);
    let photo = data.join("left/0.png");
    let predict = oculist("predict").arg(&photo).option("--model", &bare).option("--arch", Path::new(&arch));
    predict.run().fails(1, &["bare.safetensors", "number of classes"]);
}

#[test]
fn nothing_that_is_read_is_written_over() {
    let dir = scratch();
    let (data, own) = (dir.path().join("data"), dir.path().join("own"));
    named(&data, &[("left", 0), ("right", 2)], 3);
    std::fs::create_dir(&own).expect("a folder");
    let source = own.join("model.onnx");
    std::fs::copy(trained().file("model.onnx"), &source).expect("a copy");
    let before = std::fs::read(&source).expect("a model");
    let call = oculist("transfer").arg(&data).option("--from", &source).option("--output", &own);
    call.args("--mode features --feature-cache none --threads 2 --force")
        .run()
        .fails(1, &["model.onnx", "which this run begins with and would replace", "--output"]);
    assert!(std::fs::read(&source).expect("a model") == before);
    let among = data.join("left").join("f.npy");
    let call = oculist("features").arg(&data).option("--from", &source).option("--output", &among);
    call.args("--feature-cache none").run().fails(1, &["holds images of the data set itself"]);
    assert!(!among.exists());
}

#[test]
fn features_of_another_instruction_set_are_others() {
    let dir = scratch();
    let data = dir.path().join("data");
    named(&data, &[("left", 0), ("right", 2)], 3);
    let features = |name: &str, isa: &str, cache: &str| {
        let (file, cache) = (dir.path().join(name), dir.path().join(cache));
        let call = oculist("features").arg(&data).option("--from", trained().file("model.onnx"));
        let call = call.option("--output", &file).option("--feature-cache", &cache).option("--isa", isa);
        call.args("--threads 2").run().ok();
        std::fs::read(file).expect("features")
    };
    let fastest = features("auto.npy", "auto", "cache");
    let kept = features("kept.npy", "portable", "cache");
    let anew = features("anew.npy", "portable", "other");
    assert!(kept == anew, "what is computed does not depend on what was before");
    // Twin: had the first ones been taken, they would be seen.
    #[cfg(target_arch = "x86_64")]
    assert!(fastest != anew || !is_x86_feature_detected!("avx2"), "both sets give the same features");
    #[cfg(not(target_arch = "x86_64"))]
    drop(fastest);
}

#[test]
fn a_source_may_have_the_names_of_a_head() {
    let dir = scratch();
    let data = dir.path().join("data");
    named(&data, &[("left", 0), ("right", 2)], 3);
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    transfer(&data, &first).args("--mode features --head knn").run().ok();
    // All of it, with its neighbours, is in front of the new head.
    let source = first.join("model.onnx");
    let model = Model::read(&source).expect("a model");
    let last = model.graph.value(model.graph.outputs()[0]).name.clone();
    let call = oculist("transfer").arg(&data).option("--from", &source).option("--layer", &last);
    let call = call.args("--mode features --feature-cache none --threads 2 --measure-seconds 0.05");
    call.option("--output", &second).run().ok();
    let photos: Vec<PathBuf> = (0..3).map(|i| data.join("left").join(format!("{i}.png"))).collect();
    same_in_onnx_runtime(dir.path(), &second.join("model.onnx"), &photos);
    // The last of two heads is the one that is taken off.
    let call = oculist("features").arg(&data).option("--from", second.join("model.onnx"));
    let outcome = call.option("--output", dir.path().join("f.npy")).args("--feature-cache none").run().ok();
    assert!(outcome.stderr.contains("rows of 2 features"), "{}", outcome.stderr);
}
