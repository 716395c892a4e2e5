//! Tries stages at several levels and keeps the candidate that promises most.

use std::sync::Arc;
use std::time::Instant;

use oculist_metrics::Metric;
use oculist_report::{Promise, bytes_text};
use serde_json::{Map, Value};

use super::levels::{LEVELS, LevelSearch};
use super::parse::{stage_table, stages_of};
use super::plan::{Draft, Planned};
use super::{Expected, Registry, Stage};
use crate::candidate::{Candidate, Pledge, Verdict, change_text};
use crate::error::OculistError;
use crate::judging::Allowance;
use crate::progress::{Progress, go_on};
use crate::session::Session;
use crate::settings::Target;
use crate::summary::counted;

/// Tries lists of stages on the candidate that it is given, each at the levels that a binary search asks for, and keeps
/// the one with the smallest figure among those that lose no more than is allowed.
///
/// Levels continue from one another: a stronger level begins with the model of the strongest level that was accepted, so that
/// what its training has learned is not learned again.
///
/// It knows no stage by name: a level is handed to whatever stage depends on one ([`Stage::at_level`]), every complete
/// candidate on the way is judged by its metric and its costs, and what several trials need is shared by the session.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Search {
    /// The heading under which the levels are tried.
    pub title: Option<String>,
    /// Lists of stages that are tried as they are, before the levels.
    pub alternatives: Vec<Vec<Arc<dyn Stage>>>,
    /// Stages that are tried at a level.
    pub stages: Vec<Arc<dyn Stage>>,
    /// Levels from weak to strong; if there are none the session's, else those of pruning.
    pub levels: Vec<f64>,
    /// Levels that are tried at the most; the session's number if it is not set.
    pub candidates: Option<usize>,
    /// What is to become small; the session's target if it is not set.
    pub target: Option<Target>,
    /// How much of the metric may be lost, in its unit (points for percent); the session's if it is not set.
    pub max_drop: Option<f64>,
}

/// The complete candidates of one list of stages, with the stage that made each.
#[derive(Default)]
struct Trial {
    made: Vec<(Arc<dyn Stage>, Candidate)>,
}

impl Trial {
    fn accepted(&self) -> impl Iterator<Item = &Candidate> {
        self.made.iter().map(|(_, candidate)| candidate).filter(|candidate| candidate.is_accepted())
    }

    /// The accepted candidate with the smallest figure; of equal ones the later.
    fn best(&self, target: Target) -> Option<usize> {
        let accepted = self.made.iter().enumerate().filter(|(_, (_, candidate))| candidate.is_accepted());
        accepted
            .rev()
            .min_by(|(_, (_, a)), (_, (_, b))| order(a.rank(target), b.rank(target)))
            .map(|(index, _)| index)
    }
}

fn order(a: (f64, u64), b: (f64, u64)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

impl Search {
    fn target(&self, session: &Session<'_>) -> Target {
        self.target.unwrap_or(session.config().compression.target)
    }

    fn max_drop(&self, session: &Session<'_>) -> f64 {
        self.max_drop.unwrap_or(session.config().compression.max_drop)
    }

    fn budget(&self, session: &Session<'_>) -> usize {
        self.candidates.unwrap_or(session.config().compression.candidates)
    }

    fn levels<'s>(&'s self, session: &'s Session<'_>) -> &'s [f64] {
        let typed = &session.config().compression.levels;
        let own = if self.levels.is_empty() { typed } else { &self.levels };
        if own.is_empty() { &LEVELS } else { own }
    }

    fn at(&self, level: f64, reached: f64) -> Vec<Arc<dyn Stage>> {
        let at = |stage: &Arc<dyn Stage>| stage.at_level(level, reached).unwrap_or_else(|| stage.clone());
        self.stages.iter().map(at).collect()
    }

    /// Runs stages one after the other; measures and judges every complete candidate on the way.
    fn attempt(
        &self,
        session: &Session<'_>,
        stages: &[Arc<dyn Stage>],
        reference: &Candidate,
        start: &Candidate,
    ) -> Result<Trial, OculistError> {
        let mut trial = Trial::default();
        let mut candidate = start.clone();
        let mut began = Instant::now();
        for (i, stage) in stages.iter().enumerate() {
            go_on(session.stop())?;
            let before = candidate.lineage().find(|c| c.complete).cloned();
            candidate = stage.run(session, &candidate)?;
            // Whatever comes last has to stand for itself.
            candidate.complete |= i + 1 == stages.len();
            if !candidate.complete {
                continue;
            }
            session.appraise(&mut candidate)?;
            candidate.judge(reference, session.config().metric, self.max_drop(session));
            let reason = candidate.verdict.as_ref().map(|verdict| verdict.reason.clone()).unwrap_or_default();
            let doings = candidate.doings();
            let what = if doings.is_empty() { reason } else { format!("{doings}; {reason}") };
            session.note_step(&stage.step_name(&candidate), what, began, before.as_ref(), Some(&candidate));
            trial.made.push((stage.clone(), candidate.clone()));
            began = Instant::now();
        }
        Ok(trial)
    }

    /// Tells of all candidates; gives the one that is kept, if one is accepted.
    fn choose(
        &self,
        session: &Session<'_>,
        reference: &Candidate,
        trials: &[Trial],
    ) -> Result<Option<Candidate>, OculistError> {
        let target = self.target(session);
        let bests = trials.iter().enumerate().filter_map(|(i, trial)| {
            let index = trial.best(target)?;
            Some((i, index, trial.made[index].1.rank(target)))
        });
        let best = bests.min_by(|a, b| order(a.2, b.2)).map(|(i, index, _)| (i, index));
        let verdict = Verdict { accepted: true, reason: "the reference".into() };
        tell(session, &Candidate { verdict: Some(verdict), ..reference.clone() }, true, false);
        for (i, trial) in trials.iter().enumerate() {
            for (index, (_, candidate)) in trial.made.iter().enumerate() {
                tell(session, candidate, false, best == Some((i, index)));
            }
        }
        let Some((i, index)) = best else {
            session.warn("no compressed model kept the promise; the baseline stands");
            return Ok(None);
        };
        let made = &trials[i].made;
        let (stage, mut chosen) = made[index].clone();
        stage.examine(session, &mut chosen)?;
        // A later form that is accepted too is kept beside it.
        if let Some((stage, other)) = made[index + 1..].iter().find(|(_, other)| other.is_accepted()) {
            let mut other = other.clone();
            stage.examine(session, &mut other)?;
            chosen.also = Some(Arc::new(other));
        }
        Ok(Some(chosen))
    }

    fn promise(&self, session: &Session<'_>, reference: &Candidate, chosen: Option<&Candidate>) -> Promise {
        let (metric, max_drop) = (session.config().metric, self.max_drop(session));
        let allowed = Allowance::text(metric, max_drop);
        let Some(best) = chosen else {
            return Promise {
                kept: false,
                text: format!(
                    "no compressed model stayed within {allowed} of the baseline's validation {} and was \
                     smaller or faster; the baseline is the result",
                    metric.title()
                ),
            };
        };
        let drop = metric.drop(reference.value(metric), best.value(metric));
        let change = change_text(metric, drop, ["lost", "gained", "stayed the same"]);
        // What everything else in a report is compared with is the baseline.
        let first = reference.baseline().is_none_or(|baseline| baseline.name == reference.name);
        let against = if first {
            String::new()
        } else {
            format!(" against what the search began from ({})", reference.name)
        };
        let bytes = |candidate: &Candidate| bytes_text(candidate.cost.map_or(0, |cost| cost.bytes));
        let images = session.source().split(oculist_data::Split::Val).len();
        Promise {
            kept: true,
            text: format!(
                "validation {} {change}{against}, {allowed} allowed; {} instead of {}{}",
                metric.title(),
                bytes(best),
                bytes(reference),
                few_images(metric, images, max_drop)
            ),
        }
    }
}

impl Stage for Search {
    fn kind(&self) -> &'static str {
        "search"
    }

    fn title(&self, session: &Session<'_>, before: &Candidate) -> String {
        match self.alternatives.first().and_then(|stages| stages.first()) {
            Some(stage) => stage.title(session, before),
            None => self.heading(session, before),
        }
    }

    fn settings(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(key.to_owned(), value);
            }
        };
        set("title", self.title.clone().map(Value::from));
        set("target", self.target.and_then(|target| serde_json::to_value(target).ok()));
        set("max_drop", self.max_drop.map(Value::from));
        set("candidates", self.candidates.map(Value::from));
        set("levels", (!self.levels.is_empty()).then(|| self.levels.clone().into()));
        let list = |stages: &[Arc<dyn Stage>]| -> Value { stages.iter().map(stage_table).collect() };
        let alternatives: Vec<Value> = self.alternatives.iter().map(|stages| list(stages)).collect();
        set("alternatives", (!alternatives.is_empty()).then(|| alternatives.into()));
        set("stages", (!self.stages.is_empty()).then(|| list(&self.stages)));
        map
    }

    fn check(&self, session: &Session<'_>) -> Result<(), OculistError> {
        let fail = |problem: String| Err(OculistError::Stage { stage: self.kind().into(), problem });
        if self.stages.is_empty() && self.alternatives.iter().all(Vec::is_empty) {
            return fail("expected `stages` or `alternatives` to try, found neither".into());
        }
        if self.alternatives.iter().any(Vec::is_empty) {
            return fail("alternatives: expected lists of stages, found an empty one".into());
        }
        if !self.stages.is_empty() && self.budget(session) == 0 {
            return fail("candidates: expected at least 1, found 0".into());
        }
        if let Some(level) = self.levels(session).iter().find(|level| !(**level > 0.0 && **level < 1.0)) {
            return fail(format!("levels: expected shares of more than 0 and less than 1, found {level:?}"));
        }
        if self.levels(session).windows(2).any(|pair| pair[0] <= pair[1]) {
            return fail("levels: expected falling shares, from weak to strong".into());
        }
        let max_drop = self.max_drop(session);
        if !(0.0..=100.0).contains(&max_drop) {
            return fail(format!("max_drop: expected 0 to 100 points, found {max_drop}"));
        }
        let first = self.levels(session)[0];
        self.at(first, 1.0)
            .iter()
            .chain(self.alternatives.iter().flatten())
            .try_for_each(|s| s.check(session))
    }

    fn expects(&self, before: Expected) -> Result<Expected, OculistError> {
        before.model_for(self.kind())?;
        let mut ends = vec![before];
        for stages in self.alternatives.iter().chain((!self.stages.is_empty()).then_some(&self.stages)) {
            ends.push(stages.iter().try_fold(before, |known, stage| stage.expects(known))?);
        }
        let same = ends.iter().all(|end| *end == ends[0]);
        Ok(if same { ends[0] } else { Expected::Either })
    }

    fn count(&self) -> usize {
        1 + self.stages.iter().chain(self.alternatives.iter().flatten()).map(|s| s.count()).sum::<usize>()
    }

    fn trains_what_it_is_given(&self) -> bool {
        self.stages.iter().chain(self.alternatives.iter().flatten()).any(|s| s.trains_what_it_is_given())
    }

    fn trainings(&self, session: &Session<'_>) -> usize {
        let of = |stages: &[Arc<dyn Stage>]| stages.iter().map(|s| s.trainings(session)).sum::<usize>();
        self.budget(session) * of(&self.stages) + self.alternatives.iter().map(|s| of(s)).sum::<usize>()
    }

    fn step_name(&self, after: &Candidate) -> String {
        format!("search: {}", after.name)
    }

    fn run(&self, session: &Session<'_>, before: &Candidate) -> Result<Candidate, OculistError> {
        before.model_for(self.kind())?;
        let mut trials = Vec::new();
        for (i, stages) in self.alternatives.iter().enumerate() {
            if i > 0
                && let Some(stage) = stages.first()
            {
                session.announce(&stage.title(session, before));
            }
            trials.push(self.attempt(session, stages, before, before)?);
        }
        if !self.alternatives.is_empty() && !self.stages.is_empty() {
            session.announce(&self.heading(session, before));
        }
        let levels = self.levels(session);
        let mut search =
            LevelSearch::new(levels.len(), if self.stages.is_empty() { 0 } else { self.budget(session) });
        // The strongest level that was accepted, and its candidate in f32.
        let mut reached = (1.0, before.clone());
        while let Some(index) = search.next() {
            go_on(session.stop())?;
            let stages = self.at(levels[index], reached.0);
            let trial = match self.attempt(session, &stages, before, &reached.1) {
                Ok(trial) => Some(trial),
                Err(OculistError::OutOfReach { problem }) => {
                    session.note(&format!("{:.0}%: {problem}", 100.0 * levels[index]));
                    None
                }
                Err(e) => return Err(e),
            };
            let accepted = trial.as_ref().and_then(|trial| trial.accepted().next());
            search.answer(index, accepted.is_some());
            if let Some(accepted) = accepted {
                reached = (levels[index], accepted.in_f32().clone());
            }
            trials.extend(trial);
        }
        let chosen = self.choose(session, before, &trials)?;
        let promise = self.promise(session, before, chosen.as_ref());
        let mut after = chosen.unwrap_or_else(|| before.clone());
        after.pledge =
            Some(Pledge { target: self.target(session), max_drop: self.max_drop(session), promise });
        // Its steps were told one by one.
        after.told = true;
        Ok(after)
    }

    fn plan(&self, session: &Session<'_>, before: &Draft) -> Result<Planned, OculistError> {
        let mut planned = Planned::new(before.clone());
        let mut add =
            |heading: String, stages: &[Arc<dyn Stage>], times: usize| -> Result<Draft, OculistError> {
                let mut draft = before.clone();
                let mut inner = Planned::new(draft.clone());
                for stage in stages {
                    let next = stage.plan(session, &draft)?;
                    draft = next.after.clone();
                    inner.inside.push(next);
                }
                inner.seconds =
                    inner.inside.iter().map(|planned| planned.seconds).sum::<f64>() * times as f64;
                inner.what = heading;
                planned.seconds += inner.seconds;
                planned.inside.push(inner);
                Ok(draft)
            };
        for stages in &self.alternatives {
            add("try, as it is".into(), stages, 1)?;
        }
        if !self.stages.is_empty() {
            // The level that is tried first.
            let levels = self.levels(session);
            let level = levels[levels.len() / 2];
            let budget = self.budget(session).min(levels.len());
            let count = counted(budget, "level", "levels");
            let heading =
                format!("try at most {count} of {} (shown for {:.0}%)", levels.len(), 100.0 * level);
            planned.after = add(heading, &self.at(level, 1.0), budget)?;
        }
        planned.what = format!(
            "search for the smallest {:?} that loses at most {}",
            self.target(session),
            Allowance::text(session.config().metric, self.max_drop(session))
        )
        .to_lowercase();
        Ok(planned)
    }
}

impl Search {
    /// The heading of the levels.
    fn heading(&self, session: &Session<'_>, before: &Candidate) -> String {
        let title = self.title.clone().unwrap_or_else(|| {
            let titles = self.stages.iter().map(|stage| stage.title(session, before));
            titles.collect::<Vec<_>>().join(", ")
        });
        format!(
            "{title} (at most {} may be lost)",
            Allowance::text(session.config().metric, self.max_drop(session))
        )
    }

    /// Reads a search from a recipe's file.
    pub(super) fn read(mut map: Map<String, Value>, registry: &Registry) -> Result<Self, String> {
        let mut search = Self::default();
        if let Some(stages) = map.remove("stages") {
            search.stages = stages_of(stages, registry)?;
        }
        match map.remove("alternatives") {
            None => {}
            Some(Value::Array(lists)) => {
                search.alternatives =
                    lists.into_iter().map(|list| stages_of(list, registry)).collect::<Result<_, _>>()?;
            }
            Some(_) => return Err("alternatives: expected a list of lists of stages".into()),
        }
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Rest {
            title: Option<String>,
            levels: Option<Vec<f64>>,
            candidates: Option<usize>,
            target: Option<Target>,
            max_drop: Option<f64>,
        }
        let rest: Rest = serde_json::from_value(Value::Object(map)).map_err(|e| e.to_string())?;
        search.title = rest.title;
        search.levels = rest.levels.unwrap_or_default();
        search.candidates = rest.candidates;
        search.target = rest.target;
        search.max_drop = rest.max_drop;
        Ok(search)
    }
}

fn tell(session: &Session<'_>, candidate: &Candidate, reference: bool, chosen: bool) {
    let Some(cost) = candidate.cost else { return };
    let verdict = candidate.verdict.clone();
    session.tell(&Progress::Tried(&oculist_report::Candidate {
        name: candidate.name.clone(),
        kind: candidate.kind.clone(),
        pruning_ratio: candidate.keep.map(|keep| 1.0 - keep),
        val: candidate.val.get(session.config().metric),
        val_top1: candidate.val.get(Metric::Top1),
        params: cost.params,
        macs: cost.macs,
        bytes: cost.bytes,
        latency_ms: Some(cost.latency.median),
        latency: Some(cost.latency),
        reference,
        accepted: candidate.is_accepted(),
        chosen,
        reason: verdict.map(|verdict| verdict.reason).unwrap_or_default(),
    }));
}

/// What a promise says that so few images were measured for, as the end of a sentence; nothing where one image is a small
/// part of what is allowed.
fn few_images(metric: Metric, images: usize, max_drop: f64) -> String {
    /// Below this, chance alone moves the accuracy by several points.
    const FEW: usize = 100;
    // One image is a known part of a share of images alone.
    if metric != Metric::Top1 {
        return String::new();
    }
    if images >= FEW && 100.0 / images as f64 <= max_drop {
        return String::new();
    }
    let (all, one) = (counted(images, "validation image", "validation images"), 100.0 / images.max(1) as f64);
    format!("; measured on {all}, of which one is {one:.2} points, so that it says little about other images")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_on_few_images_says_so() {
        let text = few_images(Metric::Top1, 3, 1.0);
        assert!(text.contains("on 3 validation images, of which one is 33.33 points"), "{text}");
        assert!(!few_images(Metric::Top1, 1000, 0.05).is_empty(), "one image is more than what is allowed");
        assert!(
            few_images(Metric::Top1, 1000, 1.0).is_empty() && few_images(Metric::Top1, 100, 1.0).is_empty()
        );
    }
}
