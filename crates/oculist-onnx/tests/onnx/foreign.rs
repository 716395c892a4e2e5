//! Models as other exporters write them.

use std::path::Path;

use oculist_graph::{Dim, Graph};
use oculist_onnx::read;
use oculist_testing::interpret::Array;
use oculist_testing::{formula, python};

use crate::compare::difference;
use crate::oracle::{array_from_json, plain, script};

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
        let got = plain(&graph, &input);
        assert_eq!(difference(&got, &want), None, "{name}\n{}", graph.dump());
        let other = Array::from_fn(input.shape(), |i| -input.data()[i]);
        assert!(difference(&plain(&graph, &other), &want).is_some(), "{name}: any input passes");
    }
}

/// The result for a batch, image by image where the file fixes a batch of one.
fn rows_of(graph: &Graph, x: &Array) -> Array {
    if graph.shape(graph.inputs()[0]).dims()[0] != Dim::Fixed(1) {
        return plain(graph, x);
    }
    let mut shape = x.shape().to_vec();
    let images = std::mem::replace(&mut shape[0], 1);
    let data = x.data().chunks(x.data().len() / images);
    let rows: Vec<Array> = data.map(|image| plain(graph, &Array::new(&shape, image.to_vec()))).collect();
    let mut shape = rows[0].shape().to_vec();
    shape[0] = images;
    Array::new(&shape, rows.iter().flat_map(|row| row.data().to_vec()).collect())
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
        let got = rows_of(&graph, &x);
        assert_eq!(difference(&got, &want), None, "{name}\n{}", graph.dump());
        let count = graph.nodes().iter().filter(|n| n.op.name() == "BatchNormalization").count();
        assert_eq!(count, batch_norms, "{name}: the exporter folds them or not");
        // PyTorch's names of parameters are still there.
        let bias = graph.find("fc2.bias").expect("a parameter of that name");
        graph.param_mut(bias).unwrap().as_f32_mut().unwrap()[3] += 0.001;
        let wrong = rows_of(&graph, &x);
        assert!(difference(&wrong, &want).is_some(), "{name}: a wrong bias passes");
    }
}
