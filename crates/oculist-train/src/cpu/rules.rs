//! A tuning by the positions of the parameters.

use super::params::ParamSet;
use crate::error::TrainError;
use crate::tuning::{Rule, Tuning};

/// The rules of a plan's parameters and running statistics.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    weights: Vec<Rule>,
    stats: Vec<Rule>,
}

impl Rules {
    /// Refuses rules that are out of range or for nothing, and those that leave nothing to train in the first epoch.
    pub(super) fn new(weights: &ParamSet, stats: &ParamSet, tuning: &Tuning) -> Result<Self, TrainError> {
        tuning.validate()?;
        let fail = |name: &str, problem: &str| {
            Err(TrainError::Tuning { name: name.to_owned(), problem: problem.to_owned() })
        };
        let of = |set: &ParamSet| set.iter().map(|p| tuning.rule(&p.name)).collect::<Vec<_>>();
        let rules = Self { weights: of(weights), stats: of(stats) };
        if tuning.is_plain() {
            return Ok(rules);
        }
        let known = |name: &str| weights.iter().chain(stats).any(|p| p.name == name);
        if let Some((name, _)) = tuning.rules().find(|(name, _)| !known(name)) {
            return fail(
                name,
                "expected a trained parameter or a running statistic, found none of this name",
            );
        }
        for (p, rule) in stats.iter().zip(&rules.stats) {
            if rule.anchor != 0.0 || (rule.factor != 0.0 && rule.factor != 1.0) {
                return fail(&p.name, "expected a factor of 0 or 1 and no anchor for a running statistic");
            }
        }
        if !weights.is_empty() && !rules.weights.iter().any(|rule| rule.factor_in(0) > 0.0) {
            let name = weights.iter().next().map_or("", |p| &p.name);
            return fail(
                name,
                "expected something that is trained from the first epoch on, found all frozen",
            );
        }
        Ok(rules)
    }

    /// Factors on the learning rate of each parameter in an epoch.
    pub(super) fn factors(&self, epoch: usize) -> Vec<f32> {
        self.weights.iter().map(|rule| rule.factor_in(epoch)).collect()
    }

    /// Whether each running statistic follows the batches in an epoch.
    pub(super) fn following(&self, epoch: usize) -> Vec<bool> {
        self.stats.iter().map(|rule| rule.factor_in(epoch) > 0.0).collect()
    }

    /// Whether a parameter is trained in some epoch.
    pub(super) fn trains(&self, parameter: usize) -> bool {
        self.weights[parameter].trains()
    }

    /// Whether each parameter is trained in some epoch.
    pub(super) fn trained(&self) -> Vec<bool> {
        self.weights.iter().map(Rule::trains).collect()
    }

    /// Whether a running statistic follows the batches in some epoch.
    pub(super) fn follows(&self, statistic: usize) -> bool {
        self.stats[statistic].trains()
    }

    /// The strength of the pull towards the start of each parameter.
    pub(super) fn anchor(&self, parameter: usize) -> f32 {
        self.weights[parameter].anchor
    }

    /// Whether some parameter is pulled towards its start.
    pub(super) fn anchors(&self) -> bool {
        self.weights.iter().any(|rule| rule.anchor > 0.0 && rule.trains())
    }
}
