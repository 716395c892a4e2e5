//! AugMix's consistency loss against PyTorch (`golden/consistency.json`), finite differences in f64, and in whole runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oculist_data::Batch;
use oculist_graph::{Graph, Tensor};
use oculist_kernels::{Context, channel_stride};
use oculist_testing::{formula, golden};
use oculist_train::{
    BatchIterator, Cpu, Criterion, Event, Loss, Outcome, TrainConfig, TrainError, Trainer, TrainingData,
    VIEWS,
};
use serde_json::Value;

use super::nets;

struct Case {
    /// Dense `[n * 3, k]`.
    logits: Vec<f32>,
    labels: Vec<u32>,
    weights: Vec<f32>,
    k: usize,
    golden: Value,
}

impl Case {
    fn number(&self, key: &str) -> f32 {
        self.golden[key].as_f64().unwrap() as f32
    }

    /// Loss and dense gradient of logits whose rows are taken in this order.
    fn evaluate(&self, weight: f32, loss: Loss, order: impl Fn(usize) -> usize) -> (f64, Vec<f32>) {
        let (k, stride) = (self.k, channel_stride(self.k));
        let rows = self.logits.len() / k;
        let mut logits = vec![0.0; rows * stride];
        for (row, to) in logits.chunks_exact_mut(stride).enumerate() {
            to[..k].copy_from_slice(&self.logits[order(row) * k..][..k]);
        }
        let smoothing = self.number("label_smoothing");
        let criterion = Criterion::new(loss, k, smoothing, &self.weights, &[]).unwrap();
        let mut padded = vec![7.0; logits.len()];
        let loss = criterion.consistency_loss_and_gradient(&self.labels, weight, &logits, &mut padded);
        assert!(padded.chunks(stride).all(|row| row[k..].iter().all(|&x| x == 0.0)), "padding is 0");
        let mut gradient = vec![0.0; self.logits.len()];
        for (row, from) in padded.chunks_exact(stride).enumerate() {
            gradient[order(row) * k..][..k].copy_from_slice(&from[..k]);
        }
        (loss, gradient)
    }

    /// How far loss and gradient lie from the golden ones.
    fn distance(&self, (loss, gradient): &(f64, Vec<f32>)) -> f64 {
        let off = golden::max_abs_difference(gradient, &golden::floats(&self.golden["gradient"]));
        f64::from(off).max((loss - self.golden["loss"].as_f64().unwrap()).abs())
    }

    /// The loss by its definition, for logits in f64.
    fn defined(&self, z: &[f64]) -> f64 {
        let (k, smoothing) = (self.k, f64::from(self.number("label_smoothing")));
        let mut total = 0.0;
        for (image, z) in z.chunks(VIEWS * k).enumerate() {
            let p: Vec<Vec<f64>> = z
                .chunks(k)
                .map(|z| {
                    let sum: f64 = z.iter().map(|z| z.exp()).sum();
                    z.iter().map(|z| z.exp() / sum).collect()
                })
                .collect();
            for c in 0..k {
                let one = f64::from(u8::from(self.labels[image] as usize == c));
                let q = (1.0 - smoothing) * one + smoothing / k as f64;
                total -= self.weights.get(c).map_or(1.0, |w| f64::from(*w)) * q * p[0][c].ln();
                let mean = (p[0][c] + p[1][c] + p[2][c]) / 3.0;
                for p in &p {
                    total += f64::from(self.number("weight")) / 3.0 * p[c] * (p[c] / mean).ln();
                }
            }
        }
        total / self.labels.len() as f64
    }
}

fn cases() -> Vec<Case> {
    let file = golden::load("consistency.json");
    let [n, views, k] = golden::shape(&file["shape"])[..] else { panic!("expected [n, views, k]") };
    assert_eq!(views, VIEWS);
    let scale = file["logit_scale"].as_f64().unwrap() as f32;
    let of = |golden: &Value| Case {
        logits: formula::tensor("consistency.logits", n * views * k).into_iter().map(|v| scale * v).collect(),
        labels: golden::shape(&file["labels"]).iter().map(|&l| l as u32).collect(),
        weights: if golden["weighted"] == true { golden::floats(&file["weights"]) } else { Vec::new() },
        k,
        golden: golden.clone(),
    };
    file["cases"].as_array().unwrap().iter().map(of).collect()
}

const TOLERANCE: f64 = 4e-6;

#[test]
fn loss_and_gradient_match_pytorch_and_others_do_not() {
    for case in cases() {
        let weight = case.number("weight");
        let found = case.evaluate(weight, Loss::CrossEntropy, |row| row);
        assert!(case.distance(&found) < TOLERANCE, "{}: {}", case.golden, case.distance(&found));
        // Another weight, another loss on the first view, another view as the first.
        let n = case.labels.len();
        let wrong = [
            case.evaluate(weight + 0.5, Loss::CrossEntropy, |row| row),
            case.evaluate(weight, Loss::Focal { gamma: 1.0 }, |row| row),
            case.evaluate(weight, Loss::CrossEntropy, |row| row / 3 * 3 + (row + 1) % 3),
            case.evaluate(weight, Loss::CrossEntropy, |row| row % 3 * n + row / 3),
        ];
        for (i, wrong) in wrong.iter().enumerate() {
            let off = case.distance(wrong);
            assert!(off > 1000.0 * TOLERANCE, "{}: wrong one {i} is only {off} off", case.golden);
        }
    }
}

#[test]
fn the_gradient_is_the_slope_of_the_definition() {
    const STEP: f64 = 1e-5;
    for case in cases() {
        let (loss, gradient) = case.evaluate(case.number("weight"), Loss::CrossEntropy, |row| row);
        let mut z: Vec<f64> = case.logits.iter().map(|&z| f64::from(z)).collect();
        assert!((loss - case.defined(&z)).abs() < TOLERANCE, "{}", case.golden);
        for i in 0..z.len() {
            let at = z[i];
            z[i] = at + STEP;
            let above = case.defined(&z);
            z[i] = at - STEP;
            let slope = (above - case.defined(&z)) / (2.0 * STEP);
            z[i] = at;
            assert!((f64::from(gradient[i]) - slope).abs() < TOLERANCE, "{} {i}: {slope}", case.golden);
        }
        for view in 0..VIEWS {
            let rows = gradient.chunks(case.k).skip(view).step_by(VIEWS);
            assert!(rows.flatten().any(|g| g.abs() > 0.01), "view {view} has a slope");
        }
    }
}

#[test]
fn equal_views_cost_nothing_and_certain_contradictions_are_finite() {
    let criterion = Criterion::new(Loss::CrossEntropy, 3, 0.0, &[], &[]).unwrap();
    let stride = channel_stride(3);
    let loss = |rows: [[f32; 3]; 3]| {
        let mut logits = vec![0.0; 3 * stride];
        logits.chunks_exact_mut(stride).zip(rows).for_each(|(to, row)| to[..3].copy_from_slice(&row));
        let mut gradient = vec![7.0; logits.len()];
        let loss = criterion.consistency_loss_and_gradient(&[0], 12.0, &logits, &mut gradient);
        assert!(gradient.iter().all(|g| g.is_finite()));
        loss
    };
    let z = [0.3, -0.1, 2.0];
    let plain = f64::from(0.3f32.exp() + (-0.1f32).exp() + 2f32.exp()).ln() - f64::from(0.3f32);
    assert!((loss([z, z, z]) - plain).abs() < 1e-6);
    // Three views that are sure of three classes: the divergence is ln 3, its largest value.
    let sure = loss([[500.0, 0.0, 0.0], [0.0, 500.0, 0.0], [0.0, 0.0, 500.0]]);
    assert!((sure - 12.0 * 3f64.ln()).abs() < 1e-9, "{sure}");
}

const SIDE: usize = 10;
const BATCH: usize = 6;
const STEPS: usize = 6;

/// Five classes: a bright bar in one of five places. The further views of an image have more noise.
struct Bars {
    in_rows: bool,
}

fn batch(name: &str, views: usize) -> Batch {
    let noise = formula::tensor(name, BATCH * views * SIDE * SIDE);
    let mut batch = Batch::default();
    for (row, noise) in noise.chunks(SIDE * SIDE).enumerate() {
        let (image, strength) = (row / views, if row % views == 0 { 0.2 } else { 0.9 });
        let label = (image * 7 + name.len()) % 5;
        let pixels = noise
            .iter()
            .enumerate()
            .map(|(i, x)| strength * x + if i % SIDE == 2 * label { 1.5 } else { 0.0 });
        batch.images.extend(pixels);
        batch.targets.push(&[label as u32]).unwrap();
        batch.indices.push(image);
    }
    batch
}

impl TrainingData for Bars {
    fn steps_per_epoch(&self) -> usize {
        STEPS
    }

    fn epoch(&self, epoch: usize) -> Result<BatchIterator<'_>, TrainError> {
        Ok(Box::new((0..STEPS).map(move |step| {
            let mut batch = batch(&format!("views.{epoch}.{step}"), VIEWS);
            if !self.in_rows {
                batch.indices.rotate_left(1);
            }
            Ok(batch)
        })))
    }

    fn validation(&self) -> Result<BatchIterator<'_>, TrainError> {
        Ok(Box::new((0..2).map(|step| Ok(batch(&format!("validation.{step}"), 1)))))
    }

    fn describe(&self) -> String {
        "bars in three views".into()
    }
}

fn config(epochs: usize) -> TrainConfig {
    TrainConfig {
        epochs,
        batch_size: BATCH,
        lr: 0.05,
        ema_decay: 0.9,
        consistency: 12.0,
        ..TrainConfig::default()
    }
}

fn graph() -> Graph {
    let mut graph = nets::build("PaddedShortcut", [1, SIDE, SIDE]);
    for (id, value, tensor) in graph.clone().params().filter(|(_, _, t)| t.as_f32().is_some()) {
        graph.set_param(id, Tensor::f32(tensor.shape(), formula::state(&value.name, tensor.shape(), 1.0)));
    }
    graph
}

fn train(
    config: &TrainConfig,
    data: &Bars,
    folder: Option<&std::path::Path>,
    stop_after: Option<usize>,
    teacher: Option<&Graph>,
) -> Result<Outcome, TrainError> {
    let stop = AtomicBool::new(false);
    let trainer = Trainer {
        engine: &Cpu::new(Arc::new(Context::new(2).unwrap())),
        config,
        teacher,
        checkpoints: folder.map(std::path::Path::to_path_buf),
        resume: folder.is_some(),
        stop: &stop,
    };
    trainer.run(&graph(), data, &mut |event| {
        if let Event::Epoch { record, .. } = event
            && Some(record.epoch) == stop_after
        {
            stop.store(true, Ordering::Relaxed);
        }
    })
}

fn bits(graph: &Graph) -> Vec<u32> {
    graph.params().filter_map(|(_, _, t)| t.as_f32()).flatten().map(|x| x.to_bits()).collect()
}

const DATA: Bars = Bars { in_rows: true };

#[test]
fn it_learns_and_the_weight_matters() {
    let outcome = train(&config(12), &DATA, None, None, None).unwrap();
    assert!(outcome.value >= 90.0, "five bars are told apart, found {}%", outcome.value);
    let losses: Vec<f64> = outcome.history.iter().map(|r| r.train_loss).collect();
    assert!(losses[11] < 0.7 * losses[0], "{losses:?}");
    let other = TrainConfig { consistency: 1.0, ..config(12) };
    assert_ne!(bits(&train(&other, &DATA, None, None, None).unwrap().graph), bits(&outcome.graph));
}

#[test]
fn a_resumed_run_with_consistency_equals_an_uninterrupted_one_bit_for_bit() {
    let config = config(5);
    let whole = train(&config, &DATA, None, None, None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let stopped = train(&config, &DATA, Some(dir.path()), Some(2), None).unwrap_err();
    assert!(matches!(stopped, TrainError::Stopped { .. }), "{stopped}");
    let resumed = train(&config, &DATA, Some(dir.path()), None, None).unwrap();
    assert_eq!(bits(&whole.graph), bits(&resumed.graph));
    let curve = |o: &Outcome| o.history.iter().map(|r| (r.train_loss, r.val_loss)).collect::<Vec<_>>();
    assert_eq!(curve(&whole), curve(&resumed));
    // The twin: with another weight it is another run, and resuming says so.
    let other = TrainConfig { consistency: 11.0, ..config };
    let text = train(&other, &DATA, Some(dir.path()), None, None).unwrap_err().to_string();
    assert!(text.contains("other settings"), "{text}");
}

#[test]
fn views_that_do_not_belong_together_and_a_teacher_are_refused() {
    let text = train(&config(1), &Bars { in_rows: false }, None, None, None).unwrap_err().to_string();
    assert!(text.starts_with("consistency must be") && text.contains("three views"), "{text}");
    let text = train(&config(1), &DATA, None, None, Some(&graph())).unwrap_err().to_string();
    assert!(text.starts_with("consistency must be") && text.contains("teacher"), "{text}");
}
