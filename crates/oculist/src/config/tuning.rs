//! How fine-tuning changes a model: resolved, and as the rules of a graph's parameters.

use oculist_augment::Rng;
use oculist_graph::Graph;
use oculist_passes::{AdapterOptions, attach_adapters, merge_adapters};
use oculist_train::{Layer, NormTraining, Parameter, ParameterKind, TrainConfig, Tuning, layers};
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
        let mut layers = layers(graph);
        let (graph, adapters) = if adapted {
            let head: Vec<&str> = layers.last().map(|head| head.names(&WEIGHT).collect()).unwrap_or_default();
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
        for adapter in &adapters {
            // They are as far from the head as the weight that they end in.
            let holds = |layer: &&mut Layer| layer.names(&WEIGHT).any(|name| name == adapter.weight);
            if let Some(layer) = layers.iter_mut().find(holds) {
                let parameter = |name: &String| Parameter { name: name.clone(), kind: ParameterKind::Weight };
                layer.parameters.extend([&adapter.a, &adapter.b].map(parameter));
            }
        }
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

#[cfg(test)]
mod tests {
    use oculist_graph::{Conv, Flatten, GlobalPool, GraphBuilder};

    use super::*;

    fn graph() -> Graph {
        let mut b = GraphBuilder::new("net");
        let x = b.input("image", 3, 8, 8);
        let y = b.conv("conv1", x, 8, Conv::square(3, 1, 1), true);
        let y = b.batch_norm("bn", y, 1e-5, 0.9);
        let y = b.conv("conv2", y, 8, Conv::square(3, 1, 1), false);
        let y = b.op("pool", GlobalPool::Average, &[y]);
        let y = b.op("flatten", Flatten::IMAGES, &[y]);
        let out = b.linear("fc", y, 5);
        b.finish(out).unwrap()
    }

    #[expect(clippy::needless_pass_by_value, reason = "made where it is applied")]
    fn applied(settings: Settings) -> Tuned {
        settings.validate().unwrap();
        TuningConfig::resolve(&settings).apply(&graph(), &TrainConfig::default()).unwrap()
    }

    fn trained(tuned: &Tuned) -> String {
        let names = tuned.graph.params().map(|(_, value, _)| value.name.as_str());
        names.filter(|name| tuned.train.tuning.rule(name).trains()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn without_settings_nothing_is_ruled() {
        let tuned = applied(Settings::default());
        assert_eq!((tuned.train, tuned.graph), (TrainConfig::default(), graph()));
        assert!(TuningConfig::resolve(&Settings::default()).is_plain());
    }

    #[test]
    fn each_choice_trains_what_it_says() {
        let tune = |tune| Settings { tune: Some(tune), ..Settings::default() };
        assert_eq!(trained(&applied(tune(Tune::Head))), "fc.weight fc.bias");
        assert_eq!(trained(&applied(tune(Tune::Bias))), "conv1.bias bn.weight bn.bias fc.weight fc.bias");
        let norms = Settings { batch_norm: Some(NormTraining::Frozen), ..Settings::default() };
        assert_eq!(trained(&applied(norms)), "conv1.weight conv1.bias conv2.weight fc.weight fc.bias");
        let head = Settings { batch_norm: Some(NormTraining::Train), ..tune(Tune::Head) };
        assert_eq!(trained(&applied(head)), "bn.running_mean bn.running_var fc.weight fc.bias");
    }

    #[test]
    fn adapters_are_as_far_from_the_head_as_their_layer_and_merge() {
        let settings = Settings {
            tune: Some(Tune::Adapters),
            adapter_rank: Some(2),
            layer_decay: Some(0.5),
            ..Settings::default()
        };
        let tuned = applied(settings);
        let factor = |name| tuned.train.tuning.rule(name).factor;
        assert_eq!(
            ["conv1.weight.lora_a", "conv1.weight.lora_b", "conv2.weight.lora_a", "fc.weight"].map(factor),
            [0.25, 0.25, 0.5, 1.0]
        );
        assert!(tuned.graph.find("fc.weight.lora_a").is_none(), "the head is trained itself");
        assert_eq!(["conv1.weight", "conv1.bias", "bn.weight", "bn.running_mean"].map(factor), [0.0; 4]);
        assert_eq!(tuned.finish(tuned.graph.clone()).unwrap().dump(), graph().dump());
    }
}
