//! The seam for devices: other engines train through the same loop, and states pass from one to the other.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use oculist_graph::{Conv, Flatten, Graph, GraphBuilder, Op, Tensor};
use oculist_kernels::Context;
use oculist_testing::formula;
use oculist_train::{
    Answers, Cpu, Engine, Learner, OptimizerConfig, Setup, State, Tensors, TrainConfig, TrainError, Update,
    plain_objective,
};

use super::engines::{Converting, Naive};
use super::runs::{self, BATCH, SIDE, bits, config, train_on};

fn cpu() -> Cpu {
    Cpu::new(Arc::new(Context::new(1).unwrap()))
}

/// A convolution, a fully connected layer, and no statistics.
fn small() -> Graph {
    let mut b = GraphBuilder::new("small");
    let x = b.input("image", 1, SIDE, SIDE);
    let x = b.conv("conv", x, 3, Conv::square(5, 5, 0), true);
    let x = b.relu("relu", x);
    let x = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[x]);
    let x = b.linear("fc", x, 5);
    let mut graph = b.finish(x).unwrap();
    for (id, value, tensor) in graph.clone().params() {
        graph.set_param(id, Tensor::f32(tensor.shape(), formula::state(&value.name, tensor.shape(), 1.0)));
    }
    graph
}

fn plain_sgd() -> TrainConfig {
    let optimizer = OptimizerConfig::Sgd { momentum: 0.9, nesterov: false };
    TrainConfig { optimizer, clip_norm: 0.5, ..config(2) }
}

/// The tensors of a checkpoint.
fn tensors(folder: &Path, name: &str) -> BTreeMap<String, (Vec<usize>, Vec<u8>)> {
    let bytes = std::fs::read(folder.join(name)).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let one = |(name, t): (String, safetensors::tensor::TensorView<'_>)| {
        (name, (t.shape().to_vec(), t.data().to_vec()))
    };
    tensors.tensors().into_iter().map(one).collect()
}

/// One update on a batch of this name; returns the loss.
fn step(learner: &mut dyn Learner, name: &str) -> f64 {
    let batch = runs::batch(name);
    let objective = plain_objective(batch.targets.task(), learner.classes());
    let mut loss = |answers: Answers<'_>, gradient: &mut [f32]| {
        assert_eq!((answers.logits.len(), gradient.len()), (BATCH * 5, BATCH * 5), "dense rows");
        objective.loss_and_gradient(&batch.targets, None, None, answers.logits, gradient)
    };
    learner.step(&batch.images, Update { lr: 0.05, seed: name.len() as u64, epoch: 0 }, &mut loss).unwrap()
}

fn learner(engine: &dyn Engine, graph: &Graph, config: &TrainConfig) -> Box<dyn Learner> {
    engine.load(graph, &Setup::of(config, None)).unwrap()
}

/// Largest difference of two sets of tensors.
fn distance(a: &Tensors, b: &Tensors) -> f32 {
    assert!(a.keys().eq(b.keys()));
    let pairs = a.iter().flat_map(|(name, t)| t.as_f32().unwrap().iter().zip(b[name].as_f32().unwrap()));
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn an_engine_that_keeps_only_the_graphs_layout_trains_to_the_same_bits_and_files() {
    for optimizer in [OptimizerConfig::sgd(), OptimizerConfig::adamw()] {
        let config = TrainConfig { optimizer, lr: 0.02, ..config(3) };
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let converting = Converting::new(&cpu());
        let engines: [&dyn Engine; 2] = [&cpu(), &converting];
        let [own, converted] = [0, 1].map(|i| {
            train_on(engines[i], &runs::graph(), &config, Some(folders[i].path()), false, None).unwrap()
        });
        assert_eq!(bits(&own.graph), bits(&converted.graph));
        for name in ["last.safetensors", "best.safetensors"] {
            let [own, converted] = [0, 1].map(|i| tensors(folders[i].path(), name));
            assert_eq!(own, converted, "{name}");
        }
        // Each step, each validated batch and each measurement was a learner of its own.
        assert!(converting.loads() >= 3 * (6 + 2 + 1), "{}", converting.loads());
    }
}

#[test]
fn a_checkpoint_of_one_engine_is_gone_on_with_by_another_of_the_same_bits_and_no_other() {
    let (config, graph, cpu) = (config(4), runs::graph(), cpu());
    let whole = train_on(&cpu, &graph, &config, None, false, None).unwrap();
    let converting = Converting::new(&cpu);
    let engines: [&dyn Engine; 2] = [&cpu, &converting];
    for [first, second] in [engines, [engines[1], engines[0]]] {
        let dir = tempfile::tempdir().unwrap();
        assert!(train_on(first, &graph, &config, Some(dir.path()), false, Some(2)).is_err(), "stopped");
        let other = Converting::new(&cpu).named("another device");
        let refused = train_on(&other, &graph, &config, Some(dir.path()), true, None);
        assert!(matches!(refused, Err(TrainError::OtherRun { .. })), "{refused:?}");
        let resumed = train_on(second, &graph, &config, Some(dir.path()), true, None).unwrap();
        assert_eq!(bits(&resumed.graph), bits(&whole.graph));
    }
}

#[test]
fn a_state_taken_in_the_middle_and_given_back_goes_on_to_the_same_bits() {
    let config = TrainConfig { optimizer: OptimizerConfig::adamw(), ..config(1) };
    let graph = runs::graph();
    let mut whole = learner(&cpu(), &graph, &config);
    for i in 0..3 {
        step(&mut *whole, &format!("before.{i}"));
    }
    let middle = whole.state().unwrap();
    let after = |learner: &mut dyn Learner| {
        for i in 0..3 {
            step(learner, &format!("after.{i}"));
        }
        learner.state().unwrap()
    };
    let want = after(&mut *whole);
    let from = |state: &State| {
        let mut learner = learner(&cpu(), &graph, &config);
        learner.set_state(state).unwrap();
        assert_eq!(learner.state().unwrap(), *state, "what was given is what is taken");
        after(&mut *learner)
    };
    assert_eq!(from(&middle), want);
    // The twins: each part of the state matters.
    let start = learner(&cpu(), &graph, &config).state().unwrap();
    let forgotten: [State; 6] = [
        State { weights: start.weights.clone(), ..middle.clone() },
        State { stats: start.stats.clone(), ..middle.clone() },
        State { first: start.first.clone(), ..middle.clone() },
        State { second: start.second.clone(), ..middle.clone() },
        State { averaged: start.averaged.clone(), ..middle.clone() },
        State { updates: 0, averaged_updates: 0, ..middle.clone() },
    ];
    for (i, state) in forgotten.iter().enumerate() {
        assert_ne!(from(state), want, "part {i}");
    }
}

#[test]
fn a_state_that_does_not_fit_is_refused_by_name_and_nothing_of_it_is_taken() {
    let graph = runs::graph();
    let mut learner = learner(&cpu(), &graph, &config(1));
    step(&mut *learner, "first");
    let good = learner.state().unwrap();
    let edit = |change: &dyn Fn(&mut State)| {
        let mut state = good.clone();
        change(&mut state);
        // What would be seen if a part were taken.
        state.updates = 77;
        state
    };
    let narrow = Tensor::filled(&[5], 0.0);
    let bytes = Tensor::i8(&[5], vec![0; 5]);
    let cases: [(&str, State); 7] = [
        (
            "`model.conv1.weight`: expected f32 [6, 1, 3, 3], found none",
            edit(&|s| drop(s.weights.remove("conv1.weight"))),
        ),
        ("`first.fc.bias`: expected f32 [5], found none", edit(&|s| drop(s.first.remove("fc.bias")))),
        (
            "`model.fc.weight`: expected f32 [5, 18], found f32 [5]",
            edit(&|s| {
                s.weights.insert("fc.weight".into(), narrow.clone());
            }),
        ),
        (
            "`ema.fc.bias`: expected f32 [5], found i8 [5]",
            edit(&|s| {
                s.averaged.insert("fc.bias".into(), bytes.clone());
            }),
        ),
        ("`ema_stats.bn1.running_mean`: expected f32 [6], found none", edit(&|s| s.averaged_stats.clear())),
        (
            "`model.stranger`: expected none",
            edit(&|s| {
                s.weights.insert("stranger".into(), narrow.clone());
            }),
        ),
        ("`second.bn1.bias`: expected none", edit(&|s| s.second = s.first.clone())),
    ];
    for (text, state) in cases {
        let error = learner.set_state(&state).expect_err(text);
        assert!(matches!(error, TrainError::State { .. }) && error.to_string().contains(text), "{error}");
        assert_eq!(learner.state().unwrap(), good, "{text}");
    }
    learner.set_state(&edit(&|_| ())).expect("it fits where nothing is changed");
}

#[test]
fn an_engine_without_kernels_trains_through_the_same_loop() {
    let (config, graph) = (plain_sgd(), small());
    let curve = |engine: &dyn Engine| {
        let outcome = train_on(engine, &graph, &config, None, false, None).unwrap();
        outcome.history.iter().flat_map(|r| [r.train_loss, r.val_loss]).collect::<Vec<f64>>()
    };
    let off = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let ours = curve(&cpu());
    let naive = off(&ours, &curve(&Naive { momentum: 1.0 }));
    assert!(naive < 1e-4, "the losses are off by {naive}");
    let wrong = off(&ours, &curve(&Naive { momentum: 0.0 }));
    assert!(wrong > 1e-2, "another momentum must be noticed: {wrong}");
}

#[test]
fn a_state_passes_from_one_engine_to_another_and_training_goes_on() {
    let (config, graph) = (plain_sgd(), small());
    let [mut naive, mut ours] =
        [&Naive { momentum: 1.0 } as &dyn Engine, &cpu()].map(|engine| learner(engine, &graph, &config));
    assert_eq!(naive.form(), ours.form());
    for i in 0..3 {
        step(&mut *naive, &format!("one.{i}"));
    }
    ours.set_state(&naive.state().unwrap()).unwrap();
    let images = runs::batch("validation").images;
    let (a, b) = (naive.logits(&images).unwrap(), ours.logits(&images).unwrap());
    let off = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 1e-4, "logits of the averaged weights are off by {off}");
    for i in 0..3 {
        let (a, b) = (step(&mut *naive, &format!("two.{i}")), step(&mut *ours, &format!("two.{i}")));
        assert!((a - b).abs() < 1e-4, "loss {a}, {b}");
    }
    let (a, b) = (naive.state().unwrap(), ours.state().unwrap());
    assert_eq!((a.updates, a.averaged_updates), (b.updates, b.averaged_updates));
    for (part, a, b) in [
        ("weights", &a.weights, &b.weights),
        ("moments", &a.first, &b.first),
        ("average", &a.averaged, &b.averaged),
    ] {
        let off = distance(a, b);
        assert!(off < 1e-3, "{part} are off by {off}");
    }
    // And back again.
    naive.set_state(&b).unwrap();
    assert_eq!(naive.state().unwrap(), b);
}
