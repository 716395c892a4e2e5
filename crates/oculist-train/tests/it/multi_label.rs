//! Several labels an image: the loss against PyTorch (`golden/multi_label.json`) and finite differences in f64, and whole
//! runs by any metric.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oculist_data::{Batch, LabelSets, Task};
use oculist_graph::{Graph, Tensor};
use oculist_kernels::{Context, channel_stride};
use oculist_metrics::Metric;
use oculist_testing::{formula, golden};
use oculist_train::{
    BatchIterator, BinaryCriterion, Cpu, Distillation, Event, Outcome, TrainConfig, TrainError, Trainer,
    TrainingData, for_each_gradient,
};
use serde_json::Value;

use super::nets;

struct Case {
    /// Student's and teacher's logits, dense `[n, k]`.
    logits: Vec<f32>,
    teacher: Vec<f32>,
    targets: Vec<f32>,
    weights: Vec<f32>,
    k: usize,
    golden: Value,
}

impl Case {
    fn number(&self, key: &str) -> f32 {
        self.golden[key].as_f64().unwrap() as f32
    }

    fn padded(&self, dense: &[f32]) -> Vec<f32> {
        let stride = channel_stride(self.k);
        let mut padded = vec![0.0; dense.len() / self.k * stride];
        for (row, values) in padded.chunks_mut(stride).zip(dense.chunks(self.k)) {
            row[..self.k].copy_from_slice(values);
        }
        padded
    }

    /// Loss and dense gradient, with the smoothing and the temperature off by so much.
    fn evaluate(&self, smoothing: f32, temperature: f32) -> (f64, Vec<f32>) {
        let smoothing = self.number("label_smoothing") + smoothing;
        let criterion = BinaryCriterion::new(self.k, smoothing, &self.weights).unwrap();
        let (logits, teacher) = (self.padded(&self.logits), self.padded(&self.teacher));
        let distillation = (self.number("alpha") > 0.0).then(|| Distillation {
            logits: &teacher,
            alpha: self.number("alpha"),
            temperature: self.number("temperature") + temperature,
        });
        let mut gradient = vec![7.0; logits.len()];
        let loss = criterion.loss_and_gradient(&self.targets, distillation.as_ref(), &logits, &mut gradient);
        let stride = channel_stride(self.k);
        assert!(gradient.chunks(stride).all(|row| row[self.k..].iter().all(|&x| x == 0.0)), "padding is 0");
        (loss, gradient.chunks(stride).flat_map(|row| row[..self.k].to_vec()).collect())
    }

    fn distance(&self, (loss, gradient): &(f64, Vec<f32>)) -> f64 {
        let off = golden::max_abs_difference(gradient, &golden::floats(&self.golden["gradient"]));
        f64::from(off).max((loss - self.golden["loss"].as_f64().unwrap()).abs())
    }

    /// The whole loss by its definition, for logits in f64.
    fn defined(&self, z: &[f64]) -> f64 {
        let of = |key| f64::from(self.number(key));
        let (smoothing, alpha, temperature) = (of("label_smoothing"), of("alpha"), of("temperature"));
        let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
        let (mut loss, mut divergence) = (0.0, 0.0);
        for (i, z) in z.iter().enumerate() {
            let y = (1.0 - smoothing) * f64::from(self.targets[i]) + smoothing / 2.0;
            let weight = self.weights.get(i % self.k).map_or(1.0, |w| f64::from(*w));
            let p = sigmoid(*z);
            loss -= weight * y * p.ln() + (1.0 - y) * (1.0 - p).ln();
            let (q, p) = (sigmoid(f64::from(self.teacher[i]) / temperature), sigmoid(z / temperature));
            divergence += q * (q / p).ln() + (1.0 - q) * ((1.0 - q) / (1.0 - p)).ln();
        }
        ((1.0 - alpha) * loss + alpha * temperature * temperature * divergence) / z.len() as f64
    }
}

fn cases() -> Vec<Case> {
    let file = golden::load("multi_label.json");
    let [n, k] = golden::shape(&file["shape"])[..] else { panic!("expected [n, k]") };
    let number = |key: &str| file[key].as_f64().unwrap() as f32;
    let scaled = |name: &str, scale: &str| -> Vec<f32> {
        formula::tensor(name, n * k).into_iter().map(|v| number(scale) * v).collect()
    };
    let hot: Vec<f32> = formula::tensor("multi.labels", n * k)
        .into_iter()
        .map(|v| f32::from(u8::from(v > number("label_from"))))
        .collect();
    let of = |golden: &Value| {
        let share = golden["share"].as_f64().unwrap() as f32;
        let mixed = |i: usize| share * hot[i] + (1.0 - share) * hot[(i + k) % (n * k)];
        Case {
            logits: scaled("multi.logits", "logit_scale"),
            teacher: scaled("multi.teacher", "teacher_scale"),
            targets: (0..n * k).map(mixed).collect(),
            weights: if golden["weighted"] == true { golden::floats(&file["weights"]) } else { Vec::new() },
            k,
            golden: golden.clone(),
        }
    };
    file["cases"].as_array().unwrap().iter().map(of).collect()
}

const TOLERANCE: f64 = 2e-7;

#[test]
fn losses_and_gradients_match_pytorch_and_other_losses_do_not() {
    let cases = cases();
    assert!(cases.len() > 5);
    for case in &cases {
        let off = case.distance(&case.evaluate(0.0, 0.0));
        assert!(off < TOLERANCE, "{}: {off}", case.golden);
        let mut wrong = vec![case.evaluate(0.05, 0.0)];
        if case.number("alpha") > 0.0 {
            wrong.push(case.evaluate(0.0, 0.2));
        }
        wrong.push((0.0, vec![0.0; case.logits.len()]));
        // Weights of negatives instead of positives, as far as there are any.
        if !case.weights.is_empty() {
            let turned = Case {
                weights: case.weights.iter().map(|w| 1.0 / w).collect(),
                logits: case.logits.clone(),
                teacher: case.teacher.clone(),
                targets: case.targets.clone(),
                golden: case.golden.clone(),
                k: case.k,
            };
            wrong.push(turned.evaluate(0.0, 0.0));
        }
        for wrong in &wrong {
            assert!(case.distance(wrong) > 1000.0 * TOLERANCE, "{}: {}", case.golden, case.distance(wrong));
        }
    }
}

#[test]
fn gradients_are_the_slopes_of_the_definition() {
    const STEP: f64 = 1e-5;
    for case in cases() {
        let (loss, gradient) = case.evaluate(0.0, 0.0);
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
        assert!(gradient.iter().any(|g| g.abs() > 0.003));
    }
}

const SIDE: usize = 10;
const BATCH: usize = 8;
const STEPS: usize = 8;
const CLASSES: usize = 5;

/// Five bars, of which an image has any number, over noise.
struct Bars {
    /// Whether the validation images have any labels.
    labelled: bool,
    /// The task that the data say.
    task: Task,
}

const BARS: Bars = Bars { labelled: true, task: Task::MultiLabel };

fn batch(name: &str, labelled: bool) -> Batch {
    let noise = formula::tensor(name, BATCH * SIDE * SIDE);
    let mut images = noise.iter().map(|x| 0.3 * x).collect::<Vec<_>>();
    let drawn = formula::tensor(&format!("{name}.labels"), BATCH * CLASSES);
    let mut sets = LabelSets::new(CLASSES);
    for i in 0..BATCH {
        let has = |c: &u32| labelled && drawn[i * CLASSES + *c as usize] > 0.2;
        let labels: Vec<u32> = (0..CLASSES as u32).filter(has).collect();
        for label in &labels {
            for row in 0..SIDE {
                images[(i * SIDE + row) * SIDE + 2 * *label as usize] += 1.5;
            }
        }
        sets.push(&labels).unwrap();
    }
    Batch { images, targets: sets.into(), indices: (0..BATCH).collect() }
}

impl TrainingData for Bars {
    fn steps_per_epoch(&self) -> usize {
        STEPS
    }

    fn epoch(&self, epoch: usize) -> Result<BatchIterator<'_>, TrainError> {
        Ok(Box::new((0..STEPS).map(move |step| Ok(batch(&format!("several.{epoch}.{step}"), true)))))
    }

    fn validation(&self) -> Result<BatchIterator<'_>, TrainError> {
        let labelled = self.labelled;
        Ok(Box::new((0..4).map(move |step| Ok(batch(&format!("several.validation.{step}"), labelled)))))
    }

    fn describe(&self) -> String {
        "several bars".into()
    }

    fn task(&self) -> Task {
        self.task
    }
}

fn graph() -> Graph {
    let mut graph = nets::build("PaddedShortcut", [1, SIDE, SIDE]);
    for (id, value, tensor) in graph.clone().params().filter(|(_, _, t)| t.as_f32().is_some()) {
        graph.set_param(id, Tensor::f32(tensor.shape(), formula::state(&value.name, tensor.shape(), 1.0)));
    }
    graph
}

fn config(epochs: usize) -> TrainConfig {
    TrainConfig {
        epochs,
        batch_size: BATCH,
        lr: 0.2,
        label_smoothing: 0.0,
        ema_decay: 0.8,
        ..TrainConfig::default()
    }
}

fn train(
    config: &TrainConfig,
    data: &Bars,
    folder: Option<&Path>,
    resume: bool,
    stop_after: Option<usize>,
) -> Result<Outcome, TrainError> {
    let (stop, graph) = (AtomicBool::new(false), graph());
    let teacher = (config.distill_alpha == 0.25).then_some(&graph);
    let trainer = Trainer {
        engine: &Cpu::new(Arc::new(Context::new(2).unwrap())),
        config,
        teacher,
        checkpoints: folder.map(Path::to_path_buf),
        resume,
        stop: &stop,
    };
    trainer.run(&graph, data, &mut |event| {
        if let Event::Epoch { record, metric, .. } = event {
            assert!(record.val.get(metric).is_some());
            stop.store(Some(record.epoch) == stop_after, Ordering::Relaxed);
        }
    })
}

fn bits(graph: &Graph) -> Vec<u32> {
    let of = |t: &Tensor| t.as_f32().map(|v| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
    graph.params().filter_map(|(_, _, tensor)| of(tensor)).flatten().collect()
}

#[test]
fn it_learns_which_labels_an_image_has() {
    let outcome = train(&config(14), &BARS, None, false, None).unwrap();
    assert_eq!(outcome.metric, Metric::Map);
    assert!(outcome.value > 95.0, "mean average precision {}: {:?}", outcome.value, outcome.history);
    let best = outcome.history.iter().map(|r| r.val.get(Metric::Map).unwrap()).fold(0.0, f64::max);
    assert_eq!(outcome.value, best);
    let last = outcome.history.last().unwrap();
    assert!((last.val.get(Metric::LogLoss).unwrap() - last.val_loss).abs() < 1e-9);
    // The twin: without learning, the mean average precision is about the share of positives.
    let untrained = train(&TrainConfig { lr: 1e-9, ..config(1) }, &BARS, None, false, None).unwrap();
    assert!(untrained.value < 75.0, "{}", untrained.value);
}

#[test]
fn mixed_weighted_and_distilled_runs_resume_bit_for_bit() {
    let mixed = TrainConfig { mixup_alpha: 0.4, cutmix_alpha: 1.0, mosaic_probability: 0.2, ..config(4) };
    let configs = [
        TrainConfig { class_weights: vec![1.0, 2.0, 0.5, 1.5, 3.0], ..mixed.clone() },
        TrainConfig { distill_alpha: 0.25, label_smoothing: 0.1, ..config(4) },
        TrainConfig { metric: Some(Metric::LogLoss), ..mixed.clone() },
    ];
    for config in configs {
        let whole = train(&config, &BARS, None, false, None).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let stopped = train(&config, &BARS, Some(dir.path()), false, Some(2)).unwrap_err();
        assert!(matches!(stopped, TrainError::Stopped { .. }), "{stopped}");
        let resumed = train(&config, &BARS, Some(dir.path()), true, None).unwrap();
        assert_eq!((bits(&whole.graph), whole.value), (bits(&resumed.graph), resumed.value), "{config:?}");
        let again = TrainConfig { seed: 1, ..config.clone() };
        let other = train(&again, &BARS, None, false, None).unwrap();
        assert_eq!(bits(&other.graph) == bits(&whole.graph), config.mixup_alpha == 0.0);
    }
}

#[test]
fn the_metric_decides_whichever_direction_is_better() {
    for metric in Metric::MULTI_LABEL {
        let config = TrainConfig { metric: Some(metric), lr: 1.5, min_lr: 1.5, ..config(5) };
        let outcome = train(&config, &BARS, None, false, None).unwrap();
        let values: Vec<f64> = outcome.history.iter().map(|r| r.val.get(metric).unwrap()).collect();
        assert_eq!(outcome.metric, metric);
        assert!(values.iter().all(|&value| !metric.is_better(value, outcome.value)), "{metric}: {values:?}");
        assert!(values.contains(&outcome.value));
    }
}

#[test]
fn what_cannot_be_measured_or_is_another_task_is_refused() {
    let text =
        train(&config(1), &Bars { labelled: false, ..BARS }, None, false, None).unwrap_err().to_string();
    assert!(text.starts_with("map cannot be computed of the validation images"), "{text}");
    // What can be measured of images without labels decides.
    let hamming = TrainConfig { metric: Some(Metric::Hamming), ..config(1) };
    assert!(train(&hamming, &Bars { labelled: false, ..BARS }, None, false, None).is_ok());
    let single = Bars { task: Task::SingleLabel, ..BARS };
    let text = train(&config(1), &single, None, false, None).unwrap_err().to_string();
    assert!(text.contains("targets of a batch") && text.contains("multi-label for single-label"), "{text}");
    let top1 = TrainConfig { metric: Some(Metric::Top1), ..config(1) };
    let text = train(&top1, &BARS, None, false, None).unwrap_err().to_string();
    assert!(text.starts_with("metric must be") && text.contains("map, macro_f1"), "{text}");
}

#[test]
fn importances_are_estimated_by_the_loss_of_the_task() {
    let engine = Cpu::new(Arc::new(Context::new(1).unwrap()));
    let mut sums = Vec::new();
    for_each_gradient(&engine, &graph(), BATCH, &BARS, 2, |gradients| {
        sums.push(gradients.values().filter_map(Tensor::as_f32).flatten().map(|g| g.abs()).sum::<f32>());
        Ok::<(), TrainError>(())
    })
    .unwrap();
    assert!(sums.len() == 2 && sums.iter().all(|sum| *sum > 0.01), "{sums:?}");
    let single = Bars { task: Task::SingleLabel, ..BARS };
    let refused = for_each_gradient(&engine, &graph(), BATCH, &single, 1, |_| Ok::<(), TrainError>(()));
    assert!(refused.is_err());
}
