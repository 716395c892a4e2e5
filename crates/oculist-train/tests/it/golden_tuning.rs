//! Frozen batch norm, anchors, layer-wise decay, gradual unfreezing and adapters against PyTorch (`golden/tuning.json`).

use std::sync::Arc;

use oculist_graph::{Graph, Tensor};
use oculist_kernels::{Context, Isa};
use oculist_passes::{AdapterOptions, attach_adapters, merge_adapters};
use oculist_testing::{formula, golden};
use oculist_train::{
    Executor, Layer, Mode, NormTraining, Optimizer, OptimizerConfig, ParameterKind, Rule, Tuning, layers,
    loss_and_gradient,
};
use serde_json::Value;

use super::golden_steps::{images, relative_difference};
use super::nets;

/// As in `golden_steps.rs`: the answers are f64's.
const TOLERANCE: f32 = 5e-5;
/// Steps amplify rounding; AdamW divides by the root of tiny second moments.
const AFTER_STEPS: f32 = 2e-3;

fn network() -> Graph {
    let mut graph = nets::build("Residual", [3, 12, 12]);
    for (id, value, tensor) in graph.clone().params() {
        graph.set_param(id, Tensor::f32(tensor.shape(), formula::state(&value.name, tensor.shape(), 1.0)));
    }
    graph
}

fn number(value: &Value, name: &str) -> f32 {
    value[name].as_f64().unwrap_or_else(|| panic!("no number `{name}`")) as f32
}

fn optimizer(case: &Value) -> OptimizerConfig {
    let rule = &case["optimizer"];
    if rule["momentum"].is_number() {
        OptimizerConfig::Sgd { momentum: number(rule, "momentum"), nesterov: true }
    } else {
        let [beta1, beta2, eps] = ["beta1", "beta2", "eps"].map(|name| number(rule, name));
        OptimizerConfig::AdamW { beta1, beta2, eps }
    }
}

/// What a case did in PyTorch.
fn tuning(name: &str, case: &Value, layers: &[Layer]) -> Tuning {
    let mut tuning = Tuning::default();
    if let Some(batch_norm) = case["batch_norm"].as_str() {
        let training = if batch_norm == "frozen" { NormTraining::Frozen } else { NormTraining::Statistics };
        tuning = tuning.batch_norm(layers, training);
    }
    if case["anchor"].is_number() {
        tuning = tuning.anchored(layers, number(case, "anchor"));
    }
    if case["layer_decay"].is_number() {
        tuning = tuning.decay(layers, number(case, "layer_decay"));
    }
    if name == "unfreezing" {
        // With a step an epoch: three layers in the first half of four.
        tuning = tuning.unfreezing(layers, 4);
    }
    tuning
}

struct Trained {
    losses: Vec<f32>,
    /// Of the first step.
    gradients: Vec<(String, Tensor)>,
    graph: Graph,
    logits: Vec<f32>,
}

fn train(ctx: Arc<Context>, graph: &Graph, tuning: &Tuning, file: &Value, case: &Value) -> Trained {
    let labels: Vec<u32> = golden::shape(&file["labels"]).into_iter().map(|l| l as u32).collect();
    let images = images([labels.len(), 3, 12, 12], 1.0);
    let mut executor = Executor::tuned(ctx, graph, labels.len(), Mode::Train, tuning).unwrap();
    let mut optimizer = Optimizer::new(optimizer(case), executor.params().len());
    let (lr, weight_decay) = (number(&case["optimizer"], "lr"), number(case, "weight_decay"));
    let classes = executor.classes();
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for epoch in 0..case["losses"].as_array().unwrap().len() {
        executor.set_epoch(epoch);
        executor.forward_train(&images, 0);
        let mut gradient = vec![0.0; executor.logits().len()];
        let smoothing = number(file, "label_smoothing");
        losses.push(
            loss_and_gradient(classes, &labels, smoothing, None, executor.logits(), &mut gradient) as f32
        );
        executor.backward(&gradient);
        if epoch == 0 {
            let named = |(id, tensor)| (graph.value(id).name.clone(), tensor);
            gradients = executor.gradient_tensors().into_iter().map(named).collect();
        }
        executor.update(&mut optimizer, 1.0, lr, weight_decay);
    }
    let stride = executor.logits_stride();
    let logits = executor.forward_eval(&images).chunks(stride).flat_map(|row| row[..classes].to_vec());
    let logits = logits.collect();
    let mut after = graph.clone();
    executor.store(&mut after);
    Trained { losses, gradients, graph: after, logits }
}

fn values<'a>(graph: &'a Graph, name: &str) -> &'a [f32] {
    let id = graph.find(name).unwrap_or_else(|| panic!("no parameter `{name}`"));
    graph.param(id).and_then(Tensor::as_f32).unwrap()
}

/// How far the parameters are off; whatever PyTorch left as it was must have its bits.
fn error(start: &Graph, trained: &Trained, case: &Value) -> f32 {
    let want = case["parameters"].as_object().unwrap();
    let statistics_move = case["batch_norm"].is_null();
    let mut worst = 0.0f32;
    for layer in layers(start) {
        for parameter in &layer.parameters {
            let name = parameter.name.as_str();
            let (before, after) = (values(start, name), values(&trained.graph, name));
            match want.get(name) {
                Some(want) => worst = worst.max(relative_difference(after, &golden::floats(want))),
                None if statistics_move && parameter.kind == ParameterKind::Statistic => {}
                None if before == after => {}
                None => worst = f32::INFINITY,
            }
        }
    }
    worst
}

fn contexts() -> impl Iterator<Item = Arc<Context>> {
    let isas = Isa::available().into_iter();
    isas.flat_map(|isa| [1, 2].map(|threads| Arc::new(Context::with_isa(threads, isa).unwrap())))
}

fn context() -> Arc<Context> {
    Arc::new(Context::new(2).unwrap())
}

#[test]
fn each_way_of_tuning_matches_pytorch_on_every_instruction_set() {
    let (file, start) = (golden::load("tuning.json"), network());
    let layers = layers(&start);
    for (name, case) in file["cases"].as_object().unwrap() {
        let tuning = tuning(name, case, &layers);
        for ctx in contexts() {
            let what = format!("{name} on {:?}, {} threads", ctx.isa(), ctx.threads());
            let trained = train(ctx, &start, &tuning, &file, case);
            for (i, (loss, want)) in trained.losses.iter().zip(golden::floats(&case["losses"])).enumerate() {
                let bound = if i == 0 { 1e-5 } else { 2e-4 };
                assert!((loss - want).abs() < bound, "{what}: loss of step {i} is {loss}, PyTorch {want}");
            }
            let off = error(&start, &trained, case);
            assert!(off < AFTER_STEPS, "{what}: parameters are off by {off}");
            let Some(want) = case["gradients"].as_object() else { continue };
            for (name, gradient) in &trained.gradients {
                let got = gradient.as_f32().unwrap();
                let off = want.get(name).map_or_else(
                    || got.iter().fold(0.0f32, |m, g| m.max(g.abs())),
                    |want| relative_difference(got, &golden::floats(want)),
                );
                assert!(off < TOLERANCE, "{what}: the gradient of `{name}` is off by {off}");
            }
        }
    }
}

#[test]
fn what_is_trained_in_another_way_is_noticed() {
    let (file, start) = (golden::load("tuning.json"), network());
    let layers = layers(&start);
    for (name, case) in file["cases"].as_object().unwrap() {
        let right = tuning(name, case, &layers);
        // A mistake of each kind: batch statistics, an anchor or a decay half as strong, a layer an epoch too late.
        let wrong = right.rules().fold(Tuning::default(), |wrong, (parameter, rule)| {
            let changed = if case["batch_norm"].is_string() && rule == Rule::FROZEN {
                Rule::PLAIN
            } else {
                let from = if rule.from > 0 { rule.from + 1 } else { 0 };
                Rule { anchor: rule.anchor / 2.0, factor: rule.factor.sqrt(), from }
            };
            wrong.with(parameter, changed)
        });
        let off = error(&start, &train(context(), &start, &wrong, &file, case), case);
        assert!(off > 3.0 * AFTER_STEPS, "{name}: parameters are off by {off} only");
    }
}

#[test]
fn adapters_match_pytorch_and_merge_into_the_layers() {
    let (file, start) = (golden::load("tuning.json"), network());
    let case = &file["adapters"];
    let options =
        AdapterOptions { rank: case["rank"].as_u64().unwrap() as usize, alpha: number(case, "alpha") };
    let scaled = |name: &str, shape: &[usize], scale: f32| {
        formula::tensor(name, shape.iter().product()).into_iter().map(|x| scale * x).collect::<Vec<_>>()
    };
    let init = |name: &str, shape: &[usize]| scaled(name, shape, number(case, "a_scale"));
    let (mut adapted, adapters) = attach_adapters(&start, options, |_| true, init).unwrap();
    for adapter in &adapters {
        let b = adapted.find(&adapter.b).unwrap();
        let shape = adapted.param(b).unwrap().shape().to_vec();
        adapted.set_param(b, Tensor::f32(&shape, scaled(&adapter.b, &shape, number(case, "b_scale"))));
    }
    let want = case["parameters"].as_object().unwrap();
    let everything = layers(&adapted);
    let names = everything.iter().flat_map(|layer| layer.parameters.iter().map(|p| p.name.as_str()));
    let tuning = Tuning::default().frozen(names.filter(|name| !want.contains_key(*name)));
    let trained = train(context(), &adapted, &tuning, &file, case);
    for (loss, want) in trained.losses.iter().zip(golden::floats(&case["losses"])) {
        assert!((loss - want).abs() < 2e-4, "loss {loss}, PyTorch {want}");
    }
    let off = error(&adapted, &trained, case);
    assert!(off < AFTER_STEPS, "adapters are off by {off}");
    let merged = merge_adapters(&trained.graph).unwrap();
    assert_eq!(merged.dump(), start.dump(), "the structure is the old one");
    for (name, want) in case["merged"].as_object().unwrap() {
        let off = relative_difference(values(&merged, name), &golden::floats(want));
        assert!(off < AFTER_STEPS, "`{name}` is off by {off}");
        let unmerged = relative_difference(values(&start, name), &golden::floats(want));
        assert!(unmerged > 10.0 * AFTER_STEPS, "`{name}`: the product adds {unmerged} only");
    }
    // Merged logits are the adapters', and PyTorch's.
    let mut executor = Executor::new(context(), &merged, 4, Mode::Eval).unwrap();
    let (classes, stride) = (executor.classes(), executor.logits_stride());
    let logits = executor.forward_eval(&images([4, 3, 12, 12], 1.0));
    let logits: Vec<f32> = logits.chunks(stride).flat_map(|row| row[..classes].to_vec()).collect();
    let off = relative_difference(&logits, &trained.logits);
    assert!(off < 1e-5, "merged logits are {off} off those of the adapters");
    assert!(relative_difference(&logits, &golden::floats(&case["logits"])) < AFTER_STEPS);
    // The twin: training all parameters gives other adapters.
    let other = train(context(), &adapted, &Tuning::default(), &file, case);
    assert!(error(&adapted, &other, case) > 0.1);
}
