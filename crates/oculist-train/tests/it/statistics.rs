//! Batch-norm statistics measured anew, against f64 and in runs of few updates.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use oculist_data::Batch;
use oculist_graph::{Conv, Dropout, Flatten, Graph, GraphBuilder, Op, Tensor, Unary};
use oculist_kernels::Context;
use oculist_metrics::Metric;
use oculist_testing::interpret::{self, Array};
use oculist_testing::{formula, reference::Noise};
use oculist_train::{
    BatchIterator, Cpu, Event, Executor, Mode, Optimizer, OptimizerConfig, TrainConfig, TrainError, Trainer,
    TrainingData, loss_and_gradient,
};

const BATCH: usize = 8;
const SIDE: usize = 6;

/// Three classes, told apart by a stripe, on images whose mean is far from zero.
fn batch(seed: u64) -> Batch {
    let mut images: Vec<f32> =
        Noise::new(seed).vector(BATCH * SIDE * SIDE).iter().map(|v| 0.5 * v + 3.0).collect();
    let labels: Vec<u32> = (0..BATCH as u32).map(|i| (i + seed as u32) % 3).collect();
    for (i, &label) in labels.iter().enumerate() {
        for x in 0..SIDE {
            images[(i * SIDE + 2 * label as usize) * SIDE + x] += 1.5;
        }
    }
    Batch { images, targets: labels.into(), indices: (0..BATCH).collect() }
}

/// A network whose statistics remember a hundred updates, as those of the MobileNets.
fn network() -> Graph {
    let mut b = GraphBuilder::new("net");
    let mut x = b.input("image", 1, SIDE, SIDE);
    for name in ["one", "two"] {
        x = b.conv(&format!("{name}.conv"), x, 6, Conv::square(3, 1, 1), false);
        x = b.batch_norm(&format!("{name}.norm"), x, 1e-3, 0.99);
        x = b.op(&format!("{name}.swish"), Op::Unary(Unary::HardSwish), &[x]);
    }
    let x = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[x]);
    let x = b.op("dropout", Op::Dropout(Dropout { ratio: 0.3 }), &[x]);
    let x = b.linear("fc", x, 3);
    let mut graph = b.finish(x).unwrap();
    for (id, value, tensor) in graph.clone().params() {
        if value.name.contains("running") {
            continue;
        }
        graph.set_param(id, Tensor::f32(tensor.shape(), formula::state(&value.name, tensor.shape(), 1.0)));
    }
    graph
}

fn statistics(graph: &Graph, name: &str) -> Vec<f32> {
    graph.param(graph.find(name).unwrap()).unwrap().as_f32().unwrap().to_vec()
}

/// Mean and unbiased variance of the six channels in front of the first normalisation, over all batches.
fn in_front_of_the_first(graph: &Graph, batches: &[Batch]) -> (Vec<f64>, Vec<f64>) {
    let mut values = vec![Vec::new(); 6];
    for batch in batches {
        let x = Array::from_f32(&[BATCH, 1, SIDE, SIDE], &batch.images);
        let run = interpret::run(graph, &[x]);
        let y = run.get(graph.find("one.conv.out").unwrap()).data();
        for (i, &v) in y.iter().enumerate() {
            values[i / (SIDE * SIDE) % 6].push(v);
        }
    }
    let mean = |v: &Vec<f64>| v.iter().sum::<f64>() / v.len() as f64;
    let variance = |v: &Vec<f64>| {
        let m = mean(v);
        v.iter().map(|x| (x - m).powi(2)).sum::<f64>() / (v.len() - 1) as f64
    };
    (values.iter().map(mean).collect(), values.iter().map(variance).collect())
}

fn distance(got: &[f32], want: &[f64]) -> f64 {
    got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).abs()).fold(0.0, f64::max)
}

#[test]
fn measured_statistics_are_those_of_all_pixels() {
    let mut graph = network();
    let batches: Vec<Batch> = (0..3).map(batch).collect();
    let (mean, variance) = in_front_of_the_first(&graph, &batches);
    let mut executor = Executor::new(Arc::new(Context::new(2).unwrap()), &graph, BATCH, Mode::Eval).unwrap();
    assert!((executor.statistics_window().unwrap() - 100.0).abs() < 1e-3);
    let images = executor.estimate_statistics(batches.iter().cloned().map(Ok::<_, TrainError>)).unwrap();
    assert_eq!(images, 3 * BATCH);
    executor.store(&mut graph);
    assert!(distance(&statistics(&graph, "one.norm.running_mean"), &mean) < 1e-5);
    assert!(distance(&statistics(&graph, "one.norm.running_var"), &variance) < 1e-5);
    // A pass as in training, in contrast, moves them by a hundredth, and statistics of one batch are others.
    executor.forward_train(&batches[0].images, 0);
    executor.store(&mut graph);
    assert!(distance(&statistics(&graph, "one.norm.running_mean"), &mean) > 1e-5);
    executor.estimate_statistics(batches.iter().take(1).cloned().map(Ok::<_, TrainError>)).unwrap();
    executor.store(&mut graph);
    assert!(distance(&statistics(&graph, "one.norm.running_mean"), &mean) > 1e-3);
}

#[test]
fn a_batch_that_cannot_be_read_leaves_them_as_they_were() {
    let graph = network();
    let mut executor = Executor::new(Arc::new(Context::new(1).unwrap()), &graph, BATCH, Mode::Train).unwrap();
    let failed = executor.estimate_statistics([Ok(batch(0)), Err("gone")].into_iter());
    assert_eq!(failed, Err("gone"));
    let nothing = Batch::default();
    assert_eq!(executor.estimate_statistics([Ok::<_, &str>(nothing)].into_iter()), Ok(0));
    let mut after = graph.clone();
    executor.store(&mut after);
    assert_eq!(after, graph);
    // And the next step is an ordinary one.
    executor.forward_train(&batch(0).images, 0);
    executor.store(&mut after);
    assert_ne!(statistics(&after, "one.norm.running_mean"), statistics(&graph, "one.norm.running_mean"));
}

const STEPS: usize = 5;

struct Stripes;

impl TrainingData for Stripes {
    fn steps_per_epoch(&self) -> usize {
        STEPS
    }

    fn epoch(&self, epoch: usize) -> Result<BatchIterator<'_>, TrainError> {
        Ok(Box::new((0..STEPS).map(move |step| Ok(batch((100 * epoch + step) as u64)))))
    }

    fn validation(&self) -> Result<BatchIterator<'_>, TrainError> {
        Ok(Box::new((0..4).map(|step| Ok(batch(90_000 + step)))))
    }

    fn describe(&self) -> String {
        "stripes".into()
    }
}

fn top1(executor: &mut Executor) -> f64 {
    let stride = executor.logits_stride();
    let (mut right, mut count) = (0, 0);
    for batch in Stripes.validation().unwrap().map(Result::unwrap) {
        let logits = executor.forward_eval(&batch.images);
        for (row, label) in logits.chunks_exact(stride).zip(batch.labels()) {
            let best = (1..3).fold(0, |best, c| if row[c] > row[best] { c } else { best });
            right += usize::from(best == *label as usize);
            count += 1;
        }
    }
    100.0 * f64::from(right as u32) / f64::from(count)
}

fn config(ema_decay: f32) -> TrainConfig {
    TrainConfig {
        epochs: 8,
        batch_size: BATCH,
        lr: 0.05,
        warmup_epochs: 0.0,
        ema_decay,
        label_smoothing: 0.0,
        ..TrainConfig::default()
    }
}

#[test]
fn few_updates_are_validated_and_kept_with_the_statistics_of_their_weights() {
    // The same updates without measuring: the loss falls, and running statistics that lag make guesses of it.
    let ctx = Arc::new(Context::new(1).unwrap());
    let mut executor = Executor::new(ctx.clone(), &network(), BATCH, Mode::Train).unwrap();
    let mut optimizer = Optimizer::new(OptimizerConfig::sgd(), executor.params().len());
    let mut gradient = vec![0.0; executor.logits().len()];
    for epoch in 0..8 {
        for batch in Stripes.epoch(epoch).unwrap().map(Result::unwrap) {
            executor.forward_train(&batch.images, epoch as u64);
            loss_and_gradient(3, batch.labels(), 0.0, None, executor.logits(), &mut gradient);
            executor.backward(&gradient);
            executor.update(&mut optimizer, 1.0, 0.05, 5e-4);
        }
    }
    let lagging = top1(&mut executor);
    executor.estimate_statistics(Stripes.epoch(7).unwrap()).unwrap();
    let measured = top1(&mut executor);
    assert!(lagging < 60.0 && measured > 90.0, "{lagging}% with running statistics, {measured}% measured");

    for decay in [0.0, 0.9] {
        let config = config(decay);
        let mut told = None;
        let trainer = Trainer {
            engine: &Cpu::new(ctx.clone()),
            config: &config,
            teacher: None,
            checkpoints: None,
            resume: false,
            stop: &AtomicBool::new(false),
        };
        let outcome = trainer
            .run(&network(), &Stripes, &mut |event| {
                if let Event::Statistics { images, updates } = event {
                    told = Some((images, updates));
                }
            })
            .unwrap();
        assert_eq!(told, Some((STEPS * BATCH, STEPS)), "what is done is said");
        let last = outcome.history.last().unwrap();
        assert!(last.val.get(Metric::Top1).unwrap() > 90.0, "decay {decay}: {:?}", outcome.history);
        // What comes out is what was validated.
        let mut kept = Executor::new(ctx.clone(), &outcome.graph, BATCH, Mode::Eval).unwrap();
        assert!((top1(&mut kept) - outcome.value).abs() < 1e-9);
    }
}
