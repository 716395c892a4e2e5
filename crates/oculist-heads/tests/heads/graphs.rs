//! Heads as nodes: computed plainly, and by ONNX Runtime.

use oculist_graph::{Graph, GraphError, Shape, Tensor, TensorData};
use oculist_heads::{Fitted, HeadKind, Rows};
use oculist_kernels::Context;
use oculist_testing::golden::max_abs_difference;
use oculist_testing::python;

use crate::sets::{learn, quick, rows};

const DIM: usize = 9;

fn head(kind: HeadKind) -> (Fitted, Vec<f32>) {
    let (values, labels) = rows(60, DIM, 1.0);
    (learn(kind, &values, DIM, &labels, 3, &quick()).unwrap(), values)
}

/// The head behind an input.
fn graph(head: &Fitted) -> Graph {
    let mut graph = Graph::new("head");
    let x = graph.add_input("features", Shape::nc(DIM));
    let scores = head.append(&mut graph, x, "head").unwrap();
    graph.set_outputs(vec![scores]);
    graph.tidy().unwrap();
    graph.check().unwrap();
    assert_eq!(*graph.shape(graph.outputs()[0]), Shape::nc(3));
    graph
}

/// What ONNX Runtime computes, `None` without the oracle.
pub(crate) fn onnxruntime(graph: &Graph, rows: &[f32], dim: usize) -> Option<(Vec<f32>, String)> {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    oculist_onnx::write(graph, file("model.onnx")).unwrap();
    let bytes: Vec<u8> = rows.iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(file("input"), bytes).unwrap();
    let shape = format!("{},{dim}", rows.len() / dim);
    let arguments = [file("model.onnx"), file("input"), file("output"), "--shape".into(), shape.into()];
    let outcome = python::run("run_onnx.py", arguments)?.expect_success();
    let bytes = std::fs::read(file("output")).unwrap();
    let values = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    Some((values, outcome.json()["type"].as_str().unwrap().to_owned()))
}

pub(crate) fn plain(graph: &Graph, rows: &[f32], dim: usize) -> Tensor {
    let x = Tensor::new(vec![rows.len() / dim, dim], TensorData::F32(rows.to_vec())).unwrap();
    oculist_plain::run(&Context::new(2).unwrap(), graph, vec![x]).unwrap().remove(0)
}

#[test]
fn graphs_give_the_scores() {
    for &kind in HeadKind::ALL {
        let (head, values) = head(kind);
        let want = head.scores(Rows::new(&values, DIM).unwrap()).unwrap();
        let graph = graph(&head);
        let got = plain(&graph, &values, DIM);
        let error = max_abs_difference(got.as_f32().unwrap(), &want);
        assert!(error < 1e-4, "{kind}: {error}");
        // Twin: another head's scores are not these.
        let other = if kind == HeadKind::Lda { HeadKind::Svm } else { HeadKind::Lda };
        let other = self::head(other).0.scores(Rows::new(&values, DIM).unwrap()).unwrap();
        assert!(max_abs_difference(&other, &want) > 1e-2, "{kind}");
    }
}

#[test]
fn onnx_runtime_gives_the_scores() {
    for &kind in HeadKind::ALL {
        let (head, values) = head(kind);
        let want = head.scores(Rows::new(&values, DIM).unwrap()).unwrap();
        let Some((got, dtype)) = onnxruntime(&graph(&head), &values, DIM) else { return };
        assert_eq!(dtype, "float32");
        let error = max_abs_difference(&got, &want);
        println!("{kind}: {error}");
        assert!(error < 1e-4, "{kind}: {error}");
        let mut turned = want.clone();
        turned.rotate_left(1);
        assert!(max_abs_difference(&got, &turned) > 1e-2, "{kind}: a wrong result must be seen");
    }
}

#[test]
fn written_heads_are_read_again() {
    for &kind in HeadKind::ALL {
        let (head, values) = head(kind);
        let graph = graph(&head);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("head.onnx");
        oculist_onnx::write(&graph, &path).unwrap();
        let again = oculist_onnx::read(&path).unwrap();
        assert_eq!(plain(&graph, &values, DIM), plain(&again, &values, DIM), "{kind}");
    }
}

#[test]
fn features_of_another_size_and_taken_names_are_refused() {
    let (head, _) = head(HeadKind::Logistic);
    let mut graph = Graph::new("head");
    let narrow = graph.add_input("narrow", Shape::nc(DIM - 1));
    let x = graph.add_input("head.weight", Shape::nc(DIM));
    let problem = |result: Result<_, GraphError>| result.unwrap_err().to_string();
    let error = problem(head.append(&mut graph, narrow, "other"));
    assert!(error.contains("expected features [N, 9], found [N, 8]"), "{error}");
    let error = problem(head.append(&mut graph, x, "head"));
    assert!(error.contains("`head.weight` already"), "{error}");
}
