//! What candidates achieve and cost.

use std::time::Duration;

use oculist_graph::Graph;
use oculist_report::Spread;

use super::Session;
use crate::candidate::{Candidate, Cost};
use crate::error::OculistError;
use crate::judging::Judge;
use crate::measure;
use crate::progress::go_on;

/// Time that one latency measurement of a candidate takes.
const LATENCY_TIME: Duration = Duration::from_millis(500);

impl Session<'_> {
    /// Measures, unless the session is to stop, what is not known of a complete candidate: its scores on validation images and its costs.
    ///
    /// # Errors
    /// [`OculistError`] naming the node that cannot be run, or the image that it gives no number for.
    pub fn appraise(&self, candidate: &mut Candidate) -> Result<(), OculistError> {
        go_on(self.stop())?;
        let Some(model) = candidate.model.clone().filter(|_| candidate.complete) else { return Ok(()) };
        if candidate.cost.is_none() {
            candidate.cost =
                Some(self.cost(&model.graph, &format!("{} {}", candidate.label, candidate.kind))?);
        }
        if candidate.val.is_empty() {
            let found = self.judge()?.scores(&model.graph);
            candidate.val = found.map_err(|e| self.of_given(candidate, e))?;
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

    /// What a graph costs on this machine. Its latency, on which decisions rest, is measured once in a run under its
    /// name, however often that is continued.
    fn cost(&self, graph: &Graph, name: &str) -> Result<Cost, OculistError> {
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
        Ok(Cost {
            params: count.params,
            macs: count.macs,
            bytes: self.model(graph.clone()).file_bytes()?,
            latency,
        })
    }
}
