//! One whole training step by Oculist's executor and by Burn, compared number by number.

use std::sync::Arc;

use burn::tensor::Device;
use burn_peer::{Network, PeerError, Sgd, smoothed_targets};
use oculist_graph::{
    AveragePool, Binary, Concat, Conv, Flatten, GlobalPool, Graph, GraphBuilder, Node, Op, Plane, Softmax,
    Tensor, Unary,
};
use oculist_kernels::Context;
use oculist_testing::{formula, golden};
use oculist_train::{Executor, Mode, Optimizer, OptimizerConfig, loss_and_gradient};
use oculist_zoo::{BuildOptions, build};

/// Largest difference allowed, relative to the largest number of the tensor.
const TOLERANCE: f32 = 1e-4;
/// What a tensor of smaller numbers is compared against: gradients that vanish in theory are rounding, up to 1e-7.
const SMALLEST: f32 = 1e-3;
const BATCH: usize = 4;
const CLASSES: usize = 10;
const SMOOTHING: f32 = 0.1;
const SGD: Sgd = Sgd { lr: 0.1, momentum: 0.9, weight_decay: 5e-4, nesterov: true };

/// What a training step leaves behind: everything by the name of the parameter.
struct Outcome {
    loss: f64,
    gradients: Vec<(String, Vec<f32>)>,
    /// Updated parameters and running statistics, after all steps.
    state: Vec<(String, Vec<f32>)>,
}

/// A graph with the formula's weights; every batch normalisation does something else.
fn with_formula(mut graph: Graph) -> Graph {
    let params: Vec<_> = graph.params().map(|(id, v, t)| (id, v.name.clone(), t.shape().to_vec())).collect();
    for (id, name, shape) in params {
        graph.set_param(id, Tensor::f32(&shape, formula::state(&name, &shape, 0.7)));
    }
    graph
}

fn zoo(arch: &str, side: usize, width: f64) -> Graph {
    let options = BuildOptions::new(CLASSES, (3, side, side)).with_dropout(0.0).with_width(width);
    with_formula(build(arch, &options).unwrap())
}

fn images(graph: &Graph) -> Vec<f32> {
    let (c, h, w) = graph.input_chw().unwrap();
    formula::tensor("input", BATCH * c * h * w)
}

fn labels() -> Vec<u32> {
    (0..BATCH as u32).map(|i| i * 3 % CLASSES as u32).collect()
}

fn named(graph: &Graph) -> Vec<(String, Vec<f32>)> {
    graph.params().map(|(_, v, t)| (v.name.clone(), t.as_f32().unwrap().to_vec())).collect()
}

/// The biases whose gradient is zero in theory, with the weight of the same convolution: a batch normalisation that
/// follows takes the mean away, so what is left of the gradient is rounding.
fn vanishing_biases(graph: &Graph) -> Vec<(String, String)> {
    let consumers = graph.consumers();
    let normalised = |node: &&Node| {
        let readers = &consumers[node.output().index()];
        matches!(node.op, Op::Conv(_))
            && node.inputs.len() == 3
            && readers.len() == 1
            && matches!(graph.nodes()[readers[0]].op, Op::BatchNormalization(_))
    };
    let name = |id| graph.value(id).name.clone();
    graph.nodes().iter().filter(normalised).map(|n| (name(n.inputs[2]), name(n.inputs[1]))).collect()
}

/// Takes the vanishing biases out of `gradients` after checking that each is nothing beside its weight's gradient.
fn without_vanishing(graph: &Graph, gradients: &mut Vec<(String, Vec<f32>)>) {
    let largest = |list: &[(String, Vec<f32>)], name: &str| {
        let (_, values) = list.iter().find(|(n, _)| n == name).expect("a gradient of each parameter");
        values.iter().fold(0.0f32, |m, x| m.max(x.abs()))
    };
    for (bias, weight) in vanishing_biases(graph) {
        let share = largest(gradients, &bias) / largest(gradients, &weight);
        assert!(share < TOLERANCE, "`{bias}` should vanish beside `{weight}`, found a share of {share}");
        gradients.retain(|(name, _)| *name != bias);
    }
}

fn ours(graph: &Graph, steps: usize) -> Outcome {
    let (c, h, w) = graph.input_chw().unwrap();
    let nchw = images(graph);
    let mut nhwc = vec![0.0; nchw.len()];
    for (i, &x) in nchw.iter().enumerate() {
        let (image, channel, pixel) = (i / (c * h * w), i / (h * w) % c, i % (h * w));
        nhwc[(image * h * w + pixel) * c + channel] = x;
    }
    let ctx = Arc::new(Context::new(2).unwrap());
    let mut executor = Executor::new(ctx, graph, BATCH, Mode::Train).unwrap();
    let config = OptimizerConfig::Sgd { momentum: SGD.momentum, nesterov: SGD.nesterov };
    let mut optimizer = Optimizer::new(config, executor.params().len());
    let mut step = |executor: &mut Executor| {
        executor.forward_train(&nhwc, 0);
        let mut gradient = vec![0.0; executor.logits().len()];
        let loss = loss_and_gradient(CLASSES, &labels(), SMOOTHING, None, executor.logits(), &mut gradient);
        executor.backward(&gradient);
        let gradients = executor.gradient_tensors();
        executor.update(&mut optimizer, 1.0, SGD.lr, SGD.weight_decay);
        (loss, gradients)
    };
    let (loss, gradients) = step(&mut executor);
    for _ in 1..steps {
        step(&mut executor);
    }
    let mut stored = graph.clone();
    executor.store(&mut stored);
    let gradients =
        gradients.iter().map(|(id, t)| (graph.value(*id).name.clone(), t.as_f32().unwrap().to_vec()));
    Outcome { loss, gradients: gradients.collect(), state: named(&stored) }
}

fn burns(graph: &Graph, steps: usize) -> Outcome {
    let mut network = Network::new(graph, Device::flex()).unwrap();
    let x = network.images(&images(graph));
    let targets = smoothed_targets(&labels(), CLASSES, SMOOTHING, network.device());
    let loss = network.forward_backward(x.clone(), targets.clone()).unwrap();
    let gradients = network.gradient_tensors().unwrap();
    network.update(SGD);
    for _ in 1..steps {
        network.forward_backward(x.clone(), targets.clone()).unwrap();
        network.update(SGD);
    }
    let mut stored = graph.clone();
    network.store(&mut stored).unwrap();
    let gradients =
        gradients.iter().map(|(id, t)| (graph.value(*id).name.clone(), t.as_f32().unwrap().to_vec()));
    Outcome { loss, gradients: gradients.collect(), state: named(&stored) }
}

/// The largest relative difference between tensors of the same names, and the name it belongs to.
fn largest_difference(a: &[(String, Vec<f32>)], b: &[(String, Vec<f32>)]) -> (f32, String) {
    let sorted = |list: &[(String, Vec<f32>)]| {
        let mut list = list.to_vec();
        list.sort_by(|a, b| a.0.cmp(&b.0));
        list
    };
    let (a, b) = (sorted(a), sorted(b));
    let names = |list: &[(String, Vec<f32>)]| list.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
    assert_eq!(names(&a), names(&b), "tensors of the two sides");
    let mut worst = (0.0, String::new());
    for ((name, a), (_, b)) in a.iter().zip(&b) {
        let largest = b.iter().fold(SMALLEST, |m, x| m.max(x.abs()));
        let off = golden::max_abs_difference(a, b) / largest;
        if off > worst.0 {
            worst = (off, name.clone());
        }
    }
    worst
}

/// The largest relative difference of a whole step: loss, gradients, and the state after the steps.
fn difference(a: &Outcome, b: &Outcome) -> [(f32, String); 3] {
    let loss = ((a.loss - b.loss).abs() / b.loss.abs()) as f32;
    [
        (loss, "loss".into()),
        largest_difference(&a.gradients, &b.gradients),
        largest_difference(&a.state, &b.state),
    ]
}

fn assert_agree(graph: &Graph, steps: usize) {
    let name = graph.name();
    let (mut ours, mut burns) = (ours(graph, steps), burns(graph, steps));
    without_vanishing(graph, &mut ours.gradients);
    without_vanishing(graph, &mut burns.gradients);
    assert!(!ours.gradients.is_empty() && ours.state.len() > ours.gradients.len());
    assert_ne!(ours.state, named(graph), "{name}: the step must change something");
    let found = difference(&ours, &burns);
    println!("{name}: loss {:.6}, largest differences {found:?}", ours.loss);
    for (off, what) in &found {
        assert!(*off < TOLERANCE, "{name}: `{what}` is off by {off}");
    }
}

/// The network that the issue of this comparison names: batch 4, 16x16, nine residual blocks.
fn small_resnet() -> Graph {
    zoo("resnet20", 16, 0.5)
}

#[test]
fn a_small_residual_network_agrees() {
    assert_agree(&small_resnet(), 2);
}

#[test]
fn other_operators_of_the_zoo_agree() {
    // Convolutional shortcuts; biases and linear layers; depthwise convolutions, gates, hard-swish and hard-sigmoid.
    assert_agree(&zoo("resnet18", 16, 0.25), 2);
    assert_agree(&zoo("vgg11_bn", 32, 0.25), 2);
    assert_agree(&zoo("mobilenet_v3_small", 32, 0.5), 1);
}

/// Asymmetric and counted padding, dilation, concatenation and a sigmoid gate, which the networks above do not have.
#[test]
fn rare_operators_agree() {
    let mut b = GraphBuilder::new("rare");
    let x = b.input("input", 3, 12, 12);
    let plane = Plane { kernel: [3, 3], stride: [1, 1], padding: [1, 2, 2, 1], dilation: [2, 1] };
    let conv = Conv::plane(plane, 1);
    let x = b.conv("conv1", x, 20, conv, false);
    let x = b.batch_norm("bn1", x, 1e-3, 0.8);
    let x = b.op("sigmoid", Op::Unary(Unary::Sigmoid), &[x]);
    let max = b.max_pool("max", x, 3, 2, 1);
    let counted = b.op("counted", AveragePool::square(3, 2, 1, true), &[x]);
    let covered = b.op("covered", AveragePool::square(3, 2, 1, false), &[x]);
    let x = b.op("concat", Op::Concat(Concat::CHANNELS), &[max, counted, covered]);
    let plane = Plane { kernel: [1, 3], stride: [1, 1], padding: [0, 1, 0, 1], dilation: [1, 1] };
    let conv = Conv::plane(plane, 4);
    let x = b.conv("conv2", x, 24, conv, true);
    let x = b.batch_norm("bn2", x, 1e-5, 0.9);
    let x = b.op("clip", Op::Unary(Unary::Clip { min: -1.0, max: 1.5 }), &[x]);
    let gate = b.op("pool", Op::GlobalPool(GlobalPool::Average), &[x]);
    let gate = b.op("gate", Op::Unary(Unary::HardSigmoid { alpha: 0.2, beta: 0.5 }), &[gate]);
    let x = b.op("mul", Op::Binary(Binary::Mul), &[x, gate]);
    let x = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[x]);
    let x = b.linear("fc1", x, 32);
    let x = b.op("swish", Op::Unary(Unary::HardSwish), &[x]);
    let x = b.linear("fc2", x, CLASSES);
    assert_agree(&with_formula(b.finish(x).unwrap()), 2);
}

#[test]
fn a_perturbed_weight_is_noticed() {
    let graph = small_resnet();
    let mut other = graph.clone();
    let id = other.find("layer2.0.conv1.weight").unwrap();
    other.param_mut(id).and_then(Tensor::as_f32_mut).unwrap()[7] += 0.05;
    let found = difference(&ours(&other, 2), &burns(&graph, 2));
    assert!(found.iter().all(|(off, _)| *off > TOLERANCE), "{found:?}");
}

#[test]
fn what_cannot_be_trained_is_refused_by_name() {
    let mut graph = small_resnet();
    let logits = graph.outputs()[0];
    let softmax = graph.add_node("probabilities", Op::Softmax(Softmax::along(1)), vec![logits]);
    graph.set_outputs(vec![softmax]);
    graph.tidy().unwrap();
    let error = Network::new(&graph, Device::flex()).unwrap_err();
    assert!(matches!(&error, PeerError::Unsupported { node, .. } if node == "probabilities"), "{error}");
}
