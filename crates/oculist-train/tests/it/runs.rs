//! Whole training runs: learning, resuming bit for bit, stopping, refusals.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oculist_data::Batch;
use oculist_graph::{Graph, Tensor};
use oculist_kernels::Context;
use oculist_metrics::Metric;
use oculist_testing::formula;
use oculist_train::{
    BatchIterator, Cpu, Engine, EpochRecord, Event, Keep, Loss, OptimizerConfig, Outcome, TrainConfig,
    TrainError, Trainer, TrainingData, balanced_weights, class_priors,
};

use super::nets;

pub(super) const SIDE: usize = 10;
pub(super) const BATCH: usize = 8;
const STEPS: usize = 6;

/// Five classes: a bright bar in one of five places, over noise that depends on epoch and step.
pub(super) struct Bars;

pub(super) fn batch(name: &str) -> Batch {
    let noise = formula::tensor(name, BATCH * SIDE * SIDE);
    let mut images = noise.iter().map(|x| 0.3 * x).collect::<Vec<_>>();
    let labels: Vec<u32> = (0..BATCH as u32).map(|i| (i * 7 + name.len() as u32) % 5).collect();
    for (i, &label) in labels.iter().enumerate() {
        for row in 0..SIDE {
            images[(i * SIDE + row) * SIDE + 2 * label as usize] += 1.5;
        }
    }
    Batch { images, targets: labels.into(), indices: (0..BATCH).collect() }
}

impl TrainingData for Bars {
    fn steps_per_epoch(&self) -> usize {
        STEPS
    }

    fn epoch(&self, epoch: usize) -> Result<BatchIterator<'_>, TrainError> {
        Ok(Box::new((0..STEPS).map(move |step| Ok(batch(&format!("train.{epoch}.{step}"))))))
    }

    fn validation(&self) -> Result<BatchIterator<'_>, TrainError> {
        Ok(Box::new((0..2).map(|step| Ok(batch(&format!("validation.{step}"))))))
    }

    fn describe(&self) -> String {
        "bars".into()
    }
}

fn top1(record: &EpochRecord) -> f64 {
    record.val.get(Metric::Top1).unwrap()
}

pub(super) fn graph() -> Graph {
    let mut graph = nets::build("PaddedShortcut", [1, SIDE, SIDE]);
    // Paddings are integers and no weights.
    for (id, value, tensor) in graph.clone().params().filter(|(_, _, t)| t.as_f32().is_some()) {
        graph.set_param(id, Tensor::f32(tensor.shape(), formula::state(&value.name, tensor.shape(), 1.0)));
    }
    graph
}

pub(super) fn config(epochs: usize) -> TrainConfig {
    TrainConfig {
        epochs,
        batch_size: BATCH,
        lr: 0.05,
        warmup_epochs: 1.0,
        ema_decay: 0.9,
        ..TrainConfig::default()
    }
}

/// Runs training; `stop_after` raises the stop flag at the end of that epoch, as Ctrl-C would.
pub(super) fn train(
    config: &TrainConfig,
    folder: Option<&Path>,
    resume: bool,
    threads: usize,
    stop_after: Option<usize>,
) -> Result<Outcome, TrainError> {
    let cpu = Cpu::new(Arc::new(Context::new(threads).unwrap()));
    train_on(&cpu, &graph(), config, folder, resume, stop_after)
}

/// The same of any network on any engine.
pub(super) fn train_on(
    engine: &dyn Engine,
    graph: &Graph,
    config: &TrainConfig,
    folder: Option<&Path>,
    resume: bool,
    stop_after: Option<usize>,
) -> Result<Outcome, TrainError> {
    let stop = AtomicBool::new(false);
    let trainer = Trainer {
        engine,
        config,
        teacher: None,
        checkpoints: folder.map(Path::to_path_buf),
        resume,
        stop: &stop,
    };
    trainer.run(graph, &Bars, &mut |event| {
        if let Event::Epoch { record, .. } = event
            && Some(record.epoch) == stop_after
        {
            stop.store(true, Ordering::Relaxed);
        }
    })
}

pub(super) fn bits(graph: &Graph) -> Vec<u32> {
    graph.params().filter_map(|(_, _, t)| t.as_f32()).flatten().map(|x| x.to_bits()).collect()
}

#[test]
fn it_learns() {
    let outcome = train(&config(8), None, false, 2, None).unwrap();
    assert!(outcome.value >= 90.0, "five bars are told apart, found {}%", outcome.value);
    let losses: Vec<f64> = outcome.history.iter().map(|r| r.train_loss).collect();
    assert!(losses[7] < 0.7 * losses[0], "{losses:?}");
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one_bit_for_bit() {
    for optimizer in [OptimizerConfig::sgd(), OptimizerConfig::adamw()] {
        let config = TrainConfig { optimizer, lr: 0.02, ..config(5) };
        let whole = train(&config, None, false, 2, None).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let stopped = train(&config, Some(dir.path()), false, 2, Some(2)).unwrap_err();
        assert!(matches!(stopped, TrainError::Stopped { .. }), "{stopped}");
        let resumed = train(&config, Some(dir.path()), true, 2, None).unwrap();
        assert_eq!(bits(&whole.graph), bits(&resumed.graph));
        let curve = |o: &Outcome| o.history.iter().map(|r| (r.train_loss, r.val_loss)).collect::<Vec<_>>();
        assert_eq!(curve(&whole), curve(&resumed));
        // The twin: another seed of dropout does not matter here, another learning rate does.
        let other = TrainConfig { lr: 0.021, ..config.clone() };
        assert_ne!(bits(&train(&other, None, false, 2, None).unwrap().graph), bits(&whole.graph));
    }
}

#[test]
fn a_finished_run_resumes_to_its_result_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(2);
    let whole = train(&config, Some(dir.path()), false, 1, None).unwrap();
    let again = train(&config, Some(dir.path()), true, 1, None).unwrap();
    assert_eq!(bits(&whole.graph), bits(&again.graph));
}

#[test]
fn other_settings_or_threads_are_not_mixed_into_a_run() {
    let dir = tempfile::tempdir().unwrap();
    train(&config(2), Some(dir.path()), false, 1, None).unwrap();
    let text = train(&config(3), Some(dir.path()), true, 1, None).unwrap_err().to_string();
    assert!(text.contains("last.safetensors") && text.contains("other settings"), "{text}");
    let text = train(&config(2), Some(dir.path()), true, 2, None).unwrap_err().to_string();
    assert!(text.contains("threads"), "{text}");
}

#[test]
fn a_loss_that_is_no_number_stops_and_keeps_the_last_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let config = TrainConfig { lr: 1e20, warmup_epochs: 0.0, clip_norm: 0.0, ..config(3) };
    let text = train(&config, Some(dir.path()), false, 1, None).unwrap_err().to_string();
    assert!(text.contains("lower the learning rate"), "{text}");
    assert!(!dir.path().join("last.safetensors").exists() || text.contains("last.safetensors"), "{text}");
}

#[test]
fn early_stopping_keeps_the_best_epoch() {
    let mut stopped_at = None;
    let stop = AtomicBool::new(false);
    // With no learning to speak of, the first epoch stays the best.
    let config = TrainConfig { lr: 1e-12, patience: 2, ema_decay: 0.0, ..config(50) };
    let trainer = Trainer {
        engine: &Cpu::new(Arc::new(Context::new(1).unwrap())),
        config: &config,
        teacher: None,
        checkpoints: None,
        resume: false,
        stop: &stop,
    };
    let outcome = trainer
        .run(&graph(), &Bars, &mut |event| {
            if let Event::EarlyStop { best_epoch } = event {
                stopped_at = Some(best_epoch);
            }
        })
        .unwrap();
    let best = outcome.history.iter().map(top1).fold(0.0, f64::max);
    assert_eq!(outcome.value, best);
    if let Some(best_epoch) = stopped_at {
        assert_eq!(outcome.history.len(), best_epoch + 2, "two epochs of patience");
    } else {
        assert_eq!(outcome.history.len(), 50);
    }
}

/// The weights and statistics of the moving average in a checkpoint, by name.
fn averaged(file: &Path) -> BTreeMap<String, Vec<u32>> {
    let bytes = std::fs::read(file).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let part = |prefix| {
        tensors.iter().filter_map(move |(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor)))
    };
    let words =
        |bytes: &[u8]| bytes.chunks_exact(4).map(|w| u32::from_le_bytes(w.try_into().unwrap())).collect();
    part("ema.").chain(part("ema_stats.")).map(|(name, tensor)| (name, words(tensor.data()))).collect()
}

/// The same of a graph.
fn held(graph: &Graph) -> BTreeMap<String, Vec<u32>> {
    let bits = |t: &Tensor| t.as_f32().map(|v| v.iter().map(|x| x.to_bits()).collect());
    graph.params().filter_map(|(_, value, tensor)| Some((value.name.clone(), bits(tensor)?))).collect()
}

#[test]
fn the_last_weights_are_those_of_the_last_epoch_and_the_best_are_not() {
    // Constant steps that are far too large: with the statistics of the weights smaller ones lead up steadily.
    let config = TrainConfig { lr: 3.0, min_lr: 3.0, ..config(4) };
    for keep in [Keep::Last, Keep::Best] {
        let config = TrainConfig { keep, ..config.clone() };
        let dir = tempfile::tempdir().unwrap();
        let outcome = train(&config, Some(dir.path()), false, 1, None).unwrap();
        let top1: Vec<f64> = outcome.history.iter().map(top1).collect();
        let best = top1.iter().copied().fold(0.0, f64::max);
        assert!(top1[3] < best, "the last epoch must not be the best, else this shows nothing: {top1:?}");
        assert_eq!(outcome.value, if keep == Keep::Last { top1[3] } else { best });
        let same = held(&outcome.graph) == averaged(&dir.path().join("last.safetensors"));
        assert_eq!(same, keep == Keep::Last);
        // Cut off in the middle and continued, the same comes out.
        let again = tempfile::tempdir().unwrap();
        assert!(train(&config, Some(again.path()), false, 1, Some(2)).is_err());
        let resumed = train(&config, Some(again.path()), true, 1, None).unwrap();
        assert_eq!((held(&resumed.graph), resumed.value), (held(&outcome.graph), outcome.value));
    }
}

/// Settings that go through every new path: mixed batches, other losses, weights of classes.
fn mixing() -> Vec<TrainConfig> {
    let counts = [9, 10, 10, 10, 9];
    let base =
        TrainConfig { mixup_alpha: 0.4, cutmix_alpha: 1.0, mix_probability: 0.7, lr: 0.02, ..config(5) };
    vec![
        TrainConfig { class_weights: balanced_weights(&counts), ..base.clone() },
        TrainConfig { loss: Loss::Focal { gamma: 1.0 }, cutmix_alpha: 0.0, ..base.clone() },
        TrainConfig {
            loss: Loss::LogitAdjusted { tau: 1.0 },
            class_priors: class_priors(&counts),
            mixup_alpha: 0.0,
            ..base
        },
    ]
}

#[test]
fn mixed_batches_and_other_losses_resume_bit_for_bit() {
    for config in mixing() {
        let whole = train(&config, None, false, 2, None).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let stopped = train(&config, Some(dir.path()), false, 2, Some(2)).unwrap_err();
        assert!(matches!(stopped, TrainError::Stopped { .. }), "{stopped}");
        let resumed = train(&config, Some(dir.path()), true, 2, None).unwrap();
        assert_eq!(bits(&whole.graph), bits(&resumed.graph), "{config:?}");
        let curve = |o: &Outcome| o.history.iter().map(|r| (r.train_loss, r.val_loss)).collect::<Vec<_>>();
        assert_eq!(curve(&whole), curve(&resumed));
        // The twin: other draws give other weights, and so does leaving the mixing out.
        let unmixed = TrainConfig { mixup_alpha: 0.0, cutmix_alpha: 0.0, ..config.clone() };
        for other in [TrainConfig { seed: 1, ..config.clone() }, unmixed] {
            assert_ne!(bits(&train(&other, None, false, 2, None).unwrap().graph), bits(&whole.graph));
        }
    }
}

#[test]
fn it_learns_from_mixed_batches_and_with_other_losses() {
    for config in mixing() {
        let config = TrainConfig { epochs: 12, lr: 0.05, ..config };
        let outcome = train(&config, None, false, 2, None).unwrap();
        assert!(outcome.value >= 90.0, "{}% with {config:?}", outcome.value);
    }
}

#[test]
fn class_weights_that_do_not_fit_the_network_are_refused() {
    let config = TrainConfig { class_weights: vec![1.0; 3], ..config(1) };
    let text = train(&config, None, false, 1, None).unwrap_err().to_string();
    assert!(text.starts_with("class_weights must be") && text.contains("3 numbers"), "{text}");
}
