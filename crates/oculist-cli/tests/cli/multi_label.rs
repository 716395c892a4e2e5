//! Images with several labels: from COCO's annotations to int8, report and predictions, and any metric that decides.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use oculist_augment::Image;
use oculist_data::fixture::write_image;
use oculist_testing::python;
use serde_json::{Value, json};

use crate::support::runs::trained;
use crate::support::{oculist, read, read_json, read_text, scratch};

const SIDE: usize = 24;
const CLASSES: [&str; 3] = ["blue", "green", "red"];

/// Whether image i shows a class: all sets of the three occur, the empty one too.
fn shows(i: usize, class: usize) -> bool {
    (i * 5 + i / 8) >> class & 1 == 1
}

/// Pictures of a dark ground with a square of each colour that they show, in a quarter of its own, and COCO's list of them.
fn coco(folder: &Path, count: usize) -> PathBuf {
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    for i in 0..count {
        let mut pixels: Vec<u8> = (0..SIDE * SIDE * 3).map(|at| ((at * 31 + i * 17) % 60) as u8).collect();
        for class in (0..3).filter(|&class| shows(i, class)) {
            let (left, top) = ((class + i) % 2 * 12 + 1, (class + i / 2) % 2 * 12 + i % 3);
            for (y, x) in (top..top + 8).flat_map(|y| (left..left + 8).map(move |x| (y, x))) {
                let at = (y * SIDE + x) * 3;
                pixels[at..at + 3].fill(20);
                pixels[at + 2 - class] = 180 + (i % 60) as u8;
            }
            annotations.push(json!({
                "id": annotations.len() + 1, "image_id": i + 1, "category_id": class + 1,
                "bbox": [left, top, 8, 8], "area": 64, "iscrowd": 0,
            }));
        }
        let name = format!("{i}.png");
        let image = Image::new(SIDE, SIDE, 3, pixels).expect("an image");
        write_image(&folder.join(&name), &image).expect("written");
        images.push(json!({ "id": i + 1, "file_name": name, "width": SIDE, "height": SIDE }));
    }
    let categories: Vec<Value> =
        CLASSES.iter().enumerate().map(|(i, name)| json!({ "id": i + 1, "name": name })).collect();
    let list = json!({ "images": images, "annotations": annotations, "categories": categories });
    let path = folder.join("annotations.json");
    std::fs::write(&path, list.to_string()).expect("a list");
    path
}

struct Run {
    _dir: tempfile::TempDir,
    data: PathBuf,
    folder: PathBuf,
    said: String,
}

/// The main job on such pictures.
fn run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        let dir = scratch();
        let data = coco(dir.path(), 240);
        let folder = dir.path().join("run");
        let call = oculist("optimize").arg(&data).args("--task multi-label --arch resnet8 --epochs 12");
        let call =
            call.args("--finetune-epochs 3 --batch-size 16 --threads 2 --max-drop 5 --measure-seconds 0.05");
        let said = call.option("--output", &folder).run().ok().stderr;
        Run { _dir: dir, data, folder, said }
    })
}

#[test]
fn coco_comes_to_int8_and_report_by_mean_average_precision() {
    let run = run();
    assert!(run.said.contains("val mAP"), "{}", run.said);
    let summary = read_json(&run.folder.join("summary.json"));
    assert_eq!((&summary["task"], &summary["metric"]), (&json!("multi-label"), &json!("map")));
    let models = summary["models"].as_array().expect("models");
    assert!(models.iter().any(|model| model["precision"] == "int8"), "{summary}");
    for model in models {
        let map = model["scores"]["map"].as_f64().expect("a number");
        assert!(map > 90.0, "colours are easily told: {map}");
        assert_eq!(model["top1"], Value::Null);
        let labels: Vec<&Value> =
            model["per_label"].as_array().expect("labels").iter().map(|label| &label["class"]).collect();
        assert_eq!(labels, CLASSES);
    }
    let page = read_text(&run.folder.join("report.html"));
    assert!(page.contains("mAP") && !page.contains("Confusion"), "no matrix of one class against another");
}

/// Mean average precision of a model in ONNX Runtime on the images of a COCO list that a text names, with scikit-learn's
/// definition written out.
const SCRIPT: &str = r#"
import json, sys
import numpy as np, onnxruntime as ort
from PIL import Image
model, folder = sys.argv[1], sys.argv[2]
session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
meta = session.get_modelmeta().custom_metadata_map
assert meta["oculist.task"] == "multi-label", meta
names = json.loads(meta["oculist.classes"])
mean, std = (np.array([float(x) for x in meta[f"oculist.{key}"].split(",")], np.float32) for key in ["mean", "std"])
data = json.load(open(folder + "/annotations.json"))
category = {c["id"]: names.index(c["name"]) for c in data["categories"]}
truth = np.zeros((len(data["images"]), len(names)), int)
for a in data["annotations"]:
    truth[a["image_id"] - 1, category[a["category_id"]]] = 1
logits = []
for image in data["images"]:
    pixels = np.asarray(Image.open(folder + "/" + image["file_name"]), np.float32) / 255
    pixels = ((pixels - mean) / std).transpose(2, 0, 1)[None]
    logits.append(session.run(None, {session.get_inputs()[0].name: pixels})[0][0])
logits = np.array(logits)
def ap(y, s):
    order = np.argsort(-s, kind="stable")
    y, s = y[order], s[order]
    last = np.r_[np.where(np.diff(s))[0], len(s) - 1]
    tp = np.cumsum(y)[last]
    precision, recall = tp / (last + 1), tp / tp[-1]
    return float(np.sum(np.diff(np.r_[0, recall]) * precision))
aps = [100 * ap(truth[:, c], logits[:, c]) for c in range(len(names))]
print(json.dumps({"map": sum(aps) / len(aps), "aps": aps, "first": (1 / (1 + np.exp(-logits[0]))).tolist(),
                  "names": names}))
"#;

#[test]
fn the_scores_and_probabilities_are_those_of_onnx_runtime() {
    let run = run();
    let (model, folder) = (run.folder.join("model.onnx"), run.data.parent().expect("a folder").to_path_buf());
    let call = oculist("eval").arg(&run.data).option("--model", &model);
    let ours = call.args("--split all --json --threads 2").run().ok().json();
    let Some(theirs) = python::run_source(SCRIPT, [&model, &folder]) else { return };
    let theirs = theirs.expect_success().json();
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("no number: {value}"));
    let (got, want) = (number(&ours["scores"]["map"]), number(&theirs["map"]));
    assert!((got - want).abs() < 1e-3, "{got} {want}");
    let labels = ours["per_label"].as_array().expect("labels");
    let each: Vec<f64> = labels.iter().map(|label| number(&label["average_precision"])).collect();
    let aps: Vec<f64> = theirs["aps"].as_array().expect("numbers").iter().map(number).collect();
    let wrong = each.iter().zip(&aps).filter(|(a, b)| (*a - *b).abs() > 1e-3).count();
    assert_eq!(wrong, 0, "{each:?} {aps:?}");
    // A twin: the same of another model is noticed.
    assert!((got - (want - 0.5)).abs() > 1e-3);

    let call = oculist("predict").arg(folder.join("0.png")).option("--model", &model);
    let table = call.args("--top 3").run().ok().stdout;
    assert!(CLASSES.iter().all(|class| table.contains(class)), "{table}");
    let call = oculist("predict").arg(folder.join("0.png")).option("--model", &model).args("--json --top 3");
    let found = call.run().ok().json();
    let answered = found[0]["labels"].as_array().expect("labels").len();
    let likely = theirs["first"].as_array().expect("numbers").iter().filter(|p| number(p) >= 0.5).count();
    assert_eq!(answered, likely);
    for guess in found[0]["top"].as_array().expect("guesses") {
        let names = theirs["names"].as_array().expect("names");
        let at = names.iter().position(|name| *name == guess["class"]).expect("a class");
        assert!((number(&guess["confidence"]) - number(&theirs["first"][at])).abs() < 1e-3, "{guess}");
    }
}

/// What a file of answers differs in from ONNX Runtime's answers of the model that it names: largest difference of a
/// probability, and how many rows have other labels than their probabilities say or than the annotations have.
const ANSWERS: &str = r#"
import csv, json, sys
import numpy as np, onnxruntime as ort
from PIL import Image
run, folder, shift = sys.argv[1], sys.argv[2], int(sys.argv[3])
rows = list(csv.DictReader(open(run + "/predictions.csv", newline=""), strict=True))
(file,) = {row["model"] for row in rows}
session = ort.InferenceSession(run + "/" + file, providers=["CPUExecutionProvider"])
meta = session.get_modelmeta().custom_metadata_map
names = json.loads(meta["oculist.classes"])
mean, std = (np.array([float(x) for x in meta[f"oculist.{key}"].split(",")], np.float32) for key in ["mean", "std"])
data = json.load(open(folder + "/annotations.json"))
name_of = {c["id"]: c["name"] for c in data["categories"]}
truth = {image["file_name"]: set() for image in data["images"]}
files = {image["id"]: image["file_name"] for image in data["images"]}
for a in data["annotations"]:
    truth[files[a["image_id"]]].add(name_of[a["category_id"]])
worst, wrong = 0.0, 0
for row, other in zip(rows, rows[shift:] + rows[:shift]):
    pixels = np.asarray(Image.open(folder + "/" + row["image"]), np.float32) / 255
    pixels = ((pixels - mean) / std).transpose(2, 0, 1)[None]
    p = 1 / (1 + np.exp(-session.run(None, {session.get_inputs()[0].name: pixels})[0][0].astype(float)))
    ours = np.array([float(other["p:" + name]) for name in names])
    worst = max(worst, float(abs(p - ours).max()))
    labels = lambda text: set(text.split(";")) - {""}
    wrong += labels(row["predicted"]) != {n for n in names if float(row["p:" + n]) >= 0.5}
    wrong += labels(row["truth"]) != truth[row["image"]]
print(json.dumps({"worst": worst, "wrong": wrong, "rows": len(rows), "head": list(rows[0])}))
"#;

#[test]
fn the_answers_in_the_run_folder_are_those_of_onnx_runtime() {
    let run = run();
    let folder = run.data.parent().expect("a folder");
    let answers = |shift: &str| {
        let args = [run.folder.as_os_str(), folder.as_os_str(), shift.as_ref()];
        Some(python::run_source(ANSWERS, args)?.expect_success().json())
    };
    let Some(found) = answers("0") else { return };
    let summary = read_json(&run.folder.join("summary.json"));
    assert_eq!(found["rows"], summary["data"]["test"]);
    assert_eq!(found["head"], json!(["image", "truth", "predicted", "model", "p:blue", "p:green", "p:red"]));
    assert_eq!(found["wrong"], 0);
    // An int8 model may round one step otherwise.
    assert!(found["worst"].as_f64().expect("a number") < 0.02, "{found}");
    // A twin: the answers of the next image are noticed.
    assert!(answers("1").expect("the oracle")["worst"].as_f64().expect("a number") > 0.5);
}

#[test]
fn a_model_of_several_labels_is_compressed_and_exported_as_such() {
    let run = run();
    let dir = scratch();
    let model = run.folder.join("baseline.onnx");
    let int8 = dir.path().join("int8.onnx");
    let call = oculist("export").arg(&model).option("--int8", &run.data).option("--output", &int8);
    let said = call.args("--calibration minmax --threads 2").run().ok();
    assert!(said.stdout.contains("val mAP"), "{said:?}");
    let call = oculist("eval").arg(&run.data).option("--model", &int8).args("--threads 2");
    let text = call.run().ok().stdout;
    assert!(text.contains("mAP") && text.contains("green") && !text.contains("Top-1"), "{text}");
}

#[test]
fn what_knows_one_label_alone_refuses_several() {
    let run = run();
    let dir = scratch();
    let list = run.data.display().to_string();
    let refused = |verb: &str, args: &str, words: &[&str]| {
        let call = oculist(verb).args(args).arg(&list).option("--output", dir.path().join("out"));
        call.run().fails(1, words);
        assert!(!dir.path().join("out").exists(), "{verb} {args}");
    };
    refused("data", "check --task multi-label", &["--task", "single-label"]);
    refused("augment", "preview --task multi-label", &["--task", "single-label"]);
    refused("train", "--task multi-label --metric top1", &["--metric", "map", "top1"]);
    refused("train", "--task multi-label --loss focal", &["loss", "several labels"]);
    let eval = oculist("eval").arg(&list).option("--model", run.folder.join("model.onnx"));
    eval.args("--tta flip").run().fails(1, &["--tta", "one label each"]);
    // None of several labels is an answer already.
    let model = run.folder.join("model.onnx");
    let predict = oculist("predict").arg(run.data.with_file_name("0.png")).option("--model", &model);
    predict.arg("--reject").run().fails(1, &["model.onnx", "--reject", "any number of labels"]);
    let export = oculist("export").arg(&model).option("--reject", &list);
    let out = dir.path().join("out.onnx");
    export.option("--output", &out).run().fails(1, &["--reject", "any number of labels"]);
    assert!(!out.exists() && read_json(&run.folder.join("summary.json"))["models"][0]["reject"].is_null());
}

#[test]
fn another_metric_decides_where_one_is_asked_for() {
    let dir = scratch();
    let train = |metric: &str, output: &str| {
        let call =
            oculist("train").arg(&trained().data).args("--arch resnet8 --image-size 16 --batch-size 16");
        let call = call.args("--epochs 3 --threads 2 --measure-seconds 0.05").option("--metric", metric);
        call.option("--output", dir.path().join(output)).run()
    };
    let said = train("log-loss", "a").ok();
    assert!(said.stderr.contains("val log loss"), "{}", said.stderr);
    let summary = read_json(&dir.path().join("a/summary.json"));
    assert_eq!(summary["metric"], "log_loss");
    let history = summary["history"].as_array().expect("epochs");
    let number = |value: &Value| value.as_f64().expect("a number");
    let same = |epoch: &Value| (number(&epoch["val"]) - number(&epoch["val_loss"])).abs() < 1e-6;
    assert!(history.iter().all(same), "{history:?}");
    train("auc", "b").fails(1, &["--metric", "two classes"]);
    train("map", "c").fails(1, &["--metric", "log_loss", "found map"]);
    train("best", "d").fails(2, &["--metric", "top1"]);
    // What is usual may be said, and changes nothing.
    train("top1", "e").ok();
    train("accuracy", "f").ok();
    assert!(read(&dir.path().join("e/model.onnx")) == read(&dir.path().join("f/model.onnx")));
}
