//! Every architecture of the zoo takes steps of training on small images.

use std::sync::Arc;

use oculist_graph::Graph;
use oculist_kernels::Context;
use oculist_testing::formula;
use oculist_train::{Executor, Mode, Optimizer, OptimizerConfig, loss_and_gradient};
use oculist_zoo::{BuildOptions, Head, Normalization, architectures, build, initialize};

const BATCH: usize = 4;
const CLASSES: usize = 3;

/// Losses before each of some steps on one batch.
fn losses(graph: &Graph, images: &[f32], steps: u64) -> Vec<f64> {
    let context = Arc::new(Context::new(1).expect("a thread"));
    let mut executor = Executor::new(context, graph, BATCH, Mode::Train).expect("a plan");
    let mut optimizer = Optimizer::new(OptimizerConfig::adamw(), executor.params().len());
    let labels: Vec<u32> = (0..BATCH as u32).map(|i| i % CLASSES as u32).collect();
    let mut gradient = vec![0.0; executor.logits().len()];
    (0..steps)
        .map(|step| {
            executor.forward_train(images, step);
            let loss = loss_and_gradient(CLASSES, &labels, 0.0, None, executor.logits(), &mut gradient);
            executor.backward(&gradient);
            executor.update(&mut optimizer, 1.0, 1e-3, 0.0);
            loss
        })
        .collect()
}

#[test]
fn every_architecture_learns_a_batch() {
    let images = formula::tensor("images", BATCH * 3 * 32 * 32);
    for info in architectures() {
        let options = BuildOptions::new(CLASSES, (3, 32, 32)).with_width(0.25).with_dropout(0.0);
        let mut graph = build(info.name, &options).expect("an architecture");
        initialize(&mut graph, 1);
        let losses = losses(&graph, &images, 6);
        let least = losses.iter().copied().fold(f64::MAX, f64::min);
        println!("{}: {losses:?}", info.name);
        assert!(losses.iter().all(|l| l.is_finite()), "{}: {losses:?}", info.name);
        assert!(least < losses[0], "{}: {losses:?}", info.name);
    }
}

#[test]
fn other_normalisations_and_heads_learn_a_batch() {
    let images = formula::tensor("images", BATCH * 3 * 32 * 32);
    let options = BuildOptions::new(CLASSES, (3, 32, 32)).with_width(0.25);
    for options in [
        options.clone().with_normalization(Normalization::Group(4)),
        options.clone().with_normalization(Normalization::Instance),
        options.with_head(Head::SpatialPyramid),
    ] {
        for name in ["resnet20", "mobilenet_v3_small", "densenet_bc_100"] {
            let mut graph = build(name, &options).expect("an architecture");
            initialize(&mut graph, 1);
            let losses = losses(&graph, &images, 6);
            assert!(losses.iter().all(|l| l.is_finite()) && losses[5] < losses[0], "{name}: {losses:?}");
        }
    }
}
