//! Models as other exporters write them.

use std::path::Path;

use oculist_graph::Op;
use oculist_onnx::read;
use oculist_testing::interpret::{self, Array};
use oculist_testing::{formula, python};

use crate::compare::difference;
use crate::oracle::{array_from_json, script};

#[test]
fn other_spellings_mean_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let Some(outcome) = python::run_file(&script("foreign_models.py"), [folder.path()]) else { return };
    let answers = outcome.expect_success().json();
    let answers = answers.as_array().expect("a list");
    assert!(answers.len() >= 8);
    for answer in answers {
        let name = answer["name"].as_str().expect("a name");
        let graph = read(Path::new(answer["model"].as_str().expect("a path")))
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let input = array_from_json(&answer["input"]);
        let want = array_from_json(&answer["output"]);
        let got = interpret::run(&graph, std::slice::from_ref(&input));
        assert_eq!(difference(got.output(0), &want), None, "{name}\n{}", graph.dump());
        let other = Array::from_fn(input.shape(), |i| -input.data()[i]);
        assert!(
            difference(interpret::run(&graph, &[other]).output(0), &want).is_some(),
            "{name}: any input passes"
        );
        let ops: Vec<&str> = graph.nodes().iter().map(|n| n.op.name()).collect();
        let expected: &[&str] = match name {
            "opset_11" => &["Conv", "BatchNormalization", "Clip", "Dropout", "Flatten", "Gemm"],
            "opset_9" => &["Conv", "Clip", "Pad", "GlobalAveragePool", "Flatten", "Softmax"],
            "opset_18" => {
                let names: Vec<&str> = graph.nodes().iter().map(|n| n.name.as_str()).collect();
                assert!(names.contains(&"mean") && names.contains(&"mean.pool"), "{names:?}");
                &[
                    "Conv",
                    "HardSwish",
                    "Pad",
                    "MaxPool",
                    "AveragePool",
                    "GlobalAveragePool",
                    "Flatten",
                    "Gemm",
                ]
            }
            "shape_arithmetic" => &["Relu", "Flatten", "Gemm"],
            "shape_slice" => &["Sigmoid", "Flatten"],
            _ => continue,
        };
        assert_eq!(ops, expected, "{name}");
    }
}

#[test]
fn names_are_kept_or_made_up() {
    let folder = tempfile::tempdir().unwrap();
    let Some(outcome) = python::run_file(&script("foreign_models.py"), [folder.path()]) else { return };
    let _ = outcome.expect_success();
    let graph = read(folder.path().join("opset_11.onnx")).unwrap();
    let names: Vec<&str> = graph.nodes().iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["conv", "BatchNormalization_1", "Clip_4", "Dropout_5", "Reshape_7", "fc"]);
    assert_eq!(graph.nodes()[3].op, Op::Dropout { ratio: 0.25 });
    // The transposed weight keeps its name, because nothing else reads it.
    assert!(graph.find("fc.w").is_some_and(|id| graph.shape(id).get(0) == Some(6)));
    let shared = read(folder.path().join("shared_parameters.onnx")).unwrap();
    assert_eq!(shared.params().filter(|(_, v, _)| v.name.starts_with("n.")).count(), 4);
    assert!(shared.find("w").is_some() && shared.find("w_2").is_some());
}

/// The models in `tests/exports` were written by PyTorch; `export.py` there makes them again.
#[test]
fn models_of_pytorch_give_its_logits() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exports");
    let text = std::fs::read_to_string(folder.join("logits.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rows = golden["logits"].as_array().expect("rows");
    let want: Vec<f64> =
        rows.iter().flat_map(|r| r.as_array().expect("a row").iter().map(|v| v.as_f64().unwrap())).collect();
    let want = Array::new(&[2, 5], want);
    let x = Array::from_f32(&[2, 3, 17, 17], &formula::tensor("input", 2 * 3 * 17 * 17));
    for (name, batch_norms) in [("legacy_13", 0), ("legacy_17", 2), ("dynamo_20", 0)] {
        let mut graph = read(folder.join(name).with_extension("onnx")).unwrap();
        let got = interpret::run(&graph, std::slice::from_ref(&x));
        assert_eq!(difference(got.output(0), &want), None, "{name}\n{}", graph.dump());
        let count = graph.nodes().iter().filter(|n| n.op.name() == "BatchNormalization").count();
        assert_eq!(count, batch_norms, "{name}: the exporter folds them or not");
        // PyTorch's names of parameters are still there.
        let bias = graph.find("fc2.bias").expect("a parameter of that name");
        graph.param_mut(bias).unwrap().as_f32_mut().unwrap()[3] += 0.001;
        let wrong = interpret::run(&graph, std::slice::from_ref(&x));
        assert!(difference(wrong.output(0), &want).is_some(), "{name}: a wrong bias passes");
    }
}
