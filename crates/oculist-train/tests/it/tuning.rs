//! What is frozen stays bit for bit, also in averages and over interruptions; what cannot be done is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use oculist_graph::{Graph, Tensor};
use oculist_kernels::Context;
use oculist_passes::{AdapterOptions, attach_adapters, merge_adapters};
use oculist_testing::formula;
use oculist_train::{
    Cpu, Engine, Executor, Layer, Mode, NormTraining, OptimizerConfig, ParameterKind, Rule, Setup,
    TrainConfig, TrainError, Tuning, layers,
};

use super::engines::Converting;
use super::runs::{bits, config, graph, train_on};

fn cpu() -> Cpu {
    Cpu::new(Arc::new(Context::new(2).unwrap()))
}

fn tuned(tuning: Tuning) -> TrainConfig {
    // Weight decay and an average that would move what is frozen.
    TrainConfig { tuning, weight_decay: 0.1, optimizer: OptimizerConfig::adamw(), lr: 0.01, ..config(4) }
}

fn bits_by_name(graph: &Graph) -> BTreeMap<String, Vec<u32>> {
    let floats = |tensor: &Tensor| tensor.as_f32().unwrap_or(&[]).iter().map(|x| x.to_bits()).collect();
    graph.params().map(|(_, value, tensor)| (value.name.clone(), floats(tensor))).collect()
}

/// The ways of tuning that the tests below go through.
fn ways(layers: &[Layer]) -> Vec<(&'static str, Tuning)> {
    let plain = Tuning::default;
    vec![
        ("head", plain().head(layers).batch_norm(layers, NormTraining::Statistics)),
        ("biases", plain().biases(layers).batch_norm(layers, NormTraining::Statistics)),
        ("frozen norms", plain().batch_norm(layers, NormTraining::Frozen)),
        ("unfreezing", plain().unfreezing(layers, 4).decay(layers, 0.7)),
        ("anchored", plain().anchored(layers, 0.5)),
    ]
}

#[test]
fn what_is_frozen_keeps_its_bits_and_the_rest_is_trained() {
    let graph = graph();
    let before = bits_by_name(&graph);
    for (name, tuning) in ways(&layers(&graph)) {
        for optimizer in [OptimizerConfig::sgd(), OptimizerConfig::adamw()] {
            let config = TrainConfig { optimizer, ..tuned(tuning.clone()) };
            let after = bits_by_name(&train_on(&cpu(), &graph, &config, None, false, None).unwrap().graph);
            for (parameter, bits) in &before {
                let same = after[parameter] == *bits;
                // Paddings are integers.
                let frozen = !tuning.rule(parameter).trains() || bits.is_empty();
                assert_eq!(same, frozen, "{name}, {optimizer:?}: `{parameter}`");
            }
        }
    }
}

#[test]
fn a_parameter_waits_for_its_epoch() {
    let graph = graph();
    let layers = layers(&graph);
    let first = layers[0].names(&[ParameterKind::Weight]).next().unwrap();
    let tuning = Tuning::default().unfreezing(&layers, 4);
    assert_eq!(tuning.rule(first).from, 2);
    let before = bits_by_name(&graph);
    for (epochs, waits) in [(2, true), (3, false)] {
        let config = TrainConfig { epochs, ..tuned(tuning.clone()) };
        let after = bits_by_name(&train_on(&cpu(), &graph, &config, None, false, None).unwrap().graph);
        assert_eq!(after[first] == before[first], waits, "after {epochs} epochs");
        assert_ne!(after["fc.weight"], before["fc.weight"]);
    }
}

#[test]
fn tuned_runs_resume_to_the_same_bits_on_any_engine() {
    let graph = graph();
    for (name, tuning) in ways(&layers(&graph)) {
        let config = tuned(tuning);
        let whole = train_on(&cpu(), &graph, &config, None, false, None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        // Three of four epochs, so that the moments of what was unfrozen late come from the checkpoint.
        let path = Some(folder.path());
        let stopped = train_on(&cpu(), &graph, &config, path, false, Some(3)).unwrap_err();
        assert!(matches!(stopped, TrainError::Stopped { .. }), "{stopped}");
        let resumed = train_on(&cpu(), &graph, &config, path, true, None).unwrap();
        assert_eq!(bits(&resumed.graph), bits(&whole.graph), "{name}");
        let converting = train_on(&Converting::new(&cpu()), &graph, &config, None, false, None).unwrap();
        assert_eq!(bits(&converting.graph), bits(&whole.graph), "{name}: through the shared form");
        // Another tuning is another run.
        let other = TrainConfig { tuning: Tuning::default().with("fc.bias", Rule::FROZEN), ..config };
        let refused = train_on(&cpu(), &graph, &other, path, true, None).unwrap_err();
        assert!(matches!(refused, TrainError::OtherRun { .. }), "{name}: {refused}");
    }
}

#[test]
fn adapters_resume_to_the_same_bits_and_merge() {
    let start = graph();
    let init = |name: &str, shape: &[usize]| formula::tensor(name, shape.iter().product());
    let options = AdapterOptions { rank: 2, alpha: 2.0 };
    let (adapted, adapters) = attach_adapters(&start, options, |name| name != "fc.weight", init).unwrap();
    let everything = layers(&adapted);
    let trained: Vec<&str> = adapters.iter().flat_map(|a| [a.a.as_str(), a.b.as_str()]).collect();
    let names = everything.iter().flat_map(|layer| layer.parameters.iter().map(|p| p.name.as_str()));
    let config = tuned(Tuning::default().frozen(names.filter(|name| !trained.contains(name))));
    let whole = train_on(&cpu(), &adapted, &config, None, false, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    train_on(&cpu(), &adapted, &config, Some(folder.path()), false, Some(2)).unwrap_err();
    let resumed = train_on(&cpu(), &adapted, &config, Some(folder.path()), true, None).unwrap();
    assert_eq!(bits(&resumed.graph), bits(&whole.graph));
    let merged = merge_adapters(&whole.graph).unwrap();
    assert_eq!(merged.dump(), start.dump());
    let (before, after) = (bits_by_name(&start), bits_by_name(&merged));
    assert_ne!(before["conv1.weight"], after["conv1.weight"]);
    assert_eq!(before["fc.weight"], after["fc.weight"]);
    assert_eq!(before["bn1.running_mean"], after["bn1.running_mean"]);
}

#[test]
fn a_frozen_start_of_the_network_takes_no_memory_for_gradients() {
    let graph = graph();
    let layers = layers(&graph);
    let bytes = |tuning: &Tuning| {
        let ctx = Arc::new(Context::new(1).unwrap());
        Executor::tuned(ctx, &graph, 8, Mode::Train, tuning).unwrap().bytes()
    };
    let all = bytes(&Tuning::default());
    let head = bytes(&Tuning::default().head(&layers));
    assert!(head < all, "{head} bytes for the head, {all} for all");
}

#[test]
fn frozen_statistics_are_not_measured_anew() {
    let graph = graph();
    let layers = layers(&graph);
    let window = |tuning: &Tuning| {
        let setup = Setup { tuning, ..Setup::plain(8) };
        cpu().load(&graph, &setup).unwrap().statistics_window()
    };
    assert!(window(&Tuning::default()).is_some());
    assert!(window(&Tuning::default().batch_norm(&layers, NormTraining::Statistics)).is_none());
}

#[test]
fn rules_that_cannot_be_kept_name_their_parameter() {
    let graph = graph();
    let layers = layers(&graph);
    let everything = layers.iter().flat_map(|layer| layer.parameters.iter().map(|p| p.name.as_str()));
    let late = Rule { from: 1, ..Rule::PLAIN };
    let all_late = everything.clone().fold(Tuning::default(), |tuning, name| tuning.with(name, late));
    for (tuning, words) in [
        (
            Tuning::default().with("conv9.weight", Rule::FROZEN),
            "`conv9.weight`: expected a trained parameter",
        ),
        (
            Tuning::default().with("fc.bias", Rule { factor: f32::NAN, ..Rule::PLAIN }),
            "`fc.bias`: expected a factor",
        ),
        (
            Tuning::default().with("bn1.running_mean", Rule { factor: 0.5, ..Rule::PLAIN }),
            "`bn1.running_mean`: expected a factor of 0 or 1",
        ),
        (Tuning::default().frozen(everything), "found all frozen"),
        (all_late, "found all frozen"),
    ] {
        let setup = Setup { tuning: &tuning, ..Setup::plain(8) };
        let problem = cpu().load(&graph, &setup).unwrap_err().to_string();
        assert!(problem.contains(words), "{problem}");
    }
}
