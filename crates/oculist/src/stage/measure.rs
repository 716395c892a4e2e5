//! Measures what the stages have made on test images.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::plan::{Draft, Planned};
use super::{Stage, written};
use crate::candidate::Candidate;
use crate::error::OculistError;
use crate::judging::{Answers, OfTask};
use crate::measure;
use crate::predictions::CLASS_COLUMNS;
use crate::progress::{Progress, Role, go_on};
use crate::session::Session;
use crate::summary::{Measured, facts_of_reject};

/// Measures the baseline and what became of it: accuracy on test images, latency, throughput.
///
/// Where there are no test images ([`Session::has_test`](crate::Session::has_test)), their accuracy is not measured. What is measured is what is kept: the first complete model, the last one in f32, and the last one in int8.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Measure {
    /// Seconds of each measurement of latency and throughput; the session's if it is not set.
    pub seconds: Option<f64>,
}

/// What a candidate comes to in the end.
pub(crate) struct Results<'a> {
    /// The models to keep, the baseline first.
    pub(crate) models: Vec<(Role, &'a Candidate)>,
    /// Which of them is recommended.
    pub(crate) recommended: Role,
}

impl<'a> Results<'a> {
    /// The models that a candidate and its lineage come to.
    pub(crate) fn of(candidate: &'a Candidate) -> Self {
        let Some(baseline) = candidate.baseline().or(candidate.model().map(|_| candidate)) else {
            return Self { models: Vec::new(), recommended: Role::Baseline };
        };
        let same = |a: &Candidate, b: &Candidate| {
            a.model.as_ref().zip(b.model.as_ref()).is_some_and(|(a, b)| std::sync::Arc::ptr_eq(a, b))
        };
        let whole = |c: &&Candidate| c.complete || same(c, candidate);
        let mut models = vec![(Role::Baseline, baseline)];
        let compressed = candidate.lineage().filter(whole).find(|c| c.model.is_some() && !c.is_int8());
        models.extend(compressed.filter(|c| !same(c, baseline)).map(|c| (Role::Compressed, c)));
        let int8 = if candidate.is_int8() { Some(candidate) } else { candidate.also.as_deref() };
        // One that was never anything else stands alone.
        let int8 = int8.filter(|c| !same(c, baseline));
        models.extend(int8.map(|c| (Role::CompressedInt8, c)));
        // Nothing was made of it and nothing was to be.
        if models.len() == 1 && candidate.lineage().all(|c| c.pledge.is_none()) {
            models[0].0 = Role::Only;
        }
        let recommended = models.iter().rev().find(|(_, c)| same(c, candidate)).map(|(role, _)| *role);
        Self { models, recommended: recommended.unwrap_or(Role::Baseline) }
    }
}

impl Measure {
    fn time(&self, session: &Session<'_>) -> Duration {
        self.seconds.map_or_else(|| session.measure_time(), Duration::from_secs_f64)
    }
}

impl Stage for Measure {
    fn kind(&self) -> &'static str {
        "measure"
    }

    fn title(&self, _session: &Session<'_>, _before: &Candidate) -> String {
        "Measure on test images and export".into()
    }

    fn settings(&self) -> Map<String, Value> {
        written(self)
    }

    fn check(&self, _session: &Session<'_>) -> Result<(), OculistError> {
        match self.seconds {
            Some(seconds) if !(seconds > 0.0 && seconds <= 3600.0) => Err(OculistError::Stage {
                stage: self.kind().into(),
                problem: format!("seconds: expected more than 0 and at most 3600, found {seconds:?}"),
            }),
            _ => Ok(()),
        }
    }

    fn run(&self, session: &Session<'_>, before: &Candidate) -> Result<Candidate, OculistError> {
        before.model_for(self.kind())?;
        let began = Instant::now();
        let (time, stop, ctx) = (self.time(session), session.stop(), session.ctx());
        let mut after = before.clone();
        after.complete = true;
        session.appraise(&mut after)?;
        let results = Results::of(&after);
        let mut measured = Vec::new();
        for &(role, candidate) in &results.models {
            go_on(stop)?;
            let mut candidate = candidate.clone();
            session.appraise(&mut candidate)?;
            let (Some(model), Some(cost)) = (candidate.model(), candidate.cost) else { continue };
            session.tell(&Progress::Model { role, candidate: &candidate });
            let graph = &model.graph;
            let kind = session.probabilities();
            let (mut logits, mut test, mut probabilities) = (Vec::new(), None, Vec::new());
            if session.has_test() {
                let images = session.test()?;
                logits = session.judge()?.on(images).logits(graph)?;
                let answers = Answers::of(&logits, images, kind);
                // Of several labels they are among the answers.
                let wanted = role == results.recommended && matches!(answers.of_task, OfTask::One(_));
                let classes = logits.len() / images.len().max(1);
                if wanted && classes <= CLASS_COLUMNS {
                    probabilities =
                        logits.chunks_exact(classes.max(1)).flat_map(|row| kind.of(row)).collect();
                }
                test = Some(answers);
            }
            let reject = facts_of_reject(model, &candidate.reject_scores, &model.reject_scores(&logits));
            measured.push(Measured {
                name: role.name(),
                file: role.file().to_owned(),
                precision: if candidate.is_int8() { "int8" } else { "f32" },
                val: candidate.val.clone(),
                test,
                probabilities,
                reject,
                params: cost.params,
                macs: cost.macs,
                bytes: cost.bytes,
                latency: measure::latency(graph, ctx, time, stop)?,
                throughput: measure::throughput(graph, ctx, time, stop)?,
            });
        }
        let roles: Vec<Role> = results.models.iter().map(|(role, _)| *role).collect();
        after.measured = measured;
        after.told = true;
        session.note_measured(began, &roles);
        Ok(after)
    }

    fn plan(&self, session: &Session<'_>, before: &Draft) -> Result<Planned, OculistError> {
        let mut planned = Planned::new(before.clone());
        planned.what = "measure the models on test images".into();
        let models = 3;
        // Latency and throughput, with their warm-up.
        planned.seconds = models as f64 * 2.0 * 1.2 * self.time(session).as_secs_f64();
        if let Some(graph) = &before.graph {
            let images = session.source().split(oculist_data::Split::Test).len();
            planned.seconds += models as f64 * images as f64 * Planned::image_seconds(session, graph)?;
        }
        Ok(planned)
    }
}

impl Session<'_> {
    /// Says that models were measured and, where a folder keeps them, under which names.
    fn note_measured(&self, began: Instant, roles: &[Role]) {
        let mut files: Vec<&str> = roles.iter().map(|role| role.file()).collect();
        // Whatever happens, the f32 model to use has this name.
        if !files.contains(&Role::Compressed.file()) {
            files.push(Role::Compressed.file());
        }
        let what = match self.keeper() {
            Some(_) => format!("wrote {}", files.join(", ")),
            None => {
                format!("measured {}", roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", "))
            }
        };
        self.note_step("measure and export", what, began, None, None);
    }
}
