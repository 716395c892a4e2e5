//! How each parameter is trained: what distinguishes fine-tuning from training anew, as data.
//!
//! A [`Tuning`] holds a [`Rule`] for every parameter that is not simply trained. The engine knows nothing but these rules;
//! what people call layer-wise decay, gradual unfreezing, training of the head or of biases, or an anchor to the starting
//! weights are ways to write them, which follow from the graph's [`layers`](crate::layers) and may be combined.

mod layers;
mod recipes;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::TrainError;
pub use layers::{Layer, Parameter, ParameterKind, layers};
pub use recipes::NormTraining;

/// How one parameter is trained, or whether a running statistic follows the batches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Factor on the learning rate, 0 or more. With 0 the parameter stays as it is, bit for bit: no update, no weight
    /// decay, no drift of its average. A running statistic with 0 is what its normalisation uses while training, instead of the
    /// batch's.
    pub factor: f32,
    /// The first epoch, from 0, in which the factor holds; before, it is 0.
    pub from: usize,
    /// Strength of the pull towards the weights that training began with, in the place of weight decay; 0 for weight
    /// decay.
    ///
    /// With SGD `g' = g + anchor * (w - w0)`, the gradient of `anchor / 2 * |w - w0|^2`. With AdamW it is decoupled as
    /// weight decay is: `w -= lr * anchor * (w - w0)`.
    ///
    /// # Source
    /// Li, Grandvalet and Davoine 2018, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks",
    /// equation 3 (L2-SP); Loshchilov and Hutter 2019 for the decoupling.
    pub anchor: f32,
}

impl Rule {
    /// Trained as the settings say.
    pub const PLAIN: Self = Self { factor: 1.0, from: 0, anchor: 0.0 };
    /// Left as it is.
    pub const FROZEN: Self = Self { factor: 0.0, ..Self::PLAIN };

    /// The factor on the learning rate in an epoch, from 0.
    pub fn factor_in(&self, epoch: usize) -> f32 {
        if epoch >= self.from { self.factor } else { 0.0 }
    }

    /// Whether it is trained in some epoch.
    pub fn trains(&self) -> bool {
        self.factor > 0.0
    }
}

impl Default for Rule {
    fn default() -> Self {
        Self::PLAIN
    }
}

/// The rules of a graph's parameters, by name. What has none is trained as the settings say.
///
/// ```
/// use oculist_graph::{Conv, Flatten, GlobalPool, GraphBuilder};
/// use oculist_train::{NormTraining, Tuning, layers};
///
/// let mut b = GraphBuilder::new("net");
/// let x = b.input("image", 3, 8, 8);
/// let y = b.conv("conv", x, 16, Conv::square(3, 1, 1), false);
/// let y = b.batch_norm("bn", y, 1e-5, 0.9);
/// let y = b.op("pool", GlobalPool::Average, &[y]);
/// let y = b.op("flatten", Flatten::IMAGES, &[y]);
/// let out = b.linear("fc", y, 10);
/// let graph = b.finish(out)?;
///
/// let layers = layers(&graph);
/// let tuning = Tuning::default().decay(&layers, 0.5).batch_norm(&layers, NormTraining::Statistics);
/// assert_eq!(tuning.rule("conv.weight").factor, 0.5);
/// assert_eq!(tuning.rule("fc.weight").factor, 1.0);
/// assert_eq!(tuning.rule("bn.running_mean").factor, 0.0);
/// # Ok::<(), oculist_graph::GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tuning {
    rules: BTreeMap<String, Rule>,
}

/// Nothing but [`Rule::PLAIN`].
pub(crate) static PLAIN: Tuning = Tuning { rules: BTreeMap::new() };

impl Tuning {
    /// Whether every parameter is trained as the settings say.
    pub fn is_plain(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rule of a parameter.
    pub fn rule(&self, name: &str) -> Rule {
        self.rules.get(name).copied().unwrap_or_default()
    }

    /// The rules that are not [`Rule::PLAIN`], by the names of parameters.
    pub fn rules(&self) -> impl Iterator<Item = (&str, Rule)> {
        self.rules.iter().map(|(name, rule)| (name.as_str(), *rule))
    }

    /// With another rule for a parameter.
    #[must_use]
    pub fn with(mut self, name: &str, rule: Rule) -> Self {
        if rule == Rule::PLAIN {
            self.rules.remove(name);
        } else {
            self.rules.insert(name.to_owned(), rule);
        }
        self
    }

    /// Checks the ranges of all rules.
    ///
    /// # Errors
    /// [`TrainError::Tuning`] naming the parameter, the range and what was found.
    pub fn validate(&self) -> Result<(), TrainError> {
        for (name, rule) in &self.rules {
            for (what, value) in [("a factor", rule.factor), ("an anchor", rule.anchor)] {
                if !(0.0..=1000.0).contains(&value) {
                    let problem = format!("expected {what} of 0 to 1000, found {value}");
                    return Err(TrainError::Tuning { name: name.clone(), problem });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_rules_are_not_kept() {
        let tuning = Tuning::default().with("w", Rule::FROZEN);
        assert!(!tuning.is_plain() && !tuning.rule("w").trains() && tuning.rule("other") == Rule::PLAIN);
        assert!(tuning.with("w", Rule::PLAIN).is_plain());
    }

    #[test]
    fn a_rule_holds_from_its_epoch_on() {
        let rule = Rule { factor: 0.5, from: 2, ..Rule::PLAIN };
        assert_eq!([0, 1, 2, 3].map(|epoch| rule.factor_in(epoch)), [0.0, 0.0, 0.5, 0.5]);
    }

    #[test]
    fn ranges_are_checked_and_text_comes_back() {
        let rule = Rule { factor: 0.25, from: 1, anchor: 0.01 };
        let tuning = Tuning::default().with("w", rule);
        assert!(tuning.validate().is_ok());
        let text = serde_json::to_string(&tuning).unwrap();
        assert_eq!(text, r#"{"w":{"factor":0.25,"from":1,"anchor":0.01}}"#);
        assert_eq!(serde_json::from_str::<Tuning>(&text).unwrap(), tuning);
        for wrong in [
            Rule { factor: -1.0, ..rule },
            Rule { factor: f32::NAN, ..rule },
            Rule { factor: f32::INFINITY, ..rule },
            Rule { anchor: -0.1, ..rule },
        ] {
            let text = Tuning::default().with("w", wrong).validate().unwrap_err().to_string();
            assert!(text.contains("`w`"), "{text}");
        }
    }
}
