//! A model with what is known of it, and the rule that accepts or refuses it.

use std::sync::Arc;

use oculist_graph::Graph;
use oculist_metrics::{Metric, Scores};
use oculist_report::{
    Epoch, LayerSensitivity, LayerWidth, Promise, Quantization, Spread, StepState, Transfer,
};

use crate::error::OculistError;
use crate::judging::Allowance;
use crate::model_file::Model;
use crate::quantization::Quantized;
use crate::settings::Target;
use crate::stage::no_model;
use crate::summary::Measured;

/// A model is faster if its median latency is below this part of the other's: two measurements of one model differ by as much.
const FASTER: f64 = 0.97;

/// What a model costs.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Cost {
    /// Trainable parameters.
    pub params: u64,
    /// Multiply-accumulates of one image.
    pub macs: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Time for one image, milliseconds.
    pub latency: Spread,
}

impl Cost {
    /// The number that a target wants small.
    pub fn figure(&self, target: Target) -> f64 {
        match target {
            Target::Size => self.bytes as f64,
            Target::Latency => self.latency.median,
            Target::Macs => self.macs as f64,
        }
    }
}

/// Whether a candidate keeps the promise against the one that it is compared with, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// Whether it does.
    pub accepted: bool,
    /// Why, in words.
    pub reason: String,
}

/// What a search promised, and what came of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Pledge {
    /// What was to become small.
    pub target: Target,
    /// Points of the metric that might be lost.
    pub max_drop: f64,
    /// The outcome.
    pub promise: Promise,
}

/// What a stage gives to the next: a model, or nothing yet, with what is known of it and where it came from.
///
/// Stages never change a candidate that they were given; they make a new one whose [`parent`](Self::parent) it is.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Candidate {
    /// For tables, such as `pruned to 45% of parameters, int8`.
    pub name: String,
    /// Short, for files and curves, such as `prune-45`.
    pub label: String,
    /// `baseline`, `int8`, `pruned` or `pruned+int8`.
    pub kind: String,
    /// What the last stage did, in words; empty if there is nothing to say.
    pub what: String,
    /// Whether the model can stand for itself; one that was just pruned cannot.
    pub complete: bool,
    /// Share of the cost that pruning aimed at; `None` without pruning.
    pub keep: Option<f64>,
    /// What it achieves on the validation split, as far as that was measured.
    pub val: Scores,
    /// What it costs, if that was measured.
    pub cost: Option<Cost>,
    /// What a search found of it.
    pub verdict: Option<Verdict>,
    /// What was promised and found by a search that ended in this candidate.
    pub pledge: Option<Pledge>,
    /// The learning curve of its training.
    pub history: Vec<Epoch>,
    /// What was carried over into it from a model for another task.
    pub transfer: Option<Arc<Transfer>>,
    /// How it was quantised.
    pub quantization: Option<Quantization>,
    /// What each layer loses in int8, if that was looked at.
    pub sensitivity: Vec<LayerSensitivity>,
    /// Channels of each layer before and after pruning.
    pub widths: Vec<LayerWidth>,
    /// Another accepted form of the same model: int8 beside f32.
    pub also: Option<Arc<Candidate>>,
    /// Whether what made it was told step by step already.
    pub(crate) told: bool,
    pub(crate) measured: Vec<Measured>,
    pub(crate) quantized: Option<Arc<Quantized>>,
    /// What tells foreign images, of each validation image, in rising order.
    pub(crate) reject_scores: Arc<Vec<f32>>,
    pub(crate) model: Option<Arc<Model>>,
    pub(crate) parent: Option<Arc<Candidate>>,
}

impl Candidate {
    /// Nothing yet: what the first stage is given.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// A candidate made of this one: another model of the same name and kind, of which nothing is known yet.
    pub fn followed_by(&self, model: Model) -> Self {
        Self {
            name: self.name.clone(),
            label: self.label.clone(),
            kind: self.kind.clone(),
            keep: self.keep,
            complete: true,
            widths: self.widths.clone(),
            transfer: self.transfer.clone(),
            model: Some(Arc::new(model)),
            parent: self.model.is_some().then(|| Arc::new(self.clone())),
            ..Self::default()
        }
    }

    /// The model, if a stage has made one.
    pub fn model(&self) -> Option<&Model> {
        self.model.as_deref()
    }

    /// The model, for a stage that cannot begin without one.
    ///
    /// # Errors
    /// [`OculistError::Stage`] naming the stage.
    pub fn model_for(&self, stage: &str) -> Result<&Model, OculistError> {
        self.model().ok_or_else(|| no_model(stage))
    }

    /// This candidate, or the one in f32 that it was quantised from.
    pub fn in_f32(&self) -> &Candidate {
        self.lineage().find(|candidate| candidate.model.is_some() && !candidate.is_int8()).unwrap_or(self)
    }

    /// What the model was made of.
    pub fn parent(&self) -> Option<&Candidate> {
        self.parent.as_deref()
    }

    /// This candidate and all that it was made of, the newest first.
    pub fn lineage(&self) -> impl Iterator<Item = &Candidate> {
        std::iter::successors(Some(self), |candidate| candidate.parent())
    }

    /// The first complete model that it was made of: what everything is compared with.
    pub fn baseline(&self) -> Option<&Candidate> {
        self.lineage().filter(|candidate| candidate.complete && candidate.model.is_some()).last()
    }

    /// Whether the model computes in int8, at least in parts.
    pub fn is_int8(&self) -> bool {
        self.model().is_some_and(Model::is_int8)
    }

    pub(crate) fn graph(&self) -> Option<&Graph> {
        self.model().map(|model| &model.graph)
    }

    /// What a step's line says of it.
    pub(crate) fn state(&self, metric: Metric) -> StepState {
        StepState {
            val: self.val.get(metric),
            val_top1: self.val.get(Metric::Top1),
            params: self.cost.map(|cost| cost.params),
            macs: self.cost.map(|cost| cost.macs),
            bytes: self.cost.map(|cost| cost.bytes),
            latency_ms: self.cost.map(|cost| cost.latency.median),
            latency: self.cost.map(|cost| cost.latency),
        }
    }

    /// What the stages since the last complete candidate did, in words.
    pub(crate) fn doings(&self) -> String {
        let since = self.lineage().skip(1).take_while(|candidate| !candidate.complete);
        let mut words: Vec<&str> = std::iter::once(self).chain(since).map(|c| c.what.as_str()).collect();
        words.retain(|what| !what.is_empty());
        words.reverse();
        words.join("; ")
    }

    pub(crate) fn is_accepted(&self) -> bool {
        self.verdict.as_ref().is_some_and(|verdict| verdict.accepted)
    }

    /// What a metric says of it on validation images; NaN if that was not measured.
    pub fn value(&self, metric: Metric) -> f64 {
        self.val.get(metric).unwrap_or(f64::NAN)
    }

    /// Decides whether the candidate keeps the promise against a reference, and says why.
    ///
    /// Accepted: it loses at most `max_drop` of the metric on validation images, and it is smaller or faster. "Faster"
    /// asks for a median latency at least 3% below the reference's, "smaller" for fewer bytes.
    pub(crate) fn judge(&mut self, reference: &Self, metric: Metric, max_drop: f64) {
        let (Some(cost), Some(before)) = (self.cost, reference.cost) else { return };
        let allowed = Allowance { metric, reference: reference.value(metric), max_drop };
        let (value, drop) = (self.value(metric), allowed.lost(self.value(metric)));
        let smaller = cost.bytes < before.bytes;
        let faster = cost.latency.median < FASTER * before.latency.median;
        let kept = allowed.keeps(value);
        let reason = if !kept {
            format!("loses {}, {max_drop} allowed", metric.format_drop(drop))
        } else if !smaller && !faster {
            "neither smaller nor faster than the baseline".into()
        } else {
            let keeps = format!("keeps the {}", metric.title());
            let change = change_text(metric, drop, ["loses", "gains", &keeps]);
            let size = before.bytes as f64 / cost.bytes as f64;
            let speed = before.latency.median / cost.latency.median;
            format!("{change}, {size:.1}x smaller, {speed:.1}x faster")
        };
        self.verdict = Some(Verdict { accepted: kept && (smaller || faster), reason });
    }

    /// The order of preference: the figure of the target, then fewer bytes.
    pub(crate) fn rank(&self, target: Target) -> (f64, u64) {
        self.cost.map_or((f64::INFINITY, u64::MAX), |cost| (cost.figure(target), cost.bytes))
    }
}

/// A change of a metric in words: `loses 0.20 points`, `gains 0.10 points`, `keeps the top-1`; `words` are the verbs.
pub(crate) fn change_text(metric: Metric, drop: f64, words: [&str; 3]) -> String {
    let size = metric.format_drop(drop.abs());
    if size == metric.format_drop(0.0) {
        words[2].to_owned()
    } else {
        format!("{} {size}", words[usize::from(drop < 0.0)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(top1: f64, bytes: u64, median: f64) -> Candidate {
        let latency = crate::measure::spread(1, vec![median; 5]);
        let cost = Cost { params: 1, macs: 1, bytes, latency };
        let mut val = Scores::new();
        val.set(Metric::Top1, top1);
        Candidate { val, cost: Some(cost), ..Candidate::default() }
    }

    fn judged(top1: f64, bytes: u64, median: f64) -> Verdict {
        let mut c = known(top1, bytes, median);
        c.judge(&known(90.0, 1000, 2.0), Metric::Top1, 0.5);
        c.verdict.unwrap()
    }

    #[test]
    fn the_promise_is_kept_to_the_point() {
        assert!(judged(89.5, 500, 1.0).accepted);
        assert!(!judged(89.4, 500, 1.0).accepted);
        assert!(judged(91.0, 500, 1.0).reason.contains("gains 1.00 points"));
    }

    #[test]
    fn what_is_neither_smaller_nor_faster_is_refused_and_said_so() {
        let c = judged(90.0, 1000, 2.0);
        assert!(!c.accepted);
        assert_eq!(c.reason, "neither smaller nor faster than the baseline");
        assert!(judged(90.0, 1000, 1.9).accepted, "faster is enough");
        assert!(judged(90.0, 999, 2.5).accepted, "smaller is enough");
    }

    #[test]
    fn the_target_picks_its_figure() {
        let c = known(90.0, 500, 1.5).cost.unwrap();
        assert!((c.figure(Target::Size) - 500.0).abs() < 1e-12);
        assert!((c.figure(Target::Latency) - 1.5).abs() < 1e-12);
        assert!((c.figure(Target::Macs) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_the_stages_since_the_last_whole_model_did_is_told_in_order() {
        let step = |what: &str, complete, parent: Option<Candidate>| Candidate {
            what: what.into(),
            complete,
            parent: parent.map(Arc::new),
            ..Candidate::default()
        };
        let trained = step("trained", true, None);
        let pruned = step("removed 3 of 4 channels", false, Some(trained));
        let tuned = step("", true, Some(pruned.clone()));
        assert_eq!(tuned.doings(), "removed 3 of 4 channels");
        assert_eq!(step("fine-tuned", true, Some(pruned)).doings(), "removed 3 of 4 channels; fine-tuned");
    }
}
