//! What stages would do, and about how long it would take.

use std::time::{Duration, Instant};

use oculist_data::Split;
use oculist_graph::Graph;
use oculist_train::{TrainConfig, for_each_gradient};

use crate::config::Config;
use crate::error::OculistError;
use crate::measure;
use crate::progress::go_on;
use crate::session::Session;
use crate::training_data::TrainingImages;

/// Batches over which a step of training is timed.
const BATCHES: usize = 3;
/// Time in which the running of images is timed.
const TIME: Duration = Duration::from_millis(200);
/// Running a teacher takes this part of a step of training; the forward of three passes.
const TEACHER: f64 = 1.0 / 3.0;

/// A network as a stage would make it, with weights that mean nothing.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Draft {
    /// Its graph, if there is a model by then.
    pub(crate) graph: Option<Graph>,
}

/// What a stage would do.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Planned {
    /// In words.
    pub what: String,
    /// An estimate of its time, seconds.
    pub seconds: f64,
    /// What it would do inside, for a stage of stages.
    pub inside: Vec<Planned>,
    /// What would come out of it.
    pub after: Draft,
}

impl Planned {
    /// A stage that leaves the network as it is and takes no time.
    pub fn new(after: Draft) -> Self {
        Self { after, ..Self::default() }
    }

    /// A training of a network for all epochs of a configuration.
    pub(super) fn training(
        session: &Session<'_>,
        config: &Config,
        train: &TrainConfig,
        graph: &Graph,
        teacher: Option<&Graph>,
    ) -> Result<Self, OculistError> {
        let mut planned = Self::new(Draft { graph: Some(graph.clone()) });
        let mut step = Self::step_seconds_with(session, config, train, graph)?;
        if teacher.is_some() {
            step *= 1.0 + TEACHER;
        }
        let source = session.source();
        let images =
            source.split(Split::Train).len() * config.repeat.filter(|r| r.longer).map_or(1, |r| r.times);
        let steps = (images / train.batch_size).max(1);
        let validation = source.split(Split::Val).len() as f64 * Self::image_seconds(session, graph)?;
        planned.seconds = train.epochs as f64 * (steps as f64 * step + validation);
        Ok(planned)
    }

    /// Seconds of a step of training.
    pub(super) fn step_seconds(
        session: &Session<'_>,
        train: &TrainConfig,
        graph: &Graph,
    ) -> Result<f64, OculistError> {
        Self::step_seconds_with(session, session.config(), train, graph)
    }

    /// Seconds of a step of training, with the reading and augmenting of its images, timed on the first batches.
    fn step_seconds_with(
        session: &Session<'_>,
        config: &Config,
        train: &TrainConfig,
        graph: &Graph,
    ) -> Result<f64, OculistError> {
        let cost = graph.cost();
        let name = format!("step of {} {} {}", cost.params, cost.macs, train.batch_size);
        let seconds = session.shared(&name, || {
            let data = TrainingImages::new(session.source(), config, train, 0)?;
            let mut times = Vec::new();
            let mut began = Instant::now();
            let batch = train.rows();
            for_each_gradient(session.engine(), graph, batch, &data, BATCHES, |_| {
                go_on(session.stop())?;
                times.push(began.elapsed().as_secs_f64());
                began = Instant::now();
                Ok::<(), OculistError>(())
            })?;
            // The first one begins with planning and with an empty queue of images.
            let later = times.get(1..).filter(|later| !later.is_empty()).unwrap_or(&times);
            Ok(later.iter().sum::<f64>() / later.len().max(1) as f64)
        })?;
        Ok(*seconds)
    }

    /// Seconds that running one image of a batch takes.
    pub(super) fn image_seconds(session: &Session<'_>, graph: &Graph) -> Result<f64, OculistError> {
        let cost = graph.cost();
        let seconds = session.shared(&format!("image of {} {}", cost.params, cost.macs), || {
            let rate = measure::throughput(graph, session.ctx(), TIME, session.stop())?;
            Ok(1.0 / rate.median.max(1e-9))
        })?;
        Ok(*seconds)
    }

    /// The plan as lines of text, numbered, with the time of each stage.
    pub fn lines(&self, number: &str, indent: usize) -> Vec<String> {
        let time =
            if self.seconds > 0.0 { format!(" (about {})", time_text(self.seconds)) } else { String::new() };
        let mut lines = vec![format!("{}{number} {}{time}", "   ".repeat(indent), self.what)];
        for inner in &self.inside {
            lines.extend(inner.lines("-", indent + 1));
        }
        lines
    }
}

/// `40 s`, `12 min`, `3.5 h`: a time for a sentence.
pub(crate) fn time_text(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{:.0} s", s.max(1.0)),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_the_unit_that_suits_them() {
        assert_eq!([0.2, 89.0, 120.0, 7200.0].map(time_text), ["1 s", "89 s", "2 min", "2.0 h"]);
    }

    #[test]
    fn what_is_inside_stands_below() {
        let inner = Planned { what: "prune".into(), ..Planned::default() };
        let outer =
            Planned { what: "search".into(), seconds: 60.0, inside: vec![inner], ..Planned::default() };
        assert_eq!(outer.lines("2.", 0), ["2. search (about 60 s)", "   - prune"]);
    }
}
