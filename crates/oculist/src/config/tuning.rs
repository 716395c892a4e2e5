//! How fine-tuning changes a model: resolved, and as the rules of a graph's parameters.

use oculist_augment::Rng;
use oculist_graph::Graph;
use oculist_passes::{AdapterOptions, attach_adapters, merge_adapters};
use oculist_train::{Layer, NormTraining, ParameterKind, TrainConfig, Tuning, layers};
use serde::{Deserialize, Serialize};

use crate::error::OculistError;
use crate::settings::{Settings, Tune, Unfreeze};

/// Rank of adapters where the settings do not say.
const RANK: usize = 8;

/// What fine-tuning changes and how, resolved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TuningConfig {
    /// Which parameters are trained.
    pub tune: Tune,
    /// Factor on the learning rate from each layer to the one in front of it.
    pub layer_decay: f32,
    /// Whether layers begin to be trained one after the other.
    pub unfreeze: Unfreeze,
    /// Strength of the pull towards the weights that fine-tuning began with, in the place of weight decay; 0 for none.
    pub anchor: f32,
    /// What batch normalisations do.
    pub batch_norm: NormTraining,
    /// Rank of the adapters, where these are trained.
    pub adapter_rank: usize,
}

impl Default for TuningConfig {
    fn default() -> Self {
        Self {
            tune: Tune::All,
            layer_decay: 1.0,
            unfreeze: Unfreeze::None,
            anchor: 0.0,
            batch_norm: NormTraining::Train,
            adapter_rank: RANK,
        }
    }
}

/// A graph with the settings of its training.
pub(crate) struct Tuned {
    pub(crate) graph: Graph,
    pub(crate) train: TrainConfig,
    /// Whether the graph has adapters.
    adapted: bool,
}

impl TuningConfig {
    pub(super) fn resolve(settings: &Settings) -> Self {
        let tune = settings.tune.unwrap_or_default();
        // What most of the network keeps its weights for, it keeps its statistics for.
        let usual = if tune == Tune::All { NormTraining::Train } else { NormTraining::Statistics };
        Self {
            tune,
            layer_decay: settings.layer_decay.unwrap_or(1.0),
            unfreeze: settings.unfreeze.unwrap_or_default(),
            anchor: settings.anchor.unwrap_or(0.0),
            batch_norm: settings.batch_norm.unwrap_or(usual),
            adapter_rank: settings.adapter_rank.unwrap_or(RANK),
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    pub(super) fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// What is trained, in words behind the epochs; empty for everything.
    pub(crate) fn words(&self) -> String {
        match self.tune {
            Tune::All => String::new(),
            Tune::Head => ", the head alone".into(),
            Tune::Bias => ", biases and the head".into(),
            Tune::Adapters => format!(", adapters of rank {} and the head", self.adapter_rank),
        }
    }

    /// A graph as it is trained, and the settings with the rules of its parameters.
    ///
    /// # Errors
    /// [`OculistError::Pass`] for a graph that is not valid.
    pub(crate) fn apply(&self, graph: &Graph, train: &TrainConfig) -> Result<Tuned, OculistError> {
        let adapted = self.tune == Tune::Adapters;
        let (graph, adapters) = if adapted {
            let given = layers(graph);
            let head: Vec<&str> = given.last().map(|head| head.names(&WEIGHT).collect()).unwrap_or_default();
            let options = AdapterOptions { rank: self.adapter_rank, alpha: self.adapter_rank as f32 };
            let mut number = 0;
            let init = |_: &str, shape: &[usize]| {
                number += 1;
                random(train.seed, number, shape)
            };
            attach_adapters(graph, options, |name| !head.contains(&name), init)?
        } else {
            (graph.clone(), Vec::new())
        };
        let layers = layers(&graph);
        let mut tuning = Tuning::default();
        if self.layer_decay < 1.0 {
            tuning = tuning.decay(&layers, self.layer_decay);
        }
        if self.unfreeze == Unfreeze::Gradual {
            tuning = tuning.unfreezing(&layers, train.epochs);
        }
        if self.anchor > 0.0 {
            tuning = tuning.anchored(&layers, self.anchor);
        }
        tuning = match self.tune {
            Tune::All => tuning,
            Tune::Head => tuning.head(&layers),
            Tune::Bias => tuning.biases(&layers),
            Tune::Adapters => {
                let own: Vec<&str> = adapters.iter().flat_map(|a| [a.a.as_str(), a.b.as_str()]).collect();
                tuning.frozen(body(&layers).filter(|name| !own.contains(name)))
            }
        };
        tuning = tuning.batch_norm(&layers, self.batch_norm);
        Ok(Tuned { graph, train: TrainConfig { tuning, ..train.clone() }, adapted })
    }
}

impl Tuned {
    /// The trained graph with its old structure.
    ///
    /// # Errors
    /// [`OculistError::Pass`] for a graph that is not valid.
    pub(crate) fn finish(&self, trained: Graph) -> Result<Graph, OculistError> {
        if self.adapted { Ok(merge_adapters(&trained)?) } else { Ok(trained) }
    }
}

const WEIGHT: [ParameterKind; 1] = [ParameterKind::Weight];

/// The trained parameters of all layers but the head.
fn body(layers: &[Layer]) -> impl Iterator<Item = &str> {
    let body = layers.split_last().map_or(&[][..], |(_, body)| body);
    body.iter().flat_map(|layer| {
        layer.names(&[ParameterKind::Weight, ParameterKind::Vector, ParameterKind::BatchNorm])
    })
}

/// Uniform numbers within `1 / sqrt(fan_in)`.
///
/// # Source
/// The authors' code of LoRA (`loralib`, `kaiming_uniform_` with `a = sqrt(5)`).
fn random(seed: u64, number: u64, shape: &[usize]) -> Vec<f32> {
    let bound = 1.0 / (shape.iter().skip(1).product::<usize>().max(1) as f32).sqrt();
    let mut rng = Rng::keyed(&[seed, number]);
    (0..shape.iter().product()).map(|_| rng.range(-bound, bound)).collect()
}
