//! Simplification of models as other exporters write them: what they become, and that they stay what they were.

use std::path::{Path, PathBuf};

use oculist_graph::{Dim, Graph, Tensor};
use oculist_kernels::Context;
use oculist_passes::prepare;
use oculist_testing::{formula, golden, python};

/// Scripts and models of the importer's tests.
fn of_importer(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../oculist-onnx/tests").join(name)
}

fn operators(graph: &Graph) -> Vec<&'static str> {
    graph.nodes().iter().map(|n| n.op.name()).collect()
}

fn first_output(graph: &Graph, shape: &[usize], x: &[f32]) -> Vec<f32> {
    let ctx = Context::new(1).unwrap();
    let outputs = oculist_plain::run(&ctx, graph, vec![Tensor::f32(shape, x.to_vec())]).unwrap();
    outputs[0].to_f32s()
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let peak = b.iter().fold(1e-6f32, |m, x| m.max(x.abs()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / peak
}

/// The importer's tests compare the same models with what ONNX's reference says of them.
#[test]
fn other_spellings_become_the_same_layers() {
    let folder = tempfile::tempdir().unwrap();
    let Some(outcome) = python::run_file(&of_importer("onnx/foreign_models.py"), [folder.path()]) else {
        return;
    };
    let answers = outcome.expect_success().json();
    let answers = answers.as_array().expect("a list");
    let mut found = 0;
    for answer in answers {
        let name = answer["name"].as_str().expect("a name");
        let graph = oculist_onnx::read(Path::new(answer["model"].as_str().expect("a path"))).unwrap();
        let simple = prepare(graph).unwrap_or_else(|e| panic!("{name}: {e}"));
        let shape: Vec<usize> =
            golden::floats(&answer["input"]["shape"]).into_iter().map(|d| d as usize).collect();
        let (x, want) = (golden::floats(&answer["input"]["data"]), golden::floats(&answer["output"]["data"]));
        let off = distance(&first_output(&simple, &shape, &x), &want);
        assert!(off < 1e-5, "{name}: {off}\n{}", simple.dump());
        let other: Vec<f32> = x.iter().map(|v| -v).collect();
        assert!(distance(&first_output(&simple, &shape, &other), &want) > 1e-3, "{name}: any input passes");
        let expected: &[&str] = match name {
            "opset_11" => &["Conv", "BatchNormalization", "Clip", "Dropout", "Flatten", "Gemm"],
            "opset_9" => &["Conv", "Clip", "Pad", "GlobalAveragePool", "Flatten", "Softmax"],
            "opset_18" => &[
                "Conv",
                "HardSwish",
                "Pad",
                "MaxPool",
                "AveragePool",
                "GlobalAveragePool",
                "Flatten",
                "Gemm",
            ],
            "shape_arithmetic" => &["Relu", "Flatten", "Gemm"],
            "shape_slice" => &["Sigmoid", "Flatten"],
            _ => continue,
        };
        found += 1;
        assert_eq!(operators(&simple), expected, "{name}");
    }
    assert_eq!(found, 5);
}

/// The models in the importer's `tests/exports` were written by PyTorch, two of them with a batch of one.
#[test]
fn models_of_pytorch_take_batches_and_give_its_logits() {
    let folder = of_importer("exports");
    let text = std::fs::read_to_string(folder.join("logits.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rows = json["logits"].as_array().expect("rows");
    let want: Vec<f32> = rows.iter().flat_map(golden::floats).collect();
    let x = formula::tensor("input", 2 * 3 * 17 * 17);
    for name in ["legacy_13", "legacy_17", "dynamo_20"] {
        let read = oculist_onnx::read(folder.join(name).with_extension("onnx")).unwrap();
        let simple = prepare(read).unwrap();
        assert_eq!(simple.shape(simple.inputs()[0]).dims()[0], Dim::Batch, "{name}");
        let off = distance(&first_output(&simple, &[2, 3, 17, 17], &x), &want);
        assert!(off < 1e-5, "{name}: {off}\n{}", simple.dump());
        let moves = ["Reshape", "Shape", "Gather", "ReduceMean", "MatMul", "Squeeze"];
        let left: Vec<&str> = operators(&simple).into_iter().filter(|op| moves.contains(op)).collect();
        assert!(left.is_empty(), "{name}: {left:?}\n{}", simple.dump());
    }
}
