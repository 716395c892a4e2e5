//! Removes whole channels, with everything that depends on them.
//!
//! [`ChannelGroups::analyze`] finds what must go together, [`importance()`] or [`taylor`] say what matters least, and
//! [`prune_channels`] removes until a target is met.

mod account;
mod elements;
mod groups;
mod importance;
mod policy;
mod report;

use std::collections::{BTreeMap, BTreeSet};

use oculist_graph::{Conv, Graph, Node, Op, Tensor};

use crate::Result;
use crate::edit::Names;
use account::Account;
pub use groups::{ChannelGroups, Group, Slice, Unit};
pub use importance::{Importance, importance, taylor};
pub use report::{LayerChange, PruneReport};

/// Name of the pass in errors.
const PASS: &str = "prune_channels";

/// How far to prune.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PruneTarget {
    /// Remove this share of the channels of every group.
    UniformRatio(f64),
    /// Remove at least this share of all removable channels, the least important ones of the whole graph.
    GlobalRatio(f64),
    /// Remove the least important channels of the whole graph until at most this share of the multiply-adds is left.
    Macs(f64),
    /// Remove the least important channels of the whole graph until at most this share of the parameters is left.
    Params(f64),
}

/// How scores of different groups compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scores {
    /// Not at all (norms of weights): each group's scores are divided by their mean.
    #[default]
    WithinGroup,
    /// They estimate by how much the loss rises ([`taylor`]): they are compared as they are, per unit of the cost that
    /// [`PruneTarget::Macs`] or [`PruneTarget::Params`] saves.
    LossRise,
}

/// What [`prune_channels`] may remove.
#[derive(Debug, Clone, PartialEq)]
pub struct PruneOptions {
    /// How far to prune.
    pub target: PruneTarget,
    /// How scores of different groups compare.
    pub scores: Scores,
    /// Channels that every group keeps at least.
    pub min_channels: usize,
    /// Kept channels of a group are a multiple of this, or all of them. The kernels pad channels to a multiple of
    /// 16: 17 channels cost the time of 32, so removing fewer than a whole block saves MACs but no time.
    pub round_to: usize,
    /// Largest share of a group's channels that may go.
    pub max_ratio: f64,
    /// Largest share for the group of the named `Conv` or `Gemm` node.
    pub caps: BTreeMap<String, f64>,
    /// Names of `Conv` or `Gemm` nodes whose output channels all stay.
    pub protected: BTreeSet<String>,
}

impl Default for PruneOptions {
    /// Half of the multiply-adds, in blocks of 16 channels, at most 90% of a group.
    fn default() -> Self {
        Self {
            target: PruneTarget::Macs(0.5),
            scores: Scores::WithinGroup,
            min_channels: 8,
            round_to: 16,
            max_ratio: 0.9,
            caps: BTreeMap::new(),
            protected: BTreeSet::new(),
        }
    }
}

/// Removes the least important units of a graph.
///
/// # What it does
/// Makes the scores comparable (see [`Scores`]); then, for the global targets, again and again takes the block (see [`PruneOptions::round_to`]) with the lowest mean score in the whole graph until the
/// target is met. The slices of the removed units are cut from all parameters; `groups` of grouped convolutions and
/// the counts of `PadChannels` follow.
///
/// # Applies when
/// The graph is in f32. Channels tied to graph inputs or outputs stay.
///
/// # Preserves
/// The function exactly if the removed channels are zero wherever another channel's result depends on them;
/// otherwise the change is as large as the removed channels were important, and fine-tuning has to repair it. Names
/// and order of nodes and values; ids too, if the graph was tidy.
///
/// # Source
/// As [`ChannelGroups`] and [`importance()`]; the mean as normaliser as in Fang et al. 2023, "DepGraph".
///
/// # Errors
/// [`crate::PassError::TargetOutOfReach`] if minimum, rounding, caps and protected nodes forbid the target;
/// [`crate::PassError::Option`] for a share outside 0..=1, an unknown node name or groups or scores that
/// do not belong to the graph; [`crate::PassError::Graph`] if the graph is invalid.
pub fn prune_channels(
    graph: &Graph,
    groups: &ChannelGroups,
    scores: &[f64],
    options: &PruneOptions,
) -> Result<(Graph, PruneReport)> {
    graph.check()?;
    belongs(graph, groups)?;
    policy::validate(graph, groups, scores, options)?;
    let (account, n_removed) = policy::choose(graph, groups, scores, options)?;
    let pruned = apply(graph, &account)?;
    let report = PruneReport::new(graph, &pruned, groups.units.len(), n_removed);
    Ok((pruned, report))
}

/// Removes exactly the given units (positions in [`ChannelGroups::units`]).
///
/// The same operation as [`prune_channels`] without its policy; nothing stops the caller from emptying a layer,
/// which is an error.
///
/// # Errors
/// [`crate::PassError::Option`] if a unit does not exist or the groups belong to another graph; [`crate::PassError::Graph`] if the graph is invalid or a
/// layer would be left without channels.
pub fn remove_units(graph: &Graph, groups: &ChannelGroups, units: &[usize]) -> Result<Graph> {
    graph.check()?;
    belongs(graph, groups)?;
    let mut account = Account::new(graph);
    for &u in &units.iter().copied().collect::<BTreeSet<_>>() {
        let unit = groups.units.get(u).ok_or_else(|| crate::PassError::Option {
            pass: PASS,
            option: "units",
            problem: format!("expected a unit below {}, found {u}", groups.units.len()),
        })?;
        account.remove(unit);
    }
    apply(graph, &account)
}

/// Verifies that the groups are those of this graph: their ids would cut other slices of another one.
fn belongs(graph: &Graph, groups: &ChannelGroups) -> Result<()> {
    if ChannelGroups::analyze(graph)? == *groups {
        return Ok(());
    }
    Err(crate::PassError::Option {
        pass: PASS,
        option: "groups",
        problem: format!("expected the groups of graph `{}`, found those of another", graph.name()),
    })
}

/// Cuts the removed slices from a copy of the graph.
fn apply(graph: &Graph, account: &Account) -> Result<Graph> {
    let mut out = graph.clone();
    let mut names = Names::of(graph);
    for (id, value, tensor) in graph.params() {
        let mut cut = None;
        for axis in 0..tensor.shape().len() {
            if let Some(kept) = account.kept(id, axis) {
                if kept.is_empty() {
                    return Err(empty(graph, &value.name));
                }
                cut = Some(cut.as_ref().unwrap_or(tensor).select(axis, &kept));
            }
        }
        if let Some(cut) = cut {
            out.set_param(id, cut);
        }
    }
    for (i, node) in graph.nodes().iter().enumerate() {
        for &output in &node.outputs {
            if let Some(axis) = account.emptied(output) {
                return Err(empty(graph, &format!("{} along axis {axis}", graph.value(output).name)));
            }
        }
        if let Op::Conv(conv) = &node.op {
            let groups = account.len(node.inputs[0], 1) / account.len(node.inputs[1], 1).max(1);
            out.edit().set_op(i, Conv { window: conv.window.clone(), groups });
        } else if let Some(pads) = pads_left(graph, account, node) {
            // Others may read the old amounts.
            let name = names.fresh(&graph.value(node.inputs[1]).name);
            let pads = out.add_param(name, Tensor::ints(pads));
            out.edit().set_input(i, 1, Some(pads));
        }
    }
    out.tidy()?;
    out.check()?;
    Ok(out)
}

/// The amounts of a `Pad` along the channels when some of what it adds is gone; `None` if nothing changes.
fn pads_left(graph: &Graph, account: &Account, node: &Node) -> Option<Vec<i64>> {
    let (before, _) = graph.channel_padding(node)?;
    let kept = account.kept(node.output(), 1)?;
    let own = graph.shape(node.inputs[0]).channels().unwrap_or(0);
    let count = |keep: &dyn Fn(usize) -> bool| {
        i64::try_from(kept.iter().filter(|&&c| keep(c)).count()).unwrap_or(i64::MAX)
    };
    let (in_front, behind) = (count(&|c| c < before), count(&|c| c >= before + own));
    // `axes` may name the channels alone.
    Some(match node.inputs.get(3) {
        None => vec![0, in_front, 0, 0, 0, behind, 0, 0],
        Some(axes) => {
            let axes = graph.param(axes).and_then(Tensor::to_i64s).unwrap_or_default();
            let amount = |n: i64| axes.iter().map(move |&a| if a == 1 || a == -3 { n } else { 0 });
            amount(in_front).chain(amount(behind)).collect()
        }
    })
}

fn empty(graph: &Graph, name: &str) -> crate::PassError {
    oculist_graph::GraphError::Structure {
        graph: graph.name().to_owned(),
        problem: format!("expected at least one channel of `{name}` to stay, found none"),
    }
    .into()
}

#[cfg(test)]
mod tests;
