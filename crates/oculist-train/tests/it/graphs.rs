//! Every operator behind every other one: outputs and gradients against the f64 interpreter and its slopes.

use std::sync::Arc;

use oculist_graph::{
    BatchNormalization, DataType, DequantizeLinear, Flatten, Gemm, Graph, GraphBuilder, Op, QuantizeLinear,
    Softmax, Tensor, ValueId,
};
use oculist_kernels::Context;
use oculist_testing::graphs::{self, Start, pairs};
use oculist_testing::interpret::{self, Array};
use oculist_testing::reference::Noise;
use oculist_train::{Executor, Mode, TrainError};

const BATCH: usize = 5;

/// The images, dense NHWC for the executor and NCHW for the interpreter.
fn images(graph: &Graph) -> (Vec<f32>, Array) {
    let (c, h, w) = graph.input_chw().unwrap();
    let nchw = Noise::new(3).vector(BATCH * c * h * w);
    let mut nhwc = vec![0.0; nchw.len()];
    for n in 0..BATCH {
        for k in 0..c {
            for p in 0..h * w {
                nhwc[(n * h * w + p) * c + k] = nchw[(n * c + k) * h * w + p];
            }
        }
    }
    (nhwc, Array::from_f32(&[BATCH, c, h, w], &nchw))
}

/// The graph with the statistics of this batch in every normalisation: what a training step computes with.
fn with_batch_statistics(graph: &Graph, x: &Array) -> Graph {
    let mut graph = graph.clone();
    for i in 0..graph.nodes().len() {
        let node = &graph.nodes()[i];
        if !matches!(node.op, Op::BatchNormalization(_)) {
            continue;
        }
        let (input, mean, var) = (node.inputs[0], node.inputs[3], node.inputs[4]);
        let run = interpret::run(&graph, std::slice::from_ref(x));
        let (channels, values) = (run.get(input).shape()[1], run.get(input));
        let per_image = values.data().len() / BATCH;
        let pixels = per_image / channels;
        let (mut means, mut variances) = (Vec::new(), Vec::new());
        for c in 0..channels {
            let of_channel = || {
                (0..BATCH * pixels).map(|i| values.data()[i / pixels * per_image + c * pixels + i % pixels])
            };
            let n = (BATCH * pixels) as f64;
            let mean = of_channel().sum::<f64>() / n;
            means.push(mean as f32);
            variances.push((of_channel().map(|v| (v - mean).powi(2)).sum::<f64>() / n) as f32);
        }
        graph.set_param(mean, Tensor::f32(&[channels], means));
        graph.set_param(var, Tensor::f32(&[channels], variances));
    }
    graph
}

/// The logits of a training step in f64.
fn logits(graph: &Graph, x: &Array) -> Vec<f64> {
    interpret::run(&with_batch_statistics(graph, x), std::slice::from_ref(x)).output(0).data().to_vec()
}

/// What the executor says: logits while training and deployed, and the gradient of every parameter.
#[derive(Debug)]
struct Trained {
    training: Vec<f32>,
    deployed: Vec<f32>,
    gradients: Vec<(ValueId, Tensor)>,
}

fn direction(len: usize) -> Vec<f32> {
    Noise::new(11).vector(len)
}

fn train(graph: &Graph) -> Result<Trained, TrainError> {
    let ctx = Arc::new(Context::new(1).unwrap());
    let mut executor = Executor::new(ctx, graph, BATCH, Mode::Train)?;
    let (classes, stride) = (executor.classes(), executor.logits_stride());
    let (nhwc, _) = images(graph);
    let dense = |rows: &[f32]| -> Vec<f32> {
        rows.chunks_exact(stride).flat_map(|row| row[..classes].to_vec()).collect()
    };
    let deployed = dense(executor.forward_eval(&nhwc));
    let mut gradient = vec![0.0; BATCH * stride];
    for (row, d) in gradient.chunks_exact_mut(stride).zip(direction(BATCH * classes).chunks_exact(classes)) {
        row[..classes].copy_from_slice(d);
    }
    // Twice, so that what a buffer still holds from the first pass would be seen.
    let mut training = Vec::new();
    for _ in 0..2 {
        training = dense(executor.forward_train(&nhwc, 0));
        executor.backward(&gradient);
    }
    Ok(Trained { training, deployed, gradients: executor.gradient_tensors() })
}

/// Largest difference relative to the largest element.
fn distance(got: &[f32], want: &[f64]) -> f64 {
    let largest = want.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
    assert_eq!(got.len(), want.len());
    got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).abs()).fold(0.0, f64::max) / largest
}

/// Compares with the interpreter: `sum(direction * logits)` must rise along each gradient as the gradient says.
fn check(graph: &Graph, trained: &Trained) -> Result<(), String> {
    let (_, x) = images(graph);
    let deployed = interpret::run(graph, std::slice::from_ref(&x));
    let off = distance(&trained.deployed, deployed.output(0).data());
    if off > 1e-4 {
        return Err(format!("deployed logits are off by {off}"));
    }
    let off = distance(&trained.training, &logits(graph, &x));
    if off > 1e-4 {
        return Err(format!("training logits are off by {off}"));
    }
    let weights = direction(trained.training.len());
    let objective = |graph: &Graph| -> f64 {
        logits(graph, &x).iter().zip(&weights).map(|(l, w)| l * f64::from(*w)).sum()
    };
    for (id, gradient) in &trained.gradients {
        let gradient = gradient.as_f32().unwrap();
        let here = graph.param(*id).unwrap();
        let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let largest = gradient.iter().fold(1e-2f64, |m, g| m.max(f64::from(g.abs())));
        // Along the gradient, and along single elements.
        let mut steps: Vec<Vec<f64>> = if norm > 1e-3 {
            vec![gradient.iter().map(|g| f64::from(*g) / norm).collect()]
        } else {
            Vec::new()
        };
        for k in 0..3.min(gradient.len()) {
            let mut step = vec![0.0; gradient.len()];
            step[k * (gradient.len() - 1) / 2.min(gradient.len() - 1).max(1)] = 1.0;
            steps.push(step);
        }
        for (s, step) in steps.iter().enumerate() {
            let moved = |factor: f64| {
                let data = here.as_f32().unwrap().iter().zip(step);
                let data: Vec<f32> = data.map(|(w, d)| (f64::from(*w) + factor * d) as f32).collect();
                let mut graph = graph.clone();
                graph.set_param(*id, Tensor::f32(here.shape(), data.clone()));
                (objective(&graph), data)
            };
            let unit = if s == 0 && norm > 1e-3 { norm } else { largest };
            let mut problem = None;
            // Where a kink lies within the longer way, the shorter one decides.
            for factor in [3e-4, 3e-5] {
                let ((up, far), (down, near)) = (moved(factor), moved(-factor));
                // As far as f32 has really moved.
                let (mut want, mut length) = (0.0, 0.0);
                for (g, (a, b)) in gradient.iter().zip(far.iter().zip(&near)) {
                    let moved = f64::from(*a) - f64::from(*b);
                    want += f64::from(*g) * moved;
                    length += moved * moved;
                }
                if (up - down - want).abs() <= 0.03 * unit * length.sqrt() {
                    problem = None;
                    break;
                }
                problem = Some(format!("the slope is {}, not {want}", up - down));
            }
            if let Some(problem) = problem {
                return Err(format!("`{}`, step {s}: {problem}", graph.value(*id).name));
            }
        }
    }
    Ok(())
}

#[test]
fn every_pair_of_operators_trains() {
    let mut wrong = Vec::new();
    for graph in pairs() {
        match train(&graph) {
            Ok(trained) => {
                if let Err(problem) = check(&graph, &trained) {
                    wrong.push(format!("{}: {problem}", graph.name()));
                }
            }
            Err(e) => wrong.push(format!("{}: {e}", graph.name())),
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn wrong_gradients_and_outputs_are_noticed() {
    let norm = graphs::PIECES.iter().position(|(name, ..)| *name == "batch norm").unwrap();
    let relu = graphs::PIECES.iter().position(|(name, ..)| *name == "relu").unwrap();
    let graph = graphs::pair(Start::Flat, norm, relu).unwrap();
    check(&graph, &train(&graph).unwrap()).unwrap();
    // The order of the map in memory instead of the graph's: what a planner gives that forgets the flatten.
    let mut wrong = train(&graph).unwrap();
    let scale = wrong.gradients.iter_mut().find(|(id, _)| graph.value(*id).name == "first.weight").unwrap();
    let (c, pixels) = (4, 12);
    let of_map: Vec<f32> = scale.1.as_f32().unwrap().to_vec();
    let moved = (0..c * pixels).map(|i| of_map[i % c * pixels + i / c]).collect();
    scale.1 = Tensor::f32(&[c * pixels], moved);
    assert!(check(&graph, &wrong).unwrap_err().contains("first.weight"));
    let mut wrong = train(&graph).unwrap();
    wrong.training[4] += 0.01;
    assert!(check(&graph, &wrong).unwrap_err().contains("training logits"));
    let mut wrong = train(&graph).unwrap();
    wrong.deployed.swap(0, 1);
    assert!(check(&graph, &wrong).unwrap_err().contains("deployed logits"));
}

/// A network in which `piece` stands between a convolution and the logits.
fn with(piece: impl Fn(&mut GraphBuilder, ValueId) -> ValueId) -> Graph {
    let mut b = GraphBuilder::new("net");
    let x = b.input("image", 2, 4, 3);
    let x = b.conv("stem", x, 4, oculist_graph::Conv::square(3, 1, 1), true);
    let x = piece(&mut b, x);
    graphs::fill(b.finish(x).unwrap())
}

#[test]
fn a_flattened_map_as_logits_has_the_order_of_the_graph() {
    let graph = with(|b, x| b.op("flatten", Op::Flatten(Flatten::IMAGES), &[x]));
    check(&graph, &train(&graph).unwrap()).unwrap();
}

#[test]
fn what_cannot_be_trained_is_an_error_that_names_the_node() {
    let dense = with(|_, x| x);
    let message = train(&dense).unwrap_err().to_string();
    assert!(message.contains("dense output [N, 4, 4, 3]") && message.contains("classifier"), "{message}");

    let softmax = with(|b, x| {
        let x = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[x]);
        b.op("softmax", Op::Softmax(Softmax::along(1)), &[x])
    });
    let message = train(&softmax).unwrap_err().to_string();
    assert!(message.contains("`softmax` (Softmax)"), "{message}");

    let quantised = with(|b, x| {
        let scale = b.param("scale", Tensor::f32(&[], vec![0.1]));
        let zero = b.param("zero", Tensor::u8(&[], vec![128]));
        let q = b.op(
            "quantize",
            Op::QuantizeLinear(QuantizeLinear { axis: 1, block: 0, dtype: DataType::U8 }),
            &[x, scale, zero],
        );
        let x = b.op("dequantize", Op::DequantizeLinear(DequantizeLinear::along(1)), &[q, scale, zero]);
        b.op("flatten", Op::Flatten(Flatten::IMAGES), &[x])
    });
    let message = train(&quantised).unwrap_err().to_string();
    assert!(message.contains("`quantize`") && message.contains("f32"), "{message}");

    let weights = with(|b, x| {
        let x = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[x]);
        let q = b.param("bytes", Tensor::i8(&[3, 48], vec![1; 144]));
        let scale = b.param("scale", Tensor::f32(&[3], vec![0.1; 3]));
        let zero = b.param("zero", Tensor::i8(&[3], vec![0; 3]));
        let weight = b.op("dequantize", Op::DequantizeLinear(DequantizeLinear::along(0)), &[q, scale, zero]);
        b.op("fc", Op::Gemm(Gemm::LINEAR), &[x, weight])
    });
    let message = train(&weights).unwrap_err().to_string();
    assert!(message.contains("`dequantize`") && message.contains("f32"), "{message}");

    let one_statistic = with(|b, x| {
        let scale = b.param("scale", Tensor::filled(&[4], 1.0));
        let shift = b.param("shift", Tensor::filled(&[4], 0.0));
        let norm =
            Op::BatchNormalization(BatchNormalization { epsilon: 1e-2, momentum: 0.9, training: false });
        let x = b.op("norm", norm, &[x, scale, shift, shift, scale]);
        b.op("flatten", Op::Flatten(Flatten::IMAGES), &[x])
    });
    let message = train(&one_statistic).unwrap_err().to_string();
    assert!(message.contains("`norm`") && message.contains("`shift`"), "{message}");

    let two_forms = with(|b, x| {
        // The first layer reads the map of four channels, the second a row of forty-eight.
        let weight = b.param("weight", Tensor::filled(&[48, 48], 0.0));
        let x = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[x]);
        let x = b.op("first", Op::Gemm(Gemm::LINEAR), &[x, weight]);
        b.op("second", Op::Gemm(Gemm::LINEAR), &[x, weight])
    });
    match train(&two_forms) {
        Ok(trained) => check(&two_forms, &trained).unwrap(),
        Err(e) => assert!(e.to_string().contains("`second`") && e.to_string().contains("`weight`"), "{e}"),
    }
}
