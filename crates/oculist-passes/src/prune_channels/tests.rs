use oculist_graph::GraphBuilder;

use super::*;
use crate::PassError;
use crate::test_models as models;
use crate::test_models::{distance, output};

/// Sets every row of weights, every bias, gamma and beta of the units to zero, so that their channels are zero.
fn silence(graph: &Graph, groups: &ChannelGroups, units: &[usize]) -> Graph {
    let mut out = graph.clone();
    for node in graph.nodes() {
        let own: Vec<_> = match node.op {
            Op::Conv(_) | Op::Gemm(_) => node.inputs.iter().skip(1).collect(),
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

/// Every third unit of each group, never all.
fn some_units(groups: &ChannelGroups) -> Vec<usize> {
    groups
        .groups
        .iter()
        .flat_map(|g| g.units.iter().skip(1).step_by(3).copied().collect::<Vec<_>>())
        .collect()
}

/// Number of units of the group that contains the named layer.
fn group_of<'a>(graph: &Graph, groups: &'a ChannelGroups, layer: &str) -> Option<&'a Group> {
    groups.groups.iter().find(|g| g.producers.iter().any(|&p| graph.nodes()[p].name == layer))
}

fn options(target: PruneTarget) -> PruneOptions {
    PruneOptions { target, min_channels: 1, round_to: 1, ..PruneOptions::default() }
}

#[test]
fn removing_silent_channels_changes_nothing() {
    for graph in models::all() {
        let groups = ChannelGroups::analyze(&graph).unwrap();
        let units = some_units(&groups);
        assert!(!units.is_empty(), "{}", graph.name());
        let silent = silence(&graph, &groups, &units);
        let pruned = remove_units(&silent, &groups, &units).unwrap();
        assert!(pruned.cost().macs < graph.cost().macs, "{}", graph.name());
        let off = distance(&output(&pruned), &output(&silent));
        assert!(off < 1e-12, "{}: {off}", graph.name());
        // The twin: where the channels are not silent, removing them is seen.
        let seen = distance(&output(&remove_units(&graph, &groups, &units).unwrap()), &output(&graph));
        assert!(seen > 1e-3, "{}: {seen}", graph.name());
    }
}

#[test]
fn removing_a_wrong_slice_is_seen() {
    // The same check fails if one column is cut from the wrong place.
    let graph = models::residual(true);
    let groups = ChannelGroups::analyze(&graph).unwrap();
    let units = some_units(&groups);
    let silent = silence(&graph, &groups, &units);
    let mut pruned = remove_units(&silent, &groups, &units).unwrap();
    let weight = pruned.find("b1.1.conv.weight").unwrap();
    let columns = pruned.param(weight).unwrap().shape()[1];
    let rotated: Vec<usize> = (0..columns).map(|c| (c + 1) % columns).collect();
    let tensor = pruned.param(weight).unwrap().select(1, &rotated);
    pruned.set_param(weight, tensor);
    assert!(distance(&output(&pruned), &output(&silent)) > 1e-3);
}

#[test]
fn padded_shortcut_ties_the_stages_channel_by_channel() {
    let graph = models::residual(true);
    let groups = ChannelGroups::analyze(&graph).unwrap();
    // Eight stem channels run through both stages; the eight added ones belong to the second stage alone.
    let stem = group_of(&graph, &groups, "stem.conv").unwrap();
    let names: Vec<&str> = stem.producers.iter().map(|&p| graph.nodes()[p].name.as_str()).collect();
    assert_eq!(names, ["stem.conv", "b1.2.conv", "b2.2.conv"]);
    assert_eq!(stem.units.len(), 8);
    let added: Vec<&Group> = groups
        .groups
        .iter()
        .filter(|g| g.producers.len() == 1 && graph.nodes()[g.producers[0]].name == "b2.2.conv")
        .collect();
    assert_eq!(added.iter().map(|g| g.units.len()).collect::<Vec<_>>(), [8]);
    // Channel 5 of the stem is channel 9 behind the padding of 4.
    let weight = graph.find("stem.conv.weight").unwrap();
    let unit =
        groups.units.iter().find(|u| u.slices.contains(&Slice { value: weight, axis: 0, index: 5 })).unwrap();
    let behind = graph.find("b2.2.conv.weight").unwrap();
    assert!(unit.slices.contains(&Slice { value: behind, axis: 0, index: 9 }));
    // Removing stem channel 5 and one added channel in front moves the padding.
    let front = groups
        .units
        .iter()
        .position(|u| u.slices.contains(&Slice { value: behind, axis: 0, index: 2 }))
        .unwrap();
    let both = [groups.units.iter().position(|u| u == unit).unwrap(), front];
    let pruned = remove_units(&graph, &groups, &both).unwrap();
    let pad = pruned.nodes().iter().find(|n| n.name == "b2.pad").unwrap();
    assert_eq!(pruned.channel_padding(pad), Some((3, 4)));
    assert_eq!(pruned.shape(pad.output()).channels(), Some(14));
}

#[test]
fn projected_shortcut_is_one_stream_per_stage() {
    let graph = models::residual(false);
    let groups = ChannelGroups::analyze(&graph).unwrap();
    let sizes: Vec<usize> = groups.groups.iter().map(|g| g.units.len()).collect();
    assert_eq!(sizes, [8, 8, 16, 16]);
    let stream = group_of(&graph, &groups, "b2.down.conv").unwrap();
    assert_eq!(stream.producers.len(), 2);
}

#[test]
fn depthwise_and_gate_follow_the_expansion() {
    let graph = models::inverted_residual();
    let groups = ChannelGroups::analyze(&graph).unwrap();
    let expand = group_of(&graph, &groups, "expand.conv").unwrap();
    let names: Vec<&str> = expand.producers.iter().map(|&p| graph.nodes()[p].name.as_str()).collect();
    assert_eq!(names, ["expand.conv", "depthwise.conv", "se.fc2"]);
    let pruned = remove_units(&graph, &groups, &expand.units[..5]).unwrap();
    let Op::Conv(conv) = &pruned.nodes().iter().find(|n| n.name == "depthwise.conv").unwrap().op else {
        panic!("depthwise.conv is a convolution");
    };
    assert_eq!(conv.groups, 19);
    assert_eq!(group_of(&graph, &groups, "se.fc1").unwrap().units.len(), 8);
}

#[test]
fn groups_go_whole_or_shrink_alike() {
    let graph = models::grouped(8);
    let groups = ChannelGroups::analyze(&graph).unwrap();
    let whole = group_of(&graph, &groups, "grouped.conv").unwrap();
    assert_eq!((whole.units.len(), whole.channels_per_unit), (8, 2));
    let pruned = remove_units(&graph, &groups, &whole.units[..3]).unwrap();
    let conv = |g: &Graph| match &g.nodes().iter().find(|n| n.name == "grouped.conv").unwrap().op {
        Op::Conv(c) => c.groups,
        _ => 0,
    };
    assert_eq!(conv(&pruned), 5);
    let graph = models::grouped(2);
    let groups = ChannelGroups::analyze(&graph).unwrap();
    let input = group_of(&graph, &groups, "stem.conv").unwrap();
    assert_eq!((input.units.len(), input.channels_per_unit), (8, 2));
    let pruned = remove_units(&graph, &groups, &input.units[..3]).unwrap();
    assert_eq!(conv(&pruned), 2);
    assert_eq!(pruned.param(pruned.find("grouped.conv.weight").unwrap()).unwrap().shape(), [32, 5, 3, 3]);
}

#[test]
fn inputs_and_classes_are_never_removed() {
    for graph in models::all() {
        let groups = ChannelGroups::analyze(&graph).unwrap();
        let untouched: Vec<_> = graph.inputs().iter().chain(graph.outputs()).collect();
        assert!(groups.units.iter().flat_map(|u| &u.slices).all(|s| !untouched.contains(&&s.value)));
        assert!(group_of(&graph, &groups, "fc").is_none_or(|g| g.units.is_empty()));
    }
}

#[test]
fn macs_target_is_met_and_reported() {
    for graph in models::all() {
        let groups = ChannelGroups::analyze(&graph).unwrap();
        let scores = importance(&graph, &groups, Importance::L2);
        let (pruned, report) =
            prune_channels(&graph, &groups, &scores, &options(PruneTarget::Macs(0.6))).unwrap();
        let (before, after) = (graph.cost(), pruned.cost());
        assert_eq!((report.macs, report.params), ((before.macs, after.macs), (before.params, after.params)));
        let share = after.macs as f64 / before.macs as f64;
        assert!(share <= 0.6 && share > 0.3, "{}: {share}", graph.name());
        assert_eq!(report.layers.iter().map(|l| l.macs.1).sum::<u64>(), after.macs);
        let _ = output(&pruned);
        // Pruning is a function of its arguments.
        let again = prune_channels(&graph, &groups, &scores, &options(PruneTarget::Macs(0.6))).unwrap();
        assert_eq!(again.0, pruned);
    }
}

#[test]
fn silent_channels_go_first() {
    let networks = [models::residual(true), models::residual(false), models::concat(), models::grouped(8)];
    for graph in networks {
        let groups = ChannelGroups::analyze(&graph).unwrap();
        let units = some_units(&groups);
        let silent = silence(&graph, &groups, &units);
        let per_unit = |u: usize| groups.groups[groups.units[u].group].channels_per_unit;
        let all: usize = (0..groups.units.len()).map(per_unit).sum();
        let gone: usize = units.iter().map(|&u| per_unit(u)).sum();
        let target = options(PruneTarget::GlobalRatio((gone as f64 - 0.5) / all as f64));
        let scores = importance(&silent, &groups, Importance::BatchNormGamma);
        let (pruned, report) = prune_channels(&silent, &groups, &scores, &target).unwrap();
        assert_eq!(report.removed, units.len());
        assert!(distance(&output(&pruned), &output(&silent)) < 1e-12, "{}", graph.name());
        // The twin: with the scores turned round, channels that matter go.
        let turned: Vec<f64> = scores.iter().map(|s| 10.0 - s).collect();
        let (wrong, _) = prune_channels(&silent, &groups, &turned, &target).unwrap();
        assert!(distance(&output(&wrong), &output(&silent)) > 1e-3, "{}", graph.name());
    }
}

#[test]
fn rounding_minimum_caps_and_protection_hold() {
    let graph = models::residual(false);
    let groups = ChannelGroups::analyze(&graph).unwrap();
    let scores = importance(&graph, &groups, Importance::L1);
    let mut o = PruneOptions {
        target: PruneTarget::UniformRatio(0.6),
        min_channels: 4,
        round_to: 4,
        ..PruneOptions::default()
    };
    o.caps.insert("b2.down.conv".into(), 0.25);
    o.protected.insert("b1.1.conv".into());
    let (_, report) = prune_channels(&graph, &groups, &scores, &o).unwrap();
    let width = |name: &str| report.layers.iter().find(|l| l.name == name).unwrap().channels;
    assert_eq!(width("stem.conv"), (8, 4));
    assert_eq!(width("b1.1.conv"), (8, 8));
    assert_eq!(width("b2.1.conv"), (16, 8));
    assert_eq!(width("b2.2.conv"), (16, 12));
    assert_eq!(width("fc"), (5, 5));
    let unreachable = PruneOptions { target: PruneTarget::Macs(0.05), ..o };
    let error = prune_channels(&graph, &groups, &scores, &unreachable).unwrap_err();
    assert!(matches!(error, PassError::TargetOutOfReach { what: "MACs", .. }), "{error}");
}

#[test]
fn bad_options_are_refused() {
    let graph = models::residual(false);
    let groups = ChannelGroups::analyze(&graph).unwrap();
    let scores = importance(&graph, &groups, Importance::L1);
    let good = options(PruneTarget::UniformRatio(0.5));
    let bad = [
        PruneOptions { target: PruneTarget::Macs(1.5), ..good.clone() },
        PruneOptions { round_to: 0, ..good.clone() },
        PruneOptions { max_ratio: f64::NAN, ..good.clone() },
        PruneOptions { protected: ["nobody".to_owned()].into(), ..good.clone() },
    ];
    for o in bad {
        let error = prune_channels(&graph, &groups, &scores, &o).unwrap_err();
        assert!(matches!(error, PassError::Option { .. }), "{error}");
    }
    assert!(prune_channels(&graph, &groups, &scores[1..], &good).is_err());
    let other = models::concat();
    assert!(prune_channels(&other, &groups, &scores, &good).is_err());
    assert!(taylor(&graph, &groups, &BTreeMap::new()).is_err());
}

#[test]
fn a_layer_is_never_emptied() {
    let graph = models::flatten_head();
    let groups = ChannelGroups::analyze(&graph).unwrap();
    let all: Vec<usize> = (0..groups.units.len()).collect();
    assert!(remove_units(&graph, &groups, &all).is_err());
    let scores = vec![0.0; groups.units.len()];
    let o = PruneOptions { max_ratio: 1.0, ..options(PruneTarget::UniformRatio(1.0)) };
    let (pruned, report) = prune_channels(&graph, &groups, &scores, &o).unwrap();
    assert!(report.layers.iter().all(|l| l.channels.1 >= 1));
    let _ = output(&pruned);
}

#[test]
fn magnitudes_are_those_of_the_folded_weights() {
    let mut b = GraphBuilder::new("two");
    let x = b.input("x", 1, 1, 1);
    let y = b.conv("a", x, 2, oculist_graph::Conv::square(1, 1, 0), false);
    let y = b.batch_norm("bn", y, 0.0, 0.9);
    let out = b.conv("b", y, 1, oculist_graph::Conv::square(1, 1, 0), false);
    let mut graph = b.finish(out).unwrap();
    for (name, values) in [
        ("a.weight", [3.0, 1.0]),
        ("bn.weight", [-2.0, 1.0]),
        ("bn.running_var", [4.0, 4.0]),
        ("b.weight", [4.0, 0.5]),
    ] {
        let id = graph.find(name).unwrap();
        graph.param_mut(id).unwrap().as_f32_mut().unwrap().copy_from_slice(&values);
    }
    let groups = ChannelGroups::analyze(&graph).unwrap();
    assert_eq!(importance(&graph, &groups, Importance::L1), [3.0 + 4.0, 0.5 + 0.5]);
    assert_eq!(importance(&graph, &groups, Importance::L2), [5.0, 0.5f64.sqrt()]);
    assert_eq!(importance(&graph, &groups, Importance::BatchNormGamma), [2.0, 1.0]);
    let mut gradients: BTreeMap<_, _> =
        graph.params().map(|(id, _, t)| (id, Tensor::filled(t.shape(), 0.0))).collect();
    gradients.insert(graph.find("a.weight").unwrap(), Tensor::f32(&[2, 1, 1, 1], vec![0.0, 2.0]));
    gradients.insert(graph.find("bn.bias").unwrap(), Tensor::filled(&[2], 9.0));
    gradients.insert(graph.find("b.weight").unwrap(), Tensor::f32(&[1, 2, 1, 1], vec![0.5, 2.0]));
    assert_eq!(taylor(&graph, &groups, &gradients).unwrap(), [4.0, 4.0 + 1.0]);
}

#[test]
fn an_operator_with_a_gap_in_its_inputs_has_no_weight_rows() {
    // The scales of a Resize are its input 2; input 1 is left out.
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 3, 4, 4);
    let y = b.conv("conv", x, 4, oculist_graph::Conv::square(3, 1, 1), true);
    let scales = b.param("scales", oculist_graph::Tensor::f32(&[4], vec![1.0, 1.0, 2.0, 2.0]));
    let op = oculist_graph::Resize {
        interpolation: oculist_graph::Interpolation::Nearest(oculist_graph::Rounding::Floor),
        coordinates: oculist_graph::Coordinates::Asymmetric,
        antialias: false,
        exclude_outside: false,
        extrapolation: 0.0,
        axes: None,
        aspect_ratio: oculist_graph::AspectRatio::Stretch,
    };
    let y = b.op_of("resize", op, vec![Some(y), None, Some(scales)]);
    let graph = b.finish(y).unwrap();
    let groups = ChannelGroups::analyze(&graph).unwrap();
    assert!(groups.groups.is_empty(), "channels of the output stay: {:?}", groups.groups);
}

#[test]
fn more_indices_than_can_be_held_are_refused_with_the_value() {
    // A million rows and columns are a million million indices behind a Flatten.
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 1, 1 << 20, 1 << 20);
    let y = b.op("flatten", oculist_graph::Flatten::IMAGES, &[x]);
    let graph = b.finish(y).unwrap();
    let error = ChannelGroups::analyze(&graph).unwrap_err();
    assert!(matches!(error, PassError::Data { .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("`flatten.out`") && said.contains("at most 16777216 indices"), "{said}");
}
