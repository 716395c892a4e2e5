//! Chooses the units to remove.

use super::account::Account;
use super::groups::{ChannelGroups, Group};
use super::{PASS, PruneOptions, PruneTarget, Scores};
use crate::{PassError, Result};
use oculist_graph::Graph;

/// The state of one group: its units from least to most important, and how many have gone.
struct Queue {
    /// Position in [`ChannelGroups::units`] and normalised score, ascending.
    units: Vec<(usize, f64)>,
    removed: usize,
    /// Number of units that must stay.
    floor: usize,
    /// Kept units come in multiples of this.
    step: usize,
    channels_per_unit: usize,
}

impl Queue {
    fn kept(&self) -> usize {
        self.units.len() - self.removed
    }

    /// How many units the next removal takes; `None` if the group has reached its floor.
    fn next_block(&self) -> Option<usize> {
        let target = (self.kept().checked_sub(1)? / self.step) * self.step;
        (target >= self.floor && target > 0).then(|| self.kept() - target)
    }

    /// Mean score of the next block.
    fn next_score(&self) -> Option<f64> {
        let block = self.next_block()?;
        let scores = &self.units[self.removed..self.removed + block];
        Some(scores.iter().map(|(_, s)| s).sum::<f64>() / block as f64)
    }
}

/// The account after removing units until the target is met.
pub(super) fn choose<'a>(
    graph: &'a Graph,
    groups: &ChannelGroups,
    scores: &[f64],
    options: &PruneOptions,
) -> Result<(Account<'a>, usize)> {
    let prices = prices(graph, groups, options);
    let mut queues: Vec<Queue> =
        groups.groups.iter().zip(prices).map(|(g, price)| queue(graph, g, scores, price, options)).collect();
    let mut account = Account::new(graph);
    let mut n_removed = 0;
    let mut remove = |queue: &mut Queue, account: &mut Account| {
        let block = queue.next_block().unwrap_or(0);
        for &(u, _) in &queue.units[queue.removed..queue.removed + block] {
            account.remove(&groups.units[u]);
        }
        queue.removed += block;
        n_removed += block;
        block * queue.channels_per_unit
    };
    if let PruneTarget::UniformRatio(ratio) = options.target {
        for q in &mut queues {
            let wanted = q.units.len() as f64 * (1.0 - ratio);
            // The nearest width that the rounding allows, the wider one in doubt.
            while let Some(block) = q.next_block()
                && wanted < q.kept() as f64 - block as f64 / 2.0
            {
                remove(q, &mut account);
            }
        }
        return Ok((account, n_removed));
    }
    let (macs, params) = account.cost();
    let channels: usize = queues.iter().map(|q| q.units.len() * q.channels_per_unit).sum();
    let mut gone = 0;
    loop {
        let share = match options.target {
            PruneTarget::Macs(_) => account.cost().0 as f64 / macs.max(1) as f64,
            PruneTarget::Params(_) => account.cost().1 as f64 / params.max(1) as f64,
            _ => 1.0 - gone as f64 / channels.max(1) as f64,
        };
        let (goal, what) = match options.target {
            PruneTarget::Macs(f) => (f, "MACs"),
            PruneTarget::Params(f) => (f, "parameters"),
            PruneTarget::GlobalRatio(r) | PruneTarget::UniformRatio(r) => (1.0 - r, "channels"),
        };
        if share <= goal {
            return Ok((account, n_removed));
        }
        // Of equal scores the first group gives way, so that the choice is a function of the input alone.
        let best = queues
            .iter()
            .enumerate()
            .filter_map(|(i, q)| q.next_score().map(|s| (i, s)))
            .min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        let Some((i, _)) = best else {
            return Err(PassError::TargetOutOfReach { what, target: goal, reached: share });
        };
        gone += remove(&mut queues[i], &mut account);
    }
}

/// What removing one unit of each group saves of the target's cost, as a share; 1 where scores are ranked as they are.
///
/// Scores that estimate the rise of the loss are divided by it: the unit that costs least accuracy for what it saves
/// goes first.
fn prices(graph: &Graph, groups: &ChannelGroups, options: &PruneOptions) -> Vec<f64> {
    let pick = |(macs, params): (u64, u64)| match options.target {
        PruneTarget::Macs(_) => macs as f64,
        PruneTarget::Params(_) => params as f64,
        PruneTarget::GlobalRatio(_) | PruneTarget::UniformRatio(_) => 0.0,
    };
    let whole = pick(Account::new(graph).cost());
    let price = |group: &Group| {
        let mut account = Account::new(graph);
        if let Some(&u) = group.units.first() {
            account.remove(&groups.units[u]);
        }
        let saved = (whole - pick(account.cost())) / whole;
        if options.scores == Scores::LossRise && saved > 0.0 { saved } else { 1.0 }
    };
    groups.groups.iter().map(price).collect()
}

fn queue(graph: &Graph, group: &Group, scores: &[f64], price: f64, options: &PruneOptions) -> Queue {
    let n = group.units.len();
    let mean = group.units.iter().map(|&u| scores[u]).sum::<f64>() / n.max(1) as f64;
    let factor = match options.scores {
        Scores::WithinGroup if mean > 0.0 => 1.0 / mean,
        Scores::WithinGroup => 1.0,
        Scores::LossRise => 1.0 / price,
    };
    let mut units: Vec<(usize, f64)> = group.units.iter().map(|&u| (u, scores[u] * factor)).collect();
    units.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    let name = |p: &usize| graph.nodes()[*p].name.as_str();
    let cap = group
        .producers
        .iter()
        .filter_map(|p| options.caps.get(name(p)).copied())
        .fold(options.max_ratio, f64::min);
    let frozen = group.producers.iter().any(|p| options.protected.contains(name(p)));
    let per_unit = group.channels_per_unit;
    let floor = if frozen {
        n
    } else {
        let by_cap = (n as f64 * (1.0 - cap) - 1e-9).ceil().max(0.0) as usize;
        by_cap.max(options.min_channels.div_ceil(per_unit)).max(1)
    };
    // Kept channels are a multiple of round_to if kept units are one of round_to / gcd(round_to, per_unit).
    let step = options.round_to / gcd(options.round_to, per_unit);
    Queue { units, removed: 0, floor, step, channels_per_unit: per_unit }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Refuses options and scores that make no sense.
pub(super) fn validate(
    graph: &Graph,
    groups: &ChannelGroups,
    scores: &[f64],
    options: &PruneOptions,
) -> Result<()> {
    let wrong =
        |option: &'static str, problem: String| Err(PassError::Option { pass: PASS, option, problem });
    let share = |x: f64| (0.0..=1.0).contains(&x);
    let target = match options.target {
        PruneTarget::UniformRatio(x)
        | PruneTarget::GlobalRatio(x)
        | PruneTarget::Macs(x)
        | PruneTarget::Params(x) => x,
    };
    if !share(target) {
        return wrong("target", format!("expected a share from 0 to 1, found {target}"));
    }
    if !share(options.max_ratio) {
        return wrong("max_ratio", format!("expected a share from 0 to 1, found {}", options.max_ratio));
    }
    if options.min_channels == 0 || options.round_to == 0 {
        return wrong("min_channels, round_to", "expected at least 1, found 0".into());
    }
    if let Some((name, cap)) = options.caps.iter().find(|(_, c)| !share(**c)) {
        return wrong("caps", format!("expected a share from 0 to 1 for `{name}`, found {cap}"));
    }
    for (option, name) in
        options.caps.keys().map(|n| ("caps", n)).chain(options.protected.iter().map(|n| ("protected", n)))
    {
        if !graph.nodes().iter().any(|n| n.name == *name) {
            return wrong(option, format!("expected the name of a node, found `{name}`"));
        }
    }
    if scores.len() != groups.units.len() {
        return wrong("scores", format!("expected {} scores, found {}", groups.units.len(), scores.len()));
    }
    if let Some(bad) = scores.iter().find(|s| !s.is_finite() || **s < 0.0) {
        return wrong("scores", format!("expected finite scores of at least 0, found {bad}"));
    }
    Ok(())
}
