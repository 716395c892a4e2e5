//! Collects the facts of a run for its report.

use std::time::SystemTime;

use oculist_data::Task;
use oculist_files::utc_text;
use oculist_report::{Input, LayerWidth, RunSummary};

use super::Sink;
use crate::candidate::Candidate;
use crate::data::preprocessing_text;
use crate::error::OculistError;
use crate::message::Message;
use crate::pictures;
use crate::progress::{Progress, go_on};
use crate::recipe::Recipe;
use crate::session::Session;
use crate::stage::Results;
use crate::summary::Measured;

/// Collects what a report says of a run; [`Report::summary`] has it all after the last stage.
#[derive(Debug)]
pub struct Report {
    summary: RunSummary,
    show: fn(&Message) -> String,
}

impl Default for Report {
    fn default() -> Self {
        Self { summary: RunSummary::default(), show: Message::to_string }
    }
}

impl Report {
    /// A report of a run that is begun by a command, for people who want to repeat it.
    pub fn new(verb: impl Into<String>, command: impl Into<String>) -> Self {
        let summary = RunSummary { verb: verb.into(), command: command.into(), ..RunSummary::default() };
        Self { summary, ..Self::default() }
    }

    /// With another way to mention settings than by their names.
    #[must_use]
    pub fn showing(mut self, show: fn(&Message) -> String) -> Self {
        self.show = show;
        self
    }

    /// The facts so far.
    pub fn summary(&self) -> &RunSummary {
        &self.summary
    }

    pub(crate) fn into_summary(self) -> RunSummary {
        self.summary
    }

    /// A file has the answers of the model of this name.
    pub(crate) fn has_predictions(&mut self, model: &str) {
        self.summary.predictions_of = Some(model.to_owned());
    }

    /// The learning curves so far.
    pub(crate) fn history(&self) -> &[oculist_report::Epoch] {
        &self.summary.history
    }
}

impl Sink for Report {
    fn begin(&mut self, session: &Session<'_>, recipe: &Recipe) -> Result<(), OculistError> {
        let config = session.config();
        let p = &config.preprocessing;
        let verb = &self.summary.verb;
        self.summary = RunSummary {
            oculist_version: env!("CARGO_PKG_VERSION").into(),
            verb: if verb.is_empty() { recipe.name().to_owned() } else { verb.clone() },
            command: self.summary.command.clone(),
            config: config.to_toml(),
            seed: config.seed,
            threads: session.ctx().threads(),
            cpu: oculist_runtime::cpu_name(),
            instruction_set: session.ctx().isa().name().into(),
            os: oculist_runtime::os_name(),
            started: utc_text(SystemTime::now()),
            arch: config.arch.clone(),
            task: match config.task {
                Task::SingleLabel => oculist_report::Task::SingleLabel,
                Task::MultiLabel => oculist_report::Task::MultiLabel,
            },
            metric: config.metric,
            data: session.source().facts_for_report(),
            input: Input {
                height: p.height,
                width: p.width,
                channels: p.channels(),
                preprocessing: preprocessing_text(p),
                mean: p.mean.iter().map(|&x| f64::from(x)).collect(),
                std: p.std.iter().map(|&x| f64::from(x)).collect(),
            },
            warnings: std::mem::take(&mut self.summary.warnings),
            ..RunSummary::default()
        };
        // Said when the data were read, before a run folder listens.
        for warning in session.source().warnings() {
            if !self.summary.warnings.contains(&warning) {
                self.summary.warnings.push(warning);
            }
        }
        Ok(())
    }

    fn event(&mut self, event: &Progress<'_>) -> Result<(), OculistError> {
        match event {
            Progress::Warning(text) => self.summary.warnings.push((self.show)(text)),
            Progress::Trained { history, .. } => self.summary.history.extend(history.iter().cloned()),
            Progress::Step(step) => self.summary.steps.push((*step).clone()),
            Progress::Tried(candidate) => self.summary.candidates.push((*candidate).clone()),
            Progress::Stage { .. }
            | Progress::Note(_)
            | Progress::TrainStep { .. }
            | Progress::Epoch { .. }
            | Progress::Model { .. }
            | Progress::Work { .. } => {}
        }
        Ok(())
    }

    fn finish(&mut self, session: &Session<'_>, result: &Candidate) -> Result<(), OculistError> {
        let names = session.source().class_names().to_vec();
        let measured = &result.measured;
        let results = Results::of(result);
        let summary = &mut self.summary;
        let reference = measured.first().and_then(|m| m.test.as_ref());
        summary.models = measured.iter().map(|m| m.facts(&names, reference)).collect();
        summary.recommended = Some(results.recommended.name().to_owned());
        if let Some(pledge) = result.lineage().find_map(|candidate| candidate.pledge.as_ref()) {
            summary.promise = Some(pledge.promise.clone());
            summary.max_drop = Some(pledge.max_drop);
            summary.target = Some(format!("{:?}", pledge.target).to_lowercase());
        }
        let said = [summary.recommended_model(), summary.baseline()].into_iter().flatten();
        let mut remarks: Vec<String> =
            said.filter_map(|model| Some(format!("{}: {}", model.name, model.chance_remark()?))).collect();
        remarks.dedup();
        // Before all others: the rest of the report is worth as much as this says.
        summary.warnings.splice(0..0, remarks);
        let known = |has: fn(&Candidate) -> bool| {
            result.also.as_deref().into_iter().chain(result.lineage()).find(|candidate| has(candidate))
        };
        summary.layers = widths(result.also.as_deref().into_iter().chain(result.lineage()));
        summary.transfer = known(|c| c.transfer.is_some()).and_then(|c| c.transfer.as_deref().cloned());
        let int8 = known(|c| c.quantization.is_some());
        summary.quantization = int8.and_then(|c| c.quantization.clone());
        summary.sensitivity = int8.map(|c| c.sensitivity.clone()).unwrap_or_default();
        let (candidate, best) = best(result);
        if let (Some(best), Some(graph)) = (best, candidate.and_then(Candidate::graph)) {
            go_on(session.stop())?;
            if let (Some(test), Some(reference)) = (&best.test, reference) {
                summary.samples = pictures::samples(session, graph, test, reference)?;
            }
            if !summary.history.is_empty() {
                summary.augmented_samples = pictures::augmented(session)?;
            }
            go_on(session.stop())?;
        }
        summary.duration_s = session.began().elapsed().as_secs_f64();
        Ok(())
    }
}

/// The recommended model of a result, and what was measured of it.
pub(super) fn best(result: &Candidate) -> (Option<&Candidate>, Option<&Measured>) {
    let results = Results::of(result);
    let mut pairs = result.measured.iter().zip(&results.models);
    match pairs.find(|(_, (role, _))| *role == results.recommended) {
        Some((measured, (_, candidate))) => (Some(*candidate), Some(measured)),
        None => (None, None),
    }
}

/// The channels of each layer in the end and before all pruning, from candidates of which the newest come first: what was
/// pruned twice was widest before the first time.
fn widths<'a>(candidates: impl Iterator<Item = &'a Candidate>) -> Vec<LayerWidth> {
    let mut pruned = candidates.map(|candidate| &candidate.widths).filter(|widths| !widths.is_empty());
    let mut layers = pruned.next().cloned().unwrap_or_default();
    for older in pruned {
        for layer in &mut layers {
            if let Some(old) = older.iter().find(|old| old.layer == layer.layer && old.after == layer.before)
            {
                layer.before = old.before;
            }
        }
    }
    layers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_counted_from_before_the_first_pruning() {
        let of = |before, after| Candidate {
            widths: vec![LayerWidth { layer: "conv".into(), before, after }],
            ..Candidate::default()
        };
        // Fine-tuned candidates have the widths of the pruned one that they were made of.
        let list = [of(12, 8), Candidate::default(), of(12, 8), of(16, 12), of(16, 12)];
        let found = widths(list.iter());
        assert_eq!((found[0].before, found[0].after), (16, 8));
        assert_eq!(widths(list[3..].iter())[0].before, 16);
        assert!(widths([Candidate::default()].iter()).is_empty());
    }
}
