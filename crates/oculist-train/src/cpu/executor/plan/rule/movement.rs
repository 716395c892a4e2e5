//! Values that are joined, renamed, dropped or padded.

use oculist_graph::op::axis;
use oculist_graph::{Gather, NodeId, Op};

use super::super::{Map, Planner, Step, unsupported};
use super::Outcome;

/// Channels behind channels.
pub(super) fn concat(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    let Op::Concat(op) = &node.op else { return Ok(false) };
    if axis(op.axis, planner.graph.shape(node.output()).rank()) != Ok(1) {
        return Ok(false);
    }
    let count = node.inputs.len();
    if !planner.meet_in_slots(n, count) {
        return Ok(false);
    }
    let Some(values) = (0..count).map(|i| planner.input_as_slot(n, i)).collect::<Option<Vec<_>>>() else {
        return Ok(false);
    };
    let mut inputs = Vec::new();
    let mut joined = Map::padded(0, 1, 1);
    for (value, slot) in values {
        let slot = planner.flat(value, slot);
        inputs.push((slot, joined.channels));
        let map = planner.plan.slots[slot];
        joined = Map::padded(joined.channels.saturating_add(map.channels), map.height, map.width);
    }
    let y = planner.new_slot(node.output(), joined);
    planner.plan.steps.push(Step::Concat { inputs, y });
    Ok(true)
}

/// Another name: the value itself, a map as the row of its numbers, or such a row as a map.
pub(super) fn rename(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    let keeps = matches!(
        node.op,
        Op::Identity(_) | Op::Flatten(_) | Op::Reshape(_) | Op::Squeeze(_) | Op::Unsqueeze(_)
    );
    let Some((value, x)) = planner.input_slot(n, 0).filter(|_| keeps) else { return Ok(false) };
    let Some(form) = planner.form(node.output()) else { return Ok(false) };
    let row = planner.graph.shape(node.output()).rank() == 2;
    let x = if matches!(node.op, Op::Identity(_)) || row || planner.plan.slots[x] == form {
        x
    } else if form.pixels() == 1 && planner.graph.shape(value).rank() == 2 {
        planner.flat(value, x)
    } else {
        return Ok(false);
    };
    planner.slot_of[node.output().index()] = Some(x);
    Ok(true)
}

/// Numbers that are zeroed at random while training.
pub(super) fn dropout(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    let Op::Dropout(op) = &node.op else { return Ok(false) };
    if node.inputs.len() != 1 || node.outputs.len() != 1 {
        return Ok(false);
    }
    if !(0.0..1.0).contains(&op.ratio) {
        return Err(unsupported(node, "expected a ratio in 0..1".to_owned()));
    }
    let Some((_, x)) = planner.input_slot(n, 0) else { return Ok(planner.drop_row(n, op.ratio)) };
    let y = planner.new_slot(node.output(), planner.plan.slots[x]);
    planner.plan.steps.push(Step::Dropout { x, ratio: op.ratio, key: n as u64, y });
    Ok(true)
}

/// Channels in another order, some of them, or some of them twice.
pub(super) fn pick_channels(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    let Op::Gather(op) = &node.op else { return Ok(false) };
    let Some((value, x)) = planner.input_slot(n, 0) else { return Ok(false) };
    let Some(form) = planner.form(node.output()) else { return Ok(false) };
    let rank = planner.graph.shape(value).rank();
    if axis(op.axis, rank) != Ok(1) || planner.graph.shape(node.output()).rank() != rank {
        return Ok(false);
    }
    let channels = planner.graph.shape(value).get(1).unwrap_or(0);
    let Some(indices) = node.inputs.get(1) else { return Ok(false) };
    let indices = planner.graph.param(indices).or(planner.constants[indices.index()].as_ref());
    let Some(picked) = indices.and_then(|indices| Gather::positions(indices, channels)) else {
        return Ok(false);
    };
    let x = planner.flat(value, x);
    let y = planner.new_slot(node.output(), form);
    planner.plan.steps.push(Step::PickChannels { x, picked, y });
    Ok(true)
}

/// Zero channels before and behind.
pub(super) fn pad_channels(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    let Some((before, behind)) = planner.graph.channel_padding(node) else { return Ok(false) };
    let Some((_, x)) = planner.input_slot(n, 0) else { return Ok(false) };
    let map = planner.plan.slots[x];
    let channels = map.channels.saturating_add(before).saturating_add(behind);
    let y = planner.new_slot(node.output(), Map::padded(channels, map.height, map.width));
    planner.plan.steps.push(Step::PadChannels { x, before, y });
    Ok(true)
}
