//! The networks of PyTorch's exporters and of tf2onnx (`golden/models`) through the verbs: written again, folded,
//! compressed.

use std::path::{Path, PathBuf};

use oculist_data::fixture::write_class_folders;
use oculist_testing::{golden, python};

use crate::support::{oculist, scratch};

/// Files that are refused, with the operator that the message names.
const REFUSED: [(&str, &str); 2] = [("googlenet.legacy", "If"), ("shufflenet.dynamo", "SplitToSequence")];

/// Files whose graphs compute with a batch of one image, so that it cannot be opened: they run and are not trained.
const FIXED: [&str; 3] = ["vit.default", "vit_mean.default", "convnext.default"];

fn models() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(golden::path("models"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "onnx"))
        .collect();
    all.sort();
    assert!(all.len() > 30);
    all
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

#[test]
fn what_is_written_again_computes_the_same_in_onnx_runtime() {
    let dir = scratch();
    let mut pairs = Vec::new();
    for model in models() {
        let name = stem(&model);
        let plain = dir.path().join(format!("{name}.plain.onnx"));
        let call = oculist("export").arg(&model).option("--output", &plain);
        if let Some((_, operator)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            call.run().fails(1, &[&name, operator, "not supported"]);
            continue;
        }
        call.run().ok();
        let folded = dir.path().join(format!("{name}.folded.onnx"));
        oculist("export").arg(&model).option("--output", &folded).args("--fold").run().ok();
        pairs.push((model.clone(), plain));
        pairs.push((model, folded));
    }
    let list = dir.path().join("pairs.json");
    std::fs::write(&list, serde_json::to_string(&pairs).expect("text")).expect("a file");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/same_answers.py");
    let Some(outcome) = python::run_file(&script, [&list]) else { return };
    let found: Vec<[f64; 2]> = serde_json::from_value(outcome.expect_success().json()).expect("numbers");
    assert_eq!(found.len(), pairs.len());
    for ((_, written), [same, other]) in pairs.iter().zip(found) {
        assert!(same < 1e-5, "{}: {same:e}", written.display());
        assert!(other > 1e-3, "{}: any image passes", written.display());
    }
}

#[test]
fn networks_of_other_tools_are_compressed() {
    let dir = scratch();
    let data = dir.path().join("photos");
    write_class_folders(&data, "", 3, 20, 16).expect("written images");
    // As many classes as the networks have.
    for (i, from) in ["class0", "class1"].into_iter().enumerate() {
        crate::support::copy(&data.join(from), &data.join(format!("class{}", 3 + i)));
    }
    let mut compressed = 0;
    for model in models() {
        let name = stem(&model);
        let (network, exporter) = name.split_once('.').expect("NETWORK.EXPORTER");
        let of_torch = ["default", "dynamo", "legacy"].contains(&exporter);
        // The one that gives an answer for each pixel is no classifier.
        let classifies = network != "unet" && REFUSED.iter().all(|(refused, _)| *refused != name);
        if !classifies || !(of_torch || name == "se_resnet.tf2onnx") {
            continue;
        }
        let run = dir.path().join(&name);
        let mut call = oculist("compress").arg(&data).option("--model", &model).option("--output", &run);
        if network == "googlenet" {
            // The first output; the others are auxiliary heads.
            let graph = oculist_onnx::read(&model).expect("a model");
            call = call.option("--logits", &graph.value(graph.outputs()[0]).name);
        }
        let call = call.args("--preprocessing unit --max-drop 100 --finetune-epochs 1 --batch-size 16");
        let call =
            call.args("--threads 2 --measure-seconds 0.01 --calibration minmax --calibration-images 16");
        if FIXED.contains(&name.as_str()) {
            call.run().fails(1, &[&name, "expected a classifier", "[1, 5]"]);
            continue;
        }
        let outcome = call.run().ok();
        assert!(outcome.stderr.contains("does not name its 5 classes"), "{name}: {}", outcome.stderr);
        compressed += 1;
        for file in ["model.onnx", "model.int8.onnx"] {
            let graph = oculist_onnx::read(run.join(file)).expect("a model");
            assert!(graph.metadata.contains_key("oculist.classes"), "{name}/{file}");
        }
    }
    // Nine networks by three exporters but for those that are refused, and one of tf2onnx.
    assert_eq!(compressed, 9 * 3 - REFUSED.len() - FIXED.len() + 1);
}
