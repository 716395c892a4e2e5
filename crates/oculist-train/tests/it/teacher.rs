//! What a teacher says is what its network computes, whatever learns from it.

use std::sync::Arc;

use oculist_graph::{Graph, Softmax};
use oculist_kernels::Context;
use oculist_testing::interpret::{Array, run};
use oculist_testing::{formula, golden};
use oculist_train::{Cpu, Engine, Setup, TrainError};
use oculist_zoo::{BuildOptions, build, initialize};

const ROWS: usize = 3;
const SIDE: usize = 16;
const CLASSES: usize = 4;

fn network(classes: usize, side: usize) -> Graph {
    let mut graph = build("resnet8", &BuildOptions::new(classes, (1, side, side))).expect("an architecture");
    initialize(&mut graph, 3);
    graph
}

/// The teacher's logits as the loss is told them.
fn told(teacher: &Graph, images: &[f32]) -> Result<Vec<f32>, TrainError> {
    let engine = Cpu::new(Arc::new(Context::new(2).expect("threads")));
    let setup = Setup { teacher: Some(teacher), ..Setup::plain(ROWS) };
    let mut learner = engine.load(&network(CLASSES, SIDE), &setup)?;
    let mut told = Vec::new();
    learner.gradients(images, &mut |answers, gradient| {
        told = answers.teacher.expect("a teacher").to_vec();
        gradient.fill(0.0);
        0.0
    })?;
    Ok(told)
}

#[test]
fn a_teacher_says_what_its_network_computes() {
    // One channel: rows of both layouts are the same.
    let images = formula::tensor("images", ROWS * SIDE * SIDE);
    let mut teacher = network(CLASSES, SIDE);
    // An operator that is not trained: a teacher only runs.
    let logits = teacher.outputs()[0];
    let softmax = Softmax { kind: oculist_graph::SoftmaxKind::LogSoftmax, axis: 1, flatten: false };
    let end = teacher.add_node("end", softmax, [logits]);
    teacher.set_outputs(vec![end]);
    teacher.tidy().expect("a graph");
    let input = Array::from_f32(&[ROWS, 1, SIDE, SIDE], &images);
    let want = run(&teacher, &[input]).output(0).to_f32();
    let got = told(&teacher, &images).expect("logits");
    let error = golden::max_abs_difference(&got, &want);
    assert!(error < 1e-5, "{error}");
    // Twin: those of other weights are not these.
    let mut other = teacher.clone();
    initialize(&mut other, 4);
    assert!(golden::max_abs_difference(&told(&other, &images).expect("logits"), &want) > 1e-2);
}

#[test]
fn a_teacher_of_other_classes_or_images_is_refused() {
    let images = formula::tensor("images", ROWS * SIDE * SIDE);
    let refused = |teacher: &Graph| told(teacher, &images).expect_err("a refusal").to_string();
    let text = refused(&network(CLASSES + 1, SIDE));
    assert!(text.contains("as many classes") && text.ends_with("found 5 for 4"), "{text}");
    let text = refused(&network(CLASSES, 2 * SIDE));
    assert!(text.contains("same height, width and channels") && text.contains("[32, 32, 1]"), "{text}");
}
