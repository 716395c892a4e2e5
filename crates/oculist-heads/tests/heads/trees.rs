//! Forests of random trees in ONNX Runtime.

use oculist_graph::{AfterVotes, Branch, Compare, Graph, Node, Shape, TreeEnsembleClassifier, Trees, Vote};
use oculist_testing::formula;
use oculist_testing::golden::max_abs_difference;
use oculist_testing::python;

use crate::graphs::{onnxruntime, plain};

const DIM: usize = 4;

/// Trees of some depth whose features, thresholds and votes follow from the name; all leaves have votes for all classes
/// if there are two, otherwise for one or two.
fn forest(name: &str, classes: u32, after: AfterVotes, compares: &[Compare]) -> TreeEnsembleClassifier {
    let numbers = formula::tensor(name, 100_000);
    let mut at = 0;
    let mut next = || {
        at += 1;
        numbers[at]
    };
    let mut trees = Vec::new();
    for _ in 0..12 {
        let mut tree = Vec::new();
        // Inner nodes 0..15 of a full tree of depth 4, then its leaves, some of which are cut off above.
        for node in 0..31u32 {
            if node < 15 {
                let feature = ((next() + 1.0) * 2.0) as u32 % DIM as u32;
                let compare = compares[node as usize % compares.len()];
                let (yes, no) = (2 * node + 1, 2 * node + 2);
                let missing_passes = next() > 0.0;
                // Coarse, so that features are equal to it now and then.
                let value = (next() * 4.0).round() / 4.0;
                tree.push((Branch::Test { feature, compare, value, yes, no, missing_passes }, Vec::new()));
            } else {
                let class = ((next() + 1.0) * 1000.0) as u32 % classes;
                let mut votes = vec![Vote { class, weight: next() }];
                if classes == 2 || next() > 0.0 {
                    votes.push(Vote { class: (class + 1) % classes, weight: next() + 1.5 });
                }
                tree.push((Branch::Leaf, votes));
            }
        }
        trees.push(tree);
    }
    let labels = (0..i64::from(classes)).map(|c| 10 * c + 3).collect();
    let base = if classes > 2 { (0..classes).map(|c| c as f32 / 8.0).collect() } else { Vec::new() };
    TreeEnsembleClassifier::new(Trees::new(trees).unwrap(), labels, base, after).unwrap()
}

/// A graph with the forest's output of a number.
fn graph(op: &TreeEnsembleClassifier, output: usize) -> Graph {
    let mut graph = Graph::new("forest");
    let x = graph.add_input("x", Shape::nc(DIM));
    let outputs = vec![graph.add_activation("label"), graph.add_activation("scores")];
    let node = Node {
        name: "forest".to_owned(),
        op: op.clone().into(),
        inputs: vec![x].into(),
        outputs: outputs.clone(),
    };
    graph.edit().push(node);
    graph.set_outputs(vec![outputs[output]]);
    graph.tidy().unwrap();
    graph
}

fn rows() -> Vec<f32> {
    let mut rows: Vec<f32> = formula::tensor("trees.rows", 200 * DIM);
    rows.iter_mut().step_by(3).for_each(|x| *x = (*x * 4.0).round() / 4.0);
    rows.iter_mut().step_by(17).for_each(|x| *x = f32::NAN);
    rows
}

#[test]
fn onnx_runtime_gives_the_same_scores_and_labels() {
    let every: Vec<Compare> = Compare::ALL.iter().map(|(c, _)| *c).collect();
    let rows = rows();
    for classes in [2, 3, 7] {
        for after in [AfterVotes::Nothing, AfterVotes::Softmax, AfterVotes::Logistic] {
            for compares in [&every[..1], &every[..]] {
                let op = forest(&format!("trees.{classes}"), classes, after, compares);
                let scores = graph(&op, 1);
                let got = plain(&scores, &rows, DIM);
                let Some((want, _)) = onnxruntime(&scores, &rows, DIM) else { return };
                let error = max_abs_difference(got.as_f32().unwrap(), &want);
                assert!(error < 1e-5, "{classes} classes, {after:?}, {} tests: {error}", compares.len());
                let other = forest("trees.other", classes, after, compares);
                let other = plain(&graph(&other, 1), &rows, DIM);
                assert!(
                    max_abs_difference(other.as_f32().unwrap(), &want) > 1e-2,
                    "a wrong forest must be seen"
                );
                // Two classes have labels by a threshold there, not by the larger score.
                if classes > 2 {
                    let labels = graph(&op, 0);
                    let (want, _) = onnxruntime(&labels, &rows, DIM).unwrap();
                    let got = plain(&labels, &rows, DIM);
                    let got: Vec<f32> = got.as_i64().unwrap().iter().map(|&l| l as f32).collect();
                    assert_eq!(got, want, "{classes} classes, {after:?}");
                }
            }
        }
    }
}

#[test]
fn a_forest_of_another_writer_says_what_it_should() {
    let rows = formula::tensor("trees.rows", 200 * DIM);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let bytes: Vec<u8> = rows.iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(file("rows"), bytes).unwrap();
    let Some(outcome) = python::run("forest.py", [file("model.onnx"), file("rows"), file("output")]) else {
        return;
    };
    let _ = outcome.expect_success();
    let bytes = std::fs::read(file("output")).unwrap();
    let want: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let got = plain(&oculist_onnx::read(file("model.onnx")).unwrap(), &rows, DIM);
    assert!(max_abs_difference(got.as_f32().unwrap(), &want) < 1e-6);
    let mut turned = want.clone();
    turned.rotate_left(1);
    assert!(max_abs_difference(got.as_f32().unwrap(), &turned) > 0.1, "a wrong result must be seen");
}
