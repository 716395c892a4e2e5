//! What candidates achieve and cost.

use std::sync::Arc;
use std::time::Duration;

use oculist_data::Task;
use oculist_report::Spread;

use super::Session;
use crate::candidate::{Candidate, Cost};
use crate::error::OculistError;
use crate::judging::{Judge, scores};
use crate::measure;
use crate::model_file::Model;
use crate::progress::go_on;

/// Time that one latency measurement of a candidate takes.
const LATENCY_TIME: Duration = Duration::from_millis(500);

impl Session<'_> {
    /// Measures, unless the session is to stop, what is not known of a complete candidate: its scores on validation images,
    /// the threshold below which an image is none of its classes, and its costs.
    ///
    /// # Errors
    /// [`OculistError`] naming the node that cannot be run, or the image that it gives no number for.
    pub fn appraise(&self, candidate: &mut Candidate) -> Result<(), OculistError> {
        go_on(self.stop())?;
        let Some(model) = candidate.model().filter(|_| candidate.complete) else { return Ok(()) };
        let judges = model.task == Task::SingleLabel && candidate.reject_scores.is_empty();
        if candidate.val.is_empty() || judges {
            let logits = self.judge()?.logits(&model.graph).map_err(|e| self.of_given(candidate, e))?;
            let mut reject = model.reject_scores(&logits);
            reject.sort_by(f32::total_cmp);
            if candidate.val.is_empty() {
                candidate.val = scores(&logits, self.val()?);
            }
            if let Some(model) = candidate.model.as_mut().filter(|_| !reject.is_empty()) {
                Arc::make_mut(model).set_reject(&reject);
            }
            candidate.reject_scores = Arc::new(reject);
        }
        if let (None, Some(model)) = (candidate.cost, candidate.model()) {
            let cost = self.cost(model, &format!("{} {}", candidate.label, candidate.kind))?;
            candidate.cost = Some(cost);
        }
        Ok(())
    }

    /// How models are judged: on validation images, by the metric of the session.
    pub(crate) fn judge(&self) -> Result<Judge<'_>, OculistError> {
        Ok(Judge { ctx: &self.ctx, images: self.val()?, metric: self.config.metric, stop: self.stop() })
    }

    /// An error of a model that was given names its file.
    fn of_given(&self, candidate: &Candidate, error: OculistError) -> OculistError {
        match self.given_path() {
            Some(path) if candidate.parent.is_none() => error.of_model(path),
            _ => error,
        }
    }

    /// What a model costs on this machine. Its latency, on which decisions rest, is measured once in a run under its
    /// name, however often that is continued.
    fn cost(&self, model: &Model, name: &str) -> Result<Cost, OculistError> {
        let graph = &model.graph;
        let count = graph.cost();
        let keeper = self.keeper();
        let name = format!("latency {name} {}", count.params);
        let known = keeper.as_ref().and_then(|keeper| keeper.recall(&name));
        let known = known.and_then(|value| serde_json::from_value::<Spread>(value).ok());
        let latency = if let Some(latency) = known {
            latency
        } else {
            let latency = measure::latency(graph, &self.ctx, LATENCY_TIME, self.stop())?;
            if let Some(keeper) = keeper {
                keeper.remember(&name, serde_json::to_value(latency).unwrap_or_default())?;
            }
            latency
        };
        Ok(Cost { params: count.params, macs: count.macs, bytes: model.file_bytes()?, latency })
    }
}
