//! Tries lists of stages and keeps the model that is best.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};

use super::parse::{stage_table, stages_of};
use super::plan::{Draft, Planned, time_text};
use super::{Expected, Registry, Stage};
use crate::candidate::Candidate;
use crate::error::OculistError;
use crate::message::Message;
use crate::progress::go_on;
use crate::session::Session;
use crate::summary::counted;

/// Tries lists of stages on the candidate that it is given and keeps, of all complete models on the way, the one that the
/// session's metric finds best on validation images; of equal ones the one with fewer multiply-adds, then the earlier.
///
/// Unlike [`Search`](super::Search) it asks for no promise. A list that its time does not allow, or that cannot do what it is asked
/// for, is left out and told.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Best {
    /// Lists of stages, in the order in which they are tried.
    pub alternatives: Vec<Vec<Arc<dyn Stage>>>,
    /// Seconds after which no further list is begun, by an estimate of what it takes; the session's time if it is not set.
    pub time_budget: Option<f64>,
}

impl Best {
    /// With a list of stages.
    #[must_use]
    pub fn or(mut self, stages: Vec<Arc<dyn Stage>>) -> Self {
        self.alternatives.push(stages);
        self
    }

    pub(super) fn read(mut map: Map<String, Value>, registry: &Registry) -> Result<Self, String> {
        let mut best = Self::default();
        if let Some(value) = map.remove("time_budget") {
            best.time_budget = Some(value.as_f64().ok_or("time_budget: expected seconds")?);
        }
        if let Some(value) = map.remove("alternatives") {
            let Value::Array(lists) = value else {
                return Err("alternatives: expected lists of stages".into());
            };
            best.alternatives =
                lists.into_iter().map(|list| stages_of(list, registry)).collect::<Result<_, _>>()?;
        }
        match map.keys().next() {
            Some(key) => Err(format!("unknown setting `{key}`, expected alternatives or time_budget")),
            None => Ok(best),
        }
    }

    fn seconds(&self, session: &Session<'_>) -> Option<f64> {
        self.time_budget.or(session.settings().time_budget)
    }

    /// What a list of stages would take, as far as it can be known.
    fn estimate(
        session: &Session<'_>,
        stages: &[Arc<dyn Stage>],
        before: &Candidate,
    ) -> Result<f64, OculistError> {
        let mut draft = Draft { graph: before.graph().cloned() };
        let mut seconds = 0.0;
        for stage in stages {
            let planned = stage.plan(session, &draft)?;
            seconds += planned.seconds;
            draft = planned.after;
        }
        Ok(seconds)
    }

    /// All complete candidates of a list of stages.
    fn attempt(
        session: &Session<'_>,
        stages: &[Arc<dyn Stage>],
        reference: &Candidate,
    ) -> Result<Vec<Candidate>, OculistError> {
        let mut made = Vec::new();
        let mut candidate = reference.clone();
        for (i, stage) in stages.iter().enumerate() {
            go_on(session.stop())?;
            let began = Instant::now();
            let before = candidate.lineage().find(|c| c.complete && c.model.is_some()).cloned();
            candidate = stage.run(session, &candidate)?;
            candidate.complete |= i + 1 == stages.len();
            if !candidate.complete {
                continue;
            }
            session.appraise(&mut candidate)?;
            let doings = Some(candidate.doings()).filter(|doings| !doings.is_empty());
            let what = doings.unwrap_or_else(|| stage.title(session, &candidate));
            session.note_step(&stage.step_name(&candidate), what, began, before.as_ref(), Some(&candidate));
            made.push(candidate.clone());
        }
        Ok(made)
    }
}

impl Stage for Best {
    fn kind(&self) -> &'static str {
        "best"
    }

    fn title(&self, session: &Session<'_>, before: &Candidate) -> String {
        match self.alternatives.first().and_then(|stages| stages.first()) {
            Some(stage) => stage.title(session, before),
            None => "Try several ways".into(),
        }
    }

    fn settings(&self) -> Map<String, Value> {
        let mut map = Map::new();
        if let Some(seconds) = self.time_budget {
            map.insert("time_budget".into(), seconds.into());
        }
        let list = |stages: &Vec<Arc<dyn Stage>>| -> Value { stages.iter().map(stage_table).collect() };
        map.insert("alternatives".into(), self.alternatives.iter().map(list).collect());
        map
    }

    fn check(&self, session: &Session<'_>) -> Result<(), OculistError> {
        if self.alternatives.is_empty() || self.alternatives.iter().any(Vec::is_empty) {
            return Err(OculistError::Stage {
                stage: self.kind().into(),
                problem: "alternatives: expected lists of stages, each of at least one".into(),
            });
        }
        let several = self.alternatives.len() > 1;
        self.alternatives.iter().flatten().try_for_each(|stage| match stage.check(session) {
            // It is left out, aloud, when its turn comes.
            Err(OculistError::OutOfReach { .. }) if several => Ok(()),
            checked => checked,
        })
    }

    fn expects(&self, before: Expected) -> Result<Expected, OculistError> {
        let end = |stages: &Vec<Arc<dyn Stage>>| {
            stages.iter().try_fold(before, |known, stage| stage.expects(known))
        };
        let ends = self.alternatives.iter().map(end).collect::<Result<Vec<_>, _>>()?;
        let same = ends.windows(2).all(|pair| pair[0] == pair[1]);
        Ok(ends.first().copied().filter(|_| same).unwrap_or(Expected::Either))
    }

    fn leaves(&self, session: &Session<'_>, before: Option<String>) -> Result<Option<String>, OculistError> {
        let mut left = None;
        for stages in &self.alternatives {
            let end = stages.iter().try_fold(before.clone(), |known, stage| stage.leaves(session, known))?;
            left = left.or(end);
        }
        Ok(left)
    }

    fn count(&self) -> usize {
        1 + self.alternatives.iter().flatten().map(|stage| stage.count()).sum::<usize>()
    }

    fn trainings(&self, session: &Session<'_>) -> usize {
        self.alternatives.iter().flatten().map(|stage| stage.trainings(session)).sum()
    }

    fn run(&self, session: &Session<'_>, before: &Candidate) -> Result<Candidate, OculistError> {
        let (metric, budget) = (session.config().metric, self.seconds(session));
        let mut all: Vec<Candidate> = Vec::new();
        let mut left_out: Vec<String> = Vec::new();
        for (i, stages) in self.alternatives.iter().enumerate() {
            // Whether there is time is decided once in a run, however often that is continued.
            let name = format!("best {i} {}", before.label);
            let keeper = session.keeper();
            let known =
                keeper.as_ref().and_then(|keeper| keeper.recall(&name)).and_then(|value| value.as_bool());
            if let Some(limit) = budget.filter(|_| i > 0 && known != Some(true)) {
                let (spent, needs) =
                    (session.began().elapsed().as_secs_f64(), Self::estimate(session, stages, before)?);
                if known == Some(false) || spent + needs > limit {
                    let titles: Vec<String> =
                        stages.iter().map(|stage| stage.title(session, before)).collect();
                    let reason = format!(
                        "{} (about {}; {} of {} are gone)",
                        titles.join(", then "),
                        time_text(needs),
                        time_text(spent),
                        time_text(limit)
                    );
                    session.warn(&format!("left out: {reason}"));
                    left_out.push(reason);
                    if let (None, Some(keeper)) = (known, keeper) {
                        keeper.remember(&name, false.into())?;
                    }
                    continue;
                }
            }
            if let (None, Some(keeper)) = (known, keeper) {
                keeper.remember(&name, true.into())?;
            }
            if i > 0 {
                session.announce(&stages[0].title(session, before));
            }
            match Self::attempt(session, stages, before) {
                Ok(made) => all.extend(made),
                Err(OculistError::OutOfReach { problem }) if self.alternatives.len() > 1 => {
                    session.note(&format!("left out: {problem}"));
                    // In a file settings have their names.
                    let title = stages[0].title(session, before);
                    left_out.push(format!("{title}: {}", Message::from(problem)));
                }
                Err(error) => return Err(error),
            }
        }
        let cost = |candidate: &Candidate| candidate.cost.map_or(u64::MAX, |cost| cost.macs);
        let better = |a: &Candidate, b: &Candidate| {
            metric.is_better(a.value(metric), b.value(metric))
                || (!metric.is_better(b.value(metric), a.value(metric)) && cost(a) < cost(b))
        };
        let mut best: Option<&Candidate> = None;
        for candidate in &all {
            if best.is_none_or(|known| better(candidate, known)) {
                best = Some(candidate);
            }
        }
        let Some(best) = best else {
            return Err(OculistError::OutOfReach { problem: "none of the alternatives gave a model".into() });
        };
        if all.len() > 1 {
            session.note(&format!(
                "{} is kept: {} on validation images, the best of {}",
                best.name,
                metric.format(best.value(metric)),
                counted(all.len(), "model", "models")
            ));
        }
        // What it was made of on the way stays in the steps; what follows is compared with this model.
        let mut after = best.clone();
        after.parent = before.model().is_some().then(|| Arc::new(before.clone()));
        after.told = true;
        if let (Some(facts), false) = (&after.transfer, left_out.is_empty()) {
            after.transfer = Some(Arc::new(oculist_report::Transfer { left_out, ..(**facts).clone() }));
        }
        Ok(after)
    }

    fn plan(&self, session: &Session<'_>, before: &Draft) -> Result<Planned, OculistError> {
        let mut planned = Planned::new(before.clone());
        planned.what = format!("keep the best of {}", counted(self.alternatives.len(), "way", "ways"));
        if let Some(limit) = self.seconds(session) {
            let _ =
                write!(planned.what, "; behind the first, what does not fit into {limit:.0} s is left out");
        }
        for stages in &self.alternatives {
            let mut draft = before.clone();
            for stage in stages {
                let one = stage.plan(session, &draft)?;
                planned.seconds += one.seconds;
                draft = one.after.clone();
                planned.inside.push(one);
            }
            planned.after = draft;
        }
        Ok(planned)
    }
}
