//! Exported models in ONNX's checker and ONNX Runtime, on the demo's real images.
//!
//! The script beside this file knows the models' metadata and nothing else: it reads the images itself and brings
//! them into the form that the metadata describe.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use oculist::{Images, Model, Settings, Source, Split};
use oculist_graph::{Op, Softmax};
use oculist_runtime::{Context, top1};
use oculist_testing::python;
use serde_json::Value;

use crate::endings::with_ending;
use crate::support::{oculist, read, read_json, scratch};

const IMAGES: usize = 1000;
const CLASSES: usize = 10;

/// A network trained on the demo for two epochs, in f32 and int8.
struct Models {
    _folder: tempfile::TempDir,
    f32: PathBuf,
    int8: PathBuf,
    summary: Value,
}

fn train() -> Models {
    let folder = scratch();
    let run = folder.path().join("run");
    let call = oculist("train").args("demo --arch resnet8 --epochs 2 --threads 2").option("--output", &run);
    call.run().ok();
    let (f32, int8) = (run.join("model.onnx"), run.join("exported.onnx"));
    let call = oculist("export").arg(&f32).args("--int8 demo --calibration minmax --threads 2");
    call.option("--output", &int8).run().ok();
    let summary = read_json(&run.join("summary.json"));
    Models { _folder: folder, f32, int8, summary }
}

/// The first test images as our library reads them.
fn images(model: &Model) -> Images {
    static SOURCE: OnceLock<Source> = OnceLock::new();
    let source = SOURCE.get_or_init(|| {
        Source::open(&Settings { data: Some("demo".into()), ..Settings::default() }, 2).expect("the demo")
    });
    let first: Vec<usize> = (0..IMAGES).collect();
    let subset = source.split(Split::Test).select(&first).expect("a thousand images");
    Images::load(&subset, &model.preprocessing, 2).expect("images")
}

/// Our logits.
fn ours(path: &Path) -> (Model, Vec<f32>) {
    let model = Model::read(path).expect("a model");
    let context = Arc::new(Context::new(2).expect("threads"));
    let logits = oculist::logits(&model.graph, &images(&model), &context).expect("logits");
    assert_eq!(logits.len(), IMAGES * CLASSES);
    (model, logits)
}

/// ONNX Runtime's logits and what the script found; `None` without the oracle.
fn theirs(path: &Path, count: usize, mode: &str) -> Option<(Value, Vec<f32>)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let data = |name: &str| here.join("../oculist-data/demo").join(name);
    let folder = scratch();
    let logits = folder.path().join("logits");
    let arguments = [
        path.to_path_buf(),
        data("t10k-images-idx3-ubyte.gz"),
        data("t10k-labels-idx1-ubyte.gz"),
        count.to_string().into(),
        logits.clone(),
        mode.into(),
    ];
    let found = python::run_file(&here.join("tests/cli/oracle.py"), arguments)?.expect_success().json();
    assert_eq!(found["shape"], serde_json::json!([count, CLASSES]));
    let bytes = read(&logits);
    Some((found, bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()))
}

/// Largest difference of two lists; infinite if any is no number.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |worst, d| if d.is_nan() { f32::INFINITY } else { d.max(worst) })
}

/// Percent of images with the same likeliest class.
fn agreement(a: &[f32], b: &[f32]) -> f64 {
    let (a, b) = (top1(a, CLASSES), top1(b, CLASSES));
    100.0 * a.iter().zip(&b).filter(|(a, b)| a == b).count() as f64 / a.len() as f64
}

/// The logits with every image's in the place of its neighbour's: a right answer to another question.
fn shifted(logits: &[f32]) -> Vec<f32> {
    let mut shifted = logits.to_vec();
    shifted.rotate_left(CLASSES);
    shifted
}

/// What the script read from the metadata is what our library works with.
fn check_metadata(found: &Value, model: &Model) {
    let metadata = &found["metadata"];
    let text = |key: &str| metadata[key].as_str().unwrap_or_else(|| panic!("{key} of {metadata}"));
    let classes: Vec<String> = serde_json::from_str(text("oculist.classes")).expect("a list of names");
    assert_eq!((&classes, classes.len(), classes[9].as_str()), (&model.class_names, CLASSES, "Ankle boot"));
    assert_eq!(text("oculist.arch"), "resnet8");
    for (key, value) in model.preprocessing.to_metadata() {
        assert_eq!(text(&key), value, "{key}");
    }
    // By hand, so that a renamed key is noticed: others read these files too.
    assert_eq!((text("oculist.input_width"), text("oculist.color")), ("28", "grey"));
    let mean: f32 = text("oculist.mean").parse().expect("a number");
    assert!((0.2..0.4).contains(&mean), "the mean of Fashion-MNIST is about 0.286, found {mean}");
}

#[test]
fn exported_models_in_onnx_runtime() {
    if python::interpreter().is_none() {
        return;
    }
    let models = train();
    let (model, got) = ours(&models.f32);
    let Some((found, want)) = theirs(&models.f32, IMAGES, "plain") else { return };
    check_metadata(&found, &model);
    let worst = distance(&got, &want);
    println!("f32: largest difference {worst:e}, top-1 of ONNX Runtime {}", found["top1"]);
    assert!(worst <= 1e-4, "f32 logits differ by {worst:e}");
    // Twin: neither the answers for other images nor those of the quantised network would pass for these.
    assert!(distance(&got, &shifted(&want)) > 1.0);
    let (int8_model, got8) = ours(&models.int8);
    assert!(distance(&got8, &want) > 1e-2);

    let Some((found8, want8)) = theirs(&models.int8, IMAGES, "plain") else { return };
    check_metadata(&found8, &int8_model);
    let same = agreement(&got8, &want8);
    println!("int8: top-1 agreement {same}%, top-1 of ONNX Runtime {}", found8["top1"]);
    assert!(same >= 99.0, "int8 answers agree in {same}%");
    let by_chance = agreement(&got8, &shifted(&want8));
    assert!(by_chance < 50.0, "answers for other images agree in {by_chance}%");

    // The accuracy that we report is the one that ONNX Runtime finds (we counted 2,000 images, it 1,000).
    let ours = models.summary["models"][0]["top1"].as_f64().expect("an accuracy");
    let theirs = found["top1"].as_f64().expect("an accuracy");
    assert!(ours > 60.0 && (ours - theirs).abs() < 5.0, "{ours}% and {theirs}%");

    views_and_corruptions(&models.f32);
    probabilities(&models);
}

fn softmax(row: &[f32]) -> Vec<f32> {
    let sum: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
    row.iter().map(|&x| (f64::from(x).exp() / sum) as f32).collect()
}

/// A model that ends in a `Softmax`: our probabilities are the file's, also of the int8 model and of what is written.
fn probabilities(models: &Models) {
    let folder = scratch();
    for (name, model, tolerance) in [("f32", &models.f32, 1e-5), ("int8", &models.int8, 0.1)] {
        let [file, again] = ["file", "again"].map(|what| folder.path().join(format!("{name}-{what}.onnx")));
        with_ending(model, Op::Softmax(Softmax::along(1)), &file);
        oculist("export").arg(&file).option("--output", &again).run().ok();
        let (_, logits) = ours(&file);
        let ours: Vec<f32> = logits.chunks_exact(CLASSES).flat_map(softmax).collect();
        for path in [&file, &again] {
            let Some((found, want)) = theirs(path, IMAGES, "plain") else { return };
            let worst = distance(&ours, &want);
            println!("{name}: probabilities differ by {worst:e}");
            assert!(worst <= tolerance, "{name}: probabilities differ by {worst:e}");
            assert!(found["metadata"]["oculist.arch"] == "resnet8");
            // Twin: with a second softmax nothing is likelier than e / (e + 9).
            let twice: Vec<f32> = want.chunks_exact(CLASSES).flat_map(softmax).collect();
            assert!(distance(&twice, &want) > 0.5);
        }
    }
}

/// Top-1 under a corruption and with test-time augmentation, on all test images of the demo.
fn views_and_corruptions(model: &Path) {
    const ALL: usize = 2000;
    let call = oculist("eval").arg("demo").option("--model", model);
    let ours = call.args("--corruptions --severity 5 --tta flip --threads 2 --json").run().ok().json();
    let rows = ours["robustness"]["corruptions"].as_array().expect("corruptions");
    let contrast = rows.iter().find(|row| row["corruption"] == "contrast").expect("contrast");
    let of = |value: &Value| value.as_f64().expect("an accuracy");
    let (plain, contrast, flip) = (of(&ours["top1"]), of(&contrast["top1"]), of(&ours["tta"]["top1"]));
    let theirs =
        |mode| theirs(model, ALL, mode).map(|(found, _)| of(&found["top1"])).expect("an interpreter");
    let want = ["plain", "contrast", "flip"].map(theirs);
    println!("ours: {plain} {contrast} {flip}, ONNX Runtime on NumPy's images: {want:?}");
    // Two of the 2,000 images may lie on a boundary.
    for (ours, want) in [plain, contrast, flip].into_iter().zip(want) {
        assert!((ours - want).abs() <= 0.1001, "{ours}% and {want}%");
    }
    // Twin: the accuracy on the images as they are would not pass for that without contrast.
    assert!((plain - contrast).abs() > 1.0 && (of(&ours["robustness"]["clean_top1"]) - plain).abs() < 1e-9);
}
