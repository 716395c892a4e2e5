//! Channel pruning on the zoo: what is silent may go without a trace.

use oculist_graph::{Graph, Op};
use oculist_passes::prune_channels::remove_units;
use oculist_passes::{ChannelGroups, Importance, PruneOptions, PruneTarget, importance, prune_channels};

use crate::networks::{self, distance, images, logits};

/// Sets every row of weights, every bias, gamma and beta of the units to zero.
fn silence(graph: &Graph, groups: &ChannelGroups, units: &[usize]) -> Graph {
    let mut out = graph.clone();
    for node in graph.nodes() {
        let own = match node.op {
            Op::Conv(_) | Op::Gemm(_) => node.inputs.iter().skip(1).collect::<Vec<_>>(),
            Op::BatchNormalization(_) => node.inputs.iter().skip(1).take(2).collect(),
            _ => continue,
        };
        for s in units.iter().flat_map(|&u| &groups.units[u].slices) {
            if s.axis == 0 && own.contains(&s.value) {
                let tensor = out.param_mut(s.value).unwrap();
                let row = tensor.len() / tensor.shape()[0];
                tensor.as_f32_mut().unwrap()[s.index * row..(s.index + 1) * row].fill(0.0);
            }
        }
    }
    out
}

#[test]
fn silent_channels_of_every_architecture_go_without_a_trace() {
    for graph in networks::all() {
        let groups = ChannelGroups::analyze(&graph).unwrap();
        let units: Vec<usize> =
            groups.groups.iter().flat_map(|g| g.units.iter().skip(1).step_by(3).copied()).collect();
        let silent = silence(&graph, &groups, &units);
        let pruned = remove_units(&silent, &groups, &units).unwrap();
        assert!(pruned.cost().macs * 4 < graph.cost().macs * 3, "{}", graph.name());
        let x = images(&graph, 1);
        let want = logits(&silent, &x);
        let off = distance(logits(&pruned, &x).data(), want.data());
        assert!(off < 1e-10, "{}: {off}", graph.name());
        let seen = distance(logits(&graph, &x).data(), want.data());
        assert!(seen > 1e-3, "{}: {seen}", graph.name());
    }
}

#[test]
fn a_macs_target_is_met_in_blocks_of_lanes() {
    for (name, input) in [("resnet20", (3, 32, 32)), ("resnet18", (3, 32, 32)), ("mobilenet_v2", (3, 64, 64))]
    {
        let graph = networks::build(name, input, 1.0);
        let groups = ChannelGroups::analyze(&graph).unwrap();
        let scores = importance(&graph, &groups, Importance::L2);
        let options = PruneOptions { target: PruneTarget::Macs(0.6), ..PruneOptions::default() };
        let (pruned, report) = prune_channels(&graph, &groups, &scores, &options).unwrap();
        assert_eq!(report.macs, (graph.cost().macs, pruned.cost().macs));
        let share = report.macs.1 as f64 / report.macs.0 as f64;
        assert!(share <= 0.6 && share > 0.5, "{name}: {share}");
        for layer in &report.layers {
            let (before, after) = layer.channels;
            assert!(after == before || after % 16 == 0, "{name} {}: {before} to {after}", layer.name);
        }
    }
}

#[test]
fn groups_of_the_cifar_resnet_are_those_of_its_paper() {
    // Nine blocks with an inner width each, and the stream: 16 channels through all stages, 16 more from the second
    // stage on, 32 more in the third.
    let graph = networks::build("resnet20", (3, 32, 32), 1.0);
    let groups = ChannelGroups::analyze(&graph).unwrap();
    let mut streams: Vec<(usize, usize)> = groups
        .groups
        .iter()
        .filter(|g| g.producers.len() > 1)
        .map(|g| (g.producers.len(), g.units.len()))
        .collect();
    streams.sort_unstable();
    assert_eq!(streams, [(3, 32), (6, 16), (10, 16)]);
    let inner: Vec<usize> =
        groups.groups.iter().filter(|g| g.producers.len() == 1).map(|g| g.units.len()).collect();
    assert_eq!(inner, [16, 16, 16, 32, 32, 32, 64, 64, 64]);
}
