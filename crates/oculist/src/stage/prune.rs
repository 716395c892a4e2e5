//! Removes channels that matter least, over the whole network.

use std::sync::Arc;

use oculist_graph::Graph;
use oculist_passes::{
    ChannelGroups, PassError, PruneOptions, PruneReport, PruneTarget, Scores, prune_channels, taylor,
};
use oculist_report::LayerWidth;
use oculist_train::for_each_gradient;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::plan::{Draft, Planned};
use super::{Expected, Stage, written};
use crate::candidate::Candidate;
use crate::error::OculistError;
use crate::progress::go_on;
use crate::session::Session;
use crate::settings::Target;
use crate::training_data::TrainingImages;

/// Channels that a group keeps at least.
const MIN_CHANNELS: usize = 4;
/// Kept channels are a multiple of this where size or multiply-adds count.
const ROUND_TO: usize = 4;
/// Kept channels are a multiple of this where time counts: the kernels work in blocks of sixteen channels.
const ROUND_TO_FAST: usize = 16;
/// Largest share of a group's channels that may go.
const MAX_RATIO: f64 = 0.75;
/// Training batches over which importance is averaged.
const IMPORTANCE_BATCHES: usize = 20;

/// Removes the channels whose loss would raise the training loss least, until a share of the cost is left.
///
/// Importance is first-order Taylor's, averaged over 20 training batches and computed once for a model, however many
/// levels of it are tried. The result is no complete model: it is to be fine-tuned.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Prune {
    /// Share of parameters (or, by the target, of multiply-adds) that stays, 0..1; a search sets it where it is not set.
    pub keep: Option<f64>,
    /// What is to become small; the session's target if it is not set.
    pub target: Option<Target>,
    /// The share to which a level of the same search has brought what it is given; `keep` is of that.
    #[serde(skip)]
    reached: Option<f64>,
}

/// A model's coupled channels with their importance.
struct Ranked {
    /// Kept so that no other graph can come to lie in its place while this is known by its address.
    _graph: Arc<crate::model_file::Model>,
    groups: ChannelGroups,
    scores: Vec<f64>,
}

impl Prune {
    /// A pruning to a share of the cost, 0..1.
    pub fn to(keep: f64) -> Self {
        Self { keep: Some(keep), ..Self::default() }
    }

    fn target(&self, session: &Session<'_>) -> Target {
        self.target.unwrap_or(session.config().compression.target)
    }

    fn share(&self) -> Result<f64, OculistError> {
        self.keep.filter(|keep| *keep > 0.0 && *keep < 1.0).ok_or_else(|| OculistError::Stage {
            stage: self.kind().into(),
            problem: format!(
                "keep: expected the share of the cost that stays, more than 0 and less than 1, found {}",
                self.keep.map_or_else(|| "none".into(), |keep| format!("{keep:?}"))
            ),
        })
    }

    fn cut(
        &self,
        session: &Session<'_>,
        graph: &Graph,
        groups: &ChannelGroups,
        scores: &[f64],
    ) -> Result<(Graph, PruneReport), OculistError> {
        let (keep, target) = (self.share()?, self.target(session));
        let options = PruneOptions {
            target: if target == Target::Size { PruneTarget::Params(keep) } else { PruneTarget::Macs(keep) },
            scores: Scores::LossRise,
            min_channels: MIN_CHANNELS,
            round_to: if target == Target::Latency { ROUND_TO_FAST } else { ROUND_TO },
            max_ratio: MAX_RATIO,
            ..PruneOptions::default()
        };
        prune_channels(graph, groups, scores, &options).map_err(|e| match e {
            PassError::TargetOutOfReach { .. } => OculistError::OutOfReach { problem: e.to_string() },
            e => e.into(),
        })
    }
}

impl Stage for Prune {
    fn kind(&self) -> &'static str {
        "prune"
    }

    fn title(&self, session: &Session<'_>, _before: &Candidate) -> String {
        let of = match self.target(session) {
            Target::Size => "parameters",
            Target::Latency | Target::Macs => "multiply-adds",
        };
        self.keep.map_or_else(
            || "Prune channels".to_owned(),
            |keep| format!("Prune channels to {}% of {of}", (100.0 * keep).round()),
        )
    }

    fn settings(&self) -> Map<String, Value> {
        written(self)
    }

    fn check(&self, _session: &Session<'_>) -> Result<(), OculistError> {
        self.share().map(drop)
    }

    fn at_level(&self, level: f64, reached: f64) -> Option<Arc<dyn Stage>> {
        let reached_before = (reached < 1.0).then_some(reached);
        let keep = Some(level / reached);
        self.keep
            .is_none()
            .then(|| -> Arc<dyn Stage> { Arc::new(Self { keep, reached: reached_before, ..*self }) })
    }

    fn expects(&self, before: Expected) -> Result<Expected, OculistError> {
        before.f32_for(self.kind())
    }

    fn trains_what_it_is_given(&self) -> bool {
        true
    }

    fn run(&self, session: &Session<'_>, before: &Candidate) -> Result<Candidate, OculistError> {
        let before = before.in_f32();
        before.model_for(self.kind())?;
        let keep = self.share()?;
        let Some(model) = before.model.clone() else { return Ok(before.clone()) };
        let ranked = session.shared(&format!("importance of {:p}", Arc::as_ptr(&model)), || {
            let groups = ChannelGroups::analyze(&model.graph)?;
            let scores = scores(session, &model.graph, &groups)?;
            Ok(Ranked { _graph: model.clone(), groups, scores })
        })?;
        let (graph, report) = self.cut(session, &model.graph, &ranked.groups, &ranked.scores)?;
        let mut after = before.followed_by(model.with_graph(graph));
        let keep = keep * self.reached.unwrap_or(1.0);
        let percent = (100.0 * keep).round();
        let of = if self.target(session) == Target::Size { "parameters" } else { "MACs" };
        after.name = format!("pruned to {percent}% of {of}");
        after.label = format!("prune-{percent}");
        after.kind = "pruned".into();
        after.keep = Some(keep);
        let widths = report.layers.iter().map(|change| LayerWidth {
            layer: change.name.clone(),
            before: change.channels.0,
            after: change.channels.1,
        });
        after.widths = widths.collect();
        if self.reached.is_some() {
            for width in &mut after.widths {
                let first = before.widths.iter().find(|known| known.layer == width.layer);
                width.before = first.map_or(width.before, |known| known.before);
            }
        }
        after.what = removed_text(&after.widths, self.reached.is_none().then_some(&report));
        after.complete = false;
        Ok(after)
    }

    fn plan(&self, session: &Session<'_>, before: &Draft) -> Result<Planned, OculistError> {
        let keep = self.share()?;
        let mut planned = Planned::new(before.clone());
        planned.what = format!("prune channels until {:.0}% of the cost is left", 100.0 * keep);
        if let Some(graph) = &before.graph {
            let config = &session.config().finetune;
            let step = Planned::step_seconds(session, config, graph)?;
            planned.seconds = step * IMPORTANCE_BATCHES as f64;
            // Which channels will go is not known yet, how many is: any ranking gives a network of about this cost.
            let groups = ChannelGroups::analyze(graph)?;
            let any: Vec<f64> = (0..groups.units.len()).map(|i| (i * 7919 % 1009) as f64).collect();
            planned.after.graph = Some(self.cut(session, graph, &groups, &any)?.0);
        }
        Ok(planned)
    }
}

/// What was removed, in the numbers that the report's table of layers adds up to. Channels that depend on each other, such
/// as those that meet in a sum, go together: of what can be removed one by one there is less.
///
/// Where a level goes on from another there is no number of such groups.
fn removed_text(widths: &[LayerWidth], report: Option<&PruneReport>) -> String {
    let sum = |of: fn(&LayerWidth) -> usize| widths.iter().map(of).sum::<usize>();
    let (before, after) = (sum(|layer| layer.before), sum(|layer| layer.after));
    let groups = report.map_or_else(String::new, |report| {
        format!(" ({} of {} groups of coupled ones)", report.removed, report.units)
    });
    format!("removed {} of {before} channels{groups}", before.saturating_sub(after))
}

/// First-order Taylor importance of a network's channels, averaged over training batches.
fn scores(session: &Session<'_>, graph: &Graph, groups: &ChannelGroups) -> Result<Vec<f64>, OculistError> {
    let config = session.config();
    let data = TrainingImages::new(session.source(), config, &config.finetune, session.cache_bytes())?;
    let mut sums = vec![0.0; groups.units.len()];
    let batch_size = config.finetune.batch_size;
    let add = |gradients| -> Result<(), OculistError> {
        go_on(session.stop())?;
        for (sum, score) in sums.iter_mut().zip(taylor(graph, groups, &gradients)?) {
            *sum += score;
        }
        Ok(())
    };
    for_each_gradient(session.engine(), graph, batch_size, &data, IMPORTANCE_BATCHES, add)?;
    Ok(sums)
}
