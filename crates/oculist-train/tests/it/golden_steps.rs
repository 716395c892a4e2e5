//! Losses, gradients, running statistics and optimiser steps against PyTorch (`golden/training_step.json`).

use std::sync::Arc;

use oculist_graph::{Graph, Tensor};
use oculist_kernels::{Context, Isa};
use oculist_testing::{formula, golden};
use oculist_train::{Distillation, Executor, Mode, Optimizer, OptimizerConfig, loss_and_gradient};
use serde_json::Value;

use super::nets;

/// The answers were computed in f64; PyTorch's own f32 gradients are up to 1e-5 off.
const TOLERANCE: f32 = 5e-5;

struct Case {
    golden: Value,
    graph: Graph,
    images: Vec<f32>,
    labels: Vec<u32>,
}

fn cases() -> Vec<Case> {
    let file = golden::load("training_step.json");
    let networks = file["networks"].as_array().expect("networks").clone();
    networks.into_iter().map(case).collect()
}

fn case(golden: Value) -> Case {
    let shape = golden::shape(&golden["input_shape"]);
    let [n, c, h, w] = shape[..] else { panic!("expected NCHW, found {shape:?}") };
    let mut graph = nets::build(golden["name"].as_str().unwrap(), [c, h, w]);
    let mut found = 0;
    // Paddings are integers and no part of the state dict.
    for (id, value, tensor) in graph.clone().params().filter(|(_, _, t)| t.as_f32().is_some()) {
        let data = formula::state(&value.name, tensor.shape(), golden["gamma"].as_f64().unwrap() as f32);
        graph.set_param(id, Tensor::f32(tensor.shape(), data));
        found += 1;
    }
    assert_eq!(found, golden["state"].as_array().unwrap().len(), "parameters of {}", golden["name"]);
    let scale = golden["input_scale"].as_f64().unwrap() as f32;
    let images = images([n, c, h, w], scale);
    let labels = golden::shape(&golden["labels"]).into_iter().map(|l| l as u32).collect();
    Case { golden, graph, images, labels }
}

/// The input of a golden file as batches hold it.
pub(super) fn images([n, c, h, w]: [usize; 4], scale: f32) -> Vec<f32> {
    let nchw = formula::tensor("input", n * c * h * w);
    let mut images = vec![0.0; nchw.len()];
    for i in 0..n {
        for k in 0..c {
            for p in 0..h * w {
                images[(i * h * w + p) * c + k] = scale * nchw[(i * c + k) * h * w + p];
            }
        }
    }
    images
}

fn contexts() -> Vec<Arc<Context>> {
    Isa::available()
        .into_iter()
        .flat_map(|isa| [1, 2].map(|threads| Arc::new(Context::with_isa(threads, isa).unwrap())))
        .collect()
}

/// Largest difference relative to the largest golden element.
pub(super) fn relative_difference(got: &[f32], want: &[f32]) -> f32 {
    let largest = want.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    golden::max_abs_difference(got, want) / largest.max(1e-6)
}

fn assert_tensors(graph: &Graph, want: &Value, what: &str) {
    for (name, want) in want.as_object().expect("tensors by name") {
        let id = graph.find(name).unwrap_or_else(|| panic!("{what}: no parameter `{name}`"));
        let got = graph.param(id).and_then(Tensor::as_f32).unwrap();
        let off = relative_difference(got, &golden::floats(want));
        assert!(off < TOLERANCE, "{what}: `{name}` is off by {off}");
    }
}

fn step(executor: &mut Executor, case: &Case) -> f64 {
    executor.forward_train(&case.images, 0);
    let mut gradient = vec![0.0; executor.logits().len()];
    let smoothing = case.golden["label_smoothing"].as_f64().unwrap() as f32;
    let classes = executor.classes();
    let loss = loss_and_gradient(classes, &case.labels, smoothing, None, executor.logits(), &mut gradient);
    executor.backward(&gradient);
    loss
}

fn gradient_error(executor: &Executor, case: &Case) -> f32 {
    let want = case.golden["gradients"].as_object().unwrap();
    let got = executor.gradient_tensors();
    assert_eq!(got.len(), want.len(), "number of gradients");
    got.iter()
        .map(|(id, tensor)| {
            let name = &case.graph.value(*id).name;
            relative_difference(tensor.as_f32().unwrap(), &golden::floats(&want[name]))
        })
        .fold(0.0, f32::max)
}

#[test]
fn one_step_matches_pytorch_on_every_instruction_set() {
    for case in cases() {
        for ctx in contexts() {
            let what = format!("{} on {:?}, {} threads", case.golden["name"], ctx.isa(), ctx.threads());
            let mut executor = Executor::new(ctx, &case.graph, case.labels.len(), Mode::Train).unwrap();
            let loss = step(&mut executor, &case);
            let want = case.golden["loss"].as_f64().unwrap();
            assert!((loss - want).abs() < 1e-5, "{what}: loss {loss}, PyTorch {want}");
            let error = gradient_error(&executor, &case);
            assert!(error < TOLERANCE, "{what}: gradients are off by {error}");
            let mut trained = case.graph.clone();
            executor.store(&mut trained);
            assert_tensors(&trained, &case.golden["running"], &what);
        }
    }
}

#[test]
fn a_wrong_gradient_is_noticed() {
    let case = cases().remove(0);
    let ctx = Arc::new(Context::new(1).unwrap());
    let mut executor = Executor::new(ctx, &case.graph, case.labels.len(), Mode::Train).unwrap();
    executor.forward_train(&case.images, 0);
    // Without label smoothing the gradients are others.
    let mut gradient = vec![0.0; executor.logits().len()];
    loss_and_gradient(executor.classes(), &case.labels, 0.0, None, executor.logits(), &mut gradient);
    executor.backward(&gradient);
    assert!(gradient_error(&executor, &case) > 100.0 * TOLERANCE);
    // Nor do zeros pass.
    executor.backward(&vec![0.0; gradient.len()]);
    assert!(gradient_error(&executor, &case) > 0.9);
}

#[test]
fn a_second_step_reuses_buffers_without_leaking() {
    for case in cases() {
        let ctx = Arc::new(Context::new(2).unwrap());
        let mut executor = Executor::new(ctx, &case.graph, case.labels.len(), Mode::Train).unwrap();
        step(&mut executor, &case);
        step(&mut executor, &case);
        let error = gradient_error(&executor, &case);
        assert!(
            error < TOLERANCE,
            "{}: gradients of the second pass are off by {error}",
            case.golden["name"]
        );
    }
}

#[test]
fn three_steps_of_each_optimiser_match_pytorch() {
    let case = cases().remove(0);
    for key in ["sgd", "sgd_clipped", "adamw"] {
        let run = &case.golden[key];
        let number = |name: &str| run[name].as_f64().unwrap_or(0.0) as f32;
        let config = if key == "adamw" {
            OptimizerConfig::AdamW { beta1: number("beta1"), beta2: number("beta2"), eps: number("eps") }
        } else {
            OptimizerConfig::Sgd {
                momentum: number("momentum"),
                nesterov: run["nesterov"].as_bool().unwrap(),
            }
        };
        let ctx = Arc::new(Context::new(2).unwrap());
        let mut executor = Executor::new(ctx, &case.graph, case.labels.len(), Mode::Train).unwrap();
        let mut optimizer = Optimizer::new(config, executor.params().len());
        for (i, want) in golden::floats(&run["losses"]).into_iter().enumerate() {
            let loss = step(&mut executor, &case) as f32;
            assert!((loss - want).abs() < 2e-4, "{key}: loss of step {i} is {loss}, PyTorch {want}");
            let mut factor = 1.0;
            if let Some(clip) = run["clip_norm"].as_f64() {
                let norm = executor.gradient_norm();
                let want = f64::from(golden::floats(&run["norms"])[i]);
                assert!((norm - want).abs() < 1e-3 * want, "norm {norm}, PyTorch {want}");
                factor = (clip / (norm + 1e-6)).min(1.0) as f32;
            }
            executor.update(&mut optimizer, factor, number("lr"), number("weight_decay"));
        }
        let mut trained = case.graph.clone();
        executor.store(&mut trained);
        for (name, want) in run["parameters"].as_object().unwrap() {
            let got = trained.param(trained.find(name).unwrap()).and_then(Tensor::as_f32).unwrap();
            let off = relative_difference(got, &golden::floats(want));
            // Three steps amplify rounding; AdamW divides by the root of tiny second moments.
            assert!(off < 2e-3, "{key}: `{name}` is off by {off}");
        }
        assert_ne!(
            trained.param(trained.find("fc.weight").unwrap()),
            case.graph.param(case.graph.find("fc.weight").unwrap())
        );
    }
}

#[test]
fn distillation_matches_pytorch() {
    let file = golden::load("training_step.json");
    for case in file["distillation"].as_array().unwrap() {
        let [n, k] = golden::shape(&case["shape"])[..] else { panic!("expected [n, k]") };
        let stride = oculist_kernels::channel_stride(k);
        let rows = |name: &str, scale: &Value| {
            let scale = scale.as_f64().unwrap() as f32;
            let values = formula::tensor(name, n * k);
            let mut padded = vec![0.0; n * stride];
            for (row, values) in padded.chunks_mut(stride).zip(values.chunks(k)) {
                for (p, v) in row.iter_mut().zip(values) {
                    *p = scale * v;
                }
            }
            padded
        };
        let student = rows("student", &case["student_scale"]);
        let teacher = rows("teacher", &case["teacher_scale"]);
        let number = |name: &str| case[name].as_f64().unwrap() as f32;
        let labels: Vec<u32> = golden::shape(&case["labels"]).into_iter().map(|l| l as u32).collect();
        let distillation =
            Distillation { logits: &teacher, alpha: number("alpha"), temperature: number("temperature") };
        let mut gradient = vec![1.0; student.len()];
        let loss = loss_and_gradient(
            k,
            &labels,
            number("label_smoothing"),
            Some(&distillation),
            &student,
            &mut gradient,
        );
        let want = case["loss"].as_f64().unwrap();
        assert!((loss - want).abs() < 1e-5 * want.abs().max(1.0), "loss {loss}, PyTorch {want}");
        let dense: Vec<f32> = gradient.chunks(stride).flat_map(|row| row[..k].to_vec()).collect();
        let off = relative_difference(&dense, &golden::floats(&case["gradient"]));
        assert!(off < 1e-5, "gradient is off by {off}");
        assert!(gradient.chunks(stride).all(|row| row[k..].iter().all(|&x| x == 0.0)), "padding stays zero");
        // The twin: the plain loss is another one.
        let plain = loss_and_gradient(k, &labels, 0.0, None, &student, &mut gradient);
        assert!((plain - want).abs() > 1e-3);
    }
}
